//! The way of one seat, and every way out of it.

use protocol::digest::{ChainId, Digest, JobId, TxId, ValidatorId, sha256};
use protocol::events::{Event, Level};
use protocol::job::{DeclineReason, JobParams, JobSpec, Outcome, SeatRef};
use protocol::limits::INLINE_OUTPUT_BYTES_MAX;
use protocol::tx::{RevealedOutput, TxBody};
use protocol::units::{Amount, Fuel, Height};

use super::workflow::{Execution, Input, Intent, Order};
use crate::tamper::SeatResult;

const SALT: Digest = Digest([9; 32]);

fn me() -> ValidatorId {
    ValidatorId(sha256(b"me"))
}

fn seat() -> SeatRef {
    SeatRef {
        job: JobId(sha256(b"job")),
        attempt: 0,
        seat: 1,
    }
}

fn order() -> Order {
    let spec = JobSpec {
        model_root: sha256(b"model"),
        engine: 1,
        input: sha256(b"input"),
        params: JobParams::default(),
        fuel_limit: Fuel(1),
        k: 3,
        max_price: Amount(1),
        expiry: Height(99),
    };
    Order {
        seat: seat(),
        spec,
        commit_closes: Height(20),
        committed: None,
        reveal_closes: None,
    }
}

fn execution() -> Execution {
    let mut execution = Execution::new(ChainId::of_genesis(b"chain"), Height(9));
    execution.know(Some(me()));
    execution
}

fn result(output: Vec<u8>) -> SeatResult {
    SeatResult {
        outcome: Outcome::Ok,
        result_root: sha256(&output),
        fuel: Fuel(7),
        output,
        code: 0,
    }
}

fn ended(end: Result<SeatResult, DeclineReason>) -> Input {
    Input::Ended {
        seat: seat(),
        end,
        salt: SALT,
    }
}

fn height(height: u64, events: Vec<Event>) -> Input {
    Input::Committed {
        height: Height(height),
        events,
    }
}

fn committed(commit: Digest) -> Event {
    let SeatRef { job, attempt, seat } = seat();
    Event::Committed {
        job,
        attempt,
        seat,
        validator: me(),
        commit,
        tx: TxId::ZERO,
    }
}

fn reveal_window(closes: u64) -> Event {
    let SeatRef { job, attempt, .. } = seat();
    Event::RevealWindow {
        job,
        attempt,
        level: Level::Committee,
        closes: Height(closes),
    }
}

fn revealed() -> Event {
    let SeatRef { job, attempt, seat } = seat();
    Event::Revealed {
        job,
        attempt,
        seat,
        validator: me(),
        outcome: Outcome::Ok,
        result_root: Digest::ZERO,
        fuel: Fuel(7),
        tx: TxId::ZERO,
    }
}

/// What is said, by kind.
fn said(intents: &[Intent]) -> Vec<&'static str> {
    let kind = |intent: &Intent| match intent {
        Intent::Submit { body, .. } => Some(body.kind().name()),
        _ => None,
    };
    intents.iter().filter_map(kind).collect()
}

/// The commit that a step asks to make durable.
fn marked(intents: &[Intent]) -> Digest {
    let mark = intents.iter().find_map(|intent| match intent {
        Intent::Mark { commit, .. } => Some(*commit),
        _ => None,
    });
    mark.expect("a mark")
}

#[test]
fn a_seat_commits_seals_and_reveals() {
    let mut execution = execution();
    assert_eq!(
        execution.step(Input::Run(order())),
        [Intent::Start(order())]
    );
    let intents = execution.step(ended(Ok(result(vec![1]))));
    assert!(matches!(
        intents[0],
        Intent::Finished {
            digest: Some(_),
            ..
        }
    ));
    let commit = marked(&intents);
    assert_eq!(
        said(&intents),
        Vec::<&str>::new(),
        "nothing leaves before the mark is durable"
    );
    let intents = execution.step(Input::Marked {
        seat: seat(),
        allowed: true,
    });
    assert_eq!(said(&intents), ["commit_result"]);
    let again = execution.step(height(10, vec![]));
    assert_eq!(said(&again), ["commit_result"], "until the chain has it");
    assert_eq!(
        said(&execution.step(height(11, vec![committed(commit)]))),
        Vec::<&str>::new()
    );
    let intents = execution.step(height(12, vec![reveal_window(16)]));
    assert_eq!(said(&intents), ["reveal_result"]);
    let Intent::Submit {
        body: TxBody::RevealResult(reveal),
        valid_until,
    } = &intents[0]
    else {
        panic!("{intents:?}")
    };
    assert_eq!((reveal.salt, *valid_until), (SALT, Height(16)));
    assert_eq!(reveal.output, RevealedOutput::Inline(vec![1]));
    assert_eq!(
        said(&execution.step(height(13, vec![revealed()]))),
        Vec::<&str>::new()
    );
    assert_eq!(execution.seats().count(), 0);
}

#[test]
fn a_long_output_travels_as_a_blob() {
    let mut execution = execution();
    execution.step(Input::Run(order()));
    let output = vec![3; INLINE_OUTPUT_BYTES_MAX + 1];
    let intents = execution.step(ended(Ok(result(output.clone()))));
    assert_eq!(stored(&intents), [&output]);
    let commit = marked(&intents);
    execution.step(Input::Stored(seat()));
    execution.step(Input::Marked {
        seat: seat(),
        allowed: true,
    });
    execution.step(height(10, vec![committed(commit)]));
    let intents = execution.step(height(11, vec![reveal_window(16)]));
    let Intent::Submit {
        body: TxBody::RevealResult(reveal),
        ..
    } = &intents[0]
    else {
        panic!("{intents:?}")
    };
    let size = u64::try_from(output.len()).unwrap();
    assert_eq!(
        reveal.output,
        RevealedOutput::Blob {
            sha256: sha256(&output),
            size
        }
    );
}

/// The outputs that a step asks to store.
fn stored(intents: &[Intent]) -> Vec<&Vec<u8>> {
    let outputs = intents.iter().filter_map(|intent| match intent {
        Intent::PutBlob { bytes, .. } => Some(bytes),
        _ => None,
    });
    outputs.collect()
}

/// A seat whose output storage has not taken, in a reveal window that closes at height 16.
fn unstored(output: &[u8]) -> (Execution, Vec<Intent>) {
    let mut execution = execution();
    execution.step(Input::Run(order()));
    let commit = marked(&execution.step(ended(Ok(result(output.to_vec())))));
    execution.step(Input::Marked {
        seat: seat(),
        allowed: true,
    });
    execution.step(height(10, vec![committed(commit)]));
    let intents = execution.step(height(11, vec![reveal_window(16)]));
    (execution, intents)
}

/// Goal: an output survives a full blob queue. Method: no answer at first; the queue takes it later.
#[test]
fn an_output_that_a_full_queue_did_not_take_is_stored_before_its_reveal() {
    let output = vec![3; INLINE_OUTPUT_BYTES_MAX + 1];
    let (mut execution, intents) = unstored(&output);
    assert_eq!(stored(&intents), [&output], "asked for again");
    assert!(said(&intents).is_empty(), "and held back");
    let intents = execution.step(height(12, vec![]));
    assert_eq!(stored(&intents), [&output]);
    let intents = execution.step(Input::Stored(seat()));
    assert_eq!(said(&intents), ["reveal_result"], "as soon as it is there");
    assert!(stored(&execution.step(height(13, vec![]))).is_empty());
    assert_eq!(execution.step(Input::Stored(seat())), [], "once is enough");
}

/// A disk that takes nothing does not cost the seat its reveal, nor the job its quorum.
#[test]
fn an_output_that_is_never_stored_is_revealed_in_time() {
    let output = vec![3; INLINE_OUTPUT_BYTES_MAX + 1];
    let (mut execution, _) = unstored(&output);
    let held = execution.step(height(13, vec![]));
    assert!(said(&held).is_empty());
    let intents = execution.step(height(14, vec![]));
    assert_eq!(said(&intents), ["reveal_result"]);
    assert_eq!(stored(&intents), [&output], "and still asked for");
}

#[test]
fn a_host_fault_is_declined_not_signed() {
    let mut execution = execution();
    execution.step(Input::Run(order()));
    let intents = execution.step(ended(Err(DeclineReason::OutOfMemory)));
    assert_eq!(said(&intents), ["decline"]);
    assert_eq!(
        said(&execution.step(height(10, vec![]))),
        ["decline"],
        "until the chain has it"
    );
}

#[test]
fn a_slow_run_is_given_up_two_blocks_before_its_deadline() {
    let mut execution = execution();
    execution.step(Input::Run(order()));
    assert_eq!(
        execution.step(height(17, vec![])),
        [Intent::Note(Height(17))]
    );
    let intents = execution.step(height(18, vec![]));
    assert_eq!(intents[0], Intent::Stop(seat()));
    assert_eq!(said(&intents), ["decline"]);
    assert_eq!(
        execution.step(ended(Ok(result(vec![1])))),
        [],
        "its end finds nobody"
    );
    assert_eq!(
        said(&execution.step(height(20, vec![]))),
        Vec::<&str>::new()
    );
    assert_eq!(execution.seats().count(), 0, "the window is over");
}

#[test]
fn another_commit_for_the_seat_silences_it() {
    let mut execution = execution();
    execution.step(Input::Run(order()));
    execution.step(ended(Ok(result(vec![1]))));
    assert_eq!(
        execution.step(Input::Marked {
            seat: seat(),
            allowed: false
        }),
        []
    );
    assert_eq!(execution.seats().count(), 0);
}

#[test]
fn an_ended_job_kills_its_run() {
    let mut execution = execution();
    execution.step(Input::Run(order()));
    let intents = execution.step(Input::Cancel(seat().job));
    assert_eq!(intents[0], Intent::Stop(seat()));
    assert_eq!(execution.seats().count(), 0);
}

/// After a restart jobs hands the seat over again, with what the chain holds of it.
#[test]
fn a_restarted_seat_reveals_only_what_it_committed() {
    let mut first = execution();
    first.step(Input::Run(order()));
    let commit = marked(&first.step(ended(Ok(result(vec![1])))));
    let resumed = Order {
        committed: Some(commit),
        reveal_closes: Some(Height(30)),
        ..order()
    };
    let mut second = execution();
    second.step(Input::Run(resumed.clone()));
    assert_eq!(
        said(&second.step(ended(Ok(result(vec![1]))))),
        ["reveal_result"]
    );
    let mut other = execution();
    other.step(Input::Run(resumed.clone()));
    let intents = other.step(ended(Ok(result(vec![2]))));
    assert_eq!(
        said(&intents),
        Vec::<&str>::new(),
        "another result does not open the commit"
    );
    let mut broken = execution();
    broken.step(Input::Run(resumed));
    let intents = broken.step(ended(Err(DeclineReason::EnginePanic)));
    assert_eq!(
        said(&intents),
        Vec::<&str>::new(),
        "a committed seat cannot decline"
    );
}

fn again(intents: &[Intent]) -> Vec<&Order> {
    fn order(intent: &Intent) -> Option<&Order> {
        match intent {
            Intent::Again(order) => Some(order),
            _ => None,
        }
    }
    intents.iter().filter_map(order).collect()
}

/// The chain holds its commit, so it must reveal: one failed run is no reason to stay silent.
#[test]
fn a_bound_seat_whose_run_failed_runs_again() {
    let bound = Order {
        committed: Some(Digest([7; 32])),
        reveal_closes: Some(Height(30)),
        ..order()
    };
    for (at, runs_again) in [(10, true), (29, true), (30, false)] {
        let mut execution = execution();
        execution.step(Input::Run(bound.clone()));
        let intents = execution.step(ended(Err(DeclineReason::OutOfMemory)));
        assert!(
            matches!(intents[..], [Intent::Finished { .. }]),
            "{intents:?}"
        );
        let intents = execution.step(height(at, vec![]));
        let expected = if runs_again { vec![&bound] } else { vec![] };
        assert_eq!(again(&intents), expected, "at height {at}");
        assert_eq!(execution.seats().count(), 0, "jobs has it, or nobody");
    }
}

/// A commit sent before a restart is taken after it, while the second run has failed.
#[test]
fn a_declining_seat_that_is_bound_after_all_runs_again() {
    let mut execution = execution();
    execution.step(Input::Run(order()));
    let intents = execution.step(ended(Err(DeclineReason::OutOfMemory)));
    assert_eq!(said(&intents), ["decline"]);
    let commit = Digest([7; 32]);
    let intents = execution.step(height(10, vec![committed(commit)]));
    assert_eq!(said(&intents), Vec::<&str>::new(), "it cannot decline");
    let bound = Order {
        committed: Some(commit),
        ..order()
    };
    assert_eq!(again(&intents), [&bound]);
}

#[test]
fn a_replayed_height_changes_nothing() {
    let mut execution = execution();
    execution.step(Input::Run(order()));
    assert_eq!(execution.step(height(9, vec![reveal_window(16)])), []);
    execution.step(height(18, vec![]));
    assert_eq!(execution.step(height(18, vec![])), []);
}

/// Storage refuses what finds its queue full, and answers nothing then.
#[test]
fn a_mark_that_a_full_journal_did_not_take_is_made_again() {
    let mut execution = execution();
    execution.step(Input::Run(order()));
    let commit = marked(&execution.step(ended(Ok(result(vec![1])))));
    assert_eq!(marked(&execution.step(height(10, vec![]))), commit);
    let allowed = Input::Marked {
        seat: seat(),
        allowed: true,
    };
    assert_eq!(said(&execution.step(allowed.clone())), ["commit_result"]);
    assert_eq!(
        execution.step(allowed),
        [],
        "the other answer changes nothing"
    );
    let again = execution.step(height(11, vec![]));
    assert_eq!(said(&again), ["commit_result"]);
}

#[test]
fn a_run_that_ends_after_its_validator_is_gone_frees_its_slot() {
    let mut execution = execution();
    execution.step(Input::Run(order()));
    execution.know(None);
    let intents = execution.step(ended(Ok(result(vec![1]))));
    assert!(matches!(
        intents[..],
        [Intent::Finished { digest: None, .. }]
    ));
    assert_eq!(execution.seats().count(), 0);
}
