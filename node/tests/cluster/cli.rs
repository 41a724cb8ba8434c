//! The binary under test, run in a folder of its own.

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use serde_json::Value;
use tempfile::TempDir;

/// A working directory from which commands are run; gone with the value.
pub(crate) struct Cli {
    dir: TempDir,
    binary: PathBuf,
}

/// How a command ended and what it said.
#[derive(Debug)]
pub(crate) struct Ran {
    /// The exit code.
    pub code: i32,
    /// The document on stdout; null if there is none.
    pub document: Value,
    /// The problem line that ends stderr; null if it ends otherwise.
    pub problem: Value,
    /// All of stderr.
    pub stderr: String,
}

impl Cli {
    pub(crate) fn new() -> Self {
        let dir = tempfile::Builder::new()
            .prefix("palisade-cluster-")
            .tempdir()
            .unwrap();
        // A net starts nodes from its own binary: a build meanwhile must not take it away. Where the
        // folder lies on another disk there is no second name for the file, and it is used in place.
        let (built, own) = (
            PathBuf::from(env!("CARGO_BIN_EXE_palisade")),
            dir.path().join("palisade"),
        );
        let binary = if std::fs::hard_link(&built, &own).is_ok() {
            own
        } else {
            built
        };
        Self { dir, binary }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// A command in this folder. The surroundings' homes and settings must not leak in.
    pub(crate) fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(&self.binary);
        for (name, _) in std::env::vars_os() {
            let text = name.to_string_lossy();
            if text.starts_with("PALISADE_") || text.starts_with("XDG_") {
                command.env_remove(name);
            }
        }
        command
            .current_dir(self.dir.path())
            .env("HOME", self.dir.path())
            .args(["--output", "json"])
            .args(args)
            .stdin(Stdio::null());
        command
    }

    /// Runs a command to its end.
    pub(crate) fn run(&self, args: &[&str]) -> Ran {
        Ran::from(self.command(args).output().unwrap())
    }

    /// The document of a command that must succeed.
    pub(crate) fn json(&self, args: &[&str]) -> Value {
        let ran = self.run(args);
        assert_eq!(ran.code, 0, "palisade {}: {}", args.join(" "), ran.stderr);
        assert!(
            !ran.document.is_null(),
            "palisade {}: no document",
            args.join(" ")
        );
        ran.document
    }
}

impl From<Output> for Ran {
    fn from(output: Output) -> Self {
        let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
        let last = stderr.lines().last().unwrap_or_default();
        Self {
            // A command of ours never ends by a signal.
            code: output.status.code().unwrap_or(-1),
            document: serde_json::from_slice(&output.stdout).unwrap_or_default(),
            problem: serde_json::from_str(last).unwrap_or_default(),
            stderr,
        }
    }
}

impl Ran {
    /// Asserts a failure by exit code and problem code, and returns its detail and hint in one text.
    pub(crate) fn refused(&self, exit: i32, code: &str) -> String {
        assert_eq!(self.code, exit, "{}", self.stderr);
        assert_eq!(self.problem["code"], code, "{}", self.stderr);
        assert_eq!(self.problem["exit_code"], exit, "{}", self.stderr);
        let member = |name: &str| self.problem[name].as_str().unwrap_or_default().to_owned();
        for name in ["type", "title", "hint"] {
            assert!(!member(name).is_empty(), "no {name}: {}", self.problem);
        }
        format!("{} {}", member("detail"), member("hint"))
    }
}

/// A file of the repository's examples.
pub(crate) fn example(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../examples")
        .join(name)
}

/// A path as an argument.
pub(crate) fn arg(path: &Path) -> &str {
    path.to_str().unwrap()
}

/// An amount or count, written as a number or as a decimal string.
pub(crate) fn number(value: &Value) -> u64 {
    let parsed = value
        .as_u64()
        .or_else(|| value.as_str().and_then(|text| text.parse().ok()));
    parsed.unwrap_or_else(|| panic!("not a number: {value}"))
}

/// A text.
pub(crate) fn text(value: &Value) -> &str {
    value
        .as_str()
        .unwrap_or_else(|| panic!("not a text: {value}"))
}

/// A list.
pub(crate) fn list(value: &Value) -> &[Value] {
    value
        .as_array()
        .unwrap_or_else(|| panic!("not a list: {value}"))
}
