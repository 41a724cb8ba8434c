//! Listeners, and the limits that hold before a request is read.

use std::any::Any;
use std::collections::HashMap;
use std::net::{IpAddr, TcpListener};
use std::os::fd::AsRawFd as _;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::sync::mpsc::sync_channel;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use actix_web::dev::{Extensions, ServerHandle};
use actix_web::rt::System;
use actix_web::rt::net::{TcpStream, UnixStream};
use actix_web::{App, HttpServer, web};
use anyhow::{Context as _, Result};

use super::dispatch::{Door, PeerUser, dispatch};
use super::routes::Listener;
use super::shared::Shared;
use crate::panic;

/// Connections of one address; one developer's machine is allowed more.
const CONNECTIONS_PER_ADDRESS: usize = 16;
const CONNECTIONS_LOOPBACK: usize = 256;
const CONNECTIONS_PER_WORKER: usize = 512;
const WORKERS: usize = 2;
const BACKLOG: u32 = 256;
const HEAD_TIME: Duration = Duration::from_secs(5);
const KEEP_ALIVE: Duration = Duration::from_secs(15);
const DISCONNECT_TIME: Duration = Duration::from_secs(1);
const SHUTDOWN_SECONDS: u64 = 2;

/// Where the node listens.
#[derive(Debug)]
pub(crate) struct Listeners {
    /// For anybody.
    pub(crate) api: TcpListener,
    /// For Prometheus.
    pub(crate) metrics: TcpListener,
    /// For the node's own user.
    pub(crate) admin: UnixListener,
}

/// The running servers.
#[derive(Debug)]
pub(crate) struct Served {
    handles: Vec<ServerHandle>,
    thread: JoinHandle<()>,
}

/// Makes the admin socket. A stale one goes: the caller holds the home's lock, so nobody uses it.
pub(crate) fn admin_socket(run: &Path) -> Result<UnixListener> {
    // Through the open directory, because a socket's path holds 108 bytes only.
    let dir = std::fs::File::open(run).with_context(|| run.display().to_string())?;
    let path = format!("/proc/self/fd/{}/admin.sock", dir.as_raw_fd());
    if let Err(error) = std::fs::remove_file(&path)
        && error.kind() != std::io::ErrorKind::NotFound
    {
        return Err(error).with_context(|| format!("{}/admin.sock", run.display()));
    }
    let listener =
        UnixListener::bind(&path).with_context(|| format!("{}/admin.sock", run.display()))?;
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600))?;
    Ok(listener)
}

/// Starts serving on threads of its own.
pub(crate) fn serve(shared: Arc<Shared>, listeners: Listeners) -> Result<Served> {
    let (send, receive) = sync_channel(1);
    let work = move || {
        System::new().block_on(async move {
            let started = start(shared, listeners);
            let running = match started {
                Ok((handles, running)) => {
                    drop(send.send(Ok(handles)));
                    running
                }
                Err(error) => {
                    drop(send.send(Err(error)));
                    return;
                }
            };
            futures::future::join_all(running).await;
        });
    };
    let thread = std::thread::Builder::new().name("api".into()).spawn(work)?;
    let handles = receive.recv().context("the API thread has ended")??;
    Ok(Served { handles, thread })
}

type Started = (Vec<ServerHandle>, Vec<actix_web::dev::Server>);

fn start(shared: Arc<Shared>, listeners: Listeners) -> Result<Started> {
    let public = tcp(shared.clone(), Listener::Public, listeners.api)?;
    let metrics = tcp(shared.clone(), Listener::Metrics, listeners.metrics)?;
    let admin = unix(shared, listeners.admin)?;
    let servers = vec![public, metrics, admin];
    Ok((
        servers.iter().map(actix_web::dev::Server::handle).collect(),
        servers,
    ))
}

macro_rules! server {
    ($shared:expr, $listener:expr, $on_connect:expr) => {{
        let shared = web::Data::from($shared);
        let door = web::Data::new(Door {
            listener: $listener,
        });
        HttpServer::new(move || {
            // Runs on each worker's own thread: from here on its panics are answers.
            panic::catch_on_this_thread();
            App::new()
                .app_data(shared.clone())
                .app_data(door.clone())
                .default_service(web::to(dispatch))
        })
        .on_connect($on_connect)
        .workers(WORKERS)
        .max_connections(CONNECTIONS_PER_WORKER)
        .backlog(BACKLOG)
        .client_request_timeout(HEAD_TIME)
        .client_disconnect_timeout(DISCONNECT_TIME)
        .keep_alive(KEEP_ALIVE)
        .shutdown_timeout(SHUTDOWN_SECONDS)
        .disable_signals()
    }};
}

fn tcp(
    shared: Arc<Shared>,
    listener: Listener,
    socket: TcpListener,
) -> Result<actix_web::dev::Server> {
    let census = Census::default();
    let on_connect = move |connection: &dyn Any, data: &mut Extensions| {
        let Some(stream) = connection.downcast_ref::<TcpStream>() else {
            return;
        };
        let Ok(peer) = stream.peer_addr() else { return };
        match census.enter(peer.ip()) {
            Some(guest) => {
                data.insert(guest);
            }
            None => {
                let shut = nix::sys::socket::shutdown(
                    stream.as_raw_fd(),
                    nix::sys::socket::Shutdown::Both,
                );
                // A connection that is gone already needs no closing.
                let _gone = shut.is_err();
            }
        }
    };
    Ok(server!(shared, listener, on_connect).listen(socket)?.run())
}

fn unix(shared: Arc<Shared>, socket: UnixListener) -> Result<actix_web::dev::Server> {
    let on_connect = |connection: &dyn Any, data: &mut Extensions| {
        let stream = connection.downcast_ref::<UnixStream>();
        if let Some(credentials) = stream.and_then(|stream| stream.peer_cred().ok()) {
            data.insert(PeerUser(credentials.uid()));
        }
    };
    Ok(server!(shared, Listener::Admin, on_connect)
        .listen_uds(socket)?
        .run())
}

/// Who is connected, and how often.
#[derive(Clone, Debug, Default)]
struct Census(Arc<Mutex<HashMap<IpAddr, usize>>>);

/// One connection in the census; leaving it is dropping it.
#[derive(Debug)]
struct Guest {
    census: Census,
    peer: IpAddr,
}

impl Census {
    fn enter(&self, peer: IpAddr) -> Option<Guest> {
        let most = if peer.is_loopback() {
            CONNECTIONS_LOOPBACK
        } else {
            CONNECTIONS_PER_ADDRESS
        };
        let mut counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let count = counts.entry(peer).or_insert(0);
        if *count >= most {
            return None;
        }
        *count += 1;
        Some(Guest {
            census: self.clone(),
            peer,
        })
    }
}

impl Drop for Guest {
    fn drop(&mut self) {
        let mut counts = self.census.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = counts.get_mut(&self.peer) {
            *count -= 1;
            if *count == 0 {
                counts.remove(&self.peer);
            }
        }
    }
}

impl Served {
    /// Ends all listeners and waits.
    pub(crate) fn stop(self) {
        for handle in &self.handles {
            // The server ends whether or not anybody waits for the future.
            drop(handle.stop(true));
        }
        drop(self.thread.join());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_census_lets_in_so_many_and_forgets_who_left() {
        let census = Census::default();
        let peer: IpAddr = "192.0.2.1".parse().unwrap();
        let mut guests: Vec<Guest> = (0..100).filter_map(|_| census.enter(peer)).collect();
        assert_eq!(guests.len(), CONNECTIONS_PER_ADDRESS);
        guests.pop();
        assert!(census.enter(peer).is_some());
        drop(guests);
        assert!(census.0.lock().unwrap().is_empty());
    }
}
