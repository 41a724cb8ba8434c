//! Words to keys: BIP-39 seeds and BIP-32 private derivation, the small part of it that is needed.
//!
//! No public derivation: a leaked child and its parent's chain code would give the parent, and nobody
//! here needs watch-only trees.

use hmac::{Hmac, KeyInit as _, Mac as _};
use k256::elliptic_curve::PrimeField as _;
use k256::{FieldBytes, Scalar};
use protocol::keys::SecretKey;
use sha2::Sha512;
use zeroize::Zeroizing;

use super::Role;
use crate::problem::Problem;

/// Added to an index for hardened derivation.
const HARDENED: u32 = 1 << 31;
/// SLIP-44's number for test coins of every chain.
const COIN: u32 = 1;

/// A private key that can have children.
pub(crate) struct ExtendedKey {
    secret: SecretKey,
    chain_code: Zeroizing<[u8; 32]>,
}

impl std::fmt::Debug for ExtendedKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("[redacted]")
    }
}

fn hmac_sha512(key: &[u8], parts: &[&[u8]]) -> Zeroizing<[u8; 64]> {
    let Ok(mut mac) = Hmac::<Sha512>::new_from_slice(key) else {
        unreachable!("HMAC takes keys of any length");
    };
    for part in parts {
        mac.update(part);
    }
    Zeroizing::new(mac.finalize().into_bytes().into())
}

fn halves(bytes: &[u8; 64]) -> (Zeroizing<[u8; 32]>, Zeroizing<[u8; 32]>) {
    let (mut left, mut right) = (Zeroizing::new([0; 32]), Zeroizing::new([0; 32]));
    left.copy_from_slice(&bytes[..32]);
    right.copy_from_slice(&bytes[32..]);
    (left, right)
}

/// Happens once in 2^127 derivations; BIP-32 then asks for the next index.
fn impossible() -> Problem {
    Problem::new(
        "key.mnemonic",
        "this path yields no key; use the next index",
    )
}

impl ExtendedKey {
    /// The root of a tree.
    pub(crate) fn master(seed: &[u8]) -> Result<Self, Problem> {
        let (secret, chain_code) = halves(&hmac_sha512(b"Bitcoin seed", &[seed]));
        let secret = SecretKey::from_bytes(&secret).map_err(|_| impossible())?;
        Ok(Self { secret, chain_code })
    }

    /// One child.
    pub(crate) fn child(&self, index: u32) -> Result<Self, Problem> {
        let parent = self.secret.expose();
        let number = index.to_be_bytes();
        let bytes = if index >= HARDENED {
            hmac_sha512(self.chain_code.as_ref(), &[&[0], parent.as_ref(), &number])
        } else {
            let public = self.secret.public();
            hmac_sha512(self.chain_code.as_ref(), &[public.as_bytes(), &number])
        };
        let (tweak, chain_code) = halves(&bytes);
        let sum = scalar(&tweak)? + scalar(&parent)?;
        let secret = Zeroizing::new(<[u8; 32]>::from(sum.to_bytes()));
        let secret = SecretKey::from_bytes(&secret).map_err(|_| impossible())?;
        Ok(Self { secret, chain_code })
    }

    /// The key itself.
    pub(crate) fn into_secret(self) -> SecretKey {
        self.secret
    }
}

fn scalar(bytes: &[u8; 32]) -> Result<Scalar, Problem> {
    let field: FieldBytes = (*bytes).into();
    Option::<Scalar>::from(Scalar::from_repr(field)).ok_or_else(impossible)
}

/// The branch of a role: `m/44'/1'/branch'/0/index`.
fn branch(role: Role) -> Option<u32> {
    match role {
        Role::Wallet => Some(0),
        Role::Operator => Some(1),
        Role::Consensus | Role::Session | Role::Peer => None,
    }
}

/// The path of a role's key, as people write it.
pub(crate) fn path(role: Role, index: u32) -> Option<String> {
    branch(role).map(|branch| format!("m/44'/1'/{branch}'/0/{index}"))
}

/// Derives a role's key from a mnemonic.
pub(crate) fn derive(phrase: &str, role: Role, index: u32) -> Result<SecretKey, Problem> {
    let words = bip39::Mnemonic::parse_in(bip39::Language::English, phrase.trim())
        .map_err(|error| Problem::new("key.mnemonic", error))?;
    let seed = Zeroizing::new(words.to_seed(""));
    let Some(branch) = branch(role) else {
        return Err(Problem::new(
            "key.mnemonic",
            format!("{role} keys never come from words"),
        ));
    };
    if index >= HARDENED {
        return Err(Problem::new(
            "key.mnemonic",
            format!("index {index} is too large"),
        ));
    }
    let mut key = ExtendedKey::master(seed.as_ref())?;
    for step in [44 + HARDENED, COIN + HARDENED, branch + HARDENED, 0, index] {
        key = key.child(step)?;
    }
    Ok(key.into_secret())
}

/// A fresh mnemonic of 24 words.
pub(crate) fn fresh_mnemonic() -> Result<Zeroizing<String>, Problem> {
    let entropy = Zeroizing::new(super::keystore::random::<32>()?);
    bip39::Mnemonic::from_entropy_in(bip39::Language::English, entropy.as_ref())
        .map(|words| Zeroizing::new(words.to_string()))
        .map_err(|error| Problem::new("key.mnemonic", error))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn walk(seed: &str, steps: &[u32]) -> String {
        let seed = hex::decode(seed).unwrap();
        let mut key = ExtendedKey::master(&seed).unwrap();
        for step in steps {
            key = key.child(*step).unwrap();
        }
        let code = hex::encode(*key.chain_code);
        format!("{} {code}", hex::encode(*key.secret.expose()))
    }

    /// BIP-32's test vectors 1 and 2; the keys are the payloads of their published `xprv` texts.
    #[test]
    fn published_derivations() {
        let one = "000102030405060708090a0b0c0d0e0f";
        let two = "fffcf9f6f3f0edeae7e4e1dedbd8d5d2cfccc9c6c3c0bdbab7b4b1aeaba8a5a29f9c999693908d8a8784817e7b7875726f6c696663605d5a5754514e4b484542";
        let h = HARDENED;
        let cases: &[(&str, &[u32], &str)] = &[
            (
                one,
                &[],
                "e8f32e723decf4051aefac8e2c93c9c5b214313817cdb01a1494b917c8436b35 873dff81c02f525623fd1fe5167eac3a55a049de3d314bb42ee227ffed37d508",
            ),
            (
                one,
                &[h],
                "edb2e14f9ee77d26dd93b4ecede8d16ed408ce149b6cd80b0715a2d911a0afea 47fdacbd0f1097043b78c63c20c34ef4ed9a111d980047ad16282c7ae6236141",
            ),
            (
                one,
                &[h, 1],
                "3c6cb8d0f6a264c91ea8b5030fadaa8e538b020f0a387421a12de9319dc93368 2a7857631386ba23dacac34180dd1983734e444fdbf774041578e9b6adb37c19",
            ),
            (
                one,
                &[h, 1, h + 2, 2, 1_000_000_000],
                "471b76e389e528d6de6d816857e012c5455051cad6660850e58372a6c3e6e7c8 c783e67b921d2beb8f6b389cc646d7263b4145701dadd2161548a8b078e65e9e",
            ),
            (
                two,
                &[],
                "4b03d6fc340455b363f51020ad3ecca4f0850280cf436c70c727923f6db46c3e 60499f801b896d83179a4374aeb7822aaeaceaa0db1f85ee3e904c4defbd9689",
            ),
            (
                two,
                &[0],
                "abe74a98f6c7eabee0428f53798f0ab8aa1bd37873999041703c742f15ac7e1e f0909affaa7ee7abe5dd4e100598d4dc53cd709d5a5c2cac40e7412f232f7c9c",
            ),
            (
                two,
                &[0, h + 2_147_483_647, 1, h + 2_147_483_646, 2],
                "bb7d39bdb83ecf58f2fd82b6d918341cbef428661ef01ab97c28a4842125ac23 9452b549be8cea3ecb7a84bec10dcfd94afe4d129ebfd3b3cb58eedf394ed271",
            ),
        ];
        for (seed, steps, expected) in cases {
            assert_eq!(&walk(seed, steps), expected, "{steps:?}");
        }
    }

    /// BIP-39's vector for `legal winner …` with the passphrase `TREZOR`, and a wrong check sum.
    #[test]
    fn published_seed() {
        let phrase = "legal winner thank year wave sausage worth useful legal winner thank yellow";
        let words = bip39::Mnemonic::parse_in(bip39::Language::English, phrase).unwrap();
        assert_eq!(
            hex::encode(words.to_seed("TREZOR")),
            "2e8905819b8723fe2c1d161860e5ee1830318dbf49a83bd451cfb8440c28bd6fa457fe1296106559a3c80937a1c1069be3a3a5bd381ee6260e8d9739fce1f607"
        );
        let wrong = phrase.replace("yellow", "year");
        assert_eq!(
            derive(&wrong, Role::Wallet, 0).unwrap_err().code,
            "key.mnemonic"
        );
    }

    #[test]
    fn hot_keys_never_come_from_words() {
        let phrase = super::super::dev::MNEMONIC;
        assert!(derive(phrase, Role::Consensus, 0).is_err());
        assert!(derive(phrase, Role::Wallet, HARDENED).is_err());
        let wallet = derive(phrase, Role::Wallet, 0).unwrap();
        let operator = derive(phrase, Role::Operator, 0).unwrap();
        assert_ne!(wallet.public(), operator.public());
        assert_eq!(path(Role::Operator, 3).as_deref(), Some("m/44'/1'/1'/0/3"));
    }

    #[test]
    fn fresh_words_are_24_and_differ() {
        let (a, b) = (fresh_mnemonic().unwrap(), fresh_mnemonic().unwrap());
        assert_eq!(a.split(' ').count(), 24);
        assert_ne!(*a, *b);
        derive(&a, Role::Wallet, 0).unwrap();
    }
}
