//! Checks of this machine, with or without a home: processor, ports, descriptors, clock, disk.

use std::io;
use std::net::{TcpListener, UdpSocket};
use std::path::{Path, PathBuf};

use nix::sys::resource::{Resource, getrlimit};
use testnet::ports::Transport;

use super::row::{Row, Verdict};
use crate::api::{disk_free, disk_size};
use crate::config::Config;
use crate::home::Home;
use crate::run::{socket_of, taken};

/// Fewer open files, and peers are turned away (network.md).
const DESCRIPTORS_MIN: u64 = 4_096;
/// Less free space than this, and the node declines jobs.
const DISK_FREE_MIN: u64 = 2 << 30;
/// What a time daemon leaves behind while it runs.
const CLOCK_MARKS: [(&str, &str); 4] = [
    (
        "/run/systemd/timesync/synchronized",
        "systemd-timesyncd has synchronised",
    ),
    ("/run/chrony/chronyd.pid", "chronyd runs"),
    ("/run/ntpd.pid", "ntpd runs"),
    ("/run/openntpd.pid", "openntpd runs"),
];

/// All of them.
pub(super) fn rows(home: &Home, config: &Config) -> Vec<Row> {
    let mut rows = vec![processor()];
    rows.extend(ports(home, config));
    rows.extend([descriptors(), clock(), disk(&home.data())]);
    rows
}

fn processor() -> Row {
    let floor = runner::floor();
    let verdict = Verdict::of(floor.is_ok());
    let found = floor.map_or_else(|error| error.to_string(), |()| "runs models".to_owned());
    let words = (
        "x86-64 with AVX2 and FMA",
        "another processor; this one can vote only",
    );
    Row::new("processor", verdict, found, words)
}

/// A port is right if it is free, or if this home's own node has it.
fn ports(home: &Home, config: &Config) -> Vec<Row> {
    let own = home.api_file().exists();
    let mut rows = Vec::new();
    let listeners = [
        ("port api", config.api.listen),
        ("port metrics", config.metrics.listen),
    ];
    for (check, address) in listeners {
        rows.push(port(
            check,
            &address.to_string(),
            TcpListener::bind(address).err(),
            own,
        ));
    }
    for text in &config.net.listen {
        let Some((address, transport)) = socket_of(text) else {
            let words = (
                "/ip4/A.B.C.D/udp/PORT/quic-v1 or …/tcp/PORT",
                "palisade config check",
            );
            rows.push(Row::new("port peers", Verdict::Fail, text.clone(), words));
            continue;
        };
        let refused = match transport {
            Transport::Udp => UdpSocket::bind(address).err(),
            Transport::Tcp => TcpListener::bind(address).err(),
        };
        rows.push(port("port peers", text, refused, own));
    }
    rows
}

fn port(check: &str, address: &str, refused: Option<io::Error>, own: bool) -> Row {
    let words = (
        "an address of this host with a free port",
        "end what has it (ss -lnp), or change node.toml",
    );
    match refused {
        None => Row::new(check, Verdict::Pass, format!("{address} is free"), words),
        Some(error) if own && error.kind() == io::ErrorKind::AddrInUse => {
            let found = format!("{address} is taken while this home's node runs");
            Row::new(check, Verdict::Pass, found, words)
        }
        Some(error) => {
            let why = taken(address, &error).unwrap_or_else(|| error.to_string());
            Row::new(check, Verdict::Fail, format!("{address}: {why}"), words)
        }
    }
}

/// Whether a person can trust this process to keep many connections.
pub(super) fn descriptors() -> Row {
    let (soft, hard) = getrlimit(Resource::RLIMIT_NOFILE).unwrap_or_default();
    let words = (
        "4096 open files",
        "LimitNOFILE=65536 in the unit, or ulimit -n 65536",
    );
    Row::new(
        "descriptors",
        Verdict::of(soft >= DESCRIPTORS_MIN),
        format!("{soft} of {hard}"),
        words,
    )
}

/// A running node knows better: `palisade status` compares clocks with the validators'.
pub(super) fn clock() -> Row {
    let seen = CLOCK_MARKS
        .iter()
        .find(|(path, _)| Path::new(path).exists());
    let words = (
        "within 250 ms of true time",
        "run chrony or systemd-timesyncd; `palisade status --why` compares with the validators",
    );
    match seen {
        Some((_, found)) => Row::new("clock", Verdict::Pass, *found, words),
        None => Row::new("clock", Verdict::Degraded, "no time daemon was seen", words),
    }
}

/// The directory or the nearest one above it that is there.
fn existing(path: &Path) -> PathBuf {
    let found = path.ancestors().find(|above| above.exists());
    found.unwrap_or(Path::new("/")).to_owned()
}

fn disk(data: &Path) -> Row {
    let free = disk_free(&existing(data)).unwrap_or_default();
    let words = (
        "2 GiB free, or jobs are declined",
        "free space on the volume of the home",
    );
    let found = format!("{} MiB free at {}", free >> 20, data.display());
    Row::new("disk", Verdict::of(free >= DISK_FREE_MIN), found, words)
}

/// What a validator's disk must be: not memory, and with room to grow.
pub(super) fn storage(data: &Path) -> Row {
    let place = existing(data);
    let (free, size) = (
        disk_free(&place).unwrap_or(0),
        disk_size(&place).unwrap_or(0),
    );
    let memory = nix::sys::statfs::statfs(&place)
        .is_ok_and(|found| found.filesystem_type() == nix::sys::statfs::TMPFS_MAGIC);
    let percent = free.saturating_mul(100).checked_div(size).unwrap_or(0);
    let words = (
        "a disk that survives a power cut, 20 % free",
        "move the home, or grow its volume",
    );
    let found = match memory {
        true => format!("{} lies in memory", place.display()),
        false => format!("{percent} % free"),
    };
    Row::new(
        "D8 storage",
        Verdict::of(!memory && percent >= 20),
        found,
        words,
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_taken_port_fails_unless_this_homes_node_has_it() {
        let taken = TcpListener::bind("127.0.0.1:0").unwrap();
        let error = || TcpListener::bind(taken.local_addr().unwrap()).err();
        assert_eq!(port("port api", "x", error(), false).verdict, Verdict::Fail);
        assert_eq!(port("port api", "x", error(), true).verdict, Verdict::Pass);
        assert_eq!(port("port api", "x", None, false).verdict, Verdict::Pass);
    }

    #[test]
    fn memory_is_no_disk() {
        let row = storage(Path::new("/dev/shm/palisade/data"));
        assert_eq!(row.verdict, Verdict::Fail);
        assert!(row.found.contains("memory"), "{}", row.found);
    }
}
