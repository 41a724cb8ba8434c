//! A net for a benchmark: the release binary, a folder, and its end whatever happens.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};
use serde_json::Value;
use testnet::client::{list, number, text};

/// How long to measure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Scale {
    /// To see that it works.
    Quick,
    /// To publish.
    Full,
}

impl Scale {
    pub(crate) const fn pick<T: Copy>(self, quick: T, full: T) -> T {
        match self {
            Self::Quick => quick,
            Self::Full => full,
        }
    }
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// The release binary: `PALISADE_BIN`, or where `cargo build --release` puts it.
///
/// # Errors
/// If there is none; the message names the command that makes it.
pub(crate) fn binary() -> Result<PathBuf> {
    if let Some(path) = std::env::var_os("PALISADE_BIN") {
        let path = PathBuf::from(path);
        return path
            .canonicalize()
            .with_context(|| format!("PALISADE_BIN={}", path.display()));
    }
    let target =
        std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root().join("target"), PathBuf::from);
    let host = format!(
        "{}-unknown-linux-gnu/release/palisade",
        std::env::consts::ARCH
    );
    let places = [target.join(host), target.join("release/palisade")];
    match places.iter().find_map(|place| place.canonicalize().ok()) {
        Some(found) => Ok(found),
        None => bail!(
            "no release binary in {}: run `cargo build --release` first, or set PALISADE_BIN",
            target.display()
        ),
    }
}

/// A running net.
pub(crate) struct Bed {
    binary: PathBuf,
    dir: tempfile::TempDir,
    /// What `up` printed.
    pub endpoints: Value,
}

impl Bed {
    /// Writes a net of four from a manifest's `[genesis]`, changes each `node.toml`, and starts it.
    ///
    /// # Errors
    /// If a command fails; the message is its last line.
    pub(crate) fn up(
        binary: &Path,
        genesis: &str,
        fund: &[String],
        node_toml: &str,
    ) -> Result<Self> {
        let dir = tempfile::Builder::new()
            .prefix("palisade-bench-")
            .tempdir()?;
        let mut bed = Self {
            binary: binary.to_owned(),
            dir,
            endpoints: Value::Null,
        };
        let names = ["alice", "bob", "carol", "mallory"];
        let nodes: String = names
            .iter()
            .map(|name| format!("[node.{name}]\n"))
            .collect();
        let manifest = bed.dir.path().join("net.toml");
        std::fs::write(
            &manifest,
            format!("chain_name = \"palisade-local-bench\"\n[genesis]\n{genesis}\n{nodes}"),
        )?;
        let mut args = vec!["testnet", "up", "--detach", "--name", "bench", "-f"];
        args.push(manifest.to_str().context("not a path of text")?);
        for account in fund {
            args.extend(["--fund", account]);
        }
        bed.endpoints = bed.run(&args)?;
        if !node_toml.is_empty() {
            bed.run(&["testnet", "down", "--name", "bench"])?;
            for name in names {
                let file = bed.file(&format!("nodes/{name}/node.toml"));
                let text = std::fs::read_to_string(&file)?;
                std::fs::write(&file, merged(&text, node_toml)?)?;
            }
            bed.endpoints = bed.run(&["testnet", "up", "--detach", "--name", "bench"])?;
        }
        Ok(bed)
    }

    /// A file of the net's folder.
    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.dir.path().join("palisade-testnet/bench").join(name)
    }

    /// A command's document.
    ///
    /// # Errors
    /// If it fails.
    pub(crate) fn run(&self, args: &[&str]) -> Result<Value> {
        let output = self.command(args).output()?;
        if !output.status.success() {
            let stderr = String::from_utf8_lossy(&output.stderr);
            bail!(
                "palisade {}: {}",
                args.join(" "),
                stderr.lines().last().unwrap_or_default()
            );
        }
        serde_json::from_slice(&output.stdout).context("no document")
    }

    fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(&self.binary);
        command
            .current_dir(self.dir.path())
            .env("HOME", self.dir.path())
            .args(["--output", "json", "--net", "bench"])
            .args(args)
            .stdin(Stdio::null());
        command
    }

    /// The base URLs of all nodes.
    ///
    /// # Errors
    /// If the endpoints are not what they should be.
    pub(crate) fn apis(&self) -> Result<Vec<String>> {
        let nodes = list(&self.endpoints, "nodes")?.iter();
        nodes
            .map(|node| Ok(text(node, "api")?.to_owned()))
            .collect()
    }

    /// The processes of all nodes.
    ///
    /// # Errors
    /// As [`Self::apis`].
    pub(crate) fn pids(&self) -> Result<Vec<u64>> {
        list(&self.endpoints, "nodes")?
            .iter()
            .map(|node| number(node, "pid"))
            .collect()
    }

    /// CPU time of all nodes together, in milliseconds.
    ///
    /// # Errors
    /// If a node is gone.
    pub(crate) fn cpu_ms(&self) -> Result<f64> {
        self.pids()?.into_iter().map(cpu_ms).sum()
    }

    /// Resident memory of each node, in MiB.
    ///
    /// # Errors
    /// If a node is gone.
    pub(crate) fn rss_mib(&self) -> Result<Vec<f64>> {
        self.pids()?.into_iter().map(rss_mib).collect()
    }
}

impl Drop for Bed {
    fn drop(&mut self) {
        // Best effort: the numbers are taken.
        drop(
            self.command(&["testnet", "down", "--name", "bench"])
                .output(),
        );
    }
}

/// One file over another, section by section.
fn merged(below: &str, above: &str) -> Result<String> {
    let mut table: toml::Table = toml::from_str(below)?;
    for (section, values) in toml::from_str::<toml::Table>(above)? {
        let toml::Value::Table(values) = values else {
            bail!("{section} is no section")
        };
        let entry = table
            .entry(section)
            .or_insert_with(|| toml::Value::Table(toml::Table::new()));
        if let toml::Value::Table(known) = entry {
            known.extend(values);
        }
    }
    Ok(toml::to_string(&table)?)
}

/// User and system time (proc(5), fields 14 and 15 of stat, in ticks of a hundredth of a second).
fn cpu_ms(pid: u64) -> Result<f64> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat"))?;
    let (_, rest) = stat.rsplit_once(')').context("no name in stat")?;
    let ticks = rest.split_whitespace().skip(11).take(2);
    ticks.map(|field| Ok(field.parse::<f64>()? * 10.0)).sum()
}

fn rss_mib(pid: u64) -> Result<f64> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status"))?;
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmRSS:"))
        .context("no VmRSS")?;
    let kib: f64 = line.trim_end_matches("kB").trim().parse()?;
    Ok(kib / 1024.0)
}
