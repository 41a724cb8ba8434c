//! Rules about actix and the actors.

use std::collections::BTreeSet;

use crate::tree::{Tree, Violation, is_comment, lines, violation};

/// The five domains; each is a folder of four files.
const DOMAINS: [&str; 5] = ["staking", "escrow", "jobs", "execution", "evidence"];
const FOUR: [&str; 4] = ["actor.rs", "workflow.rs", "effects.rs", "tests.rs"];

fn may_use_actix(path: &str) -> bool {
    path.starts_with("actors/") || path.starts_with("node/")
}

pub(crate) fn actix_stays_home(tree: &Tree) -> Vec<Violation> {
    let mut found = Vec::new();
    for (path, text) in tree.files() {
        let source = path.ends_with(".rs");
        let manifest = path.ends_with("/Cargo.toml");
        if may_use_actix(path) || !(source || manifest) {
            continue;
        }
        for (number, line) in lines(text) {
            let uses = if source {
                !is_comment(line) && (line.contains("actix::") || line.contains("actix_"))
            } else {
                line.starts_with("actix")
            };
            if uses {
                found.push(violation(
                    path,
                    number,
                    "actix is a shell of actors/ and node/ only",
                ));
            }
        }
    }
    found
}

pub(crate) fn sends_stay_in_the_mailbox(tree: &Tree) -> Vec<Violation> {
    let mut found = Vec::new();
    for (path, text) in tree.rust() {
        let home = path.starts_with("actors/src/mailbox") || path.starts_with("node/tests/tidy/");
        if !may_use_actix(path) || home {
            continue;
        }
        for (number, line) in lines(text) {
            if !is_comment(line) && (line.contains(".do_send(") || line.contains(".notify_later("))
            {
                found.push(violation(
                    path,
                    number,
                    "use mailbox::Outbox: this ignores capacity",
                ));
            }
        }
    }
    found
}

pub(crate) fn workflows_are_pure(tree: &Tree) -> Vec<Violation> {
    let banned = [
        "actix",
        "tokio",
        "std::time",
        "HashMap",
        "HashSet",
        ".sum(",
        "async fn",
        "std::fs",
    ];
    let mut found = Vec::new();
    for (path, text) in tree
        .rust()
        .filter(|(path, _)| path.ends_with("/workflow.rs"))
    {
        for (number, line) in lines(text) {
            for word in banned {
                if !is_comment(line) && line.contains(word) {
                    let reason = format!("a workflow decides and does nothing else: no `{word}`");
                    found.push(violation(path, number, reason));
                }
            }
        }
    }
    found
}

pub(crate) fn folders_are_whole(tree: &Tree) -> Vec<Violation> {
    let paths: BTreeSet<&str> = tree.rust().map(|(path, _)| path).collect();
    let mut found = Vec::new();
    for domain in DOMAINS {
        for file in FOUR {
            let path = format!("actors/src/{domain}/{file}");
            if !paths.contains(path.as_str()) {
                found.push(violation(
                    &path,
                    0,
                    "an actor is a folder of exactly four files",
                ));
            }
        }
    }
    found
}
