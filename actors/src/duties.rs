//! How a domain actor changes the world: it signs a transaction with the session key and offers it to
//! the mempool, the gate that users pass.

use std::sync::Arc;

use protocol::digest::{ChainId, Digest, ValidatorId};
use protocol::job::SeatRef;
use protocol::keys::SecretKey;
use protocol::signed::Verified;
use protocol::tx::{Tx, TxBody};
use protocol::units::Height;
use storage::handle::StorageHandle;

use crate::catalogue::MempoolMail;
use crate::mailbox::Outbox;
use crate::seat;
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
        let anchor = self.storage.audit_anchor();
        // Own messages pass the same gate as strangers'.
        seat::said(session, &self.chain, body, valid_until, anchor)
            .verify(&self.chain)
            .ok()
    }

    /// The salt of a seat of ours.
    pub(crate) fn salt(&self, place: &SeatRef, validator: &ValidatorId) -> Digest {
        self.session.as_ref().map_or(Digest::ZERO, |session| {
            seat::salt(session, &self.chain, place, validator)
        })
    }
}
