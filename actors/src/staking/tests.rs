//! What is published, whom the network is told of, and what is written down about ourselves.

use protocol::digest::{Digest, EvidenceId, ValidatorId, sha256};
use protocol::events::{Event, JailCause, Offence};
use protocol::units::{Amount, Height};

use super::workflow::{Committed, Facts, Intent, Staking, Standing};

fn id(seed: &[u8]) -> ValidatorId {
    ValidatorId(sha256(seed))
}

fn active() -> Facts {
    Facts {
        standing: Standing::Active,
        bonded: Amount(10),
    }
}

fn at(height: u64, events: Vec<Event>, facts: Facts, set: &[u8]) -> Committed {
    Committed {
        height: Height(height),
        events,
        facts,
        set: sha256(set),
    }
}

fn slashed(validator: ValidatorId) -> Event {
    Event::Slashed {
        validator,
        offence: Offence::DoubleVote,
        amount: Amount(3),
        burned: Amount(2),
        job: None,
        evidence: None,
    }
}

#[test]
fn news_is_told_once() {
    let mut staking = Staking::new(Height(0));
    staking.know(Some(id(b"me")));
    let first = staking.step(&at(1, vec![], active(), b"set"));
    assert_eq!(
        first,
        [
            Intent::Admit,
            Intent::Publish(active()),
            Intent::Note(Height(1))
        ]
    );
    assert_eq!(
        staking.step(&at(2, vec![], active(), b"set")),
        [Intent::Note(Height(2))]
    );
    let changed = staking.step(&at(3, vec![], active(), b"other set"));
    assert_eq!(changed, [Intent::Admit, Intent::Note(Height(3))]);
}

#[test]
fn a_restart_publishes_what_was_dealt_with_before() {
    let mut staking = Staking::new(Height(9));
    let intents = staking.step(&at(9, vec![slashed(id(b"me"))], active(), b"set"));
    assert_eq!(
        intents,
        [Intent::Admit, Intent::Publish(active())],
        "but books nothing again"
    );
}

#[test]
fn only_what_befalls_ourselves_is_audited() {
    let me = id(b"me");
    let evidence = EvidenceId(Digest::ZERO);
    let jailed = |validator| Event::Jailed {
        validator,
        cause: JailCause::Absence,
        until: Height(9),
    };
    let rows = [
        (jailed(me), Some("validator_jailed")),
        (jailed(id(b"other")), None),
        (
            Event::Unjailed { validator: me },
            Some("validator_unjailed"),
        ),
        (
            Event::Tombstoned {
                validator: me,
                evidence,
            },
            Some("validator_tombstoned"),
        ),
        (
            Event::Tombstoned {
                validator: id(b"other"),
                evidence,
            },
            None,
        ),
    ];
    let mut staking = Staking::new(Height(0));
    staking.know(Some(me));
    for (height, (event, expected)) in (1..).zip(rows) {
        let intents = staking.step(&at(height, vec![event.clone()], active(), b"set"));
        let found = intents.iter().find_map(|intent| match intent {
            Intent::Audit { action, .. } => Some(*action),
            _ => None,
        });
        assert_eq!(found, expected, "{event:?}");
    }
}

#[test]
fn slashes_of_all_are_counted() {
    let me = id(b"me");
    let mut staking = Staking::new(Height(0));
    staking.know(Some(me));
    staking.step(&at(1, vec![], active(), b"set"));
    let intents = staking.step(&at(
        2,
        vec![slashed(id(b"other")), slashed(me)],
        active(),
        b"set",
    ));
    let offence = Offence::DoubleVote;
    let slash = |own| Intent::Slashed {
        offence,
        amount: Amount(3),
        own,
    };
    assert_eq!(intents[0], slash(false));
    assert_eq!(intents[1], slash(true));
    assert!(matches!(
        intents[2],
        Intent::Audit {
            action: "validator_slashed",
            ..
        }
    ));
}
