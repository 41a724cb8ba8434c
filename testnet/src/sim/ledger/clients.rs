//! Those outside: clients, operators, and reporters of evidence.

mod evidence;
mod operators;

use std::sync::Arc;

use ledger::State;
use ledger::staking::Exit;
use protocol::digest::sha256;
use protocol::job::{JobParams, JobSpec, Sponsor, sponsor_digest};
use protocol::tx::{CancelJob, SubmitJob, Transfer, TxBody};
use protocol::units::{Amount, Fuel};

use super::host::model_root;
use super::scene::{Act, CLIENTS, CROWD, JobKind, OPERATORS_MS};
use super::shared::Shared;
use super::wallet::Wallet;
use super::wire;
use crate::sim::app::Cx;
use crate::sim::keys::{Keyring, Purpose};
use evidence::Kept;

/// The account that pays for others.
const SPONSOR: usize = CLIENTS;
/// The account that reports evidence, and nothing else.
const REPORTER: usize = CLIENTS + 1;
const CROWD_FIRST: usize = CLIENTS + 2;
/// Models of each kind.
const MODELS: u8 = 3;
/// A job's work: half of what it may cost.
const FUEL: Fuel = Fuel(500_000_000);

/// Where blocks are slow a run waits no longer for stake to mature.
const LONG_MS: u64 = 45_000;
/// How long an offence that is proved may go unpunished once nothing else happens.
const PUNISH_MS: u64 = 10_000;
/// Until so long after GST the set goes on changing, if it does.
const SHIFTS_MS: u64 = 3_000;
/// The token of the look at wallets and jails; those of acts follow from 1 on.
const TICK: u64 = 1 << 40;
/// Tokens from here on take a job back.
const CANCEL: u64 = 1 << 41;

/// See the module.
#[derive(Debug)]
pub(super) struct Clients {
    wallets: Vec<Wallet>,
    /// By member.
    operators: Vec<Wallet>,
    kept: Vec<Kept>,
    /// What was submitted and will be taken back.
    regrets: Vec<(usize, CancelJob)>,
    jobs: u64,
    acts_left: usize,
    crowd_left: usize,
    idle_since: Option<u64>,
}

impl Clients {
    /// Accounts beside the operators'.
    pub(super) const ACCOUNTS: usize = CROWD_FIRST + CROWD;

    pub(super) fn new(keys: &Keyring, members: usize) -> Self {
        let wallet = |purpose| move |index| Wallet::new(keys.secret(purpose, index));
        Self {
            wallets: (0..Self::ACCOUNTS).map(wallet(Purpose::Client)).collect(),
            operators: (0..members).map(wallet(Purpose::Operator)).collect(),
            kept: Vec::new(),
            regrets: Vec::new(),
            jobs: 0,
            acts_left: 0,
            crowd_left: 0,
            idle_since: None,
        }
    }

    /// Whether nothing more will be asked for.
    pub(super) fn are_done(&mut self, state: &State) -> bool {
        let idle = |wallet: &mut Wallet| wallet.waiting(state).is_empty();
        self.acts_left == 0
            && self.crowd_left == 0
            && self.kept.iter().all(Kept::is_done)
            && self.wallets.iter_mut().all(idle)
            && self.operators.iter_mut().all(idle)
    }

    /// What was learned now may take as long as anything before it.
    pub(super) const fn wait_anew(&mut self) {
        self.idle_since = None;
    }
}

const KINDS: [JobKind; 9] = [
    JobKind::Plain,
    JobKind::Long,
    JobKind::Trap,
    JobKind::Poison,
    JobKind::NoInput,
    JobKind::Unfillable,
    JobKind::Underpaid,
    JobKind::Sponsored,
    JobKind::Regretted,
];

/// Tells hosts which models there are.
pub(super) fn prepare(shared: &mut Shared) {
    for kind in KINDS {
        for index in 0..MODELS {
            shared.world.knows_model(model_root(kind, index), kind);
        }
    }
    shared.clients.acts_left = shared.world.scene.acts.len();
}

/// Something is due outside.
pub(super) fn outside(shared: &mut Shared, cx: &mut Cx<'_>, token: u64) {
    match token {
        0 => {
            for (index, (at, _)) in shared.world.scene.acts.iter().enumerate() {
                cx.outside_after(*at, index as u64 + 1);
            }
            cx.outside_after(OPERATORS_MS, TICK);
        }
        TICK => {
            tick(shared, cx);
            shared.done = is_done(shared, cx);
            cx.outside_after(OPERATORS_MS, TICK);
        }
        token if token >= CANCEL => cancel(shared, cx, token - CANCEL),
        token => {
            let index = usize::try_from(token - 1).unwrap_or(usize::MAX);
            if let Some((_, act)) = shared.world.scene.acts.get(index).copied() {
                shared.clients.acts_left -= 1;
                perform(shared, cx, act);
            }
        }
    }
}

/// A new height: where the set changes all the time, operators see to it.
pub(super) fn moved_on(shared: &mut Shared, cx: &mut Cx<'_>) {
    let until = shared.world.gst_ms + SHIFTS_MS;
    if cx.plan().sets_change && cx.now().ms() < until {
        operators::shift(shared, cx);
    }
}

/// Wallets send again what is not in a block; operators and reporters look at the chain.
fn tick(shared: &mut Shared, cx: &mut Cx<'_>) {
    operators::tick(shared, cx);
    evidence::tick(shared, cx);
    crowd(shared, cx);
    let state = shared.newest.clone();
    let clients = &mut shared.clients;
    let wallets = clients.wallets.iter_mut().chain(&mut clients.operators);
    let waiting: Vec<Arc<[u8]>> = wallets.flat_map(|wallet| wallet.waiting(&state)).collect();
    for bytes in waiting {
        submit(cx, &bytes);
    }
}

/// Whether nobody wants anything any more and the chain has nothing left to do for them. What can be
/// proved and is not punished gets some time.
fn is_done(shared: &mut Shared, cx: &Cx<'_>) -> bool {
    let state = shared.newest.clone();
    let (now, gst) = (cx.now().ms(), shared.world.gst_ms);
    let idle = shared.clients.are_done(&state)
        && state.live_jobs().is_empty()
        && (state.height().0 >= shared.world.scene.heights || now >= gst + LONG_MS)
        && now >= gst;
    if !idle {
        shared.clients.idle_since = None;
        return false;
    }
    let since = *shared.clients.idle_since.get_or_insert(now);
    let settled = shared.world.proofs().all(|proof| {
        let row = state.validators.get(&proof.validator);
        proof.late || row.is_some_and(|row| matches!(row.exit, Some(Exit::Tombstoned(_))))
    });
    settled || now >= since + PUNISH_MS
}

/// What keeps a run from its end, for people.
pub(super) fn waits_for(shared: &Shared) -> String {
    let state = &shared.newest;
    let jobs = state.live_jobs().into_iter().filter_map(|job| {
        let head = state.jobs.get(&job)?;
        Some(format!(
            "job {job} {:?} until {}",
            head.phase, head.deadline
        ))
    });
    let clients = &shared.clients;
    let wallets = clients.wallets.iter().chain(&clients.operators);
    let unsettled = wallets.filter_map(|wallet| wallet.waits_with(state));
    let kept = clients.kept.iter().filter(|kept| !kept.is_done()).count();
    let mut what: Vec<String> = jobs.chain(unsettled).collect();
    what.push(format!(
        "{} acts, {} of a crowd, {kept} reports to come at {}",
        clients.acts_left,
        clients.crowd_left,
        state.height()
    ));
    what.join(", ")
}

/// Hands a transaction to any node.
fn submit(cx: &mut Cx<'_>, tx: &[u8]) {
    let nodes = cx.plan().nodes();
    let to = cx.rng().index(nodes);
    cx.submit(to, wire::tx(tx));
}

fn perform(shared: &mut Shared, cx: &mut Cx<'_>, act: Act) {
    cx.line(|| format!("outside {act:?}"));
    match act {
        Act::Transfer { client } => transfer(shared, cx, client),
        Act::Job { client, kind } => job(shared, cx, client, kind),
        Act::Spam { client } => spam(shared, cx, client),
        Act::Crowd { jobs } => {
            shared.clients.crowd_left = jobs;
            crowd(shared, cx);
        }
        Act::Bond { node, pal } => operators::bond(shared, cx, node, pal),
        Act::Unbond { node, permille } => operators::unbond(shared, cx, node, permille),
        Act::ForgedEvidence { node } => evidence::forge(shared, cx, node),
        Act::KeptEvidence { node, wait_blocks } => evidence::make(shared, cx, node, wait_blocks),
    }
}

fn send(shared: &mut Shared, cx: &mut Cx<'_>, client: usize, body: TxBody) {
    let extra = Amount(cx.rng().below(2_000));
    let state = &shared.newest;
    let wallet = shared.clients.wallets.get_mut(client);
    if let Some(bytes) = wallet.and_then(|wallet| wallet.sign(state, extra, body)) {
        submit(cx, &bytes);
    }
}

/// Asks for something that every pool refuses, and forgets it.
fn try_once(shared: &mut Shared, cx: &mut Cx<'_>, client: usize, body: TxBody) {
    let state = &shared.newest;
    let wallet = &mut shared.clients.wallets[client];
    let nonce = wallet.next_nonce(state);
    let bytes = wallet.sign_at(state, nonce, Amount(500), body);
    for _ in 0..3 {
        submit(cx, &bytes);
    }
}

fn transfer_body(shared: &Shared, cx: &mut Cx<'_>, most: Amount) -> TxBody {
    let to = cx.rng().index(CLIENTS);
    let to = shared.clients.wallets[to].address();
    let amount = Amount(1 + cx.rng().below(most.0));
    TxBody::Transfer(Transfer { to, amount })
}

fn transfer(shared: &mut Shared, cx: &mut Cx<'_>, client: usize) {
    if cx.rng().chance(150) {
        let amount = Amount::pal(1_000_000);
        let to = shared.clients.wallets[SPONSOR].address();
        return try_once(
            shared,
            cx,
            client,
            TxBody::Transfer(Transfer { to, amount }),
        );
    }
    let body = transfer_body(shared, cx, Amount::pal(2));
    send(shared, cx, client, body);
}

/// Some nonces twice, some far ahead, all at once.
fn spam(shared: &mut Shared, cx: &mut Cx<'_>, client: usize) {
    for _ in 0..30 {
        let body = transfer_body(shared, cx, Amount::pal(60));
        let ahead = cx.rng().below(24);
        let state = &shared.newest;
        let wallet = &mut shared.clients.wallets[client];
        let nonce = wallet.next_nonce(state) + ahead;
        let bytes = wallet.sign_at(state, nonce, Amount(ahead * 50), body);
        submit(cx, &bytes);
    }
}

fn spec(shared: &mut Shared, cx: &mut Cx<'_>, kind: JobKind) -> JobSpec {
    shared.clients.jobs += 1;
    let number = shared.clients.jobs;
    let state = &shared.newest;
    let params = state.params();
    let nodes = u16::try_from(shared.world.validators.len()).unwrap_or(u16::MAX);
    let k = match kind {
        JobKind::Unfillable => nodes + 1,
        _ if nodes > params.k && cx.rng().chance(300) => params.k + 1,
        _ => params.k,
    };
    let least = params.price_min(k, FUEL);
    let max_price = match kind {
        JobKind::Underpaid => least.saturating_sub(Amount(1)),
        _ => least.saturating_add(Amount(cx.rng().below(50_000))),
    };
    let index = u8::try_from(cx.rng().below(u64::from(MODELS))).unwrap_or(0);
    let wait = if kind == JobKind::Unfillable { 8 } else { 30 };
    JobSpec {
        model_root: model_root(kind, index),
        engine: 1,
        input: sha256(&number.to_be_bytes()),
        params: JobParams::default(),
        fuel_limit: FUEL,
        k,
        max_price,
        expiry: state.height().plus(cx.rng().between(5, wait)),
    }
}

fn job(shared: &mut Shared, cx: &mut Cx<'_>, client: usize, kind: JobKind) {
    let spec = spec(shared, cx, kind);
    let state = &shared.newest;
    let clients = &mut shared.clients;
    let nonce = clients.wallets[client].next_nonce(state);
    let address = clients.wallets[client].address();
    let job = spec.job_id(&state.chain_id(), &address, nonce);
    let sponsor = (kind == JobKind::Sponsored).then(|| {
        let key = clients.wallets[SPONSOR].key();
        Sponsor {
            key: key.public(),
            signature: key.sign(&sponsor_digest(&job)),
        }
    });
    if kind == JobKind::Regretted {
        let number = clients.regrets.len() as u64;
        clients.regrets.push((client, CancelJob { job }));
        clients.acts_left += 1;
        let soon = cx.rng().between(200, 2_500);
        cx.outside_after(soon, CANCEL + number);
    }
    let body = TxBody::SubmitJob(SubmitJob { spec, sponsor });
    if kind == JobKind::Underpaid {
        return try_once(shared, cx, client, body);
    }
    send(shared, cx, client, body);
}

fn cancel(shared: &mut Shared, cx: &mut Cx<'_>, number: u64) {
    shared.clients.acts_left -= 1;
    let index = usize::try_from(number).unwrap_or(usize::MAX);
    if let Some((client, body)) = shared.clients.regrets.get(index).cloned() {
        send(shared, cx, client, TxBody::CancelJob(body));
    }
}

/// Jobs that nobody can fill and that all expire at one height, from many accounts.
fn crowd(shared: &mut Shared, cx: &mut Cx<'_>) {
    if shared.clients.crowd_left == 0 {
        return;
    }
    let mut shape = spec(shared, cx, JobKind::Unfillable);
    let height = shared.newest.height();
    shape.expiry = height.plus(20 - height.0 % 10);
    let mut left = shared.clients.crowd_left;
    for account in CROWD_FIRST..Clients::ACCOUNTS {
        while left > 0 {
            shape.input = sha256(&[left as u64, height.0].map(u64::to_be_bytes).concat());
            let body = TxBody::SubmitJob(SubmitJob {
                spec: shape.clone(),
                sponsor: None,
            });
            let state = &shared.newest;
            let wallet = &mut shared.clients.wallets[account];
            let Some(bytes) = wallet.sign(state, Amount::ZERO, body) else {
                break;
            };
            submit(cx, &bytes);
            left -= 1;
        }
    }
    shared.clients.crowd_left = left;
}
