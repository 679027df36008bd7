//! What the signal handlers learn of a fault.

use std::cell::Cell;

/// A fault of a guest's.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Signal {
    /// The address that it touched.
    pub(crate) address: usize,
    /// Whether a page was mapped there, but its file has shrunk.
    pub(crate) truncated: bool,
}

thread_local! {
    static LAST: Cell<Option<Signal>> = const { Cell::new(None) };
}

/// The last fault on this thread that nobody has asked for yet.
pub(crate) fn take() -> Option<Signal> {
    LAST.take()
}

/// Notes each fault of a guest in `store`, and leaves the rest to the engine.
pub(crate) fn watch(store: &mut wasmer::Store) {
    forward_bus_errors();
    store.set_trap_handler(Some(Box::new(|_signal, info, _context| {
        // SAFETY: the system gives a handler with SA_SIGINFO a valid `siginfo_t`.
        let info = unsafe { &*info };
        if matches!(info.si_signo, libc::SIGSEGV | libc::SIGBUS) {
            // A `Cell` of this thread that needs no initialisation may be
            // written in a signal handler.
            LAST.set(Some(Signal {
                // SAFETY: these signals come with an address.
                address: unsafe { info.si_addr() } as usize,
                truncated: info.si_signo == libc::SIGBUS,
            }));
        }
        false
    })));
}

/// Lets the engine handle SIGBUS as it handles SIGSEGV.
///
/// A file that somebody else truncates while a guest reads it raises SIGBUS. On
/// Linux the engine handles SIGSEGV alone, so the process would end.
#[cfg(all(
    target_os = "linux",
    any(target_arch = "x86_64", target_arch = "aarch64")
))]
fn forward_bus_errors() {
    use std::sync::{Once, OnceLock};

    type Handler = extern "C" fn(libc::c_int, *mut libc::siginfo_t, *mut libc::c_void);
    /// The engine's handler of SIGSEGV, and what handled SIGBUS before.
    static HANDLERS: OnceLock<(Handler, libc::sigaction)> = OnceLock::new();

    extern "C" fn on_bus_error(
        _signal: libc::c_int,
        info: *mut libc::siginfo_t,
        context: *mut libc::c_void,
    ) {
        let Some((engine, previous)) = HANDLERS.get() else {
            return;
        };
        let before = program_counter(context);
        // It asks which signal it was, and knows SIGSEGV.
        engine(libc::SIGSEGV, info, context);
        if program_counter(context) == before {
            // Not in a guest. The same instruction faults again, and then what
            // was there before answers it.
            // SAFETY: `previous` came from `sigaction`.
            unsafe { libc::sigaction(libc::SIGBUS, previous, std::ptr::null_mut()) };
        }
    }

    fn program_counter(context: *mut libc::c_void) -> u64 {
        // SAFETY: the system gives a handler with SA_SIGINFO a valid context.
        let context = unsafe { &*context.cast::<libc::ucontext_t>() };
        #[cfg(target_arch = "x86_64")]
        let counter = context.uc_mcontext.gregs[libc::REG_RIP as usize] as u64;
        #[cfg(target_arch = "aarch64")]
        let counter = context.uc_mcontext.pc;
        counter
    }

    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        // SAFETY: asks for handlers, and sets one that does only what is allowed in
        // one. Zero is a valid `sigaction`. A handler with SA_SIGINFO has the type
        // `Handler`; by now the engine has installed such a one.
        unsafe {
            let [mut segv, mut bus]: [libc::sigaction; 2] = std::mem::zeroed();
            libc::sigaction(libc::SIGSEGV, std::ptr::null(), &mut segv);
            libc::sigaction(libc::SIGBUS, std::ptr::null(), &mut bus);
            if segv.sa_flags & libc::SA_SIGINFO == 0 {
                return;
            }
            let engine = std::mem::transmute::<usize, Handler>(segv.sa_sigaction);
            let _ = HANDLERS.set((engine, bus));
            segv.sa_sigaction = on_bus_error as *const () as usize;
            libc::sigaction(libc::SIGBUS, &segv, std::ptr::null_mut());
        }
    });
}

#[cfg(not(all(
    target_os = "linux",
    any(target_arch = "x86_64", target_arch = "aarch64")
)))]
fn forward_bus_errors() {}
