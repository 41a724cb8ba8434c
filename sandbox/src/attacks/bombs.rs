//! Attacks that are a whole job: they consume until something stops them.

use std::io::{Read, Write};
use std::thread;
use std::time::Duration;

use super::{Attack, Attempt, Kind};
use crate::sys;

const fn bomb(
    name: &'static str,
    about: &'static str,
    runner: &'static [&'static str],
    native: &'static [&'static str],
    act: fn(&str) -> Attempt,
) -> Attack {
    Attack {
        name,
        about,
        kind: Kind::Bomb { runner, native },
        act,
    }
}

/// Forks until the kernel says no. Under the runner the first fork is the last.
fn fork_bomb(_: &str) -> Attempt {
    loop {
        match sys::fork_idle() {
            Ok(_) => {}
            Err(errno) => return Attempt::Refused(errno),
        }
    }
}

/// Touches memory without end. A failed allocation, where there is no group to kill the job,
/// aborts it.
fn memory_bomb(_: &str) -> Attempt {
    let mut hoard: Vec<Vec<u8>> = Vec::new();
    loop {
        let mut piece = Vec::new();
        if piece.try_reserve_exact(1 << 20).is_err() {
            return Attempt::Refused(libc::ENOMEM);
        }
        piece.resize(1 << 20, 1u8);
        hoard.push(piece);
        std::hint::black_box(&hoard);
    }
}

fn thread_bomb(_: &str) -> Attempt {
    let mut started = 0u32;
    loop {
        let thread = thread::Builder::new().stack_size(64 << 10).spawn(|| {
            loop {
                thread::park();
            }
        });
        match thread {
            Ok(_) => started += 1,
            Err(error) => return Attempt::Refused(error.raw_os_error().unwrap_or(libc::EAGAIN)),
        }
        if started > 10_000 {
            return Attempt::Allowed("10000 threads".to_owned());
        }
    }
}

fn spin(_: &str) -> Attempt {
    let mut turns = 0u64;
    loop {
        turns = std::hint::black_box(turns.wrapping_add(1));
    }
}

/// Whatever a limit sends to warn, it is not heard.
fn ignore_signals(_: &str) -> Attempt {
    sys::ignore_signals();
    spin("")
}

/// Ends nothing but its own outputs: whoever waits for their end must not take it for the job's.
fn close_outputs(_: &str) -> Attempt {
    for stream in [libc::STDOUT_FILENO, libc::STDERR_FILENO] {
        sys::attempt(libc::SYS_close, &[sys::Arg::Int(stream.into())]).ok();
    }
    sleep("")
}

/// SIGKILL to its own process group, which must be nobody else's.
fn kill_group(_: &str) -> Attempt {
    let group = [sys::Arg::Int(0), sys::Arg::Int(libc::SIGKILL.into())];
    Attempt::from_call(sys::attempt(libc::SYS_kill, &group))
}

/// A file of a terabyte that holds nothing.
fn sparse_file(_: &str) -> Attempt {
    let made = std::fs::File::create("/scratch/sparse").and_then(|file| file.set_len(1 << 40));
    match made {
        Ok(()) => Attempt::Allowed("a terabyte".to_owned()),
        Err(error) => Attempt::Refused(error.raw_os_error().unwrap_or(libc::EFBIG)),
    }
}

fn sleep(_: &str) -> Attempt {
    loop {
        thread::sleep(Duration::from_secs(3600));
    }
}

fn stop_itself(_: &str) -> Attempt {
    Attempt::from_call(sys::attempt(
        libc::SYS_kill,
        &[
            sys::Arg::Int(std::process::id().into()),
            sys::Arg::Int(libc::SIGSTOP.into()),
        ],
    ));
    sleep("")
}

fn output_flood(_: &str) -> Attempt {
    let chunk = vec![b'x'; 64 << 10];
    let mut out = std::io::stdout().lock();
    loop {
        if let Err(error) = out.write_all(&chunk) {
            return Attempt::Refused(error.raw_os_error().unwrap_or(libc::EPIPE));
        }
    }
}

/// Recursion the optimiser cannot turn into a loop.
fn deep(level: u64) -> u64 {
    let frame = std::hint::black_box([level; 512]);
    if level == u64::MAX {
        return 0;
    }
    deep(level + 1).wrapping_add(frame.iter().sum())
}

fn stack_overflow(_: &str) -> Attempt {
    Attempt::Allowed(format!("returned {}", deep(0)))
}

fn abort(_: &str) -> Attempt {
    std::process::abort()
}

/// A grandchild in its own session that keeps standard output open for ever.
fn daemon(_: &str) -> Attempt {
    let forked = sys::in_forked_child(|| {
        sys::attempt(libc::SYS_setsid, &[]).ok();
        match sys::fork_idle() {
            Ok(_) => 0,
            Err(_) => 1,
        }
    });
    match forked {
        Ok(0) => Attempt::Refused(0),
        Ok(status) => Attempt::Allowed(format!("child ended with {status}")),
        Err(errno) => Attempt::Refused(errno),
    }
}

/// SIGKILL to every process in sight but this one: there is none, for pid 1 does not count.
fn kill_everybody(_: &str) -> Attempt {
    let everybody = [sys::Arg::Int(-1), sys::Arg::Int(libc::SIGKILL.into())];
    Attempt::from_call(sys::attempt(libc::SYS_kill, &everybody))
}

/// Burns 300 ms where `rusage` of the job does not see it.
fn hide_cpu(pattern: &str) -> Attempt {
    let burn = || {
        busy(Duration::from_millis(300));
        0
    };
    let Ok((mut all_gone, burning)) = std::io::pipe() else {
        return Attempt::Refused(libc::EMFILE);
    };
    let started = match pattern {
        "session" => sys::in_fork(|| {
            sys::attempt(libc::SYS_setsid, &[]).ok();
            burn()
        }),
        "double_fork" => sys::in_fork(|| u8::from(sys::in_fork(burn).is_err())),
        "killed_parent" => sys::in_fork(|| match sys::in_fork(burn) {
            Ok(_) => std::process::abort(),
            Err(_) => 1,
        }),
        "two_children" => sys::in_fork(burn).and_then(|_| sys::in_fork(burn)),
        _ => sys::in_fork(burn),
    };
    // Nobody is waited for, which would make them visible: end of file says that every holder of
    // the other end is gone.
    drop(burning);
    all_gone.read_to_end(&mut Vec::new()).ok();
    match started {
        Ok(_) => Attempt::Refused(0),
        Err(errno) => Attempt::Refused(errno),
    }
}

/// Spends CPU time, not wall time: the machine may be shared.
fn busy(wanted: Duration) {
    let mut turns = 0u64;
    while sys::own_cpu() < wanted {
        for _ in 0..10_000 {
            turns = std::hint::black_box(turns.wrapping_add(1));
        }
    }
}

/// Fills scratch with one file.
fn fill_scratch(_: &str) -> Attempt {
    let chunk = vec![1u8; 1 << 20];
    let opened = std::fs::File::create("/scratch/full");
    let Ok(mut file) = opened else {
        return Attempt::Refused(libc::ENOENT);
    };
    loop {
        if let Err(error) = file.write_all(&chunk) {
            return Attempt::Refused(error.raw_os_error().unwrap_or(libc::ENOSPC));
        }
    }
}

/// Fills scratch with empty files.
fn fill_inodes(_: &str) -> Attempt {
    for number in 0..100_000u32 {
        if let Err(error) = std::fs::File::create(format!("/scratch/{number}")) {
            return Attempt::Refused(error.raw_os_error().unwrap_or(libc::ENOSPC));
        }
    }
    Attempt::Allowed("100000 files".to_owned())
}

/// The rows.
pub(super) const TABLE: &[Attack] = &[
    bomb(
        "fork_bomb",
        "processes without end",
        &["seccomp_violation"],
        &["pids_limit", "refused"],
        fork_bomb,
    ),
    bomb(
        "memory_bomb",
        "memory without end",
        &["memory_limit", "refused"],
        &["memory_limit", "refused"],
        memory_bomb,
    ),
    bomb(
        "thread_bomb",
        "threads without end",
        &["pids_limit", "refused"],
        &["pids_limit", "refused"],
        thread_bomb,
    ),
    bomb(
        "spin",
        "CPU without end",
        &["cpu_timeout"],
        &["cpu_timeout"],
        spin,
    ),
    bomb(
        "ignore_signals",
        "CPU without end, deaf to signals",
        &["cpu_timeout"],
        &["cpu_timeout"],
        ignore_signals,
    ),
    bomb(
        "close_outputs",
        "outputs closed early, then time without end",
        &["wall_timeout"],
        &["wall_timeout"],
        close_outputs,
    ),
    bomb(
        "kill_group",
        "SIGKILL to its process group",
        &["seccomp_violation"],
        &["signaled"],
        kill_group,
    ),
    bomb(
        "sparse_file",
        "a file of a terabyte",
        &["refused"],
        &["file_size_limit"],
        sparse_file,
    ),
    bomb(
        "sleep",
        "time without end",
        &["wall_timeout"],
        &["wall_timeout"],
        sleep,
    ),
    bomb(
        "stop_itself",
        "SIGSTOP to itself, then sleep",
        &["seccomp_violation"],
        &["wall_timeout"],
        stop_itself,
    ),
    bomb(
        "output_flood",
        "output without end",
        &["output_limit"],
        &["output_limit"],
        output_flood,
    ),
    bomb(
        "kill_everybody",
        "SIGKILL to every process in sight",
        &["seccomp_violation"],
        &["refused"],
        kill_everybody,
    ),
    bomb(
        "stack_overflow",
        "stack without end",
        &["signaled"],
        &["signaled"],
        stack_overflow,
    ),
    bomb(
        "abort",
        "a crash that would dump core",
        &["signaled"],
        &["signaled"],
        abort,
    ),
    bomb(
        "daemon",
        "a process that outlives it",
        &["seccomp_violation"],
        &["refused"],
        daemon,
    ),
    bomb(
        "hide_cpu",
        "CPU burnt out of sight",
        &["seccomp_violation"],
        &["refused"],
        hide_cpu,
    ),
    bomb(
        "fill_scratch",
        "disk without end",
        &["refused"],
        &["refused", "file_size_limit"],
        fill_scratch,
    ),
    bomb(
        "fill_inodes",
        "files without end",
        &["refused"],
        &["refused"],
        fill_inodes,
    ),
];
