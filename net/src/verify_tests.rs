//! Every job comes back exactly once; every flaw has its name.

use protocol::codec::encode;
use protocol::digest::sha256;
use protocol::envelope::{seal_proposal, seal_tx, seal_vote};
use protocol::keys::SecretKey;
use protocol::signed::Message;
use protocol::tx::{TX_VERSION, Transfer, TxBody};
use protocol::units::{Amount, Height, Round};
use protocol::vote::VoteKind;

use super::*;

fn chain() -> ChainId {
    ChainId::of_genesis(b"verify-tests")
}

fn key() -> SecretKey {
    SecretKey::from_bytes(&[1; 32]).unwrap()
}

fn vote(height: u64) -> Signed<Vote> {
    let message = Vote {
        kind: VoteKind::Prevote,
        height: Height(height),
        round: Round(0),
        block: None,
        signer: key().public(),
    };
    Signed::sign(message, &key(), &chain())
}

fn tx(key_kind: KeyKind) -> Signed<Tx> {
    let message = Tx {
        version: TX_VERSION,
        key_kind,
        signer: key().public(),
        nonce: 0,
        fee: Amount(1_000),
        valid_until: Height(9),
        anchor: None,
        body: TxBody::Transfer(Transfer {
            to: key().public().address(),
            amount: Amount(1),
        }),
    };
    Signed::sign(message, &key(), &chain())
}

fn seal(kind: Kind, tx: &Signed<Tx>, valid_until: u64) -> Vec<u8> {
    let bytes = encode(&tx.message);
    seal_tx(
        kind,
        &bytes,
        tx.message.signer(),
        Height(valid_until),
        &tx.signature,
    )
}

fn job(bytes: Vec<u8>, since: Duration) -> Job {
    let header = EnvelopeHeader::parse(&bytes).unwrap();
    Job {
        topic: topic_of(header.kind),
        peer: PeerId::random(),
        source: Source::Pull,
        header,
        admission: Admission::Admit,
        value: sha256(&bytes),
        bytes,
        since,
    }
}

/// n − s for the group order n: the other signature of the same statement.
fn high_s_twin(signature: &mut [u8]) {
    const ORDER: [u8; 32] = [
        0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
        0xfe, 0xba, 0xae, 0xdc, 0xe6, 0xaf, 0x48, 0xa0, 0x3b, 0xbf, 0xd2, 0x5e, 0x8c, 0xd0, 0x36,
        0x41, 0x41,
    ];
    let mut borrow = 0;
    for at in (0..32).rev() {
        let difference = i16::from(ORDER[at]) - i16::from(signature[32 + at]) - borrow;
        borrow = i16::from(difference < 0);
        signature[32 + at] = u8::try_from(difference.rem_euclid(256)).unwrap();
    }
}

#[test]
fn flaws_are_told_apart() {
    let good = seal_vote(&vote(1));
    assert!(matches!(check(&good, &chain()), Ok(Delivery::Vote(_))));
    let elsewhere = ChainId::of_genesis(b"elsewhere");
    assert_eq!(check(&good, &elsewhere).unwrap_err(), Offence::BadSignature);

    let mut twin = good.clone();
    let at = twin.len() - 64;
    high_s_twin(&mut twin[at..]);
    assert_ne!(twin, good);
    assert!(check(&twin, &chain()).is_err(), "high S");

    let mut trailing = good.clone();
    trailing.push(0);
    assert_eq!(check(&trailing, &chain()).unwrap_err(), Offence::Malformed);
    let cut = &good[..good.len() - 1];
    assert_eq!(check(cut, &chain()).unwrap_err(), Offence::Malformed);
}

#[test]
fn a_body_can_be_neither_stripped_nor_added() {
    let proposal = |body| {
        let message = Proposal {
            height: Height(1),
            round: Round(0),
            pol_round: None,
            block: protocol::digest::BlockId(sha256(b"block")),
            body,
            signer: key().public(),
        };
        Signed::sign(message, &key(), &chain())
    };
    let mut inline = seal_proposal(&proposal(BodyPlace::Inline), b"block");
    assert!(matches!(
        check(&inline, &chain()),
        Ok(Delivery::Proposal(_, Some(_)))
    ));
    // Bit 0 of the flags says whether a body follows, and is signed.
    inline.truncate(inline.len() - b"block".len());
    inline[5] = 0;
    assert_eq!(check(&inline, &chain()).unwrap_err(), Offence::BadSignature);
    let mut apart = seal_proposal(&proposal(BodyPlace::Apart), b"");
    apart.extend_from_slice(b"block");
    assert_eq!(check(&apart, &chain()).unwrap_err(), Offence::Malformed);
    apart[5] = 1;
    assert_eq!(check(&apart, &chain()).unwrap_err(), Offence::BadSignature);
}

#[test]
fn a_transactions_header_must_repeat_it() {
    let wallet = tx(KeyKind::Wallet);
    assert!(matches!(
        check(&seal(Kind::Tx, &wallet, 9), &chain()),
        Ok(Delivery::Tx(_))
    ));
    let flawed = [
        (seal(Kind::Tx, &wallet, 10), "another height"),
        (seal(Kind::Duty, &wallet, 9), "a wallet's on duty's budget"),
    ];
    for (bytes, flaw) in flawed {
        assert_eq!(
            check(&bytes, &chain()).unwrap_err(),
            Offence::Malformed,
            "{flaw}"
        );
    }
    let mut forged = tx(KeyKind::Wallet);
    forged.signature.0[5] ^= 1;
    let bytes = seal(Kind::Tx, &forged, 9);
    assert_eq!(check(&bytes, &chain()).unwrap_err(), Offence::BadSignature);
}

#[test]
fn the_budget_binds_and_every_job_comes_back_once() {
    let clock = Clock::manual();
    let limits = Limits {
        verify_checks_per_second: 100,
        ..Limits::default()
    };
    let (pool, mut answers) = Pool::start(chain(), &limits, &clock).unwrap();
    for height in 0..100 {
        assert!(
            pool.submit(job(seal_vote(&vote(height)), clock.now()))
                .is_ok()
        );
    }
    let mut seen = std::collections::BTreeSet::new();
    let mut collect = |count: usize| {
        let mut verified = 0;
        for _ in 0..count {
            let done = answers.blocking_recv().unwrap();
            assert!(
                seen.insert(done.job.header.height),
                "twice: {:?}",
                done.job.header
            );
            verified += usize::from(matches!(done.outcome, Outcome::Verified(_)));
        }
        verified
    };
    assert_eq!(
        collect(70),
        70,
        "seventy of a hundred are the share of consensus"
    );
    clock.advance(AGE_MAX + Duration::from_millis(1));
    assert_eq!(collect(30), 0, "the rest waited too long");
}

#[test]
fn a_full_queue_gives_the_job_back() {
    let clock = Clock::manual();
    let limits = Limits {
        verify_checks_per_second: 10,
        ..Limits::default()
    };
    let (pool, mut answers) = Pool::start(chain(), &limits, &clock).unwrap();
    let bytes = seal(Kind::Tx, &tx(KeyKind::Wallet), 9);
    // One a second is this topic's share, and no second passes.
    assert!(pool.submit(job(bytes.clone(), clock.now())).is_ok());
    assert!(answers.blocking_recv().is_some());
    let refused = (0..2_000).filter(|_| pool.submit(job(bytes.clone(), clock.now())).is_err());
    assert_eq!(refused.count(), 2_000 - QUEUE_MAX[Topic::Tx.index()]);
}
