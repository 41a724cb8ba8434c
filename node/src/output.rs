//! What a command prints: data on stdout, everything else on stderr.

use std::io::{self, Write as _};

use serde::Serialize;
use serde_json::Value;

use crate::exit::Exit;
use crate::problem::Problem;

/// The form of a command's data.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, clap::ValueEnum)]
pub(crate) enum Format {
    /// Lines for people.
    #[default]
    Human,
    /// One document.
    Json,
    /// One object a line, one line an event.
    Jsonl,
}

/// Where a command writes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Output {
    /// The form asked for.
    pub(crate) format: Format,
    /// No progress.
    pub(crate) quiet: bool,
}

impl Output {
    /// Prints the command's document, or its lines for people.
    pub(crate) fn document(&self, value: &impl Serialize, human: impl FnOnce() -> String) {
        match self.format {
            Format::Human => self.line(&human()),
            Format::Json | Format::Jsonl => match serde_json::to_string(value) {
                Ok(text) => self.line(&text),
                Err(error) => self.progress(&format!("cannot print: {error}")),
            },
        }
    }

    /// Prints one event of a stream, which `json` keeps for the closing document.
    pub(crate) fn event(&self, value: &Value, human: &str) {
        match self.format {
            Format::Human => self.line(human),
            Format::Jsonl => self.line(&value.to_string()),
            Format::Json => self.progress(human),
        }
    }

    /// Says on stderr what is going on.
    pub(crate) fn progress(&self, text: &str) {
        if !self.quiet {
            warn_line(text);
        }
    }

    /// Ends a failed command: a sentence for people, then the problem line.
    pub(crate) fn problem(&self, problem: &Problem) -> Exit {
        if self.format == Format::Human {
            warn_line(&format!("error: {}: {}", problem.title, problem.detail));
            warn_line(&format!("next:  {}", problem.hint));
        }
        warn_line(&problem.to_line());
        Exit::of(problem.exit_code)
    }

    fn line(&self, text: &str) {
        let text = text.trim_end_matches('\n');
        if let Err(error) = writeln!(std::io::stdout().lock(), "{text}") {
            self.unwritten(&error);
        }
    }

    /// Ends a command whose data stdout did not take: going on would look like success. A closed pipe
    /// is the reader's choice, not our failure.
    pub(crate) fn unwritten(&self, error: &io::Error) {
        if error.kind() == io::ErrorKind::BrokenPipe {
            return;
        }
        let text = format!("cannot write to stdout: {error}");
        let problem = Problem::new("storage.failed", text)
            .hint("make room where stdout goes and ask again; what the command did stays done");
        std::process::exit(i32::from(self.problem(&problem).code()));
    }
}

fn warn_line(text: &str) {
    drop(writeln!(std::io::stderr().lock(), "{text}"));
}

/// `upal` as PAL, for people only.
pub(crate) fn pal(upal: u64) -> String {
    let (whole, rest) = (upal / 1_000_000, upal % 1_000_000);
    if rest == 0 {
        return format!("{whole} PAL");
    }
    let digits = format!("{rest:06}");
    format!("{whole}.{} PAL", digits.trim_end_matches('0'))
}

/// Reads `12`, `12 PAL`, `1.5PAL` (PAL) or `100upal`.
pub(crate) fn parse_amount(text: &str) -> Result<u64, String> {
    let text = text.trim();
    if let Some(upal) = text.strip_suffix("upal") {
        return upal
            .trim()
            .parse()
            .map_err(|_| format!("{text:?} is no amount"));
    }
    let number = text.strip_suffix("PAL").unwrap_or(text).trim();
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    let digits = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    if !digits(whole) || fraction.len() > 6 || (number.contains('.') && !digits(fraction)) {
        return Err(format!(
            "{text:?} is no amount: write 1.5PAL or 1500000upal"
        ));
    }
    let padded = format!("{fraction:0<6}");
    let amount = (|| {
        let whole: u64 = whole.parse().ok()?;
        whole
            .checked_mul(1_000_000)?
            .checked_add(padded.parse().ok()?)
    })();
    amount.ok_or_else(|| format!("{text:?} is too large"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_read_and_print() {
        assert_eq!(parse_amount("1.5PAL"), Ok(1_500_000));
        assert_eq!(parse_amount("10 PAL"), Ok(10_000_000));
        assert_eq!(parse_amount("7upal"), Ok(7));
        assert_eq!(parse_amount("3"), Ok(3_000_000));
        for bad in [
            "",
            "x",
            "1.",
            ".5",
            "1.0000001",
            "-1",
            "1e3",
            "99999999999999999999",
        ] {
            assert!(parse_amount(bad).is_err(), "{bad}");
        }
        assert_eq!(pal(1_500_000), "1.5 PAL");
        assert_eq!(pal(7_000_000), "7 PAL");
        assert_eq!(pal(1), "0.000001 PAL");
    }
}
