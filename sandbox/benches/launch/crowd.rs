//! Launches under strain: a hundred at once, and from a parent with much memory.

use std::process::Command;
use std::sync::Barrier;
use std::thread;
use std::time::Duration;

use sandbox::{Profile, Program, Sandbox, Slot};

use crate::peers::{by_fork, quantile, spawn_and_wait};
use crate::{PAUSE, ours, testbed, timed};

/// What a hundred launches at once took: until the last was over.
pub(crate) struct Crowd {
    pub(crate) jobs: u32,
    pub(crate) ours: Duration,
    pub(crate) processes: Duration,
    pub(crate) bwrap: Option<Duration>,
}

/// Runs `launch(n)` in as many threads, all let go at the same moment.
fn at_once(jobs: u32, launch: impl Fn(u32) -> Box<dyn FnOnce() + Send> + Sync) -> Duration {
    let gate = Barrier::new(usize::try_from(jobs).unwrap_or(0) + 1);
    thread::scope(|scope| {
        let all: Vec<_> = (0..jobs)
            .map(|n| {
                let (gate, launch) = (&gate, &launch);
                scope.spawn(move || {
                    let launch = launch(n);
                    gate.wait();
                    launch();
                    gate.wait();
                })
            })
            .collect();
        gate.wait();
        let time = timed(|| {
            gate.wait();
        });
        for thread in all {
            thread.join().unwrap();
        }
        time
    })
}

pub(crate) fn measure(sandbox: &Sandbox, jobs: u32) -> Crowd {
    let program = Program::open(&testbed()).unwrap();
    // A slot belongs to the thread that made it, so it is made before the gate opens.
    let gate = Barrier::new(usize::try_from(jobs).unwrap_or(0) + 1);
    let own = thread::scope(|scope| {
        for n in 0..jobs {
            let (gate, program) = (&gate, &program);
            scope.spawn(move || {
                let mut slot = Slot::spawn(sandbox.slot(1000 + n).unwrap()).unwrap();
                gate.wait();
                ours(
                    &mut slot,
                    program,
                    Profile::Runner,
                    &["job", "exit", "0"],
                    0,
                );
                gate.wait();
            });
        }
        gate.wait();
        timed(|| {
            gate.wait();
        })
    });
    let command = |mut command: Command| -> Box<dyn FnOnce() + Send> {
        Box::new(move || spawn_and_wait(&mut command))
    };
    let processes = at_once(jobs, |_| {
        let mut process = Command::new(testbed());
        process.args(["exit", "0"]);
        command(process)
    });
    let has_bwrap = Command::new("bwrap").arg("--version").output().is_ok();
    let bwrap = has_bwrap.then(|| {
        at_once(jobs, |_| {
            let mut process = Command::new("bwrap");
            process.args(["--unshare-all", "--ro-bind"]).arg(testbed());
            process.args(["/job", "/job", "exit", "0"]);
            command(process)
        })
    });
    Crowd {
        jobs,
        ours: own,
        processes,
        bwrap,
    }
}

/// Medians from a parent that uses `bytes` of memory: by fork, by posix_spawn, ours.
pub(crate) fn large_parent(sandbox: &Sandbox, bytes: usize) -> [Duration; 3] {
    let weight = vec![1u8; bytes];
    let program = Program::open(&testbed()).unwrap();
    let mut slot = Slot::spawn(sandbox.slot(4).unwrap()).unwrap();
    let mut times: [Vec<Duration>; 3] = [Vec::new(), Vec::new(), Vec::new()];
    for _ in 0..15 {
        let file = testbed();
        thread::sleep(PAUSE);
        times[0].push(timed(|| spawn_and_wait(by_fork(&file).args(["exit", "0"]))));
        thread::sleep(PAUSE);
        times[1].push(timed(|| {
            spawn_and_wait(Command::new(&file).args(["exit", "0"]));
        }));
        thread::sleep(PAUSE);
        times[2].push(timed(|| {
            ours(
                &mut slot,
                &program,
                Profile::Runner,
                &["job", "exit", "0"],
                0,
            );
        }));
    }
    assert!(std::hint::black_box(&weight).len() == bytes);
    times.map(|mut times| quantile(&mut times, 0.5).unwrap())
}
