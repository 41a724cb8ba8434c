//! What is done about intents: by peers, the sandbox, the disk, the pool.

use std::collections::VecDeque;

use actors::evidence::pairs;
use actors::evidence::workflow as evidence;
use actors::execution::workflow as execution;
use actors::jobs::workflow::{self as jobs, Artifact};
use actors::mempool::gate::Source;
use actors::seat::{self, SeatResult};
use ledger::execution::SeatState;
use protocol::digest::Digest;
use protocol::job::{CommitPreimage, DeclineReason, SeatRef};
use protocol::tx::TxBody;
use protocol::units::Height;

use super::super::conduct::Conduct;
use super::super::disk::{COMMITS, Mark, PAIRS};
use super::super::scene::JobKind;
use super::super::shared::{Proof, Shared};
use super::super::{Ledger, host, wire};
use super::{Duties, Later, Mail};
use crate::sim::app::{Broken, Cx};

/// A killed run is gone so soon.
const KILL_MS: u64 = 5;

impl Duties {
    fn token(&mut self, later: Later) -> u64 {
        self.next += 1;
        self.later.insert(self.next, later);
        self.next
    }

    fn after(&mut self, cx: &mut Cx<'_>, ms: u64, later: Later) {
        let token = self.token(later);
        cx.timer_after(ms, token);
    }

    fn write(&mut self, cx: &mut Cx<'_>, file: u8, record: Vec<u8>, later: Later) {
        let token = self.token(later);
        cx.write(file, record, token);
    }
}

impl Ledger {
    pub(super) fn do_job(
        &mut self,
        shared: &Shared,
        cx: &mut Cx<'_>,
        intent: jobs::Intent,
        mails: &mut VecDeque<Mail>,
    ) {
        match intent {
            jobs::Intent::Fetch(artifact) | jobs::Intent::FetchAhead(artifact) => {
                let held = match artifact {
                    Artifact::Model(root) => shared.world.kind_of_model(&root) != JobKind::NoInput,
                    Artifact::Input(_) | Artifact::Output { .. } => true,
                };
                let takes = host::fetch_ms(cx.rng());
                self.duties.after(cx, takes, Later::Fetched(artifact, held));
            }
            jobs::Intent::Run(order) => mails.push_back(Mail::HandOver(order)),
            jobs::Intent::Cancel(job) => {
                mails.push_back(Mail::Execution(execution::Input::Cancel(job)));
            }
            jobs::Intent::Submit { body, valid_until } => self.say(shared, cx, *body, valid_until),
            // What comes all the same is nobody's.
            jobs::Intent::LeaveAhead(_)
            | jobs::Intent::Pin(_)
            | jobs::Intent::Keep(_)
            | jobs::Intent::Note(_) => {}
        }
    }

    pub(super) fn do_execution(
        &mut self,
        shared: &Shared,
        cx: &mut Cx<'_>,
        intent: execution::Intent,
        mails: &mut VecDeque<Mail>,
    ) {
        match intent {
            execution::Intent::Start(order) => {
                let kind = shared.world.kind_of(&order.spec);
                let (takes, end) = host::run(kind, &order.spec, &self.duties.plan, cx.rng());
                cx.line(|| format!("runs seat {} of {}", order.seat.seat, order.seat.job));
                if takes >= host::SLOW_MS {
                    self.duties.hung.insert(order.seat);
                }
                self.duties.after(cx, takes, Later::Ended(order.seat, end));
            }
            execution::Intent::Stop(seat) => {
                let runs = |later: &Later| matches!(later, Later::Ended(of, _) if *of == seat);
                self.duties.later.retain(|_, later| !runs(later));
                let end = Err(DeclineReason::SandboxKilled);
                self.duties.after(cx, KILL_MS, Later::Ended(seat, end));
            }
            execution::Intent::Mark { seat, commit } => self.mark(cx, seat, commit, mails),
            execution::Intent::Submit { body, valid_until } => {
                self.say(shared, cx, body, valid_until);
            }
            execution::Intent::Finished { seat, .. } => {
                mails.push_back(Mail::Jobs(jobs::Input::Finished(seat)));
            }
            execution::Intent::Again(order) => {
                mails.push_back(Mail::Jobs(jobs::Input::Seated(Box::new(order))));
            }
            // No disk loses an output here.
            execution::Intent::PutBlob { seat, .. } => {
                mails.push_back(Mail::Execution(execution::Input::Stored(seat)));
            }
            execution::Intent::Note(_) => {}
        }
    }

    fn mark(&mut self, cx: &mut Cx<'_>, seat: SeatRef, commit: Digest, mails: &mut VecDeque<Mail>) {
        let under_way = |later: &Later| matches!(later, Later::Marked(of) if *of == seat);
        if self.duties.later.values().any(under_way) {
            return;
        }
        match self.duties.marks.mark(seat, commit) {
            Mark::Known => self.duties.after(cx, 0, Later::Marked(seat)),
            Mark::Refused => {
                let allowed = false;
                mails.push_back(Mail::Execution(execution::Input::Marked { seat, allowed }));
            }
            Mark::Write(record) => self.duties.write(cx, COMMITS, record, Later::Marked(seat)),
        }
    }

    pub(super) fn do_evidence(
        &mut self,
        shared: &Shared,
        cx: &mut Cx<'_>,
        intent: evidence::Intent,
    ) {
        match intent {
            evidence::Intent::Keep(id, proof) => {
                let under_way = |later: &Later| matches!(later, Later::Kept(of, _) if *of == id);
                if self.duties.later.values().any(under_way) {
                    return;
                }
                let state = &shared.newest;
                let (height, head) = (proof.pair.height(), state.head());
                let noted = Proof {
                    validator: proof.validator,
                    height,
                    late: state.evidence_expired(height, head.height, head.time_ms),
                };
                cx.line(|| {
                    format!(
                        "keeps a pair of height {height} against {}",
                        proof.validator
                    )
                });
                let kept = Later::Kept(id, noted);
                match self.duties.pairs.keep(id, pairs::to_disk(&proof.pair)) {
                    Some(record) => self.duties.write(cx, PAIRS, record, kept),
                    None => self.duties.after(cx, 0, kept),
                }
            }
            evidence::Intent::Gossip(proof) => cx.broadcast(wire::pair(&proof.pair)),
            evidence::Intent::Submit(proof) => {
                let (body, until) = pairs::report(&proof.pair, self.bench.state().height());
                self.say(shared, cx, body, until);
            }
            evidence::Intent::Done(id) => {
                if let Some(record) = self.duties.pairs.done(id) {
                    self.duties.write(cx, PAIRS, record, Later::Written);
                }
            }
            evidence::Intent::OwnKey(proof) => {
                if shared.world.is_honest_member(self.duties.member) {
                    let text = format!("an honest key is accused: {:?}", proof.pair);
                    cx.fail(Broken::new("A1", text));
                }
            }
            evidence::Intent::Audit(..) | evidence::Intent::Note(_) => {}
        }
    }

    /// A run is over: the salt of its commit, and what a hostile host makes of the result.
    pub(super) fn run_ended(
        &mut self,
        shared: &mut Shared,
        cx: &mut Cx<'_>,
        place: SeatRef,
        end: Result<SeatResult, DeclineReason>,
    ) -> Option<execution::Input> {
        let chain = shared.genesis.chain_id;
        self.duties.hung.remove(&place);
        if end.is_err() {
            let height = self.bench.state().height();
            self.duties.served.hindered(place, height);
        }
        let own = self.duties.execution.validator()?;
        let (conduct, member) = (self.duties.plan.conduct, self.duties.member);
        let end = end.map(|result| conduct.result(member, result));
        let salt = seat::salt(&self.duties.session, &chain, &place, &own);
        if conduct == Conduct::Honest {
            if let Err(broken) = shared.watch.seats.salt(place, salt) {
                cx.fail(broken.into());
            }
        } else if let Ok(result) = &end {
            let opened = CommitPreimage {
                chain,
                seat: place,
                validator: own,
                salt,
                outcome: result.outcome,
                result_root: result.result_root,
                work_digest: Digest::ZERO,
                fuel: result.fuel,
            };
            self.duties.opened.insert(place, result.reveal(&opened));
        }
        Some(execution::Input::Ended {
            seat: place,
            end,
            salt,
        })
    }

    /// What a hostile host reveals as soon as its commit is on the chain, whatever the phase.
    pub(super) fn reveal_early(&mut self, shared: &Shared, cx: &mut Cx<'_>) {
        if self.duties.plan.conduct != Conduct::EarlyReveal {
            return;
        }
        let state = self.bench.state();
        let committed = |place: &SeatRef| {
            let row = state.seats.get(place);
            row.is_some_and(|row| matches!(row.state, SeatState::Committed(_)))
        };
        let opened = self.duties.opened.iter();
        let early: Vec<_> = opened
            .filter(|(place, _)| committed(place))
            .map(|(_, reveal)| reveal.clone())
            .collect();
        let until = state.height().plus(10);
        for reveal in early {
            self.say(shared, cx, TxBody::RevealResult(reveal), until);
        }
    }

    /// Signs what is to be said and offers it to the pool. A hostile host sends what its own pool
    /// refuses all the same.
    fn say(&mut self, shared: &Shared, cx: &mut Cx<'_>, body: TxBody, valid_until: Height) {
        let chain = shared.genesis.chain_id;
        let conduct = self.duties.plan.conduct;
        let (overheard, opened) = (&self.duties.overheard, &self.duties.opened);
        let others = |seat: &SeatRef| {
            let heard = overheard.get(&seat.job)?;
            let other = heard.iter().find(|(of, _)| of != seat)?;
            Some(other.1)
        };
        if let Some(seat) = body.seat() {
            self.duties.served.said(cx, seat, body.kind());
        }
        let bodies = match body.seat() {
            Some(_) => conduct.say(body, others, |seat| opened.get(seat).cloned()),
            None => vec![body],
        };
        for body in bodies {
            let signed = seat::said(&self.duties.session, &chain, body, valid_until, None);
            let Ok(tx) = signed.verify(&chain) else {
                continue;
            };
            cx.line(|| {
                format!(
                    "says {} ({:?})",
                    tx.message().body.kind().name(),
                    tx.message().body.seat().map(|s| s.seat)
                )
            });
            let bytes = (conduct != Conduct::Honest).then(|| tx.to_bytes());
            let offered = self.gate.offer(self.bench.state(), tx, Source::Actor);
            self.passed_on(shared, cx, &offered);
            if let (Some(bytes), None) = (bytes, &offered.taken) {
                cx.broadcast(wire::tx(&bytes));
            }
        }
    }
}
