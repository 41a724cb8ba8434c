//! A receiving end that is no actor: for tests, and for receivers with a thread of their own.

use std::fmt;

use tokio::sync::mpsc;

use super::{Content, Letter, Link, Mail};

impl<M: Letter> Link<M> for mpsc::UnboundedSender<Mail<M>> {
    fn push(&self, mail: Mail<M>) {
        // The permits bound it; a closed queue drops the letter, which `Mail` notices.
        let _closed = self.send(mail);
    }
}

/// The receiving end of [`Post::queue`].
pub struct Queue<M: Letter> {
    receiver: mpsc::UnboundedReceiver<Mail<M>>,
}

impl<M: Letter> fmt::Debug for Queue<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Queue")
    }
}

impl<M: Letter> Queue<M> {
    pub(super) const fn new(receiver: mpsc::UnboundedReceiver<Mail<M>>) -> Self {
        Self { receiver }
    }

    /// The next letter, once there is one; `None` when all outboxes are gone.
    pub async fn next(&mut self) -> Option<M> {
        loop {
            if let Some(message) = open(self.receiver.recv().await?) {
                return Some(message);
            }
        }
    }

    /// The next letter, if one waits.
    pub fn take(&mut self) -> Option<M> {
        loop {
            if let Some(message) = open(self.receiver.try_recv().ok()?) {
                return Some(message);
            }
        }
    }
}

fn open<M: Letter>(mut mail: Mail<M>) -> Option<M> {
    match mail.content.take()? {
        Content::Letter(message) => Some(message),
        Content::Ping(reply) => {
            let _gone = reply.send(());
            None
        }
    }
}
