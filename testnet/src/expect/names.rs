//! The values an expectation can ask for, and the nearest right name for a wrong one.

/// Sets of nodes that `all`, `any` and `none` accept beside single names.
pub const SETS: [&str; 2] = ["honest", "validators"];

/// What kind of thing an argument must be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Argument {
    Node,
    Account,
    Peer,
    Offence,
    EvidenceOutcome,
    JobOutcome,
    Text,
}

/// A name with its arguments; those past `required` may be left out.
#[derive(Debug)]
pub(super) struct Function {
    pub name: &'static str,
    pub arguments: &'static [Argument],
    pub required: usize,
    /// May stand inside `all`, `any` and `none`.
    pub predicate: bool,
}

const fn value(name: &'static str, arguments: &'static [Argument], required: usize) -> Function {
    Function {
        name,
        arguments,
        required,
        predicate: false,
    }
}

const fn predicate(name: &'static str, arguments: &'static [Argument]) -> Function {
    Function {
        name,
        arguments,
        required: 1,
        predicate: true,
    }
}

use Argument::{Account, EvidenceOutcome, JobOutcome, Node, Offence, Peer, Text};

pub(super) const FUNCTIONS: [Function; 23] = [
    value("height", &[Node], 0),
    value("agree", &[], 0),
    predicate("up", &[Node]),
    predicate("synced", &[Node]),
    predicate("active", &[Node]),
    predicate("jailed", &[Node]),
    predicate("tombstoned", &[Node]),
    predicate("slashed", &[Node, Offence]),
    predicate("signing", &[Node]),
    value("restarts", &[Node], 1),
    value("slashed_amount", &[Node], 1),
    value("stake", &[Node], 1),
    value("balance", &[Account], 1),
    value("jobs", &[JobOutcome], 1),
    value("evidence", &[Offence, EvidenceOutcome], 1),
    value("banned", &[Peer], 1),
    value("metric", &[Node, Text], 2),
    value("log", &[Node, Text], 2),
    value("supply_conserved", &[], 0),
    value("audit_ok", &[], 0),
    value("commit_interval_p95", &[], 0),
    value("finality_p95", &[], 0),
    value("slashes", &[], 0),
];

pub(super) const OFFENCES: [&str; 4] = [
    "double_vote",
    "double_proposal",
    "wrong_result",
    "wrong_juror",
];
pub(super) const EVIDENCE_OUTCOMES: [&str; 1] = ["accepted"];
pub(super) const JOB_OUTCOMES: [&str; 3] = ["paid", "refunded", "failed"];

/// The names that exist in one net.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Names {
    /// Nodes, in manifest order.
    pub nodes: Vec<String>,
}

pub(super) fn function(name: &str) -> Option<&'static Function> {
    FUNCTIONS.iter().find(|function| function.name == name)
}

/// The candidate with the smallest edit distance, if it is close enough to be meant.
pub(crate) fn nearest<'a>(
    word: &str,
    candidates: impl IntoIterator<Item = &'a str>,
) -> Option<&'a str> {
    candidates
        .into_iter()
        .map(|candidate| (distance(word, candidate), candidate))
        .min()
        .filter(|(distance, _)| *distance <= 1 + word.len() / 3)
        .map(|(_, candidate)| candidate)
}

/// Levenshtein's edit distance in bytes.
fn distance(a: &str, b: &str) -> usize {
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.bytes().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, y) in b.bytes().enumerate() {
            let substituted = diagonal + usize::from(x != y);
            diagonal = row[j + 1];
            row[j + 1] = substituted.min(diagonal + 1).min(row[j] + 1);
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nearest_names_help_and_far_ones_do_not() {
        assert_eq!(nearest("jaild", ["jailed", "active"]), Some("jailed"));
        assert_eq!(nearest("zzzzz", ["jailed", "active"]), None);
    }
}
