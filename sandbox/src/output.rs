//! Streams of a job: bounded capture of what it writes, feeding of what it reads.

use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::unistd::pipe2;

/// A read takes this much at a time, which is also how far a stream may overshoot its limit.
const CHUNK: usize = 16 * 1024;

/// What one reading found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Flow {
    More,
    Flood,
    Ended,
}

/// One output of the job, read up to its limit.
#[derive(Debug)]
pub(crate) struct Capture {
    pipe: Option<File>,
    bytes: Vec<u8>,
    limit: usize,
}

/// A pipe whose own end does not block.
fn pipe() -> io::Result<(OwnedFd, OwnedFd)> {
    Ok(pipe2(OFlag::O_CLOEXEC)?)
}

fn nonblocking(fd: OwnedFd) -> io::Result<File> {
    fcntl(&fd, FcntlArg::F_SETFL(OFlag::O_NONBLOCK))?;
    Ok(File::from(fd))
}

impl Capture {
    /// The capture, and the end the job writes to.
    pub(crate) fn new(limit: u64) -> io::Result<(Self, OwnedFd)> {
        let (read, write) = pipe()?;
        let limit = usize::try_from(limit).unwrap_or(usize::MAX);
        Ok((
            Capture {
                pipe: Some(nonblocking(read)?),
                bytes: Vec::new(),
                limit,
            },
            write,
        ))
    }

    /// A capture of nothing.
    pub(crate) fn closed() -> Self {
        Capture {
            pipe: None,
            bytes: Vec::new(),
            limit: 0,
        }
    }

    pub(crate) fn fd(&self) -> Option<BorrowedFd<'_>> {
        self.pipe.as_ref().map(AsFd::as_fd)
    }

    /// Takes what is there now.
    pub(crate) fn read(&mut self) -> Flow {
        let Some(pipe) = &mut self.pipe else {
            return Flow::Ended;
        };
        // On the stack, which is warm: a fresh vector of this size costs more than a small job's
        // whole output.
        let mut chunk = [0u8; CHUNK];
        let flow = match pipe.read(&mut chunk) {
            Ok(0) => Flow::Ended,
            Ok(count) => {
                self.bytes
                    .extend_from_slice(chunk.get(..count).unwrap_or_default());
                if self.bytes.len() > self.limit {
                    Flow::Flood
                } else {
                    Flow::More
                }
            }
            Err(e)
                if matches!(
                    e.kind(),
                    io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted
                ) =>
            {
                return Flow::More;
            }
            Err(_) => Flow::Ended,
        };
        match flow {
            Flow::More => {}
            Flow::Flood => {
                self.bytes.truncate(self.limit);
                self.pipe = None;
            }
            Flow::Ended => self.pipe = None,
        }
        flow
    }

    /// Everything captured.
    pub(crate) fn into_bytes(self) -> Vec<u8> {
        self.bytes
    }

    pub(crate) fn len(&self) -> usize {
        self.bytes.len()
    }
}

/// Standard input of the job.
#[derive(Debug)]
pub(crate) struct Feed {
    pipe: Option<File>,
    bytes: Vec<u8>,
    written: usize,
}

impl Feed {
    /// The feed, and the end the job reads from. With nothing to write, the job sees end of file
    /// at once.
    pub(crate) fn new(bytes: Vec<u8>) -> io::Result<(Self, OwnedFd)> {
        let (read, write) = pipe()?;
        let pipe = if bytes.is_empty() {
            None
        } else {
            Some(nonblocking(write)?)
        };
        Ok((
            Feed {
                pipe,
                bytes,
                written: 0,
            },
            read,
        ))
    }

    pub(crate) fn fd(&self) -> Option<BorrowedFd<'_>> {
        self.pipe.as_ref().map(AsFd::as_fd)
    }

    pub(crate) fn written(&self) -> usize {
        self.written
    }

    /// Writes what fits; a job that does not read, or closed its end, is no error.
    pub(crate) fn write(&mut self) {
        let Some(pipe) = &mut self.pipe else { return };
        let rest = self.bytes.get(self.written..).unwrap_or_default();
        match pipe.write(rest) {
            Ok(count) => self.written += count,
            Err(e)
                if matches!(
                    e.kind(),
                    io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted
                ) => {}
            Err(_) => self.pipe = None,
        }
        if self.written == self.bytes.len() {
            self.pipe = None;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flood_stops_at_the_limit_exactly() {
        let (mut capture, write) = Capture::new(1000).unwrap();
        File::from(write).write_all(&[7u8; 1001]).unwrap();
        assert_eq!(capture.read(), Flow::Flood);
        assert_eq!(capture.into_bytes(), vec![7u8; 1000]);
    }

    #[test]
    fn the_limit_itself_is_not_a_flood() {
        let (mut capture, write) = Capture::new(1000).unwrap();
        File::from(write).write_all(&[7u8; 1000]).unwrap();
        assert_eq!(capture.read(), Flow::More);
        assert_eq!(capture.read(), Flow::Ended);
        assert_eq!(capture.len(), 1000);
    }

    #[test]
    fn a_reader_that_goes_away_ends_the_feed() {
        let (mut feed, read) = Feed::new(vec![1u8; 1 << 20]).unwrap();
        feed.write();
        assert!(feed.written() > 0 && feed.fd().is_some());
        drop(read);
        feed.write();
        assert!(feed.fd().is_none());
    }
}
