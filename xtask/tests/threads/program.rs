//! Threads over wasm32-wasip1-threads: locks, channels, scopes, and data that each
//! thread has for itself. Prints one line for each.

use std::cell::Cell;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, mpsc};

thread_local! {
    static OWN: Cell<u32> = const { Cell::new(7) };
}

static GREETING: &str = "copied once";
static COUNT: AtomicU32 = AtomicU32::new(40);
static ZEROS: [AtomicU32; 1000] = [const { AtomicU32::new(0) }; 1000];

fn main() {
    let total = Arc::new(Mutex::new(0));
    let handles: Vec<_> = (0..4u32)
        .map(|number| {
            let total = total.clone();
            std::thread::spawn(move || {
                // Each begins with what the module says, not with what main has.
                assert_eq!(OWN.replace(number), 7);
                for _ in 0..1000 {
                    *total.lock().unwrap() += number;
                }
                COUNT.fetch_add(1, Ordering::SeqCst);
                ZEROS[number as usize].fetch_add(number, Ordering::SeqCst);
                OWN.get()
            })
        })
        .collect();
    OWN.set(100);
    let owns: Vec<u32> = handles.into_iter().map(|it| it.join().unwrap()).collect();
    println!("mutex {} own {owns:?} main's {}", total.lock().unwrap(), OWN.get());

    // Instances that come later do not copy the data again.
    let zeros: u32 = ZEROS.iter().map(|it| it.load(Ordering::SeqCst)).sum();
    println!("{GREETING} {} {zeros}", COUNT.load(Ordering::SeqCst));

    let (send, receive) = mpsc::channel();
    let senders: Vec<_> = (0..3)
        .map(|number| {
            let send = send.clone();
            std::thread::spawn(move || send.send(number * 10).unwrap())
        })
        .collect();
    drop(send);
    for sender in senders {
        sender.join().unwrap();
    }
    let mut received: Vec<i32> = receive.iter().collect();
    received.sort_unstable();
    println!("mpsc {received:?}");

    let mut parts = [1, 2, 3];
    std::thread::scope(|scope| {
        let parts = parts.iter_mut();
        let threads: Vec<_> = parts.map(|part| scope.spawn(|| *part *= 2)).collect();
        for thread in threads {
            thread.join().unwrap();
        }
    });
    println!("scope {parts:?}");
}
