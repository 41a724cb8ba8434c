//! Goal: a node without keys follows the chain and takes transactions; one with fresh keys becomes a
//! validator while it runs.

use actors::mempool::Admission;
use actors::staking::workflow::Standing;
use protocol::digest::Address;
use protocol::tx::{RegisterValidator, Transfer, TxBody, possession_digest};
use protocol::units::Amount;

use crate::cluster::{Cluster, JOINER, JOINER_SEED, OBSERVER, key, node_key, operator, wallet};

#[test]
fn an_observer_follows_and_takes_transactions() {
    let mut cluster = Cluster::start(4);
    cluster.wait_height(3);
    cluster.start_node(OBSERVER);
    cluster.wait_height(8);
    let to = Address([8; 20]);
    let body = TxBody::Transfer(Transfer {
        to,
        amount: Amount::pal(1),
    });
    let admission = cluster.submit(OBSERVER, &wallet(1), body);
    assert!(matches!(admission, Admission::Admitted(_)), "{admission:?}");
    for index in [0, OBSERVER] {
        cluster.wait(index, "the transfer", |s| {
            s.state.balance(&to) == Amount::pal(1)
        });
    }
    assert_eq!(
        cluster.node(OBSERVER).standing().standing,
        Standing::Unregistered
    );
    assert!(
        cluster.node(OBSERVER).heartbeat().is_none(),
        "no key, no sign of life"
    );
    cluster.assert_agreement();
}

#[test]
fn a_registered_node_votes_after_its_activation() {
    let mut cluster = Cluster::start(4);
    cluster.wait_height(2);
    cluster.start_node(JOINER);
    let (consensus, session) = (key(JOINER_SEED, "consensus"), key(JOINER_SEED, "session"));
    let (chain, operator) = (cluster.genesis.chain_id, operator(JOINER_SEED));
    let proof = |key: &protocol::keys::SecretKey| {
        key.sign(&possession_digest(
            &chain,
            &operator.public().address(),
            0,
            &key.public(),
        ))
    };
    let body = TxBody::RegisterValidator(RegisterValidator {
        moniker: "joiner".to_owned(),
        consensus_pk: consensus.public(),
        session_pk: session.public(),
        consensus_proof: proof(&consensus),
        session_proof: proof(&session),
        peer_id: node_key(JOINER_SEED).peer_id().to_string(),
        self_bond: Amount::pal(1_000),
    });
    let admission = cluster.submit(0, &operator, body);
    assert!(matches!(admission, Admission::Admitted(_)), "{admission:?}");
    let signed = |snapshot: &actors::snapshot::Snapshot| {
        snapshot.certificate.as_ref().is_some_and(|certificate| {
            certificate
                .signatures
                .iter()
                .any(|s| s.signer == consensus.public())
        })
    };
    cluster.wait(0, "a signature of the newcomer", signed);
    cluster.wait(JOINER, "its own standing", |_| {
        cluster.node(JOINER).standing().standing == Standing::Active
    });
    let heartbeat = cluster
        .node(JOINER)
        .heartbeat()
        .expect("both keys and a block");
    assert!(cluster.node(0).storage().blocks().id(heartbeat.height) == Some(heartbeat.block));
    cluster.assert_agreement();
}
