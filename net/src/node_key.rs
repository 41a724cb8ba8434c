//! The node key: names a peer on the network and signs nothing of the chain.

use std::fmt;

use libp2p::PeerId;
use libp2p::identity::{Keypair, secp256k1};
use protocol::keys::SecretKey;
use thiserror::Error;

/// A secp256k1 key for the transport only.
#[derive(Clone)]
pub struct NodeKey(Keypair);

/// Thirty-two bytes that are no secp256k1 secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("not a secp256k1 secret key")]
pub struct NodeKeyError;

impl NodeKey {
    /// The key in these bytes.
    ///
    /// # Errors
    /// [`NodeKeyError`] for zero and for numbers beyond the group order.
    pub fn from_bytes(mut bytes: [u8; 32]) -> Result<Self, NodeKeyError> {
        let secret = secp256k1::SecretKey::try_from_bytes(&mut bytes).map_err(|_| NodeKeyError)?;
        Ok(Self(Keypair::from(secp256k1::Keypair::from(secret))))
    }

    /// The key in a keystore entry of purpose "peer".
    ///
    /// # Errors
    /// As [`Self::from_bytes`].
    pub fn from_secret(secret: &SecretKey) -> Result<Self, NodeKeyError> {
        Self::from_bytes(*secret.expose())
    }

    /// The name that peers know this node by (`16Uiu2…`).
    #[must_use]
    pub fn peer_id(&self) -> PeerId {
        self.0.public().to_peer_id()
    }

    pub(crate) const fn keypair(&self) -> &Keypair {
        &self.0
    }
}

impl fmt::Debug for NodeKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "NodeKey({})", self.peer_id())
    }
}
