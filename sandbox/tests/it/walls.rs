//! Goal: the three walls do not need one another. Method: leave walls out and attack the host's
//! file, network and process through what is left. Real targets exist on the host, so that an
//! attempt that gets through succeeds.

use std::io::{BufRead, BufReader};
use std::net::TcpListener;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::{SocketAddr, UnixListener};
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};

use sandbox::attacks::{self, Attack, AttackReport, Kind};
use sandbox::{Layers, Profile, Slot};

use crate::bed;

/// Things of the host that a job of this slot's own user could reach if no wall stood.
struct Targets {
    file: tempfile::NamedTempFile,
    tcp: TcpListener,
    _abstract_socket: UnixListener,
    name: String,
    process: Child,
}

impl Targets {
    fn new(uid: Option<u32>) -> Targets {
        let file = tempfile::NamedTempFile::new().unwrap();
        let everybody = std::fs::Permissions::from_mode(0o666);
        std::fs::set_permissions(file.path(), everybody).unwrap();
        let tcp = TcpListener::bind("127.0.0.1:0").unwrap();
        let name = format!("palisade-walls-{}", tcp.local_addr().unwrap().port());
        let address = SocketAddr::from_abstract_name(&name).unwrap();
        let mut command = Command::new(bed::testbed());
        command
            .arg("wait")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped());
        if let Some(uid) = uid {
            command.uid(uid).gid(uid);
        }
        let mut process = command.spawn().unwrap();
        let mut line = String::new();
        BufReader::new(process.stdout.take().unwrap())
            .read_line(&mut line)
            .unwrap();
        let _abstract_socket = UnixListener::bind_addr(&address).unwrap();
        Targets {
            file,
            tcp,
            _abstract_socket,
            name,
            process,
        }
    }

    /// Attack and target, for everything a job could do to the host.
    fn harm(&self) -> Vec<(&'static str, String)> {
        let path = self.file.path().to_str().unwrap().to_owned();
        vec![
            ("read_secret", path.clone()),
            ("write_file", path),
            ("connect_tcp", self.tcp.local_addr().unwrap().to_string()),
            ("connect_abstract", self.name.clone()),
            ("signal_host", self.process.id().to_string()),
            ("signal_host_thread", self.process.id().to_string()),
        ]
    }
}

impl Drop for Targets {
    fn drop(&mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }
}

fn attack(layers: Layers, profile: Profile, index: u32) -> Vec<AttackReport> {
    let _few = bed::few_processes();
    let config = bed::sandbox().slot(index).unwrap().with_layers(layers);
    let targets = Targets::new(config.uid());
    let mut slot = Slot::spawn(config).unwrap();
    let run = match profile {
        Profile::Runner => attacks::run_as_runner,
        Profile::Native => attacks::run,
    };
    targets
        .harm()
        .into_iter()
        .map(|(name, at)| run(&mut slot, name, &at).unwrap())
        .collect()
}

fn assert_blocked(reports: &[AttackReport]) {
    for report in reports {
        assert!(report.blocked, "{report:?}");
    }
}

/// The experiment itself: with no wall at all, every one of these attacks works.
#[test]
fn attacks_without_any_wall_succeed() {
    let reports = attack(Layers::only(false, false, false), Profile::Native, 300);
    for report in reports {
        assert_eq!(report.outcome, "allowed", "{report:?}");
    }
}

#[test]
fn attacks_namespaces_alone() {
    assert_blocked(&attack(
        Layers::only(true, false, false),
        Profile::Native,
        301,
    ));
}

#[test]
fn attacks_landlock_alone() {
    assert_blocked(&attack(
        Layers::only(false, true, false),
        Profile::Native,
        302,
    ));
}

/// The runner's filters, with neither namespaces nor Landlock, stop the whole table.
#[test]
fn attacks_seccomp_alone() {
    let layers = Layers::only(false, false, true);
    assert_blocked(&attack(layers, Profile::Runner, 303));
    let _few = bed::few_processes();
    let config = bed::sandbox().slot(304).unwrap().with_layers(layers);
    let mut slot = Slot::spawn(config).unwrap();
    for attack in Attack::all().filter(|attack| attack.kind == Kind::Attempt) {
        let report = attacks::run_as_runner(&mut slot, attack.name, "").unwrap();
        assert!(report.blocked, "{report:?}");
    }
}

#[test]
fn attacks_without_namespaces() {
    let layers = Layers::only(false, true, true);
    assert_blocked(&attack(layers, Profile::Native, 305));
    assert_blocked(&attack(layers, Profile::Runner, 306));
}

#[test]
fn attacks_without_landlock() {
    let layers = Layers::only(true, false, true);
    assert_blocked(&attack(layers, Profile::Native, 307));
    assert_blocked(&attack(layers, Profile::Runner, 308));
}

#[test]
fn attacks_without_seccomp() {
    let layers = Layers::only(true, true, false);
    assert_blocked(&attack(layers, Profile::Native, 309));
    assert_blocked(&attack(layers, Profile::Runner, 310));
}
