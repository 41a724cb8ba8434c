//! Single forbidden acts, nearly all of them one system call.

use std::ffi::{CStr, CString};
use std::net::TcpStream;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixStream};
use std::time::Duration;

use super::{Attack, Attempt, Kind};
use crate::sys::{self, Arg};

const fn row(name: &'static str, about: &'static str, act: fn(&str) -> Attempt) -> Attack {
    Attack {
        name,
        about,
        kind: Kind::Attempt,
        act,
    }
}

fn call(number: i64, arguments: &[Arg<'_>]) -> Attempt {
    Attempt::from_call(sys::attempt(number, arguments))
}

fn ints(number: i64, arguments: &[i64]) -> Attempt {
    let arguments: Vec<Arg<'_>> = arguments.iter().map(|value| Arg::Int(*value)).collect();
    call(number, &arguments)
}

fn socket(family: i32, kind: i32) -> Attempt {
    ints(libc::SYS_socket, &[family.into(), kind.into(), 0])
}

fn open(path: &CStr, flags: i32) -> Attempt {
    let arguments = [
        Arg::Int(libc::AT_FDCWD.into()),
        Arg::Text(path),
        Arg::Int(flags.into()),
        Arg::Int(0),
    ];
    call(libc::SYS_openat, &arguments)
}

/// Opens the first path that can be opened; the last refusal otherwise.
fn open_any(paths: &[&CStr], flags: i32) -> Attempt {
    let mut last = Attempt::Refused(libc::ENOENT);
    for path in paths {
        last = open(path, flags);
        if let Attempt::Allowed(_) = last {
            return Attempt::Allowed(format!("opened {}", path.to_string_lossy()));
        }
    }
    last
}

fn read_secret(target: &str) -> Attempt {
    match CString::new(target) {
        Ok(path) if !target.is_empty() => open_any(&[&path], libc::O_RDONLY),
        _ => open_any(
            &[c"/etc/shadow", c"/root/.ssh/id_ed25519", c"/etc/passwd"],
            libc::O_RDONLY,
        ),
    }
}

/// A file of the host, written. Without a target, the usual writable places.
fn write_file(target: &str) -> Attempt {
    let flags = libc::O_WRONLY | libc::O_CREAT;
    match CString::new(target) {
        Ok(path) if !target.is_empty() => open_any(&[&path], flags),
        _ => open_any(&[c"/tmp/file", c"/dev/shm/file"], flags),
    }
}

/// Reaching a listener. A refusal by the other side is a success: the network was there.
fn connect_tcp(target: &str) -> Attempt {
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
fn connect_abstract(target: &str) -> Attempt {
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
fn signal_host(target: &str) -> Attempt {
    ints(libc::SYS_kill, &[target.parse().unwrap_or(2_000_000), 0])
}

fn mount(_: &str) -> Attempt {
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
fn write_then_execute(_: &str) -> Attempt {
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

fn writable_and_executable(_: &str) -> Attempt {
    let anonymous = i64::from(libc::MAP_PRIVATE | libc::MAP_ANONYMOUS);
    let all = i64::from(libc::PROT_READ | libc::PROT_WRITE | libc::PROT_EXEC);
    ints(libc::SYS_mmap, &[0, 4096, all, anonymous, -1, 0])
}

/// Writes an executable into scratch, where there is one, and starts it.
fn execute_scratch(_: &str) -> Attempt {
    let written = std::fs::write("/scratch/program", b"#!/bin/sh\nexit 0\n");
    if let Err(error) = written {
        return Attempt::Refused(error.raw_os_error().unwrap_or(libc::EIO));
    }
    execute(c"/scratch/program")
}

fn execute(path: &CStr) -> Attempt {
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
fn stray_descriptor(_: &str) -> Attempt {
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
fn stray_environment(_: &str) -> Attempt {
    for (name, _) in std::env::vars_os() {
        let name = name.to_string_lossy();
        if !crate::spec::ENVIRONMENT_ALLOWED.contains(&name.as_ref()) {
            return Attempt::Allowed(format!("variable {name}"));
        }
    }
    Attempt::Refused(libc::ENOENT)
}

/// Lowering the niceness, which takes a privilege.
fn raise_priority(_: &str) -> Attempt {
    ints(libc::SYS_setpriority, &[libc::PRIO_PROCESS.into(), 0, -20])
}

fn raise_limits(_: &str) -> Attempt {
    let unlimited = [0xffu8; 16];
    let arguments = [
        Arg::Int(0),
        Arg::Int(libc::RLIMIT_CPU.into()),
        Arg::Bytes(&unlimited),
        Arg::Int(0),
    ];
    call(libc::SYS_prlimit64, &arguments)
}

fn fifo_scheduling(_: &str) -> Attempt {
    let priority = 1i32.to_ne_bytes();
    let arguments = [
        Arg::Int(0),
        Arg::Int(libc::SCHED_FIFO.into()),
        Arg::Bytes(&priority),
    ];
    call(libc::SYS_sched_setscheduler, &arguments)
}

fn all_capabilities(_: &str) -> Attempt {
    let mut header = [0u8; 8];
    header[..4].copy_from_slice(&0x2008_0522u32.to_ne_bytes());
    let sets = [0xffu8; 24];
    call(libc::SYS_capset, &[Arg::Bytes(&header), Arg::Bytes(&sets)])
}

fn io_uring(_: &str) -> Attempt {
    // A null parameter block: an open door answers EFAULT, a closed one does not get that far.
    reached(libc::SYS_io_uring_setup, &[8, 0])
}

/// For calls given a bad pointer: EFAULT and EINVAL mean that the kernel took the call up.
fn reached(number: i64, arguments: &[i64]) -> Attempt {
    match ints(number, arguments) {
        Attempt::Refused(errno) if errno == libc::EFAULT || errno == libc::EINVAL => {
            Attempt::Allowed(format!("reached the kernel, errno {errno}"))
        }
        other => other,
    }
}

const NEWUSER: i64 = libc::CLONE_NEWUSER as i64;

/// The rows.
pub(super) const TABLE: &[Attack] = &[
    row("open_socket", "a TCP socket", |_| {
        socket(libc::AF_INET, libc::SOCK_STREAM)
    }),
    row("open_socket_v6", "a TCP socket over IPv6", |_| {
        socket(libc::AF_INET6, libc::SOCK_STREAM)
    }),
    row("open_socket_udp", "a UDP socket", |_| {
        socket(libc::AF_INET, libc::SOCK_DGRAM)
    }),
    row("open_socket_unix", "a Unix socket", |_| {
        socket(libc::AF_UNIX, libc::SOCK_STREAM)
    }),
    row("open_socket_netlink", "a netlink socket", |_| {
        socket(libc::AF_NETLINK, libc::SOCK_RAW)
    }),
    row("open_socket_packet", "a packet socket", |_| {
        socket(libc::AF_PACKET, libc::SOCK_RAW)
    }),
    row("open_socket_raw", "a raw IP socket", |_| {
        socket(libc::AF_INET, libc::SOCK_RAW)
    }),
    row("open_socket_vsock", "a socket to the hypervisor", |_| {
        socket(libc::AF_VSOCK, libc::SOCK_STREAM)
    }),
    row("open_socket_alg", "a kernel crypto socket", |_| {
        socket(libc::AF_ALG, libc::SOCK_SEQPACKET)
    }),
    row("open_socketpair", "a pair of sockets", |_| {
        ints(
            libc::SYS_socketpair,
            &[libc::AF_UNIX.into(), libc::SOCK_STREAM.into(), 0, 0],
        )
    }),
    row("connect_tcp", "a listener of the host", connect_tcp),
    row(
        "connect_abstract",
        "an abstract socket of the host",
        connect_abstract,
    ),
    row("io_uring", "an io_uring, a way around filters", io_uring),
    row("read_secret", "a secret file of the host", read_secret),
    row("read_proc", "another process's environment", |_| {
        open_any(&[c"/proc/1/environ", c"/proc/self/environ"], libc::O_RDONLY)
    }),
    row("read_sys", "hardware facts", |_| {
        open(c"/sys/class/net", libc::O_RDONLY)
    }),
    row("read_dev_mem", "physical memory", |_| {
        open_any(&[c"/dev/mem", c"/dev/kmem", c"/proc/kcore"], libc::O_RDONLY)
    }),
    row("write_core_pattern", "the host's core dump handler", |_| {
        open(c"/proc/sys/kernel/core_pattern", libc::O_WRONLY)
    }),
    row("write_own_memory", "its own memory through /proc", |_| {
        open(c"/proc/self/mem", libc::O_RDWR)
    }),
    row("write_root", "a file in the root", |_| {
        open(c"/file", libc::O_WRONLY | libc::O_CREAT)
    }),
    row("write_file", "a file of the host, written", write_file),
    row("open_by_handle", "a file by its handle", |_| {
        reached(libc::SYS_open_by_handle_at, &[libc::AT_FDCWD.into(), 0, 0])
    }),
    row(
        "stray_descriptor",
        "a descriptor nobody declared",
        stray_descriptor,
    ),
    row(
        "stray_environment",
        "a variable nobody allowed",
        stray_environment,
    ),
    row("ptrace", "tracing itself", |_| {
        ints(libc::SYS_ptrace, &[0, 0, 0, 0])
    }),
    row("process_vm_readv", "another process's memory", |_| {
        reached(libc::SYS_process_vm_readv, &[1, 0, 0, 0, 0, 0])
    }),
    row("pidfd_open_getfd", "another process's descriptors", |_| {
        ints(libc::SYS_pidfd_getfd, &[0, 0, 0])
    }),
    row(
        "signal_host",
        "a signal to a process of the host",
        signal_host,
    ),
    row("mount", "mounting", mount),
    row("mount_new", "mounting by the newer calls", |_| {
        ints(libc::SYS_fsopen, &[0, 0])
    }),
    row("umount", "unmounting the root", |_| {
        call(
            libc::SYS_umount2,
            &[Arg::Text(c"/"), Arg::Int(libc::MNT_DETACH.into())],
        )
    }),
    row("pivot_root", "another root", |_| {
        call(libc::SYS_pivot_root, &[Arg::Text(c"."), Arg::Text(c".")])
    }),
    row("chroot", "another root, the old way", |_| {
        call(libc::SYS_chroot, &[Arg::Text(c"/")])
    }),
    row("mknod", "a device node", |_| {
        let mode = i64::from(libc::S_IFCHR | 0o600);
        let arguments = [
            Arg::Int(libc::AT_FDCWD.into()),
            Arg::Text(c"/null"),
            Arg::Int(mode),
            Arg::Int(0x103),
        ];
        call(libc::SYS_mknodat, &arguments)
    }),
    row("unshare", "namespaces of its own", |_| {
        ints(libc::SYS_unshare, &[NEWUSER])
    }),
    row("setns", "another's namespaces", |_| {
        ints(libc::SYS_setns, &[0, 0])
    }),
    row("clone_newuser", "a user namespace by clone", |_| {
        ints(
            libc::SYS_clone,
            &[NEWUSER | i64::from(libc::SIGCHLD), 0, 0, 0, 0],
        )
    }),
    row("clone3", "the clone whose flags no filter sees", |_| {
        reached(libc::SYS_clone3, &[0, 0])
    }),
    row("x32", "the x32 numbers, which deny-lists miss", |_| {
        ints(0x4000_0000 + libc::SYS_getpid, &[])
    }),
    row("int80", "the 32-bit entry", |_| {
        Attempt::from_call(sys::attempt_int80(20))
    }),
    row("add_key", "the kernel's key rings", |_| {
        let arguments = [
            Arg::Text(c"user"),
            Arg::Text(c"probe"),
            Arg::Bytes(b"x"),
            Arg::Int(1),
            Arg::Int(-2),
        ];
        call(libc::SYS_add_key, &arguments)
    }),
    row("keyctl", "its key ring's id", |_| {
        ints(libc::SYS_keyctl, &[0, -3, 1])
    }),
    row("bpf", "a BPF map", |_| reached(libc::SYS_bpf, &[0, 0, 0])),
    row("perf_event", "performance counters", |_| {
        reached(libc::SYS_perf_event_open, &[0, 0, -1, -1, 0])
    }),
    row("userfaultfd", "handling its own page faults", |_| {
        ints(libc::SYS_userfaultfd, &[1])
    }),
    row("kexec", "another kernel", |_| {
        reached(libc::SYS_kexec_load, &[0, 0, 0, 0])
    }),
    row("load_module", "a kernel module", |_| {
        reached(libc::SYS_init_module, &[0, 0, 0])
    }),
    row(
        "reboot",
        "a reboot, with a magic number that is wrong",
        |_| reached(libc::SYS_reboot, &[0, 0, 0, 0]),
    ),
    row("syslog", "the kernel log", |_| {
        ints(libc::SYS_syslog, &[10, 0, 0])
    }),
    row("quotactl", "quotas", |_| {
        reached(libc::SYS_quotactl, &[0, 0, 0, 0])
    }),
    row("swapon", "swap space", |_| {
        call(libc::SYS_swapon, &[Arg::Text(c"/x"), Arg::Int(0)])
    }),
    row("iopl", "hardware ports", |_| ints(libc::SYS_iopl, &[3])),
    row("ldt", "a segment table", |_| {
        ints(libc::SYS_modify_ldt, &[0, 0, 0])
    }),
    row("set_clock", "the clock", |_| {
        call(
            libc::SYS_clock_settime,
            &[Arg::Int(0), Arg::Bytes(&[0u8; 16])],
        )
    }),
    row("adjust_clock", "the clock's rate", |_| {
        reached(libc::SYS_adjtimex, &[0])
    }),
    row("set_hostname", "the host's name", |_| {
        call(libc::SYS_sethostname, &[Arg::Text(c"x"), Arg::Int(1)])
    }),
    row("personality", "no address randomisation", |_| {
        ints(libc::SYS_personality, &[0x0004_0000])
    }),
    row("fifo_scheduling", "a real-time priority", fifo_scheduling),
    row("raise_priority", "a better niceness", raise_priority),
    row("raise_limits", "higher limits", raise_limits),
    row("lock_memory", "all memory locked", |_| {
        ints(libc::SYS_mlockall, &[3])
    }),
    row("tty_inject", "input pushed into a terminal", |_| {
        call(
            libc::SYS_ioctl,
            &[Arg::Int(0), Arg::Int(0x5412), Arg::Bytes(b"x")],
        )
    }),
    row("tty_linux", "the console's selection", |_| {
        call(
            libc::SYS_ioctl,
            &[Arg::Int(0), Arg::Int(0x541c), Arg::Bytes(&[2u8; 16])],
        )
    }),
    row("tty_control", "a controlling terminal", |_| {
        ints(libc::SYS_ioctl, &[0, 0x540e, 1])
    }),
    row("setuid_root", "user id 0", |_| ints(libc::SYS_setuid, &[0])),
    row("setgroups", "groups", |_| {
        ints(libc::SYS_setgroups, &[0, 0])
    }),
    row("capset", "all capabilities", all_capabilities),
    row("memory_file", "a file in memory to execute", |_| {
        call(libc::SYS_memfd_create, &[Arg::Text(c"x"), Arg::Int(0)])
    }),
    row("memory_secret", "memory hidden from the kernel", |_| {
        ints(libc::SYS_memfd_secret, &[0])
    }),
    row(
        "writable_executable",
        "memory both writable and executable",
        writable_and_executable,
    ),
    row(
        "write_then_execute",
        "written memory made executable",
        write_then_execute,
    ),
    row(
        "execute_scratch",
        "a program from its own scratch directory",
        execute_scratch,
    ),
    row("second_exec", "another program", |_| execute(c"/bin/sh")),
    row(
        "dump_core",
        "being dumpable again after a limit of zero",
        |_| {
            let unlimited = [0xffu8; 16];
            call(
                libc::SYS_setrlimit,
                &[Arg::Int(libc::RLIMIT_CORE.into()), Arg::Bytes(&unlimited)],
            )
        },
    ),
    row("shared_memory", "System V shared memory", |_| {
        ints(
            libc::SYS_shmget,
            &[0x5041, 4096, i64::from(libc::IPC_CREAT | 0o600)],
        )
    }),
    row("message_queue", "a System V queue", |_| {
        ints(
            libc::SYS_msgget,
            &[0x5041, i64::from(libc::IPC_CREAT | 0o600)],
        )
    }),
    row("posix_queue", "a POSIX queue", |_| {
        let flags = i64::from(libc::O_CREAT | libc::O_RDWR);
        call(
            libc::SYS_mq_open,
            &[
                Arg::Text(c"x"),
                Arg::Int(flags),
                Arg::Int(0o600),
                Arg::Int(0),
            ],
        )
    }),
    row("name_self", "a process attribute", |_| {
        call(
            libc::SYS_prctl,
            &[Arg::Int(libc::PR_SET_NAME.into()), Arg::Text(c"x")],
        )
    }),
    row("new_filter", "a filter of its own", |_| {
        reached(libc::SYS_seccomp, &[1, 0, 0])
    }),
];
