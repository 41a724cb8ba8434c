//! The supervisor's main loop: start, watch, obey, end.

use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::Duration;

use anyhow::{Context, Result, bail};

use super::control::{Asked, Fault, Request, Response, hold, listen};
use super::ended;
use super::node::{Node, NodeState};
use crate::client::Api;
use crate::clock::Deadline;
use crate::error::CommandError;
use crate::files::{Endpoint, Endpoints, NetDir};
use crate::plan::{Plan, PlannedNode};
use crate::ports::Transport;
use crate::slot::Slot;

const API_PORT: u16 = 8645;
const METRICS_PORT: u16 = 9464;
/// How often ends of processes are noticed.
const WATCH_INTERVAL: Duration = Duration::from_millis(50);
/// A node ends by itself within this, or is killed.
const STOP_TIMEOUT: Duration = Duration::from_millis(1500);
/// All nodes answer `/livez` and have a first block within this, or `up` fails.
const READY_TIMEOUT: Duration = Duration::from_secs(60);

/// Runs a net until it is told to end: the whole of `palisade __supervise DIR [--tied PID]`.
///
/// # Errors
/// If the net is up already, or cannot be started.
pub fn supervise(dir: &NetDir, tied_to: Option<u32>) -> Result<()> {
    if let Some(parent) = tied_to {
        die_with(parent)?;
    }
    let _lock = hold(dir)?;
    let plan: Plan = dir
        .read("plan.json")?
        .context("no plan.json: `palisade testnet up` makes it")?;
    let _slot = Slot::take(plan.slot, dir)?;
    let stop = Arc::new(AtomicBool::new(false));
    for signal in [signal_hook::consts::SIGTERM, signal_hook::consts::SIGINT] {
        signal_hook::flag::register(signal, Arc::clone(&stop))?;
    }
    let requests = listen(dir)?;
    let mut net = Net {
        dir: dir.clone(),
        nodes: sockets(&plan)?,
        plan,
        ready: false,
    };
    let result = net.run(&requests, &stop);
    let ended = net.end();
    dir.remove("endpoints.json");
    dir.remove("supervisor.sock");
    result.and(ended)
}

/// Ends this process when its parent ends, even by SIGKILL.
///
/// # Errors
/// If the parent is gone already.
pub fn die_with(parent: u32) -> Result<()> {
    nix::sys::prctl::set_pdeathsig(nix::sys::signal::Signal::SIGKILL)?;
    let now = u32::try_from(nix::unistd::getppid().as_raw())?;
    if now == parent {
        return Ok(());
    }
    bail!("the parent process {parent} is gone")
}

struct Net {
    dir: NetDir,
    plan: Plan,
    nodes: Vec<Node>,
    ready: bool,
}

impl Net {
    fn run(&mut self, requests: &Receiver<Asked>, stop: &AtomicBool) -> Result<()> {
        for node in &mut self.nodes {
            if node.plan.start_at.is_none() {
                node.start(&self.dir)?;
            }
        }
        let deadline = Deadline::after(READY_TIMEOUT);
        while !stop.load(Ordering::Relaxed) {
            match requests.recv_timeout(WATCH_INTERVAL) {
                Ok((Request::Down, reply)) => {
                    let ended = self.end();
                    let error = ended.err().map(|error| format!("{error:#}"));
                    // The asker may be gone; the net is down all the same.
                    drop(reply.send(self.response(error)));
                    return Ok(());
                }
                Ok((request, reply)) => {
                    let error = self.obey(&request).err().map(|error| format!("{error:#}"));
                    drop(reply.send(self.response(error)));
                }
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => bail!("the control thread ended"),
            }
            self.watch()?;
            if !self.ready {
                self.become_ready(&deadline)?;
            }
        }
        Ok(())
    }

    fn response(&self, error: Option<String>) -> Response {
        Response {
            error,
            nodes: self.nodes.iter().map(Node::report).collect(),
        }
    }

    /// Notices ended processes and starts those whose height has come.
    fn watch(&mut self) -> Result<()> {
        for node in &mut self.nodes {
            if node.reap()? {
                tracing::info!(node = %node.plan.name, state = ?node.state(), "node_ended");
            }
            if node.state() == NodeState::Running {
                node.tell_profile(&self.dir);
            }
        }
        let late = self
            .nodes
            .iter()
            .position(|node| node.state() == NodeState::Waiting);
        let Some(late) = late.filter(|_| self.ready) else {
            return Ok(());
        };
        let height = self
            .nodes
            .iter()
            .find(|node| node.state() == NodeState::Running)
            .and_then(|node| Api::new(node.api_url()).height().ok());
        if height >= self.nodes[late].plan.start_at {
            self.nodes[late].start(&self.dir)?;
        }
        Ok(())
    }

    /// Publishes the endpoints once every started node has a block.
    fn become_ready(&mut self, deadline: &Deadline) -> Result<()> {
        let started = self
            .nodes
            .iter()
            .filter(|node| node.state() != NodeState::Waiting);
        for node in started.clone() {
            if !node.runs() {
                let exit_code = node.report().exit_code;
                return Err(ended::why(&self.dir, &node.plan.name, exit_code).into());
            }
        }
        let mut apis = started.map(|node| Api::new(node.api_url()));
        if apis.all(|api| api.height().is_ok_and(|height| height >= 1)) {
            self.ready = true;
            return self.dir.write("endpoints.json", &self.endpoints());
        }
        if deadline.passed() {
            return Err(ended::no_block(&self.dir, READY_TIMEOUT.as_secs()).into());
        }
        Ok(())
    }

    fn endpoints(&self) -> Endpoints {
        let endpoint = |node: &Node| Endpoint {
            name: node.plan.name.clone(),
            pid: node.report().pid,
            validator: node.plan.validator.clone(),
            peer_id: node.plan.peer_id.clone(),
            api: node.api_url(),
            metrics: node.metrics_url(),
            p2p: node.plan.p2p.clone(),
            byzantine: node
                .plan
                .byzantine
                .as_ref()
                .map(|(profile, _)| profile.clone()),
        };
        Endpoints {
            schema: "palisade.endpoints/1".into(),
            name: self.plan.name.clone(),
            chain_name: self.plan.chain_name.clone(),
            chain_id: self.plan.chain_id.clone(),
            supervisor_pid: std::process::id(),
            api: self.nodes.first().map(Node::api_url).unwrap_or_default(),
            nodes: self.nodes.iter().map(endpoint).collect(),
        }
    }

    fn obey(&mut self, request: &Request) -> Result<()> {
        let Request::Fault { kind, nodes } = request else {
            return Ok(());
        };
        for name in nodes {
            if self.plan.node(name).is_none() {
                bail!("no node `{name}`: {}", self.plan.names().join(", "));
            }
        }
        for node in self
            .nodes
            .iter_mut()
            .filter(|node| nodes.contains(&node.plan.name))
        {
            match kind {
                Fault::Kill => node.kill()?,
                Fault::Pause => node.pause()?,
                Fault::Resume if node.runs() => node.resume()?,
                Fault::Resume => node.start_again(&self.dir)?,
                Fault::Restart => {
                    stop(&mut [node])?;
                    node.start_again(&self.dir)?;
                }
            }
        }
        if self.ready {
            self.dir.write("endpoints.json", &self.endpoints())?;
        }
        Ok(())
    }

    fn end(&mut self) -> Result<()> {
        stop(&mut self.nodes.iter_mut().collect::<Vec<_>>())
    }
}

/// Asks the nodes to end, then kills those that do not.
fn stop(nodes: &mut [&mut Node]) -> Result<()> {
    for node in nodes.iter() {
        node.terminate()?;
    }
    let deadline = Deadline::after(STOP_TIMEOUT);
    while nodes.iter().any(|node| node.runs()) {
        if deadline.passed() {
            for node in nodes.iter_mut() {
                node.kill()?;
            }
        }
        for node in nodes.iter_mut() {
            node.reap()?;
        }
        std::thread::park_timeout(Duration::from_millis(10));
    }
    Ok(())
}

/// Opens every node's sockets before any node starts, so that no port can be taken in between.
fn sockets(plan: &Plan) -> Result<Vec<Node>> {
    let mut nodes = Vec::new();
    for (index, node) in plan.nodes.iter().cloned().enumerate() {
        let node: PlannedNode = node;
        let (api, metrics) = if index == 0 {
            (
                first("--api-port", plan.api_port, API_PORT)?,
                first("--metrics-port", plan.metrics_port, METRICS_PORT)?,
            )
        } else {
            (bind(0)?, bind(0)?)
        };
        nodes.push(Node::new(node, api, metrics));
    }
    Ok(nodes)
}

fn bind(port: u16) -> std::io::Result<TcpListener> {
    TcpListener::bind(SocketAddr::from((Ipv4Addr::LOCALHOST, port)))
}

/// The asked port or an error; without one the usual port or any.
fn first(flag: &str, asked: Option<u16>, usual: u16) -> Result<TcpListener> {
    match asked {
        Some(port) => bind(port).map_err(|error| {
            let detail = match error.kind() {
                std::io::ErrorKind::AddrInUse => crate::ports::describe_taken(Transport::Tcp, port),
                _ => format!("port {port}: {error}"),
            };
            let hint = format!("end what holds it, or give another {flag}");
            CommandError::unavailable(detail, hint).into()
        }),
        None => Ok(bind(usual).or_else(|_| bind(0))?),
    }
}
