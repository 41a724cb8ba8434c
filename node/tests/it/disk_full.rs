//! Goal: a full disk ends the node with a documented exit code and an error that names the disk; what
//! was acknowledged is there again once there is room. Nothing else is blamed for it: no other process,
//! no missing blob.
//! Method: directories of the home are small file systems of their own, in a mount namespace of its
//! own, filled to the last byte while the node runs. No root is needed where the kernel lets users have
//! namespaces; where it does not the test says so.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::Duration;

use protocol::digest::sha256;
use serde_json::Value;
use testnet::clock::poll;

use crate::node::{home, make_home};
use crate::palisade;

/// Segments of a local chain take half of it.
const DISK_MIB: u32 = 64;
const PATIENCE: Duration = Duration::from_secs(60);
/// What ends the output of one command of the shell.
const MARK: &str = "-- done --";

/// A shell in a mount namespace where directories of the home are disks of their own.
struct Disk {
    shell: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
    dir: PathBuf,
}

impl Disk {
    /// Makes these directories disks of so many MiB. `None`, said aloud, where that is not allowed.
    fn mount(dir: &Path, disks: &[(&str, u32)]) -> Option<Self> {
        make_home(dir);
        let mounted = Self::mounted(dir, disks);
        if mounted.is_none() {
            eprintln!("skipped: this user may not mount a disk of its own (unshare, mount)");
        }
        mounted
    }

    fn mounted(dir: &Path, disks: &[(&str, u32)]) -> Option<Self> {
        let mut command = Command::new("unshare");
        if !nix::unistd::geteuid().is_root() {
            command.args(["--user", "--map-root-user"]);
        }
        let mut shell = command
            .args(["--mount", "--propagation", "private", "sh"])
            .current_dir(dir)
            .env("PALISADE", env!("CARGO_BIN_EXE_palisade"))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .ok()?;
        let (input, output) = (shell.stdin.take()?, shell.stdout.take()?);
        let mut disk = Self {
            shell,
            input,
            output: BufReader::new(output),
            dir: dir.to_path_buf(),
        };
        disk.say("cd net/nodes/alice")?;
        for (name, mib) in disks {
            let mounted = disk.say(&format!(
                "mkdir -p {name} && mv {name} was && mkdir {name} \
                 && mount -t tmpfs -o size={mib}m disk {name} && cp -a was/. {name} \
                 && rm -r was && echo mounted"
            ))?;
            if mounted != "mounted" {
                return None;
            }
        }
        Some(disk)
    }

    /// Leaves no room on one of them.
    fn fill(&mut self, name: &str) {
        self.say(&format!(
            "dd if=/dev/zero of={name}/filler bs=4k 2>/dev/null; sync"
        ));
    }

    /// Runs a line and returns what it prints; nothing if the shell is gone.
    fn say(&mut self, line: &str) -> Option<String> {
        writeln!(self.input, "{line}\necho '{MARK}'").ok()?;
        let mut said = Vec::new();
        loop {
            let mut line = String::new();
            if self.output.read_line(&mut line).ok()? == 0 {
                return None;
            }
            match line.trim_end() {
                MARK => return Some(said.join("\n")),
                other => said.push(other.to_owned()),
            }
        }
    }

    fn start(&mut self) {
        for name in ["api", "halt.json"] {
            drop(std::fs::remove_file(self.run(name)));
        }
        let home = home(&self.dir);
        self.say(&format!(
            "\"$PALISADE\" --home {} --log-format json node run 2>{}/log & pid=$!",
            home.display(),
            self.dir.display()
        ));
    }

    fn run(&self, name: &str) -> PathBuf {
        home(&self.dir).join("run").join(name)
    }

    fn log(&self) -> String {
        std::fs::read_to_string(self.dir.join("log")).unwrap_or_default()
    }

    /// Waits until the log has this event.
    fn said(&self, event: &str) {
        let found = poll(PATIENCE, || self.log().contains(event).then_some(()));
        assert!(found.is_some(), "{event}: {}", self.log());
    }

    fn is_running(&mut self) -> bool {
        self.say("kill -0 $pid 2>/dev/null && echo yes").as_deref() == Some("yes")
    }

    /// Waits until the node listens.
    fn api(&mut self) -> String {
        let file = self.run("api");
        let found = poll(PATIENCE, || std::fs::read_to_string(&file).ok());
        format!(
            "http://{}",
            found.unwrap_or_else(|| panic!("{}", self.log()))
        )
    }

    /// Waits until the node stops of its own accord, and returns its code and what it says. One that
    /// halted stays for some scrapes; it is told not to.
    fn end(&mut self) -> (String, String) {
        let halt = self.run("halt.json");
        let over = poll(PATIENCE, || {
            (halt.exists() || !self.is_running()).then_some(())
        });
        assert!(over.is_some(), "the node goes on: {}", self.log());
        let why = std::fs::read_to_string(&halt).unwrap_or_default();
        let code = self.say("kill -TERM $pid 2>/dev/null; wait $pid; echo $?");
        (code.unwrap(), format!("{why}\n{}", self.log()))
    }

    /// A client's command against the node.
    fn client(&self, api: &str, args: &[&str]) -> Value {
        let home = self.dir.join("client");
        std::fs::create_dir_all(&home).unwrap();
        let genesis = self.dir.join("net/genesis.toml");
        std::fs::copy(genesis, home.join("genesis.toml")).unwrap();
        let output = palisade(&self.dir)
            .args(["--home", "client", "--output", "json", "--api", api])
            .args(args)
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(0), "{args:?}: {said}");
        serde_json::from_slice(&output.stdout).unwrap()
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        // The namespace, and the disk with it, ends with its last process.
        self.say("kill -9 $pid 2>/dev/null");
        drop(self.shell.kill());
        drop(self.shell.wait());
    }
}

/// Whichever file met it first: no supervisor may start the node again, as there is still no room.
fn names_the_disk((code, said): &(String, String)) {
    assert_eq!(code, "76", "{said}");
    assert!(said.contains("No space left on device"), "{said}");
    assert!(said.contains("net/nodes/alice/data/"), "{said}");
}

#[test]
fn full_disk_stops_the_node_by_name_and_loses_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let Some(mut disk) = Disk::mount(dir.path(), &[("data", DISK_MIB)]) else {
        return;
    };
    disk.start();
    let api = disk.api();
    let paid = disk.client(&api, &["account", "transfer", "client-1", "5PAL"]);
    let (tx, height) = (paid["tx"].clone(), paid["height"].to_string());
    disk.fill("data");
    names_the_disk(&disk.end());

    // As long as there is no room it ends again, and says so again.
    disk.start();
    names_the_disk(&disk.end());

    disk.say("rm data/filler");
    disk.start();
    let api = disk.api();
    let block = disk.client(&api, &["chain", "block", &height]);
    let txs = block["txs"].as_array().unwrap();
    assert!(txs.contains(&tx), "{tx} is not in {block}");
    let grown = poll(PATIENCE, || {
        let now = disk.client(&api, &["chain", "show"])["height"].as_u64();
        (now > height.parse().ok().map(|told: u64| told + 2)).then_some(())
    });
    assert!(grown.is_some(), "{}", disk.log());
    let account = disk.client(&api, &["account", "show", "client-1"]);
    let balance = account["balance"].as_str().unwrap().parse::<u64>();
    assert!(balance.unwrap() >= 5_000_000, "{account}");
    let end = disk.say("kill -TERM $pid; wait $pid; echo $?");
    assert_eq!(end.as_deref(), Some("0"), "{}", disk.log());
}

/// The problem line that ends a log.
fn last_problem(log: &str) -> Value {
    let last = log.lines().last().unwrap_or_default();
    serde_json::from_str(last).unwrap_or_else(|_| panic!("no problem line ends the log: {log}"))
}

#[test]
fn a_halt_that_cannot_be_noted_is_told_on_stderr_and_blames_no_other_process() {
    let dir = tempfile::tempdir().unwrap();
    let Some(mut disk) = Disk::mount(dir.path(), &[("data", DISK_MIB), ("run", 1)]) else {
        return;
    };
    // Only the shell sees what lies in `run` now; the log lies outside.
    disk.start();
    disk.said("node_started");
    disk.fill("run");
    disk.fill("data");
    disk.said("halt_note_failed");
    let noted = disk.say("test -e run/halt.json && echo noted");
    assert_eq!(noted.as_deref(), Some(""), "{}", disk.log());
    let code = disk.say("kill -TERM $pid; wait $pid; echo $?").unwrap();
    names_the_disk(&(code, disk.log()));
    let log = disk.log();
    assert!(
        log.contains("run/halt.json: No space left on device"),
        "{log}"
    );
    let problem = last_problem(&log);
    assert_eq!(problem["code"], "storage.failed", "{log}");
    assert_eq!(problem["exit_code"], 76, "{log}");

    // The lock it had would need no room again.
    disk.say("rm run/lock run/filler");
    disk.fill("run");
    disk.start();
    assert_eq!(disk.end().0, "76", "{}", disk.log());
    let problem = last_problem(&disk.log());
    assert_eq!(problem["code"], "storage.failed", "{problem}");
    let detail = problem["detail"].as_str().unwrap();
    assert!(
        detail.contains("run/lock: No space left on device"),
        "{problem}"
    );
}

#[test]
fn a_blob_without_room_is_not_called_missing() {
    let dir = tempfile::tempdir().unwrap();
    let Some(mut disk) = Disk::mount(dir.path(), &[("data/blobs", 1)]) else {
        return;
    };
    disk.start();
    let api = disk.api();
    disk.fill("data/blobs");
    let bytes = "x".repeat(4096);
    let host = api.strip_prefix("http://").unwrap();
    let request = format!(
        "PUT /v1/blobs/{} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\
         Content-Length: {}\r\n\r\n{bytes}",
        sha256(bytes.as_bytes()),
        bytes.len()
    );
    let mut stream = TcpStream::connect(host).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream.write_all(request.as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 500 "), "{answer}");
    let problem: Value = serde_json::from_str(answer.split("\r\n\r\n").nth(1).unwrap()).unwrap();
    assert_eq!(problem["code"], "storage.failed", "{problem}");
    let detail = problem["detail"].as_str().unwrap();
    assert!(detail.contains("No space left on device"), "{problem}");
}
