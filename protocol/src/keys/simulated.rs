//! Keys that cost nothing, for the simulator alone.
//!
//! A simulated key is another kind of key, not another way to check real ones: its public form starts
//! with a byte that no curve point starts with, and bytes become one only on a thread that holds a
//! [`Scope`]. Real keys are verified in full everywhere, scope or not, and outside a scope nothing
//! that arrives can name a simulated key. They prove nothing: who knows the key can forge.

use std::cell::Cell;
use std::marker::PhantomData;

use super::{BadSignature, PublicKey, Secret, SecretKey, Signature};
use crate::digest::Digest;

/// First byte of a simulated public key. SEC 1 knows 0, 2, 3 and 4 only.
const TAG: u8 = 0x53;

thread_local! {
    static SCOPES: Cell<u32> = const { Cell::new(0) };
}

/// While it lives, this thread takes simulated public keys for keys.
#[derive(Debug)]
pub struct Scope(PhantomData<*const ()>);

impl Scope {
    /// Enters the simulation on this thread.
    #[must_use]
    pub fn enter() -> Self {
        SCOPES.with(|scopes| scopes.set(scopes.get().saturating_add(1)));
        Self(PhantomData)
    }
}

impl Drop for Scope {
    fn drop(&mut self) {
        SCOPES.with(|scopes| scopes.set(scopes.get().saturating_sub(1)));
    }
}

impl SecretKey {
    /// A key that only simulations know, of its own for each number.
    #[must_use]
    pub fn simulated(_: &Scope, number: u64) -> Self {
        let mut bytes = [0; 33];
        let spread = crate::digest::sha256(&number.to_be_bytes());
        for (to, from) in bytes.iter_mut().skip(1).zip(spread.as_bytes()) {
            *to = *from;
        }
        if let Some(first) = bytes.first_mut() {
            *first = TAG;
        }
        Self(Secret::Simulated(PublicKey(bytes)))
    }
}

/// Whether the bytes have the form of a simulated key and may be one here.
pub(super) fn is_key(bytes: &[u8; 33]) -> bool {
    bytes.first() == Some(&TAG) && SCOPES.with(Cell::get) > 0
}

/// Names key and digest: different for each pair, and that is all it has to be.
pub(super) fn sign(key: &PublicKey, digest: &Digest) -> Signature {
    let mut bytes = [0; 64];
    let content = digest.as_bytes().iter().chain(key.0.iter().skip(1));
    for (to, from) in bytes.iter_mut().zip(content) {
        *to = *from;
    }
    Signature(bytes)
}

pub(super) fn verify(
    key: &PublicKey,
    digest: &Digest,
    signature: &Signature,
) -> Result<(), BadSignature> {
    if sign(key, digest) == *signature {
        Ok(())
    } else {
        Err(BadSignature)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::digest::sha256;

    #[test]
    fn simulated_keys_exist_only_within_a_scope() {
        let scope = Scope::enter();
        let secret = SecretKey::simulated(&scope, 1);
        let (key, digest) = (secret.public(), sha256(b"message"));
        assert_eq!(PublicKey::from_bytes(*key.as_bytes()), Ok(key));
        assert_eq!(key.verify(&digest, &secret.sign(&digest)), Ok(()));
        assert!(
            key.verify(&sha256(b"other"), &secret.sign(&digest))
                .is_err()
        );
        assert_ne!(SecretKey::simulated(&scope, 2).public(), key);
        drop(scope);
        assert!(PublicKey::from_bytes(*key.as_bytes()).is_err());
        assert!(key.verify(&digest, &secret.sign(&digest)).is_err());
    }

    #[test]
    fn real_keys_are_verified_in_full_within_a_scope() {
        let _scope = Scope::enter();
        let secret = SecretKey::from_bytes(&[1; 32]).unwrap();
        let digest = sha256(b"message");
        let key = secret.public();
        assert_eq!(key.verify(&digest, &secret.sign(&digest)), Ok(()));
        assert!(key.verify(&digest, &sign(&key, &digest)).is_err());
    }

    #[test]
    fn another_thread_is_not_in_the_scope() {
        let scope = Scope::enter();
        let key = SecretKey::simulated(&scope, 1).public();
        let elsewhere = std::thread::spawn(move || PublicKey::from_bytes(*key.as_bytes()));
        assert!(elsewhere.join().unwrap().is_err());
    }
}
