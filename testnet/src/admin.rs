//! The admin socket of a node, as far as testnets need it: switching byzantine profiles.

use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::AsRawFd;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use serde_json::json;

const ANSWER_BYTES_MAX: u64 = 64 << 10;

/// Switches a node to a profile from a height on, or off.
///
/// # Errors
/// If the node's admin socket does not answer, or refuses.
pub fn set_byzantine(home: &Path, profile: Option<&str>, from_height: u64) -> Result<()> {
    let body = json!({ "profile": profile, "from_height": from_height });
    post(home, "/v1/admin/byzantine", &body.to_string())
}

fn post(home: &Path, path: &str, body: &str) -> Result<()> {
    let run = home.join("run");
    // Through the open folder, because a Unix socket's path holds 108 bytes only.
    let folder = File::open(&run).with_context(|| run.display().to_string())?;
    let socket = format!("/proc/self/fd/{}/admin.sock", folder.as_raw_fd());
    let mut stream = UnixStream::connect(socket)
        .with_context(|| format!("no node runs in {}", home.display()))?;
    stream.set_read_timeout(Some(Duration::from_secs(5)))?;
    write!(
        stream,
        "POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n\
         Content-Length: {}\r\nConnection: close\r\n\r\n{body}",
        body.len()
    )?;
    let mut answer = String::new();
    stream.take(ANSWER_BYTES_MAX).read_to_string(&mut answer)?;
    let status = answer.split_whitespace().nth(1).unwrap_or("no answer");
    if status.starts_with('2') {
        return Ok(());
    }
    let detail = answer.rsplit("\r\n\r\n").next().unwrap_or_default();
    bail!("the admin socket answered {status}: {detail}")
}
