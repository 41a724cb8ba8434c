//! Goal: transactions that apply one by one but not together keep nobody out of a block. Method: many
//! clients ask for jobs that one sponsor pays, who has the price of one; all of them offer more than
//! an honest client, and fill a block.

use std::sync::Arc;

use actors::agreement::blocks::{Bench, OFFERED_BYTES_MAX};
use actors::mempool::pool::{AccountView, Pool};
use actors::verified::VerifiedTxs;
use ledger::State;
use protocol::block::HEADER_BYTES;
use protocol::digest::{ChainId, sha256};
use protocol::genesis::{Genesis, GenesisAccount};
use protocol::job::{JobParams, JobSpec, Sponsor, sponsor_digest};
use protocol::keys::SecretKey;
use protocol::limits::{BLOCK_BYTES_MAX, OUTPUT_NAME_BYTES_MAX};
use protocol::signed::{Signed, Verified};
use protocol::tx::{KeyKind, SubmitJob, TX_VERSION, Tx, TxBody};
use protocol::units::{Amount, Fuel, Height};

use crate::cluster::{WALLETS, genesis, wallet};

/// What one client may have waiting: the next nonce and sixteen ahead.
const EACH: u64 = 17;

/// A chain on which the sponsor can pay one job.
fn chain() -> (Genesis, SecretKey) {
    let mut genesis = genesis(1);
    let sponsor = SecretKey::from_bytes(&[7; 32]).unwrap();
    genesis.accounts.push(GenesisAccount {
        address: sponsor.public().address(),
        balance: price(&genesis),
    });
    let genesis = Genesis::parse(genesis.to_toml().as_bytes()).unwrap();
    (genesis, sponsor)
}

fn price(genesis: &Genesis) -> Amount {
    genesis.params.price_min(genesis.params.k, Fuel(1))
}

fn sign(key: &SecretKey, nonce: u64, fee: u64, body: TxBody, chain: &ChainId) -> Verified<Tx> {
    let tx = Tx {
        version: TX_VERSION,
        key_kind: KeyKind::Wallet,
        signer: key.public(),
        nonce,
        fee: Amount(fee),
        valid_until: Height(50),
        anchor: None,
        body,
    };
    Signed::sign(tx, key, chain).verify(chain).unwrap()
}

/// A job as long as a job can be.
fn job(genesis: &Genesis, client: &SecretKey, nonce: u64, sponsor: Option<&SecretKey>) -> TxBody {
    let name = |output: u8| char::from(b'a' + output).to_string();
    let spec = JobSpec {
        model_root: sha256(b"model"),
        engine: 1,
        input: sha256(b"input"),
        params: JobParams {
            outputs: (0..8)
                .map(|output| name(output).repeat(OUTPUT_NAME_BYTES_MAX))
                .collect(),
            ..JobParams::default()
        },
        fuel_limit: Fuel(1),
        k: genesis.params.k,
        max_price: price(genesis),
        expiry: Height(40),
    };
    let job = spec.job_id(&genesis.chain_id, &client.public().address(), nonce);
    let sponsor = sponsor.map(|sponsor| Sponsor {
        key: sponsor.public(),
        signature: sponsor.sign(&sponsor_digest(&job)),
    });
    TxBody::SubmitJob(SubmitJob { spec, sponsor })
}

#[test]
fn what_does_not_apply_together_crowds_nobody_out() {
    let (genesis, sponsor) = chain();
    let state = State::genesis(&genesis).unwrap();
    let mut pool = Pool::new(genesis.chain_id);
    let mut offered = 0;
    let mut take = |tx: Verified<Tx>| {
        let account = state.account(&tx.message().signer.address());
        let view = AccountView {
            nonce: account.nonce,
            balance: account.balance,
        };
        assert!(state.admit(&tx).is_ok(), "each applies by itself");
        offered += tx.byte_len();
        pool.insert(Arc::new(tx), view, Height(1)).unwrap();
    };
    for seed in 2..=WALLETS {
        for nonce in 0..EACH {
            let client = wallet(seed);
            let body = job(&genesis, &client, nonce, Some(&sponsor));
            take(sign(&client, nonce, 50_000, body, &genesis.chain_id));
        }
    }
    let honest = job(&genesis, &wallet(1), 0, None);
    take(sign(&wallet(1), 0, 10_000, honest, &genesis.chain_id));
    assert!(offered > BLOCK_BYTES_MAX, "{offered} bytes fill a block");

    let bench = Bench::new(state.clone(), VerifiedTxs::default());
    let builder = genesis.validators[0].id(&genesis.chain_id);
    let honest_is_in = |bytes_max: usize| {
        let offered = pool.select(bytes_max);
        let built = bench.build(builder, genesis.time_ms, &offered).unwrap();
        let txs = built.block.body.0.iter();
        let mut signers = txs.map(|bytes| Signed::<Tx>::from_bytes(bytes).unwrap().message.signer);
        signers.any(|signer| signer == wallet(1).public())
    };
    assert!(
        !honest_is_in(BLOCK_BYTES_MAX - HEADER_BYTES),
        "too little to look at"
    );
    assert!(honest_is_in(OFFERED_BYTES_MAX));
}
