//! Rules about names, and about what is left for later.

use crate::tree::{Tree, Violation, lines, violation};

/// Names that say nothing.
const BANNED: [&str; 5] = [
    "utils.rs",
    "util.rs",
    "helpers.rs",
    "common.rs",
    "manager.rs",
];

pub(crate) fn names_and_leftovers(tree: &Tree) -> Vec<Violation> {
    // Put together here, so that this file does not break its own rule.
    let marks = ["TO", "FIX", "XX"].map(|start| match start {
        "TO" => "TODO".to_owned(),
        "FIX" => "FIXME".to_owned(),
        other => format!("{other}X"),
    });
    let mut found = Vec::new();
    for (path, text) in tree.rust() {
        let file = path.rsplit('/').next().unwrap_or_default();
        if BANNED.contains(&file) {
            found.push(violation(path, 1, "a file is named after its one concept"));
        }
        if path.starts_with("node/tests/tidy/") {
            continue;
        }
        for (number, line) in lines(text) {
            if marks.iter().any(|mark| line.contains(mark.as_str())) || line.contains("todo!(") {
                found.push(violation(
                    path,
                    number,
                    "nothing is left for later in the code",
                ));
            }
            if line.trim_start().starts_with("#[ignore") {
                found.push(violation(
                    path,
                    number,
                    "a test that is ignored proves nothing",
                ));
            }
        }
    }
    found
}
