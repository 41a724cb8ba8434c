//! A client of the admin socket: one request, one answer, over the unix socket of a home.

use std::fs::File;
use std::io::{Read as _, Write as _};
use std::os::fd::AsRawFd as _;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

use anyhow::Result;
use serde_json::Value;

use crate::home::Home;
use crate::problem::{Problem, refuse};

const ANSWER_BYTES_MAX: u64 = 1 << 20;

/// POST of a document.
pub(crate) fn post(home: &Home, path: &str, body: &Value) -> Result<Value> {
    request(home, "POST", path, &body.to_string())
}

fn request(home: &Home, method: &str, path: &str, body: &str) -> Result<Value> {
    let socket = home.admin_socket();
    let unreachable = |error: std::io::Error| {
        let text = format!("no node runs in this home: {}: {error}", socket.display());
        Problem::new("api.unreachable", text)
    };
    let mut stream = connect(&socket).map_err(unreachable)?;
    stream.set_read_timeout(Some(Duration::from_secs(15)))?;
    let head = format!(
        "{method} {path} HTTP/1.1\r\nHost: admin\r\nConnection: close\r\n\
         Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    );
    stream.write_all(head.as_bytes()).map_err(unreachable)?;
    let mut answer = Vec::new();
    stream
        .take(ANSWER_BYTES_MAX)
        .read_to_end(&mut answer)
        .map_err(unreachable)?;
    parse(&answer)
}

/// Through the open directory, because a socket's path holds 108 bytes only.
fn connect(socket: &Path) -> std::io::Result<UnixStream> {
    let dir = File::open(socket.parent().unwrap_or(Path::new(".")))?;
    let name = socket.file_name().unwrap_or_default();
    let short = Path::new("/proc/self/fd").join(dir.as_raw_fd().to_string());
    UnixStream::connect(short.join(name))
}

fn parse(answer: &[u8]) -> Result<Value> {
    let text = String::from_utf8_lossy(answer);
    let (head, body) = text.split_once("\r\n\r\n").unwrap_or((&text, ""));
    let status: u16 = head
        .split(' ')
        .nth(1)
        .and_then(|code| code.parse().ok())
        .unwrap_or(0);
    let chunked = head
        .to_ascii_lowercase()
        .contains("transfer-encoding: chunked");
    let body = if chunked {
        unchunk(body)
    } else {
        body.to_owned()
    };
    if (200..300).contains(&status) {
        return Ok(serde_json::from_str(&body).unwrap_or(Value::Null));
    }
    match serde_json::from_str::<Problem>(&body) {
        Ok(problem) => Err(problem.into()),
        Err(_) => refuse!("api.bad_request", "the admin socket answered {status}"),
    }
}

fn unchunk(mut rest: &str) -> String {
    let mut body = String::new();
    while let Some((length, after)) = rest.split_once("\r\n") {
        let length = usize::from_str_radix(length.trim(), 16).unwrap_or(0);
        let Some(chunk) = after.get(..length).filter(|_| length > 0) else {
            break;
        };
        body.push_str(chunk);
        rest = after.get(length + 2..).unwrap_or_default();
    }
    body
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_socket_is_reached_however_long_its_path() {
        let dir = tempfile::tempdir().unwrap();
        let deep = dir.path().join("x".repeat(60)).join("y".repeat(60));
        std::fs::create_dir_all(&deep).unwrap();
        let socket = deep.join("admin.sock");
        assert!(connect(&socket).is_err());
        let open = File::open(&deep).unwrap();
        let short = format!("/proc/self/fd/{}/admin.sock", open.as_raw_fd());
        let _listener = std::os::unix::net::UnixListener::bind(short).unwrap();
        connect(&socket).unwrap();
    }

    #[test]
    fn answers_are_read_plain_and_chunked() {
        let plain = b"HTTP/1.1 200 OK\r\nContent-Length: 7\r\n\r\n{\"a\":1}";
        assert_eq!(parse(plain).unwrap()["a"], 1);
        let chunked = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\n{\"a\r\n4\r\n\":1}\r\n0\r\n\r\n";
        assert_eq!(parse(chunked).unwrap()["a"], 1);
        let problem = Problem::new("auth.required", "x");
        let refused = format!("HTTP/1.1 401 No\r\n\r\n{}", problem.to_line());
        let error = parse(refused.as_bytes()).unwrap_err();
        assert_eq!(
            error.downcast_ref::<Problem>().unwrap().code,
            "auth.required"
        );
        assert!(parse(b"").is_err());
    }
}
