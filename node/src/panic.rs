//! A panic ends the process with its own code, except where somebody stands ready to catch it.

use std::cell::Cell;
use std::io::Write as _;

use crate::exit::Exit;

thread_local! {
    static CAUGHT: Cell<u32> = const { Cell::new(0) };
}

/// Installs the hook. Threads that called [`catch_on_this_thread`] unwind; every other panic ends the process.
pub(crate) fn install() {
    let before = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |info| {
        if is_caught() {
            return;
        }
        before(info);
        drop(std::io::stderr().flush());
        std::process::exit(i32::from(Exit::Panic.code()));
    }));
}

/// From now on, panics of this thread are somebody's answer (an API worker's request).
pub(crate) fn catch_on_this_thread() {
    CAUGHT.set(CAUGHT.get() + 1);
}

/// Whether a panic here is somebody's answer.
fn is_caught() -> bool {
    CAUGHT.get() > 0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_threads_that_say_so_survive_their_panics() {
        let work = || {
            let before = is_caught();
            catch_on_this_thread();
            (before, is_caught())
        };
        assert_eq!(std::thread::spawn(work).join().unwrap(), (false, true));
        assert!(!std::thread::spawn(is_caught).join().unwrap());
    }
}
