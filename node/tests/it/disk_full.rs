//! Goal: a full disk ends the node with a documented exit code and an error that names the disk; what
//! was acknowledged is there again once there is room.
//! Method: the data directory is a small file system of its own, in a mount namespace of its own,
//! filled to the last byte while the node runs. No root is needed where the kernel lets users have
//! namespaces; where it does not the test says so.

use std::io::{BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::Duration;

use serde_json::Value;
use testnet::clock::poll;

use crate::node::{home, make_home};
use crate::palisade;

/// Segments of a local chain take half of it.
const DISK_MIB: u32 = 64;
const PATIENCE: Duration = Duration::from_secs(60);
/// What ends the output of one command of the shell.
const MARK: &str = "-- done --";

/// A shell in a mount namespace where the home's data directory is a disk of its own.
struct Disk {
    shell: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
    dir: PathBuf,
}

impl Disk {
    fn mount(dir: &Path) -> Option<Self> {
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
        let mounted = disk.say(&format!(
            "cd net/nodes/alice && mv data was && mkdir data \
             && mount -t tmpfs -o size={DISK_MIB}m disk data && cp -a was/. data && echo mounted"
        ))?;
        (mounted == "mounted").then_some(disk)
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

/// The exits that the specification gives to a disk without room: 76 for journal and sign-state, 69
/// for the state's database, which a start rebuilds.
fn names_the_disk((code, said): &(String, String)) {
    assert!(["69", "76"].contains(&code.as_str()), "{code}: {said}");
    assert!(said.contains("No space left on device"), "{said}");
    assert!(said.contains("net/nodes/alice/data/"), "{said}");
}

#[test]
fn full_disk_stops_the_node_by_name_and_loses_nothing() {
    let dir = tempfile::tempdir().unwrap();
    make_home(dir.path());
    let Some(mut disk) = Disk::mount(dir.path()) else {
        eprintln!("skipped: this user may not mount a disk of its own (unshare, mount)");
        return;
    };
    disk.start();
    let api = disk.api();
    let paid = disk.client(&api, &["account", "transfer", "client-1", "5PAL"]);
    let (tx, height) = (paid["tx"].clone(), paid["height"].to_string());
    disk.say("dd if=/dev/zero of=data/filler bs=4k 2>/dev/null; sync");
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
