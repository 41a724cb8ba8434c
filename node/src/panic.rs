//! A panic ends the process with its own code, except where somebody stands ready to catch it.

use std::cell::Cell;
use std::io::Write as _;
use std::panic::{AssertUnwindSafe, catch_unwind};

use crate::exit::Exit;

thread_local! {
    static CAUGHT: Cell<u32> = const { Cell::new(0) };
}

/// Installs the hook. Threads inside [`caught`] unwind; every other panic ends the process.
pub(crate) fn install() {
    let before = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |info| {
        if CAUGHT.get() > 0 {
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

/// Runs something whose panic is an answer, not an end.
pub(crate) fn caught<T>(work: impl FnOnce() -> T) -> Option<T> {
    CAUGHT.set(CAUGHT.get() + 1);
    let result = catch_unwind(AssertUnwindSafe(work));
    CAUGHT.set(CAUGHT.get() - 1);
    result.ok()
}

#[cfg(test)]
mod tests {
    #[test]
    fn caught_panics_are_answers() {
        assert_eq!(super::caught(|| 7), Some(7));
        let none: Option<()> = super::caught(|| panic!("expected"));
        assert!(none.is_none());
    }
}
