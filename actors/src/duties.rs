//! How a domain actor changes the world: it signs a transaction with the session key and offers it to
//! the mempool, the gate that users pass.

use std::sync::Arc;

use protocol::digest::{ChainId, Digest, Tag, ValidatorId, th};
use protocol::job::{SeatRef, salt_input};
use protocol::keys::SecretKey;
use protocol::signed::{Signed, Verified};
use protocol::tx::{KeyKind, TX_VERSION, Tx, TxBody};
use protocol::units::{Amount, Height};
use storage::handle::StorageHandle;

use hmac::{Hmac, KeyInit, Mac};

use crate::catalogue::MempoolMail;
use crate::mailbox::Outbox;
use crate::tamper::TamperSwitch;

/// Signs and offers; cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct Duties {
    pub(crate) chain: ChainId,
    pub(crate) session: Option<Arc<SecretKey>>,
    pub(crate) mempool: Outbox<MempoolMail>,
    pub(crate) storage: StorageHandle,
    pub(crate) tamper: TamperSwitch,
}

impl Duties {
    /// Signs what a seat or a reporter has to say and offers it. A full mempool is no loss: what
    /// still matters at the next height is offered again.
    pub(crate) fn submit(&self, body: TxBody, valid_until: Height, height: Height) {
        let bodies = match self.tamper.at(height.next()) {
            Some((tamper, means)) if body.seat().is_some() => tamper.seat_message(body, means),
            _ => vec![body],
        };
        for body in bodies {
            if let Some(tx) = self.sign(body, valid_until) {
                let _offered_again = self.mempool.try_tell(MempoolMail::Duty(Box::new(tx)));
            }
        }
    }

    fn sign(&self, body: TxBody, valid_until: Height) -> Option<Verified<Tx>> {
        let session = self.session.as_ref()?;
        let tx = Tx {
            version: TX_VERSION,
            key_kind: KeyKind::Session,
            signer: session.public(),
            nonce: 0,
            fee: Amount::ZERO,
            valid_until,
            anchor: self.storage.audit_anchor(),
            body,
        };
        // Own messages pass the same gate as strangers'.
        Signed::sign(tx, session, &self.chain)
            .verify(&self.chain)
            .ok()
    }

    /// The salt of a seat, derived so that a restarted node can still open its commit.
    pub(crate) fn salt(&self, seat: &SeatRef, validator: &ValidatorId) -> Digest {
        let Some(session) = &self.session else {
            return Digest::ZERO;
        };
        let key = th(Tag::SaltKey, &[session.expose().as_slice()]);
        salt_of(&key, &salt_input(&self.chain, seat, validator))
    }
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
