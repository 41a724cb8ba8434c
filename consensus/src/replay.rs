//! Start: what was signed, then what was received, then on.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use arc_malachitebft_core_types::Validity;
use protocol::signed::Signed;

use crate::bodies::{Bodies, Source, Status};
use crate::context::{CoreInput, Ctx};
use crate::core_record::from_bytes;
use crate::effect::{Effect, Halt};
use crate::guard::{SignGuard, SignPoint, Step};
use crate::host::{Host, Mode, Pace};
use crate::input::Boot;
use crate::log::{Log, Logging};
use crate::machine::Machine;
use crate::pool::{Held, Pool};
use crate::schedule::Schedule;
use crate::sync::HeightSync;
use crate::timers::Timers;
use crate::verifier::CachedVerifier;
use crate::wal::Record;

pub(crate) fn boot(boot: Boot) -> Result<(Machine, Vec<Effect>), Halt> {
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
    let logging = if boot.signer.is_some() {
        Logging::On
    } else {
        Logging::Off
    };
    let mut host = Host {
        chain: boot.chain,
        ctx: Ctx { chain: boot.chain },
        signer: boot.signer,
        guard: SignGuard::above(boot.committed),
        verifier: CachedVerifier::new(boot.chain),
        log: Log::new(logging),
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
    host.mode = Mode::Replay { own, build: None };
    let mut machine = Machine::new(host)?;
    let effects = machine.replay(&boot.log);
    Ok((machine, effects))
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

impl Machine {
    /// Feeds the open height's records in order. The core compares each own message that it derives
    /// with the one in the log, and never signs that again.
    fn replay(&mut self, log: &[Record]) -> Vec<Effect> {
        let Some(inputs) = self.read(log) else {
            self.host.halt(Halt::Record);
            return self.settle();
        };
        self.start(self.host.height);
        self.core.record_recovered_own_precommit_extensions(&inputs);
        self.core.index_wal_entries(&inputs);
        for input in inputs {
            self.recall(&input);
            self.feed(input);
        }
        self.core.reset_entries_index();
        self.go_live();
        self.settle()
    }

    /// Decodes the records; those of other heights serve the pool only.
    fn read(&mut self, log: &[Record]) -> Option<Vec<CoreInput>> {
        let mut inputs = Vec::new();
        for record in log {
            match record {
                Record::Body { height, id, block } => {
                    if *height == self.host.height {
                        self.host.bodies.name(*height, *id)?;
                        self.host.bodies.fill(*height, *id, block.clone())?.logged = true;
                    }
                }
                Record::Input { bytes, .. } | Record::Own { bytes, .. } => {
                    let input = from_bytes(record.height(), bytes)?;
                    if record.height() == self.host.height {
                        inputs.push(input);
                    } else {
                        self.remember(&input);
                    }
                }
            }
        }
        Some(inputs)
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
