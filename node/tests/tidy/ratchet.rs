//! Counts that may only fall. A lower real count fails too, printing the number to commit.

use crate::tree::{Tree, Violation, is_comment, violation};

/// Files longer than this: is it one concept?
const FILE_LINES: usize = 450;
/// Functions longer than this: is it one thought?
const FUNCTION_LINES: usize = 70;

const FILE: &str = "node/tests/tidy/ratchet.toml";

pub(crate) fn check(tree: &Tree) -> Vec<Violation> {
    let committed = tree.text(FILE).unwrap_or_default();
    let counts = [
        ("expect_attributes", expect_attributes(tree)),
        ("long_files", long_files(tree)),
        ("long_functions", long_functions(tree)),
    ];
    let mut found = Vec::new();
    for (name, real) in counts {
        let line = committed
            .lines()
            .find_map(|line| line.strip_prefix(name)?.strip_prefix(" = "));
        let allowed = line.and_then(|number| number.trim().parse::<usize>().ok());
        if allowed != Some(real) {
            let reason = format!("{name} is {real}, committed is {allowed:?}: it may only fall");
            found.push(violation(FILE, 1, reason));
        }
    }
    found
}

fn expect_attributes(tree: &Tree) -> usize {
    let mut count = 0;
    for (_, text) in tree
        .rust()
        .filter(|(path, _)| !path.starts_with("node/tests/tidy/"))
    {
        count += text
            .lines()
            .filter(|line| line.trim_start().starts_with("#[expect("))
            .count();
    }
    count
}

fn long_files(tree: &Tree) -> usize {
    tree.rust()
        .filter(|(_, text)| text.lines().count() > FILE_LINES)
        .count()
}

/// Functions as rustfmt writes them: from a line with `fn ` to the brace at its own indentation.
fn long_functions(tree: &Tree) -> usize {
    let mut count = 0;
    for (_, text) in tree.rust() {
        let mut open: Option<(usize, usize)> = None;
        for (number, line) in text.lines().enumerate() {
            let indent = line.len() - line.trim_start().len();
            let begins =
                !is_comment(line) && line.contains("fn ") && !line.trim_end().ends_with(';');
            if open.is_none() && begins && !line.trim_end().ends_with('}') {
                open = Some((indent, number));
            }
            if let Some((depth, start)) = open
                && line.trim_end() == format!("{}}}", " ".repeat(depth))
            {
                count += usize::from(number - start + 1 > FUNCTION_LINES);
                open = None;
            }
        }
    }
    count
}
