//! Single forbidden acts: how each is attempted, nearly all by one system call. The rows are in
//! `table.rs`.

use std::ffi::{CStr, CString};
use std::net::TcpStream;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixStream};
use std::time::Duration;

use super::Attempt;
use crate::sys::{self, Arg};

pub(super) fn call(number: i64, arguments: &[Arg<'_>]) -> Attempt {
    Attempt::from_call(sys::attempt(number, arguments))
}

pub(super) fn ints(number: i64, arguments: &[i64]) -> Attempt {
    let arguments: Vec<Arg<'_>> = arguments.iter().map(|value| Arg::Int(*value)).collect();
    call(number, &arguments)
}

pub(super) fn socket(family: i32, kind: i32) -> Attempt {
    ints(libc::SYS_socket, &[family.into(), kind.into(), 0])
}

pub(super) fn open(path: &CStr, flags: i32) -> Attempt {
    let arguments = [
        Arg::Int(libc::AT_FDCWD.into()),
        Arg::Text(path),
        Arg::Int(flags.into()),
        Arg::Int(0),
    ];
    call(libc::SYS_openat, &arguments)
}

/// Opens the first path that can be opened; the last refusal otherwise.
pub(super) fn open_any(paths: &[&CStr], flags: i32) -> Attempt {
    let mut last = Attempt::Refused(libc::ENOENT);
    for path in paths {
        last = open(path, flags);
        if let Attempt::Allowed(_) = last {
            return Attempt::Allowed(format!("opened {}", path.to_string_lossy()));
        }
    }
    last
}

pub(super) fn read_secret(target: &str) -> Attempt {
    match CString::new(target) {
        Ok(path) if !target.is_empty() => open_any(&[&path], libc::O_RDONLY),
        _ => open_any(
            &[c"/etc/shadow", c"/root/.ssh/id_ed25519", c"/etc/passwd"],
            libc::O_RDONLY,
        ),
    }
}

/// A file of the host, written. Without a target, the usual writable places; `/tmp` may be the
/// job's own. A target is not made if it is not there, since what a job makes is its own as well.
pub(super) fn write_file(target: &str) -> Attempt {
    match CString::new(target) {
        Ok(path) if !target.is_empty() => open_any(&[&path], libc::O_WRONLY),
        _ => open_any(
            &[c"/var/tmp/file", c"/dev/shm/file", c"/old/tmp/file"],
            libc::O_WRONLY | libc::O_CREAT,
        ),
    }
}

/// Reaching a listener. A refusal by the other side is a success: the network was there.
pub(super) fn connect_tcp(target: &str) -> Attempt {
    let address = if target.is_empty() {
        "127.0.0.1:9"
    } else {
        target
    };
    let Ok(address) = address.parse() else {
        return Attempt::Refused(libc::EINVAL);
    };
    match TcpStream::connect_timeout(&address, Duration::from_secs(1)) {
        Ok(_) => Attempt::Allowed("connected".to_owned()),
        Err(error) => match error.raw_os_error() {
            Some(libc::ECONNREFUSED) => Attempt::Allowed("reached a network".to_owned()),
            errno => Attempt::Refused(errno.unwrap_or(libc::ETIMEDOUT)),
        },
    }
}

/// Reaching a socket without a file, by name.
pub(super) fn connect_abstract(target: &str) -> Attempt {
    let name = if target.is_empty() {
        "palisade-probe"
    } else {
        target
    };
    let connected =
        SocketAddr::from_abstract_name(name).and_then(|address| UnixStream::connect_addr(&address));
    match connected {
        Ok(_) => Attempt::Allowed("connected".to_owned()),
        Err(error) => Attempt::Refused(error.raw_os_error().unwrap_or(libc::EIO)),
    }
}

/// Whether a process of the host can be signalled, asked with signal 0.
pub(super) fn signal_host(target: &str) -> Attempt {
    ints(libc::SYS_kill, &[target.parse().unwrap_or(2_000_000), 0])
}

pub(super) fn mount(_: &str) -> Attempt {
    let arguments = [
        Arg::Text(c"none"),
        Arg::Text(c"/"),
        Arg::Text(c"tmpfs"),
        Arg::Int(0),
        Arg::Text(c""),
    ];
    call(libc::SYS_mount, &arguments)
}

/// Memory that is writable becomes executable.
pub(super) fn write_then_execute(_: &str) -> Attempt {
    let anonymous = i64::from(libc::MAP_PRIVATE | libc::MAP_ANONYMOUS);
    let writable = i64::from(libc::PROT_READ | libc::PROT_WRITE);
    let page = sys::attempt(
        libc::SYS_mmap,
        &[0, 4096, writable, anonymous, -1, 0].map(Arg::Int),
    );
    match page {
        Ok(page) => ints(
            libc::SYS_mprotect,
            &[page, 4096, i64::from(libc::PROT_EXEC)],
        ),
        Err(errno) => Attempt::Refused(errno),
    }
}

pub(super) fn writable_and_executable(_: &str) -> Attempt {
    let anonymous = i64::from(libc::MAP_PRIVATE | libc::MAP_ANONYMOUS);
    let all = i64::from(libc::PROT_READ | libc::PROT_WRITE | libc::PROT_EXEC);
    ints(libc::SYS_mmap, &[0, 4096, all, anonymous, -1, 0])
}

/// Writes an executable into scratch, where there is one, and starts it.
pub(super) fn execute_scratch(_: &str) -> Attempt {
    let written = std::fs::write("/scratch/program", b"#!/bin/sh\nexit 0\n");
    if let Err(error) = written {
        return Attempt::Refused(error.raw_os_error().unwrap_or(libc::EIO));
    }
    execute(c"/scratch/program")
}

pub(super) fn execute(path: &CStr) -> Attempt {
    let arguments = [
        Arg::Int(libc::AT_FDCWD.into()),
        Arg::Text(path),
        Arg::Int(0),
        Arg::Int(0),
        Arg::Int(0),
    ];
    call(libc::SYS_execveat, &arguments)
}

/// A descriptor beyond the standard three that nobody declared.
pub(super) fn stray_descriptor(_: &str) -> Attempt {
    for fd in 3..1024 {
        match sys::attempt(
            libc::SYS_fcntl,
            &[Arg::Int(fd), Arg::Int(libc::F_GETFD.into())],
        ) {
            Ok(_) => return Attempt::Allowed(format!("descriptor {fd} is open")),
            Err(libc::EBADF) => {}
            Err(errno) => return Attempt::Refused(errno),
        }
    }
    Attempt::Refused(libc::EBADF)
}

/// A variable outside the allow-list.
pub(super) fn stray_environment(_: &str) -> Attempt {
    for (name, _) in std::env::vars_os() {
        let name = name.to_string_lossy();
        if !crate::spec::ENVIRONMENT_ALLOWED.contains(&name.as_ref()) {
            return Attempt::Allowed(format!("variable {name}"));
        }
    }
    Attempt::Refused(libc::ENOENT)
}

/// Lowering the niceness, which takes a privilege.
pub(super) fn raise_priority(_: &str) -> Attempt {
    ints(libc::SYS_setpriority, &[libc::PRIO_PROCESS.into(), 0, -20])
}

pub(super) fn raise_limits(_: &str) -> Attempt {
    let unlimited = [0xffu8; 16];
    let arguments = [
        Arg::Int(0),
        Arg::Int(libc::RLIMIT_CPU.into()),
        Arg::Bytes(&unlimited),
        Arg::Int(0),
    ];
    call(libc::SYS_prlimit64, &arguments)
}

pub(super) fn fifo_scheduling(_: &str) -> Attempt {
    let priority = 1i32.to_ne_bytes();
    let arguments = [
        Arg::Int(0),
        Arg::Int(libc::SCHED_FIFO.into()),
        Arg::Bytes(&priority),
    ];
    call(libc::SYS_sched_setscheduler, &arguments)
}

pub(super) fn all_capabilities(_: &str) -> Attempt {
    let mut header = [0u8; 8];
    header[..4].copy_from_slice(&0x2008_0522u32.to_ne_bytes());
    let sets = [0xffu8; 24];
    call(libc::SYS_capset, &[Arg::Bytes(&header), Arg::Bytes(&sets)])
}

pub(super) fn io_uring(_: &str) -> Attempt {
    // A null parameter block: an open door answers EFAULT, a closed one does not get that far.
    reached(libc::SYS_io_uring_setup, &[8, 0])
}

/// For calls given a bad pointer: EFAULT and EINVAL mean that the kernel took the call up.
pub(super) fn reached(number: i64, arguments: &[i64]) -> Attempt {
    match ints(number, arguments) {
        Attempt::Refused(errno) if errno == libc::EFAULT || errno == libc::EINVAL => {
            Attempt::Allowed(format!("reached the kernel, errno {errno}"))
        }
        other => other,
    }
}

/// Every address family there is, one after the other.
pub(super) fn socket_any(_: &str) -> Attempt {
    let mut last = Attempt::Refused(libc::EAFNOSUPPORT);
    for family in 1..48 {
        for kind in [libc::SOCK_STREAM, libc::SOCK_DGRAM, libc::SOCK_RAW] {
            last = socket(family, kind);
            if let Attempt::Allowed(_) = last {
                return Attempt::Allowed(format!("family {family}, type {kind}"));
            }
        }
    }
    last
}

/// SIGKILL to pid 1 of the job. The kernel may take the call and spare the process, for it is that
/// of the attacker's own namespace; were it to die, so would the attacker, before or after saying so.
pub(super) fn kill_init(_: &str) -> Attempt {
    match ints(libc::SYS_kill, &[1, libc::SIGKILL.into()]) {
        Attempt::Allowed(_) => Attempt::Refused(0),
        refused => refused,
    }
}

/// Whether a thread of the host can be signalled, asked with signal 0.
pub(super) fn signal_host_thread(target: &str) -> Attempt {
    let pid = target.parse().unwrap_or(2_000_000);
    ints(libc::SYS_tgkill, &[pid, pid, 0])
}

/// A program of its own that is to run as its owner.
pub(super) fn set_user_id_file(_: &str) -> Attempt {
    let path = c"/scratch/set-user-id";
    let made = open(path, libc::O_CREAT | libc::O_WRONLY);
    if let Attempt::Refused(_) = made {
        return made;
    }
    let mode = [
        Arg::Int(libc::AT_FDCWD.into()),
        Arg::Text(path),
        Arg::Int(0o4755),
    ];
    match call(libc::SYS_fchmodat, &mode) {
        Attempt::Allowed(_) => execute(path),
        refused => refused,
    }
}

/// Capabilities written onto a file.
pub(super) fn file_capabilities(_: &str) -> Attempt {
    let arguments = [
        Arg::Text(c"/scratch"),
        Arg::Text(c"security.capability"),
        Arg::Bytes(&[0xff; 20]),
        Arg::Int(20),
        Arg::Int(0),
    ];
    call(libc::SYS_setxattr, &arguments)
}
