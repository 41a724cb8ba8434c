//! The hidden mode `__sandbox-probe`: the attacker's process, inside a job.
//!
//! ```text
//! one NAME TARGET      one attack, as is
//! sealed NAME TARGET   one attack after `seal`, as a captured runner
//! suite                every single act, each in a child of its own
//! ```

use std::io::Write;

use super::{Attack, Attempt, Kind};
use crate::seccomp;
use crate::sys;

/// Argument that makes the binary a probe; its `main` matches it before anything else.
pub const PROBE_MODE: &str = "__sandbox-probe";

/// Exit codes of a probe that survived.
pub(super) const EXIT_REFUSED: u8 = 10;
pub(super) const EXIT_ALLOWED: u8 = 11;
const EXIT_USAGE: u8 = 12;

/// Entry of the hidden mode. Never returns.
pub fn probe_main() -> ! {
    let arguments: Vec<String> = std::env::args().skip(2).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let code = match words.as_slice() {
        ["one", name, target] => one(name, target),
        ["sealed", name, target] => match seccomp::seal() {
            Ok(()) => one(name, target),
            Err(_) => EXIT_USAGE,
        },
        ["suite"] => suite(),
        _ => EXIT_USAGE,
    };
    std::process::exit(i32::from(code))
}

fn code_of(attempt: &Attempt) -> u8 {
    match attempt {
        Attempt::Refused(_) => EXIT_REFUSED,
        Attempt::Allowed(_) => EXIT_ALLOWED,
    }
}

fn say(line: &str) {
    // Standard output may be closed or full; the exit code still tells.
    writeln!(std::io::stdout(), "{line}").ok();
}

fn one(name: &str, target: &str) -> u8 {
    let Some(attempt) = super::as_runner(name, target) else {
        return EXIT_USAGE;
    };
    say(&attempt.to_string());
    code_of(&attempt)
}

/// Each act in its own child, so that being killed counts as refused and ends nothing else.
fn suite() -> u8 {
    let mut worst = EXIT_REFUSED;
    for attack in Attack::all().filter(|attack| attack.kind == Kind::Attempt) {
        let status = sys::in_forked_child(|| code_of(&(attack.act)("")));
        let (line, allowed) = match status {
            Ok(status) if libc::WIFSIGNALED(status) => {
                let signal = libc::WTERMSIG(status);
                (format!("killed {signal}"), signal != libc::SIGSYS)
            }
            Ok(status) if libc::WEXITSTATUS(status) == i32::from(EXIT_REFUSED) => {
                ("refused".to_owned(), false)
            }
            Ok(status) => (format!("allowed {}", libc::WEXITSTATUS(status)), true),
            Err(errno) => (format!("unknown {errno}"), true),
        };
        if allowed {
            worst = EXIT_ALLOWED;
        }
        say(&format!("{} {line}", attack.name));
    }
    worst
}
