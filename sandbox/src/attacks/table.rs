//! The rows of the single forbidden acts.

use super::calls::{
    all_capabilities, call, connect_abstract, connect_tcp, execute, execute_scratch,
    fifo_scheduling, file_capabilities, ints, io_uring, kill_init, mount, open, open_any,
    raise_limits, raise_priority, reached, read_secret, set_user_id_file, signal_host,
    signal_host_thread, socket, socket_any, stray_descriptor, stray_environment,
    writable_and_executable, write_file, write_then_execute,
};
use super::{Attack, Attempt, Kind};
use crate::sys::{self, Arg};

const NEWUSER: i64 = libc::CLONE_NEWUSER as i64;

const fn row(name: &'static str, about: &'static str, act: fn(&str) -> Attempt) -> Attack {
    Attack {
        name,
        about,
        kind: Kind::Attempt,
        act,
    }
}

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
    row("read_old_root", "the root it was started from", |_| {
        open_any(&[c"/old/etc/passwd", c"../../etc/passwd"], libc::O_RDONLY)
    }),
    row("be_traced", "being traced by anybody", |_| {
        ints(libc::SYS_prctl, &[libc::PR_SET_PTRACER.into(), -1])
    }),
    row("new_filter", "a filter of its own", |_| {
        reached(libc::SYS_seccomp, &[1, 0, 0])
    }),
    row("open_socket_any", "a socket of any family", socket_any),
    row("kill_init", "SIGKILL to its own pid 1", kill_init),
    row(
        "signal_host_thread",
        "a signal to a thread of the host",
        signal_host_thread,
    ),
    row(
        "set_user_id_file",
        "a program that runs as its owner",
        set_user_id_file,
    ),
    row(
        "file_capabilities",
        "capabilities on a file",
        file_capabilities,
    ),
    row("semaphores", "System V semaphores", |_| {
        ints(
            libc::SYS_semget,
            &[0x5041, 1, i64::from(libc::IPC_CREAT | 0o600)],
        )
    }),
];
