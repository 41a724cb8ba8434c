//! Panics of the database while it is opened, turned into errors.
//!
//! sled answers damaged files with a panic. At start that must lead to a rebuild, so opening and
//! the first full scan run guarded. The process's panic hook runs before the panic is caught, and
//! asks [`panic_is_guarded`] whether to leave it alone.

use std::any::Any;
use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind};

use super::StoreError;

thread_local! {
    static GUARDED: Cell<bool> = const { Cell::new(false) };
}

/// Whether a panic on this thread, now, is expected and will be caught.
#[must_use]
pub fn panic_is_guarded() -> bool {
    GUARDED.with(Cell::get)
}

/// Runs `work`, turning a panic into [`StoreError::Panicked`].
pub(crate) fn guarded<T>(work: impl FnOnce() -> T) -> Result<T, StoreError> {
    let before = GUARDED.with(|guarded| guarded.replace(true));
    let outcome = catch_unwind(AssertUnwindSafe(work));
    GUARDED.with(|guarded| guarded.set(before));
    outcome.map_err(|payload| StoreError::Panicked(message(payload.as_ref())))
}

fn message(payload: &(dyn Any + Send)) -> String {
    let text = payload.downcast_ref::<&str>().copied();
    let text = text.or_else(|| payload.downcast_ref::<String>().map(String::as_str));
    text.unwrap_or("no message").to_owned()
}
