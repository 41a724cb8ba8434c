//! The job that the sandbox's own tests run, and the launcher that runs it. Not shipped: no crate
//! depends on this binary.
#![forbid(unsafe_code)]

use std::fs::File;
use std::io::{self, Read, Write};
use std::process::exit;
use std::thread;
use std::time::{Duration, Instant};

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    match arguments.get(1).map(String::as_str) {
        Some(sandbox::LAUNCHER_MODE) => sandbox::launcher_main(),
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
        ["burn", millis] => burn(millis.parse().unwrap_or(0)),
        ["burn-forked", millis] => burn_forked(millis.parse().unwrap_or(0)),
        ["write-scratch", name, bytes] => write_scratch(name, bytes.parse().unwrap_or(0)),
        ["stdout-closed-early"] => stdout_closed_early(),
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

#[allow(
    clippy::disallowed_methods,
    reason = "a job that burns time has to look at it"
)]
fn burn(millis: u64) -> i32 {
    let start = Instant::now();
    let mut turns = 0u64;
    while start.elapsed() < Duration::from_millis(millis) {
        turns = std::hint::black_box(turns.wrapping_add(1));
    }
    0
}

/// Burns in a child that nobody waits for: invisible to rusage.
fn burn_forked(millis: u64) -> i32 {
    let mut child = match std::process::Command::new("/proc/self/exe").spawn() {
        Ok(child) => child,
        Err(_) => return burn_in_threads(millis),
    };
    done(child.wait())
}

fn burn_in_threads(millis: u64) -> i32 {
    let all: Vec<_> = (0..2)
        .map(|_| thread::spawn(move || burn(millis)))
        .collect();
    all.into_iter()
        .filter_map(|thread| thread.join().ok())
        .sum()
}

fn write_scratch(name: &str, bytes: usize) -> i32 {
    done(std::fs::write(
        format!("/scratch/{name}"),
        vec![b'x'; bytes],
    ))
}

fn stdout_closed_early() -> i32 {
    use std::os::fd::AsFd;
    // A copy of a stream can be closed; the stream itself stays std's.
    let copy = io::stdout().as_fd().try_clone_to_owned();
    drop(copy);
    writeln!(io::stderr(), "still here").ok();
    0
}
