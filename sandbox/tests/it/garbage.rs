//! Goal: a launcher does not act on what it does not understand. Method: speak nonsense to one.

use std::os::fd::OwnedFd;
use std::process::{Command, Stdio};

use nix::sys::socket::{AddressFamily, MsgFlags, SockFlag, SockType, send, socketpair};
use std::os::fd::AsRawFd;

use crate::bed;

fn launcher_told(bytes: &[u8]) -> Option<i32> {
    let (ours, theirs): (OwnedFd, OwnedFd) = socketpair(
        AddressFamily::Unix,
        SockType::SeqPacket,
        None,
        SockFlag::SOCK_CLOEXEC,
    )
    .unwrap();
    let mut launcher = Command::new(bed::testbed())
        .arg(sandbox::LAUNCHER_MODE)
        .stdin(Stdio::from(theirs))
        .spawn()
        .unwrap();
    if !bytes.is_empty() {
        send(ours.as_raw_fd(), bytes, MsgFlags::MSG_NOSIGNAL).unwrap();
    }
    drop(ours);
    launcher.wait().unwrap().code()
}

#[test]
fn garbage_ends_the_launcher() {
    assert_eq!(launcher_told(b"\xff\xff\xff\xff"), Some(1));
    // A Start before any Setup, and a Setup without its directories.
    assert_eq!(launcher_told(&[1, 0, 0, 0]), Some(1));
    assert_eq!(launcher_told(&[0, 0, 1, 1, 1]), Some(1));
    // Nobody there at all is an ordinary end.
    assert_eq!(launcher_told(b""), Some(0));
}
