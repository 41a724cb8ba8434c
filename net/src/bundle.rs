//! Users' transactions that travel together: what a message on the `tx` topic holds.
//!
//! ```text
//! u16 count, 1 to 64 | count times: u32 length, envelope
//! ```
//! Gossip's work for a message (an id, a cache line, a score, a copy to and from every mesh peer) is
//! several times the work for the bytes of a transaction, so those that come within a moment of each
//! other share it. Each keeps its own envelope, signature and quotas: a bundle of so many counts as
//! so many messages everywhere.

use crate::gossip::PAYLOAD_BYTES_MAX;
use crate::wire::{Reader, WireError, put_blob, put_count};

/// Transactions in one message.
pub(crate) const TXS_MAX: usize = 64;
/// Bytes of the count.
const HEAD: usize = 2;
/// Bytes before each envelope.
const PREFIX: usize = 4;
/// The largest envelope that fits.
pub(crate) const ENVELOPE_BYTES_MAX: usize = PAYLOAD_BYTES_MAX - HEAD - PREFIX;

/// Takes as many envelopes from the front as fit into one message; none of them may be longer than
/// [`ENVELOPE_BYTES_MAX`].
pub(crate) fn fitting<'a>(envelopes: impl Iterator<Item = &'a Vec<u8>>) -> usize {
    let mut room = PAYLOAD_BYTES_MAX - HEAD;
    let fits = |envelope: &&Vec<u8>| {
        let left = room.checked_sub(envelope.len().saturating_add(PREFIX));
        room = left.unwrap_or(0);
        left.is_some()
    };
    envelopes.take(TXS_MAX).take_while(fits).count()
}

/// The message that holds these.
pub(crate) fn seal(envelopes: &[Vec<u8>]) -> Vec<u8> {
    let bytes = envelopes.iter().map(|envelope| envelope.len() + PREFIX);
    let mut out = Vec::with_capacity(HEAD + bytes.sum::<usize>());
    put_count(&mut out, envelopes.len());
    for envelope in envelopes {
        put_blob(&mut out, envelope);
    }
    out
}

/// The envelopes of a message.
///
/// # Errors
/// If it is not exactly what [`seal`] makes of 1 to [`TXS_MAX`] envelopes.
pub(crate) fn open(bytes: &[u8]) -> Result<Vec<Vec<u8>>, WireError> {
    let mut reader = Reader::new(bytes);
    let count = reader.count(TXS_MAX)?;
    if count == 0 {
        return Err(WireError::Value("count"));
    }
    let envelopes = (0..count)
        .map(|_| reader.blob(ENVELOPE_BYTES_MAX))
        .collect::<Result<_, WireError>>()?;
    reader.end()?;
    Ok(envelopes)
}

/// How many transactions a message says it holds, before anything else of it is read. Whoever says
/// less than is true has sent a message that does not [`open`].
pub(crate) fn claimed(bytes: &[u8]) -> u32 {
    let count = Reader::new(bytes).u16().unwrap_or(1);
    u32::from(count).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn envelopes(count: usize, length: usize) -> Vec<Vec<u8>> {
        (0..=u8::MAX)
            .take(count)
            .map(|byte| vec![byte; length])
            .collect()
    }

    #[test]
    fn what_is_sealed_opens() {
        for (count, length) in [(1, 0), (1, ENVELOPE_BYTES_MAX), (3, 10), (TXS_MAX, 300)] {
            let sealed = seal(&envelopes(count, length));
            assert!(sealed.len() <= PAYLOAD_BYTES_MAX);
            assert_eq!(claimed(&sealed) as usize, count);
            assert_eq!(open(&sealed).unwrap(), envelopes(count, length));
        }
        // A byte vector, so that the format cannot change unseen.
        let sealed = seal(&[b"ab".to_vec(), b"c".to_vec()]);
        assert_eq!(sealed, [0, 2, 0, 0, 0, 2, b'a', b'b', 0, 0, 0, 1, b'c']);
    }

    #[test]
    fn nothing_else_opens() {
        let good = seal(&envelopes(2, 5));
        for cut in 0..good.len() {
            assert!(open(&good[..cut]).is_err(), "cut at {cut}");
        }
        assert_eq!(
            open(&[&good[..], &[0]].concat()),
            Err(WireError::Trailing(1))
        );
        assert_eq!(open(&[0, 0]), Err(WireError::Value("count")));
        let many = seal(&envelopes(TXS_MAX + 1, 1));
        let (found, max) = (TXS_MAX + 1, TXS_MAX);
        assert_eq!(open(&many), Err(WireError::TooMany { found, max }));
        // Says one, holds two: charged for one, and refused for it.
        let mut fewer = good;
        fewer[1] = 1;
        assert_eq!(
            (claimed(&fewer), open(&fewer)),
            (1, Err(WireError::Trailing(9)))
        );
    }

    #[test]
    fn no_more_than_fits() {
        let of = |envelopes: &[Vec<u8>]| fitting(envelopes.iter());
        assert_eq!(of(&envelopes(TXS_MAX + 1, 100)), TXS_MAX);
        assert_eq!(of(&envelopes(2, ENVELOPE_BYTES_MAX)), 1);
        let halves = envelopes(2, (PAYLOAD_BYTES_MAX - HEAD) / 2 - PREFIX);
        assert_eq!(of(&halves), 2);
        assert!(seal(&halves).len() <= PAYLOAD_BYTES_MAX);
        assert_eq!(of(&[]), 0);
    }
}
