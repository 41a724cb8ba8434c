//! Who holds a port, by command, so that the error says what to end.

use std::fs;
use std::path::Path;

/// More of a command line says no more about which process it is.
const COMMAND_CHARS_MAX: usize = 120;

/// What a port is a port of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transport {
    /// Streams.
    Tcp,
    /// Datagrams.
    Udp,
}

impl Transport {
    /// The kernel's tables of its sockets.
    const fn tables(self) -> [&'static str; 2] {
        match self {
            Self::Tcp => ["/proc/net/tcp", "/proc/net/tcp6"],
            Self::Udp => ["/proc/net/udp", "/proc/net/udp6"],
        }
    }

    /// The state of a socket that holds its port: TCP_LISTEN, or TCP_CLOSE, as datagrams know no
    /// connection (include/net/tcp_states.h).
    const fn holds(self) -> &'static str {
        match self {
            Self::Tcp => "0A",
            Self::Udp => "07",
        }
    }
}

/// `port 8645 is taken by pid 4711 (palisade node run)`, as far as the kernel lets us see.
#[must_use]
pub fn describe_taken(transport: Transport, port: u16) -> String {
    match holder(transport, port) {
        Some((pid, name)) => format!("port {port} is taken by pid {pid} ({name})"),
        None => format!("port {port} is taken"),
    }
}

/// The process that listens on a port: its socket's inode, then whose descriptor that is.
fn holder(transport: Transport, port: u16) -> Option<(u32, String)> {
    let tables = transport.tables();
    let inode = tables
        .iter()
        .filter_map(|table| fs::read_to_string(table).ok())
        .find_map(|table| listening_inode(&table, transport.holds(), port))?;
    let wanted = format!("socket:[{inode}]");
    for entry in fs::read_dir("/proc").ok()?.flatten() {
        let Some(pid) = entry
            .file_name()
            .to_str()
            .and_then(|name| name.parse().ok())
        else {
            continue;
        };
        let Ok(descriptors) = fs::read_dir(entry.path().join("fd")) else {
            continue;
        };
        let holds = descriptors
            .flatten()
            .filter_map(|fd| fs::read_link(fd.path()).ok())
            .any(|target| target.as_os_str() == wanted.as_str());
        if holds {
            return Some((pid, command(&entry.path())));
        }
    }
    None
}

/// What runs there, as a person would have typed it; by the kernel's short name if there is no line.
fn command(process: &Path) -> String {
    let line = fs::read(process.join("cmdline")).unwrap_or_default();
    let words = line.split(|byte| *byte == 0);
    let words: Vec<String> = words
        .map(|word| String::from_utf8_lossy(word).into_owned())
        .filter(|word| !word.is_empty())
        .collect();
    let text = match words.as_slice() {
        [] => fs::read_to_string(process.join("comm")).unwrap_or_default(),
        // Nobody types the hidden mode: a supervisor is the net that it holds.
        [_, mode, dir, ..] if mode == crate::supervisor::MODE => {
            let from = fs::read_link(process.join("cwd")).unwrap_or_default();
            format!("palisade testnet up, in {}", from.join(dir).display())
        }
        [program, arguments @ ..] => {
            let name = Path::new(program).file_name().unwrap_or_default();
            let mut typed = vec![name.to_string_lossy().into_owned()];
            typed.extend_from_slice(arguments);
            typed.join(" ")
        }
    };
    shown(text.trim())
}

/// Somebody else's command line goes to a terminal: no control characters, and not endlessly.
fn shown(text: &str) -> String {
    let plain = |c: char| if c.is_control() { '?' } else { c };
    let mut shown: String = text.chars().take(COMMAND_CHARS_MAX).map(plain).collect();
    if text.chars().nth(COMMAND_CHARS_MAX).is_some() {
        shown.push('…');
    }
    shown
}

/// Field 2 is `address:port` in hexadecimal, field 4 the state, field 10 the inode (proc(5),
/// /proc/net/tcp and /proc/net/udp).
fn listening_inode(table: &str, state: &str, port: u16) -> Option<u64> {
    table.lines().skip(1).find_map(|line| {
        let fields: Vec<&str> = line.split_whitespace().collect();
        let (_, found) = fields.get(1)?.rsplit_once(':')?;
        let listens = *fields.get(3)? == state;
        (listens && u16::from_str_radix(found, 16) == Ok(port))
            .then(|| fields.get(9)?.parse().ok())
            .flatten()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_taken_port_names_its_holder() {
        let stream = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let datagrams = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
        for (transport, address) in [
            (Transport::Tcp, stream.local_addr().unwrap()),
            (Transport::Udp, datagrams.local_addr().unwrap()),
        ] {
            let text = describe_taken(transport, address.port());
            let pid = format!("pid {}", std::process::id());
            assert!(text.contains(&pid), "{text}");
            let own = std::env::args().next().unwrap();
            let own = Path::new(&own).file_name().unwrap().to_string_lossy();
            assert!(text.contains(&format!("({own}")), "{text}");
        }
    }

    fn of(cmdline: &[u8]) -> String {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("cmdline"), cmdline).unwrap();
        fs::write(dir.path().join("comm"), "exe\n").unwrap();
        std::os::unix::fs::symlink("/home/me", dir.path().join("cwd")).unwrap();
        command(dir.path())
    }

    #[test]
    fn commands_are_named_as_they_are_typed() {
        assert_eq!(
            of(b"palisade\0--home\0x/nodes/alice\0node\0run\0"),
            "palisade --home x/nodes/alice node run"
        );
        assert_eq!(
            of(b"/usr/bin/python3\0-m\0http.server\0"),
            "python3 -m http.server"
        );
        assert_eq!(
            of(b"palisade\0__supervise\0palisade-testnet/two\0--tied\09\0"),
            "palisade testnet up, in /home/me/palisade-testnet/two"
        );
        // A process that ended or belongs to the kernel has no line.
        assert_eq!(of(b""), "exe");
    }

    #[test]
    fn a_foreign_command_line_cannot_write_on_the_terminal() {
        assert_eq!(of(b"x\0\x1b[2J\nz\0"), "x ?[2J?z");
        let long = of(&b"y".repeat(5000));
        assert_eq!(long.chars().count(), COMMAND_CHARS_MAX + 1);
    }
}
