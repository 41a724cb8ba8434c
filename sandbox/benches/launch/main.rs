//! What the walls cost: one tiny static program, launched in different ways, interleaved in one
//! run, medians and ratios.
//!
//! The program is this crate's testbed doing `exit 0`, the same for every peer. Between two
//! launches there is a pause in which whatever a peer still has to clear away, or to prepare, can
//! be done; what that is worth is measured too, by a row without pauses.
//!
//! `--write` puts the result into `docs/benchmarks.md`, in place of the section of that name.
#![forbid(unsafe_code)]

mod crowd;
mod peers;
mod table;

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use sandbox::{
    Cancel, Degradation, Outcome, Profile, Program, Report, Sandbox, SandboxConfig, Slot, Spec,
};

use table::Page;

const ROUNDS: usize = 150;
const WARM_UP: usize = 10;
/// Longer than any peer needs to clear away what it made.
const PAUSE: Duration = Duration::from_millis(8);

#[expect(clippy::disallowed_methods, reason = "a benchmark measures time")]
fn timed(launch: impl FnOnce()) -> Duration {
    let started = Instant::now();
    launch();
    started.elapsed()
}

fn testbed() -> PathBuf {
    PathBuf::from(env!("CARGO_BIN_EXE_sandbox-testbed"))
}

/// The real binary: named by `PALISADE_BIN`, or built with the same profile.
fn palisade() -> Option<PathBuf> {
    let beside = testbed().with_file_name("palisade");
    let path = std::env::var_os("PALISADE_BIN").map_or(beside, PathBuf::from);
    path.exists().then_some(path)
}

fn open(work: &Path, launcher: PathBuf) -> Sandbox {
    let mut config = SandboxConfig::new(work);
    config.launcher = launcher;
    config.allow_degraded = vec![Degradation::Cgroup];
    Sandbox::open(config).unwrap().0
}

/// One job of ours, which must end as it should.
fn ours(slot: &mut Slot, program: &Program, profile: Profile, words: &[&str], code: i32) -> Report {
    let spec = Spec::new(program.clone(), profile, words);
    let report = slot.run(spec, &Cancel::new().unwrap()).unwrap();
    assert_eq!(report.outcome, Outcome::Exited(code));
    report
}

fn main() {
    let work = tempfile::tempdir().unwrap();
    let sandbox = open(work.path(), testbed());
    let mut page = Page::new(&sandbox);
    let mut peers = peers::all(&sandbox, work.path());
    for round in 0..WARM_UP + ROUNDS {
        for peer in &mut peers {
            std::thread::sleep(PAUSE);
            let time = timed(|| (peer.launch)());
            if round >= WARM_UP {
                peer.times.push(time);
            }
        }
    }
    page.peers(&mut peers);
    drop(peers);
    page.steps(&sandbox);
    page.back_to_back(&sandbox);
    page.real_binary(work.path());
    page.model(work.path());
    page.crowd(&crowd::measure(&sandbox, 100));
    page.large_parent(&crowd::large_parent(&sandbox, 2 << 30));
    page.print();
    if std::env::args().any(|argument| argument == "--write") {
        page.write();
    }
}
