//! A net by name: its folder, its plan, its supervisor. What every command starts from.

use std::fs::File;
use std::io::Read as _;
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result};

use crate::client::Api;
use crate::clock::poll;
use crate::error::CommandError;
use crate::files::{Endpoints, NetDir};
use crate::plan::Plan;
use crate::supervisor::{LastWords, MODE, NodeReport, NodeState, Request, call, running_pid};
use crate::view::LiveView;

/// The supervisor has its endpoints or is gone within this.
const UP_TIMEOUT: Duration = Duration::from_secs(75);
/// A net is down within this, or something is wrong.
const DOWN_TIMEOUT: Duration = Duration::from_secs(10);

/// One node of a sound net is ready within this, also of one that has just come up.
const READY_TIMEOUT: Duration = Duration::from_secs(10);

/// Names of nodes that were told to misbehave.
const LIARS: &str = "liars.json";

/// Whether a net lives on when the command that started it ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tie {
    /// It ends with this process, however that ends.
    Tied,
    /// It stays.
    Detached,
}

/// A net whose folder exists.
#[derive(Debug, Clone)]
pub struct Net {
    /// Its folder.
    pub dir: NetDir,
    /// What it is made of.
    pub plan: Plan,
}

impl Net {
    /// The net in a folder.
    ///
    /// # Errors
    /// [`CommandError`] if there is none.
    pub fn open(dir: NetDir) -> Result<Self> {
        let plan: Plan = dir.read("plan.json")?.ok_or_else(|| missing(&dir))?;
        if plan.nodes.is_empty() {
            return Err(CommandError::damaged(&dir.file("plan.json"), &"it has no nodes").into());
        }
        Ok(Self { dir, plan })
    }

    /// The running supervisor's pid.
    ///
    /// # Errors
    /// If the lock cannot be read.
    pub fn supervisor(&self) -> Result<Option<u32>> {
        running_pid(&self.dir)
    }

    /// Starts the supervisor and waits until every node has its first block.
    ///
    /// # Errors
    /// [`CommandError`] with the end of the supervisor's log.
    pub fn start(&self, tie: Tie) -> Result<Endpoints> {
        self.require_down()?;
        self.dir.remove("endpoints.json");
        let mut child = self.spawn_supervisor(tie).map_err(CommandError::of_disk)?;
        let answer = poll(UP_TIMEOUT, || match child.try_wait() {
            Ok(None) => self
                .dir
                .read::<Endpoints>("endpoints.json")
                .ok()
                .flatten()
                .map(Some),
            Ok(Some(_)) | Err(_) => Some(None),
        });
        match answer.flatten() {
            Some(endpoints) => Ok(endpoints),
            None => Err(not_started(&mut child).into()),
        }
    }

    /// Refuses a net that runs.
    ///
    /// # Errors
    /// [`CommandError`] with its supervisor's pid.
    pub fn require_down(&self) -> Result<()> {
        let Some(pid) = self.supervisor()? else {
            return Ok(());
        };
        let detail = format!("`{}` is already up, pid {pid}", self.plan.name);
        let hint = "`palisade testnet status` shows it, `palisade testnet down` ends it";
        Err(CommandError::unavailable(detail, hint).into())
    }

    fn spawn_supervisor(&self, tie: Tie) -> Result<Child> {
        let log = self.dir.file("supervisor.log");
        let log = File::create(&log).with_context(|| format!("cannot write {}", log.display()))?;
        let mut command = Command::new(crate::palisade::SELF);
        command.arg0("palisade").arg(MODE).arg(self.dir.path());
        if tie == Tie::Tied {
            command.arg("--tied").arg(std::process::id().to_string());
        }
        command
            .process_group(0)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(log)
            .spawn()
            .context("cannot start the supervisor")
    }

    /// Asks the supervisor something.
    ///
    /// # Errors
    /// [`CommandError`] if none runs.
    pub fn ask(&self, request: &Request) -> Result<Vec<NodeReport>> {
        ask(&self.dir, request)
    }

    /// The nodes' processes.
    ///
    /// # Errors
    /// As [`Self::ask`].
    pub fn nodes(&self) -> Result<Vec<NodeReport>> {
        self.ask(&Request::Status)
    }

    /// One node's API.
    ///
    /// # Errors
    /// If there is no such node, or no net.
    pub fn api(&self, node: &str) -> Result<Api> {
        let nodes = self.nodes()?;
        let found = nodes.into_iter().find(|report| report.name == node);
        let report = found.ok_or_else(|| {
            let known = self.plan.names().join(", ");
            CommandError::not_found(format!("no node `{node}`"), format!("there are {known}"))
        })?;
        Ok(Api::new(report.api))
    }

    /// The API of the first node that is ready: any will do for what goes to all of them.
    ///
    /// # Errors
    /// [`CommandError`] if none becomes ready, or no net runs.
    pub fn ready_api(&self) -> Result<Api> {
        let reports = self.nodes()?;
        let running = reports
            .into_iter()
            .filter(|report| report.state == NodeState::Running);
        let apis: Vec<Api> = running.map(|report| Api::new(report.api)).collect();
        let ready = || apis.iter().find(|api| api.answers("/readyz")).cloned();
        poll(READY_TIMEOUT, ready).ok_or_else(|| {
            let detail = format!("no node of `{}` is ready", self.plan.name);
            let hint = "`palisade testnet status` shows them, `palisade testnet fault resume` \
                        starts one that was killed";
            CommandError::unavailable(detail, hint).into()
        })
    }

    /// A fresh look at the net.
    ///
    /// # Errors
    /// If no net runs.
    pub fn view(&self) -> Result<LiveView<'_>> {
        Ok(LiveView::new(
            &self.dir,
            &self.plan,
            self.nodes()?,
            &self.liars()?,
        ))
    }

    /// Nodes that were told to misbehave since the net was made: honest is who never was.
    ///
    /// # Errors
    /// If the list cannot be read.
    pub fn liars(&self) -> Result<Vec<String>> {
        Ok(self.dir.read(LIARS)?.unwrap_or_default())
    }

    /// Remembers that a node was told to misbehave.
    ///
    /// # Errors
    /// If the list cannot be written.
    pub fn add_liar(&self, node: &str) -> Result<()> {
        let mut liars = self.liars()?;
        if !liars.iter().any(|known| known == node) {
            liars.push(node.to_owned());
        }
        self.dir.write(LIARS, &liars)
    }

    /// Ends the net; fine if it is down already.
    ///
    /// # Errors
    /// If the supervisor does not end.
    pub fn stop(&self) -> Result<()> {
        end(&self.dir).map(drop)
    }
}

/// That a folder holds no net.
#[must_use]
pub fn missing(dir: &NetDir) -> CommandError {
    let hint = "`palisade testnet up` makes one";
    CommandError::not_found(format!("no net in {}", dir.path().display()), hint)
}

fn ask(dir: &NetDir, request: &Request) -> Result<Vec<NodeReport>> {
    let answer = call(dir, request).map_err(|error| {
        CommandError::unavailable(format!("{error:#}"), "`palisade testnet up` starts the net")
    })?;
    Ok(answer.nodes)
}

/// Ends the net of a folder and says whether it ran. The lock and the socket are enough for that: a
/// net with a damaged plan ends as well.
///
/// # Errors
/// If the supervisor does not end.
pub fn end(dir: &NetDir) -> Result<bool> {
    if running_pid(dir)?.is_none() {
        return Ok(false);
    }
    // The supervisor may end before it answers: only the lock counts.
    let asked = ask(dir, &Request::Down);
    let ended = poll(DOWN_TIMEOUT, || {
        running_pid(dir).ok().filter(Option::is_none)
    });
    ended.ok_or_else(|| {
        let why = asked
            .err()
            .map_or_else(String::new, |error| format!(": {error}"));
        CommandError::unavailable(format!("the net does not end{why}"), "end its supervisor")
    })?;
    Ok(true)
}

/// What a supervisor that ended, or is not ready in time, leaves to say.
fn not_started(child: &mut Child) -> CommandError {
    let mut said = String::new();
    match (child.try_wait(), child.stdout.take()) {
        (Ok(Some(_)), Some(out)) => {
            // What cannot be read is missing from the message, and the message is what counts.
            drop(out.take(LastWords::BYTES_MAX).read_to_string(&mut said));
        }
        _ => said.push_str("its supervisor is not ready in time"),
    }
    let words = LastWords::read(&said);
    let hint = words.hint.unwrap_or_else(|| {
        "`palisade testnet logs` and supervisor.log in the net's folder say more".to_owned()
    });
    CommandError::unavailable(format!("the net did not start: {}", words.detail), hint)
}
