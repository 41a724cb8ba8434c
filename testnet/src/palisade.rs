//! The command line of this very binary, used as anybody would: the demo proves what a user gets.

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use anyhow::{Context, Result, bail};
use serde_json::Value;

use crate::files::NetDir;

/// The program of this process, even if its file was replaced since: a net survives a rebuild.
pub(crate) const SELF: &str = "/proc/self/exe";

/// The binary, bound to one node's API.
#[derive(Debug, Clone)]
pub struct Palisade {
    api: String,
    genesis: PathBuf,
    /// Where it runs: clients find accounts and genesis of the net there.
    home: PathBuf,
}

impl Palisade {
    /// Bound to this API, with the development account client-0 of the net.
    #[must_use]
    pub fn new(api: &str, dir: &NetDir) -> Self {
        Self {
            api: api.to_owned(),
            genesis: dir.file("genesis.toml"),
            home: dir.file("client"),
        }
    }

    /// The net's genesis file.
    #[must_use]
    pub fn genesis(&self) -> &Path {
        &self.genesis
    }

    fn command(&self, arguments: &[&str]) -> Result<Command> {
        // A home with the genesis alone: the chain's identity never comes from a server.
        std::fs::create_dir_all(&self.home)?;
        let genesis = self.home.join("genesis.toml");
        if !genesis.exists() {
            std::fs::copy(&self.genesis, genesis)
                .with_context(|| self.genesis.display().to_string())?;
        }
        let mut command = Command::new(SELF);
        std::os::unix::process::CommandExt::arg0(&mut command, "palisade")
            .arg("--home")
            .arg(&self.home)
            .args(["--api", &self.api, "--output", "json"])
            .args(arguments)
            .stdin(Stdio::null());
        Ok(command)
    }

    /// Runs a command to its end and returns its output whole.
    ///
    /// # Errors
    /// If it cannot be started.
    pub fn run(&self, arguments: &[&str]) -> Result<Output> {
        self.command(arguments)?
            .output()
            .context("cannot run the client")
    }

    /// The same client, speaking from another home: a node's own keys and files.
    #[must_use]
    pub fn at_home(&self, home: PathBuf) -> Self {
        Self {
            home,
            ..self.clone()
        }
    }

    /// Runs a command and returns its document, whatever its exit code.
    ///
    /// # Errors
    /// If it printed no document; the last line of stderr says why.
    pub fn json(&self, arguments: &[&str]) -> Result<Value> {
        let output = self.run(arguments)?;
        match serde_json::from_slice(&output.stdout) {
            Ok(document) => Ok(document),
            Err(_) => {
                let stderr = String::from_utf8_lossy(&output.stderr);
                let last = stderr.lines().last().unwrap_or("no message");
                bail!("`palisade {}`: {last}", arguments.join(" "))
            }
        }
    }

    /// Submits a job; watched, the document describes its end.
    ///
    /// # Errors
    /// If it was not accepted.
    pub fn submit(&self, model: &Path, inputs: &[PathBuf], watch: bool) -> Result<Value> {
        self.submit_with(model, inputs, watch, &[])
    }

    /// The same with further flags.
    ///
    /// # Errors
    /// As [`Self::submit`].
    pub fn submit_with(
        &self,
        model: &Path,
        inputs: &[PathBuf],
        watch: bool,
        flags: &[&str],
    ) -> Result<Value> {
        let model = model.display().to_string();
        let inputs: Vec<String> = inputs
            .iter()
            .map(|path| path.display().to_string())
            .collect();
        let mut arguments = vec!["job", "submit", "--model", &model];
        for input in &inputs {
            arguments.extend(["--input", input]);
        }
        if watch {
            arguments.extend(["--watch", "--no-receipt"]);
        }
        arguments.extend(flags);
        self.json(&arguments)
    }
}
