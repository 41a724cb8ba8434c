//! Goal: a validator that votes twice in one round is found out by the others, reported, slashed and
//! tombstoned, and nobody else is touched.

use std::sync::Arc;

use actors::tamper::{Means, Outgoing, Profiles, Tamper};
use protocol::digest::{BlockId, sha256};
use protocol::events::Event;
use protocol::signed::Signed;
use protocol::units::{Amount, Height};

use crate::cluster::Cluster;

/// Adds to each vote for a block a second one for another.
#[derive(Debug)]
struct Twice;

impl Tamper for Twice {
    fn name(&self) -> &'static str {
        "twice"
    }

    fn broadcast(&self, message: Outgoing, means: &Means) -> Vec<Outgoing> {
        let Outgoing::Vote(vote) = &message else {
            return vec![message];
        };
        let key = means.consensus_key.as_ref().unwrap();
        let mut other = vote.message;
        other.block = Some(BlockId(sha256(b"another block")));
        let second = Outgoing::Vote(Signed::sign(other, key, &means.chain));
        vec![message, second]
    }
}

#[derive(Debug)]
struct OnlyTwice;

impl Profiles for OnlyTwice {
    fn names(&self) -> Vec<&'static str> {
        vec!["twice"]
    }

    fn make(&self, name: &str) -> Option<Arc<dyn Tamper>> {
        (name == "twice").then(|| Arc::new(Twice) as Arc<dyn Tamper>)
    }
}

#[test]
fn a_double_vote_ends_tombstoned() {
    let cluster = Cluster::start_with(4, Arc::new(OnlyTwice));
    cluster.wait_height(2);
    assert!(
        cluster
            .node(3)
            .byzantine(Some(("unknown", Height(0))))
            .is_err()
    );
    cluster
        .node(3)
        .byzantine(Some(("twice", Height(0))))
        .unwrap();
    let liar = cluster.validator(3);
    let (height, _) = cluster.wait_event(
        0,
        "the tombstone",
        |event| matches!(event, Event::Tombstoned { validator, .. } if *validator == liar),
    );
    // Three equal validators go on without it.
    cluster.wait(0, "life after it", |s| s.height >= height.plus(4));
    let state = cluster.node(0).snapshot().state.clone();
    let slashed: Amount = cluster
        .node(0)
        .feed()
        .after(Height(0))
        .iter()
        .flat_map(|entry| entry.events.iter().cloned().collect::<Vec<_>>())
        .filter_map(|event| match event {
            Event::Slashed {
                validator, amount, ..
            } => {
                assert_eq!(validator, liar, "nobody else is touched");
                Some(amount)
            }
            _ => None,
        })
        .fold(Amount::ZERO, Amount::saturating_add);
    assert_eq!(slashed, Amount::pal(50), "five per cent of 1,000 PAL");
    assert_eq!(state.evidence.len(), 1);
    for index in 0..3 {
        assert_eq!(*cluster.node(index).fatal().borrow(), None);
        assert!(
            state
                .validators
                .get(&cluster.validator(index))
                .unwrap()
                .exit
                .is_none()
        );
    }
    cluster.assert_agreement();
}
