//! What users send: transfers, signed and sealed.

use protocol::codec::encode;
use protocol::envelope::{Kind, seal_tx};
use protocol::signed::Signed;
use protocol::tx::{KeyKind, TX_VERSION, Transfer, Tx, TxBody};
use protocol::units::{Amount, Height};

use crate::support::{chain, consensus_key};

/// A transfer of account `seed`, as an envelope.
pub(crate) fn transfer(seed: u8, nonce: u64) -> Vec<u8> {
    let key = consensus_key(seed);
    let message = Tx {
        version: TX_VERSION,
        key_kind: KeyKind::Wallet,
        signer: key.public(),
        nonce,
        fee: Amount(1_000),
        valid_until: Height(100),
        anchor: None,
        body: TxBody::Transfer(Transfer {
            to: key.public().address(),
            amount: Amount(1),
        }),
    };
    let tx = Signed::sign(message, &key, &chain());
    let (message, signature) = (&tx.message, &tx.signature);
    let (signer, until) = (message.signer, message.valid_until);
    seal_tx(Kind::Tx, &encode(message), signer, until, signature)
}
