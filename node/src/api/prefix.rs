//! An id in full or by its first digits: what a person reads off a screen is rarely all of it.

use protocol::digest::Digest;

use crate::problem::Problem;

/// Fewer digits are too likely to begin another id as well.
pub(crate) const DIGITS_MIN: usize = 8;
/// An id in full.
const DIGITS: usize = 64;
/// So many of several matches are named.
pub(crate) const NAMED_MAX: usize = 5;

/// All ids that begin with some digits: those from `first` to `last`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Range {
    pub(crate) first: Digest,
    pub(crate) last: Digest,
}

impl Range {
    /// The ids that begin like this; `None` if these are no digits or too few.
    fn of(text: &str) -> Option<Self> {
        let digits = text.bytes().all(|byte| byte.is_ascii_hexdigit());
        if !digits || !(DIGITS_MIN..=DIGITS).contains(&text.len()) {
            return None;
        }
        let filled = |with: &str| {
            let rest = with.repeat(DIGITS - text.len());
            format!("{text}{rest}").parse().ok()
        };
        Some(Self {
            first: filled("0")?,
            last: filled("f")?,
        })
    }

    /// The same, or a problem with this code that says what an id looks like.
    pub(crate) fn asked(text: &str, unknown: &str) -> Result<Self, Problem> {
        Self::of(text).ok_or_else(|| {
            let text = format!(
                "{text}: an id has {DIGITS} hexadecimal digits, and its first {DIGITS_MIN} are needed"
            );
            Problem::new(unknown, text)
        })
    }

    /// Whether all digits were given.
    pub(crate) fn is_whole(&self) -> bool {
        self.first == self.last
    }

    /// Whether an id is among them.
    pub(crate) fn contains(&self, id: &Digest) -> bool {
        (self.first..=self.last).contains(id)
    }
}

/// The one of several that was meant, or a problem that names what could have been. One more than is
/// named is enough to look at.
pub(crate) fn only<T: Copy + ToString>(
    text: &str,
    fitting: impl IntoIterator<Item = T>,
) -> Result<Option<T>, Problem> {
    let found: Vec<T> = fitting.into_iter().take(NAMED_MAX + 1).collect();
    match found.as_slice() {
        [] => Ok(None),
        [only] => Ok(Some(*only)),
        several => {
            let named: Vec<String> = several.iter().map(ToString::to_string).collect();
            Err(ambiguous(text, &named))
        }
    }
}

/// Several ids begin like this.
pub(crate) fn ambiguous(text: &str, ids: &[String]) -> Problem {
    let named = ids.get(..NAMED_MAX).unwrap_or(ids).join(", ");
    let more = if ids.len() > NAMED_MAX {
        " and more"
    } else {
        ""
    };
    Problem::new("id.ambiguous", format!("{text} begins {named}{more}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(text: &str) -> Digest {
        format!("{text:0<64}").parse().unwrap()
    }

    #[test]
    fn digits_are_a_range_of_ids() {
        let range = Range::of("00ab12cd").unwrap();
        assert!(!range.is_whole());
        for inside in ["00ab12cd", "00ab12cdff"] {
            assert!(range.contains(&id(inside)), "{inside}");
        }
        assert!(range.contains(&format!("{:f<64}", "00ab12cd").parse().unwrap()));
        for outside in ["00ab12cc", "00ab12ce", ""] {
            assert!(!range.contains(&id(outside)), "{outside}");
        }
        assert_eq!(Range::of("00AB12CD"), Some(range));
        let whole = Range::of(&id("00ab12cd").to_string()).unwrap();
        assert!(whole.is_whole() && whole.contains(&id("00ab12cd")));
        for bad in ["", "00ab12c", "00ab12cx", "00ab-12cd", &"0".repeat(65)] {
            assert_eq!(Range::of(bad), None, "{bad}");
            let problem = Range::asked(bad, "tx.unknown").unwrap_err();
            assert_eq!(problem.code.as_str(), "tx.unknown");
            assert!(problem.detail.contains("64") && problem.detail.contains("first 8"));
        }
    }

    #[test]
    fn several_are_named_and_one_is_found() {
        let ids = ["aa", "ab", "ac", "ad", "ae", "af", "b0"].map(id);
        assert_eq!(only("x", []).unwrap(), None::<Digest>);
        assert_eq!(only("x", [ids[0]]).unwrap(), Some(ids[0]));
        let two = only("aaaaaaaa", [ids[0], ids[1]]).unwrap_err();
        assert_eq!((two.code.as_str(), two.exit_code), ("id.ambiguous", 3));
        for named in [ids[0], ids[1]] {
            assert!(two.detail.contains(&named.to_string()), "{two}");
        }
        assert!(!two.detail.contains("more"), "{two}");
        let many = only("aaaaaaaa", ids).unwrap_err();
        assert!(many.detail.ends_with("and more"), "{many}");
        assert!(!many.detail.contains(&ids[5].to_string()), "{many}");
    }
}
