//! What every holder of the store may read without asking a thread.

use std::sync::{Mutex, PoisonError};

use protocol::digest::Digest;

/// Values published by the store's threads.
#[derive(Debug, Default)]
pub(crate) struct Shared {
    anchor: Mutex<Option<Digest>>,
}

impl Shared {
    pub(crate) fn set_anchor(&self, anchor: Option<Digest>) {
        *self.anchor.lock().unwrap_or_else(PoisonError::into_inner) = anchor;
    }

    pub(crate) fn anchor(&self) -> Option<Digest> {
        *self.anchor.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
