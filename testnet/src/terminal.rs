//! What a command says: data on stdout, progress on stderr. `println!` would panic where neither takes
//! a line.

use std::io::{self, Write as _};

use anyhow::Result;

use crate::error::CommandError;

/// A line of data.
///
/// # Errors
/// When stdout does not take it. A closed pipe is the reader's choice and no failure.
pub(crate) fn stdout(text: &str) -> Result<()> {
    taken(writeln!(io::stdout().lock(), "{text}"))
}

fn taken(written: io::Result<()>) -> Result<()> {
    match written {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            Err(CommandError::unprinted(&error).into())
        }
        _ => Ok(()),
    }
}

/// Progress for people; nobody misses what has no room.
pub(crate) fn note(text: &str) {
    drop(writeln!(io::stderr().lock(), "{text}"));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_reader_may_end_the_output() {
        taken(Err(io::ErrorKind::BrokenPipe.into())).unwrap();
        let error = taken(Err(io::ErrorKind::StorageFull.into())).unwrap_err();
        let error = error.downcast_ref::<CommandError>().unwrap();
        assert_eq!((error.code.as_ref(), error.exit), ("storage.failed", 76));
    }
}
