//! Who holds a port, by name, so that the error says what to end.

use std::fs;

/// `port 8645 is taken by pid 4711 (palisade)`, as far as the kernel lets us see.
#[must_use]
pub fn describe_taken(port: u16) -> String {
    match holder(port) {
        Some((pid, name)) => format!("port {port} is taken by pid {pid} ({name})"),
        None => format!("port {port} is taken"),
    }
}

/// The process that listens on a TCP port: its socket's inode, then whose descriptor that is.
fn holder(port: u16) -> Option<(u32, String)> {
    let inode = ["/proc/net/tcp", "/proc/net/tcp6"]
        .iter()
        .filter_map(|table| fs::read_to_string(table).ok())
        .find_map(|table| listening_inode(&table, port))?;
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
            let name = fs::read_to_string(entry.path().join("comm")).unwrap_or_default();
            return Some((pid, name.trim().to_owned()));
        }
    }
    None
}

/// Field 2 is `address:port` in hexadecimal, field 4 the state (0A listens), field 10 the inode
/// (proc(5), /proc/net/tcp).
fn listening_inode(table: &str, port: u16) -> Option<u64> {
    table.lines().skip(1).find_map(|line| {
        let fields: Vec<&str> = line.split_whitespace().collect();
        let (_, found) = fields.get(1)?.rsplit_once(':')?;
        let listens = *fields.get(3)? == "0A";
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
        let socket = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let port = socket.local_addr().unwrap().port();
        let text = describe_taken(port);
        assert!(
            text.contains(&format!("pid {}", std::process::id())),
            "{text}"
        );
    }
}
