//! Goal: evidence from the command line is punished once if it proves something, and refused by its own
//! code if it does not. Method: the development keys are public, so anybody can make a validator
//! contradict itself in a round that never was.

use protocol::digest::{BlockId, ChainId, sha256};
use protocol::envelope::seal_vote;
use protocol::keys::SecretKey;
use protocol::signed::Signed;
use protocol::units::{Height, Round};
use protocol::vote::{Vote, VoteKind};
use testnet::home::{KeySource, NodeKeys};

use crate::cli::{Ran, arg, list, text};
use crate::client::Client;
use crate::cluster::Cluster;

/// A manifest's seed where none is given.
const SEED: u64 = 42;
/// No height of an idle local chain needs so many.
const ROUND: Round = Round(40);

/// A vote for a block of this name, in hex as a file holds it.
fn vote(key: &SecretKey, chain: &ChainId, height: u64, block: &str) -> String {
    let vote = Vote {
        kind: VoteKind::Precommit,
        height: Height(height),
        round: ROUND,
        block: Some(BlockId(sha256(block.as_bytes()))),
        signer: key.public(),
    };
    hex::encode(seal_vote(&Signed::sign(vote, key, chain)))
}

fn submit(net: &Cluster, first: &str, second: &str) -> Ran {
    let files = [net.cli.path("first"), net.cli.path("second")];
    for (file, message) in files.iter().zip([first, second]) {
        std::fs::write(file, message).unwrap();
    }
    net.try_ask(
        "alice",
        &["evidence", "submit", arg(&files[0]), arg(&files[1])],
    )
}

/// What it is, two messages, and the code that they must get.
type Case = (&'static str, String, String, &'static str);

/// One right pair, wrong in one way at a time.
fn wrong_pairs(mallory: &SecretKey, spare: &SecretKey, chain: &ChainId) -> Vec<Case> {
    let of = |key: &SecretKey, height: u64, block: &str| vote(key, chain, height, block);
    let one = of(mallory, 2, "one");
    let foreign = vote(mallory, &ChainId::of_genesis(b"another chain"), 2, "other");
    let future = 1_000_000;
    vec![
        ("noise", "zz".to_owned(), one.clone(), "evidence.rejected"),
        (
            "one vote twice",
            one.clone(),
            one.clone(),
            "evidence.rejected",
        ),
        (
            "two heights",
            one.clone(),
            of(mallory, 3, "other"),
            "evidence.rejected",
        ),
        (
            "two signers",
            one.clone(),
            of(spare, 2, "other"),
            "evidence.rejected",
        ),
        (
            "another chain",
            one.clone(),
            foreign,
            "evidence.not_contradicting",
        ),
        (
            "nobody's key",
            of(spare, 2, "one"),
            of(spare, 2, "other"),
            "evidence.not_member",
        ),
        (
            "not yet",
            of(mallory, future, "one"),
            of(mallory, future, "other"),
            "evidence.future",
        ),
    ]
}

#[test]
fn evidence_is_punished_once_and_the_rest_refused_by_name() {
    let net = Cluster::up("accused");
    net.wait("height >= 4 && agree");
    let chain = Client::new(&net, "client-0").chain;
    let spare = || SecretKey::from_bytes(&[9; 32]).unwrap();
    let keys = NodeKeys::make(KeySource::Dev(SEED), "mallory", spare()).unwrap();
    let (mallory, spare) = (keys.consensus, spare());
    let of = |block: &str| vote(&mallory, &chain, 2, block);
    let (one, other) = (of("one"), of("other"));

    for (what, first, second, code) in wrong_pairs(&mallory, &spare, &chain) {
        let ran = submit(&net, &first, &second);
        assert_eq!(
            (ran.code, &ran.problem["code"]),
            (5, &code.into()),
            "{what}: {}",
            ran.stderr
        );
    }
    net.holds(&["none(slashed, validators)", "evidence(double_vote) == 0"]);

    let sent = submit(&net, &one, &other);
    assert_eq!(sent.code, 0, "{}", sent.stderr);
    net.wait("tombstoned(mallory) && evidence(double_vote) == 1");
    let known = submit(&net, &other, &one);
    assert_eq!(known.code, 5, "{}", known.stderr);
    let code = text(&known.problem["code"]);
    assert!(
        ["evidence.known", "evidence.offender_out"].contains(&code),
        "{}",
        known.stderr
    );

    let listed = net.ask("alice", &["evidence", "list"]);
    let id = text(&list(&listed["evidence"])[0]["id"]).to_owned();
    for digits in [8, 64] {
        let shown = net.ask("alice", &["evidence", "show", &id[..digits]]);
        assert_eq!(shown["id"], id);
        assert_eq!(shown["validator"], net.validator_id("mallory"));
    }
    net.holds(&["none(slashed, alice, bob, carol)", "supply_conserved"]);
}
