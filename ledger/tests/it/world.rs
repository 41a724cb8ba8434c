//! A small chain under test: keys, a genesis, blocks, and validators that behave as told.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;

use ledger::execution::SeatState;
use ledger::jobs::Phase;
use ledger::{Applied, BlockInvalid, State, TxError};
use protocol::block::{Body, Header};
use protocol::digest::{Address, ChainId, Digest, JobId, ValidatorId, sha256};
use protocol::events::{Event, Level};
use protocol::genesis::{Genesis, GenesisAccount, GenesisValidator};
use protocol::job::{CommitPreimage, DeclineReason, JobParams, JobSpec, Outcome, SeatRef};
use protocol::keys::SecretKey;
use protocol::params::Params;
use protocol::signed::{Signed, Verified};
use protocol::tx::{
    CommitResult, Decline, InputUnavailable, KeyKind, RevealResult, RevealedOutput, SubmitJob,
    TX_VERSION, Transfer, Tx, TxBody,
};
use protocol::units::{Amount, Fuel, Height, TimeMs};

thread_local! {
    /// Making a key costs a multiplication on the curve; names are few.
    static KEYS: RefCell<BTreeMap<String, Rc<SecretKey>>> = const { RefCell::new(BTreeMap::new()) };
}

pub(crate) fn key(name: &str) -> Rc<SecretKey> {
    KEYS.with_borrow_mut(|keys| {
        if let Some(key) = keys.get(name) {
            return Rc::clone(key);
        }
        let key = Rc::new(SecretKey::from_bytes(sha256(name.as_bytes()).as_bytes()).unwrap());
        keys.insert(name.to_owned(), Rc::clone(&key));
        key
    })
}

pub(crate) fn address(name: &str) -> Address {
    key(name).public().address()
}

/// What a validator does with its seats.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Conduct {
    /// Answers right.
    Honest,
    /// Answers with this other code.
    Lie(u32),
    /// Says nothing.
    Silent,
    /// Commits, never reveals.
    Withhold,
    Decline,
    Unavailable,
}

pub(crate) const HONEST_CODE: u32 = 1;
pub(crate) const JOB_FUEL: u64 = 500_000_000;

pub(crate) struct World {
    pub(crate) genesis: Genesis,
    pub(crate) state: State,
    pub(crate) conduct: BTreeMap<String, Conduct>,
    pub(crate) names: Vec<String>,
    pub(crate) events: Vec<Event>,
    pub(crate) last: Option<Applied>,
}

pub(crate) fn genesis_of(params: Params, stakes: &[(&str, u64)]) -> Genesis {
    let validators = stakes.iter().map(|(name, pal)| GenesisValidator {
        moniker: (*name).to_owned(),
        operator: address(&format!("{name}/operator")),
        consensus_pk: key(&format!("{name}/consensus")).public(),
        session_pk: key(&format!("{name}/session")).public(),
        peer_id: "16Uiu2HAm".to_owned(),
        self_bond: Amount::pal(*pal),
    });
    let operators = stakes.iter().map(|(name, _)| format!("{name}/operator"));
    let accounts = ["client-0", "client-1", "sponsor", "rich"]
        .into_iter()
        .map(str::to_owned)
        .chain(operators)
        .map(|name| GenesisAccount {
            address: address(&name),
            balance: Amount::pal(5_000),
        });
    let text = Genesis {
        chain_id: ChainId::ZERO,
        chain_name: "palisade-local-test".to_owned(),
        time_ms: TimeMs(1_790_000_000_000),
        params,
        accounts: accounts.collect(),
        validators: validators.collect(),
    }
    .to_toml();
    Genesis::parse(text.as_bytes()).unwrap()
}

impl World {
    /// Four validators of 1,000 PAL each, local parameters.
    pub(crate) fn new() -> Self {
        let stakes = [
            ("alice", 1_000),
            ("bob", 1_000),
            ("carol", 1_000),
            ("mallory", 1_000),
        ];
        Self::with(Params::local(), &stakes)
    }

    /// The same chain, on its own from here.
    pub(crate) fn fork(&self) -> Self {
        Self {
            genesis: self.genesis.clone(),
            state: self.state.clone(),
            conduct: self.conduct.clone(),
            names: self.names.clone(),
            events: Vec::new(),
            last: None,
        }
    }

    pub(crate) fn with(params: Params, stakes: &[(&str, u64)]) -> Self {
        let genesis = genesis_of(params, stakes);
        let state = State::genesis(&genesis).unwrap();
        let names = stakes.iter().map(|(name, _)| (*name).to_owned()).collect();
        let (conduct, events, last) = (BTreeMap::new(), Vec::new(), None);
        Self {
            genesis,
            state,
            conduct,
            names,
            events,
            last,
        }
    }

    pub(crate) fn chain(&self) -> ChainId {
        self.genesis.chain_id
    }

    pub(crate) fn height(&self) -> Height {
        self.state.height()
    }

    pub(crate) fn validator(&self, name: &str) -> ValidatorId {
        let found = self
            .state
            .validators
            .iter()
            .find(|(_, row)| row.moniker == name);
        *found
            .unwrap_or_else(|| panic!("no validator is called {name}"))
            .0
    }

    pub(crate) fn row(&self, name: &str) -> ledger::staking::Validator {
        self.state
            .validators
            .get(&self.validator(name))
            .unwrap()
            .clone()
    }

    pub(crate) fn name_of(&self, id: &ValidatorId) -> String {
        self.state.validators.get(id).unwrap().moniker.clone()
    }

    pub(crate) fn balance(&self, name: &str) -> Amount {
        self.state.balance(&address(name))
    }

    pub(crate) fn sign(&self, name: &str, tx: Tx) -> Verified<Tx> {
        Signed::sign(tx, &key(name), &self.chain())
            .verify(&self.chain())
            .unwrap()
    }

    /// A transaction of an account, with its next nonce and the smallest fee.
    pub(crate) fn wallet(&self, name: &str, body: TxBody) -> Verified<Tx> {
        self.wallet_at(name, self.state.account(&address(name)).nonce, body)
    }

    pub(crate) fn wallet_at(&self, name: &str, nonce: u64, body: TxBody) -> Verified<Tx> {
        let mut tx = self.draft(name, KeyKind::Wallet, nonce, body);
        let probe = Signed {
            message: tx.clone(),
            signature: protocol::keys::Signature([0; 64]),
        };
        tx.fee = probe.fee_min();
        self.sign(name, tx)
    }

    pub(crate) fn draft(&self, name: &str, key_kind: KeyKind, nonce: u64, body: TxBody) -> Tx {
        Tx {
            version: TX_VERSION,
            key_kind,
            signer: key(name).public(),
            nonce,
            fee: Amount::ZERO,
            valid_until: self.height().plus(100),
            anchor: None,
            body,
        }
    }

    pub(crate) fn session(&self, validator: &str, body: TxBody) -> Verified<Tx> {
        let name = format!("{validator}/session");
        let tx = self.draft(&name, KeyKind::Session, 0, body);
        self.sign(&name, tx)
    }

    pub(crate) fn transfer(&self, from: &str, to: &str, amount: Amount) -> Verified<Tx> {
        self.wallet(
            from,
            TxBody::Transfer(Transfer {
                to: address(to),
                amount,
            }),
        )
    }

    pub(crate) fn header(&self, txs: &[Verified<Tx>]) -> Header {
        let body = Body(txs.iter().map(|tx| tx.to_bytes()).collect());
        let builder = self
            .state
            .validator_set(self.height().next())
            .unwrap()
            .members()[0]
            .id;
        self.state
            .header_for(&body, builder, TimeMs(self.state.head().time_ms.0 + 500))
    }

    pub(crate) fn try_block(&mut self, txs: &[Verified<Tx>]) -> Result<(), BlockInvalid> {
        let applied = self.state.apply(&self.header(txs), txs)?;
        self.state = applied.state.clone();
        self.events.extend(applied.events.iter().cloned());
        self.last = Some(applied);
        Ok(())
    }

    /// Applies a block in which every transaction must have its effect.
    pub(crate) fn block(&mut self, txs: &[Verified<Tx>]) {
        self.try_block(txs).unwrap();
        for outcome in &self.last.as_ref().unwrap().outcomes {
            assert_eq!(outcome.refused, None);
        }
    }

    /// Applies a block with one transaction, which is refused for this reason.
    pub(crate) fn refused(&mut self, tx: Verified<Tx>) -> TxError {
        let admitted = self.state.admit(&tx).map(|_| ()).unwrap_err();
        match self.try_block(&[tx]) {
            Ok(()) => {
                let outcome = self.last.as_ref().unwrap().outcomes[0].clone();
                assert_eq!(
                    outcome.refused.as_ref(),
                    Some(&admitted),
                    "pool and block differ"
                );
                admitted
            }
            Err(BlockInvalid::Tx { error, .. }) => {
                assert_eq!(error, admitted, "pool and block differ");
                error
            }
            Err(other) => panic!("{other}"),
        }
    }

    pub(crate) fn blocks(&mut self, count: u64) {
        for _ in 0..count {
            self.block(&[]);
        }
    }

    pub(crate) fn spec(&self, name: &str) -> JobSpec {
        let params = self.state.params();
        JobSpec {
            model_root: sha256(name.as_bytes()),
            engine: 1,
            input: sha256(b"input"),
            params: JobParams::default(),
            fuel_limit: Fuel(JOB_FUEL),
            k: params.k,
            max_price: params.price_min(params.k, Fuel(JOB_FUEL)),
            expiry: self.height().plus(200),
        }
    }

    /// Submits a job of client-0 and returns its id.
    pub(crate) fn submit(&mut self, spec: JobSpec) -> JobId {
        let nonce = self.state.account(&address("client-0")).nonce;
        let (job, tx) = self.submission("client-0", nonce, spec);
        self.block(&[tx]);
        job
    }

    pub(crate) fn phase(&self, job: JobId) -> Phase {
        self.state.jobs.get(&job).unwrap().phase
    }

    pub(crate) fn seats(&self, job: JobId) -> Vec<(u16, ledger::execution::Seat)> {
        let head = self.state.jobs.get(&job).unwrap();
        let mut seats = self.state.seats_of(job, head, Level::Committee);
        seats.extend(self.state.seats_of(job, head, Level::WholeSet));
        seats
    }

    /// A job of any account, signed with this nonce of it.
    pub(crate) fn submission(
        &self,
        name: &str,
        nonce: u64,
        spec: JobSpec,
    ) -> (JobId, Verified<Tx>) {
        let job = spec.job_id(&self.chain(), &address(name), nonce);
        let body = TxBody::SubmitJob(SubmitJob {
            spec,
            sponsor: None,
        });
        (job, self.wallet_at(name, nonce, body))
    }

    fn answer(conduct: Conduct) -> (Outcome, u32) {
        match conduct {
            Conduct::Lie(code) => (Outcome::EngineRefused, code),
            _ => (Outcome::EngineRefused, HONEST_CODE),
        }
    }

    pub(crate) fn reveal_body(
        &self,
        place: SeatRef,
        validator: ValidatorId,
        conduct: Conduct,
    ) -> RevealResult {
        let (outcome, code) = Self::answer(conduct);
        RevealResult {
            seat: place,
            salt: sha256(&[validator.as_ref(), place.job.as_ref()].concat()),
            outcome,
            result_root: outcome.root(code).unwrap(),
            work_digest: Digest::ZERO,
            fuel: Fuel(JOB_FUEL),
            output: RevealedOutput::Code(code),
        }
    }

    pub(crate) fn commit_to(&self, validator: ValidatorId, reveal: &RevealResult) -> Digest {
        CommitPreimage {
            chain: self.chain(),
            seat: reveal.seat,
            validator,
            salt: reveal.salt,
            outcome: reveal.outcome,
            result_root: reveal.result_root,
            work_digest: reveal.work_digest,
            fuel: reveal.fuel,
        }
        .hash()
    }

    /// What every seat of a job would say now, by its holder's conduct.
    pub(crate) fn seat_messages(&self, job: JobId) -> Vec<Verified<Tx>> {
        let head = self.state.jobs.get(&job).unwrap().clone();
        let mut messages = Vec::new();
        for (number, seat) in self.seats(job) {
            let name = self.name_of(&seat.validator);
            let conduct = self.conduct.get(&name).copied().unwrap_or(Conduct::Honest);
            let place = SeatRef {
                job,
                attempt: head.attempt,
                seat: number,
            };
            let reveal = self.reveal_body(place, seat.validator, conduct);
            let open = head.phase == Phase::Commit(seat.level) && seat.state == SeatState::Open;
            let committed = head.phase == Phase::Reveal(seat.level)
                && matches!(seat.state, SeatState::Committed(_));
            let body = match conduct {
                Conduct::Silent => continue,
                Conduct::Decline if open => TxBody::Decline(Decline {
                    seat: place,
                    reason: DeclineReason::HostTimeout,
                }),
                Conduct::Unavailable if open => {
                    TxBody::InputUnavailable(InputUnavailable { seat: place })
                }
                Conduct::Honest | Conduct::Lie(_) | Conduct::Withhold if open => {
                    let commit = self.commit_to(seat.validator, &reveal);
                    TxBody::CommitResult(CommitResult {
                        seat: place,
                        commit,
                    })
                }
                Conduct::Honest | Conduct::Lie(_) if committed => TxBody::RevealResult(reveal),
                _ => continue,
            };
            messages.push(self.session(&name, body));
        }
        messages
    }

    /// Blocks until the job has ended, seats speaking as their holders do.
    pub(crate) fn run(&mut self, job: JobId) -> Phase {
        for _ in 0..300 {
            if self.phase(job).is_end() {
                return self.phase(job);
            }
            let messages = self.seat_messages(job);
            self.block(&messages);
        }
        panic!("job {job} did not end");
    }

    /// Submits and runs a job until this validator sits in its committee; at most 60 tries.
    pub(crate) fn run_with_seat(&mut self, name: &str, conduct: Conduct) -> JobId {
        for round in 0..60 {
            let job = self.submit(self.spec(&format!("model-{round}")));
            self.blocks(2);
            let head = self.state.jobs.get(&job).unwrap();
            let id = self.validator(name);
            let sits = head.seats.iter().any(|seat| seat.validator == id);
            self.conduct.insert(
                name.to_owned(),
                if sits { conduct } else { Conduct::Honest },
            );
            self.run(job);
            if sits {
                return job;
            }
        }
        panic!("{name} was never drawn");
    }

    pub(crate) fn names_of_events(&self, job: JobId) -> Vec<&'static str> {
        self.events
            .iter()
            .filter(|event| event.job() == Some(job))
            .map(Event::name)
            .collect()
    }
}
