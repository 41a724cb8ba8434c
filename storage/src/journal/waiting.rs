//! Answers that wait for a sync.

use super::requests::JournalReply;
use crate::request::JournalError;

/// Answers that wait for one store's sync.
pub(super) struct Waiting<T> {
    answers: Vec<(JournalReply<T>, T)>,
}

impl<T> Waiting<T> {
    pub(super) const fn new() -> Self {
        Self {
            answers: Vec::new(),
        }
    }

    pub(super) fn push(&mut self, reply: JournalReply<T>, value: T) {
        self.answers.push((reply, value));
    }

    pub(super) const fn is_empty(&self) -> bool {
        self.answers.is_empty()
    }

    /// The first answer carries the error itself, the others its text.
    pub(super) fn answer(self, outcome: Result<(), JournalError>) {
        match outcome {
            Ok(()) => self
                .answers
                .into_iter()
                .for_each(|(reply, value)| reply(Ok(value))),
            Err(error) => {
                let text = error.to_string();
                let mut error = Some(error);
                for (reply, _) in self.answers {
                    let group = || JournalError::Group(text.clone());
                    reply(Err(error.take().unwrap_or_else(group)));
                }
            }
        }
    }
}
