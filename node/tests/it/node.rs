//! One validator that is the whole chain: what a node's tests share.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::time::Duration;

use crate::palisade;

/// A running node in a directory of its own.
pub(crate) struct Node {
    /// The directory that holds its home.
    pub(crate) dir: tempfile::TempDir,
    child: Child,
    /// Where its API listens.
    pub(crate) api: String,
    /// Where its metrics are.
    pub(crate) metrics: String,
}

/// Where the home of the one node is.
pub(crate) fn home(dir: &Path) -> PathBuf {
    dir.join("net/nodes/alice")
}

/// Makes a home whose peer port is the kernel's choice.
pub(crate) fn make_home(dir: &Path) {
    let made = palisade(dir)
        .args(["testnet", "init", "-d", "net", "--nodes", "1"])
        .output()
        .unwrap();
    assert!(
        made.status.success(),
        "{}",
        String::from_utf8_lossy(&made.stderr)
    );
    let file = home(dir).join("node.toml");
    let text = std::fs::read_to_string(&file).unwrap();
    let listens = |line: &str| line.starts_with("listen = [");
    let text: Vec<&str> = text
        .lines()
        .map(|line| {
            if listens(line) {
                "listen = [\"/ip4/127.0.0.1/tcp/0\"]"
            } else {
                line
            }
        })
        .collect();
    std::fs::write(&file, text.join("\n")).unwrap();
}

impl Node {
    /// Starts it and waits until it says where it listens.
    pub(crate) fn start() -> Self {
        let dir = tempfile::tempdir().unwrap();
        make_home(dir.path());
        let mut child = palisade(dir.path())
            .args([
                "--home",
                "net/nodes/alice",
                "--log-format",
                "json",
                "node",
                "run",
            ])
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
        let mut seen = String::new();
        let (api, metrics) = loop {
            let line = lines
                .next()
                .unwrap_or_else(|| panic!("the node ended: {seen}"))
                .unwrap();
            let value: serde_json::Value = serde_json::from_str(&line).unwrap_or_default();
            if let (Some(api), Some(metrics)) = (value["api"].as_str(), value["metrics"].as_str()) {
                break (api.to_owned(), metrics.to_owned());
            }
            seen.push_str(&line);
        };
        // The pipe must not fill.
        std::thread::spawn(move || lines.for_each(drop));
        Self {
            dir,
            child,
            api,
            metrics,
        }
    }

    /// Runs a client's command against it.
    pub(crate) fn client(&self, args: &[&str]) -> std::process::Output {
        let mut command = palisade(self.dir.path());
        command.args(["--home", "client", "--output", "json", "--api"]);
        command.arg(format!("http://{}", self.api));
        let home = self.dir.path().join("client");
        std::fs::create_dir_all(&home).unwrap();
        std::fs::copy(
            self.dir.path().join("net/genesis.toml"),
            home.join("genesis.toml"),
        )
        .unwrap();
        command.args(args).output().unwrap()
    }

    /// Sends bytes as they are; returns the status and the whole answer.
    pub(crate) fn raw(&self, request: &str) -> (u16, String) {
        Self::exchange(&self.api, request)
    }

    fn exchange(address: &str, request: &str) -> (u16, String) {
        let mut stream = TcpStream::connect(address).unwrap();
        stream
            .set_read_timeout(Some(Duration::from_secs(20)))
            .unwrap();
        stream.write_all(request.as_bytes()).unwrap();
        let mut answer = Vec::new();
        // A server that closes with unread bytes resets; what came before counts.
        drop(stream.read_to_end(&mut answer));
        let text = String::from_utf8_lossy(&answer).into_owned();
        let status = text
            .split(' ')
            .nth(1)
            .and_then(|code| code.parse().ok())
            .unwrap_or(0);
        (status, text)
    }

    /// A GET of a path, its connection closed after the answer.
    pub(crate) fn get(&self, path: &str) -> (u16, String) {
        self.raw(&format!(
            "GET {path} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n\r\n",
            self.api
        ))
    }

    /// What Prometheus would read.
    pub(crate) fn scrape(&self) -> String {
        let address = &self.metrics;
        let request =
            format!("GET /metrics HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n");
        let (status, text) = Self::exchange(address, &request);
        assert_eq!(status, 200, "{text}");
        text
    }

    /// Asks it to end and returns its exit code.
    pub(crate) fn stop(mut self) -> Option<i32> {
        let pid = nix::unistd::Pid::from_raw(self.child.id().try_into().unwrap());
        nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGTERM).unwrap();
        self.child.wait().unwrap().code()
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}
