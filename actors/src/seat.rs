//! What a seat says, and with what: the result of its run, the salt of its commit, the transaction
//! that carries its words.

use hmac::{Hmac, KeyInit, Mac};
use protocol::digest::{ChainId, Digest, Tag, ValidatorId, sha256, th};
use protocol::job::{CommitPreimage, Outcome, SeatRef, salt_input};
use protocol::keys::SecretKey;
use protocol::limits::INLINE_OUTPUT_BYTES_MAX;
use protocol::signed::Signed;
use protocol::tx::{KeyKind, RevealResult, RevealedOutput, TX_VERSION, Tx, TxBody};
use protocol::units::{Amount, Fuel, Height};

use crate::planted::{self, Bug};

/// What a seat's run ended in, before it is committed to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SeatResult {
    /// How the run ended.
    pub outcome: Outcome,
    /// What it answered, or the root that stands for its failure.
    pub result_root: Digest,
    /// What it cost.
    pub fuel: Fuel,
    /// The output blob; empty unless the outcome is Ok.
    pub output: Vec<u8>,
    /// Detail of outcomes 1 to 4.
    pub code: u32,
}

impl SeatResult {
    /// What the seat reveals of it, once its commit is sealed.
    #[must_use]
    pub fn reveal(&self, opened: &CommitPreimage) -> RevealResult {
        let output = match self.outcome {
            Outcome::Ok if self.output.len() <= INLINE_OUTPUT_BYTES_MAX => {
                RevealedOutput::Inline(self.output.clone())
            }
            Outcome::Ok => RevealedOutput::Blob {
                sha256: sha256(&self.output),
                size: u64::try_from(self.output.len()).unwrap_or(u64::MAX),
            },
            _ => RevealedOutput::Code(self.code),
        };
        RevealResult {
            seat: opened.seat,
            salt: opened.salt,
            outcome: opened.outcome,
            result_root: opened.result_root,
            work_digest: opened.work_digest,
            fuel: opened.fuel,
            output,
        }
    }
}

/// A transaction signed with the session key: nonce and fee are zero.
#[must_use]
pub fn said(
    session: &SecretKey,
    chain: &ChainId,
    body: TxBody,
    valid_until: Height,
    anchor: Option<Digest>,
) -> Signed<Tx> {
    let tx = Tx {
        version: TX_VERSION,
        key_kind: KeyKind::Session,
        signer: session.public(),
        nonce: 0,
        fee: Amount::ZERO,
        valid_until,
        anchor,
        body,
    };
    Signed::sign(tx, session, chain)
}

/// The salt of a seat, derived so that a restarted node can still open its commit.
#[must_use]
pub fn salt(
    session: &SecretKey,
    chain: &ChainId,
    place: &SeatRef,
    validator: &ValidatorId,
) -> Digest {
    let key = th(Tag::SaltKey, &[session.expose().as_slice()]);
    if planted::is(Bug::SaltReused) {
        return salt_of(&key, validator.as_ref());
    }
    salt_of(&key, &salt_input(chain, place, validator))
}

fn salt_of(key: &Digest, input: &[u8]) -> Digest {
    // HMAC takes keys of any length, so this arm is never the second one.
    match Hmac::<sha2::Sha256>::new_from_slice(key.as_bytes()) {
        Ok(mut mac) => {
            mac.update(input);
            Digest(mac.finalize().into_bytes().into())
        }
        Err(_) => Digest::ZERO,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 4231, test case 2.
    #[test]
    fn salts_are_hmac_sha256() {
        let mut mac = Hmac::<sha2::Sha256>::new_from_slice(b"Jefe").unwrap();
        mac.update(b"what do ya want for nothing?");
        let known = "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843";
        assert_eq!(
            Digest(mac.finalize().into_bytes().into()).to_string(),
            known
        );
        assert_ne!(salt_of(&Digest::ZERO, b"a"), salt_of(&Digest::ZERO, b"b"));
    }
}
