//! secp256k1 keys and signatures (SEC 1, RFC 6979, low S).
//!
//! A [`PublicKey`] is checked once, when it is made. A [`SecretKey`] is wiped when dropped, cannot be
//! copied and cannot be printed. libsecp256k1 checks, at half the cost of `k256`; `k256` signs, so no
//! secret leaves Rust (docs/adr/0015).

use std::fmt;

use bincode::de::{BorrowDecoder, Decoder};
use bincode::error::DecodeError;
use bincode::{BorrowDecode, Decode, Encode};
use k256::ecdsa::signature::hazmat::PrehashSigner;
use k256::ecdsa::{Signature as RawSignature, SigningKey};
use secp256k1::{Message, SECP256K1};
use thiserror::Error;

use crate::digest::{Address, Digest, Tag, th};

#[cfg(feature = "simulated")]
pub mod simulated;

/// Why bytes are not a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum KeyError {
    /// Not a compressed point of the curve.
    #[error("not a compressed secp256k1 public key")]
    PublicKey,
    /// Zero, or not below the group order.
    #[error("not a secp256k1 secret key")]
    SecretKey,
}

/// The signature is not the key's over these bytes, or is not in its one canonical form.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("signature does not verify")]
pub struct BadSignature;

/// A compressed public key that is known to be a point of the curve.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Encode)]
pub struct PublicKey([u8; 33]);

impl PublicKey {
    /// Length of the compressed form.
    pub const LEN: usize = 33;

    /// Checks that the bytes are a compressed point.
    ///
    /// # Errors
    /// [`KeyError::PublicKey`] if they are not.
    pub fn from_bytes(bytes: [u8; 33]) -> Result<Self, KeyError> {
        #[cfg(feature = "simulated")]
        if simulated::is_key(&bytes) {
            return Ok(Self(bytes));
        }
        secp256k1::PublicKey::from_byte_array_compressed(bytes).map_err(|_| KeyError::PublicKey)?;
        Ok(Self(bytes))
    }

    /// As [`Self::from_bytes`], from a slice of any length.
    ///
    /// # Errors
    /// [`KeyError::PublicKey`] if the length or the point is wrong.
    pub fn from_slice(bytes: &[u8]) -> Result<Self, KeyError> {
        Self::from_bytes(bytes.try_into().map_err(|_| KeyError::PublicKey)?)
    }

    /// Whether the first byte is one that a key may start with: cheap, and no proof that it is one.
    pub(crate) fn has_prefix(bytes: &[u8; 33]) -> bool {
        #[cfg(feature = "simulated")]
        if simulated::is_key(bytes) {
            return true;
        }
        matches!(bytes.first(), Some(2 | 3))
    }

    /// The compressed form.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 33] {
        &self.0
    }

    /// Verifies a signature over a digest. A high-S twin of a good signature is refused.
    ///
    /// # Errors
    /// [`BadSignature`].
    pub fn verify(&self, digest: &Digest, signature: &Signature) -> Result<(), BadSignature> {
        #[cfg(feature = "simulated")]
        if simulated::is_key(&self.0) {
            return simulated::verify(self, digest, signature);
        }
        let key =
            secp256k1::PublicKey::from_byte_array_compressed(self.0).map_err(|_| BadSignature)?;
        let raw =
            secp256k1::ecdsa::Signature::from_compact(&signature.0).map_err(|_| BadSignature)?;
        // Refuses a high S by itself.
        SECP256K1
            .verify_ecdsa(Message::from_digest(*digest.as_bytes()), &raw, &key)
            .map_err(|_| BadSignature)
    }

    /// The account of this key.
    #[must_use]
    pub fn address(&self) -> Address {
        let digest = th(Tag::Address, &[&self.0]);
        let mut address = [0; 20];
        for (to, from) in address.iter_mut().zip(digest.as_bytes()) {
            *to = *from;
        }
        Address(address)
    }
}

impl fmt::Display for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl std::str::FromStr for PublicKey {
    type Err = KeyError;

    fn from_str(text: &str) -> Result<Self, KeyError> {
        let mut bytes = [0; 33];
        hex::decode_to_slice(text, &mut bytes).map_err(|_| KeyError::PublicKey)?;
        Self::from_bytes(bytes)
    }
}

impl AsRef<[u8]> for PublicKey {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

impl<Context> Decode<Context> for PublicKey {
    fn decode<D: Decoder<Context = Context>>(decoder: &mut D) -> Result<Self, DecodeError> {
        let bytes: [u8; 33] = Decode::decode(decoder)?;
        Self::from_bytes(bytes).map_err(|_| DecodeError::Other("not a public key"))
    }
}

impl<'de, Context> BorrowDecode<'de, Context> for PublicKey {
    fn borrow_decode<D: BorrowDecoder<'de, Context = Context>>(
        decoder: &mut D,
    ) -> Result<Self, DecodeError> {
        Self::decode(decoder)
    }
}

/// `r ‖ s`, 32 bytes each, without recovery. Only low S verifies.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Encode, Decode)]
pub struct Signature(pub [u8; 64]);

impl Signature {
    /// Length in bytes.
    pub const LEN: usize = 64;

    /// Takes exactly 64 bytes.
    ///
    /// # Errors
    /// [`BadSignature`] for any other length.
    pub fn from_slice(bytes: &[u8]) -> Result<Self, BadSignature> {
        bytes.try_into().map(Self).map_err(|_| BadSignature)
    }
}

impl fmt::Debug for Signature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// A secret scalar. Wiped on drop by `k256`; neither `Clone` nor `Debug`.
pub struct SecretKey(Secret);

enum Secret {
    Curve(SigningKey),
    #[cfg(feature = "simulated")]
    Simulated(PublicKey),
}

impl fmt::Debug for SecretKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[redacted]")
    }
}

impl SecretKey {
    /// Checks that the bytes are a scalar of the group.
    ///
    /// # Errors
    /// [`KeyError::SecretKey`] if zero or too large.
    pub fn from_bytes(bytes: &[u8; 32]) -> Result<Self, KeyError> {
        SigningKey::from_slice(bytes)
            .map(|key| Self(Secret::Curve(key)))
            .map_err(|_| KeyError::SecretKey)
    }

    /// The scalar's bytes, for the keystore that encrypts it. Wiped when dropped. A simulated key
    /// has none: zeroes, which are no key.
    #[must_use]
    pub fn expose(&self) -> zeroize::Zeroizing<[u8; 32]> {
        zeroize::Zeroizing::new(match &self.0 {
            Secret::Curve(key) => key.to_bytes().into(),
            #[cfg(feature = "simulated")]
            Secret::Simulated(_) => [0; 32],
        })
    }

    /// The matching public key.
    #[must_use]
    pub fn public(&self) -> PublicKey {
        let key = match &self.0 {
            Secret::Curve(key) => key,
            #[cfg(feature = "simulated")]
            Secret::Simulated(public) => return *public,
        };
        let point = key.verifying_key().to_sec1_point(true);
        let mut bytes = [0; 33];
        for (to, from) in bytes.iter_mut().zip(point.as_bytes()) {
            *to = *from;
        }
        PublicKey(bytes)
    }

    /// Signs a digest: the same key and digest always give the same bytes (RFC 6979).
    #[must_use]
    pub fn sign(&self, digest: &Digest) -> Signature {
        let key = match &self.0 {
            Secret::Curve(key) => key,
            #[cfg(feature = "simulated")]
            Secret::Simulated(public) => return simulated::sign(public, digest),
        };
        match key.sign_prehash(digest.as_bytes()) {
            Ok::<RawSignature, _>(signature) => {
                Signature(signature.normalize_s().to_bytes().into())
            }
            // The library fails only if r or s is zero, which nobody can bring about; such a
            // signature would verify nowhere, and that is what this value does too.
            Err(_) => Signature([0; 64]),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::digest::sha256;

    fn key() -> SecretKey {
        SecretKey::from_bytes(&[1; 32]).unwrap()
    }

    /// The twin `(r, n - s)` of a signature, valid under textbook ECDSA.
    fn high_s_twin(signature: &Signature) -> Signature {
        let raw = RawSignature::from_slice(&signature.0).unwrap();
        let (r, s) = raw.split_scalars();
        let twin = RawSignature::from_scalars(r.to_bytes(), (-*s).to_bytes()).unwrap();
        Signature(twin.to_bytes().into())
    }

    #[test]
    fn signs_and_verifies_alike_every_time() {
        let digest = sha256(b"message");
        let signature = key().sign(&digest);
        assert_eq!(signature, key().sign(&digest));
        assert_eq!(key().public().verify(&digest, &signature), Ok(()));
        assert_eq!(
            key().public().verify(&sha256(b"other"), &signature),
            Err(BadSignature)
        );
    }

    #[test]
    fn high_s_and_noncanonical_rejected() {
        let digest = sha256(b"message");
        let twin = high_s_twin(&key().sign(&digest));
        assert_eq!(key().public().verify(&digest, &twin), Err(BadSignature));
        assert_eq!(
            key().public().verify(&digest, &Signature([0; 64])),
            Err(BadSignature)
        );
        assert_eq!(
            key().public().verify(&digest, &Signature([0xff; 64])),
            Err(BadSignature)
        );
    }

    /// What `k256` says, which shares no code with the library that decides.
    fn k256_agrees(key: [u8; 33], digest: &Digest, signature: &Signature) -> bool {
        use k256::ecdsa::VerifyingKey;
        use k256::ecdsa::signature::hazmat::PrehashVerifier;
        let (Ok(key), Ok(raw)) = (
            VerifyingKey::from_sec1_bytes(&key),
            RawSignature::from_slice(&signature.0),
        ) else {
            return false;
        };
        raw.normalize_s() == raw && key.verify_prehash(digest.as_bytes(), &raw).is_ok()
    }

    /// Goal: a second implementation accepts exactly the same. Method: good signatures, over digests
    /// beyond the group order too, with each byte of key, digest and signature changed in turn, high
    /// S, and numbers at the edges of the group.
    #[test]
    fn a_signature_that_two_implementations_judge_apart_is_never_met() {
        const ORDER: [u8; 32] = k256_order();
        let judge = |key: [u8; 33], digest: Digest, signature: Signature| {
            let ours =
                PublicKey::from_bytes(key).is_ok_and(|key| key.verify(&digest, &signature).is_ok());
            assert_eq!(
                ours,
                k256_agrees(key, &digest, &signature),
                "{key:?} {signature:?}"
            );
            ours
        };
        let mut good = 0;
        for digest in [
            sha256(b"message"),
            Digest::ZERO,
            Digest(ORDER),
            Digest([0xff; 32]),
        ] {
            let (public, signature) = (key().public().0, key().sign(&digest));
            good += usize::from(judge(public, digest, signature));
            judge(public, digest, high_s_twin(&signature));
            for at in 0..33 {
                let mut other = public;
                other[at] ^= 1;
                judge(other, digest, signature);
            }
            for at in 0..32 {
                let mut other = digest;
                other.0[at] ^= 0x80;
                judge(public, other, signature);
            }
            for at in 0..64 {
                for bit in 0..8 {
                    let mut other = signature;
                    other.0[at] ^= 1 << bit;
                    judge(public, digest, other);
                }
            }
            for half in [[0; 32], ORDER, [0xff; 32]] {
                for at in [0, 32] {
                    let mut other = signature;
                    other.0[at..at + 32].copy_from_slice(&half);
                    judge(public, digest, other);
                }
            }
        }
        assert_eq!(good, 4, "the unchanged ones verify");
    }

    /// The order of the group (SEC 2, 2.4.1).
    const fn k256_order() -> [u8; 32] {
        [
            0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
            0xff, 0xfe, 0xba, 0xae, 0xdc, 0xe6, 0xaf, 0x48, 0xa0, 0x3b, 0xbf, 0xd2, 0x5e, 0x8c,
            0xd0, 0x36, 0x41, 0x41,
        ]
    }

    #[test]
    fn bad_keys_are_refused() {
        assert_eq!(PublicKey::from_bytes([0; 33]), Err(KeyError::PublicKey));
        assert!(SecretKey::from_bytes(&[0; 32]).is_err());
        assert!(SecretKey::from_bytes(&[0xff; 32]).is_err());
    }

    #[test]
    fn secrets_do_not_print() {
        assert_eq!(format!("{:?}", key()), "[redacted]");
    }
}
