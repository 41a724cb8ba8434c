//! Blocks: named, fetched, judged, held, fed to the core.

use std::sync::Arc;
use std::time::Duration;

use arc_malachitebft_core_consensus::{LocallyProposedValue, ProposedValue};
use arc_malachitebft_core_types::{Validity, ValueOrigin};
use protocol::digest::BlockId;
use protocol::units::{Height, Round};

use crate::blocks::id_of;
use crate::bodies::{Item, Source, Status};
use crate::context::{CoreAddress, CoreHeight, CoreInput, CoreValue, core_round, our_round};
use crate::effect::{Effect, Halt};
use crate::input::{Judgement, Peer};
use crate::limits::{BODY_RETRY_MS, EARLY_MS_MAX};
use crate::machine::Machine;
use crate::planted::{self, Bug};
use crate::timers::TimerKind;
use crate::wal::Record;

impl Machine {
    /// Asks one peer for a block that is named and not there.
    pub(crate) fn fetch(&mut self, height: Height, id: BlockId) {
        let host = &mut self.host;
        if host
            .bodies
            .get(height, id)
            .is_none_or(|item| item.status != Status::Missing)
        {
            return;
        }
        host.fetches = host.fetches.wrapping_add(1);
        let peer = host
            .bodies
            .next_holder(height, id)
            .or_else(|| host.sync.anybody(host.fetches));
        if let Some(peer) = peer {
            host.out.push(Effect::FetchBody { id, peer });
        }
        self.watch_missing();
    }

    /// Makes sure that missing blocks are asked for again.
    pub(crate) fn watch_missing(&mut self) {
        if !self.host.timers.is_running(TimerKind::Body, Round::ZERO) {
            let after = Duration::from_millis(BODY_RETRY_MS);
            self.host.set_timer(TimerKind::Body, Round::ZERO, after);
        }
    }

    pub(crate) fn fetch_missing(&mut self) {
        for height in [self.host.height, self.host.height.next()] {
            for id in self.host.bodies.ids(height, Status::Missing) {
                self.fetch(height, id);
            }
        }
    }

    pub(crate) fn on_body(&mut self, peer: &Peer, id: BlockId, block: Arc<[u8]>) {
        let current = self.host.height;
        let named = [current, current.next()]
            .into_iter()
            .find(|height| self.host.bodies.get(*height, id).is_some());
        let Some(height) = named else { return };
        if id_of(&block) != Some(id) {
            self.host.sync.demote(peer);
            return;
        }
        self.host.bodies.fill(height, id, block);
        self.judge_fresh();
    }

    pub(crate) fn on_built(&mut self, height: Height, round: Round, id: BlockId, block: Arc<[u8]>) {
        if height != self.host.height || round != self.round() || self.host.is_decided() {
            return;
        }
        let Some(proposer) = self.host.key() else {
            return;
        };
        if id_of(&block) != Some(id) {
            return self
                .host
                .halt(Halt::Invariant("the built block is not the one it says"));
        }
        self.name_source(
            height,
            id,
            Source {
                round,
                pol_round: None,
                proposer,
            },
        );
        self.host.bodies.fill(height, id, block);
        let Some(item) = self.host.bodies.get_mut(height, id) else {
            return;
        };
        item.status = Status::Judged(Validity::Valid);
        self.log_body(height, id);
        let (height, round) = (CoreHeight(height), core_round(Some(round)));
        self.feed(CoreInput::Propose(LocallyProposedValue::new(
            height,
            round,
            CoreValue(id),
        )));
    }

    /// Asks for a verdict on every block that can have one: its parent is committed.
    pub(crate) fn judge_fresh(&mut self) {
        let height = self.host.height;
        if self.host.is_decided() {
            return;
        }
        for id in self.host.bodies.ids(height, Status::Fresh) {
            let Some(item) = self.host.bodies.get_mut(height, id) else {
                continue;
            };
            if let Some(block) = item.block.clone() {
                item.status = Status::Judging;
                self.host.out.push(Effect::Judge { height, id, block });
            }
        }
    }

    pub(crate) fn on_verdict(&mut self, height: Height, id: BlockId, verdict: Judgement) {
        if height != self.host.height || self.host.is_decided() {
            return;
        }
        let Some(item) = self.host.bodies.get_mut(height, id) else {
            return;
        };
        if item.status != Status::Judging {
            return;
        }
        match verdict {
            Judgement::Invalid => self.conclude(id, Validity::Invalid),
            Judgement::Valid { early_by_ms }
                if early_by_ms > EARLY_MS_MAX && !item.is_vouched() =>
            {
                item.status = Status::Held;
                let round = round_of(item);
                let after = Duration::from_millis(early_by_ms.saturating_sub(EARLY_MS_MAX));
                self.host.set_timer(TimerKind::Early(id), round, after);
            }
            Judgement::Valid { .. } => self.conclude(id, Validity::Valid),
        }
    }

    /// The time in this block's header has come. Other blocks of its round may have to wait longer.
    pub(crate) fn release_held(&mut self, id: BlockId) {
        let item = self.host.bodies.get(self.host.height, id);
        if item.is_some_and(|item| item.status == Status::Held) {
            self.conclude(id, Validity::Valid);
        }
    }

    /// Gives a verdict to the core, the block to the log before it.
    pub(crate) fn conclude(&mut self, id: BlockId, validity: Validity) {
        let height = self.host.height;
        let Some(item) = self.host.bodies.get_mut(height, id) else {
            return;
        };
        item.status = Status::Judged(validity);
        if validity.is_invalid() && item.commit.is_some() {
            return self.host.halt(Halt::CertifiedInvalid { height, block: id });
        }
        let Some(value) = self.proposed(id, validity) else {
            return;
        };
        let origin = match self
            .host
            .bodies
            .get(height, id)
            .and_then(|item| item.commit)
        {
            Some(_) => ValueOrigin::Sync,
            None => ValueOrigin::Consensus,
        };
        if validity.is_valid() {
            self.log_body(height, id);
        }
        self.feed(CoreInput::ProposedValue(value, origin));
    }

    fn proposed(
        &self,
        id: BlockId,
        validity: Validity,
    ) -> Option<ProposedValue<crate::context::Ctx>> {
        let height = self.host.height;
        let item = self.host.bodies.get(height, id)?;
        let round = round_of(item);
        let proposer = self
            .host
            .set()?
            .proposer_key(&self.host.chain, height, round);
        Some(ProposedValue {
            height: CoreHeight(height),
            round: core_round(Some(round)),
            valid_round: core_round(item.source.and_then(|source| source.pol_round)),
            proposer: CoreAddress(Some(proposer)),
            value: CoreValue(id),
            validity,
        })
    }

    fn log_body(&mut self, height: Height, id: BlockId) {
        let Some(item) = self.host.bodies.get_mut(height, id) else {
            return;
        };
        if planted::is(Bug::BodyNotLogged) {
            return;
        }
        if let (false, Some(block)) = (item.logged, item.block.clone()) {
            item.logged = true;
            self.host.log.append(Record::Body { height, id, block });
        }
    }

    /// A polka names a block whether or not its proposal came; such a block is neither dropped nor
    /// held back for its time.
    pub(crate) fn note_polkas(&mut self) {
        let height = self.host.height;
        let polkas: Vec<(BlockId, Round)> = self
            .core
            .driver
            .polka_certificates()
            .iter()
            .filter(|polka| polka.height.0 == height)
            .filter_map(|polka| Some((polka.value_id, our_round(polka.round)?)))
            .collect();
        let is_decided = self.host.is_decided();
        for (id, round) in polkas {
            let Some(item) = self.host.bodies.name(height, id) else {
                continue;
            };
            if item.polka.replace(round).is_some() || is_decided {
                continue;
            }
            match item.status {
                Status::Missing => self.fetch(height, id),
                Status::Held => self.conclude(id, Validity::Valid),
                _ => {}
            }
        }
    }
}

/// The round under which the core shall file a block.
fn round_of(item: &Item) -> Round {
    let source = item.source.map(|source| source.round);
    item.commit.or(source).or(item.polka).unwrap_or_default()
}
