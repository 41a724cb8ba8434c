//! Goal: every command explains itself. The commands are read from the help texts themselves.

use crate::{run, stdout};

fn commands_of(help: &str) -> Vec<String> {
    let from = help.lines().skip_while(|line| *line != "Commands:").skip(1);
    let rows = from.take_while(|line| line.starts_with("  "));
    let names = rows
        .filter(|line| !line.starts_with("   "))
        .filter_map(|line| line.split_whitespace().next());
    names.map(str::to_owned).collect()
}

#[test]
fn every_subcommand_has_help() {
    let dir = tempfile::tempdir().unwrap();
    let mut waiting = vec![Vec::new()];
    let mut seen = 0;
    while let Some(path) = waiting.pop() {
        let mut args: Vec<&str> = path.iter().map(String::as_str).collect();
        args.push("--help");
        let output = run(dir.path(), &args);
        let help = stdout(&output);
        assert_eq!(output.status.code(), Some(0), "{path:?}");
        assert!(
            help.lines()
                .next()
                .is_some_and(|line| !line.is_empty() && !line.starts_with("Usage")),
            "{path:?}: {help}"
        );
        seen += 1;
        for command in commands_of(&help) {
            waiting.push(path.iter().cloned().chain([command]).collect());
        }
    }
    assert!(seen > 60, "{seen} commands");
}

#[test]
fn nonsense_is_usage() {
    let dir = tempfile::tempdir().unwrap();
    for (args, help) in [
        (&["fly"][..], "palisade --help"),
        (&["status", "--fly"], "palisade status --help"),
        (&["job"], "palisade job --help"),
        (&["job", "submit"], "palisade job submit --help"),
        (&["--output", "json", "job", "fly"], "palisade job --help"),
        (
            &["account", "transfer", "x"],
            "palisade account transfer --help",
        ),
        (
            &["testnet", "fault", "murder", "bob"],
            "palisade testnet fault --help",
        ),
    ] {
        let problem = crate::refused(&run(dir.path(), args), "usage", 2);
        assert_eq!(problem["hint"], help, "{args:?}");
        // The hint is a command that works.
        let words: Vec<&str> = help.split(' ').skip(1).collect();
        assert_eq!(run(dir.path(), &words).status.code(), Some(0), "{help}");
    }
}

#[test]
fn every_code_is_explained() {
    let dir = tempfile::tempdir().unwrap();
    let all = stdout(&run(dir.path(), &["--output", "json", "explain", "all"]));
    let all: serde_json::Value = serde_json::from_str(&all).unwrap();
    assert!(all["codes"].as_array().unwrap().len() > 60);
    let one = stdout(&run(dir.path(), &["explain", "tx.stale_nonce"]));
    assert!(one.contains("nonce"), "{one}");
    let none = run(dir.path(), &["explain", "no.such_code"]);
    crate::refused(&none, "code.unknown", 3);
}
