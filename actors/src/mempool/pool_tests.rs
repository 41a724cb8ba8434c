//! Every accept and refusal of the pool's rules.

use protocol::digest::sha256;
use protocol::evidence::EvidenceKind;
use protocol::job::DeclineReason;
use protocol::keys::SecretKey;
use protocol::signed::Signed;
use protocol::tx::{Decline, SubmitEvidence, TX_VERSION, Transfer};

use super::*;

const RICH: AccountView = AccountView {
    nonce: 0,
    balance: Amount(1_000_000),
};
const NEXT: Height = Height(10);

fn chain() -> ChainId {
    ChainId::of_genesis(b"pool")
}

fn key(seed: u8) -> SecretKey {
    SecretKey::from_bytes(&[seed; 32]).unwrap()
}

fn sign(tx: Tx, key: &SecretKey) -> Arc<Verified<Tx>> {
    Arc::new(Signed::sign(tx, key, &chain()).verify(&chain()).unwrap())
}

fn transfer(seed: u8, nonce: u64, fee: u64) -> Arc<Verified<Tx>> {
    let key = key(seed);
    let body = TxBody::Transfer(Transfer {
        to: Address([9; 20]),
        amount: Amount(100),
    });
    sign(
        Tx {
            version: TX_VERSION,
            key_kind: KeyKind::Wallet,
            signer: key.public(),
            nonce,
            fee: Amount(fee),
            valid_until: Height(20),
            anchor: None,
            body,
        },
        &key,
    )
}

fn session(seed: u8, body: TxBody) -> Arc<Verified<Tx>> {
    let key = key(seed);
    sign(
        Tx {
            version: TX_VERSION,
            key_kind: KeyKind::Session,
            signer: key.public(),
            nonce: 0,
            fee: Amount::ZERO,
            valid_until: Height(20),
            anchor: None,
            body,
        },
        &key,
    )
}

fn decline(seed: u8, seat: u16) -> Arc<Verified<Tx>> {
    let seat = SeatRef {
        job: protocol::digest::JobId(sha256(b"job")),
        attempt: 0,
        seat,
    };
    session(
        seed,
        TxBody::Decline(Decline {
            seat,
            reason: DeclineReason::Unavailable,
        }),
    )
}

fn evidence(seed: u8, bytes: usize) -> Arc<Verified<Tx>> {
    let (a, b) = (vec![seed; bytes], Vec::new());
    session(
        seed,
        TxBody::SubmitEvidence(SubmitEvidence {
            kind: EvidenceKind::DoubleVote,
            a,
            b,
        }),
    )
}

fn fees(pool: &Pool, bytes_max: usize) -> Vec<u64> {
    let decode = |tx: &Arc<Verified<Tx>>| tx.message().fee.0;
    pool.select(bytes_max).iter().map(decode).collect()
}

#[test]
fn nonces_are_held_in_a_window() {
    let mut pool = Pool::new(chain());
    let view = AccountView { nonce: 5, ..RICH };
    let refused = |pool: &mut Pool, nonce| pool.insert(transfer(1, nonce, 700), view, NEXT);
    assert_eq!(
        refused(&mut pool, 4),
        Err(PoolRefusal::NonceStale {
            expected: 5,
            found: 4
        })
    );
    assert_eq!(
        refused(&mut pool, 22),
        Err(PoolRefusal::NonceAhead {
            expected: 5,
            found: 22
        })
    );
    assert!(refused(&mut pool, 21).is_ok());
    assert!(refused(&mut pool, 5).is_ok());
    assert_eq!(pool.next_nonce(&key(1).public().address(), view), 6);
    assert_eq!(fees(&pool, 1 << 20), [700], "21 waits for 6 to 20");
}

#[test]
fn an_equal_nonce_replaces_for_a_tenth_more() {
    let mut pool = Pool::new(chain());
    pool.insert(transfer(1, 0, 1_000), RICH, NEXT).unwrap();
    let cheap = pool.insert(transfer(1, 0, 1_099), RICH, NEXT);
    let needed = Amount(1_100);
    assert_eq!(
        cheap,
        Err(PoolRefusal::ReplaceFee {
            needed,
            offered: Amount(1_099)
        })
    );
    pool.insert(transfer(1, 0, 1_100), RICH, NEXT).unwrap();
    assert_eq!((pool.len(), fees(&pool, 1 << 20)), (1, vec![1_100]));
}

#[test]
fn what_waits_counts_against_the_balance() {
    let mut pool = Pool::new(chain());
    let poor = AccountView {
        nonce: 0,
        balance: Amount(1_700),
    };
    pool.insert(transfer(1, 0, 700), poor, NEXT).unwrap();
    let spent = Amount(1_701);
    let refused = pool.insert(transfer(1, 1, 801), poor, NEXT);
    assert_eq!(
        refused,
        Err(PoolRefusal::Overspent {
            spent,
            balance: poor.balance
        })
    );
    pool.insert(transfer(1, 1, 800), poor, NEXT).unwrap();
    pool.remove(&transfer(1, 1, 800).tx_id(&chain()));
    pool.insert(transfer(1, 1, 750), poor, NEXT).unwrap();
}

#[test]
fn validity_has_two_ends() {
    let mut pool = Pool::new(chain());
    let late = pool.insert(transfer(1, 0, 700), RICH, Height(21));
    assert_eq!(
        late,
        Err(PoolRefusal::Expired {
            until: Height(20),
            next: Height(21)
        })
    );
    let tx = Tx {
        valid_until: Height(1_011),
        ..transfer(1, 0, 700).message().clone()
    };
    let refused = pool.insert(sign(tx, &key(1)), RICH, NEXT);
    assert_eq!(
        refused,
        Err(PoolRefusal::ValidTooLong {
            until: Height(1_011)
        })
    );
}

#[test]
fn a_block_takes_evidence_then_seats_then_the_best_payers() {
    let mut pool = Pool::new(chain());
    pool.insert(transfer(1, 0, 700), RICH, NEXT).unwrap();
    pool.insert(transfer(1, 1, 9_000), RICH, NEXT).unwrap();
    pool.insert(transfer(2, 0, 800), RICH, NEXT).unwrap();
    pool.insert(transfer(3, 0, 800), RICH, NEXT).unwrap();
    pool.insert(decline(4, 0), RICH, NEXT).unwrap();
    pool.insert(evidence(5, 10), RICH, NEXT).unwrap();
    let chosen: Vec<_> = pool
        .select(1 << 20)
        .iter()
        .map(|tx| tx.message())
        .map(|tx| (tx.body.kind(), tx.fee.0, tx.signer == key(2).public()))
        .collect();
    assert_eq!(
        chosen,
        [
            (TxKind::SubmitEvidence, 0, false),
            (TxKind::Decline, 0, false),
            (TxKind::Transfer, 800, true),
            (TxKind::Transfer, 800, false),
            (TxKind::Transfer, 700, false),
            (TxKind::Transfer, 9_000, false),
        ],
        "equal fees by arrival, and a high fee does not jump its own queue"
    );
}

#[test]
fn a_block_is_never_overfull_and_evidence_has_its_share() {
    let mut pool = Pool::new(chain());
    for nonce in 0..10 {
        pool.insert(transfer(1, nonce, 700), RICH, NEXT).unwrap();
    }
    let one = transfer(1, 0, 700).byte_len() + 8;
    assert_eq!(fees(&pool, one * 3 + 1).len(), 3);
    assert_eq!(fees(&pool, one - 1).len(), 0);
    for seed in 2..6 {
        pool.insert(evidence(seed, 30_000), RICH, NEXT).unwrap();
    }
    let free = fees(&pool, 1 << 20).iter().filter(|fee| **fee == 0).count();
    assert_eq!(free, 2, "64 KiB hold two pairs of 30,000 bytes");
}

#[test]
fn a_seat_speaks_once_for_each_kind() {
    let mut pool = Pool::new(chain());
    pool.insert(decline(1, 0), RICH, NEXT).unwrap();
    assert_eq!(
        pool.insert(decline(1, 0), RICH, NEXT),
        Err(PoolRefusal::SeatTaken)
    );
    pool.insert(decline(1, 1), RICH, NEXT).unwrap();
    pool.insert(decline(2, 0), RICH, NEXT).unwrap();
}

#[test]
fn one_signer_has_a_share_only() {
    let mut pool = Pool::new(chain());
    for seat in 0..64 {
        pool.insert(decline(1, seat), RICH, NEXT).unwrap();
    }
    assert_eq!(
        pool.insert(decline(1, 64), RICH, NEXT),
        Err(PoolRefusal::SignerFull)
    );
    pool.insert(decline(2, 64), RICH, NEXT).unwrap();
}

#[test]
fn a_new_height_drops_what_expired_or_was_overtaken() {
    let mut pool = Pool::new(chain());
    for nonce in 0..3 {
        pool.insert(transfer(1, nonce, 700), RICH, NEXT).unwrap();
    }
    pool.insert(decline(2, 0), RICH, NEXT).unwrap();
    pool.advance(Height(11), |_| AccountView { nonce: 2, ..RICH });
    assert_eq!((pool.len(), fees(&pool, 1 << 20)), (2, vec![0, 700]));
    pool.advance(Height(21), |_| AccountView { nonce: 2, ..RICH });
    assert!(pool.is_empty() && pool.bytes == 0 && pool.sessions.is_empty());
}

/// A pool in which so many transactions that pay find room.
fn small(txs: usize) -> Pool {
    let mut pool = Pool::new(chain());
    pool.paid.share.txs = txs;
    pool
}

/// Goal: nobody keeps seats and evidence out, whatever is paid. Method: all that pays has come.
#[test]
fn what_is_free_finds_room_beside_what_pays() {
    let share = Pool::new(chain()).paid.share;
    assert!(share.txs < POOL_TXS_MAX && share.bytes < POOL_BYTES_MAX);
    let mut pool = small(4);
    for nonce in 0..4 {
        pool.insert(transfer(1, nonce, 700), RICH, NEXT).unwrap();
    }
    let refused = pool.insert(transfer(1, 4, 9_000), RICH, NEXT);
    assert_eq!(refused, Err(PoolRefusal::Full), "its own stand before it");
    pool.insert(decline(2, 0), RICH, NEXT).unwrap();
    pool.insert(evidence(3, 10), RICH, NEXT).unwrap();
}

#[test]
fn who_pays_a_tenth_more_drives_out_who_pays_least() {
    let mut pool = small(3);
    for (seed, fee) in [(1, 2_000), (2, 1_000), (3, 1_000)] {
        pool.insert(transfer(seed, 0, fee), RICH, NEXT).unwrap();
    }
    let refused = pool.insert(transfer(4, 0, 1_099), RICH, NEXT);
    assert_eq!(refused, Err(PoolRefusal::Full));
    assert_eq!(pool.len(), 3, "a refusal changes nothing");
    pool.insert(transfer(4, 0, 1_100), RICH, NEXT).unwrap();
    assert_eq!(fees(&pool, 1 << 20), [2_000, 1_100, 1_000]);
    assert!(
        pool.contains(&transfer(2, 0, 1_000).tx_id(&chain())),
        "the later of two goes"
    );
}

/// Goal: promises that nobody can collect keep nobody out. Method: high fees at nonces whose
/// predecessors never come fill the pool; a transaction that can be included pays little.
#[test]
fn what_cannot_be_included_goes_first() {
    let mut pool = small(3);
    for seed in 1..4 {
        pool.insert(transfer(seed, 1, 50_000), RICH, NEXT).unwrap();
    }
    pool.insert(transfer(4, 0, 700), RICH, NEXT).unwrap();
    assert_eq!((pool.len(), fees(&pool, 1 << 20)), (3, vec![700]));
    for seed in 5..7 {
        pool.insert(transfer(seed, 0, 700), RICH, NEXT).unwrap();
    }
    let promise = pool.insert(transfer(7, 1, 50_000), RICH, NEXT);
    assert_eq!(promise, Err(PoolRefusal::Full), "it drives nobody out");
}

#[test]
fn out_of_order_is_borne_for_a_while() {
    let mut pool = Pool::new(chain());
    pool.paid.share.gapped = 2;
    pool.insert(transfer(1, 1, 700), RICH, NEXT).unwrap();
    pool.insert(transfer(1, 0, 700), RICH, NEXT).unwrap();
    for seed in 2..5 {
        pool.insert(transfer(seed, 1, 700), RICH, NEXT).unwrap();
    }
    assert!(
        !pool.contains(&transfer(2, 1, 700).tx_id(&chain())),
        "the oldest gap"
    );
    assert_eq!(
        fees(&pool, 1 << 20).len(),
        2,
        "what the gap was filled of stays"
    );
    // Without its predecessor the second cannot be included either, and it came first.
    pool.remove(&transfer(1, 0, 700).tx_id(&chain()));
    pool.insert(transfer(5, 1, 700), RICH, NEXT).unwrap();
    assert!(!pool.contains(&transfer(1, 1, 700).tx_id(&chain())));
}

/// Those that wait for a nonce that is not here, counted the slow way.
fn stuck(pool: &Pool) -> BTreeSet<TxId> {
    let of = |wallet: &Wallet| {
        let missing = (wallet.next..).find(|nonce| !wallet.waiting.contains_key(nonce));
        let behind = wallet.waiting.range(missing.unwrap_or(u64::MAX)..);
        behind.map(|(_, id)| *id).collect::<Vec<_>>()
    };
    pool.wallets.values().flat_map(of).collect()
}

/// Goal: the list of those that cannot be included is exact after whatever happens, since a full pool
/// drops by it. Method: arbitrary arrivals, replacements, departures and heights.
#[test]
fn it_is_always_known_who_waits_for_whom() {
    let mut pool = small(12);
    pool.paid.share.gapped = 6;
    let mut random = 7_u64;
    let mut below = |bound: u64| {
        random = random
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (random >> 33) % bound
    };
    let mut nonces = [0_u64; 4];
    let mut seen_gaps = 0;
    for _ in 0..1_500 {
        let who = usize::try_from(below(4)).unwrap();
        let seed = u8::try_from(who + 1).unwrap();
        let view = AccountView {
            nonce: nonces[who],
            ..RICH
        };
        let tx = transfer(seed, nonces[who] + below(5), 700 + 100 * below(9));
        match below(8) {
            0 => pool.remove(&tx.tx_id(&chain())),
            1 => {
                nonces[who] += below(3);
                let nonce_of = |account: &Address| {
                    let known = |seed: &u8| key(*seed).public().address() == *account;
                    nonces[usize::from((1..5).find(known).unwrap() - 1)]
                };
                pool.advance(NEXT, |account| AccountView {
                    nonce: nonce_of(account),
                    ..RICH
                });
            }
            _ => {
                let _refused_or_not = pool.insert(tx, view, NEXT);
            }
        }
        let listed: BTreeSet<TxId> = pool.paid.gapped.values().copied().collect();
        assert_eq!(listed, stuck(&pool));
        seen_gaps += listed.len();
    }
    assert!(seen_gaps > 1_000, "{seen_gaps} are too few to say much");
}
