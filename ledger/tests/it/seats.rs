//! What may be said from a seat, by whom, and when.

use ledger::TxError;
use ledger::jobs::Phase;
use protocol::digest::{Digest, JobId, sha256};
use protocol::events::Level;
use protocol::job::{DeclineReason, Outcome, SeatRef};
use protocol::result::{Dtype, OutputTensor, encode_blob, result_root};
use protocol::tx::{CommitResult, Decline, InputUnavailable, RevealResult, RevealedOutput, TxBody};
use protocol::units::Fuel;

use crate::world::{Conduct, World};

struct Bench {
    world: World,
    job: JobId,
    /// Holders in seat order, then one who does not sit.
    names: Vec<String>,
}

impl Bench {
    /// A job whose committee has been drawn.
    fn new() -> Self {
        let mut world = World::new();
        let job = world.submit(world.spec("m"));
        world.blocks(2);
        let head = world.state.jobs.get(&job).unwrap();
        let mut names: Vec<_> = head
            .seats
            .iter()
            .map(|seat| world.name_of(&seat.validator))
            .collect();
        let rest: Vec<_> = world
            .names
            .iter()
            .filter(|n| !names.contains(n))
            .cloned()
            .collect();
        names.extend(rest);
        Self { world, job, names }
    }

    fn place(&self, seat: u16) -> SeatRef {
        SeatRef {
            job: self.job,
            attempt: 0,
            seat,
        }
    }

    fn reveal(&self, seat: u16) -> RevealResult {
        let holder = self.world.validator(&self.names[usize::from(seat)]);
        self.world
            .reveal_body(self.place(seat), holder, Conduct::Honest)
    }

    fn commit(&self, seat: u16) -> TxBody {
        self.commit_for(seat, &self.reveal(seat))
    }

    fn commit_for(&self, seat: u16, reveal: &RevealResult) -> TxBody {
        let holder = self.world.validator(&self.names[usize::from(seat)]);
        let commit = self.world.commit_to(holder, reveal);
        TxBody::CommitResult(CommitResult {
            seat: self.place(seat),
            commit,
        })
    }

    fn say(&mut self, seat: u16, body: TxBody) {
        let tx = self
            .world
            .session(&self.names[usize::from(seat)].clone(), body);
        self.world.block(&[tx]);
    }

    fn refused(&mut self, seat: u16, body: TxBody) -> TxError {
        let tx = self
            .world
            .session(&self.names[usize::from(seat)].clone(), body);
        self.world.refused(tx)
    }

    /// Commits these reveals from all three seats, and opens the reveal window.
    fn committed(reveals: impl Fn(&Self, u16) -> RevealResult) -> Self {
        let mut bench = Self::new();
        for seat in 0..3 {
            let body = bench.commit_for(seat, &reveals(&bench, seat));
            bench.say(seat, body);
        }
        assert_eq!(
            bench.world.phase(bench.job),
            Phase::Reveal(Level::Committee)
        );
        bench
    }
}

#[test]
fn only_the_holder_speaks_once_and_from_a_real_seat() {
    let mut bench = Bench::new();
    let foreign = bench.commit(0);
    assert_eq!(bench.refused(1, foreign.clone()), TxError::NotYourSeat);
    assert_eq!(bench.refused(3, foreign), TxError::NotYourSeat);
    let mut place = bench.place(9);
    let commit = |seat| {
        TxBody::CommitResult(CommitResult {
            seat,
            commit: Digest::ZERO,
        })
    };
    assert_eq!(bench.refused(0, commit(place)), TxError::UnknownSeat);
    place = SeatRef {
        attempt: 1,
        ..bench.place(0)
    };
    assert_eq!(bench.refused(0, commit(place)), TxError::UnknownSeat);
    place.job = JobId::ZERO;
    assert_eq!(
        bench.refused(0, commit(place)),
        TxError::UnknownJob { job: JobId::ZERO }
    );
    let body = bench.commit(0);
    bench.say(0, body.clone());
    assert_eq!(bench.refused(0, body), TxError::AlreadySpoken);
    let place = bench.place(0);
    let decline = TxBody::Decline(Decline {
        seat: place,
        reason: DeclineReason::CpuFloor,
    });
    assert_eq!(bench.refused(0, decline), TxError::AlreadySpoken);
    let place = bench.place(1);
    bench.say(
        1,
        TxBody::InputUnavailable(InputUnavailable { seat: place }),
    );
    let body = bench.commit(1);
    assert_eq!(bench.refused(1, body), TxError::AlreadySpoken);
}

#[test]
fn a_committee_seat_cannot_speak_before_the_draw_or_after_the_end() {
    let mut world = World::new();
    let job = world.submit(world.spec("m"));
    let seat = SeatRef {
        job,
        attempt: 0,
        seat: 0,
    };
    let tx = world.session("alice", TxBody::InputUnavailable(InputUnavailable { seat }));
    assert_eq!(world.refused(tx), TxError::UnknownSeat);
    world.run(job);
    let holder = world.state.jobs.get(&job).unwrap().seats[0].validator;
    let name = world.name_of(&holder);
    let tx = world.session(&name, TxBody::InputUnavailable(InputUnavailable { seat }));
    assert_eq!(world.refused(tx), TxError::WrongPhase { phase: "settled" });
}

#[test]
fn reveals_wait_until_every_commit_is_in() {
    let mut bench = Bench::new();
    for seat in 0..2 {
        let body = bench.commit(seat);
        bench.say(seat, body);
    }
    let early = TxBody::RevealResult(bench.reveal(0));
    assert_eq!(
        bench.refused(0, early.clone()),
        TxError::WrongPhase { phase: "commit" }
    );
    // The last commit and a reveal in one block: the window has not closed yet.
    let last = bench
        .world
        .session(&bench.names[2].clone(), bench.commit(2));
    let reveal = bench.world.session(&bench.names[0].clone(), early.clone());
    assert!(bench.world.try_block(&[last.clone(), reveal]).is_err());
    bench.world.block(&[last]);
    bench.say(0, early.clone());
    assert_eq!(bench.refused(0, early), TxError::AlreadyRevealed);
    let late = bench.commit(1);
    assert_eq!(
        bench.refused(1, late),
        TxError::WrongPhase { phase: "reveal" }
    );
}

#[test]
fn a_reveal_opens_its_own_commit_and_nothing_else() {
    let mut bench = Bench::committed(Bench::reveal);
    type Change = fn(&mut RevealResult);
    let rows: [Change; 4] = [
        |r| r.salt = sha256(b"other"),
        |r| r.fuel = Fuel(1),
        |r| r.outcome = Outcome::ModelTrap,
        |r| r.result_root = Digest::ZERO,
    ];
    for change in rows {
        let mut reveal = bench.reveal(0);
        change(&mut reveal);
        let error = bench.refused(0, TxBody::RevealResult(reveal));
        assert!(matches!(error, TxError::CommitMismatch { .. }), "{error:?}");
    }
    // A wrong reveal leaves room for the right one.
    let right = TxBody::RevealResult(bench.reveal(0));
    bench.say(0, right);
    // A copied commit does not open: the author is part of it.
    let mut copied = Bench::new();
    let TxBody::CommitResult(original) = copied.commit(0) else {
        unreachable!()
    };
    let copy = CommitResult {
        seat: copied.place(1),
        commit: original.commit,
    };
    for (seat, body) in [
        (0, copied.commit(0)),
        (1, TxBody::CommitResult(copy)),
        (2, copied.commit(2)),
    ] {
        copied.say(seat, body);
    }
    let reveal = RevealResult {
        seat: copied.place(1),
        ..copied.reveal(0)
    };
    let error = copied.refused(1, TxBody::RevealResult(reveal));
    assert!(matches!(error, TxError::CommitMismatch { .. }));
}

fn answer(len: usize) -> (Vec<u8>, Digest) {
    let tensors = [OutputTensor {
        name: "probs".to_owned(),
        dtype: Dtype::U8,
        dims: vec![u64::try_from(len).unwrap()],
        elements: vec![7; len],
    }];
    (
        encode_blob(&tensors).unwrap(),
        result_root(&tensors).unwrap(),
    )
}

fn ok_reveal(bench: &Bench, seat: u16, root: Digest, output: RevealedOutput) -> RevealResult {
    RevealResult {
        outcome: Outcome::Ok,
        result_root: root,
        output,
        ..bench.reveal(seat)
    }
}

#[test]
fn inline_answers_must_give_their_root() {
    let (blob, root) = answer(100);
    let inline = RevealedOutput::Inline(blob.clone());
    let mut bench =
        Bench::committed(|b, seat| ok_reveal(b, seat, root, RevealedOutput::Inline(vec![])));
    let mut bad = |output| {
        let reveal = ok_reveal(&bench, 0, root, output);
        let error = bench.refused(0, TxBody::RevealResult(reveal));
        assert_eq!(error.code(), "seat.bad_output");
    };
    bad(RevealedOutput::Inline(vec![]));
    bad(RevealedOutput::Inline(answer(101).0));
    bad(RevealedOutput::Inline(answer(4_096).0));
    bad(RevealedOutput::Code(0));
    bad(RevealedOutput::Blob {
        sha256: sha256(&blob),
        size: 4_096,
    });
    bad(RevealedOutput::Blob {
        sha256: sha256(&blob),
        size: (1 << 20) + 1,
    });
    for seat in 0..3 {
        let reveal = ok_reveal(&bench, seat, root, inline.clone());
        bench.say(seat, TxBody::RevealResult(reveal));
    }
    assert_eq!(bench.world.phase(bench.job), Phase::Settled);
    let head = bench.world.state.jobs.get(&bench.job).unwrap();
    assert_eq!(head.answer.unwrap().result_root, root);
}

#[test]
fn failed_outcomes_carry_their_code_and_work_digests_are_zero() {
    let mut bench = Bench::committed(Bench::reveal);
    let wrong_code = RevealResult {
        output: RevealedOutput::Code(2),
        ..bench.reveal(0)
    };
    assert_eq!(
        bench.refused(0, TxBody::RevealResult(wrong_code)).code(),
        "seat.bad_output"
    );
    let with_blob = RevealResult {
        output: RevealedOutput::Inline(vec![]),
        ..bench.reveal(0)
    };
    assert_eq!(
        bench.refused(0, TxBody::RevealResult(with_blob)).code(),
        "seat.bad_output"
    );
    let digest = |b: &Bench, seat| RevealResult {
        work_digest: sha256(b"w"),
        ..b.reveal(seat)
    };
    let mut bench = Bench::committed(digest);
    let body = TxBody::RevealResult(digest(&bench, 0));
    assert_eq!(bench.refused(0, body).code(), "seat.bad_output");
}

#[test]
fn different_fuel_is_a_conflict() {
    let with_fuel = |b: &Bench, seat: u16| RevealResult {
        fuel: Fuel(1_000 + u64::from(seat / 2)),
        ..b.reveal(seat)
    };
    let mut bench = Bench::committed(with_fuel);
    for seat in 0..3 {
        let body = TxBody::RevealResult(with_fuel(&bench, seat));
        bench.say(seat, body);
    }
    assert_eq!(bench.world.phase(bench.job), Phase::Commit(Level::WholeSet));
    // First-level seats are closed, jurors are open.
    let closed = bench.commit(0);
    assert_eq!(
        bench.refused(0, closed),
        TxError::WrongPhase {
            phase: "whole_set_commit"
        }
    );
    let juror = bench.commit(3);
    bench.say(3, juror);
    assert_eq!(bench.world.phase(bench.job), Phase::Reveal(Level::WholeSet));
}

#[test]
fn jailed_winners_sit_as_no_shows() {
    let mut world = World::new();
    let job = world.submit(world.spec("m"));
    // Someone double-signs in the block of the draw; whether it sits follows from that block's id.
    world.blocks(1);
    for name in ["alice", "bob", "carol", "mallory"] {
        let mut trial = world.fork();
        let tx = crate::evidence::double_vote(&trial, name, trial.height());
        trial.block(&[tx]);
        let head = trial.state.jobs.get(&job).unwrap().clone();
        let id = trial.validator(name);
        assert_eq!(head.seats.len(), 3, "the list does not change");
        if head.seats.iter().any(|seat| seat.validator == id) {
            let seats = trial.seats(job);
            let seat = seats.iter().find(|(_, seat)| seat.validator == id).unwrap();
            assert_eq!(seat.1.state, ledger::execution::SeatState::NoShow);
            assert_eq!(trial.run(job), Phase::Settled);
            assert_eq!(trial.row(name).misses, 0);
            return;
        }
    }
    panic!("nobody sat");
}
