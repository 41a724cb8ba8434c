//! The page: tables on the screen and in `docs/benchmarks.md`.

use std::collections::BTreeMap;
use std::fs::File;
use std::path::Path;
use std::process::Command;
use std::thread;
use std::time::Duration;

use command_fds::{CommandFdExt, FdMapping};
use sandbox::{Cancel, Outcome, Profile, Program, Sandbox, Slot, Spec, Stage};

use crate::crowd::Crowd;
use crate::peers::{Peer, quantile};
use crate::{PAUSE, ROUNDS, open, ours, palisade, testbed, timed};

const HEADING: &str = "## A sandbox launch";

/// The text so far.
pub(crate) struct Page {
    text: String,
    base: Option<Duration>,
    bwrap: Option<Duration>,
}

fn millis(time: Duration) -> f64 {
    time.as_secs_f64() * 1000.0
}

fn median(mut times: Vec<Duration>) -> Duration {
    quantile(&mut times, 0.5).unwrap_or_default()
}

impl Page {
    pub(crate) fn new(sandbox: &Sandbox) -> Self {
        let model = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
        let model = model
            .lines()
            .find_map(|line| line.strip_prefix("model name")?.split_once(':'))
            .map_or("unknown processor", |(_, name)| name.trim());
        let kernel = std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
        let cores = thread::available_parallelism().map_or(0, usize::from);
        let pause = PAUSE.as_millis();
        let text = format!(
            "{HEADING}\n\nWritten by `cargo bench -p sandbox --bench launch -- --write`; not by hand. {model}, {cores} cores, \
             Linux {}, tier {}.\n\nOne tiny static program (`exit 0`), the same for every peer, from the request until its end is \
             known; all peers interleaved, {ROUNDS} rounds, with {pause} ms between two launches, in which ours makes the process \
             for the next job and the others' kernels clear away. Ours also collects output and counts CPU time and memory; \
             of the others none does. Goals: full at most 3 times fork+exec and 0.4 times bubblewrap.\n\n",
            kernel.trim(),
            sandbox.tier(),
        );
        Page {
            text,
            base: None,
            bwrap: None,
        }
    }

    pub(crate) fn peers(&mut self, peers: &mut [Peer<'_>]) {
        let mut half = |name: &str| {
            let peer = peers.iter_mut().find(|peer| peer.name.starts_with(name));
            peer.and_then(|peer| peer.quantile(0.5))
        };
        (self.base, self.bwrap) = (half("fork+exec"), half("bwrap"));
        self.text
            .push_str("|launch|p50 ms|p99 ms|x fork+exec|x bwrap|\n|---|---|---|---|---|\n");
        for peer in peers {
            match (peer.quantile(0.5), peer.quantile(0.99)) {
                (Some(median), Some(late)) => self.row(peer.name, median, Some(late)),
                _ => {
                    let why = peer.absent.unwrap_or("not measured");
                    self.text.push_str(&format!("|{}|{why}||||\n", peer.name));
                }
            }
        }
    }

    fn row(&mut self, name: &str, median: Duration, late: Option<Duration>) {
        let ratio = |to: Option<Duration>| match to {
            Some(to) => format!("{:.2}", millis(median) / millis(to)),
            None => "-".to_owned(),
        };
        let late = late.map_or("-".to_owned(), |late| format!("{:.2}", millis(late)));
        let (x_fork, x_bwrap) = (ratio(self.base), ratio(self.bwrap));
        let median = millis(median);
        self.text
            .push_str(&format!("|{name}|{median:.2}|{late}|{x_fork}|{x_bwrap}|\n"));
    }

    /// What the spare does before the job, and what is left to do with it.
    pub(crate) fn steps(&mut self, sandbox: &Sandbox) {
        let program = Program::open(&testbed()).unwrap();
        let mut slot = Slot::spawn(sandbox.slot(5).unwrap()).unwrap();
        let mut costs: BTreeMap<u8, Vec<Duration>> = BTreeMap::new();
        for _ in 0..60 {
            thread::sleep(PAUSE);
            let report = ours(
                &mut slot,
                &program,
                Profile::Runner,
                &["job", "exit", "0"],
                0,
            );
            // The launcher's own marks lie between the job's, so each kind is kept apart.
            let launchers = |stage: &Stage| matches!(stage, Stage::Clone | Stage::IdMap);
            let steps: Vec<_> = report.steps.iter().filter(|(s, _)| !launchers(s)).collect();
            for pair in steps.windows(2) {
                let [(_, from), (stage, to)] = pair else {
                    continue;
                };
                if *stage != Stage::Request {
                    costs
                        .entry(stage.code())
                        .or_default()
                        .push(to.saturating_sub(*from));
                }
            }
        }
        self.text.push_str(
            "\nMedians of the steps, runner. Those above the line are passed before there is a job.\n\n|step|µs|\n|---|---|\n",
        );
        let mut met = false;
        for (code, times) in costs {
            let Some(stage) = Stage::from_code(code) else {
                continue;
            };
            let micros = median(times).as_secs_f64() * 1e6;
            if !met && stage.code() > Stage::Request.code() {
                self.text.push_str("|**with the job**||\n");
                met = true;
            }
            self.text.push_str(&format!("|{stage:?}|{micros:.0}|\n"));
        }
    }

    /// Without pauses nothing is prepared beforehand: what a launch costs in all.
    pub(crate) fn back_to_back(&mut self, sandbox: &Sandbox) {
        let program = Program::open(&testbed()).unwrap();
        let mut slot = Slot::spawn(sandbox.slot(6).unwrap()).unwrap();
        let mut ours_times = Vec::new();
        let mut bwrap_times = Vec::new();
        for _ in 0..ROUNDS {
            ours_times.push(timed(|| {
                ours(
                    &mut slot,
                    &program,
                    Profile::Runner,
                    &["job", "exit", "0"],
                    0,
                );
            }));
        }
        if self.bwrap.is_some() {
            for _ in 0..ROUNDS {
                let mut command = Command::new("bwrap");
                command.args(["--unshare-all", "--ro-bind"]).arg(testbed());
                command.args(["/job", "/job", "exit", "0"]);
                bwrap_times.push(timed(|| crate::peers::spawn_and_wait(&mut command)));
            }
        }
        let own = millis(median(ours_times));
        let other = match bwrap_times.is_empty() {
            true => "-".to_owned(),
            false => format!("{:.2} ms", millis(median(bwrap_times))),
        };
        self.text.push_str(&format!(
            "\nOne after another without pauses, so that nothing can be prepared: full, runner {own:.2} ms; bwrap --unshare-all {other} (medians).\n"
        ));
    }

    /// The same with the binary that is shipped, as launcher and as program.
    pub(crate) fn real_binary(&mut self, work: &Path) {
        let Some(file) = palisade() else {
            self.text.push_str(
                "\nThe real binary was not there: `cargo build --release` before the bench.\n",
            );
            return;
        };
        let sandbox = open(&work.join("real"), file.clone());
        let program = Program::open(&file).unwrap();
        let mut slot = Slot::spawn(sandbox.slot(7).unwrap()).unwrap();
        let (mut bare, mut sandboxed) = (Vec::new(), Vec::new());
        for _ in 0..60 {
            thread::sleep(PAUSE);
            bare.push(timed(|| {
                let status = Command::new(&file).arg(sandbox::PROBE_MODE).status();
                assert_eq!(status.ok().and_then(|status| status.code()), Some(12));
            }));
            thread::sleep(PAUSE);
            sandboxed.push(timed(|| {
                ours(
                    &mut slot,
                    &program,
                    Profile::Runner,
                    &["job", sandbox::PROBE_MODE],
                    12,
                );
            }));
        }
        let (bare, sandboxed) = (millis(median(bare)), millis(median(sandboxed)));
        self.text.push_str(&format!(
            "\nThe real `palisade` ({}) as program and launcher, a mode that ends at once: {bare:.2} ms bare, {sandboxed:.2} ms as runner.\n",
            profile_of(&file)
        ));
    }

    /// The shipped runner at real work, bare and in the sandbox: the task is its conformance run,
    /// a few hundred small models one after another.
    pub(crate) fn model(&mut self, work: &Path) {
        let Some(file) = palisade() else { return };
        let sandbox = open(&work.join("model"), file.clone());
        let program = Program::open(&file).unwrap();
        let mut slot = Slot::spawn(sandbox.slot(8).unwrap()).unwrap();
        let request = work.join("request");
        // The canonical encoding of `Task::Conform`: its number among the tasks.
        std::fs::write(&request, 1u32.to_be_bytes()).unwrap();
        let words = ["__runner", "1"];
        let variable = ("TRACT_X86_KIND", "other");
        let (mut bare, mut sandboxed) = (Vec::new(), Vec::new());
        let mut said = Vec::new();
        for _ in 0..9 {
            bare.push(timed(|| {
                let input = File::open(&request).unwrap().into();
                let mapping = FdMapping {
                    parent_fd: input,
                    child_fd: 3,
                };
                let mut command = Command::new(&file);
                command.args(words).env_clear().env(variable.0, variable.1);
                let output = command
                    .fd_mappings(vec![mapping])
                    .unwrap()
                    .output()
                    .unwrap();
                assert!(output.status.success(), "{:?}", output.status);
                said = output.stdout;
            }));
            sandboxed.push(timed(|| {
                let mut spec = Spec::new(
                    program.clone(),
                    Profile::Runner,
                    &["palisade", words[0], words[1]],
                );
                spec.env = vec![format!("{}={}", variable.0, variable.1).into_bytes()];
                spec.inputs = vec![File::open(&request).unwrap().into()];
                let report = slot.run(spec, &Cancel::new().unwrap()).unwrap();
                assert_eq!(report.outcome, Outcome::Exited(0));
                // The same work, to the byte.
                assert_eq!(report.stdout, said);
            }));
        }
        let (bare, sandboxed) = (millis(median(bare)), millis(median(sandboxed)));
        self.text.push_str(&format!(
            "\nThe runner's conformance run, same answer to the byte: {bare:.1} ms bare, {sandboxed:.1} ms in the sandbox, ratio {:.3} (goal 1.05).\n",
            sandboxed / bare
        ));
    }

    pub(crate) fn crowd(&mut self, crowd: &Crowd) {
        let bwrap = crowd
            .bwrap
            .map_or("-".to_owned(), |time| format!("{:.0} ms", millis(time)));
        self.text.push_str(&format!(
            "\n{} at once, until the last has ended: ours {:.0} ms (slots ready beforehand), posix_spawn {:.0} ms, bwrap {bwrap}.\n",
            crowd.jobs,
            millis(crowd.ours),
            millis(crowd.processes),
        ));
    }

    pub(crate) fn large_parent(&mut self, times: &[Duration; 3]) {
        let [fork, spawn, own] = times.map(millis);
        self.text.push_str(&format!(
            "\nFrom a parent that uses 2 GiB: fork+exec {fork:.2} ms, posix_spawn {spawn:.2} ms, full, runner {own:.2} ms.\n"
        ));
    }

    pub(crate) fn print(&self) {
        println!("{}", self.text);
    }

    /// Replaces the section of this bench, and leaves the others alone.
    pub(crate) fn write(&self) {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/benchmarks.md");
        let page = std::fs::read_to_string(&path).unwrap_or_default();
        std::fs::write(path, replaced(&page, &self.text)).unwrap();
    }
}

/// How a binary was built, as far as its size tells: one without optimisation is far larger.
fn profile_of(file: &Path) -> String {
    let bytes = std::fs::metadata(file).map_or(0, |metadata| metadata.len());
    format!("{} MiB with symbols", bytes >> 20)
}

/// `page` with the section under our heading replaced, or added at the end.
fn replaced(page: &str, section: &str) -> String {
    let section = section.trim_end();
    let Some(start) = page.find(HEADING) else {
        return format!("{}\n\n{section}\n", page.trim_end());
    };
    let (before, rest) = page.split_at(start);
    let after = rest.get(1..).and_then(|rest| rest.find("\n## "));
    match after.and_then(|at| rest.get(at + 1..)) {
        Some(after) => format!("{before}{section}\n{after}"),
        None => format!("{before}{section}\n"),
    }
}
