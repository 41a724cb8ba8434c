//! Listening sockets: handed in by whoever starts the node, or made here.

use std::net::{SocketAddr, TcpListener};
use std::os::fd::{AsFd as _, OwnedFd};

use anyhow::Result;
use nix::fcntl::{FcntlArg, FdFlag, fcntl};

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
    TcpListener::bind(address).map_err(|error| {
        let code = match error.kind() {
            std::io::ErrorKind::AddrInUse => "port.taken",
            _ => "config.invalid",
        };
        let text = match code {
            "port.taken" => testnet::ports::describe_taken(address.port()),
            _ => error.to_string(),
        };
        Problem::new(code, format!("{section}.listen = {address}: {text}")).into()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

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
