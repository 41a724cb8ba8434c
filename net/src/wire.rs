//! Bytes of the request-response messages: big-endian, fixed order, nothing left over.

use protocol::digest::Digest;
use thiserror::Error;

/// Why bytes are not the message they should be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub(crate) enum WireError {
    /// Fewer bytes than the message needs.
    #[error("cut short")]
    Short,
    /// Not even a frame.
    #[error("broken frame")]
    Frame,
    /// Bytes after the message.
    #[error("{0} bytes too many")]
    Trailing(usize),
    /// A count or length above its bound.
    #[error("{found} items, at most {max} allowed")]
    TooMany {
        /// What the bytes say.
        found: usize,
        /// The bound.
        max: usize,
    },
    /// A value outside its range.
    #[error("{0} has no such value")]
    Value(&'static str),
}

/// Reads from the front; [`Self::end`] refuses what is left.
pub(crate) struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    pub(crate) const fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    pub(crate) fn bytes(&mut self, count: usize) -> Result<&'a [u8], WireError> {
        let (head, rest) = self.0.split_at_checked(count).ok_or(WireError::Short)?;
        self.0 = rest;
        Ok(head)
    }

    pub(crate) fn array<const N: usize>(&mut self) -> Result<[u8; N], WireError> {
        self.bytes(N)?.try_into().map_err(|_| WireError::Short)
    }

    pub(crate) fn u8(&mut self) -> Result<u8, WireError> {
        Ok(u8::from_be_bytes(self.array()?))
    }

    pub(crate) fn u16(&mut self) -> Result<u16, WireError> {
        Ok(u16::from_be_bytes(self.array()?))
    }

    pub(crate) fn u32(&mut self) -> Result<u32, WireError> {
        Ok(u32::from_be_bytes(self.array()?))
    }

    pub(crate) fn u64(&mut self) -> Result<u64, WireError> {
        Ok(u64::from_be_bytes(self.array()?))
    }

    pub(crate) fn digest(&mut self) -> Result<Digest, WireError> {
        Ok(Digest(self.array()?))
    }

    /// A u8 that is 0 or 1.
    pub(crate) fn flag(&mut self, what: &'static str) -> Result<bool, WireError> {
        match self.u8()? {
            0 => Ok(false),
            1 => Ok(true),
            _ => Err(WireError::Value(what)),
        }
    }

    /// A u16 count, bounded before anything is allocated for it.
    pub(crate) fn count(&mut self, max: usize) -> Result<usize, WireError> {
        let found = usize::from(self.u16()?);
        if found > max {
            Err(WireError::TooMany { found, max })
        } else {
            Ok(found)
        }
    }

    /// A u32 length and that many bytes.
    pub(crate) fn blob(&mut self, max: usize) -> Result<Vec<u8>, WireError> {
        let found = usize::try_from(self.u32()?).unwrap_or(usize::MAX);
        if found > max {
            return Err(WireError::TooMany { found, max });
        }
        Ok(self.bytes(found)?.to_vec())
    }

    pub(crate) const fn end(self) -> Result<(), WireError> {
        if self.0.is_empty() {
            Ok(())
        } else {
            Err(WireError::Trailing(self.0.len()))
        }
    }
}

/// Appends a u16 count. Callers bound their lists far below 65,535.
pub(crate) fn put_count(out: &mut Vec<u8>, count: usize) {
    out.extend_from_slice(&u16::try_from(count).unwrap_or(u16::MAX).to_be_bytes());
}

/// Appends a u32 length and the bytes.
pub(crate) fn put_blob(out: &mut Vec<u8>, bytes: &[u8]) {
    out.extend_from_slice(&u32::try_from(bytes.len()).unwrap_or(u32::MAX).to_be_bytes());
    out.extend_from_slice(bytes);
}
