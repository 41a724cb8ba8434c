//! The pool's check: same rules, one height ahead, nothing changed.

use ledger::{Class, Sender, TxError};
use protocol::tx::{Transfer, TxBody};
use protocol::units::Amount;

use crate::world::{World, address};

fn body(amount: u64) -> TxBody {
    TxBody::Transfer(Transfer {
        to: address("x"),
        amount: Amount(amount),
    })
}

#[test]
fn admission_names_sender_class_and_what_is_spent() {
    let world = World::new();
    let root = world.state.root();
    let tx = world.transfer("client-0", "x", Amount(100));
    let admission = world.state.admit(&tx).unwrap();
    assert_eq!(admission.sender, Sender::Wallet(address("client-0")));
    assert_eq!(admission.class, Class::Paid);
    assert_eq!(admission.id, tx.tx_id(&world.chain()));
    assert_eq!(admission.spends, Amount(100 + 10_000 + tx.message().fee.0));
    assert_eq!(
        (admission.next_nonce, admission.balance),
        (0, Amount::pal(5_000))
    );
    assert_eq!(world.state.root(), root);
    let events = world.state.simulate(&tx).unwrap();
    assert_eq!(
        events.iter().map(|e| e.name()).collect::<Vec<_>>(),
        ["Burned", "Burned", "Transferred"]
    );
}

#[test]
fn nonces_may_be_sixteen_ahead() {
    let mut world = World::new();
    world.block(&[world.transfer("client-0", "x", Amount(1))]);
    for ahead in [0, 1, 16] {
        assert!(
            world
                .state
                .admit(&world.wallet_at("client-0", 1 + ahead, body(1)))
                .is_ok()
        );
    }
    let gap = world
        .state
        .admit(&world.wallet_at("client-0", 18, body(1)))
        .unwrap_err();
    assert_eq!(
        gap,
        TxError::NonceGap {
            nonce: 18,
            expected: 1
        }
    );
    let stale = world
        .state
        .admit(&world.wallet_at("client-0", 0, body(1)))
        .unwrap_err();
    assert_eq!(
        stale,
        TxError::StaleNonce {
            nonce: 0,
            expected: 1
        }
    );
}

#[test]
fn codes_are_unique_but_for_shared_words_and_well_formed() {
    let mut codes = TxError::CODES.to_vec();
    let all = codes.len();
    codes.sort_unstable();
    codes.dedup();
    assert_eq!(codes.len(), all, "two reasons share a code");
    for code in codes {
        let (domain, name) = code.split_once('.').unwrap();
        let domains = ["tx", "staking", "job", "seat", "evidence", "ledger"];
        assert!(domains.contains(&domain), "{code}");
        assert!(
            name.bytes().all(|b| b.is_ascii_lowercase() || b == b'_'),
            "{code}"
        );
    }
}
