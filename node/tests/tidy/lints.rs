//! Rules about attributes: purity, clippy's files, unsafe code.

use crate::tree::{Tree, Violation, is_comment, lines, violation};

/// What every pure file denies.
const DENIED: [&str; 7] = [
    "clippy::arithmetic_side_effects",
    "clippy::indexing_slicing",
    "clippy::unwrap_used",
    "clippy::expect_used",
    "clippy::panic",
    "clippy::float_arithmetic",
    "clippy::as_conversions",
];
const PURE: [&str; 3] = ["protocol", "ledger", "consensus"];
/// Where unsafe code may stand, always explained.
const UNSAFE: [&str; 5] = ["child.rs", "init.rs", "privilege.rs", "root.rs", "sys.rs"];

pub(crate) fn pure_block(tree: &Tree) -> Vec<Violation> {
    let roots = PURE.map(|name| format!("{name}/src/lib.rs"));
    let mut found = Vec::new();
    for root in roots {
        let Some(text) = tree.text(&root) else {
            continue;
        };
        for lint in DENIED.iter().filter(|lint| !text.contains(**lint)) {
            found.push(violation(&root, 1, format!("a pure crate denies {lint}")));
        }
    }
    found
}

pub(crate) fn clippy_files(tree: &Tree) -> Vec<Violation> {
    let text = |name: &str| tree.text(&format!("{name}/clippy.toml"));
    let first = text(PURE[0]);
    let differing = PURE
        .iter()
        .filter(|name| text(name).is_none() || text(name) != first);
    differing
        .map(|name| {
            let reason = "the pure crates carry one clippy.toml, byte for byte";
            violation(&format!("{name}/clippy.toml"), 1, reason)
        })
        .collect()
}

pub(crate) fn unsafe_code(tree: &Tree) -> Vec<Violation> {
    let mut found = Vec::new();
    for (path, text) in tree.rust() {
        let root = path.ends_with("/src/lib.rs") || path.ends_with("/src/main.rs");
        let excepted = path.starts_with("sandbox/");
        if root && !excepted && !text.contains("#![forbid(unsafe_code)]") {
            found.push(violation(
                path,
                1,
                "every crate but sandbox forbids unsafe code",
            ));
        }
        if path.starts_with("node/tests/tidy/") {
            continue;
        }
        found.extend(unexplained(path, text));
    }
    found
}

/// Unsafe blocks outside the modules that may hold them, or without `SAFETY:` just above.
fn unexplained(path: &str, text: &str) -> Vec<Violation> {
    let all: Vec<&str> = text.lines().collect();
    let file = path.rsplit('/').next().unwrap_or_default();
    let mut found = Vec::new();
    for (number, line) in lines(text) {
        let code = line.split("//").next().unwrap_or_default();
        let block = code.contains("unsafe {") || code.contains("unsafe impl");
        if is_comment(line) || !block {
            continue;
        }
        if !path.starts_with("sandbox/") || !UNSAFE.contains(&file) {
            found.push(violation(
                path,
                number,
                "unsafe code stands in five files of sandbox only",
            ));
        }
        let above = &all[number.saturating_sub(8)..number];
        if !above.iter().any(|line| line.contains("SAFETY:")) {
            found.push(violation(
                path,
                number,
                "an unsafe block says why it is sound",
            ));
        }
    }
    found
}
