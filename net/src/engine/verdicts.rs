//! What is said of a gossip message, once each of its parts is judged.
//!
//! One bad part makes the message bad: whoever forwards it has verified all of them first. A part that
//! is news makes it worth forwarding, whatever the others are.

use std::collections::HashMap;

use libp2p::gossipsub::{MessageAcceptance, MessageId};

/// A message under way.
#[derive(Debug)]
struct Open {
    left: usize,
    verdict: MessageAcceptance,
}

/// Messages of which a part is still at the pool; it gives back each, so none stays.
#[derive(Debug, Default)]
pub(super) struct Verdicts(HashMap<MessageId, Open>);

impl Verdicts {
    /// A message of so many parts.
    pub(super) fn expect(&mut self, id: &MessageId, parts: usize) {
        let open = Open {
            left: parts,
            verdict: MessageAcceptance::Ignore,
        };
        self.0.insert(id.clone(), open);
    }

    /// One part is judged; the message's verdict if it was the last.
    pub(super) fn judged(
        &mut self,
        id: &MessageId,
        part: MessageAcceptance,
    ) -> Option<MessageAcceptance> {
        let open = self.0.get_mut(id)?;
        open.left = open.left.saturating_sub(1);
        open.verdict = worse(open.verdict, part);
        if open.left > 0 {
            return None;
        }
        self.0.remove(id).map(|open| open.verdict)
    }
}

/// Reject before accept, accept before ignore.
const fn worse(one: MessageAcceptance, other: MessageAcceptance) -> MessageAcceptance {
    use MessageAcceptance::{Accept, Ignore, Reject};
    match (one, other) {
        (Reject, _) | (_, Reject) => Reject,
        (Accept, _) | (_, Accept) => Accept,
        (Ignore, Ignore) => Ignore,
    }
}

#[cfg(test)]
mod tests {
    use MessageAcceptance::{Accept, Ignore, Reject};

    use super::*;

    fn of(parts: &[MessageAcceptance]) -> MessageAcceptance {
        let (mut verdicts, id) = (Verdicts::default(), MessageId::new(b"m"));
        verdicts.expect(&id, parts.len());
        let (last, first) = parts.split_last().unwrap();
        for part in first {
            assert!(verdicts.judged(&id, *part).is_none(), "too early");
        }
        let verdict = verdicts.judged(&id, *last).unwrap();
        assert!(verdicts.0.is_empty());
        verdict
    }

    #[test]
    fn once_and_by_the_worst_part() {
        for (parts, verdict) in [
            (&[Accept][..], "Accept"),
            (&[Ignore], "Ignore"),
            (&[Reject], "Reject"),
            (&[Ignore, Accept, Ignore], "Accept"),
            (&[Accept, Accept, Reject, Accept], "Reject"),
            (&[Ignore, Ignore], "Ignore"),
        ] {
            assert_eq!(format!("{:?}", of(parts)), verdict, "{parts:?}");
        }
    }

    #[test]
    fn nothing_is_said_of_what_is_over() {
        let mut verdicts = Verdicts::default();
        assert!(verdicts.judged(&MessageId::new(b"m"), Accept).is_none());
    }
}
