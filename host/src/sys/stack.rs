//! The frames on a guest's stack.
//!
//! Cranelift's functions that call others keep a chain of frame pointers: the caller's
//! frame pointer, and behind it the return address. To follow it takes a fraction of a
//! microsecond a frame, where unwinding takes several, and needs no tables; so a guest
//! that recursed deeply ends as fast as any other. It is also what there is of a stack
//! that is full.
//!
//! Where signal contexts and frames are not known here (they are on Linux, on x86-64 and
//! AArch64), there are only the innermost frames, and of a full stack none.

use std::cell::Cell;
use std::ffi::c_void;

/// Addresses of code, innermost first.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Addresses {
    pub(crate) innermost: Vec<usize>,
    /// How many are left out behind those, if that is known.
    pub(crate) left_out: Option<usize>,
    pub(crate) outermost: Vec<usize>,
    /// Whether the first is that of the instruction, not a return address, as all others
    /// are.
    pub(crate) stopped: bool,
}

/// So many frames are noted at each end: the smallest is 16 bytes, so of a stack of
/// 1 MiB all are.
const EACH_END: usize = 1 << 15;
/// So many are looked at: a stack of 64 MiB may have more.
const MOST: usize = 1 << 20;
/// So many are unwound where the chain cannot be followed.
const MOST_UNWOUND: usize = 500;

/// Frames as they are found.
#[derive(Default)]
struct Stack {
    innermost: Vec<usize>,
    /// The last of the others: a ring.
    outermost: Vec<usize>,
    /// Where the ring's next goes.
    next: usize,
    /// How many it has lost.
    left_out: usize,
    /// Whether the chain was followed to its end.
    whole: bool,
}

impl Stack {
    fn with_room(each_end: usize) -> Self {
        Self {
            innermost: Vec::with_capacity(each_end),
            outermost: Vec::with_capacity(each_end),
            ..Self::default()
        }
    }

    /// Never allocates: there is room for all.
    fn push(&mut self, address: usize) {
        if self.innermost.len() < self.innermost.capacity() {
            self.innermost.push(address);
        } else if self.outermost.len() < self.outermost.capacity() {
            self.outermost.push(address);
        } else if let Some(oldest) = self.outermost.get_mut(self.next) {
            *oldest = address;
            self.next = (self.next + 1) % self.outermost.len();
            self.left_out += 1;
        }
    }

    /// Notes the callers of the function whose frame this is.
    fn follow(&mut self, mut frame: usize) {
        let mut words = Words::default();
        self.whole = true;
        for _ in 0..MOST {
            let Some([caller, address]) = words.two_at(frame) else {
                return;
            };
            self.push(address);
            // Callers' frames are above; what the host's own code has there need not
            // be a frame, and is nobody's address then.
            if caller <= frame {
                return;
            }
            frame = caller;
        }
        self.whole = false;
    }

    /// What was found; there is room again.
    fn take(&mut self, stopped: bool) -> Addresses {
        let (newer, older) = self.outermost.split_at(self.next);
        let addresses = Addresses {
            innermost: self.innermost.clone(),
            left_out: self.whole.then_some(self.left_out),
            outermost: [older, newer].concat(),
            stopped,
        };
        self.clear();
        addresses
    }

    fn clear(&mut self) {
        self.innermost.clear();
        self.outermost.clear();
        self.next = 0;
        self.left_out = 0;
    }
}

/// What called the host's function that calls this.
pub(crate) fn callers() -> Addresses {
    callers_within(EACH_END)
}

/// The same, with so many frames at each end at most.
pub(crate) fn callers_within(each_end: usize) -> Addresses {
    let mut innermost = Vec::new();
    let mut frame_pointer = None;
    let mut guests = false;
    let mut whole = true;
    // Nothing in here may panic: it is C that calls it.
    backtrace::trace(|frame| {
        if guests && CHAINED {
            // The unwinder gives the stack pointer that this function will find when
            // the guest's returns: behind its frame pointer and its return address.
            frame_pointer = Some((frame.sp() as usize).wrapping_sub(2 * size_of::<usize>()));
            return false;
        }
        let address = frame.ip() as usize;
        guests = is_compiled(address.saturating_sub(1));
        innermost.push(address);
        whole = innermost.len() < MOST_UNWOUND;
        whole
    });
    let mut stack = Stack::with_room(each_end);
    innermost
        .into_iter()
        .for_each(|address| stack.push(address));
    stack.whole = whole;
    if let Some(frame) = frame_pointer {
        stack.follow(frame);
    }
    stack.take(false)
}

const CHAINED: bool = cfg!(all(
    target_os = "linux",
    any(target_arch = "x86_64", target_arch = "aarch64")
));

/// Whether an address is in a function of some module's.
fn is_compiled(address: usize) -> bool {
    let modules = wasmer_compiler::FRAME_INFO.read();
    modules.is_ok_and(|modules| modules.lookup_frame_info(address).is_some())
}

thread_local! {
    static STOPPED: Cell<Option<Box<Stack>>> = const { Cell::new(None) };
}

/// Makes room for the frames of this thread's faults, which is not touched before it is
/// needed.
pub(super) fn make_room() {
    let stack = STOPPED.take();
    STOPPED.set(Some(
        stack.unwrap_or_else(|| Box::new(Stack::with_room(EACH_END))),
    ));
}

/// The frames that the last fault on this thread noted, if nobody has asked for them.
pub(crate) fn take() -> Option<Addresses> {
    let mut stack = STOPPED.take()?;
    let addresses = stack.take(true);
    STOPPED.set(Some(stack));
    (!addresses.innermost.is_empty()).then_some(addresses)
}

/// Forgets the frames of a fault that nobody has asked for.
pub(crate) fn forget() {
    if let Some(mut stack) = STOPPED.take() {
        stack.clear();
        STOPPED.set(Some(stack));
    }
}

/// Notes the frames of a guest that faults, and keeps the engine from unwinding more of
/// them than a few. Called in a signal handler: it takes no memory, and no lock but the
/// engine's, which guests' code does not hold.
pub(super) fn note(context: *const c_void, fault: usize) {
    /// A function touches its whole frame before it lets the stack pointer go.
    const LARGEST_FRAME: usize = 16 << 20;
    let Some([counter, stack_pointer, frame]) = registers(context) else {
        return;
    };
    let below = stack_pointer.saturating_sub(LARGEST_FRAME)..stack_pointer.saturating_add(64);
    let is_full = below.contains(&fault);
    if !is_full && !is_compiled(counter) {
        return;
    }
    let Some(mut stack) = STOPPED.take() else {
        return;
    };
    stack.clear();
    stack.push(counter);
    stack.follow(frame);
    STOPPED.set(Some(stack));
    // The engine takes no backtrace of a stack that is full.
    if !is_full {
        cut(frame);
    }
}

/// How many frames are left to the engine.
const LEFT: usize = 32;

/// Ends the chain of a guest's frames where the engine has seen enough of it: it would
/// unwind all of them, which takes long, while other guests' faults wait.
fn cut(mut frame: usize) {
    let mut words = Words::default();
    for nth in 0.. {
        let Some([caller, address]) = words.two_at(frame) else {
            return;
        };
        if caller <= frame || !is_compiled(address.wrapping_sub(1)) {
            return;
        }
        if nth == LEFT {
            break;
        }
        frame = caller;
    }
    // SAFETY: all that is above the guest's instruction which faulted is compiled code's,
    // up to here, so this is where one of its functions has its return address. Nobody
    // returns there: the engine drops the stack of a guest that faulted. Unwinders take a
    // return address of 0 for the end of the stack.
    unsafe { ((frame + size_of::<usize>()) as *mut usize).write(0) };
}

/// Words of this process's memory, read where there may be none.
struct Words {
    start: usize,
    len: usize,
    words: [usize; 256],
}

impl Default for Words {
    fn default() -> Self {
        Self {
            start: 0,
            len: 0,
            words: [0; 256],
        }
    }
}

impl Words {
    fn two_at(&mut self, address: usize) -> Option<[usize; 2]> {
        const WORD: usize = size_of::<usize>();
        if !address.is_multiple_of(WORD) {
            return None;
        }
        let index = address.wrapping_sub(self.start) / WORD;
        if address < self.start || index + 2 > self.len {
            self.read(address);
            return self.words[..self.len].first_chunk().copied();
        }
        self.words[index..].first_chunk().copied()
    }

    /// Has the system copy what there is: where it cannot, it does not signal it.
    #[cfg(target_os = "linux")]
    fn read(&mut self, address: usize) {
        // Up to the end of a page: beyond it there may be none.
        const PAGE: usize = 4 << 10;
        let len = size_of_val(&self.words).min(PAGE - address % PAGE);
        let local = libc::iovec {
            iov_base: self.words.as_mut_ptr().cast(),
            iov_len: len,
        };
        let remote = libc::iovec {
            iov_base: address as *mut c_void,
            iov_len: len,
        };
        // SAFETY: both ranges are of this process, `words` can be written with any
        // bits, and the system checks the other.
        let read = unsafe { libc::process_vm_readv(libc::getpid(), &local, 1, &remote, 1, 0) };
        self.start = address;
        self.len = usize::try_from(read).unwrap_or(0) / size_of::<usize>();
    }

    #[cfg(not(target_os = "linux"))]
    fn read(&mut self, _: usize) {
        self.len = 0;
    }
}

/// Program counter, stack pointer, frame pointer.
#[cfg(all(
    target_os = "linux",
    any(target_arch = "x86_64", target_arch = "aarch64")
))]
fn registers(context: *const c_void) -> Option<[usize; 3]> {
    // SAFETY: the system gives a handler with SA_SIGINFO a valid context, or
    // somebody gives none.
    let context = unsafe { context.cast::<libc::ucontext_t>().as_ref() }?;
    #[cfg(target_arch = "x86_64")]
    let registers = [libc::REG_RIP, libc::REG_RSP, libc::REG_RBP]
        .map(|register| context.uc_mcontext.gregs[register as usize] as usize);
    #[cfg(target_arch = "aarch64")]
    let registers = [
        context.uc_mcontext.pc as usize,
        context.uc_mcontext.sp as usize,
        context.uc_mcontext.regs[29] as usize,
    ];
    Some(registers)
}

#[cfg(not(all(
    target_os = "linux",
    any(target_arch = "x86_64", target_arch = "aarch64")
)))]
fn registers(_: *const c_void) -> Option<[usize; 3]> {
    None
}
