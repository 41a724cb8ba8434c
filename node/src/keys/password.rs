//! Where a password comes from: a file, the service manager's credentials, or a person. Never from
//! arguments or the environment, which other processes can read.

use std::io::{BufRead as _, IsTerminal as _, Write as _};
use std::path::{Path, PathBuf};

use nix::sys::termios;
use zeroize::Zeroizing;

use super::file;
use crate::problem::Problem;

/// A longer password is somebody's mistake.
const PASSWORD_BYTES_MAX: u64 = 4096;

/// Whether a person must type a password twice.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Purpose {
    /// Opens an existing key.
    Open,
    /// Protects a new one.
    New,
}

/// Finds the password.
pub(crate) fn find(given: Option<&Path>, purpose: Purpose) -> Result<Zeroizing<Vec<u8>>, Problem> {
    if let Some(path) = given {
        return from_file(path);
    }
    if let Some(dir) = std::env::var_os("CREDENTIALS_DIRECTORY") {
        let path = PathBuf::from(dir).join("keystore-password");
        if path.exists() {
            return from_file(&path);
        }
    }
    if !std::io::stdin().is_terminal() {
        return Err(Problem::new(
            "key.password_missing",
            "stdin is not a terminal",
        ));
    }
    let first = ask("Password: ")?;
    if purpose == Purpose::New && *ask("Again: ")? != *first {
        return Err(Problem::new("key.password", "the two entries differ"));
    }
    Ok(first)
}

/// One trailing newline belongs to the editor, not to the password.
fn from_file(path: &Path) -> Result<Zeroizing<Vec<u8>>, Problem> {
    file::check_mode(path).map_err(file::named)?;
    let bytes = file::read_given(path, PASSWORD_BYTES_MAX, "key.password")?;
    let mut bytes = Zeroizing::new(bytes);
    if bytes.last() == Some(&b'\n') {
        bytes.pop();
        if bytes.last() == Some(&b'\r') {
            bytes.pop();
        }
    }
    Ok(bytes)
}

fn terminal(error: impl std::fmt::Display) -> Problem {
    Problem::new(
        "key.password_missing",
        format!("the terminal does not work: {error}"),
    )
}

fn ask(prompt: &str) -> Result<Zeroizing<Vec<u8>>, Problem> {
    let stdin = std::io::stdin();
    let before = termios::tcgetattr(&stdin).map_err(terminal)?;
    let mut silent = before.clone();
    silent.local_flags.remove(termios::LocalFlags::ECHO);
    termios::tcsetattr(&stdin, termios::SetArg::TCSANOW, &silent).map_err(terminal)?;
    let mut stderr = std::io::stderr();
    drop(write!(stderr, "{prompt}").and_then(|()| stderr.flush()));
    let mut line = Zeroizing::new(String::new());
    let read = stdin.lock().read_line(&mut line);
    drop(writeln!(stderr));
    termios::tcsetattr(&stdin, termios::SetArg::TCSANOW, &before).map_err(terminal)?;
    read.map_err(terminal)?;
    Ok(Zeroizing::new(
        line.trim_end_matches(['\r', '\n']).as_bytes().to_vec(),
    ))
}
