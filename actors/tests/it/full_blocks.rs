//! Goal: blocks too long to ride on a proposal are pulled, judged and committed like any other.
//! Method: forty wallets send sixteen transfers each while two of four nodes are down and no block is
//! made; then the others join.

use actors::mempool::Admission;
use protocol::digest::Address;
use protocol::tx::{Transfer, TxBody};
use protocol::units::{Amount, Height};

use crate::cluster::{Cluster, WALLETS, wallet};

const EACH: u64 = 16;
/// What a proposal can carry (network.md).
const INLINE_BYTES: usize = 48 << 10;

#[test]
fn long_blocks_travel_apart() {
    let mut cluster = Cluster::of(4);
    cluster.start_node(0);
    cluster.start_node(1);
    let to = Address([9; 20]);
    for nonce in 0..EACH {
        for seed in 1..=WALLETS {
            let body = TxBody::Transfer(Transfer {
                to,
                amount: Amount(1),
            });
            let index = usize::from(seed) % 2;
            let admission = cluster.submit_at(index, &wallet(seed), nonce, body);
            assert!(
                matches!(admission, Admission::Admitted(_)),
                "{seed} {nonce} {admission:?}"
            );
        }
    }
    cluster.start_node(2);
    cluster.start_node(3);
    let sum = Amount(EACH * u64::from(WALLETS));
    for index in 0..4 {
        cluster.wait(index, "all transfers", |s| s.state.balance(&to) == sum);
    }
    cluster.assert_agreement();
    let tip = cluster.node(0).snapshot().height;
    let longest = (1..=tip.0)
        .filter_map(|height| {
            cluster
                .node(0)
                .storage()
                .blocks()
                .block(Height(height))
                .unwrap()
        })
        .map(|stored| stored.block.len())
        .max();
    assert!(
        longest > Some(INLINE_BYTES),
        "the longest block has {longest:?} bytes"
    );
}
