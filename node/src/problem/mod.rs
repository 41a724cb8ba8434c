//! Errors as people and programs see them: RFC 9457 members plus `code`, `hint` and `exit_code`.

mod registry;

use std::fmt;

use serde::{Deserialize, Serialize};

pub(crate) use registry::{REGISTRY, entry};

use crate::exit::Exit;

/// One error, complete enough to act on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Problem {
    /// Where the code is explained.
    #[serde(rename = "type")]
    pub(crate) kind: String,
    /// One line about the code.
    pub(crate) title: String,
    /// Status over HTTP.
    pub(crate) status: u16,
    /// Stable name.
    pub(crate) code: String,
    /// The values that disagree, in this case.
    pub(crate) detail: String,
    /// What to do next.
    pub(crate) hint: String,
    /// How a command ends that meets it.
    #[serde(default)]
    pub(crate) exit_code: u8,
}

impl Problem {
    /// A problem of a registered code. A code that is not registered keeps its name and counts as a
    /// refusal by the network: ledger rules name their own causes.
    pub(crate) fn new(code: &str, detail: impl fmt::Display) -> Self {
        let detail = detail.to_string();
        match entry(code) {
            Some(entry) => Self {
                kind: format!("/v1/problems/{code}"),
                title: entry.title.to_owned(),
                status: entry.status,
                code: code.to_owned(),
                detail,
                hint: entry.hint.to_owned(),
                exit_code: entry.exit.code(),
            },
            // A node of another release may know codes that we do not.
            None => Self {
                kind: format!("/v1/problems/{code}"),
                title: "Refused".to_owned(),
                status: 422,
                code: code.to_owned(),
                detail,
                hint: "The detail says why.".to_owned(),
                exit_code: Exit::Rejected.code(),
            },
        }
    }

    /// The same with another hint.
    pub(crate) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = hint.into();
        self
    }

    /// The same with another exit.
    pub(crate) fn exit(mut self, exit: Exit) -> Self {
        self.exit_code = exit.code();
        self
    }

    /// The one line that ends stderr.
    pub(crate) fn to_line(&self) -> String {
        serde_json::to_string(self).unwrap_or_else(|_| self.code.clone())
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.title, self.detail)
    }
}

impl std::error::Error for Problem {}

/// The problem inside an error: itself, or an unexpected one.
pub(crate) fn of_error(error: &anyhow::Error) -> Problem {
    match error.downcast_ref::<Problem>() {
        Some(problem) => problem.clone(),
        None => Problem::new("internal", format!("{error:#}")),
    }
}

/// Returns early with a problem.
macro_rules! refuse {
    ($code:literal, $($detail:tt)+) => {
        return Err($crate::problem::Problem::new($code, format!($($detail)+)).into())
    };
}
pub(crate) use refuse;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn line_has_the_seven_members() {
        let line = Problem::new("job.unknown", "ab12").to_line();
        let value: serde_json::Value = serde_json::from_str(&line).unwrap();
        let members: Vec<&str> = value
            .as_object()
            .unwrap()
            .keys()
            .map(String::as_str)
            .collect();
        let mut expected = vec![
            "type",
            "title",
            "status",
            "code",
            "detail",
            "hint",
            "exit_code",
        ];
        expected.sort_unstable();
        assert_eq!(members, expected);
        assert_eq!(value["exit_code"], 3);
    }

    #[test]
    fn unknown_codes_are_refusals() {
        let problem = Problem::new("ledger.new_rule", "x");
        assert_eq!((problem.status, problem.exit_code), (422, 5));
    }
}
