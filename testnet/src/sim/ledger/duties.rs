//! The five workflows of one node, and what is done about their intents under virtual time.
//!
//! The order is that of the actors: a height is told to all five before anything one of them says to
//! another is heard.

mod perform;

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use actors::escrow::workflow::{self as escrow, Escrow};
use actors::evidence::pairs;
use actors::evidence::workflow::{self as evidence, Evidence};
use actors::execution::workflow::{self as execution, Execution};
use actors::jobs::orders::{self, Standing};
use actors::jobs::workflow::{self as jobs, Artifact, Capacity, Jobs};
use actors::seat::SeatResult;
use actors::staking::workflow::{Committed, Facts, Staking};
use ledger::State;
use protocol::digest::{Digest, EvidenceId, JobId};
use protocol::events::{Domain, Event};
use protocol::evidence::EvidenceKind;
use protocol::job::{DeclineReason, SeatRef};
use protocol::keys::SecretKey;
use protocol::tx::{RevealResult, Tx, TxBody};
use protocol::units::Height;

use super::Ledger;
use super::conduct::Conduct;
use super::disk::{COMMITS, Marks, PAIRS, Pairs};
use super::scene::HostPlan;
use super::served::Served;
use super::shared::Shared;
use crate::sim::app::{Cx, Files};
use crate::sim::keys::Purpose;

/// Something this node's own world will say later: peers, the sandbox, the disk.
#[derive(Debug)]
enum Later {
    Fetched(Artifact, bool),
    Ended(SeatRef, Result<SeatResult, DeclineReason>),
    Marked(SeatRef),
    Kept(EvidenceId, super::shared::Proof),
    Written,
}

/// A letter from one workflow to another, or to itself.
#[derive(Debug)]
enum Mail {
    /// From jobs to execution: a seat is ready.
    HandOver(Box<execution::Order>),
    Jobs(jobs::Input),
    Execution(execution::Input),
    Evidence(evidence::Input),
}

/// See the module.
#[derive(Debug)]
pub(super) struct Duties {
    member: usize,
    plan: HostPlan,
    session: SecretKey,
    staking: Staking,
    escrow: Escrow,
    jobs: Jobs,
    execution: Execution,
    evidence: Evidence,
    marks: Marks,
    pairs: Pairs,
    later: BTreeMap<u64, Later>,
    next: u64,
    /// Heights of the block log: what actors have not noted they are told again.
    missed: Vec<(Height, Vec<Event>)>,
    /// What the seats of a hostile host would reveal.
    opened: BTreeMap<SeatRef, RevealResult>,
    /// Commits that a copying host has heard.
    overheard: BTreeMap<JobId, Vec<(SeatRef, Digest)>>,
    served: Served,
    /// Runs longer than every window.
    hung: BTreeSet<SeatRef>,
}

fn of(events: &[Event], domain: Domain) -> Vec<Event> {
    let events = events.iter().filter(|event| event.domain() == domain);
    events.cloned().collect()
}

impl Duties {
    pub(super) fn new(shared: &Shared, cx: &Cx<'_>, member: usize, files: &Files) -> Self {
        let consensus = cx.keys().public(Purpose::Consensus, member);
        let plan = shared.world.scene.hosts[member];
        let start = Height::ZERO;
        Self {
            member,
            plan,
            session: cx.keys().secret(Purpose::Session, member),
            staking: Staking::new(start),
            escrow: Escrow::new(start),
            jobs: Jobs::new(Capacity::Slots(plan.slots), start),
            execution: Execution::new(shared.genesis.chain_id, start),
            evidence: Evidence::new(Some(consensus), start),
            marks: Marks::read(files.records(COMMITS)),
            pairs: Pairs::read(files.records(PAIRS)),
            later: BTreeMap::new(),
            next: 0,
            missed: Vec::new(),
            opened: BTreeMap::new(),
            overheard: BTreeMap::new(),
            served: Served::default(),
            hung: BTreeSet::new(),
        }
    }

    /// A height of the block log.
    pub(super) fn missed(&mut self, height: Height, events: &[Event]) {
        self.missed.push((height, events.to_vec()));
    }

    /// Commits of others are what a copying host waits for.
    pub(super) fn overhear(&mut self, tx: &Tx) {
        if self.plan.conduct == Conduct::Copy
            && let TxBody::CommitResult(said) = &tx.body
            && tx.signer != self.session.public()
        {
            let heard = self.overheard.entry(said.seat.job).or_default();
            heard.push((said.seat, said.commit));
        }
    }

    /// The height an actor had noted when the process ended: a little behind, or lost.
    fn noted(shared: &Shared, cx: &mut Cx<'_>) -> Height {
        let noted = shared.noted.get(cx.node()).copied().unwrap_or_default();
        if cx.rng().chance(100) {
            return Height::ZERO;
        }
        noted.minus(cx.rng().below(3))
    }

    /// Seats that wait behind runs that hang in every slot, and those runs.
    fn hindered(&mut self, height: Height) {
        let waiting = if self.hung.len() >= self.plan.slots {
            self.jobs.waiting()
        } else {
            Vec::new()
        };
        for seat in waiting.iter().chain(&self.hung) {
            self.served.hindered(*seat, height);
        }
    }

    fn committed(&mut self, state: &State, height: Height, events: &[Event]) {
        let own = state.session_holder(&self.session.public());
        self.staking.know(own);
        let set = state.validator_set(state.height().next());
        let input = Committed {
            height,
            events: of(events, Domain::Staking),
            facts: Facts::of(state, own),
            set: set.map(|set| set.digest()).unwrap_or_default(),
        };
        // Publishing, admission and the audit log have no effect on the chain.
        let _shown = self.staking.step(&input);
        let operator = own.and_then(|own| state.validators.get(&own));
        self.escrow.know(operator.map(|row| row.operator));
        let _written = self.escrow.step(&escrow::Committed {
            height,
            events: of(events, Domain::Escrow),
        });
    }
}

impl Ledger {
    /// The actors start: first what they have not noted, then what is open in the state.
    pub(super) fn begin_duties(&mut self, shared: &mut Shared, cx: &mut Cx<'_>) {
        let state = self.bench.state().clone();
        shared.last_start_ms = cx.now().ms();
        let duties = &mut self.duties;
        let noted = Duties::noted(shared, cx);
        let own = state.session_holder(&duties.session.public());
        let consensus = cx.keys().public(Purpose::Consensus, duties.member);
        duties.staking = Staking::new(noted);
        duties.escrow = Escrow::new(noted);
        duties.jobs = Jobs::new(Capacity::Slots(duties.plan.slots), noted);
        duties.execution = Execution::new(state.chain_id(), noted);
        duties.execution.know(own);
        duties.evidence = Evidence::new(Some(consensus), noted);
        for bytes in duties.pairs.held() {
            if let Some((kind, first, second)) = pairs::from_disk(&bytes) {
                self.hear_pair(shared, cx, (kind, &first, &second), evidence::Source::Disk);
            }
        }
        for (height, events) in std::mem::take(&mut self.duties.missed) {
            if height > noted {
                self.duties.committed(&state, height, &events);
                self.drive(shared, cx, told(&state, height, &events));
            }
        }
        let open = own.map(|own| orders::seated_now(&state, own));
        let open = open.unwrap_or_default();
        for order in &open {
            self.duties.served.taken_up(shared, cx, order);
        }
        let seated = open
            .into_iter()
            .map(|order| jobs::Input::Seated(Box::new(order)));
        self.drive(shared, cx, seated.map(Mail::Jobs).collect());
    }

    /// A height was committed.
    pub(super) fn tell_duties(
        &mut self,
        shared: &mut Shared,
        cx: &mut Cx<'_>,
        height: Height,
        events: &[Event],
    ) {
        let state = self.bench.state().clone();
        self.duties.committed(&state, height, events);
        self.duties.hindered(height);
        let own = state.session_holder(&self.duties.session.public());
        self.duties.execution.know(own);
        let mut mails = VecDeque::new();
        if let Some(own) = own {
            for order in orders::seated_by(&state, own, &of(events, Domain::Jobs)) {
                self.duties.served.seated(shared, cx, &order);
                mails.push_back(Mail::Jobs(jobs::Input::Seated(Box::new(order))));
            }
            for expected in orders::expected_by(&state, own, &of(events, Domain::Jobs)) {
                mails.push_back(Mail::Jobs(jobs::Input::Expected(expected)));
            }
        }
        self.drive(shared, cx, mails);
        let mut mails = self.refreshed(&state);
        mails.extend(told(&state, height, events));
        self.drive(shared, cx, mails);
        self.reveal_early(shared, cx);
        if let Some(noted) = shared.noted.get_mut(cx.node()) {
            *noted = height;
        }
        if let Err(broken) = self.duties.served.ended(shared, &state, events) {
            cx.fail(broken.into());
        }
    }

    /// What the chain holds of the seats that wait, as the jobs actor reads it at every height.
    fn refreshed(&self, state: &State) -> VecDeque<Mail> {
        let own = state.session_holder(&self.duties.session.public());
        let waiting = self.duties.jobs.waiting().into_iter();
        let refreshed = waiting.filter_map(|seat| {
            let order = match own.map(|own| orders::standing(state, own, &seat)) {
                None | Some(Standing::Unknown) => return None,
                Some(Standing::Over) => None,
                Some(Standing::Open(order)) => Some(order),
            };
            Some(Mail::Jobs(jobs::Input::Refreshed { seat, order }))
        });
        refreshed.collect()
    }

    /// A seat is handed over: the run starts with what the chain holds now, as in the execution actor.
    fn handed_over(&mut self, mails: &mut VecDeque<Mail>, order: execution::Order) -> Option<Mail> {
        let seat = order.seat;
        let own = self.duties.execution.validator();
        let state = self.bench.state();
        let order = match own.map(|own| orders::standing(state, own, &seat)) {
            None | Some(Standing::Unknown) => order,
            Some(Standing::Open(now)) => *now,
            Some(Standing::Over) => {
                mails.push_back(Mail::Jobs(jobs::Input::Finished(seat)));
                return None;
            }
        };
        Some(Mail::Execution(execution::Input::Run(order)))
    }

    /// Somebody says that two messages contradict each other.
    pub(super) fn hear_pair(
        &mut self,
        shared: &mut Shared,
        cx: &mut Cx<'_>,
        (kind, first, second): (EvidenceKind, &[u8], &[u8]),
        source: evidence::Source,
    ) {
        let state = self.bench.state();
        let Some(proof) = pairs::prove(state, kind, first, second) else {
            return;
        };
        self.accused.insert(proof.pair.signer());
        if !self.duties.evidence.is_moot(state, &proof) {
            let found = evidence::Input::Found(Box::new(proof), source);
            self.drive(shared, cx, [Mail::Evidence(found)].into());
        }
    }

    pub(super) fn duty_timer(&mut self, shared: &mut Shared, cx: &mut Cx<'_>, token: u64) {
        self.happened(shared, cx, token);
    }

    pub(super) fn duty_stored(&mut self, shared: &mut Shared, cx: &mut Cx<'_>, token: u64) {
        self.happened(shared, cx, token);
    }

    fn happened(&mut self, shared: &mut Shared, cx: &mut Cx<'_>, token: u64) {
        let mail = match self.duties.later.remove(&token) {
            Some(Later::Fetched(artifact, held)) => {
                Mail::Jobs(jobs::Input::Fetched { artifact, held })
            }
            Some(Later::Ended(seat, end)) => match self.run_ended(shared, cx, seat, end) {
                Some(input) => Mail::Execution(input),
                None => return,
            },
            Some(Later::Marked(seat)) => {
                let allowed = true;
                Mail::Execution(execution::Input::Marked { seat, allowed })
            }
            Some(Later::Kept(id, proof)) => {
                if shared.world.is_honest_member(self.duties.member) {
                    shared.proved(id, proof);
                }
                Mail::Evidence(evidence::Input::Kept(id))
            }
            Some(Later::Written) | None => return,
        };
        self.drive(shared, cx, [mail].into());
    }

    /// Steps workflows until none has anything to say to another.
    fn drive(&mut self, shared: &mut Shared, cx: &mut Cx<'_>, mut mails: VecDeque<Mail>) {
        while let Some(mail) = mails.pop_front() {
            let mail = match mail {
                Mail::HandOver(order) => match self.handed_over(&mut mails, *order) {
                    Some(mail) => mail,
                    None => continue,
                },
                mail => mail,
            };
            match mail {
                Mail::HandOver(_) => {}
                Mail::Jobs(input) => {
                    for intent in self.duties.jobs.step(input) {
                        self.do_job(shared, cx, intent, &mut mails);
                    }
                }
                Mail::Execution(input) => {
                    for intent in self.duties.execution.step(input) {
                        self.do_execution(shared, cx, intent, &mut mails);
                    }
                }
                Mail::Evidence(input) => {
                    for intent in self.duties.evidence.step(input) {
                        self.do_evidence(shared, cx, intent);
                    }
                }
            }
        }
    }
}

/// A height, as three of the five hear it.
fn told(state: &State, height: Height, events: &[Event]) -> VecDeque<Mail> {
    let (jobs, execution) = (of(events, Domain::Jobs), of(events, Domain::Execution));
    let evidence = of(events, Domain::Evidence);
    [
        Mail::Jobs(jobs::Input::Committed {
            height,
            events: jobs,
        }),
        Mail::Execution(execution::Input::Committed {
            height,
            events: execution,
        }),
        Mail::Evidence(evidence::Input::Committed {
            height,
            floor: state.evidence_floor(),
            events: evidence,
        }),
    ]
    .into()
}
