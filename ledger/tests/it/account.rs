//! Transfers, nonces, fees: every accept and every reject.

use ledger::{BlockInvalid, TxError};
use protocol::tx::{KeyKind, Transfer, TxBody};
use protocol::units::{Amount, Height};

use crate::world::{World, address};

#[test]
fn a_transfer_moves_and_its_fee_is_halved() {
    let mut world = World::new();
    let builder_operator = {
        let set = world.state.validator_set(Height(1)).unwrap();
        world.name_of(&set.members()[0].id) + "/operator"
    };
    let tx = world.transfer("client-0", "newcomer", Amount(77));
    let fee = tx.message().fee;
    assert_eq!(fee, Amount(100 + 2 * 156 + 500));
    world.block(&[tx]);
    assert_eq!(world.balance("newcomer"), Amount(77));
    assert_eq!(
        world.balance("client-0"),
        Amount(5_000_000_000 - 77 - 10_000 - fee.0)
    );
    assert_eq!(
        world.balance(&builder_operator),
        Amount(5_000_000_000 + fee.0 / 2)
    );
    assert_eq!(world.state.pools().burned, Amount(10_000 + fee.0 / 2));
    assert_eq!(world.state.pools().fee_pool, Amount(fee.0 % 2));
    assert_eq!(world.state.account(&address("client-0")).nonce, 1);
}

/// Goal: rows that everybody keeps for ever are paid for. Method: the first transfer to an address burns
/// the price of an account, the second does not; whoever cannot pay both makes no account.
#[test]
fn dust_does_not_grow_the_state_for_a_transaction_fee() {
    let mut world = World::new();
    let burned = |world: &World| world.state.pools().burned.0;
    let first = world.transfer("client-0", "newcomer", Amount(1));
    let half = first.message().fee.0 / 2;
    assert_eq!(
        world.state.admit(&first).unwrap().spends.0,
        1 + 10_000 + first.message().fee.0
    );
    world.block(&[first]);
    assert_eq!(burned(&world), 10_000 + half);
    let second = world.transfer("client-0", "newcomer", Amount(1));
    world.block(&[second]);
    assert_eq!(burned(&world), 10_000 + 2 * half, "once for each account");
    let left = world.balance("rich").0;
    let all = world.transfer("rich", "nobody", Amount(left - 2 * half - 9_999));
    let error = world.refused(all);
    assert!(
        matches!(error, TxError::InsufficientBalance { .. }),
        "{error:?}"
    );
    assert!(!world.state.accounts.contains(&address("nobody")));
    let known = world.transfer("client-1", "rich", Amount(1));
    world.block(&[known]);
}

#[test]
fn an_odd_unit_of_a_fee_goes_to_the_pool() {
    let mut world = World::new();
    let body = TxBody::Transfer(Transfer {
        to: address("x"),
        amount: Amount(1),
    });
    let mut tx = world.draft("client-0", KeyKind::Wallet, 0, body);
    tx.fee = Amount(1_001);
    let tx = world.sign("client-0", tx);
    world.block(&[tx]);
    let pools = world.state.pools();
    assert_eq!((pools.burned, pools.fee_pool), (Amount(10_500), Amount(1)));
}

#[test]
fn inapplicable_pays_its_fee_and_does_nothing_else() {
    let mut world = World::new();
    let tx = world.transfer("client-0", "x", Amount::pal(6_000));
    let fee = tx.message().fee;
    assert!(matches!(
        world.refused(tx),
        TxError::InsufficientBalance { .. }
    ));
    assert_eq!(world.balance("client-0"), Amount(5_000_000_000 - fee.0));
    assert_eq!(world.balance("x"), Amount::ZERO);
    assert_eq!(world.state.account(&address("client-0")).nonce, 1);
    let zero = world.transfer("client-0", "x", Amount::ZERO);
    assert_eq!(world.refused(zero), TxError::ZeroAmount);
}

/// Goal: what nobody honest includes makes the block invalid, each for its own reason.
#[test]
fn stale_broke_cheap_and_late_make_a_block_invalid() {
    let mut world = World::new();
    let body = || {
        TxBody::Transfer(Transfer {
            to: address("x"),
            amount: Amount(1),
        })
    };
    let code = |world: &mut World, tx| {
        let before = world.state.root();
        match world.try_block(&[tx]) {
            Err(BlockInvalid::Tx { index: 0, error }) => {
                assert_eq!(world.state.root(), before);
                error.code()
            }
            other => panic!("{other:?}"),
        }
    };
    world.block(&[world.transfer("client-0", "x", Amount(1))]);
    let stale = world.wallet_at("client-0", 0, body());
    assert_eq!(code(&mut world, stale), "tx.stale_nonce");
    let gap = world.wallet_at("client-0", 2, body());
    assert_eq!(code(&mut world, gap), "tx.nonce_gap");
    let broke = world.wallet_at("x", 0, body());
    assert_eq!(code(&mut world, broke), "tx.insufficient_balance");
    let draft = world.draft("client-0", KeyKind::Wallet, 1, body());
    let cheap = world.sign("client-0", draft.clone());
    assert_eq!(code(&mut world, cheap), "tx.fee_too_low");
    let fee = Amount(5_000);
    let mut late = draft.clone();
    (late.fee, late.valid_until) = (fee, world.height());
    let late = world.sign("client-0", late);
    assert_eq!(code(&mut world, late), "tx.expired");
    let mut far = draft.clone();
    (far.fee, far.valid_until) = (fee, world.height().plus(1_002));
    let far = world.sign("client-0", far);
    assert_eq!(code(&mut world, far), "tx.valid_until");
    let mut version = draft;
    (version.fee, version.version) = (fee, 2);
    let version = world.sign("client-0", version);
    assert_eq!(code(&mut world, version), "tx.version");
}

#[test]
fn session_keys_carry_no_nonce_and_no_fee_and_move_no_money() {
    let mut world = World::new();
    let body = TxBody::Transfer(Transfer {
        to: address("x"),
        amount: Amount(1),
    });
    let money = world.session("alice", body);
    assert_eq!(world.refused(money).code(), "tx.wrong_key");
    let seat = protocol::job::SeatRef {
        job: protocol::digest::JobId::ZERO,
        attempt: 0,
        seat: 0,
    };
    let body = TxBody::InputUnavailable(protocol::tx::InputUnavailable { seat });
    let by_wallet = world.wallet("client-0", body.clone());
    assert_eq!(world.refused(by_wallet).code(), "tx.wrong_key");
    let mut tx = world.draft("alice/session", KeyKind::Session, 1, body.clone());
    let with_nonce = world.sign("alice/session", tx.clone());
    assert_eq!(world.refused(with_nonce).code(), "tx.session_nonce");
    (tx.nonce, tx.fee) = (0, Amount(1));
    let with_fee = world.sign("alice/session", tx);
    assert_eq!(world.refused(with_fee).code(), "tx.session_fee");
    let stranger = world.draft("stranger", KeyKind::Session, 0, body.clone());
    let stranger = world.sign("stranger", stranger);
    assert_eq!(world.refused(stranger).code(), "tx.unknown_session");
    let consensus = world.draft("alice/consensus", KeyKind::Session, 0, body);
    let consensus = world.sign("alice/consensus", consensus);
    assert_eq!(world.refused(consensus).code(), "tx.unknown_session");
}
