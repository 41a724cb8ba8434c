//! A mistake in the command line, told with the help of the command that was being used.

use std::ffi::OsString;
use std::process::ExitCode;

use clap::{Command, CommandFactory as _};

use crate::cli::Cli;
use crate::output::{Format, Output};
use crate::problem::Problem;

/// Help goes to stdout; a mistake goes to stderr, which ends with the problem line as ever.
pub(crate) fn explain(error: &clap::Error, args: &[OsString]) -> ExitCode {
    let output = Output {
        format: Format::Jsonl,
        quiet: false,
    };
    let printed = error.print();
    if !error.use_stderr() {
        if let Err(error) = printed {
            output.unwritten(&error);
        }
        return ExitCode::SUCCESS;
    }
    let problem = Problem::new("usage", said(&error.render().to_string()))
        .hint(format!("{} --help", command_of(args)));
    ExitCode::from(output.problem(&problem).code())
}

/// The mistake in one line: what follows indented, such as missing arguments, belongs to it.
fn said(text: &str) -> String {
    let mut lines = text.lines().skip_while(|line| !line.starts_with("error: "));
    let Some(first) = lines.next().and_then(|line| line.strip_prefix("error: ")) else {
        return "a subcommand is missing".to_owned();
    };
    let rest = lines.take_while(|line| line.starts_with(' '));
    let words: Vec<&str> = std::iter::once(first).chain(rest.map(str::trim)).collect();
    words.join(" ")
}

/// The command as far as the arguments name one: `palisade job submit`.
fn command_of(args: &[OsString]) -> String {
    let mut root = Cli::command();
    root.build();
    let mut command = &root;
    let mut named = vec![root.get_name().to_owned()];
    let mut words = args.iter().skip(1).filter_map(|arg| arg.to_str());
    while let Some(word) = words.next() {
        if word == "--" {
            break;
        }
        if word.starts_with('-') {
            if takes_next(command, word) {
                words.next();
            }
            continue;
        }
        // What is no subcommand is an argument, or a slip that the help of what came before sorts out.
        let Some(found) = command.find_subcommand(word) else {
            break;
        };
        named.push(found.get_name().to_owned());
        command = found;
    }
    named.join(" ")
}

/// Whether the word after an option is its value, and not a command.
fn takes_next(command: &Command, option: &str) -> bool {
    let long = option.strip_prefix("--");
    let found = command.get_arguments().find(|arg| match long {
        Some(name) => arg.get_long() == Some(name),
        None => arg.get_short() == option.chars().nth(1) && option.chars().count() == 2,
    });
    found.is_some_and(|arg| arg.get_action().takes_values())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_missing_is_named() {
        let text = "error: the following arguments were not provided:\n  --model <MODEL>\n  <X>\n\n\
                    Usage: palisade\n";
        assert_eq!(
            said(text),
            "the following arguments were not provided: --model <MODEL> <X>"
        );
        assert_eq!(said("error: unknown `x`\n\n  tip: y\n"), "unknown `x`");
        assert_eq!(
            said("Jobs\n\nUsage: palisade job\n"),
            "a subcommand is missing"
        );
    }

    #[test]
    fn the_command_is_the_one_that_was_used() {
        for (line, expected) in [
            ("palisade", "palisade"),
            ("palisade fly", "palisade"),
            ("/usr/bin/palisade job", "palisade job"),
            ("palisade job submit --modle x", "palisade job submit"),
            ("palisade job fly submit", "palisade job"),
            ("palisade --output json job list", "palisade job list"),
            ("palisade --output=json -v job list", "palisade job list"),
            ("palisade --home job status --x", "palisade status"),
            ("palisade job --home x cancel", "palisade job cancel"),
            (
                "palisade testnet fault murder bob",
                "palisade testnet fault",
            ),
            (
                "palisade account transfer job list",
                "palisade account transfer",
            ),
            ("palisade testnet wait --timeout", "palisade testnet wait"),
            ("palisade -- job", "palisade"),
        ] {
            let args: Vec<OsString> = line.split(' ').map(OsString::from).collect();
            assert_eq!(command_of(&args), expected, "{line}");
        }
    }
}
