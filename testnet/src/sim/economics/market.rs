//! A chain with clients and validators: every act is a signed transaction in an applied block.

use ledger::State;
use protocol::block::Body;
use protocol::digest::{ChainId, JobId, ValidatorId, sha256};
use protocol::genesis::{Genesis, GenesisAccount, GenesisValidator};
use protocol::job::{JobParams, JobSpec};
use protocol::keys::SecretKey;
use protocol::keys::simulated::Scope;
use protocol::signed::{Signed, Verified};
use protocol::tx::{KeyKind, SubmitJob, TX_VERSION, Tx, TxBody};
use protocol::units::{Amount, TimeMs};

use super::Preset;
use super::strategy::{Group, Strategy};

/// What a client has to spend.
const PURSE: Amount = Amount::pal(1_000_000);
/// What an operator has beside its bond.
const POCKET: Amount = Amount::pal(100);

/// What a validator is to the one who plays.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Side {
    /// Ours.
    Hostile,
    /// Lies once, for nobody.
    Foil,
    /// Honest.
    Honest,
}

/// A validator's keys, and whose it is.
pub(super) struct Holder {
    pub(super) id: ValidatorId,
    pub(super) operator: SecretKey,
    pub(super) consensus: SecretKey,
    pub(super) session: SecretKey,
    pub(super) side: Side,
}

/// The chain and everybody on it.
pub(super) struct Market {
    pub(super) state: State,
    pub(super) holders: Vec<Holder>,
    /// Strangers' client, then the hostile members' own.
    pub(super) clients: [SecretKey; 2],
    pub(super) preset: Preset,
    supply: Amount,
}

fn key(scope: &Scope, seed: u64, number: u64) -> SecretKey {
    let mixed = sha256(&[seed.to_be_bytes(), number.to_be_bytes()].concat());
    let first = mixed.as_bytes().first_chunk::<8>().copied();
    SecretKey::simulated(scope, first.map_or(number, u64::from_be_bytes))
}

/// How many members a group has, and what each has bonded so that their share of all stake is right.
fn members(preset: Preset, group: Group) -> (u64, Amount) {
    let (all, stake) = (preset.validators(), preset.stake());
    let Some(percent) = group.percent() else {
        return (1, stake);
    };
    let count = (all * percent / 100).max(1);
    let honest = Amount(stake.0 * (all - count));
    (count, honest.share(percent, (100 - percent) * count))
}

/// Makes a validator of this number, with keys of its own.
fn hire(
    scope: &Scope,
    seed: u64,
    number: u64,
    (chain, side, self_bond): (&ChainId, Side, Amount),
) -> (Holder, GenesisValidator) {
    let place = 10 + 3 * number;
    let [operator, consensus, session] = [0, 1, 2].map(|kind| key(scope, seed, place + kind));
    let validator = GenesisValidator {
        moniker: format!("v{number}"),
        operator: operator.public().address(),
        consensus_pk: consensus.public(),
        session_pk: session.public(),
        peer_id: "16Uiu2HAm".to_owned(),
        self_bond,
    };
    let id = validator.id(chain);
    let holder = Holder {
        id,
        operator,
        consensus,
        session,
        side,
    };
    (holder, validator)
}

impl Market {
    /// A fresh chain with all its people.
    pub(super) fn open(
        preset: Preset,
        strategy: &Strategy,
        seed: u64,
        scope: &Scope,
    ) -> Result<Self, String> {
        let (hostile, share) = members(preset, strategy.group);
        let clients = [key(scope, seed, 1), key(scope, seed, 2)];
        let mut accounts: Vec<GenesisAccount> = clients
            .iter()
            .map(|client| GenesisAccount {
                address: client.public().address(),
                balance: PURSE,
            })
            .collect();
        let chain_id = ChainId::of_genesis(&seed.to_be_bytes());
        let mut holders = Vec::new();
        let mut validators = Vec::new();
        for number in 0..preset.validators() {
            let side = match number {
                number if number < hostile => Side::Hostile,
                number if number < hostile + strategy.foils => Side::Foil,
                _ => Side::Honest,
            };
            let bond = if side == Side::Hostile {
                share
            } else {
                preset.stake()
            };
            let (holder, validator) = hire(scope, seed, number, (&chain_id, side, bond));
            accounts.push(GenesisAccount {
                address: validator.operator,
                balance: POCKET,
            });
            validators.push(validator);
            holders.push(holder);
        }
        let genesis = Genesis {
            chain_id,
            chain_name: "palisade-economics".to_owned(),
            time_ms: TimeMs(1_790_000_000_000),
            params: preset.params(),
            accounts,
            validators,
        };
        let supply = genesis.supply().map_err(|error| error.to_string())?;
        let state = State::genesis(&genesis).map_err(|error| error.to_string())?;
        Ok(Self {
            state,
            holders,
            clients,
            preset,
            supply,
        })
    }

    /// Whose validator this is.
    pub(super) fn holder(&self, id: &ValidatorId) -> Option<&Holder> {
        self.holders.iter().find(|holder| holder.id == *id)
    }

    /// What the hostile members own in all compartments; the second client is theirs.
    pub(super) fn wealth(&self) -> u64 {
        let client = self.clients[1].public().address();
        let mut sum = self.state.balance(&client).0;
        for holder in self.holders.iter().filter(|h| h.side == Side::Hostile) {
            let balance = self.state.balance(&holder.operator.public().address());
            let row = self.state.validators.get(&holder.id);
            let bonded = row.map_or(Amount::ZERO, |row| row.bonded);
            let leaving = self.state.unbonding_of(&holder.id);
            sum += leaving.fold(balance.0 + bonded.0, |sum, (_, row)| sum + row.amount.0);
        }
        sum
    }

    /// Signs a transaction of a wallet, `ahead` after its next nonce, at the smallest fee.
    pub(super) fn wallet(&self, key: &SecretKey, ahead: u64, body: TxBody) -> Verified<Tx> {
        let nonce = self.state.account(&key.public().address()).nonce + ahead;
        let mut tx = self.draft(key, KeyKind::Wallet, nonce, body);
        let chain = self.state.chain_id();
        tx.fee = Signed::sign(tx.clone(), key, &chain).fee_min();
        self.verified(Signed::sign(tx, key, &chain))
    }

    /// Signs what a seat says.
    pub(super) fn session(&self, key: &SecretKey, body: TxBody) -> Verified<Tx> {
        let tx = self.draft(key, KeyKind::Session, 0, body);
        self.verified(Signed::sign(tx, key, &self.state.chain_id()))
    }

    fn verified(&self, signed: Signed<Tx>) -> Verified<Tx> {
        signed
            .verify(&self.state.chain_id())
            .unwrap_or_else(|_| unreachable!("signed by the key it names"))
    }

    fn draft(&self, key: &SecretKey, key_kind: KeyKind, nonce: u64, body: TxBody) -> Tx {
        Tx {
            version: TX_VERSION,
            key_kind,
            signer: key.public(),
            nonce,
            fee: Amount::ZERO,
            valid_until: self.state.height().plus(100),
            anchor: None,
            body,
        }
    }

    /// A job of a client, `ahead` after its next nonce, at the smallest price.
    pub(super) fn job(&self, own: bool, ahead: u64) -> (JobId, Verified<Tx>) {
        let params = self.state.params();
        let client = &self.clients[usize::from(own)];
        let address = client.public().address();
        let nonce = self.state.account(&address).nonce + ahead;
        let fuel = self.preset.fuel();
        let spec = JobSpec {
            // A model of its own: refuted cohorts rest by model, and a cheat takes another.
            model_root: sha256(&[address.as_ref(), &nonce.to_be_bytes()].concat()),
            engine: 1,
            input: sha256(b"input"),
            params: JobParams::default(),
            fuel_limit: fuel,
            k: params.k,
            max_price: params.price_min(params.k, fuel),
            expiry: self.state.height().plus(500),
        };
        let job = spec.job_id(&self.state.chain_id(), &address, nonce);
        let body = TxBody::SubmitJob(SubmitJob {
            spec,
            sponsor: None,
        });
        (job, self.wallet(client, ahead, body))
    }

    /// Applies a block, whose builder is the next in turn. Every transaction must have its effect.
    pub(super) fn block(&mut self, txs: &[Verified<Tx>]) -> Result<(), String> {
        let body = Body(txs.iter().map(|tx| tx.to_bytes()).collect());
        let next = self.state.height().next();
        let set = self.state.validator_set(next).ok_or("no set")?;
        let turn = usize::try_from(next.0).unwrap_or(0) % set.len().max(1);
        let builder = set.members().get(turn).ok_or("an empty set")?.id;
        let time = TimeMs(self.state.head().time_ms.0 + self.state.params().block_interval_ms.0);
        let header = self.state.header_for(&body, builder, time);
        let applied = self.state.apply(&header, txs);
        let applied = applied.map_err(|error| error.to_string())?;
        if let Some(error) = applied.outcomes.iter().find_map(|o| o.refused.as_ref()) {
            return Err(format!("refused: {error}"));
        }
        self.state = applied.state;
        Ok(())
    }

    /// Whether all money is still there, in its compartments.
    pub(super) fn check(&self) -> Result<(), String> {
        let breach = |error: ledger::Breach| error.to_string();
        self.state.check_invariants().map_err(breach)?;
        let total = self.state.total_money().map_err(breach)?;
        if total == self.supply {
            Ok(())
        } else {
            Err(format!("{total} upal are there, {} began", self.supply))
        }
    }
}
