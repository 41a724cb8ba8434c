//! Publishes transactions far above any quota.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use actors::tamper::{Means, Tamper};
use protocol::digest::Address;
use protocol::keys::SecretKey;
use protocol::signed::Signed;
use protocol::tx::{KeyKind, Transfer, Tx, TxBody};
use protocol::units::{Amount, Height};

use crate::clock::{Deadline, Stopwatch};

/// Messages a second.
pub const RATE: u32 = 5_000;
/// It stops by itself, whatever becomes of the switch.
const FLOOD_MAX: Duration = Duration::from_secs(60);

#[derive(Debug, Default)]
pub(super) struct Flood {
    stop: Arc<AtomicBool>,
}

impl Tamper for Flood {
    fn name(&self) -> &'static str {
        "flood"
    }

    fn switched_on(&self, means: &Means) {
        let Some(key) = means.session_key.clone() else {
            return;
        };
        let (stop, means) = (self.stop.clone(), means.clone());
        let pour = move || {
            pace(RATE, FLOOD_MAX, &stop, |number| {
                let tx = transfer(number, &key);
                means.wire.publish_tx(&Signed::sign(tx, &key, &means.chain));
            });
        };
        if let Err(error) = std::thread::Builder::new().name("flood".into()).spawn(pour) {
            tracing::error!(%error, "flood_failed");
        }
    }

    fn switched_off(&self) {
        self.stop.store(true, Ordering::Relaxed);
    }
}

/// A transfer that nobody can pay: well-formed, signed, each with its own bytes.
#[must_use]
pub fn transfer(number: u32, key: &SecretKey) -> Tx {
    Tx {
        version: protocol::tx::TX_VERSION,
        key_kind: KeyKind::Wallet,
        signer: key.public(),
        nonce: u64::from(number),
        fee: Amount(10_000),
        valid_until: Height(u64::MAX),
        anchor: None,
        body: TxBody::Transfer(Transfer {
            to: Address([0; 20]),
            amount: Amount(1),
        }),
    }
}

/// Calls `act` so many times a second, with a running number, until stopped or over. Returns how
/// often it did.
pub fn pace(rate: u32, limit: Duration, stop: &AtomicBool, mut act: impl FnMut(u32)) -> u32 {
    let (deadline, clock) = (Deadline::after(limit), Stopwatch::start());
    let mut sent = 0;
    while !stop.load(Ordering::Relaxed) && !deadline.passed() {
        let due = clock.elapsed().as_millis() * u128::from(rate) / 1000;
        while u128::from(sent) < due && !stop.load(Ordering::Relaxed) {
            act(sent);
            sent += 1;
        }
        std::thread::park_timeout(Duration::from_millis(2));
    }
    sent
}
