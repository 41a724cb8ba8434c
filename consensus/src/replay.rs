//! Start: what was signed, then what was received, then on.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use arc_malachitebft_core_types::Validity;
use protocol::digest::BlockId;
use protocol::signed::Signed;
use protocol::units::Height;

use crate::bodies::{Bodies, Source, Status};
use crate::context::{CoreInput, Ctx};
use crate::core_record::from_bytes;
use crate::effect::{Effect, Halt};
use crate::guard::{SignGuard, SignPoint, Step};
use crate::host::{Host, Mode, Pace};
use crate::input::Boot;
use crate::log::{Log, Logging};
use crate::machine::Machine;
use crate::planted::{self, Bug};
use crate::pool::{Held, Pool};
use crate::schedule::Schedule;
use crate::sync::HeightSync;
use crate::timers::Timers;
use crate::verifier::CachedVerifier;
use crate::vigil::Vigil;
use crate::wal::Record;

/// When the first signature may be made.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Start {
    AtOnce,
    AfterVigil,
}

pub(crate) fn boot(boot: Boot, start: Start) -> Result<(Machine, Vec<Effect>), Halt> {
    let boot = if planted::is(Bug::LostWal) {
        Boot {
            log: Vec::new(),
            floor: None,
            ..boot
        }
    } else {
        boot
    };
    let mut schedule = Schedule::default();
    for (height, set) in boot.sets {
        schedule
            .insert(height, set)
            .ok_or(Halt::Boot("a set cannot agree on anything"))?;
    }
    let height = boot.committed.next();
    schedule
        .get(height.next())
        .ok_or(Halt::Boot("no set for the height after next"))?;
    let mut host = Host {
        chain: boot.chain,
        ctx: Ctx { chain: boot.chain },
        signer: boot.signer,
        guard: SignGuard::above(boot.committed),
        silent_through: Height::ZERO,
        vigil: None,
        verifier: CachedVerifier::new(boot.chain),
        log: Log::new(Logging::Off),
        timers: Timers::new(boot.epoch),
        timing: boot.timing,
        bodies: Bodies::default(),
        pool: Pool::default(),
        sync: HeightSync::default(),
        schedule,
        pace: Pace::default(),
        mode: Mode::Live,
        height,
        committed: boot.committed,
        decided: BTreeMap::new(),
        certified: None,
        is_catching_up: false,
        is_stopped: false,
        todo: VecDeque::new(),
        fetches: 0,
        out: Vec::new(),
    };
    if let Some(mark) = &boot.floor {
        host.guard.raise(mark);
    }
    let own = host.recover_marks(boot.floor.map(|mark| mark.point), &boot.log);
    host.silent_through = silence(host.guard.point(), height, &own);
    let mut log = boot.log;
    if start == Start::AfterVigil && host.signer.is_some() {
        host.vigil = Some(Vigil::new(height, std::mem::take(&mut log), own));
    } else {
        host.mode = Mode::Replay { own, build: None };
    }
    let mut machine = Machine::new(host)?;
    machine.replay(&log);
    let effects = machine.settle();
    Ok((machine, effects))
}

/// Up to which height nothing may be signed, given the last point signed. A floor that came without
/// its log (an import, a block log that lost its end) says that something was signed, but not on
/// what this key is locked: a vote in a later round of the same height could break agreement, so
/// the height as a whole is left to others.
fn silence(floor: SignPoint, height: Height, own: &BTreeSet<SignPoint>) -> Height {
    let is_explained = floor.height == height && own.contains(&floor);
    if floor.height < height || is_explained {
        Height::ZERO
    } else {
        floor.height
    }
}

impl Host {
    /// Raises the guard to what the log says was signed. A mark that the sign-state lacks goes there
    /// before anything leaves: the log may have become durable and the process have ended.
    fn recover_marks(&mut self, floor: Option<SignPoint>, log: &[Record]) -> BTreeSet<SignPoint> {
        let marks = log.iter().filter_map(|record| match record {
            Record::Own { mark, .. } => Some(mark),
            _ => None,
        });
        let mut own = BTreeSet::new();
        for mark in marks {
            self.guard.raise(mark);
            own.insert(mark.point);
            if floor.is_none_or(|floor| floor < mark.point) {
                self.log.mark(*mark);
            }
        }
        own
    }
}

/// The open height as the log tells it.
#[derive(Default)]
struct History {
    inputs: Vec<CoreInput>,
    /// Each with the number of inputs before it.
    bodies: Vec<(usize, BlockId, Arc<[u8]>)>,
}

impl Machine {
    /// Feeds the open height's records in order. The core compares each own message that it derives
    /// with the one in the log, and never signs that again.
    pub(crate) fn replay(&mut self, log: &[Record]) {
        let Some(History { inputs, bodies }) = self.read(log) else {
            return self.host.halt(Halt::Record);
        };
        self.start(self.host.height);
        self.core.record_recovered_own_precommit_extensions(&inputs);
        self.core.index_wal_entries(&inputs);
        let mut bodies = bodies.into_iter().peekable();
        for (place, input) in inputs.into_iter().enumerate() {
            while let Some((_, id, block)) = bodies.next_if(|(before, ..)| *before <= place) {
                self.recall_body(id, block);
            }
            self.recall(&input);
            self.feed(input);
            // A block that a quorum stands behind by now outlives all that follow.
            self.note_polkas();
        }
        bodies.for_each(|(_, id, block)| self.recall_body(id, block));
        self.core.reset_entries_index();
        self.go_live();
    }

    /// Decodes the records; those of other heights serve the pool only.
    fn read(&mut self, log: &[Record]) -> Option<History> {
        let mut history = History::default();
        for record in log {
            let is_current = record.height() == self.host.height;
            match record {
                Record::Body { id, block, .. } if is_current => {
                    let place = history.inputs.len();
                    history.bodies.push((place, *id, block.clone()));
                }
                Record::Body { .. } => {}
                Record::Input { bytes, .. } | Record::Own { bytes, .. } => {
                    let input = from_bytes(record.height(), bytes)?;
                    if is_current {
                        history.inputs.push(input);
                    } else {
                        self.remember(&input);
                    }
                }
            }
        }
        Some(history)
    }

    /// A block that was judged valid. There is room for it as there was before: those that a quorum
    /// stands behind are known at this point of the log.
    fn recall_body(&mut self, id: BlockId, block: Arc<[u8]>) {
        let (height, bodies) = (self.host.height, &mut self.host.bodies);
        if bodies.name(height, id).is_some()
            && let Some(item) = bodies.fill(height, id, block)
        {
            item.logged = true;
        }
    }

    fn remember(&mut self, input: &CoreInput) {
        let held = match input {
            CoreInput::Vote(vote) => vote.message.to_ours().map(|message| {
                Held::Vote(Signed {
                    message,
                    signature: vote.signature,
                })
            }),
            CoreInput::Proposal(proposal) => proposal.message.to_ours().map(|message| {
                Held::Proposal(Signed {
                    message,
                    signature: proposal.signature,
                })
            }),
            _ => None,
        };
        if let Some(held) = held {
            self.host.pool(held);
        }
    }

    /// What the machine itself knew besides the core.
    fn recall(&mut self, input: &CoreInput) {
        self.remember(input);
        let height = self.host.height;
        match input {
            CoreInput::Proposal(proposal) => {
                if let Some(ours) = proposal.message.to_ours() {
                    let (round, pol_round) = (ours.round, ours.pol_round);
                    let source = Source {
                        round,
                        pol_round,
                        proposer: ours.signer,
                    };
                    self.name_source(height, ours.block, source);
                }
            }
            CoreInput::ProposedValue(value, _) => {
                if let Some(item) = self.host.bodies.name(height, value.value.0) {
                    let is_known = item.block.is_some() || value.validity.is_invalid();
                    if is_known {
                        item.status = Status::Judged(value.validity);
                    }
                }
            }
            _ => {}
        }
    }

    /// Ends replay: builds what the core wished for and the log does not hold, judges and fetches
    /// what is left.
    fn go_live(&mut self) {
        let mode = std::mem::replace(&mut self.host.mode, Mode::Live);
        let height = self.host.height;
        if let Mode::Replay {
            own,
            build: Some(round),
        } = mode
        {
            let point = SignPoint {
                height,
                round,
                step: Step::Propose,
            };
            let is_wanted =
                !own.contains(&point) && round == self.round() && !self.host.is_decided();
            if is_wanted {
                self.host.out.push(Effect::Build { height, round });
            }
        }
        self.judge_fresh();
        self.fetch_missing();
        debug_assert!(
            self.host
                .bodies
                .ids(height, Status::Judged(Validity::Valid))
                .len()
                <= crate::limits::BODIES_PER_HEIGHT
        );
    }
}
