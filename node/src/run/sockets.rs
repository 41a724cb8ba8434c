//! Listening sockets: handed in by whoever starts the node, or made here.

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::os::fd::{AsFd as _, OwnedFd};

use anyhow::Result;
use nix::fcntl::{FcntlArg, FdFlag, fcntl};
use testnet::ports::Transport;

use crate::config::Config;
use crate::problem::Problem;

/// What was handed in.
#[derive(Debug, Default)]
pub(crate) struct Handed {
    api: Option<TcpListener>,
    metrics: Option<TcpListener>,
}

/// Takes `LISTEN_FDS` by the names in `LISTEN_FDNAMES` (`api`, `metrics`; that order without names).
/// Must be called before this process opens anything.
pub(crate) fn handed() -> Handed {
    let count = std::env::var("LISTEN_FDS")
        .ok()
        .and_then(|text| text.parse::<usize>().ok());
    let foreign =
        std::env::var("LISTEN_PID").is_ok_and(|pid| pid != std::process::id().to_string());
    let Some(count) = count.filter(|count| *count > 0 && !foreign) else {
        return Handed::default();
    };
    let names = std::env::var("LISTEN_FDNAMES").unwrap_or_else(|_| "api:metrics".to_owned());
    let mut handed = Handed::default();
    let sockets = sandbox::inherited().into_iter().take(count);
    for (socket, name) in sockets.zip(names.split(':')) {
        let Some(socket) = listener(socket) else {
            continue;
        };
        match name {
            "api" => handed.api = Some(socket),
            "metrics" => handed.metrics = Some(socket),
            _ => {}
        }
    }
    handed
}

/// Our children must not inherit it.
fn listener(socket: OwnedFd) -> Option<TcpListener> {
    fcntl(socket.as_fd(), FcntlArg::F_SETFD(FdFlag::FD_CLOEXEC)).ok()?;
    let socket = TcpListener::from(socket);
    socket.local_addr().ok()?;
    Some(socket)
}

/// The two listeners of a node.
#[derive(Debug)]
pub(crate) struct Sockets {
    /// For anybody.
    pub(crate) api: TcpListener,
    /// For Prometheus.
    pub(crate) metrics: TcpListener,
}

impl Sockets {
    /// Uses what was handed in and binds the rest.
    pub(crate) fn open(handed: Handed, config: &Config) -> Result<Self> {
        let api = handed
            .api
            .map_or_else(|| bind("api", config.api.listen), Ok)?;
        let metrics = handed
            .metrics
            .map_or_else(|| bind("metrics", config.metrics.listen), Ok)?;
        for socket in [&api, &metrics] {
            socket.set_nonblocking(true)?;
        }
        Ok(Self { api, metrics })
    }

    /// Whether either can be reached from another host.
    pub(crate) fn exposed(&self) -> bool {
        let off = |socket: &TcpListener| {
            socket
                .local_addr()
                .is_ok_and(|address| !address.ip().is_loopback())
        };
        off(&self.api) || off(&self.metrics)
    }
}

fn bind(section: &str, address: SocketAddr) -> Result<TcpListener> {
    TcpListener::bind(address)
        .map_err(|error| refused(section, &address.to_string(), &error).into())
}

/// Why nothing listens where a section of the configuration says: its port has somebody else, who is
/// named, or this host has no such address.
pub(super) fn refused(section: &str, address: &str, error: &io::Error) -> Problem {
    let code = match error.kind() {
        io::ErrorKind::AddrInUse => "port.taken",
        _ => "config.invalid",
    };
    let text = taken(address, error).unwrap_or_else(|| error.to_string());
    Problem::new(code, format!("{section}.listen = {address}: {text}"))
}

/// Whoever has the port of an address, as far as the kernel lets us see.
pub(crate) fn taken(address: &str, error: &io::Error) -> Option<String> {
    if error.kind() != io::ErrorKind::AddrInUse {
        return None;
    }
    let (address, transport) = match address.parse() {
        Ok(address) => (address, Transport::Tcp),
        Err(_) => socket_of(address)?,
    };
    Some(testnet::ports::describe_taken(transport, address.port()))
}

/// The socket of a multiaddress.
pub(crate) fn socket_of(text: &str) -> Option<(SocketAddr, Transport)> {
    let mut words = text.split('/').skip(1);
    let (family, ip) = (words.next()?, words.next()?);
    let (protocol, port) = (words.next()?, words.next()?);
    let transport = match protocol {
        "tcp" => Transport::Tcp,
        "udp" => Transport::Udp,
        _ => return None,
    };
    if !["ip4", "ip6"].contains(&family) {
        return None;
    }
    let address = SocketAddr::new(ip.parse().ok()?, port.parse().ok()?);
    Some((address, transport))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sockets_of_multiaddresses() {
        let quic = socket_of("/ip4/127.0.0.1/udp/8640/quic-v1").unwrap();
        assert_eq!(quic, ("127.0.0.1:8640".parse().unwrap(), Transport::Udp));
        let tcp = socket_of("/ip6/::1/tcp/1").unwrap();
        assert_eq!(tcp, ("[::1]:1".parse().unwrap(), Transport::Tcp));
        for bad in [
            "",
            "/dns4/x/tcp/1",
            "/ip4/127.0.0.1",
            "/ip4/x/tcp/1",
            "/ip4/1.2.3.4/sctp/1",
        ] {
            assert!(socket_of(bad).is_none(), "{bad}");
        }
    }

    #[test]
    fn a_taken_port_is_named() {
        let taken = TcpListener::bind("127.0.0.1:0").unwrap();
        let error = bind("api", taken.local_addr().unwrap()).unwrap_err();
        let problem = error.downcast_ref::<Problem>().unwrap();
        assert_eq!(
            (problem.code.as_str(), problem.exit_code),
            ("port.taken", 4)
        );
        assert!(
            problem
                .detail
                .contains(&taken.local_addr().unwrap().to_string())
        );
    }
}
