//! Goal: four nodes agree on blocks, empty ones and full ones.

use actors::mempool::Admission;
use protocol::digest::Address;
use protocol::tx::{Transfer, TxBody};
use protocol::units::Amount;

use crate::cluster::{Cluster, wallet};

#[test]
fn four_nodes_commit_and_a_transfer_reaches_all() {
    let cluster = Cluster::start(4);
    cluster.wait_height(3);
    cluster.assert_agreement();
    let to = Address([7; 20]);
    let body = TxBody::Transfer(Transfer { to, amount: Amount::pal(5) });
    let admission = cluster.submit(1, &wallet(1), body.clone());
    assert!(matches!(admission, Admission::Admitted(_)), "{admission:?}");
    for index in 0..4 {
        cluster.wait(index, "the transfer", |s| s.state.balance(&to) == Amount::pal(5));
    }
    cluster.assert_agreement();
}
