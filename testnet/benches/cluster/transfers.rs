//! How many signed transfers a second become final, through the HTTP API of all four nodes.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use protocol::digest::{ChainId, Tag, th};
use protocol::keys::SecretKey;
use protocol::signed::Signed;
use protocol::tx::{KeyKind, TX_VERSION, Transfer, Tx, TxBody};
use protocol::units::{Amount, Height};
use testnet::client::{Api, list, text};
use testnet::clock::{Deadline, Stopwatch};

use crate::bed::{Bed, Scale};
use crate::unpaced::as_float;

/// What each account sends: as far ahead of its nonce as a mempool takes.
const EACH: u64 = 16;
/// A net that has not taken everything in by then has lost something.
const FINAL_MAX: Duration = Duration::from_secs(240);
/// Floods, each on a net of its own.
const ROUNDS: u64 = 3;
/// Connections a node.
const SENDERS: usize = 2;
/// The limits on transactions are raised by this, or they would be what is measured.
pub(crate) const TX_FACTOR: u32 = 200;

/// One flood of honest transfers.
#[derive(Debug, Clone)]
pub(crate) struct Transfers {
    /// How many were sent, and how many blocks they filled.
    pub sent: u64,
    /// Blocks from the first that holds one to the last.
    pub blocks: u64,
    /// From the first request to the last inclusion seen.
    pub seconds: f64,
    /// Of all nodes for one transfer, in milliseconds.
    pub cpu_ms_each: f64,
    /// Requests that were refused for now and repeated.
    pub repeated: u64,
    /// Resident memory of each node right afterwards, in MiB.
    pub rss_mib: Vec<f64>,
}

impl Transfers {
    /// Final ones a second.
    pub(crate) fn per_second(&self) -> f64 {
        as_float(self.sent) / self.seconds
    }
}

/// The same flood on a few fresh nets, one after another: single runs differ by a fifth.
///
/// # Errors
/// As one flood.
pub(crate) fn measure(binary: &Path, scale: Scale) -> Result<Vec<Transfers>> {
    (0..scale.pick(1, ROUNDS))
        .map(|_| flood(binary, scale))
        .collect()
}

/// Funds accounts at genesis, signs everything beforehand, sends it and waits for the last.
///
/// # Errors
/// If a transfer is refused for good or does not become final.
fn flood(binary: &Path, scale: Scale) -> Result<Transfers> {
    let accounts: Vec<SecretKey> = (0..scale.pick(200, 2_000))
        .map(key)
        .collect::<Result<_>>()?;
    let fund: Vec<String> = accounts
        .iter()
        .map(|key| format!("{}:100", key.public().address()))
        .collect();
    let settings = format!("[limits]\ntx_factor = {TX_FACTOR}\n[log]\nfilter = \"warn\"\n");
    let bed = Bed::up(binary, "block_time = \"250ms\"", &fund, &settings)?;
    let chain: ChainId = text(&bed.endpoints, "chain_id")?.parse()?;
    let apis = bed.apis()?;
    let alice = Api::new(apis[0].clone());
    let signed = sign(&accounts, &chain, alice.height()?);
    let (from, cpu, clock) = (alice.height()?, bed.cpu_ms()?, Stopwatch::start());
    let repeated = send(&apis, &signed)?;
    let sent = u64::try_from(accounts.len())? * EACH;
    let blocks = until_final(&alice, from, sent)?;
    let seconds = clock.seconds();
    let cpu_ms_each = (bed.cpu_ms()? - cpu) / as_float(sent);
    Ok(Transfers {
        sent,
        blocks,
        seconds,
        cpu_ms_each,
        repeated,
        rss_mib: bed.rss_mib()?,
    })
}

fn key(index: u64) -> Result<SecretKey> {
    let seed = th(Tag::DevKey, &[b"bench", &index.to_be_bytes()]);
    Ok(SecretKey::from_bytes(seed.as_bytes())?)
}

/// Each account's transfers, in the order of their nonces.
fn sign(accounts: &[SecretKey], chain: &ChainId, height: u64) -> Vec<Vec<Vec<u8>>> {
    let sign_one = |key: &SecretKey, nonce| {
        let to = key.public().address();
        let mut tx = Tx {
            version: TX_VERSION,
            key_kind: KeyKind::Wallet,
            signer: key.public(),
            nonce,
            fee: Amount(0),
            valid_until: Height(height + 900),
            anchor: None,
            body: TxBody::Transfer(Transfer {
                to,
                amount: Amount(1),
            }),
        };
        tx.fee = Signed {
            message: tx.clone(),
            signature: protocol::keys::Signature([0; 64]),
        }
        .fee_min();
        Signed::sign(tx, key, chain).to_bytes()
    };
    accounts
        .iter()
        .map(|key| (0..EACH).map(|nonce| sign_one(key, nonce)).collect())
        .collect()
}

/// Sends every account's transfers to one node, in order, over connections that stay open.
fn send(apis: &[String], signed: &[Vec<Vec<u8>>]) -> Result<u64> {
    let lanes = apis.len() * SENDERS;
    std::thread::scope(|scope| {
        let sending: Vec<_> = (0..lanes)
            .map(|lane| {
                let api = &apis[lane % apis.len()];
                let mine: Vec<_> = signed.iter().skip(lane).step_by(lanes).collect();
                scope.spawn(move || send_lane(api, &mine))
            })
            .collect();
        let joined = sending.into_iter().map(|thread| match thread.join() {
            Ok(repeated) => repeated,
            Err(_) => bail!("a sender panicked"),
        });
        joined.sum()
    })
}

fn send_lane(api: &str, accounts: &[&Vec<Vec<u8>>]) -> Result<u64> {
    let agent: ureq::Agent = ureq::Agent::config_builder()
        .http_status_as_error(false)
        .timeout_global(Some(Duration::from_secs(30)))
        .build()
        .into();
    let url = format!("{api}/v1/tx");
    let mut repeated = 0;
    for tx in accounts.iter().flat_map(|account| account.iter()) {
        loop {
            let mut answer = agent.post(&url).send(tx.as_slice())?;
            let status = answer.status().as_u16();
            // Also read to the end, or the connection cannot be used again.
            let body = answer.body_mut().read_to_string()?;
            match status {
                200 | 202 => break,
                // Full or too fast: the node says so, and the sender waits a moment.
                429 | 503 => {
                    repeated += 1;
                    std::thread::sleep(Duration::from_millis(20));
                }
                _ => bail!("{url}: {status} {body}"),
            }
        }
    }
    Ok(repeated)
}

/// Counts what is in blocks until everything is; how many blocks that took.
fn until_final(alice: &Api, from: u64, sent: u64) -> Result<u64> {
    let deadline = Deadline::after(FINAL_MAX);
    let (mut next, mut found, mut first) = (from + 1, 0, None);
    while found < sent {
        if deadline.passed() {
            bail!(
                "{found} of {sent} transfers are final after {} s",
                FINAL_MAX.as_secs()
            );
        }
        if alice.height()? < next {
            std::thread::park_timeout(Duration::from_millis(20));
            continue;
        }
        let block = alice.get(&format!("/v1/blocks/{next}"))?;
        let count = u64::try_from(list(&block, "txs")?.len())?;
        if count > 0 {
            first.get_or_insert(next);
        }
        found += count;
        next += 1;
    }
    Ok(next - first.context("no block holds a transfer")?)
}
