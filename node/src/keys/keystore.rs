//! A key in a file: Web3 secret storage version 3, plus an object `palisade`.
//!
//! scrypt or PBKDF2 makes 32 bytes of the password; the first 16 decrypt by AES-128-CTR, the last 16
//! and the ciphertext under Keccak-256 tell a wrong password from a right one.

use aes::cipher::{KeyIvInit as _, StreamCipher as _};
use protocol::keys::{PublicKey, SecretKey};
use serde::{Deserialize, Serialize};
use sha3::{Digest as _, Keccak256};
use zeroize::Zeroizing;

use super::Role;
use super::kdf::{Kdf, LOG_N_DEV, LOG_N_KEEP};
use crate::problem::Problem;

type Aes128Ctr = ctr::Ctr128BE<aes::Aes128>;

/// A longer file is no key file.
pub(crate) const KEY_FILE_BYTES_MAX: u64 = 16 << 10;

/// The file.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Keystore {
    crypto: Crypto,
    id: String,
    version: u32,
    /// What other tools leave alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) palisade: Option<Label>,
}

/// What the key is for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Label {
    /// What it may sign.
    pub(crate) role: Role,
    /// Its public half, compressed, hex.
    pub(crate) public_key: String,
    /// RFC 3339.
    pub(crate) created: String,
    /// Known to everybody: refused off local chains.
    pub(crate) dev: bool,
    /// Exported to another host; signs here no more.
    pub(crate) moved: bool,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
struct Crypto {
    cipher: String,
    cipherparams: CipherParams,
    ciphertext: String,
    #[serde(flatten)]
    kdf: Kdf,
    mac: String,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
struct CipherParams {
    iv: String,
}

fn malformed(what: &str) -> Problem {
    Problem::new("key.malformed", what)
}

/// Bytes from the operating system.
pub(crate) fn random<const N: usize>() -> Result<[u8; N], Problem> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes)
        .map_err(|error| Problem::new("internal", format!("no randomness: {error}")))?;
    Ok(bytes)
}

impl Keystore {
    /// Encrypts a key.
    pub(crate) fn seal(key: &SecretKey, password: &[u8], label: Label) -> Result<Self, Problem> {
        let log_n = if label.dev { LOG_N_DEV } else { LOG_N_KEEP };
        Self::seal_with(key, password, label, Kdf::scrypt(log_n, &random()?))
    }

    fn seal_with(
        key: &SecretKey,
        password: &[u8],
        label: Label,
        kdf: Kdf,
    ) -> Result<Self, Problem> {
        let derived = kdf.derive(password)?;
        let iv: [u8; 16] = random()?;
        let mut ciphertext = key.expose().to_vec();
        apply(&derived, &iv, &mut ciphertext);
        let mac = mac(&derived, &ciphertext);
        Ok(Self {
            crypto: Crypto {
                cipher: "aes-128-ctr".to_owned(),
                cipherparams: CipherParams {
                    iv: hex::encode(iv),
                },
                ciphertext: hex::encode(ciphertext),
                kdf,
                mac: hex::encode(mac),
            },
            id: uuid(random()?),
            version: 3,
            palisade: Some(label),
        })
    }

    /// Reads the text of a key file.
    pub(crate) fn parse(bytes: &[u8]) -> Result<Self, Problem> {
        if u64::try_from(bytes.len()).unwrap_or(u64::MAX) > KEY_FILE_BYTES_MAX {
            return Err(malformed("the file is too long for a key"));
        }
        let store: Self = serde_json::from_slice(bytes)
            .map_err(|error| malformed(&format!("not a version 3 key file: {error}")))?;
        if store.version != 3 || store.crypto.cipher != "aes-128-ctr" {
            return Err(malformed("only version 3 with aes-128-ctr is known"));
        }
        Ok(store)
    }

    /// Decrypts the key. A label that names another public key is refused.
    pub(crate) fn open(&self, password: &[u8]) -> Result<SecretKey, Problem> {
        let mut text = Zeroizing::new([0_u8; 32]);
        hex::decode_to_slice(&self.crypto.ciphertext, text.as_mut())
            .map_err(|_| malformed("the ciphertext is not 32 bytes"))?;
        let mut iv = [0; 16];
        hex::decode_to_slice(&self.crypto.cipherparams.iv, &mut iv)
            .map_err(|_| malformed("the iv is not 16 bytes"))?;
        let derived = self.crypto.kdf.derive(password)?;
        let expected =
            hex::decode(&self.crypto.mac).map_err(|_| malformed("the mac is not hex"))?;
        if !same(&mac(&derived, text.as_ref()), &expected) {
            return Err(Problem::new("key.password", "the check sum does not match"));
        }
        apply(&derived, &iv, text.as_mut());
        let key =
            SecretKey::from_bytes(&text).map_err(|_| malformed("the scalar is impossible"))?;
        self.check_label(&key.public())?;
        Ok(key)
    }

    fn check_label(&self, public: &PublicKey) -> Result<(), Problem> {
        match &self.palisade {
            Some(label) if label.public_key != public.to_string() => {
                Err(malformed("the label names another public key"))
            }
            _ => Ok(()),
        }
    }

    /// The text of the file.
    pub(crate) fn to_text(&self) -> String {
        let mut text = serde_json::to_string_pretty(self).unwrap_or_default();
        text.push('\n');
        text
    }
}

fn apply(derived: &[u8; 32], iv: &[u8; 16], bytes: &mut [u8]) {
    let mut key = [0; 16];
    key.copy_from_slice(&derived[..16]);
    Aes128Ctr::new(&key.into(), &(*iv).into()).apply_keystream(bytes);
    zeroize::Zeroize::zeroize(&mut key);
}

fn mac(derived: &[u8; 32], ciphertext: &[u8]) -> [u8; 32] {
    let mut hasher = Keccak256::new();
    hasher.update(&derived[16..]);
    hasher.update(ciphertext);
    hasher.finalize().into()
}

/// Compares without stopping early.
fn same(a: &[u8], b: &[u8]) -> bool {
    a.len() == b.len() && a.iter().zip(b).fold(0, |sum, (x, y)| sum | (x ^ y)) == 0
}

/// A random UUID (version 4) in its text form.
fn uuid(mut bytes: [u8; 16]) -> String {
    bytes[6] = (bytes[6] & 0x0f) | 0x40;
    bytes[8] = (bytes[8] & 0x3f) | 0x80;
    let text = hex::encode(bytes);
    [
        &text[..8],
        &text[8..12],
        &text[12..16],
        &text[16..20],
        &text[20..],
    ]
    .join("-")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The two test vectors published with the Web3 secret storage definition.
    const PBKDF2: &str = r#"{"crypto":{"cipher":"aes-128-ctr","cipherparams":{"iv":"6087dab2f9fdbbfaddc31a909735c1e6"},"ciphertext":"5318b4d5bcd28de64ee5559e671353e16f075ecae9f99c7a79a38af5f869aa46","kdf":"pbkdf2","kdfparams":{"c":262144,"dklen":32,"prf":"hmac-sha256","salt":"ae3cd4e7013836a3df6bd7241b12db061dbe2c6785853cce422d148a624ce0bd"},"mac":"517ead924a9d0dc3124507e3393d175ce3ff7c1e96529c6c555ce9e51205e9b2"},"id":"3198bc9c-6672-5ab3-d995-4942343ae5b6","version":3}"#;
    const SCRYPT: &str = r#"{"crypto":{"cipher":"aes-128-ctr","cipherparams":{"iv":"83dbcc02d8ccb40e466191a123791e0e"},"ciphertext":"d172bf743a674da9cdad04534d56926ef8358534d458fffccd4e6ad2fbde479c","kdf":"scrypt","kdfparams":{"dklen":32,"n":262144,"p":8,"r":1,"salt":"ab0c7876052600dd703518d6fc3fe8984592145b591fc8fb5c6d43190334ba19"},"mac":"2103ac29920d71da29f15d75b4a16dbe95cfd7ff8faea1056c33131d846e3097"},"id":"3198bc9c-6672-5ab3-d995-4942343ae5b6","version":3}"#;
    const SECRET: &str = "7a28b5ba57c53603b0b07b56bba752f7784bf506fa95edc395f5cf6c7514fe9d";

    fn label(key: &SecretKey) -> Label {
        Label {
            role: Role::Wallet,
            public_key: key.public().to_string(),
            created: "2026-01-01T00:00:00Z".into(),
            dev: true,
            moved: false,
        }
    }

    #[test]
    fn published_vectors_open() {
        for text in [PBKDF2, SCRYPT] {
            let store = Keystore::parse(text.as_bytes()).unwrap();
            let key = store.open(b"testpassword").unwrap();
            assert_eq!(hex::encode(*key.expose()), SECRET);
        }
        let store = Keystore::parse(PBKDF2.as_bytes()).unwrap();
        assert_eq!(
            store.open(b"testpasswore").unwrap_err().code,
            "key.password"
        );
    }

    #[test]
    fn seals_and_opens() {
        let key = SecretKey::from_bytes(&[7; 32]).unwrap();
        let store = Keystore::seal(&key, b"pass", label(&key)).unwrap();
        let again = Keystore::parse(store.to_text().as_bytes()).unwrap();
        assert_eq!(again.open(b"pass").unwrap().public(), key.public());
        assert_eq!(again.open(b"").unwrap_err().code, "key.password");
        assert!(!store.to_text().contains(&hex::encode([7; 32])));
    }

    #[test]
    fn a_label_of_another_key_is_refused() {
        let key = SecretKey::from_bytes(&[7; 32]).unwrap();
        let other = SecretKey::from_bytes(&[8; 32]).unwrap();
        let store = Keystore::seal(&key, b"", label(&other)).unwrap();
        assert_eq!(store.open(b"").unwrap_err().code, "key.malformed");
    }

    #[test]
    fn broken_files_are_malformed() {
        let cut = &SCRYPT[..200];
        let other = SCRYPT.replace("aes-128-ctr", "aes-128-cbc");
        let version = SCRYPT.replace("\"version\":3", "\"version\":4");
        let long = format!("{SCRYPT}{}", " ".repeat(20_000));
        for text in [cut, &other, &version, &long, "", "[]", "{}"] {
            assert_eq!(
                Keystore::parse(text.as_bytes()).unwrap_err().code,
                "key.malformed"
            );
        }
    }
}
