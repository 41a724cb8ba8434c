//! A peer without stake that publishes transactions far above every quota.

use std::io;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use ::net::{
    Access, Admission, Ban, BlobRequest, Blobs, Chain, Chunk, Config, DecidedBlock, Gate,
    KnownPeer, Lanes, Metrics, NetHandle, NodeKey, PeerMemory, Ports, Rate, Role, Tip, Topic,
};
use anyhow::{Context, Result};
use protocol::codec::encode;
use protocol::digest::{BlockId, ChainId, Tag, th};
use protocol::envelope::{EnvelopeHeader, Kind, seal_tx};
use protocol::keys::SecretKey;
use protocol::signed::{Message, Signed};
use protocol::units::{Height, Round};

use crate::byzantine::{RATE, pace, transfer};
use crate::net::Net;

/// The last part of the flooder's address, `127.<slot>.200.1`.
const HOST: u8 = 200;

/// The flooder, connected to every node of a net.
#[derive(Debug)]
pub struct Flooder {
    handle: NetHandle,
    key: SecretKey,
    chain: ChainId,
    /// Keeps the lanes open: a peer whose receivers are gone has ended.
    _lanes: Lanes,
}

impl Flooder {
    /// Joins the net as a client.
    ///
    /// # Errors
    /// If it cannot listen or dial.
    pub fn start(net: &Net) -> Result<Self> {
        let chain: ChainId = net.plan.chain_id.parse()?;
        let seed = th(Tag::DevKey, &[b"flooder"]);
        let key = SecretKey::from_bytes(seed.as_bytes())?;
        let mut config = Config::new(chain, NodeKey::from_secret(&key)?, Role::Client);
        config.listen =
            vec![format!("/ip4/127.{}.{HOST}.1/udp/8640/quic-v1", net.plan.slot).parse()?];
        // An honest peer paces itself by its own limits; this one has none.
        let boundless = Rate {
            count: u32::MAX,
            per: Duration::from_secs(1),
            burst: u32::MAX,
        };
        config.limits.tx.relayer_messages = boundless;
        config.limits.tx.relayer_bytes = boundless;
        for node in &net.plan.nodes {
            config
                .static_peers
                .push(node.p2p.parse().context("a node's address")?);
        }
        let nobody = Arc::new(Nobody);
        let ports = Ports {
            gate: nobody.clone(),
            memory: nobody.clone(),
            blobs: nobody.clone(),
            chain: nobody,
        };
        let metrics = Metrics::new(&prometheus::Registry::new())?;
        let (handle, lanes) = ::net::start(config, ports, metrics)?;
        Ok(Self {
            handle,
            key,
            chain,
            _lanes: lanes,
        })
    }

    /// Its peer id.
    #[must_use]
    pub fn peer_id(&self) -> String {
        self.handle.peer_id().to_string()
    }

    /// How many nodes it has greeted.
    #[must_use]
    pub fn connections(&self) -> usize {
        self.handle.view().peers.len()
    }

    /// Publishes until stopped or over; returns how many messages.
    #[must_use]
    pub fn pour(&self, limit: Duration, stop: &AtomicBool) -> u32 {
        let mut sent = 0;
        pace(RATE, limit, stop, |number| {
            let tx = transfer(number, &self.key);
            let (bytes, until) = (encode(&tx), tx.valid_until);
            let signed = Signed::sign(tx, &self.key, &self.chain);
            let signer = signed.message.signer();
            let envelope = seal_tx(Kind::Tx, &bytes, signer, until, &signed.signature);
            sent += u32::from(self.handle.publish(Topic::Tx, envelope).is_ok());
        });
        sent
    }
}

impl Drop for Flooder {
    fn drop(&mut self) {
        self.handle.shutdown();
    }
}

/// Knows nothing, serves nothing, remembers nothing.
struct Nobody;

impl Gate for Nobody {
    fn admit(&self, _: &EnvelopeHeader) -> Admission {
        Admission::Late
    }
}

impl PeerMemory for Nobody {
    fn load_bans(&self) -> io::Result<Vec<Ban>> {
        Ok(Vec::new())
    }

    fn store_bans(&self, _: &[Ban]) -> io::Result<()> {
        Ok(())
    }

    fn load_peers(&self) -> io::Result<Vec<KnownPeer>> {
        Ok(Vec::new())
    }

    fn store_peers(&self, _: &[KnownPeer]) -> io::Result<()> {
        Ok(())
    }
}

impl Blobs for Nobody {
    fn chunk(&self, _: BlobRequest, _: Access) -> Option<Chunk> {
        None
    }
}

impl Chain for Nobody {
    fn tip(&self) -> Tip {
        Tip::default()
    }

    fn round(&self, _: Height, _: Round) -> Vec<Vec<u8>> {
        Vec::new()
    }

    fn body(&self, _: &BlockId) -> Option<Vec<u8>> {
        None
    }

    fn decided(&self, _: Height, _: usize) -> Vec<DecidedBlock> {
        Vec::new()
    }
}
