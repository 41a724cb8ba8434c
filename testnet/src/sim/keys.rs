//! The keys of a world, all drawn from its seed.

use protocol::digest::sha256;
use protocol::keys::simulated::Scope;
use protocol::keys::{PublicKey, SecretKey};

/// How signatures are made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Signatures {
    /// At no cost; forged ones are refused all the same.
    #[default]
    Simulated,
    /// secp256k1, as on a real chain.
    Real,
}

/// What a key is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// Votes and proposals of a validator.
    Consensus = 1,
    /// Duties and relayed certificates of a validator.
    Session = 2,
    /// The wallet of a validator's operator.
    Operator = 3,
    /// The wallet of a client.
    Client = 4,
}

/// Makes the same key for the same question, every time.
#[derive(Debug)]
pub struct Keyring {
    scope: Scope,
    seed: u64,
    signatures: Signatures,
}

impl Keyring {
    /// The keys of a seed. Simulated keys are keys on this thread while the ring lives.
    #[must_use]
    pub fn new(seed: u64, signatures: Signatures) -> Self {
        Self {
            scope: Scope::enter(),
            seed,
            signatures,
        }
    }

    /// The index-th key for a purpose.
    #[must_use]
    pub fn secret(&self, purpose: Purpose, index: usize) -> SecretKey {
        let index = u64::try_from(index).unwrap_or(u64::MAX);
        let number = (purpose as u64) << 32 | index;
        if self.signatures == Signatures::Simulated {
            return SecretKey::simulated(&self.scope, number);
        }
        let mut salt = 0_u64;
        loop {
            let parts = [self.seed, number, salt].map(u64::to_be_bytes).concat();
            match SecretKey::from_bytes(&sha256(&parts).0) {
                Ok(secret) => return secret,
                Err(_) => salt += 1,
            }
        }
    }

    /// The public half.
    #[must_use]
    pub fn public(&self, purpose: Purpose, index: usize) -> PublicKey {
        self.secret(purpose, index).public()
    }
}
