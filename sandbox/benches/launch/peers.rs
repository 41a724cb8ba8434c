//! The ways of launching that are compared.

use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use sandbox::{Layers, Profile, Program, Sandbox, Slot};

use crate::{ours, testbed};

/// One way of launching.
pub(crate) struct Peer<'a> {
    pub(crate) name: &'static str,
    pub(crate) launch: Box<dyn FnMut() + 'a>,
    pub(crate) times: Vec<Duration>,
    /// Why it is not compared, if it is not.
    pub(crate) absent: Option<&'static str>,
}

impl<'a> Peer<'a> {
    fn new(name: &'static str, launch: impl FnMut() + 'a) -> Self {
        Peer {
            name,
            launch: Box::new(launch),
            times: Vec::new(),
            absent: None,
        }
    }

    fn command(name: &'static str, program: &'static str, words: Vec<String>) -> Self {
        let mut peer = Peer::new(name, move || {
            let mut command = Command::new(program);
            spawn_and_wait(command.args(&words));
        });
        // Some need more than to be installed; one launch tells.
        let tried = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| (peer.launch)()));
        if tried.is_err() {
            peer.absent = Some("not installed, or does not start here");
            peer.launch = Box::new(|| {});
        }
        peer
    }

    pub(crate) fn quantile(&mut self, part: f64) -> Option<Duration> {
        if self.absent.is_some() {
            return None;
        }
        quantile(&mut self.times, part)
    }
}

/// The time below which `part` of the times lie.
pub(crate) fn quantile(times: &mut [Duration], part: f64) -> Option<Duration> {
    times.sort();
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "an index"
    )]
    let index = (times.len().saturating_sub(1) as f64 * part) as usize;
    times.get(index).copied()
}

pub(crate) fn spawn_and_wait(command: &mut Command) {
    let command = command.stdin(Stdio::null()).stdout(Stdio::null());
    let status = command.stderr(Stdio::null()).status();
    assert!(status.is_ok_and(|status| status.success()), "{command:?}");
}

/// Whom `std` starts by `fork`: it has no other way to change the group.
pub(crate) fn by_fork(program: &Path) -> Command {
    let mut command = Command::new(program);
    command.gid(nix::unistd::getgid().as_raw());
    command
}

pub(crate) fn all<'a>(sandbox: &'a Sandbox, work: &Path) -> Vec<Peer<'a>> {
    let program = Program::open(&testbed()).unwrap();
    let file = testbed();
    let mut peers = vec![
        Peer::new("fork+exec", move || {
            spawn_and_wait(by_fork(&file).args(["exit", "0"]));
        }),
        Peer::new("posix_spawn", || {
            spawn_and_wait(Command::new(testbed()).args(["exit", "0"]));
        }),
    ];
    let mut own = |name, profile, index, layers: Option<Layers>, cgroup: bool| {
        let mut config = sandbox.slot(index).unwrap();
        if let Some(layers) = layers {
            config = config.with_layers(layers);
        }
        if !cgroup {
            config = config.without_cgroup();
        }
        let mut slot = Slot::spawn(config).unwrap();
        let program = program.clone();
        peers.push(Peer::new(name, move || {
            ours(&mut slot, &program, profile, &["job", "exit", "0"], 0);
        }));
    };
    let no_namespaces = Layers::only(false, true, true);
    own("full, runner", Profile::Runner, 0, None, true);
    own("full, native", Profile::Native, 1, None, true);
    own("no-cgroup, runner", Profile::Runner, 2, None, false);
    own("no-cgroup, native", Profile::Native, 9, None, false);
    own(
        "no-namespaces, runner",
        Profile::Runner,
        3,
        Some(no_namespaces),
        true,
    );
    peers.extend(foreign(work));
    peers
}

fn words(list: &[&str]) -> Vec<String> {
    list.iter().map(|word| (*word).to_owned()).collect()
}

fn foreign(work: &Path) -> Vec<Peer<'static>> {
    let file = testbed();
    let file = file.to_str().unwrap();
    let bundle = bundle(work);
    let crun = ["--cgroup-manager=disabled", "run", "-b", &bundle, "bench"];
    let nsjail = ["-Mo", "--quiet", "--chroot", "/", "--", file, "exit", "0"];
    let unshare = [
        "--user",
        "--map-root-user",
        "--mount",
        "--pid",
        "--net",
        "--ipc",
        "--uts",
        "--cgroup",
        "--fork",
        file,
        "exit",
        "0",
    ];
    let bwrap = [
        "--unshare-all",
        "--ro-bind",
        file,
        "/job",
        "/job",
        "exit",
        "0",
    ];
    let firejail = ["--quiet", "--noprofile", "--net=none", file, "exit", "0"];
    vec![
        Peer::command("unshare, all namespaces", "unshare", words(&unshare)),
        Peer::command("bwrap --unshare-all", "bwrap", words(&bwrap)),
        Peer::command("nsjail", "nsjail", words(&nsjail)),
        Peer::command(
            "firejail --noprofile --net=none",
            "firejail",
            words(&firejail),
        ),
        Peer::command("crun, no cgroup", "crun", words(&crun)),
    ]
}

/// An OCI bundle with the testbed as its only file.
fn bundle(work: &Path) -> String {
    let bundle = work.join("bundle");
    std::fs::create_dir_all(bundle.join("rootfs")).unwrap();
    std::fs::copy(testbed(), bundle.join("rootfs/job")).unwrap();
    let kinds = ["pid", "network", "ipc", "uts", "mount", "cgroup"];
    let namespaces: Vec<_> = kinds
        .iter()
        .map(|kind| serde_json::json!({"type": kind}))
        .collect();
    let config = serde_json::json!({
        "ociVersion": "1.0.0",
        "process": {
            "user": {"uid": 0, "gid": 0}, "args": ["/job", "exit", "0"], "cwd": "/",
            "noNewPrivileges": true,
        },
        "root": {"path": "rootfs", "readonly": true},
        "mounts": [],
        "linux": {"namespaces": namespaces},
    });
    std::fs::write(bundle.join("config.json"), config.to_string()).unwrap();
    bundle.to_str().unwrap().to_owned()
}
