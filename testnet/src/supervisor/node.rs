//! One node's process: how it is started, signalled and reaped.

use std::fs::OpenOptions;
use std::net::TcpListener;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{Child, Command, Stdio};

use anyhow::{Context, Result};
use command_fds::{CommandFdExt, FdMapping};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde::{Deserialize, Serialize};

use super::control::NodeReport;
use crate::files::NetDir;
use crate::plan::PlannedNode;

/// What a node's process does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum NodeState {
    /// Not started yet: `start_at` lies ahead.
    Waiting,
    /// Runs.
    Running,
    /// Stopped by SIGSTOP.
    Paused,
    /// Ended by SIGKILL.
    Killed,
    /// Ended with code 0.
    Stopped,
    /// Ended by itself with another code.
    Halted,
}

impl NodeState {
    /// As documents name it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Running => "running",
            Self::Paused => "paused",
            Self::Killed => "killed",
            Self::Stopped => "stopped",
            Self::Halted => "halted",
        }
    }
}

/// A node with its sockets, which outlive its process so that its addresses never change.
pub(super) struct Node {
    pub plan: PlannedNode,
    api: TcpListener,
    metrics: TcpListener,
    child: Option<Child>,
    state: NodeState,
    restarts: u32,
    exit_code: Option<i32>,
    /// A planned profile that this process was not told of yet.
    untold: bool,
}

impl Node {
    pub(super) fn new(plan: PlannedNode, api: TcpListener, metrics: TcpListener) -> Self {
        let state = NodeState::Waiting;
        Self {
            plan,
            api,
            metrics,
            child: None,
            state,
            restarts: 0,
            exit_code: None,
            untold: false,
        }
    }

    /// Starts the process. Its API and metrics sockets are handed over as LISTEN_FDS 3 and 4.
    pub(super) fn start(&mut self, dir: &NetDir) -> Result<()> {
        let home = dir.home(&self.plan.name);
        let log = dir.log(&self.plan.name);
        let log = OpenOptions::new()
            .create(true)
            .append(true)
            .open(&log)
            .with_context(|| log.display().to_string())?;
        let handed = |socket: &TcpListener, number| -> Result<FdMapping> {
            let parent_fd: OwnedFd = socket.as_fd().try_clone_to_owned()?;
            Ok(FdMapping {
                parent_fd,
                child_fd: number,
            })
        };
        let mut command = Command::new(crate::palisade::SELF);
        command
            .arg0("palisade")
            .arg("--home")
            .arg(&home)
            .args(["--log-format", "json", "node", "run", "--die-with"])
            .arg(std::process::id().to_string())
            .env("LISTEN_FDS", "2")
            .env("LISTEN_FDNAMES", "api:metrics")
            .env_remove("LISTEN_PID")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .process_group(0)
            .fd_mappings(vec![handed(&self.api, 3)?, handed(&self.metrics, 4)?])?;
        self.child = Some(command.spawn().context("cannot start a node")?);
        self.state = NodeState::Running;
        self.exit_code = None;
        self.untold = self.plan.byzantine.is_some();
        Ok(())
    }

    /// Tells a fresh process of its planned profile, once its admin socket answers.
    pub(super) fn tell_profile(&mut self, dir: &NetDir) {
        let Some((profile, height)) = self.plan.byzantine.as_ref().filter(|_| self.untold) else {
            return;
        };
        let home = dir.home(&self.plan.name);
        self.untold = crate::admin::set_byzantine(&home, Some(profile), *height).is_err();
    }

    pub(super) fn start_again(&mut self, dir: &NetDir) -> Result<()> {
        self.restarts += 1;
        self.start(dir)
    }

    pub(super) const fn state(&self) -> NodeState {
        self.state
    }

    pub(super) const fn runs(&self) -> bool {
        self.child.is_some()
    }

    fn signal(&self, signal: Signal) -> Result<()> {
        // The child is not reaped yet, so its pid cannot be anybody else's.
        if let Some(child) = &self.child {
            kill(Pid::from_raw(child.id().try_into()?), signal)?;
        }
        Ok(())
    }

    pub(super) fn kill(&mut self) -> Result<()> {
        if let Some(mut child) = self.child.take() {
            child.kill()?;
            child.wait()?;
            self.state = NodeState::Killed;
        }
        Ok(())
    }

    pub(super) fn pause(&mut self) -> Result<()> {
        self.signal(Signal::SIGSTOP)?;
        if self.runs() {
            self.state = NodeState::Paused;
        }
        Ok(())
    }

    pub(super) fn resume(&mut self) -> Result<()> {
        self.signal(Signal::SIGCONT)?;
        if self.runs() {
            self.state = NodeState::Running;
        }
        Ok(())
    }

    /// Asks it to end. A paused process is woken, or it would never hear.
    pub(super) fn terminate(&self) -> Result<()> {
        self.signal(Signal::SIGTERM)?;
        self.signal(Signal::SIGCONT)
    }

    /// Notices an end; true if the process has just ended.
    pub(super) fn reap(&mut self) -> Result<bool> {
        let Some(child) = &mut self.child else {
            return Ok(false);
        };
        let Some(status) = child.try_wait()? else {
            return Ok(false);
        };
        self.child = None;
        self.exit_code = status.code();
        self.state = match (status.code(), status.signal()) {
            (Some(0), _) => NodeState::Stopped,
            (_, Some(9)) => NodeState::Killed,
            _ => NodeState::Halted,
        };
        Ok(true)
    }

    pub(super) fn api_url(&self) -> String {
        url(&self.api, "")
    }

    pub(super) fn metrics_url(&self) -> String {
        url(&self.metrics, "/metrics")
    }

    pub(super) fn report(&self) -> NodeReport {
        NodeReport {
            name: self.plan.name.clone(),
            pid: self.child.as_ref().map(Child::id),
            state: self.state,
            restarts: self.restarts,
            exit_code: self.exit_code,
            api: self.api_url(),
            metrics: self.metrics_url(),
        }
    }
}

fn url(socket: &TcpListener, path: &str) -> String {
    socket.local_addr().map_or_else(
        |_| String::new(),
        |address| format!("http://{address}{path}"),
    )
}
