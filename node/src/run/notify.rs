//! What the service manager is told: ready, alive, stopping (`sd_notify`'s protocol, one datagram
//! each). Silent where nobody asked.

use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::time::Duration;

use actors::handle::NodeHandle;

/// An actor that does not answer in this time is stuck.
const PING_TIME: Duration = Duration::from_secs(2);

/// Tells the service manager that the node answers.
pub(super) fn ready() {
    say("READY=1");
}

/// Tells it that the end is near and meant.
pub(super) fn stopping() {
    say("STOPPING=1");
}

/// How often the manager wants a sign of life: half of what it will wait for one.
pub(super) fn beat() -> Option<Duration> {
    let foreign =
        std::env::var("WATCHDOG_PID").is_ok_and(|pid| pid != std::process::id().to_string());
    let wanted = std::env::var("WATCHDOG_USEC").ok()?.parse::<u64>().ok()?;
    (!foreign && wanted > 0).then(|| Duration::from_micros(wanted) / 2)
}

/// Pings every actor, as `/livez` does, and passes the answer on.
pub(super) async fn alive(node: &NodeHandle) {
    if let Ok(Ok(())) = tokio::time::timeout(PING_TIME, node.ping()).await {
        say("WATCHDOG=1");
    }
}

fn say(state: &str) {
    let Some(path) = std::env::var_os("NOTIFY_SOCKET") else {
        return;
    };
    if let Err(error) = send(path.as_bytes(), state) {
        tracing::warn!(%error, state, "service_manager_unreachable");
    }
}

/// A path, or `@` and a name in the abstract namespace.
fn send(address: &[u8], state: &str) -> std::io::Result<()> {
    let address = match address.strip_prefix(b"@") {
        Some(name) => SocketAddr::from_abstract_name(name)?,
        None => SocketAddr::from_pathname(std::ffi::OsStr::from_bytes(address))?,
    };
    let socket = UnixDatagram::unbound()?;
    socket.send_to_addr(state.as_bytes(), &address).map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn heard(socket: &UnixDatagram) -> String {
        let mut bytes = [0; 64];
        let length = socket.recv(&mut bytes).unwrap();
        String::from_utf8_lossy(&bytes[..length]).into_owned()
    }

    #[test]
    fn both_kinds_of_address_are_reached() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("notify");
        let socket = UnixDatagram::bind(&path).unwrap();
        send(path.as_os_str().as_bytes(), "READY=1").unwrap();
        assert_eq!(heard(&socket), "READY=1");
        let name = format!("palisade-test-{}", std::process::id());
        let address = SocketAddr::from_abstract_name(&name).unwrap();
        let socket = UnixDatagram::bind_addr(&address).unwrap();
        send(format!("@{name}").as_bytes(), "WATCHDOG=1").unwrap();
        assert_eq!(heard(&socket), "WATCHDOG=1");
        assert!(send(b"/nowhere/at/all", "READY=1").is_err());
    }
}
