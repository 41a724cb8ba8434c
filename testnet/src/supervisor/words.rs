//! Why a supervisor ended, told to the command that waits for its net.

use std::io::{Error, ErrorKind};

use serde::{Deserialize, Serialize};

use crate::error::CommandError;

/// One line of JSON on the supervisor's stdout.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LastWords {
    /// What went wrong.
    pub detail: String,
    /// What to try next, where more is known than that it failed.
    pub hint: Option<String>,
}

impl LastWords {
    /// More is no message.
    pub const BYTES_MAX: u64 = 64 << 10;

    /// Of an error that ends a supervisor.
    #[must_use]
    pub fn of(error: &anyhow::Error) -> Self {
        let known = error.downcast_ref::<CommandError>().cloned();
        let full = |cause: &&(dyn std::error::Error + 'static)| {
            let kind = cause.downcast_ref::<Error>().map(Error::kind);
            matches!(
                kind,
                Some(ErrorKind::StorageFull | ErrorKind::QuotaExceeded)
            )
        };
        let detail = format!("{error:#}");
        let no_room = error
            .chain()
            .find(full)
            .map(|_| CommandError::unwritten(&detail));
        Self {
            detail,
            hint: known.or(no_room).map(|known| known.hint),
        }
    }

    /// One line.
    #[must_use]
    pub fn to_line(&self) -> String {
        serde_json::to_string(self).unwrap_or_else(|_| self.detail.clone())
    }

    /// What was said; a supervisor that was killed says nothing.
    #[must_use]
    pub fn read(said: &str) -> Self {
        let last = said.trim().lines().last().unwrap_or_default();
        serde_json::from_str(last).unwrap_or_else(|_| Self {
            detail: match last {
                "" => "its supervisor ended without a word".to_owned(),
                text => text.to_owned(),
            },
            hint: None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_said_is_heard() {
        let plain = anyhow::anyhow!("no room").context("cannot write x");
        let words = LastWords::of(&plain);
        assert_eq!(words.detail, "cannot write x: no room");
        assert_eq!(LastWords::read(&format!("{}\n", words.to_line())), words);
        let full = anyhow::Error::new(Error::from(ErrorKind::StorageFull)).context("x");
        let hint = LastWords::of(&full).hint;
        assert!(hint.is_some_and(|hint| hint.contains("--fresh")));
        let known = CommandError::unavailable("taken", "end it").into();
        assert_eq!(LastWords::of(&known).hint.as_deref(), Some("end it"));
    }

    #[test]
    fn silence_and_noise_are_told_as_such() {
        assert!(LastWords::read("").detail.contains("without a word"));
        assert_eq!(
            LastWords::read("thread panicked\n").detail,
            "thread panicked"
        );
    }
}
