//! Goal: a net ends whole, however it ends. Method: what the kernel lists before and after: processes,
//! sockets, mounts, control groups.

use std::collections::BTreeSet;
use std::fs;
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use testnet::clock::{Stopwatch, poll};

use crate::cli::{list, number, text};
use crate::cluster::{Cluster, alone};

/// How long the kernel may take to carry a parent's death down to the last child.
const ORPHANS_END: Duration = Duration::from_secs(2);
/// The same on a busy machine, where one net of a few must be as quick as that.
const ORPHANS_END_BUSY: Duration = Duration::from_secs(20);
const TRIES: usize = 5;

#[test]
fn down_leaves_nothing() {
    let net = on_own_ports("leftovers");
    net.wait("height >= 2");
    // A job leaves slots, launchers and scratch folders to be cleared away.
    let job = net.submit_digits("digit-00.npy", &[]);
    net.job_end(&job.id);
    let addresses = addresses(&net);
    assert_eq!(addresses.len(), 8, "an API and a metrics listener per node");
    for address in &addresses {
        TcpStream::connect(address).unwrap();
    }
    let family = family(number(&net.endpoints["supervisor_pid"]));
    assert!(
        family.len() > 4,
        "a supervisor and four nodes at least: {:?}",
        alive(&family)
    );

    // Looked for where they are while the net runs, or their absence would say nothing.
    let grouped = !groups_of(&family).is_empty();
    let down = net.testnet("down", &[]);
    assert_eq!(down["was_up"], true);
    assert_eq!(alive(&family), Vec::<String>::new(), "processes of the net");
    for address in &addresses {
        let refused = TcpStream::connect(address).unwrap_err().kind();
        assert_eq!(refused, std::io::ErrorKind::ConnectionRefused, "{address}");
    }
    assert_eq!(
        udp_sockets(number(&plan(&net)["slot"])),
        0,
        "peer-to-peer sockets"
    );
    for name in ["supervisor.sock", "endpoints.json"] {
        assert!(!net.file(name).exists(), "{name} is still there");
    }
    assert_eq!(mounts_of(&net), Vec::<String>::new());
    assert_eq!(groups_of(&family), Vec::<String>::new(), "control groups");
    if !grouped {
        eprintln!("this user's jobs have no control groups here: none were looked for");
    }
}

#[test]
fn a_killed_supervisor_takes_every_node_along() {
    let mut net = on_own_ports("orphans");
    net.wait("height >= 2");
    let mut late = Vec::new();
    while late.len() < TRIES {
        let took = kill_the_supervisor(&mut net);
        if took < ORPHANS_END {
            return;
        }
        late.push(took);
    }
    panic!("never within {ORPHANS_END:?}: {late:?}");
}

/// How long its nodes outlive it. The net is up again afterwards.
fn kill_the_supervisor(net: &mut Cluster) -> Duration {
    let supervisor = number(&net.endpoints["supervisor_pid"]);
    let family = family(supervisor);
    assert!(
        family.len() > 4,
        "a supervisor and four nodes at least: {:?}",
        alive(&family)
    );
    kill(
        Pid::from_raw(supervisor.try_into().unwrap()),
        Signal::SIGKILL,
    )
    .unwrap();
    let killed = Stopwatch::start();
    poll(ORPHANS_END_BUSY, || alive(&family).is_empty().then_some(()))
        .unwrap_or_else(|| panic!("still there: {:?}", alive(&family)));
    // A process whose first thread has ended holds its sockets until the last one has.
    for address in addresses(net) {
        poll(ORPHANS_END_BUSY, || TcpStream::connect(address).err())
            .unwrap_or_else(|| panic!("{address} still answers"));
    }
    let took = killed.elapsed();
    // The next command sees the truth, and the same net comes up again.
    let status = net.try_testnet("status", &[]);
    status.refused(4, "testnet.unavailable");
    let endpoints = net.try_testnet("endpoints", &[]);
    endpoints.refused(4, "testnet.unavailable");
    net.start_again(&[]);
    net.wait("height >= 3 && agree && none(slashed, validators)");
    took
}

/// A net away from the usual ports, which any other net takes as soon as they are free.
fn on_own_ports(name: &'static str) -> Cluster {
    let free = || {
        let socket = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        socket.local_addr().unwrap().port().to_string()
    };
    let (api, metrics) = (free(), free());
    Cluster::start(
        name,
        alone(),
        &["--api-port", &api, "--metrics-port", &metrics],
    )
}

fn plan(net: &Cluster) -> serde_json::Value {
    serde_json::from_slice(&fs::read(net.file("plan.json")).unwrap()).unwrap()
}

fn addresses(net: &Cluster) -> Vec<SocketAddr> {
    let mut found = Vec::new();
    for node in list(&net.endpoints["nodes"]) {
        for key in ["api", "metrics"] {
            let url = text(&node[key]).trim_start_matches("http://");
            found.push(url.trim_end_matches("/metrics").parse().unwrap());
        }
    }
    found
}

/// A process, told apart from a later one with the same number by when it began.
type Process = (u64, u64);

/// A process and everything below it.
fn family(supervisor: u64) -> BTreeSet<Process> {
    let all: Vec<(Process, u64)> = fs::read_dir("/proc")
        .unwrap()
        .flatten()
        .filter_map(|entry| stat(entry.file_name().to_str()?.parse().ok()?))
        .collect();
    let mut found: BTreeSet<Process> = all
        .iter()
        .map(|(process, _)| *process)
        .filter(|(pid, _)| *pid == supervisor)
        .collect();
    loop {
        let known: BTreeSet<u64> = found.iter().map(|(pid, _)| *pid).collect();
        let children = all.iter().filter(|(_, parent)| known.contains(parent));
        let before = found.len();
        found.extend(children.map(|(process, _)| *process));
        if found.len() == before {
            return found;
        }
    }
}

/// Those of a family that still run. One that ended and was not waited for runs no more.
fn alive(family: &BTreeSet<Process>) -> Vec<String> {
    let runs = |(pid, begun): &Process| stat(*pid).is_some_and(|((_, now), _)| now == *begun);
    let describe = |(pid, _): &Process| {
        let command = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        format!(
            "{pid} {}",
            String::from_utf8_lossy(&command).replace('\0', " ")
        )
    };
    family
        .iter()
        .filter(|process| runs(process))
        .map(describe)
        .collect()
}

/// A process with its parent, unless it is a zombie (proc(5), /proc/pid/stat: after the name in
/// brackets come state, parent, and as twentieth the start time).
fn stat(pid: u64) -> Option<(Process, u64)> {
    let text = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let fields: Vec<&str> = text.rsplit_once(')')?.1.split_whitespace().collect();
    (fields[0] != "Z").then_some(())?;
    Some(((pid, fields[19].parse().ok()?), fields[1].parse().ok()?))
}

/// Sockets bound to the net's own loopback addresses, `127.<slot>.x.1` (proc(5), /proc/net/udp).
fn udp_sockets(slot: u64) -> usize {
    let table = fs::read_to_string("/proc/net/udp").unwrap();
    let local = table
        .lines()
        .skip(1)
        .filter_map(|line| line.split_whitespace().nth(1));
    local
        .filter(|address| address[4..].starts_with(&format!("{slot:02X}7F")))
        .count()
}

/// Mounts in the net's folder.
fn mounts_of(net: &Cluster) -> Vec<String> {
    let table = fs::read_to_string("/proc/self/mounts").unwrap();
    let folder = net.cli.path("");
    let ours = |line: &&str| line.contains(folder.to_str().unwrap());
    table.lines().filter(ours).map(str::to_owned).collect()
}

/// Control groups that bear the number of one of these processes, wherever the hierarchy is mounted.
fn groups_of(family: &BTreeSet<Process>) -> Vec<String> {
    let pids = family.iter().map(|(pid, _)| *pid).collect();
    let mut found = Vec::new();
    walk(Path::new("/sys/fs/cgroup"), 4, &pids, &mut found);
    found
}

fn walk(folder: &Path, depth: u32, pids: &BTreeSet<u64>, found: &mut Vec<String>) {
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        if !entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            continue;
        }
        let path = entry.path();
        let name = entry.file_name().to_string_lossy().into_owned();
        let mut words = name.split('-');
        let ours = words.any(|word| word.parse().is_ok_and(|pid| pids.contains(&pid)));
        if ours && name.contains("slot-") {
            found.push(path.display().to_string());
        }
        if depth > 0 {
            walk(&path, depth - 1, pids, found);
        }
    }
}
