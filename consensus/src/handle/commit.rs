//! Decided heights: our own commit, and those that peers bring.

use std::sync::Arc;

use arc_malachitebft_core_types::{Validity, ValueResponse};
use protocol::digest::BlockId;
use protocol::units::{Height, Round};
use protocol::validators::ValidatorSet;
use protocol::vote::CommitCertificate;

use crate::blocks::id_of;
use crate::bodies::Status;
use crate::context::CoreInput;
use crate::effect::{Effect, Halt};
use crate::input::Peer;
use crate::limits::SYNC_ANSWER_MS;
use crate::machine::Machine;
use crate::planted::{self, Bug};
use crate::sync::Answer;
use crate::timers::TimerKind;
use crate::verifier::commit_to_core;

/// The core wants a peer's name to blame; ours is kept beside it.
const NOBODY: [u8; 34] = {
    let mut multihash = [0; 34];
    multihash[0] = 0x12;
    multihash[1] = 32;
    multihash
};

impl Machine {
    pub(crate) fn on_committed(&mut self, height: Height, set: ValidatorSet) {
        if height != self.host.height || !self.host.is_decided() {
            return;
        }
        if planted::is(Bug::WrongSetHeight) {
            self.host.schedule.insert(height.next(), set.clone());
        }
        if self.host.schedule.insert(height.plus(2), set).is_none() {
            return self
                .host
                .halt(Halt::Invariant("the next set cannot agree on anything"));
        }
        self.host.committed = height;
        self.count_for_vigil();
    }

    /// A peer's tip. A node that may not vote, or that is more than one height behind, is helped by
    /// decided blocks alone and asks at once; one behind may be mere news and waits for a timeout.
    pub(crate) fn on_status(&mut self, peer: &Peer, tip: Height) {
        self.host.sync.hint(peer, tip);
        if self.host.is_silent() || tip > self.host.height {
            self.ask();
        }
    }

    pub(crate) fn on_synced(
        &mut self,
        peer: Peer,
        block: Arc<[u8]>,
        certificate: CommitCertificate,
    ) {
        if self.host.sync.answered(&peer) {
            self.host
                .timers
                .cancel(TimerKind::Sync, Round::ZERO, &mut self.host.out);
        }
        if id_of(&block) != Some(certificate.block) {
            return self.distrust(&peer);
        }
        let current = self.host.height;
        self.host.sync.hint(&peer, certificate.height);
        if certificate.height < current {
            return self.compare(&certificate);
        }
        if certificate.height > current {
            let answer = Answer {
                peer,
                block,
                certificate,
            };
            return self.host.sync.keep(current, answer);
        }
        // Whoever else is being asked keeps its timer: this answer may be worth nothing.
        self.on_commit_certificate(&peer, &certificate, Some(block));
    }

    /// A certificate for the height worked on, with or without its block.
    pub(crate) fn on_commit_certificate(
        &mut self,
        peer: &Peer,
        certificate: &CommitCertificate,
        block: Option<Arc<[u8]>>,
    ) {
        if self.host.is_decided() {
            return self.compare(certificate);
        }
        let (height, id) = (certificate.height, certificate.block);
        let is_valid = self.host.is_commit_good(certificate);
        if !is_valid {
            return self.distrust(peer);
        }
        if let Some(other) = self.host.certified.take_if(|other| other.block != id) {
            return self.host.freeze(other, certificate.clone());
        }
        self.host.certified = Some(certificate.clone());
        let Some(item) = self.host.bodies.name(height, id) else {
            return;
        };
        item.commit = Some(certificate.round);
        self.host.bodies.holder(height, id, peer);
        if let Some(block) = block {
            self.host.bodies.fill(height, id, block);
        }
        self.host.sync.bringer = Some(peer.clone());
        let core = commit_to_core(certificate);
        match arc_malachitebft_core_consensus::PeerId::from_bytes(&NOBODY) {
            Ok(nobody) => {
                let response = ValueResponse::new(nobody, Default::default(), core);
                self.feed(CoreInput::SyncValueResponse(response));
            }
            Err(_) => self
                .host
                .halt(Halt::Invariant("a constant peer id does not parse")),
        }
    }

    /// The core took the certificate and wants the block's verdict.
    pub(crate) fn on_certified(&mut self, id: BlockId, round: Round) {
        let height = self.host.height;
        if self.host.is_decided() {
            return;
        }
        let Some(item) = self.host.bodies.name(height, id) else {
            return;
        };
        item.commit = Some(round);
        match item.status {
            Status::Missing => self.fetch(height, id),
            Status::Fresh => self.judge_fresh(),
            Status::Judging => {}
            Status::Held => self.conclude(id, Validity::Valid),
            Status::Judged(validity) => self.conclude(id, validity),
        }
    }

    pub(crate) fn on_rejected(&mut self) {
        if let Some(peer) = self.host.sync.bringer.take() {
            self.distrust(&peer);
        }
    }

    /// One false answer makes all of that peer's worthless; another peer is asked at once.
    fn distrust(&mut self, peer: &Peer) {
        self.host.sync.distrust(peer);
        self.ask();
    }

    /// Takes what was kept for this height, and asks on while there is more to catch up with.
    pub(crate) fn catch_up(&mut self) {
        if let Some(answer) = self.host.sync.take(self.host.height) {
            self.on_commit_certificate(&answer.peer, &answer.certificate, Some(answer.block));
        } else if self.host.is_catching_up {
            self.ask();
        }
    }

    /// Whether the decision needs no more than a verdict.
    fn is_block_of_certified_here(&self) -> bool {
        let certified = self.host.certified.as_ref();
        let item = certified.and_then(|c| self.host.bodies.get(self.host.height, c.block));
        item.is_some_and(|item| item.status != Status::Missing)
    }

    /// Asks somebody who is ahead for this height.
    pub(crate) fn ask(&mut self) {
        let height = self.host.height;
        if self.host.is_decided() || self.is_block_of_certified_here() {
            return;
        }
        if let Some(peer) = self.host.sync.ask(height) {
            self.host.out.push(Effect::AskHeight { peer, height });
            let after = std::time::Duration::from_millis(SYNC_ANSWER_MS);
            self.host.set_timer(TimerKind::Sync, Round::ZERO, after);
        }
    }
}
