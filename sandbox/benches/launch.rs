//! What the walls cost: one tiny static program, launched in different ways, interleaved in one
//! run, medians and ratios.
//!
//! The program is this crate's testbed doing `exit 0`, the same for every peer.
#![forbid(unsafe_code)]

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use sandbox::{
    Cancel, Degradation, Layers, Outcome, Profile, Program, Sandbox, SandboxConfig, Slot, Spec,
};

const ROUNDS: usize = 200;
const WARM_UP: usize = 20;

#[expect(clippy::disallowed_methods, reason = "a benchmark measures time")]
fn timed(launch: impl FnOnce()) -> Duration {
    let started = Instant::now();
    launch();
    started.elapsed()
}

fn testbed() -> PathBuf {
    PathBuf::from(env!("CARGO_BIN_EXE_sandbox-testbed"))
}

fn spawn_and_wait(command: &mut Command) {
    let status = command.stdin(Stdio::null()).stdout(Stdio::null()).status();
    assert!(status.is_ok_and(|status| status.success()), "{command:?}");
}

fn bwrap_available() -> bool {
    let probe = Command::new("bwrap").args(["--version"]).output();
    probe.is_ok_and(|output| output.status.success())
}

/// One way of launching.
struct Peer<'a> {
    name: &'static str,
    launch: Box<dyn FnMut() + 'a>,
    times: Vec<Duration>,
}

impl<'a> Peer<'a> {
    fn new(name: &'static str, launch: impl FnMut() + 'a) -> Self {
        Peer {
            name,
            launch: Box::new(launch),
            times: Vec::new(),
        }
    }

    fn quantile(&mut self, part: f64) -> Duration {
        self.times.sort();
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "an index"
        )]
        let index = ((self.times.len() - 1) as f64 * part) as usize;
        self.times[index]
    }
}

fn ours(slot: &mut Slot, program: &Program, profile: Profile) {
    let spec = Spec::new(program.clone(), profile, &["job", "exit", "0"]);
    let report = slot.run(spec, &Cancel::new().unwrap()).unwrap();
    assert_eq!(report.outcome, Outcome::Exited(0));
}

fn open(work: &Path) -> Sandbox {
    let mut config = SandboxConfig::new(work);
    config.launcher = testbed();
    config.allow_degraded = vec![Degradation::Cgroup];
    Sandbox::open(config).unwrap().0
}

fn main() {
    let work = tempfile::tempdir().unwrap();
    let sandbox = open(work.path());
    let program = Program::open(&testbed()).unwrap();
    let bare_config = sandbox
        .slot(1)
        .unwrap()
        .with_layers(Layers::only(false, true, true));
    let mut slots = [0, 2].map(|index| Slot::spawn(sandbox.slot(index).unwrap()).unwrap());
    let mut bare = Slot::spawn(bare_config).unwrap();
    let [runner, native] = &mut slots;
    let file = testbed();
    let mut peers = vec![
        Peer::new("fork+exec", || {
            spawn_and_wait(Command::new(&file).args(["exit", "0"]))
        }),
        Peer::new("no-namespaces", || {
            ours(&mut bare, &program, Profile::Runner)
        }),
        Peer::new("full, runner", || ours(runner, &program, Profile::Runner)),
        Peer::new("full, native", || ours(native, &program, Profile::Native)),
    ];
    if bwrap_available() {
        let file = testbed();
        peers.push(Peer::new("bwrap --unshare-all", move || {
            let mut command = Command::new("bwrap");
            command
                .args(["--unshare-all", "--ro-bind"])
                .arg(&file)
                .args(["/job", "/job"]);
            spawn_and_wait(command.args(["exit", "0"]));
        }));
    } else {
        println!("bwrap is not installed: not compared");
    }
    for round in 0..WARM_UP + ROUNDS {
        for peer in &mut peers {
            let time = timed(|| (peer.launch)());
            if round >= WARM_UP {
                peer.times.push(time);
            }
        }
    }
    print(&mut peers, &sandbox);
}

fn print(peers: &mut [Peer<'_>], sandbox: &Sandbox) {
    let millis = |time: Duration| time.as_secs_f64() * 1000.0;
    let base = millis(peers[0].quantile(0.5));
    let other = peers
        .iter_mut()
        .find(|peer| peer.name.starts_with("bwrap"))
        .map(|peer| millis(peer.quantile(0.5)));
    println!("tier {}, {ROUNDS} rounds interleaved", sandbox.tier());
    println!(
        "{:<22}{:>9}{:>9}{:>14}{:>10}",
        "", "p50 ms", "p99 ms", "x fork+exec", "x bwrap"
    );
    for peer in peers {
        let (median, late) = (millis(peer.quantile(0.5)), millis(peer.quantile(0.99)));
        let against = other.map_or("-".to_owned(), |other| format!("{:.2}", median / other));
        let name = peer.name;
        println!(
            "{name:<22}{median:>9.2}{late:>9.2}{:>14.2}{against:>10}",
            median / base
        );
    }
}
