//! Seats that are taken and not served: no commit, no reveal, or a reveal that does not open it.

use actors::tamper::{Means, Tamper};
use protocol::tx::TxBody;

#[derive(Debug)]
pub(super) struct NoShow;

impl Tamper for NoShow {
    fn name(&self) -> &'static str {
        "no-show"
    }

    fn seat_message(&self, body: TxBody, _: &Means) -> Vec<TxBody> {
        if body.kind().is_seat_message() {
            Vec::new()
        } else {
            vec![body]
        }
    }
}

#[derive(Debug)]
pub(super) struct WithholdReveal;

impl Tamper for WithholdReveal {
    fn name(&self) -> &'static str {
        "withhold-reveal"
    }

    fn seat_message(&self, body: TxBody, _: &Means) -> Vec<TxBody> {
        if matches!(body, TxBody::RevealResult(_)) {
            Vec::new()
        } else {
            vec![body]
        }
    }
}

#[derive(Debug)]
pub(super) struct BadReveal;

impl Tamper for BadReveal {
    fn name(&self) -> &'static str {
        "bad-reveal"
    }

    fn seat_message(&self, mut body: TxBody, _: &Means) -> Vec<TxBody> {
        if let TxBody::RevealResult(reveal) = &mut body {
            reveal.salt.0[0] ^= 1;
        }
        vec![body]
    }
}
