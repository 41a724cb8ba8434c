//! The wire as a rehearsed liar has it: nothing is held back.

use net::{CommandError, NetHandle, Topic};
use protocol::codec::encode;
use protocol::digest::ChainId;
use protocol::envelope::{Kind, seal_tx};
use protocol::signed::Signed;
use protocol::tx::{KeyKind, Tx};

use crate::catalogue::{MempoolMail, NetworkMail};
use crate::handle::Bells;
use crate::mailbox::Outbox;
use crate::tamper::{Outgoing, Wire};

/// See the module.
#[derive(Debug)]
pub(crate) struct NodeWire {
    net: NetHandle,
    network: Outbox<NetworkMail>,
    mempool: Outbox<MempoolMail>,
    chain: ChainId,
}

impl NodeWire {
    pub(crate) fn new(net: NetHandle, bells: &Bells, chain: ChainId) -> Self {
        Self {
            net,
            network: bells.network.clone(),
            mempool: bells.mempool.clone(),
            chain,
        }
    }

    /// Without the feature the node's own restraint stays on.
    #[cfg(not(feature = "byzantine"))]
    fn publish_sealed(&self, topic: Topic, bytes: Vec<u8>) -> Result<(), CommandError> {
        self.net.publish(topic, bytes)
    }

    #[cfg(feature = "byzantine")]
    fn publish_sealed(&self, topic: Topic, bytes: Vec<u8>) -> Result<(), CommandError> {
        self.net.publish_unpaced(topic, bytes)
    }
}

impl Wire for NodeWire {
    fn publish_tx(&self, tx: &Signed<Tx>) {
        let message = &tx.message;
        let (kind, topic) = match message.key_kind {
            KeyKind::Wallet => (Kind::Tx, Topic::Tx),
            KeyKind::Session => (Kind::Duty, Topic::Duty),
        };
        let bytes = encode(message);
        let sealed = seal_tx(
            kind,
            &bytes,
            message.signer,
            message.valid_until,
            &tx.signature,
        );
        // A liar that outruns its own network loop loses what did not fit.
        let _dropped = self.publish_sealed(topic, sealed);
    }

    fn publish(&self, message: Outgoing) {
        self.network.tell(NetworkMail::Broadcast(message));
    }

    fn submit(&self, tx: Vec<u8>) {
        let verified = Signed::<Tx>::from_bytes(&tx)
            .ok()
            .and_then(|tx| tx.verify(&self.chain).ok());
        if let Some(tx) = verified {
            let _full = self.mempool.try_tell(MempoolMail::Duty(Box::new(tx)));
        }
    }
}
