//! `Signed<T>` outside, `Verified<T>` inside.
//!
//! Whatever crosses an authority boundary is a [`Signed`]; handlers and the ledger take a
//! [`Verified`], whose sole constructor is [`Signed::verify`]. A message that was never checked
//! therefore cannot reach a rule: it does not compile.

use std::ops::Deref;

use crate::digest::{ChainId, Digest};
use crate::keys::{BadSignature, PublicKey, SecretKey, Signature};

/// Something that one key states on one chain.
pub trait Message {
    /// What is signed: a tagged hash over the chain id and the message's canonical bytes.
    fn signing_digest(&self, chain: &ChainId) -> Digest;
    /// Who states it.
    fn signer(&self) -> PublicKey;
}

/// A message with a signature that nobody has checked yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Signed<T> {
    /// The message.
    pub message: T,
    /// Claimed to be the signer's over it.
    pub signature: Signature,
}

impl<T: Message> Signed<T> {
    /// Signs a message. The caller picks the key that [`Message::signer`] names.
    #[must_use]
    pub fn sign(message: T, key: &SecretKey, chain: &ChainId) -> Self {
        let signature = key.sign(&message.signing_digest(chain));
        Self { message, signature }
    }

    /// Checks the signature; the only way to a [`Verified`].
    ///
    /// # Errors
    /// [`BadSignature`] if it is not the signer's over this message on this chain.
    pub fn verify(self, chain: &ChainId) -> Result<Verified<T>, BadSignature> {
        self.message
            .signer()
            .verify(&self.message.signing_digest(chain), &self.signature)?;
        Ok(Verified(self))
    }
}

/// A message whose signature was checked in this process.
///
/// ```compile_fail
/// // The field is private: there is no other constructor than `Signed::verify`.
/// fn forge<T>(signed: protocol::signed::Signed<T>) -> protocol::signed::Verified<T> {
///     protocol::signed::Verified(signed)
/// }
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verified<T>(Signed<T>);

impl<T> Verified<T> {
    /// Gives up the proof, keeping the signed message.
    #[must_use]
    pub fn into_signed(self) -> Signed<T> {
        self.0
    }

    /// The message itself.
    #[must_use]
    pub const fn message(&self) -> &T {
        &self.0.message
    }
}

impl<T> Deref for Verified<T> {
    type Target = Signed<T>;

    fn deref(&self) -> &Signed<T> {
        &self.0
    }
}
