//! What a supervisor is asked and answers: one JSON object a line over `supervisor.sock`.

use std::io::{BufRead, BufReader, Read, Write};
use std::os::fd::AsRawFd;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::PathBuf;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use serde::{Deserialize, Serialize};

use super::node::NodeState;
use crate::files::NetDir;
use crate::lock;

const SOCKET: &str = "supervisor.sock";
const LOCK: &str = "supervisor.lock";
/// Requests and answers are short; a longer line is no request.
const LINE_BYTES_MAX: u64 = 64 << 10;
/// A restart ends one node and starts it again, which a supervisor waits for.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(15);

/// What is done to a node's process.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Fault {
    /// SIGKILL.
    Kill,
    /// SIGSTOP.
    Pause,
    /// SIGCONT, or a start if it was killed.
    Resume,
    /// SIGTERM, then a start.
    Restart,
}

/// A request to the supervisor.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "cmd", rename_all = "kebab-case")]
pub enum Request {
    /// How the nodes are.
    Status,
    /// Do this to these nodes.
    Fault {
        /// What.
        kind: Fault,
        /// To whom.
        nodes: Vec<String>,
    },
    /// End all nodes and the supervisor.
    Down,
}

/// One node's process.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NodeReport {
    /// Its name.
    pub name: String,
    /// Its process, while there is one.
    pub pid: Option<u32>,
    /// Running, paused, killed, stopped or halted.
    pub state: NodeState,
    /// How often it was started again.
    pub restarts: u32,
    /// Its last exit code, if it ended by itself.
    pub exit_code: Option<i32>,
    /// Base URL of its API.
    pub api: String,
    /// URL of its metrics.
    pub metrics: String,
}

/// The supervisor's answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Response {
    /// Why the request was refused, if it was.
    pub error: Option<String>,
    /// All nodes, after the request.
    pub nodes: Vec<NodeReport>,
}

/// A request with the way back.
pub(super) type Asked = (Request, SyncSender<Response>);

/// A Unix socket's path holds 108 bytes, a folder's path more: go through the open folder.
fn short_path(dir: &NetDir) -> Result<(std::fs::File, PathBuf)> {
    let folder = std::fs::File::open(dir.path())
        .with_context(|| format!("no net in {}", dir.path().display()))?;
    let path = PathBuf::from(format!("/proc/self/fd/{}/{SOCKET}", folder.as_raw_fd()));
    Ok((folder, path))
}

/// Asks the supervisor of a net.
///
/// # Errors
/// If none runs, or it refuses; the message names the next command.
pub fn call(dir: &NetDir, request: &Request) -> Result<Response> {
    let (_folder, path) = short_path(dir)?;
    let mut stream = UnixStream::connect(path).with_context(|| {
        format!(
            "no net runs in {}: `palisade testnet up` starts one",
            dir.path().display()
        )
    })?;
    stream.set_read_timeout(Some(ANSWER_TIMEOUT))?;
    writeln!(stream, "{}", serde_json::to_string(request)?)?;
    let mut line = String::new();
    BufReader::new(stream.take(LINE_BYTES_MAX)).read_line(&mut line)?;
    let response: Response = serde_json::from_str(&line).context("the supervisor went away")?;
    match response.error {
        None => Ok(response),
        Some(error) => bail!(error),
    }
}

/// The supervisor that holds a net, if one does.
///
/// # Errors
/// If the lock file is there and cannot be read.
pub fn running_pid(dir: &NetDir) -> Result<Option<u32>> {
    let Ok(file) = std::fs::File::open(dir.file(LOCK)) else {
        return Ok(None);
    };
    match file.try_lock_shared() {
        Ok(()) => Ok(None),
        Err(std::fs::TryLockError::WouldBlock) => {
            let pid = std::fs::read_to_string(dir.file(LOCK))?;
            Ok(pid.trim().parse().ok())
        }
        Err(std::fs::TryLockError::Error(error)) => Err(error.into()),
    }
}

/// Takes the net's lock for the life of the returned file.
pub(super) fn hold(dir: &NetDir) -> Result<std::fs::File> {
    let path = dir.file(LOCK);
    let taken = lock::take(&path).with_context(|| path.display().to_string())?;
    let Some(mut file) = taken else {
        let holder = std::fs::read_to_string(&path).unwrap_or_default();
        bail!(
            "already up, pid {}: use `palisade testnet status` or `down`",
            holder.trim()
        );
    };
    lock::inscribe(&mut file, &std::process::id().to_string())
        .with_context(|| format!("cannot write {}", path.display()))?;
    Ok(file)
}

/// Serves the control socket on a thread of its own; requests arrive at the receiver.
pub(super) fn listen(dir: &NetDir) -> Result<Receiver<Asked>> {
    let (folder, path) = short_path(dir)?;
    // Only the holder of the lock comes here, so a socket that is there is a dead supervisor's.
    match std::fs::remove_file(dir.file(SOCKET)) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error.into()),
        _ => {}
    }
    let listener = UnixListener::bind(path)
        .with_context(|| format!("cannot make {}", dir.file(SOCKET).display()))?;
    drop(folder);
    let (asked, requests) = sync_channel(16);
    std::thread::Builder::new()
        .name("control".into())
        .spawn(move || {
            for stream in listener.incoming().flatten() {
                // A client that says nothing must not keep the next one waiting for ever.
                let answered = stream
                    .set_read_timeout(Some(Duration::from_secs(2)))
                    .map_err(anyhow::Error::from)
                    .and_then(|()| answer(stream, &asked));
                if let Err(error) = answered {
                    tracing::debug!(%error, "control request failed");
                }
            }
        })?;
    Ok(requests)
}

fn answer(stream: UnixStream, asked: &SyncSender<Asked>) -> Result<()> {
    let mut line = String::new();
    let mut reader = BufReader::new(stream.try_clone()?.take(LINE_BYTES_MAX));
    reader.read_line(&mut line)?;
    let (reply, response) = sync_channel(1);
    let response = match serde_json::from_str(&line) {
        Ok(request) => {
            asked.send((request, reply))?;
            response.recv()?
        }
        Err(error) => Response {
            error: Some(error.to_string()),
            nodes: Vec::new(),
        },
    };
    let mut stream = stream;
    writeln!(stream, "{}", serde_json::to_string(&response)?)?;
    Ok(())
}
