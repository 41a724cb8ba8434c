//! Whose money becomes a receipt, and that no height is booked twice.

use protocol::digest::{Address, JobId, sha256};
use protocol::events::Event;
use protocol::units::{Amount, Height};

use super::workflow::{Committed, Escrow, Intent};

const OURS: Address = Address([1; 20]);
const THEIRS: Address = Address([2; 20]);

fn job() -> JobId {
    JobId(sha256(b"job"))
}

fn actions(intents: &[Intent]) -> Vec<&'static str> {
    let action = |intent: &Intent| match intent {
        Intent::Receipt {
            action,
            job: of,
            body,
        } => {
            assert_eq!(*of, job());
            assert_ne!(*body, protocol::digest::Digest::ZERO);
            Some(*action)
        }
        Intent::Note(_) => None,
    };
    intents.iter().filter_map(action).collect()
}

#[test]
fn only_our_own_money_gets_a_receipt() {
    let (job, amount) = (job(), Amount(5));
    let rows = [
        (
            Event::Locked {
                job,
                payer: OURS,
                amount,
            },
            vec!["escrow_locked"],
        ),
        (
            Event::Locked {
                job,
                payer: THEIRS,
                amount,
            },
            vec![],
        ),
        (
            Event::Released {
                job,
                to: OURS,
                amount,
                seat: 0,
            },
            vec!["escrow_released"],
        ),
        (
            Event::Released {
                job,
                to: THEIRS,
                amount,
                seat: 0,
            },
            vec![],
        ),
        (
            Event::Refunded {
                job,
                to: OURS,
                amount,
            },
            vec!["escrow_refunded"],
        ),
        (
            Event::Refunded {
                job,
                to: THEIRS,
                amount,
            },
            vec![],
        ),
        (
            Event::Burned {
                amount,
                job: Some(job),
                tx: None,
            },
            vec![],
        ),
    ];
    let mut escrow = Escrow::new(Height(0));
    escrow.know(Some(OURS));
    for (height, (event, expected)) in (1..).zip(rows) {
        let height = Height(height);
        let intents = escrow.step(&Committed {
            height,
            events: vec![event.clone()],
        });
        assert_eq!(actions(&intents), expected, "{event:?}");
        assert_eq!(intents.last(), Some(&Intent::Note(height)));
    }
}

#[test]
fn a_replayed_height_is_not_booked_again() {
    let event = Event::Refunded {
        job: job(),
        to: OURS,
        amount: Amount(5),
    };
    let input = |height| Committed {
        height: Height(height),
        events: vec![event.clone()],
    };
    let mut escrow = Escrow::new(Height(7));
    escrow.know(Some(OURS));
    assert_eq!(escrow.step(&input(7)), []);
    assert_eq!(actions(&escrow.step(&input(8))), ["escrow_refunded"]);
    assert_eq!(escrow.step(&input(8)), []);
}

#[test]
fn a_node_without_a_validator_books_nothing() {
    let mut escrow = Escrow::new(Height(0));
    let event = Event::Locked {
        job: job(),
        payer: OURS,
        amount: Amount(5),
    };
    let intents = escrow.step(&Committed {
        height: Height(1),
        events: vec![event],
    });
    assert_eq!(intents, [Intent::Note(Height(1))]);
}
