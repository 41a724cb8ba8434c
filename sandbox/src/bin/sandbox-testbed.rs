//! The job that the sandbox's own tests run, and the launcher that runs it. Not shipped: no crate
//! depends on this binary.
#![forbid(unsafe_code)]

use std::fs::File;
use std::io::{self, Read};
use std::process::exit;
use std::thread;

use nix::sys::resource::{Resource, getrlimit, setrlimit};

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    match arguments.get(1).map(String::as_str) {
        Some(sandbox::LAUNCHER_MODE) => {
            rig(arguments.first().map_or("", String::as_str));
            sandbox::launcher_main()
        }
        Some(sandbox::PROBE_MODE) => sandbox::probe_main(),
        _ => {}
    }
    let words: Vec<&str> = arguments.iter().skip(1).map(String::as_str).collect();
    exit(job(&words));
}

fn job(words: &[&str]) -> i32 {
    match words {
        ["exit", code] => code.parse().unwrap_or(99),
        ["echo"] => done(io::copy(&mut io::stdin(), &mut io::stdout())),
        ["say", stdout, stderr] => {
            print!("{stdout}");
            eprint!("{stderr}");
            0
        }
        ["inputs"] => inputs(),
        ["identity"] => identity(),
        ["seal"] => i32::from(sandbox::seal().is_err()),
        ["seal", "then", attack] => sealed(attack),
        ["threads", count] => threads(count.parse().unwrap_or(1)),
        ["wait"] => wait(),
        ["tier", work_dir, allowed] => tier(work_dir, allowed),
        ["run-late", work_dir, profile] => run_late(work_dir, profile),
        ["run-forever", work_dir] => run_forever(work_dir, true),
        ["start-forever", work_dir] => run_forever(work_dir, false),
        ["churn", work_dir, sequential, concurrent] => {
            let number = |word: &str| word.parse().unwrap_or(0);
            churn(work_dir, number(sequential), number(concurrent))
        }
        ["read-one-byte"] => done(io::stdin().read_exact(&mut [0u8; 1])),
        ["write-scratch", name, bytes] => write_scratch(name, bytes.parse().unwrap_or(0)),
        ["tricks"] => done(tricks()),
        ["attempts"] => attempts(),
        ["attack", name, target] => match sandbox::attacks::as_runner(name, target) {
            Some(attempt) => {
                println!("{attempt}");
                0
            }
            None => 98,
        },
        _ => 97,
    }
}

/// Names of the single forbidden acts, for trying them under other sandboxes (compare.sh).
fn attempts() -> i32 {
    let all = sandbox::attacks::Attack::all();
    for attack in all.filter(|attack| attack.kind == sandbox::attacks::Kind::Attempt) {
        println!("{}", attack.name);
    }
    0
}

/// Under another name, with a filter beside it, the launcher lives under that filter.
fn rig(own_name: &str) {
    let Ok(json) = std::fs::read(std::path::Path::new(own_name).with_extension("json")) else {
        return;
    };
    let arch = seccompiler::TargetArch::x86_64;
    let Ok(filters) = seccompiler::compile_from_json(json.as_slice(), arch) else {
        exit(94);
    };
    for filter in filters.values() {
        if seccompiler::apply_filter(filter).is_err() {
            exit(93);
        }
    }
}

fn done<T>(result: io::Result<T>) -> i32 {
    match result {
        Ok(_) => 0,
        Err(error) => error.raw_os_error().unwrap_or(96),
    }
}

/// Prints every input's length and first byte, then reads it again from the start.
fn inputs() -> i32 {
    for fd in sandbox::inherited() {
        let mut bytes = Vec::new();
        if let Err(error) = File::from(fd).read_to_end(&mut bytes) {
            println!("error {error}");
            return 1;
        }
        println!("{} {:?}", bytes.len(), bytes.first());
    }
    println!("second call {}", sandbox::inherited().len());
    0
}

/// What the job can learn about itself.
fn identity() -> i32 {
    println!("pid {}", std::process::id());
    println!("environment {}", std::env::vars_os().count());
    println!("arguments {}", std::env::args().count());
    println!("root {:?}", std::fs::read_dir("/").map(Iterator::count));
    0
}

fn sealed(attack: &str) -> i32 {
    if sandbox::seal().is_err() {
        return 95;
    }
    match sandbox::attacks::as_runner(attack, "") {
        Some(attempt) => {
            println!("{attempt}");
            0
        }
        None => 98,
    }
}

fn threads(count: usize) -> i32 {
    let all: Vec<_> = (0..count).map(|n| thread::spawn(move || n)).collect();
    let sum: usize = all
        .into_iter()
        .filter_map(|thread| thread.join().ok())
        .sum();
    println!("sum {sum}");
    0
}

/// A process to be signalled: says it is there and waits for its input to end.
fn wait() -> i32 {
    println!("ready");
    done(io::copy(&mut io::stdin(), &mut io::sink()))
}

/// The sandbox of this host, with this binary as launcher.
fn open(work_dir: &str) -> Result<sandbox::Sandbox, sandbox::Closed> {
    let mut config = sandbox::SandboxConfig::new(work_dir);
    config.allow_degraded = vec![sandbox::Degradation::Cgroup];
    sandbox::Sandbox::open(config).map(|(sandbox, _)| sandbox)
}

/// Opens the sandbox with one degradation allowed, and says what it then runs.
fn tier(work_dir: &str, allowed: &str) -> i32 {
    let mut config = sandbox::SandboxConfig::new(work_dir);
    config.allow_degraded = sandbox::Degradation::from_allow_name(allowed)
        .into_iter()
        .collect();
    let sandbox = match sandbox::Sandbox::open(config) {
        Ok((sandbox, _)) => sandbox,
        Err(closed) => {
            println!("{closed}");
            return 1;
        }
    };
    println!("tier {}", sandbox.tier());
    let Ok(mut slot) = sandbox.slot(1).map(sandbox::Slot::spawn) else {
        return 2;
    };
    let Ok(slot) = slot.as_mut() else { return 3 };
    for profile in [sandbox::Profile::Runner, sandbox::Profile::Native] {
        let (Ok(program), Ok(cancel)) = (sandbox::Program::current(), sandbox::Cancel::new())
        else {
            return 4;
        };
        let spec = sandbox::Spec::new(program, profile, &["job", "exit", "4"]);
        match slot.run(spec, &cancel) {
            Ok(report) => println!("{} {}", profile.name(), report.outcome),
            Err(_) => println!("{} refused", profile.name()),
        }
    }
    0
}

/// A node in small: runs a job that never ends, or short ones without end, until somebody kills it.
fn run_forever(work_dir: &str, one: bool) -> i32 {
    let Ok(config) = open(work_dir).and_then(|sandbox| sandbox.slot(if one { 7 } else { 8 }))
    else {
        return 90;
    };
    let Ok(mut slot) = sandbox::Slot::spawn(config) else {
        return 91;
    };
    let (Ok(program), Ok(cancel)) = (sandbox::Program::current(), sandbox::Cancel::new()) else {
        return 92;
    };
    let words = ["job", sandbox::PROBE_MODE, "one", "sleep", ""];
    let spec = sandbox::Spec::new(program, sandbox::Profile::Native, &words);
    println!("launcher {}", slot.launcher_pid().unwrap_or(0));
    if !one {
        loop {
            runs_in(&mut slot, 1);
        }
    }
    i32::from(slot.run(spec, &cancel).is_err())
}

/// A node in small: runs a job that sleeps beyond its second, and says how it ended.
fn run_late(work_dir: &str, profile: &str) -> i32 {
    let Ok(Ok(mut slot)) = open(work_dir).map(|sandbox| sandbox.slot(9).map(sandbox::Slot::spawn))
    else {
        return 90;
    };
    let (Ok(slot), Ok(program), Ok(cancel)) = (
        slot.as_mut(),
        sandbox::Program::current(),
        sandbox::Cancel::new(),
    ) else {
        return 91;
    };
    let profile = match profile {
        "native" => sandbox::Profile::Native,
        _ => sandbox::Profile::Runner,
    };
    let words = ["job", sandbox::PROBE_MODE, "one", "sleep", ""];
    let mut spec = sandbox::Spec::new(program, profile, &words);
    spec.limits.wall_ms = 1_000;
    println!("launcher {}", slot.launcher_pid().unwrap_or(0));
    match slot.run(spec, &cancel) {
        Ok(report) => println!("{}", report.outcome),
        Err(_) => return 92,
    }
    0
}

fn write_scratch(name: &str, bytes: usize) -> i32 {
    done(std::fs::write(
        format!("/scratch/{name}"),
        vec![b'x'; bytes],
    ))
}

/// Makes of a file's name something else than a file, in each way there is; and moves one honest
/// file to another directory.
fn tricks() -> io::Result<()> {
    std::env::set_current_dir("/scratch")?;
    std::fs::write("plain", "plain")?;
    std::os::unix::fs::symlink("plain", "symlink")?;
    std::os::unix::fs::symlink("/proc/self/exe", "outward")?;
    std::fs::hard_link("plain", "hardlink")?;
    nix::unistd::mkfifo("fifo", nix::sys::stat::Mode::S_IRWXU)?;
    std::fs::create_dir_all("a/b")?;
    std::fs::write("a/moved", "moved")?;
    std::fs::rename("a/moved", "a/b/moved")
}

/// What this process has: open descriptors, children, mounts below its work directory, control groups
/// bearing its pid. What others mount meanwhile is not its.
fn possessions(work_dir: &str) -> [usize; 4] {
    let count = |path: &str| std::fs::read_dir(path).map_or(0, Iterator::count);
    let mounts = std::fs::read_to_string("/proc/self/mounts").unwrap_or_default();
    let mounts = mounts.lines().filter(|line| line.contains(work_dir));
    let pid = std::process::id();
    let children = std::fs::read_dir("/proc/self/task")
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|task| std::fs::read_to_string(task.path().join("children")).ok())
        .map(|text| text.split_whitespace().count())
        .sum();
    let named = |directory: &str, marker: String| {
        let entries = std::fs::read_dir(directory).into_iter().flatten().flatten();
        entries
            .filter(|entry| entry.file_name().to_string_lossy().starts_with(&marker))
            .count()
    };
    // Both versions of control groups, where this process is in the topmost.
    let groups = named("/sys/fs/cgroup/pids", format!("palisade-{pid}-"))
        + named("/sys/fs/cgroup", format!("slot-{pid}-"));
    [count("/proc/self/fd"), children, mounts.count(), groups]
}

fn churn(work_dir: &str, sequential: u32, concurrent: u32) -> i32 {
    // Descriptors under way count against this limit too, unless one is root.
    if let Ok((_, hard)) = getrlimit(Resource::RLIMIT_NOFILE) {
        setrlimit(Resource::RLIMIT_NOFILE, hard, hard).ok();
    }
    let before = possessions(work_dir);
    let sandbox = match open(work_dir) {
        Ok(sandbox) => sandbox,
        Err(closed) => {
            println!("{closed}");
            return 90;
        }
    };
    let mut ran = runs(&sandbox, 0, sequential);
    thread::scope(|scope| {
        let all: Vec<_> = (1..=concurrent)
            .map(|n| (n, &sandbox))
            .map(|(n, s)| scope.spawn(move || runs(s, n, 1)))
            .collect();
        ran += all
            .into_iter()
            .filter_map(|thread| thread.join().ok())
            .sum::<u32>();
    });
    drop(sandbox);
    let after = possessions(work_dir);
    if ran != sequential + concurrent || before != after {
        println!("{ran} ran, before {before:?}, after {after:?}");
        return 91;
    }
    println!("{ran} ran, nothing left");
    0
}

/// Runs `times` jobs one after another in one slot, alternating profiles, and says why one did not run.
fn runs(sandbox: &sandbox::Sandbox, index: u32, times: u32) -> u32 {
    if times == 0 {
        return 0;
    }
    let config = sandbox.slot(index).map_err(|closed| closed.to_string());
    let slot = config.and_then(|config| {
        sandbox::Slot::spawn(config).map_err(|error| format!("slot {index}: {error}"))
    });
    match slot {
        Ok(mut slot) => runs_in(&mut slot, times),
        Err(reason) => {
            eprintln!("{reason}");
            0
        }
    }
}

fn runs_in(slot: &mut sandbox::Slot, times: u32) -> u32 {
    let mut ran = 0;
    for turn in 0..times {
        let profile = if turn % 2 == 0 {
            sandbox::Profile::Runner
        } else {
            sandbox::Profile::Native
        };
        let (Ok(program), Ok(cancel)) = (sandbox::Program::current(), sandbox::Cancel::new())
        else {
            eprintln!("no descriptors left");
            break;
        };
        let spec = sandbox::Spec::new(program, profile, &["job", "exit", "0"]);
        match slot.run(spec, &cancel) {
            Ok(report) if report.outcome == sandbox::Outcome::Exited(0) => ran += 1,
            Ok(report) => eprintln!("{}", report.outcome),
            Err(refused) => eprintln!("{refused}"),
        }
    }
    ran
}
