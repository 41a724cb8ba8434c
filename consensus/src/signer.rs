//! The consensus key, in memory.

use protocol::digest::Digest;
use protocol::keys::{PublicKey, SecretKey, Signature};

/// Holds the consensus key and signs at once. Not `Clone`; wiped when dropped.
#[derive(Debug)]
pub struct Signer {
    secret: SecretKey,
    public: PublicKey,
}

impl Signer {
    /// Takes the key.
    #[must_use]
    pub fn new(secret: SecretKey) -> Self {
        let public = secret.public();
        Self { secret, public }
    }

    /// The key that others see.
    #[must_use]
    pub const fn public(&self) -> PublicKey {
        self.public
    }

    pub(crate) fn sign(&self, digest: &Digest) -> Signature {
        self.secret.sign(digest)
    }
}
