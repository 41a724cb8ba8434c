//! One row of `doctor`: what was looked at, found, needed, and what to do.

use serde_json::{Value, json};

/// How a check ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// As needed.
    Pass,
    /// Short of what is needed, and named in the configuration as accepted.
    Waived,
    /// Works, with less than is needed.
    Degraded,
    /// A program cannot see it: a person has to.
    ByHand,
    /// Not as needed.
    Fail,
}

impl Verdict {
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Pass => "pass",
            Self::Waived => "waived",
            Self::Degraded => "degraded",
            Self::ByHand => "by hand",
            Self::Fail => "fail",
        }
    }

    /// `Pass` if it holds, `Fail` if not.
    pub(super) const fn of(holds: bool) -> Self {
        if holds { Self::Pass } else { Self::Fail }
    }
}

/// See the module.
#[derive(Clone, Debug)]
pub(super) struct Row {
    pub(super) check: String,
    pub(super) found: String,
    pub(super) needed: String,
    pub(super) remedy: String,
    pub(super) verdict: Verdict,
}

impl Row {
    /// A row whose verdict is known.
    pub(super) fn new(
        check: &str,
        verdict: Verdict,
        found: impl Into<String>,
        (needed, remedy): (&str, &str),
    ) -> Self {
        Self {
            check: check.to_owned(),
            found: found.into(),
            needed: needed.to_owned(),
            remedy: remedy.to_owned(),
            verdict,
        }
    }

    /// Something to be looked at by a person.
    pub(super) fn by_hand(check: &str, needed: &str, remedy: &str) -> Self {
        Self::new(
            check,
            Verdict::ByHand,
            "not for a program to see",
            (needed, remedy),
        )
    }

    /// For programs.
    pub(super) fn to_json(&self) -> Value {
        json!({
            "check": self.check, "found": self.found, "needed": self.needed,
            "remedy": self.remedy, "verdict": self.verdict.name(),
            "ok": self.verdict != Verdict::Fail,
        })
    }

    /// For people: one line, and two more where something is to be done.
    pub(super) fn to_text(&self) -> String {
        let line = format!(
            "{:<9} {:<18} {}",
            self.verdict.name(),
            self.check,
            self.found
        );
        if self.verdict == Verdict::Pass {
            return line;
        }
        let (needed, remedy) = (&self.needed, &self.remedy);
        format!(
            "{line}\n{:>10}needed: {needed}\n{:>10}remedy: {remedy}",
            "", ""
        )
    }
}

impl From<sandbox::Row> for Row {
    fn from(row: sandbox::Row) -> Self {
        Self {
            check: row.check.to_owned(),
            found: row.found,
            needed: row.needed,
            remedy: row.remedy.to_owned(),
            verdict: match row.verdict {
                sandbox::Verdict::Pass => Verdict::Pass,
                sandbox::Verdict::Degraded => Verdict::Degraded,
                sandbox::Verdict::Fail => Verdict::Fail,
            },
        }
    }
}
