//! Everything around the core: what the core's effects act on.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use protocol::digest::{BlockId, ChainId, Digest};
use protocol::evidence::ContradictingPair;
use protocol::keys::{PublicKey, Signature};
use protocol::signed::Message as _;
use protocol::units::{Height, Round};
use protocol::vote::CommitCertificate;

use crate::bodies::Bodies;
use crate::context::{CoreSet, Ctx};
use crate::effect::{Conflict, Effect, Halt};
use crate::guard::{SignGuard, SignMark, SignPoint};
use crate::limits::POOL_HEIGHTS;
use crate::log::{Log, Logging, Output};
use crate::pool::{Added, Held, Pool};
use crate::schedule::Schedule;
use crate::signer::Signer;
use crate::sync::HeightSync;
use crate::timers::{TimerKind, Timers, Timing};
use crate::verifier::CachedVerifier;
use crate::vigil::Vigil;

/// What the core asked for that may only be done once it has returned.
#[derive(Debug)]
pub(crate) enum Todo {
    /// A commit certificate verified; its block needs a verdict.
    Certified { id: BlockId, round: Round },
    /// A certificate was rejected; its bringer is to blame.
    Rejected,
}

/// Whether inputs come from the log.
#[derive(Debug)]
pub(crate) enum Mode {
    /// They do; these own messages are in it, and a block that the core asked for waits here.
    Replay {
        own: BTreeSet<SignPoint>,
        build: Option<Round>,
    },
    Live,
}

/// The approach to the next height.
#[derive(Debug, Default)]
pub(crate) struct Pace {
    /// The interval is over.
    pub(crate) is_due: bool,
    /// Members of the next set that are there already, and how much each has queued.
    pub(crate) early: BTreeMap<PublicKey, u32>,
}

#[derive(Debug)]
pub(crate) struct Host {
    pub(crate) chain: ChainId,
    pub(crate) ctx: Ctx,
    pub(crate) signer: Option<Signer>,
    pub(crate) guard: SignGuard,
    /// Up to this height the key is not used: more was signed than the log explains.
    pub(crate) silent_through: Height,
    /// The wait before the first signature, while it lasts.
    pub(crate) vigil: Option<Vigil>,
    pub(crate) verifier: CachedVerifier,
    pub(crate) log: Log,
    pub(crate) timers: Timers,
    pub(crate) timing: Timing,
    pub(crate) bodies: Bodies,
    pub(crate) pool: Pool,
    pub(crate) sync: HeightSync,
    pub(crate) schedule: Schedule,
    pub(crate) pace: Pace,
    pub(crate) mode: Mode,
    /// The height worked on.
    pub(crate) height: Height,
    pub(crate) committed: Height,
    /// Decisions and verified certificates of the last heights.
    pub(crate) decided: BTreeMap<Height, CommitCertificate>,
    /// A verified certificate of this height, before its block was decided.
    pub(crate) certified: Option<CommitCertificate>,
    /// The decision of this height came from a peer, so there may be more.
    pub(crate) is_catching_up: bool,
    pub(crate) is_stopped: bool,
    pub(crate) todo: VecDeque<Todo>,
    pub(crate) fetches: usize,
    pub(crate) out: Vec<Effect>,
}

impl Host {
    /// The set of the height worked on.
    pub(crate) fn set(&self) -> Option<&CoreSet> {
        self.schedule.get(self.height)
    }

    /// Whether the node only looks on, like one without a key: the sign-state forbids this height and
    /// what the key is locked on there is not known here, or it is not clear yet that this host is the
    /// only one with the key.
    pub(crate) fn is_silent(&self) -> bool {
        self.height <= self.silent_through || self.vigil.is_some()
    }

    /// Whether this node signs, and therefore logs, at the height worked on.
    pub(crate) fn logging(&self) -> Logging {
        if self.signer.is_some() && !self.is_silent() {
            Logging::On
        } else {
            Logging::Off
        }
    }

    pub(crate) fn is_decided(&self) -> bool {
        self.decided.contains_key(&self.height)
    }

    /// Stops for good. The first reason counts.
    pub(crate) fn halt(&mut self, reason: Halt) {
        if !self.is_stopped {
            self.is_stopped = true;
            self.out.push(Effect::Halt(reason));
        }
    }

    pub(crate) fn freeze(&mut self, first: CommitCertificate, second: CommitCertificate) {
        if !self.is_stopped {
            self.is_stopped = true;
            self.out
                .push(Effect::Freeze(Box::new(Conflict { first, second })));
        }
    }

    pub(crate) fn key(&self) -> Option<PublicKey> {
        self.signer.as_ref().map(Signer::public)
    }

    pub(crate) fn is_own(&self, key: &PublicKey) -> bool {
        self.key().as_ref() == Some(key)
    }

    /// Signs if the guard allows; otherwise stops.
    pub(crate) fn sign(&mut self, point: SignPoint, digest: Digest) -> Option<Signature> {
        let mark = SignMark { point, digest };
        if let Err(floor) = self.guard.allow(&mark) {
            self.halt(Halt::SignRefused {
                asked: point,
                floor,
            });
            return None;
        }
        let Some(signer) = &self.signer else {
            self.halt(Halt::Invariant("an observer was asked to sign"));
            return None;
        };
        let signature = signer.sign(&digest);
        self.verifier.trust(digest, signer.public(), signature);
        self.log.mark(mark);
        Some(signature)
    }

    /// As [`CommitCertificate::verify`], with every signature looked up before it is computed.
    pub(crate) fn is_commit_good(&self, certificate: &CommitCertificate) -> bool {
        let Some(set) = self.schedule.get(certificate.height) else {
            return false;
        };
        let parts = &certificate.signatures;
        let is_ordered = parts
            .iter()
            .zip(parts.iter().skip(1))
            .all(|(a, b)| a.signer < b.signer);
        let power = parts.iter().try_fold(0_u64, |sum, part| {
            let power = set.power_of(&part.signer)?;
            let digest = certificate.vote(part.signer).signing_digest(&self.chain);
            let is_good = self
                .verifier
                .is_good(Some(digest), &part.signer, &part.signature);
            is_good.then(|| sum.saturating_add(power))
        });
        is_ordered && power.is_some_and(|power| set.ours().is_quorum(power))
    }

    /// Puts a verified message into the pool and reports what it contradicts.
    pub(crate) fn pool(&mut self, held: Held) -> Added {
        let point = held.point();
        if point.height < self.height.minus(POOL_HEIGHTS) {
            return Added::Same;
        }
        let added = self.pool.add(held);
        if let Added::Contradiction(pair) = &added {
            self.contradiction((**pair).clone());
        }
        added
    }

    /// Nobody accuses itself: our own key contradicting us is a second host with our key.
    fn contradiction(&mut self, pair: ContradictingPair) {
        if !self.is_own(&pair.signer()) {
            self.out.push(Effect::Contradiction(pair));
        }
    }

    pub(crate) fn set_timer(&mut self, kind: TimerKind, round: Round, after: std::time::Duration) {
        self.timers.set(kind, round, after, &mut self.out);
    }

    pub(crate) fn queue(&mut self, output: Output) {
        self.log.queue(output, &mut self.out);
    }

    /// Whether more than a third of the next height's power is there already.
    pub(crate) fn is_awaited(&self) -> bool {
        let Some(set) = self.schedule.get(self.height.next()) else {
            return false;
        };
        let power = self
            .pace
            .early
            .keys()
            .filter_map(|key| set.power_of(key))
            .fold(0_u64, u64::saturating_add);
        set.is_honest(power)
    }
}
