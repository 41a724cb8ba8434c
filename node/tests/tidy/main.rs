//! The style guide as a test: each rule reads the tree and names every violation by file and line.
//!
//! A rule is a function from a [`tree::Tree`] to violations, so that each is tried on a small tree
//! with one violation as well as on the real one. A file that cannot be read is a violation.

mod actors;
mod edges;
mod files;
mod lints;
mod promises;
mod ratchet;
mod tree;

use tree::{Tree, Violation};

/// What breaks a rule in a tree.
type Check = fn(&Tree) -> Vec<Violation>;

/// Rules of this test that look at files; dependency edges are looked up through cargo.
const RULES: [(&str, Check); 10] = [
    ("actix stays in actors and node", actors::actix_stays_home),
    (
        "actix's send family stays in the mailbox",
        actors::sends_stay_in_the_mailbox,
    ),
    ("workflows are pure", actors::workflows_are_pure),
    (
        "actor folders have their four files",
        actors::folders_are_whole,
    ),
    ("pure crates carry the lint block", lints::pure_block),
    ("clippy files of pure crates are equal", lints::clippy_files),
    ("unsafe code is forbidden or explained", lints::unsafe_code),
    (
        "files have telling names and nothing is left for later",
        files::names_and_leftovers,
    ),
    ("every promise has its test", promises::controls_name_tests),
    (
        "every seccomp entry has its reason",
        promises::seccomp_entries,
    ),
];

#[test]
fn the_tree_is_tidy() {
    let tree = Tree::of_repository();
    let mut violations: Vec<String> = Vec::new();
    for (rule, check) in RULES {
        violations.extend(
            check(&tree)
                .iter()
                .map(|found| format!("{found}   [{rule}]")),
        );
    }
    violations.extend(
        edges::check()
            .iter()
            .map(|found| format!("{found}   [dependency edges]")),
    );
    violations.extend(
        ratchet::check(&tree)
            .iter()
            .map(|found| format!("{found}   [ratchets]")),
    );
    assert!(
        violations.is_empty(),
        "{} violations:\n{}",
        violations.len(),
        violations.join("\n")
    );
}

/// Each rule on a tree of one file that breaks just it.
#[test]
fn each_rule_sees_its_violation_and_only_that() {
    let fixtures: [(&str, &str, &str); 9] = [
        (
            "actix stays in actors and node",
            "net/src/x.rs",
            "use actix::prelude::*;\n",
        ),
        (
            "actix's send family stays in the mailbox",
            "actors/src/jobs/effects.rs",
            "fn f() { addr.do_send(1); }\n",
        ),
        (
            "workflows are pure",
            "actors/src/jobs/workflow.rs",
            "use std::time::Instant;\n",
        ),
        (
            "pure crates carry the lint block",
            "ledger/src/lib.rs",
            "#![forbid(unsafe_code)]\n",
        ),
        (
            "unsafe code is forbidden or explained",
            "net/src/lib.rs",
            "//! No attribute.\n",
        ),
        (
            "unsafe code is forbidden or explained",
            "sandbox/src/sys.rs",
            "#![allow(unsafe_code)]\nfn f() { unsafe { g() } }\n",
        ),
        (
            "files have telling names and nothing is left for later",
            "net/src/utils.rs",
            "fn f() {}\n",
        ),
        (
            "every promise has its test",
            "docs/security/controls.md",
            "| 1.1 | links | net | `net::no_such_test_anywhere` |\n",
        ),
        (
            "every seccomp entry has its reason",
            "sandbox/profiles/x86_64/runner.json",
            "{\"allow\":{\"filter\":[{\"syscall\":\"read\"}]}}\n",
        ),
    ];
    for (expected, path, text) in fixtures {
        let tree = Tree::of_files([(path, text)]);
        for (rule, check) in RULES {
            let absent = rule == "clippy files of pure crates are equal"
                || rule == "actor folders have their four files";
            if absent {
                continue;
            }
            let found = check(&tree);
            assert_eq!(
                !found.is_empty(),
                rule == expected,
                "{path} under `{rule}`: {found:?}"
            );
        }
    }
}
