//! The canonical codec: the only place that names bincode.
//!
//! Fixed-width big-endian integers, a byte limit before anything is allocated, every byte consumed,
//! and a re-encoding that must equal what was read: each value has exactly one encoding, so a digest
//! of bytes is a digest of the value. Types must hold no floats, hash maps, `usize`, zero-sized
//! elements or recursion (storage.md, Codec).

use bincode::config::{BigEndian, Configuration, Fixint, Limit, standard};
use bincode::error::DecodeError;
use thiserror::Error;

/// A type with one encoding and a size it never exceeds.
pub trait Canonical: bincode::Encode + bincode::Decode<()> {
    /// The longest encoding, in bytes.
    const BYTES_MAX: usize;
}

/// Why bytes are not the canonical encoding of a value.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum CodecError {
    /// Longer than the type allows; nothing was decoded.
    #[error("{len} bytes, at most {max} allowed")]
    TooLong {
        /// What arrived.
        len: usize,
        /// What is allowed.
        max: usize,
    },
    /// Not an encoding of this type.
    #[error("malformed: {0}")]
    Malformed(String),
    /// Bytes are left over after the value.
    #[error("{0} trailing bytes")]
    Trailing(usize),
    /// Another encoding of the same value exists, and that one is canonical.
    #[error("not the canonical encoding")]
    NotCanonical,
}

/// The limit is checked by hand against `BYTES_MAX`; bincode's own stops length prefixes from
/// reserving more than any type here may hold.
const DECODE_LIMIT: usize = 8 << 20;

const fn config() -> Configuration<BigEndian, Fixint, Limit<DECODE_LIMIT>> {
    standard()
        .with_big_endian()
        .with_fixed_int_encoding()
        .with_limit::<DECODE_LIMIT>()
}

/// The canonical bytes of a value.
///
/// Encoding into memory cannot fail for types made of integers, arrays, vectors and enums; should a
/// type break that, the empty vector it yields decodes nowhere.
#[must_use]
pub fn encode<T: bincode::Encode>(value: &T) -> Vec<u8> {
    let unlimited = standard().with_big_endian().with_fixed_int_encoding();
    bincode::encode_to_vec(value, unlimited).unwrap_or_default()
}

/// Decodes exactly one canonical value.
///
/// # Errors
/// [`CodecError`] for anything but the one encoding of a value within its limit.
pub fn decode_canonical<T: Canonical>(bytes: &[u8]) -> Result<T, CodecError> {
    if bytes.len() > T::BYTES_MAX {
        return Err(CodecError::TooLong {
            len: bytes.len(),
            max: T::BYTES_MAX,
        });
    }
    let (value, used) = bincode::decode_from_slice::<T, _>(bytes, config())
        .map_err(|error| CodecError::Malformed(words(&error)))?;
    match bytes.len().saturating_sub(used) {
        0 => {}
        trailing => return Err(CodecError::Trailing(trailing)),
    }
    if encode(&value) != bytes {
        return Err(CodecError::NotCanonical);
    }
    Ok(value)
}

/// What people are told: the library's own text is the debug form of its error, with our type names.
fn words(error: &DecodeError) -> String {
    match error {
        DecodeError::UnexpectedEnd { additional } => {
            format!("the bytes end too early, {additional} or more are missing")
        }
        DecodeError::LimitExceeded => "a length is larger than anything may be".to_owned(),
        DecodeError::UnexpectedVariant { found, .. } => {
            format!("{found} where one of a few known numbers belongs")
        }
        DecodeError::Utf8 { inner } => format!("a text is not UTF-8: {inner}"),
        DecodeError::InvalidBooleanValue(found) => format!("{found} where 0 or 1 belongs"),
        DecodeError::OutsideUsizeRange(found) => format!("no list has {found} elements"),
        DecodeError::Other(text) => (*text).to_owned(),
        DecodeError::OtherString(text) => text.clone(),
        // Of types that no value of ours has.
        _ => "a value that its place does not allow".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, PartialEq, bincode::Encode, bincode::Decode)]
    struct Sample {
        version: u8,
        list: Vec<u32>,
        map: std::collections::BTreeMap<u8, u8>,
    }

    impl Canonical for Sample {
        const BYTES_MAX: usize = 64;
    }

    fn sample() -> Sample {
        Sample {
            version: 1,
            list: vec![7, 8],
            map: [(1, 2), (3, 4)].into(),
        }
    }

    #[test]
    fn accepts_only_its_own_encoding() {
        let bytes = encode(&sample());
        assert_eq!(decode_canonical::<Sample>(&bytes), Ok(sample()));
        let mut longer = bytes.clone();
        longer.push(0);
        assert_eq!(
            decode_canonical::<Sample>(&longer),
            Err(CodecError::Trailing(1))
        );
        let shorter = &bytes[..bytes.len() - 1];
        assert!(matches!(
            decode_canonical::<Sample>(shorter),
            Err(CodecError::Malformed(_))
        ));
    }

    /// Goal: an error is told in words, without a name of a type or a field of ours.
    #[test]
    fn errors_speak_no_rust() {
        #[derive(Debug, PartialEq, bincode::Encode, bincode::Decode)]
        struct Mixed(Option<u8>, bool, String);
        impl Canonical for Mixed {
            const BYTES_MAX: usize = 64;
        }
        let text = |bytes: &[u8]| decode_canonical::<Mixed>(bytes).unwrap_err().to_string();
        let long = [&[0, 0][..], &u64::MAX.to_be_bytes()].concat();
        let rows: [(&[u8], &str); 5] = [
            (
                &[7],
                "malformed: 7 where one of a few known numbers belongs",
            ),
            (&[0, 9], "malformed: 9 where 0 or 1 belongs"),
            (
                &[0, 1, 0],
                "malformed: the bytes end too early, 7 or more are missing",
            ),
            (
                &[0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 255],
                "malformed: a text is not UTF-8",
            ),
            (&long, "malformed: a length is larger than anything may be"),
        ];
        for (bytes, expected) in rows {
            let text = text(bytes);
            assert!(text.starts_with(expected), "{text}");
        }
        #[derive(Debug, PartialEq, bincode::Encode, bincode::Decode)]
        struct Key(crate::keys::PublicKey);
        impl Canonical for Key {
            const BYTES_MAX: usize = 64;
        }
        let error = decode_canonical::<Key>(&[0; 64]).unwrap_err();
        assert_eq!(error.to_string(), "malformed: not a public key");
    }

    #[test]
    fn map_out_of_order_is_not_canonical() {
        let mut bytes = encode(&sample());
        let end = bytes.len();
        bytes[end - 4..].copy_from_slice(&[3, 4, 1, 2]);
        assert_eq!(
            decode_canonical::<Sample>(&bytes),
            Err(CodecError::NotCanonical)
        );
    }

    #[test]
    fn length_bombs_ask_for_nothing() {
        let mut bomb = vec![1];
        bomb.extend_from_slice(&u64::MAX.to_be_bytes());
        assert!(matches!(
            decode_canonical::<Sample>(&bomb),
            Err(CodecError::Malformed(_))
        ));
        let long = vec![0; 65];
        assert_eq!(
            decode_canonical::<Sample>(&long),
            Err(CodecError::TooLong { len: 65, max: 64 })
        );
    }
}
