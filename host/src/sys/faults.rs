//! What the signal handlers learn of a fault.

use super::stack;
use std::cell::Cell;
use std::ops::Range;

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

thread_local! {
    /// Where the guest that runs on this thread may fault: its region space, and its
    /// memory. A `Cell` that needs no initialisation may be read in a signal handler.
    static GUEST: Cell<[(usize, usize); 2]> = const { Cell::new([(0, 0); 2]) };
}

/// A guest runs on this thread, until this is dropped.
pub(crate) struct Running([(usize, usize); 2]);

/// Notes that a guest begins to run that may fault at these addresses, until the
/// value is dropped; another one that it runs in may be waiting for it.
pub(crate) fn enter(spaces: [Option<Range<usize>>; 2]) -> Running {
    let range = |space: Option<Range<usize>>| space.map_or((0, 0), |at| (at.start, at.end));
    Running(GUEST.replace(spaces.map(range)))
}

impl Drop for Running {
    fn drop(&mut self) {
        GUEST.set(self.0);
    }
}

fn is_guests(address: usize) -> bool {
    let spaces = GUEST.get();
    spaces
        .iter()
        .any(|(start, end)| (*start..*end).contains(&address))
}

thread_local! {
    static PREPARED: Cell<bool> = const { Cell::new(false) };
}

/// Before a guest runs on this thread, which may be another than the one that it was made
/// on: the signals that its faults are must not be blocked here, for the system ends a
/// process for a fault that it cannot signal.
pub(crate) fn prepare_thread() {
    if !PREPARED.replace(true) {
        unblock();
        stack::make_room();
    }
}

/// Notes each fault of a guest in `store`, and leaves the rest to the engine.
pub(crate) fn watch(store: &mut wasmer::Store) {
    forward_bus_errors();
    PREPARED.set(false);
    prepare_thread();
    store.set_trap_handler(Some(Box::new(|_signal, info, context| {
        // SAFETY: the system gives a handler with SA_SIGINFO a valid `siginfo_t`.
        let info = unsafe { &*info };
        // SAFETY: the signals of faults come with an address: of memory, or of the
        // instruction.
        let address = unsafe { info.si_addr() } as usize;
        if matches!(info.si_signo, libc::SIGSEGV | libc::SIGBUS) {
            // A `Cell` of this thread that needs no initialisation may be
            // written in a signal handler.
            LAST.set(Some(Signal {
                address,
                truncated: info.si_signo == libc::SIGBUS,
            }));
        }
        stack::note(context, address);
        false
    })));
}

/// Lets this thread have the signals of its own faults. Where they are blocked, the
/// system ends the process in place of a guest.
fn unblock() {
    // SAFETY: an empty set is made, filled and given to the system, which changes
    // this thread's signal mask and nothing else.
    unsafe {
        let mut signals: libc::sigset_t = std::mem::zeroed();
        libc::sigemptyset(&mut signals);
        for signal in [
            libc::SIGSEGV,
            libc::SIGBUS,
            libc::SIGILL,
            libc::SIGFPE,
            libc::SIGTRAP,
        ] {
            libc::sigaddset(&mut signals, signal);
        }
        libc::pthread_sigmask(libc::SIG_UNBLOCK, &signals, std::ptr::null_mut());
    }
}

/// Lets the engine handle a guest's SIGBUS as it handles SIGSEGV, and nobody else's.
///
/// A file that somebody else truncates while a guest reads it raises SIGBUS. On
/// Linux the engine handles SIGSEGV alone, so the process would end. It must not see
/// another's: not knowing it, it would give up its own handler of SIGSEGV.
#[cfg(all(
    target_os = "linux",
    any(target_arch = "x86_64", target_arch = "aarch64")
))]
fn forward_bus_errors() {
    use std::sync::{Once, OnceLock};

    type Handler = extern "C" fn(libc::c_int, *mut libc::siginfo_t, *mut libc::c_void);
    type PlainHandler = extern "C" fn(libc::c_int);
    /// The engine's handler of SIGSEGV, and what handled SIGBUS before.
    static HANDLERS: OnceLock<(Handler, libc::sigaction)> = OnceLock::new();

    extern "C" fn on_bus_error(
        signal: libc::c_int,
        info: *mut libc::siginfo_t,
        context: *mut libc::c_void,
    ) {
        let Some((engine, previous)) = HANDLERS.get() else {
            return;
        };
        // SAFETY: the system gives a handler with SA_SIGINFO a valid `siginfo_t`, and
        // SIGBUS comes with an address.
        if is_guests(unsafe { (*info).si_addr() } as usize) {
            // It asks which signal it was, and knows SIGSEGV.
            return engine(libc::SIGSEGV, info, context);
        }
        match previous.sa_sigaction {
            // The same instruction faults again, and ends the process. Nobody can
            // ignore a fault: that is the same.
            // SAFETY: `previous` came from `sigaction`.
            libc::SIG_DFL | libc::SIG_IGN => unsafe {
                libc::sigaction(signal, previous, std::ptr::null_mut());
            },
            // SAFETY: a handler with SA_SIGINFO has this type.
            handler if previous.sa_flags & libc::SA_SIGINFO != 0 => unsafe {
                std::mem::transmute::<usize, Handler>(handler)(signal, info, context);
            },
            // SAFETY: and one without it has this one.
            handler => unsafe {
                std::mem::transmute::<usize, PlainHandler>(handler)(signal);
            },
        }
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
