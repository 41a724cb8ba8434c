//! How people write accounts and validators: bech32m (BIP-350) over a version byte and the id.
//!
//! `pal1…` is an account (44 characters), `palval1…` a validator (66). The prefix does not name the
//! network, because the chain id is signed into every message anyway.

use std::fmt;
use std::str::FromStr;

use bech32::primitives::decode::CheckedHrpstring;
use bech32::{Bech32m, Hrp};
use thiserror::Error;

use crate::digest::{Address, Digest, ValidatorId};

/// First byte of every textual id.
const VERSION: u8 = 0;
/// No id is longer; longer text is refused before it is decoded.
const TEXT_BYTES_MAX: usize = 90;

/// Why a text is not an account or validator.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum TextError {
    /// Checksum, alphabet or length is wrong: probably a typing mistake.
    #[error("not bech32m text: {0}")]
    Malformed(String),
    /// Right form, other kind of thing.
    #[error("expected {expected}1…, found {found}1…")]
    Prefix {
        /// The prefix asked for.
        expected: &'static str,
        /// The prefix found.
        found: String,
    },
    /// The payload is not a version byte and an id.
    #[error("payload is not version 0 and {0} bytes")]
    Payload(usize),
}

fn write(f: &mut fmt::Formatter<'_>, prefix: &'static str, id: &[u8]) -> fmt::Result {
    let mut payload = vec![VERSION];
    payload.extend_from_slice(id);
    let prefix = Hrp::parse(prefix).map_err(|_| fmt::Error)?;
    bech32::encode_to_fmt::<Bech32m, _>(f, prefix, &payload).map_err(|_| fmt::Error)
}

fn read<const N: usize>(text: &str, prefix: &'static str) -> Result<[u8; N], TextError> {
    if text.len() > TEXT_BYTES_MAX {
        return Err(TextError::Malformed("too long".to_owned()));
    }
    let checked = CheckedHrpstring::new::<Bech32m>(text)
        .map_err(|error| TextError::Malformed(error.to_string()))?;
    let found = checked.hrp().to_lowercase();
    if found != prefix {
        return Err(TextError::Prefix {
            expected: prefix,
            found,
        });
    }
    let payload: Vec<u8> = checked.byte_iter().collect();
    match payload.split_first() {
        Some((&VERSION, id)) => id.try_into().map_err(|_| TextError::Payload(N)),
        _ => Err(TextError::Payload(N)),
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write(f, "pal", &self.0)
    }
}

impl FromStr for Address {
    type Err = TextError;

    fn from_str(text: &str) -> Result<Self, TextError> {
        read(text, "pal").map(Self)
    }
}

impl ValidatorId {
    /// The `palval1…` form. (`Display` is hexadecimal, as in logs and JSON hashes.)
    #[must_use]
    pub fn to_text(&self) -> String {
        struct Text<'a>(&'a ValidatorId);
        impl fmt::Display for Text<'_> {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write(f, "palval", self.0.as_bytes())
            }
        }
        Text(self).to_string()
    }

    /// Reads the `palval1…` form.
    ///
    /// # Errors
    /// [`TextError`] for anything else.
    pub fn from_text(text: &str) -> Result<Self, TextError> {
        read(text, "palval").map(|bytes| Self(Digest(bytes)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::digest::ChainId;
    use crate::keys::SecretKey;

    #[test]
    fn address_vector() {
        let address = SecretKey::from_bytes(&[1; 32]).unwrap().public().address();
        let text = address.to_string();
        assert_eq!(text, "pal1qp2xp6j539jhsk8e7eq0ah3upnzjrr6zqulzhf5p");
        assert_eq!(text.parse(), Ok(address));
    }

    #[test]
    fn validator_vector() {
        let operator = SecretKey::from_bytes(&[1; 32]).unwrap().public().address();
        let chain = ChainId::of_genesis(b"palisade-local");
        let id = ValidatorId::derive(&chain, &operator, 0);
        let hex = id.to_string();
        assert!(
            hex.starts_with("c9e53786") && hex.ends_with("67b28bbe"),
            "{hex}"
        );
        let text = id.to_text();
        assert_eq!(text.len(), 66);
        assert_eq!(ValidatorId::from_text(&text), Ok(id));
    }

    #[test]
    fn mistakes_are_named() {
        let text = "pal1qp2xp6j539jhsk8e7eq0ah3upnzjrr6zqulzhf5q";
        assert!(matches!(
            text.parse::<Address>(),
            Err(TextError::Malformed(_))
        ));
        let account = "pal1qp2xp6j539jhsk8e7eq0ah3upnzjrr6zqulzhf5p";
        assert!(matches!(
            ValidatorId::from_text(account),
            Err(TextError::Prefix { .. })
        ));
    }
}
