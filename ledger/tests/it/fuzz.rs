//! Random operations against the invariants and a naive model of balances.
//!
//! The seed is printed on failure. Every block recounts all money and checks I1 to I7 (debug builds
//! do), and this test checks I8 and I9 by replaying every movement on a map of its own.

use std::collections::BTreeMap;

use ledger::jobs::Phase;
use ledger::money::{Compartment, Move};
use protocol::digest::JobId;
use protocol::params::Params;
use protocol::signed::Verified;
use protocol::tx::{Bond, CancelJob, SubmitJob, Transfer, Tx, TxBody, Unbond};
use protocol::units::{Amount, Fuel};

use crate::world::{Conduct, World, address};

/// splitmix64: small, seeded, and the same everywhere.
struct Dice(u64);

impl Dice {
    fn roll(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, bound: u64) -> u64 {
        self.roll() % bound
    }

    fn pick<'a, T>(&mut self, from: &'a [T]) -> &'a T {
        &from[usize::try_from(self.below(from.len() as u64)).unwrap()]
    }
}

/// What every compartment holds, by movements alone.
struct Model(BTreeMap<Compartment, u64>);

impl Model {
    fn of(world: &World) -> Self {
        let mut map = BTreeMap::new();
        for (address, row) in world.state.accounts.iter() {
            map.insert(Compartment::Balance(*address), row.balance.0);
        }
        for (id, row) in world.state.validators.iter() {
            map.insert(Compartment::Bonded(*id), row.bonded.0);
        }
        Self(map)
    }

    fn follow(&mut self, moves: &[Move]) {
        for movement in moves {
            assert_ne!(
                movement.from,
                Compartment::Burned,
                "I8: burned money came back"
            );
            assert_ne!(movement.amount, Amount::ZERO);
            let from = self.0.entry(movement.from).or_default();
            *from = from.checked_sub(movement.amount.0).expect("I2: negative");
            *self.0.entry(movement.to).or_default() += movement.amount.0;
        }
    }

    fn compare(&self, world: &World) {
        for (compartment, amount) in &self.0 {
            let state = &world.state;
            let found = match compartment {
                Compartment::Balance(address) => state.balance(address).0,
                Compartment::Bonded(id) => state.validators.get(id).unwrap().bonded.0,
                Compartment::Unbonding(id, number) => state
                    .unbonding
                    .get(&(*id, *number))
                    .map_or(0, |row| row.amount.0),
                Compartment::Escrow(job) => state.jobs.get(job).map_or(0, |row| row.amounts.held.0),
                Compartment::FeePool => state.pools().fee_pool.0,
                Compartment::Burned => state.pools().burned.0,
            };
            assert_eq!(found, *amount, "{compartment:?} moved without a move");
        }
    }
}

const WALLETS: [&str; 4] = ["client-0", "client-1", "sponsor", "rich"];
const VALIDATORS: [&str; 6] = ["alice", "bob", "carol", "dave", "erin", "mallory"];

pub(crate) struct Run {
    pub(crate) world: World,
    dice: Dice,
    model: Model,
    jobs: Vec<JobId>,
    operations: u64,
    effective: BTreeMap<&'static str, u64>,
    fresh: u64,
}

impl Run {
    pub(crate) fn new(seed: u64) -> Self {
        println!("seed {seed}");
        let stakes: Vec<(&str, u64)> = VALIDATORS.iter().map(|name| (*name, 1_000)).collect();
        let mut params = Params::local();
        params.job_record_blocks = 40;
        params.unbonding_ms.0 = 30_000;
        let world = World::with(params, &stakes);
        let model = Model::of(&world);
        let (jobs, effective) = (Vec::new(), BTreeMap::new());
        Self {
            world,
            dice: Dice(seed),
            model,
            jobs,
            operations: 0,
            effective,
            fresh: 0,
        }
    }

    /// Runs to this many operations and checks the end; returns what had an effect.
    fn whole(seed: u64, operations: u64) -> BTreeMap<&'static str, u64> {
        let mut run = Self::new(seed);
        while run.operations < operations {
            run.block();
        }
        run.drain();
        run.check_end();
        run.effective
    }

    fn conduct(&mut self) -> Conduct {
        match self.dice.below(40) {
            0..=28 => Conduct::Honest,
            29..=31 => Conduct::Lie(50),
            32 => Conduct::Lie(51),
            33..=34 => Conduct::Silent,
            35 => Conduct::Withhold,
            36..=37 => Conduct::Decline,
            _ => Conduct::Unavailable,
        }
    }

    fn job_body(&mut self) -> TxBody {
        let mut spec = self.world.spec(&format!("m{}", self.dice.below(30)));
        spec.fuel_limit = Fuel(1 + self.dice.below(4_000_000_000));
        spec.k = 3 + u16::try_from(self.dice.below(3)).unwrap();
        let least = self
            .world
            .state
            .params()
            .price_min(spec.k, spec.fuel_limit)
            .0;
        spec.max_price = Amount(least - 1 + self.dice.below(100_000));
        spec.expiry = self.world.height().plus(3 + self.dice.below(40));
        TxBody::SubmitJob(SubmitJob {
            spec,
            sponsor: None,
        })
    }

    fn operation(&mut self) -> Option<(String, TxBody)> {
        let wallet = (*self.dice.pick(&WALLETS)).to_owned();
        let operator = format!("{}/operator", self.dice.pick(&self.world.names.clone()));
        let amount = Amount(self.dice.below(60_000_000));
        Some(match self.dice.below(100) {
            0..=39 => {
                let to: &str = self.dice.pick::<&str>(&WALLETS);
                let to = address(to);
                (wallet, TxBody::Transfer(Transfer { to, amount }))
            }
            40..=54 => (wallet, self.job_body()),
            55..=59 => {
                let job = *self
                    .jobs
                    .get(usize::try_from(self.dice.below(400)).unwrap())?;
                (wallet, TxBody::CancelJob(CancelJob { job }))
            }
            60..=74 => (operator, TxBody::Bond(Bond { amount })),
            75..=89 => (operator, TxBody::Unbond(Unbond { amount })),
            90..=98 => return None,
            _ => (
                wallet,
                TxBody::Transfer(Transfer {
                    to: address("x"),
                    amount: Amount::MAX,
                }),
            ),
        })
    }

    /// Validators come back: jail terms end, and now and then a new one registers or double-signs.
    fn rare(&mut self) -> Vec<Verified<Tx>> {
        let world = &self.world;
        let mut txs = Vec::new();
        for name in world.names.clone() {
            let row = world.row(&name);
            let served = row.jail.is_some_and(|jail| jail.until <= world.height());
            if served && row.exit.is_none() {
                txs.push(crate::staking::unjail(world, &name, world.height()));
            }
        }
        txs
    }

    fn evidence(&mut self) -> Vec<Verified<Tx>> {
        if self.world.height().0 < 3 || self.dice.below(60) != 0 {
            return Vec::new();
        }
        let name = self.dice.pick(&self.world.names.clone()).clone();
        let height = self.world.height().minus(self.dice.below(3));
        let tx = crate::evidence::double_vote(&self.world, &name, height);
        vec![tx]
    }

    /// Keeps the chain populated: operators whose validator is out start another with fresh keys.
    fn recruits(&mut self) -> Vec<Verified<Tx>> {
        let mut txs = Vec::new();
        for name in VALIDATORS {
            let operator = format!("{name}/operator");
            let out = self
                .world
                .state
                .operated(&address(&operator))
                .is_none_or(|(_, row)| row.exit.is_some());
            if out && self.world.balance(&operator) > Amount::pal(400) {
                self.fresh += 1;
                let fresh = format!("fresh-{}", self.fresh);
                let body = crate::staking::registration_body(&self.world, &fresh, &operator, 300);
                txs.push(
                    self.world
                        .wallet(&operator, TxBody::RegisterValidator(body)),
                );
            }
        }
        txs
    }

    pub(crate) fn block(&mut self) {
        let mut txs = self.evidence();
        let mut used: BTreeMap<String, u64> = BTreeMap::new();
        if !txs.is_empty() {
            used.insert("rich".to_owned(), 1);
        }
        for name in self.world.names.clone() {
            let conduct = self.conduct();
            self.world.conduct.insert(name, conduct);
        }
        for job in self.world.state.live_jobs() {
            txs.extend(self.world.seat_messages(job));
        }
        let special: Vec<_> = self.recruits();
        let busy: Vec<_> = special.iter().map(|tx| tx.message().signer).collect();
        txs.extend(special);
        for tx in self.rare_for(&busy) {
            used.insert(tx.0, 1);
            txs.push(tx.1);
        }
        for _ in 0..30 {
            let Some((from, body)) = self.operation() else {
                continue;
            };
            if busy.contains(&crate::world::key(&from).public()) {
                continue;
            }
            let ahead = used.entry(from.clone()).or_default();
            let nonce = self.world.state.account(&address(&from)).nonce + *ahead;
            *ahead += 1;
            txs.push(self.world.wallet_at(&from, nonce, body));
        }
        self.apply(&txs);
    }

    fn rare_for(&mut self, busy: &[protocol::keys::PublicKey]) -> Vec<(String, Verified<Tx>)> {
        let names: BTreeMap<_, _> = VALIDATORS
            .iter()
            .map(|name| format!("{name}/operator"))
            .map(|name| (crate::world::key(&name).public(), name))
            .collect();
        let rare = self
            .rare()
            .into_iter()
            .filter(|tx| !busy.contains(&tx.message().signer));
        rare.filter_map(|tx| Some((names.get(&tx.message().signer)?.clone(), tx)))
            .collect()
    }

    fn apply(&mut self, txs: &[Verified<Tx>]) {
        let burned = self.world.state.pools().burned;
        // Some senders ran out of money on the way: leave out what a proposer would.
        let refs: Vec<_> = txs.iter().collect();
        let header = self.world.header(txs);
        let chosen = ledger::select(
            &self.world.state,
            header.builder,
            header.time_ms,
            &refs,
            1 << 20,
        )
        .unwrap();
        let dropped: Vec<_> = chosen
            .dropped
            .iter()
            .filter(|(at, _)| txs[*at].message().fee > Amount::ZERO)
            .map(|(at, _)| *at)
            .collect();
        let mut block: Vec<Verified<Tx>> = chosen.taken.iter().map(|at| txs[*at].clone()).collect();
        // A careless proposer also includes a few that pay without effect, if their nonce fits.
        for at in dropped {
            let mut with = block.clone();
            with.push(txs[at].clone());
            if self
                .world
                .state
                .apply(&self.world.header(&with), &with)
                .is_ok()
            {
                block = with;
            }
            if self.dice.below(4) != 0 {
                break;
            }
        }
        self.world.try_block(&block).unwrap();
        let last = self.world.last.as_ref().unwrap();
        self.model.follow(&last.moves);
        self.world.names = self
            .world
            .state
            .validators
            .iter()
            .map(|(_, row)| row.moniker.clone())
            .collect();
        for (tx, outcome) in block.iter().zip(&last.outcomes) {
            if outcome.refused.is_none() {
                *self
                    .effective
                    .entry(tx.message().body.kind().name())
                    .or_default() += 1;
            }
        }
        self.operations += txs.len() as u64;
        assert!(self.world.state.pools().burned >= burned, "I8: burned fell");
        for job in self.world.state.live_jobs() {
            if !self.jobs.contains(&job) {
                self.jobs.push(job);
            }
        }
    }

    /// No more input: every job ends by itself.
    fn drain(&mut self) {
        for _ in 0..200 {
            if self.world.state.live_jobs().is_empty() {
                return;
            }
            self.apply(&[]);
        }
        panic!(
            "jobs outlive every deadline: {:?}",
            self.world.state.live_jobs()
        );
    }

    fn check_end(&self) {
        self.model.compare(&self.world);
        for job in &self.jobs {
            let ended = self.world.state.jobs.get(job).map_or_else(
                || self.world.state.traces.contains(job),
                |head| head.phase.is_end() && head.amounts.held == Amount::ZERO,
            );
            assert!(ended, "job {job} has not ended");
        }
        for (_, account) in self.world.state.accounts.iter() {
            assert_eq!(account.live_jobs, 0);
        }
        for (id, row) in self.world.state.validators.iter() {
            assert_eq!(row.seat_locked, Amount::ZERO, "{id} still locks bonds");
        }
        let loaded =
            ledger::State::from_leaves(&self.world.genesis, self.world.state.leaves()).unwrap();
        assert_eq!(loaded.root(), self.world.state.root());
    }
}

/// 60,000 random operations, four seeds; the invariants hold after every block.
#[test]
fn fuzz_invariants() {
    let mut effective: BTreeMap<&'static str, u64> = BTreeMap::new();
    let runs = std::thread::scope(|scope| {
        let handles = [1, 2, 3, 4].map(|seed| scope.spawn(move || Run::whole(seed, 15_000)));
        handles.map(|handle| handle.join().unwrap())
    });
    for (kind, count) in runs.into_iter().flatten() {
        *effective.entry(kind).or_default() += count;
    }
    println!("{effective:?}");
    for kind in [
        "transfer",
        "register_validator",
        "bond",
        "unbond",
        "unjail",
        "submit_job",
        "cancel_job",
        "commit_result",
        "reveal_result",
        "decline",
        "input_unavailable",
        "submit_evidence",
    ] {
        assert!(
            effective.get(kind).is_some_and(|count| *count > 5),
            "{kind}: {effective:?}"
        );
    }
}

/// Every combination of conducts of a committee of three and its juror ends, and every end is reached
/// but the frozen cohort's, for which four validators are too few.
#[test]
fn every_job_terminates() {
    let all = [
        Conduct::Honest,
        Conduct::Lie(50),
        Conduct::Lie(51),
        Conduct::Silent,
        Conduct::Withhold,
        Conduct::Decline,
        Conduct::Unavailable,
    ];
    let mut world = World::new();
    let job = world.submit(world.spec("m"));
    world.blocks(2);
    let names: Vec<String> = {
        let head = world.state.jobs.get(&job).unwrap();
        let mut names: Vec<_> = head
            .seats
            .iter()
            .map(|seat| world.name_of(&seat.validator))
            .collect();
        let juror = world
            .names
            .iter()
            .find(|name| !names.contains(name))
            .unwrap()
            .clone();
        names.push(juror);
        names
    };
    let mut ends: BTreeMap<String, u32> = BTreeMap::new();
    for code in 0..all.len().pow(4) {
        let mut trial = world.fork();
        let mut rest = code;
        for name in &names {
            trial.conduct.insert(name.clone(), all[rest % all.len()]);
            rest /= all.len();
        }
        let phase: Phase = trial.run(job);
        *ends.entry(format!("{phase:?}")).or_default() += 1;
        assert!(
            trial.height() <= world.height().plus(40),
            "{:?}",
            trial.conduct
        );
        assert_eq!(
            trial.state.jobs.get(&job).unwrap().amounts.held,
            Amount::ZERO
        );
    }
    for end in [
        "Settled",
        "Resolved",
        "Ambiguous",
        "Expired",
        "Failed(NoQuorum)",
        "Failed(Declined)",
        "Failed(InputUnavailable)",
    ] {
        assert!(ends.contains_key(end), "{end} was never reached: {ends:?}");
    }
}
