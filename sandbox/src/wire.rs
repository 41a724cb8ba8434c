//! Messages between a slot thread and its launcher: bounded, with descriptors beside them.
//!
//! ```text
//! slot                         launcher
//!  | -- Setup [empty, scratch] --> |   once
//!  | <------------- Ready -------- |
//!  | -- Prepare [group] ---------> |   before a job is known: a spare is made, and now reads
//!  | -- Start [program, 0-2, in]-> |   per job; taken by the spare, else by the launcher
//!  | <----- Started [pidfd] ------ |
//!  | <----- Scratch [dir] -------- |   only with a scratch directory
//!  | <------------- Ended -------- |
//! ```
//! `Discard` ends a spare that does not fit the next job.

use std::io::{IoSlice, IoSliceMut};
use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd};

pub(crate) use bincode::{Decode, Encode};
use nix::sys::socket::{
    ControlMessage, ControlMessageOwned, MsgFlags, SockFlag, SockType, recvmsg, sendmsg,
    setsockopt, socketpair, sockopt,
};

use crate::layers::Layers;
use crate::limits::{ARGUMENT_BYTES_MAX, INPUTS_MAX, Limits};
use crate::spec::Profile;
use crate::stage::Stage;
use crate::sys::{self, RawUsage};

/// One message holds all arguments plus its own fields.
pub(crate) const MESSAGE_BYTES_MAX: usize = 192 * 1024;
const _: () = assert!(ARGUMENT_BYTES_MAX + 16 * 1024 <= MESSAGE_BYTES_MAX);
/// Program, three streams, a control group and the inputs.
pub(crate) const MESSAGE_FDS_MAX: usize = 5 + INPUTS_MAX;

/// Slot to launcher.
#[derive(Debug, Encode, Decode)]
pub(crate) enum Request {
    /// First message; carries the empty root and the root with a scratch directory.
    Setup(Setup),
    /// One job; carries program, stdin, stdout, stderr, inputs, and, if no spare waits for it, the
    /// control group if any.
    Start(Start),
    /// Make a spare for the next job; carries the control group if any.
    Prepare(Shape),
    /// The spare is of no use.
    Discard,
}

/// What a spare is made for. Everything else about a job is settled when it comes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
pub(crate) struct Shape {
    /// Whether there will be a scratch directory.
    pub(crate) scratch: bool,
    /// Whether the program runs under an init.
    pub(crate) init: bool,
}

impl Shape {
    /// What a job asks for.
    pub(crate) fn of(profile: Profile, has_scratch: bool) -> Self {
        Shape {
            scratch: has_scratch,
            init: profile == Profile::Native,
        }
    }
}

/// What a launcher becomes before its first job.
#[derive(Debug, Encode, Decode)]
pub(crate) struct Setup {
    /// User and group to drop to; `None` keeps them.
    pub(crate) uid: Option<u32>,
    /// Layers to build; all of them but on degraded hosts.
    pub(crate) layers: Layers,
}

/// One job, without its descriptors.
#[derive(Debug, Encode, Decode)]
pub(crate) struct Start {
    pub(crate) args: Vec<Vec<u8>>,
    pub(crate) env: Vec<Vec<u8>>,
    pub(crate) inputs: u8,
    pub(crate) limits: Limits,
    pub(crate) profile: Profile,
    /// Where the program lies on the host; empty if that is not known. Only a root for tools
    /// needs it, and only to find the same file again.
    pub(crate) program_path: Vec<u8>,
    /// Bytes and inodes of the scratch directory.
    pub(crate) scratch: Option<(u64, u64)>,
    pub(crate) bounding: Bounding,
}

/// Who bounds memory and tasks of the job.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
pub(crate) enum Bounding {
    /// Only per-process limits.
    Rlimits,
    /// The launcher's own control group, which the job inherits.
    Inherited,
    /// A fresh control group, whose descriptor came with `Prepare` or comes last with `Start`.
    Entered,
}

/// Launcher to slot.
#[derive(Debug, Encode, Decode)]
pub(crate) enum Reply {
    Ready,
    Refused {
        stage: Stage,
        errno: i32,
    },
    Started,
    Scratch,
    Ended(Box<Ended>),
    /// The spare was killed. If a `Start` was under way to it, that may be lost with it.
    SpareLost,
}

/// The end of a job as its parent saw it.
#[derive(Debug, Clone, Encode, Decode)]
pub(crate) struct Ended {
    /// `si_code` and `si_status` of pid 1; absent if it never existed.
    pub(crate) siginfo: Option<(i32, i32)>,
    /// Raw wait status of the program under init.
    pub(crate) init_status: Option<i32>,
    /// The launcher killed it for its wall-clock limit, because the slot did not.
    pub(crate) overdue: bool,
    pub(crate) usage: RawUsage,
    pub(crate) failed: Option<(Stage, i32)>,
    pub(crate) steps: Steps,
}

/// When each stage was passed, in nanoseconds of the monotonic clock by its code less one; 0 if
/// it was not.
pub(crate) type Steps = [u64; Stage::ALL.len()];

/// Why a message did not arrive.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub(crate) enum WireError {
    #[error("closed by the other side")]
    Closed,
    #[error("would block")]
    WouldBlock,
    #[error("errno {0}")]
    Os(i32),
    #[error("{0}")]
    Garbage(&'static str),
}

impl From<nix::Error> for WireError {
    fn from(error: nix::Error) -> Self {
        match error {
            nix::Error::EAGAIN => WireError::WouldBlock,
            nix::Error::EPIPE | nix::Error::ECONNRESET => WireError::Closed,
            other => WireError::Os(other as i32),
        }
    }
}

fn config() -> impl bincode::config::Config {
    bincode::config::standard().with_limit::<MESSAGE_BYTES_MAX>()
}

/// Two ends of one message channel, both closed on exec.
pub(crate) fn pair() -> Result<(OwnedFd, OwnedFd), WireError> {
    let (a, b) = small_pair()?;
    for end in [&a, &b] {
        // Where the kernel's ceiling is lower, long argument lists fail to send: an error, typed.
        setsockopt(end, sockopt::SndBuf, &(2 * MESSAGE_BYTES_MAX))?;
    }
    Ok((a, b))
}

/// The same for messages of a few bytes.
pub(crate) fn small_pair() -> Result<(OwnedFd, OwnedFd), WireError> {
    Ok(socketpair(
        nix::sys::socket::AddressFamily::Unix,
        SockType::SeqPacket,
        None,
        SockFlag::SOCK_CLOEXEC,
    )?)
}

pub(crate) fn encode<M: Encode>(message: &M) -> Result<Vec<u8>, WireError> {
    bincode::encode_to_vec(message, config())
        .map_err(|_| WireError::Garbage("message does not encode"))
}

/// Sends one message whole.
pub(crate) fn send<M: Encode>(
    socket: BorrowedFd<'_>,
    message: &M,
    fds: &[BorrowedFd<'_>],
) -> Result<(), WireError> {
    let bytes = encode(message)?;
    let raw: Vec<i32> = fds.iter().map(AsRawFd::as_raw_fd).collect();
    let rights = [ControlMessage::ScmRights(&raw)];
    let control: &[ControlMessage<'_>] = if raw.is_empty() { &[] } else { &rights };
    let slices = [IoSlice::new(&bytes)];
    loop {
        match sendmsg::<()>(
            socket.as_raw_fd(),
            &slices,
            control,
            MsgFlags::MSG_NOSIGNAL,
            None,
        ) {
            Ok(_) => return Ok(()),
            Err(nix::Error::EINTR) => continue,
            Err(error) => return Err(error.into()),
        }
    }
}

/// Receives one message with its descriptors.
pub(crate) fn receive<M: Decode<()>>(
    socket: BorrowedFd<'_>,
    buffer: &mut Vec<u8>,
    flags: MsgFlags,
) -> Result<(M, Vec<OwnedFd>), WireError> {
    buffer.resize(MESSAGE_BYTES_MAX, 0);
    let (length, fds) = receive_bytes(socket, buffer, flags)?;
    let bytes = buffer
        .get(..length)
        .ok_or(WireError::Garbage("length beyond the buffer"))?;
    Ok((decode(bytes)?, fds))
}

/// Receives one raw message; an empty one is the other side's end.
pub(crate) fn receive_bytes(
    socket: BorrowedFd<'_>,
    buffer: &mut [u8],
    flags: MsgFlags,
) -> Result<(usize, Vec<OwnedFd>), WireError> {
    let mut control = nix::cmsg_space!([i32; MESSAGE_FDS_MAX]);
    let mut slices = [IoSliceMut::new(buffer)];
    let flags = flags | MsgFlags::MSG_CMSG_CLOEXEC;
    loop {
        match recvmsg::<()>(socket.as_raw_fd(), &mut slices, Some(&mut control), flags) {
            Ok(message) => {
                let mut fds = Vec::new();
                for entry in message.cmsgs()? {
                    if let ControlMessageOwned::ScmRights(raw) = entry {
                        fds.extend(raw.into_iter().map(sys::own));
                    }
                }
                if message
                    .flags
                    .intersects(MsgFlags::MSG_TRUNC | MsgFlags::MSG_CTRUNC)
                {
                    return Err(WireError::Garbage("message too long"));
                }
                if message.bytes == 0 {
                    return Err(WireError::Closed);
                }
                return Ok((message.bytes, fds));
            }
            Err(nix::Error::EINTR) => continue,
            Err(error) => return Err(error.into()),
        }
    }
}

/// Decodes a message that must be exactly one value.
pub(crate) fn decode<M: Decode<()>>(bytes: &[u8]) -> Result<M, WireError> {
    let (message, used) = bincode::decode_from_slice::<M, _>(bytes, config())
        .map_err(|_| WireError::Garbage("message does not decode"))?;
    if used != bytes.len() {
        return Err(WireError::Garbage("bytes after the message"));
    }
    Ok(message)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::os::fd::AsFd;

    proptest! {
        /// Hostile bytes on the socket never panic the decoder, whatever they are.
        #[test]
        fn arbitrary_bytes_decode_or_fail(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
            if let Ok(request) = decode::<Request>(&bytes) {
                let again = bincode::encode_to_vec(&request, config()).unwrap();
                prop_assert!(again.len() <= bytes.len());
            }
        }
    }

    #[test]
    fn descriptors_travel_with_their_message() {
        let (a, b) = pair().unwrap();
        let null = std::fs::File::open("/dev/null").unwrap();
        send(a.as_fd(), &Reply::Started, &[null.as_fd()]).unwrap();
        let mut buffer = Vec::new();
        let (reply, fds) = receive::<Reply>(b.as_fd(), &mut buffer, MsgFlags::empty()).unwrap();
        assert!(matches!(reply, Reply::Started));
        assert_eq!(fds.len(), 1);
        drop(a);
        let closed = receive::<Reply>(b.as_fd(), &mut buffer, MsgFlags::empty());
        assert!(matches!(closed, Err(WireError::Closed)), "{closed:?}");
    }

    #[test]
    fn a_length_beyond_the_limit_is_refused_before_allocating() {
        // Variant 1 (Start), then a vector claiming 2^62 arguments.
        let mut bytes = vec![1u8, 253];
        bytes.extend_from_slice(&(1u64 << 62).to_le_bytes());
        assert!(matches!(
            decode::<Request>(&bytes),
            Err(WireError::Garbage(_))
        ));
    }
}
