//! Launches under strain: a hundred at once, and from a parent with much memory.

use std::process::Command;
use std::sync::Barrier;
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;
use std::time::Duration;

use sandbox::{Profile, Program, Sandbox, Slot};

use crate::peers::{by_fork, quantile, spawn_and_wait};
use crate::{PAUSE, ours, testbed, timed};

/// How often the crowd is let go.
const CROWDS: u32 = 5;
const SETTLE: Duration = Duration::from_millis(300);

/// What a hundred launches at once took: until the last was over, medians.
pub(crate) struct Crowd {
    pub(crate) jobs: u32,
    pub(crate) ours: Duration,
    pub(crate) processes: Duration,
    pub(crate) bwrap: Option<Duration>,
}

/// What a launch leaves behind, to be dropped when the clock has stopped.
type Left = Option<Slot>;
type Launch = Box<dyn FnOnce() -> Left>;

/// Makes ready in as many threads, lets all of them go at the same moment, and takes the time until
/// the last is done. The clock starts before the gate opens: whoever opens it may be the last to run.
fn at_once(jobs: u32, make_ready: impl Fn(u32) -> Launch + Sync) -> Duration {
    let gate = Barrier::new(usize::try_from(jobs).unwrap_or(0) + 1);
    let waiting = AtomicU32::new(0);
    thread::scope(|scope| {
        let all: Vec<_> = (0..jobs)
            .map(|n| {
                let (gate, waiting, make_ready) = (&gate, &waiting, &make_ready);
                scope.spawn(move || {
                    let launch = make_ready(n);
                    waiting.fetch_add(1, Ordering::SeqCst);
                    gate.wait();
                    let left = launch();
                    gate.wait();
                    drop(left);
                })
            })
            .collect();
        while waiting.load(Ordering::SeqCst) < jobs {
            thread::sleep(PAUSE);
        }
        // What they made ready is to have settled.
        thread::sleep(SETTLE);
        let time = timed(|| {
            gate.wait();
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
    // A slot belongs to the thread that made it.
    let own = |n: u32| -> Launch {
        let mut slot = Slot::spawn(sandbox.slot(1000 + n).unwrap()).unwrap();
        let program = program.clone();
        Box::new(move || {
            ours(
                &mut slot,
                &program,
                Profile::Runner,
                &["job", "exit", "0"],
                0,
            );
            Some(slot)
        })
    };
    let command = |mut command: Command| -> Launch {
        Box::new(move || {
            spawn_and_wait(&mut command);
            None
        })
    };
    let process = |_| {
        let mut process = Command::new(testbed());
        process.args(["exit", "0"]);
        command(process)
    };
    let bwrap = |_| {
        let mut process = Command::new("bwrap");
        process.args(["--unshare-all", "--ro-bind"]).arg(testbed());
        process.args(["/job", "/job", "exit", "0"]);
        command(process)
    };
    let has_bwrap = Command::new("bwrap").arg("--version").output().is_ok();
    let mut times: [Vec<Duration>; 3] = [Vec::new(), Vec::new(), Vec::new()];
    for _ in 0..CROWDS {
        times[0].push(at_once(jobs, own));
        times[1].push(at_once(jobs, process));
        if has_bwrap {
            times[2].push(at_once(jobs, bwrap));
        }
    }
    let [ours, processes, bwrap] = times.map(|mut times| quantile(&mut times, 0.5));
    Crowd {
        jobs,
        ours: ours.unwrap_or_default(),
        processes: processes.unwrap_or_default(),
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
