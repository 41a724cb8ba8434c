//! The command line of this very binary, used as anybody would: the demo proves what a user gets.

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use anyhow::{Context, Result, anyhow};
use serde::Deserialize;
use serde_json::Value;

use crate::error::CommandError;
use crate::files::NetDir;

/// The program of this process, even if its file was replaced since: a net survives a rebuild.
pub(crate) const SELF: &str = "/proc/self/exe";

/// The line that ends stderr, as far as it is passed on.
#[derive(Deserialize)]
struct Problem {
    code: String,
    detail: String,
    hint: String,
    exit_code: u8,
}

/// Why a command failed, with its own code, exit code and hint.
fn refused(arguments: &[&str], stderr: &[u8]) -> anyhow::Error {
    let stderr = String::from_utf8_lossy(stderr);
    let last = stderr.lines().last().unwrap_or("no message");
    match serde_json::from_str::<Problem>(last) {
        Ok(problem) => CommandError {
            exit: problem.exit_code,
            code: problem.code.into(),
            detail: problem.detail,
            hint: problem.hint,
        }
        .into(),
        Err(_) => anyhow!("`palisade {}`: {last}", arguments.join(" ")),
    }
}

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
    /// [`CommandError`] as the command gave it, if it printed no document.
    pub fn json(&self, arguments: &[&str]) -> Result<Value> {
        let output = self.run(arguments)?;
        match serde_json::from_slice(&output.stdout) {
            Ok(document) => Ok(document),
            Err(_) => Err(refused(arguments, &output.stderr)),
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_problem_keeps_its_code_exit_and_hint() {
        let line = "noise\n{\"type\":\"/v1/problems/api.unreachable\",\"title\":\"t\",\
                    \"status\":503,\"code\":\"api.unreachable\",\"detail\":\"d\",\
                    \"hint\":\"h\",\"exit_code\":4}\n";
        let error = refused(&["job", "submit"], line.as_bytes());
        let known = error.downcast_ref::<CommandError>().unwrap();
        assert_eq!((known.exit, &*known.code), (4, "api.unreachable"));
        assert_eq!((&*known.detail, &*known.hint), ("d", "h"));
        for noise in ["", "thread panicked\n"] {
            let error = refused(&["job", "submit"], noise.as_bytes());
            assert!(!error.is::<CommandError>());
            assert!(error.to_string().contains("palisade job submit"), "{error}");
        }
    }
}
