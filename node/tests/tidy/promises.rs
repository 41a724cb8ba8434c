//! Rules about promises: every claim names its test, every allowed system call its reason.

use serde_json::Value;

use crate::tree::{Tree, Violation, lines, violation};

const CONTROLS: &str = "docs/security/controls.md";

/// Every `crate::test` in the controls' table exists as a test function.
pub(crate) fn controls_name_tests(tree: &Tree) -> Vec<Violation> {
    let Some(text) = tree.text(CONTROLS) else {
        return Vec::new();
    };
    let mut found = Vec::new();
    for (number, line) in lines(text).filter(|(_, line)| line.starts_with('|')) {
        for name in line
            .split('`')
            .skip(1)
            .step_by(2)
            .filter(|name| name.contains("::"))
        {
            let (place, test) = name.rsplit_once("::").unwrap_or_default();
            let place = place.split("::").next().unwrap_or_default();
            let defined = tree.rust().any(|(path, text)| {
                let here = path.starts_with(&format!("{place}/")) || path.starts_with("testnet/");
                here && text.contains(&format!("fn {test}("))
            });
            if !defined {
                found.push(violation(CONTROLS, number, format!("no test `{name}`")));
            }
        }
    }
    found
}

pub(crate) fn seccomp_entries(tree: &Tree) -> Vec<Violation> {
    let mut found = Vec::new();
    for (path, text) in tree
        .files()
        .filter(|(path, _)| path.starts_with("sandbox/profiles/"))
    {
        match serde_json::from_str::<Value>(text) {
            Ok(profile) => walk(path, text, &profile, &mut found),
            Err(error) => found.push(violation(path, error.line(), error.to_string())),
        }
    }
    found
}

/// Every object with a `syscall` has a `comment` that says who needs it.
fn walk(path: &str, text: &str, value: &Value, found: &mut Vec<Violation>) {
    match value {
        Value::Array(items) => items.iter().for_each(|item| walk(path, text, item, found)),
        Value::Object(entries) => {
            if let Some(name) = entries.get("syscall").and_then(Value::as_str) {
                let explained = entries
                    .get("comment")
                    .and_then(Value::as_str)
                    .is_some_and(|comment| !comment.trim().is_empty());
                let quoted = format!("\"{name}\"");
                let line = lines(text).find(|(_, line)| line.contains(&quoted));
                if !explained {
                    let line = line.map_or(1, |(number, _)| number);
                    found.push(violation(path, line, format!("`{name}` has no comment")));
                }
            }
            entries
                .values()
                .for_each(|entry| walk(path, text, entry, found));
        }
        _ => {}
    }
}
