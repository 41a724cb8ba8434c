//! From the draw to the slot, and every way of giving a seat up.

use protocol::digest::{Digest, JobId, sha256};
use protocol::events::{Event, FailCode};
use protocol::job::{JobParams, JobSpec, SeatRef};
use protocol::units::{Amount, Fuel, Height};

use super::ahead::Expected;
use super::workflow::{Artifact, Capacity, Input, Intent, Jobs};
use crate::execution::workflow::Order;

fn order(seat: u16, commit_closes: u64) -> Order {
    let spec = JobSpec {
        model_root: sha256(b"model"),
        engine: 1,
        input: sha256(&seat.to_be_bytes()),
        params: JobParams::default(),
        fuel_limit: Fuel(1),
        k: 3,
        max_price: Amount(1),
        expiry: Height(99),
    };
    let seat = SeatRef {
        job: JobId(sha256(&seat.to_be_bytes())),
        attempt: 0,
        seat,
    };
    let commit_closes = Height(commit_closes);
    Order {
        seat,
        spec,
        commit_closes,
        committed: None,
        reveal_closes: None,
    }
}

fn jobs(slots: usize) -> Jobs {
    Jobs::new(Capacity::Slots(slots), Height(9))
}

fn seat(jobs: &mut Jobs, order: &Order) -> Vec<Intent> {
    jobs.step(Input::Seated(Box::new(order.clone())))
}

fn fetched(jobs: &mut Jobs, artifact: Artifact, held: bool) -> Vec<Intent> {
    jobs.step(Input::Fetched { artifact, held })
}

fn height(jobs: &mut Jobs, height: u64, events: Vec<Event>) -> Vec<Intent> {
    jobs.step(Input::Committed {
        height: Height(height),
        events,
    })
}

fn model(order: &Order) -> Artifact {
    Artifact::Model(order.spec.model_root)
}

fn input(order: &Order) -> Artifact {
    Artifact::Input(order.spec.input)
}

fn said(intents: &[Intent]) -> Vec<&'static str> {
    let kind = |intent: &Intent| match intent {
        Intent::Submit { body, .. } => Some(body.kind().name()),
        _ => None,
    };
    intents.iter().filter_map(kind).collect()
}

fn run(intents: &[Intent]) -> Vec<SeatRef> {
    let seat = |intent: &Intent| match intent {
        Intent::Run(order) => Some(order.seat),
        _ => None,
    };
    intents.iter().filter_map(seat).collect()
}

#[test]
fn a_seat_runs_once_both_artifacts_are_here() {
    let (mut jobs, order) = (jobs(1), order(0, 20));
    let intents = seat(&mut jobs, &order);
    assert!(intents.contains(&Intent::Fetch(model(&order))));
    assert!(intents.contains(&Intent::Fetch(input(&order))));
    assert_eq!(
        seat(&mut jobs, &order),
        [],
        "the same seat twice is one seat"
    );
    assert_eq!(run(&fetched(&mut jobs, model(&order), true)), []);
    assert_eq!(run(&fetched(&mut jobs, input(&order), true)), [order.seat]);
}

#[test]
fn the_most_urgent_seat_goes_first_and_slots_are_not_oversold() {
    let (mut jobs, late, urgent) = (jobs(1), order(0, 30), order(1, 20));
    for order in [&late, &urgent] {
        seat(&mut jobs, order);
        fetched(&mut jobs, input(order), true);
    }
    assert_eq!(run(&fetched(&mut jobs, model(&late), true)), [urgent.seat]);
    assert_eq!(jobs.queued(), 1);
    assert_eq!(run(&jobs.step(Input::Finished(urgent.seat))), [late.seat]);
}

#[test]
fn what_nobody_has_gives_the_seat_up_in_so_many_words() {
    let (mut jobs, order) = (jobs(1), order(0, 20));
    seat(&mut jobs, &order);
    assert_eq!(
        said(&fetched(&mut jobs, input(&order), false)),
        ["input_unavailable"]
    );
    assert_eq!(
        said(&height(&mut jobs, 10, vec![])),
        ["input_unavailable"],
        "said until heard"
    );
    assert_eq!(
        said(&height(&mut jobs, 20, vec![])),
        Vec::<&str>::new(),
        "or the window is over"
    );
    assert_eq!(jobs.queued(), 0);
}

#[test]
fn a_closed_host_declines_at_once() {
    let (mut jobs, order) = (Jobs::new(Capacity::Closed, Height(9)), order(0, 20));
    assert_eq!(said(&seat(&mut jobs, &order)), ["decline"]);
}

#[test]
fn a_seat_that_waits_too_long_is_given_up_in_time() {
    let (mut jobs, busy, ready, fetching) = (jobs(1), order(0, 40), order(1, 20), order(2, 20));
    seat(&mut jobs, &busy);
    fetched(&mut jobs, model(&busy), true);
    fetched(&mut jobs, input(&busy), true);
    seat(&mut jobs, &ready);
    fetched(&mut jobs, model(&ready), true);
    fetched(&mut jobs, input(&ready), true);
    seat(&mut jobs, &fetching);
    assert_eq!(said(&height(&mut jobs, 17, vec![])), Vec::<&str>::new());
    let mut words = said(&height(&mut jobs, 18, vec![]));
    words.sort_unstable();
    assert_eq!(words, ["decline", "input_unavailable"]);
}

#[test]
fn an_ended_job_is_forgotten_and_its_run_cancelled() {
    let (mut jobs, order) = (jobs(1), order(0, 20));
    seat(&mut jobs, &order);
    let event = Event::Failed {
        job: order.seat.job,
        code: FailCode::NoQuorum,
    };
    let intents = height(&mut jobs, 10, vec![event]);
    assert_eq!(intents[0], Intent::Cancel(order.seat.job));
    assert!(matches!(&intents[1], Intent::Pin(left) if left.is_empty()));
    assert_eq!(run(&fetched(&mut jobs, model(&order), true)), []);
}

#[test]
fn a_replayed_height_changes_nothing() {
    let (mut jobs, order) = (jobs(1), order(0, 20));
    seat(&mut jobs, &order);
    height(&mut jobs, 12, vec![]);
    let event = Event::Cancelled {
        job: order.seat.job,
    };
    assert_eq!(height(&mut jobs, 12, vec![event]), []);
    assert_eq!(jobs.queued(), 1);
}

fn refreshed(jobs: &mut Jobs, order: &Order) -> Vec<Intent> {
    let (seat, order) = (order.seat, Some(Box::new(order.clone())));
    jobs.step(Input::Refreshed { seat, order })
}

/// After a restart the chain may take the old commit, and open the reveal, while the seat waits.
#[test]
fn a_commit_and_a_window_that_come_while_a_seat_waits_go_with_its_run() {
    let (mut jobs, order) = (jobs(1), order(0, 20));
    seat(&mut jobs, &order);
    let bound = Order {
        committed: Some(Digest([7; 32])),
        reveal_closes: Some(Height(30)),
        ..order.clone()
    };
    assert_eq!(jobs.waiting(), [order.seat]);
    assert_eq!(refreshed(&mut jobs, &bound), []);
    let words = said(&height(&mut jobs, 18, vec![]));
    assert_eq!(words, Vec::<&str>::new(), "a bound seat is not given up");
    height(&mut jobs, 21, vec![]);
    fetched(&mut jobs, model(&order), true);
    let intents = fetched(&mut jobs, input(&order), true);
    assert!(
        intents.contains(&Intent::Run(Box::new(bound))),
        "{intents:?}"
    );
    assert_eq!(jobs.waiting(), []);
}

#[test]
fn a_seat_given_up_whose_old_commit_is_included_is_taken_up_again() {
    let (mut jobs, order) = (jobs(1), order(0, 20));
    seat(&mut jobs, &order);
    let words = said(&fetched(&mut jobs, input(&order), false));
    assert_eq!(words, ["input_unavailable"]);
    let bound = Order {
        committed: Some(Digest([7; 32])),
        ..order.clone()
    };
    assert!(refreshed(&mut jobs, &bound).contains(&Intent::Fetch(input(&order))));
    assert_eq!(
        said(&fetched(&mut jobs, input(&order), false)),
        Vec::<&str>::new()
    );
    let again = height(&mut jobs, 10, vec![]);
    assert!(again.contains(&Intent::Fetch(input(&order))), "{again:?}");
}

#[test]
fn a_waiting_seat_that_has_spoken_is_forgotten() {
    let (mut jobs, order) = (jobs(1), order(0, 20));
    seat(&mut jobs, &order);
    let seat = order.seat;
    let intents = jobs.step(Input::Refreshed { seat, order: None });
    assert!(matches!(&intents[..], [Intent::Pin(left)] if left.is_empty()));
    assert_eq!(jobs.queued(), 0);
}

fn expected(jobs: &mut Jobs, order: &Order) -> Vec<Intent> {
    jobs.step(Input::Expected(Expected {
        job: order.seat.job,
        model: order.spec.model_root,
        input: order.spec.input,
    }))
}

fn assigned(order: &Order) -> Event {
    let SeatRef { job, attempt, .. } = order.seat;
    Event::Assigned {
        job,
        attempt,
        seats: Vec::new(),
    }
}

/// A large model takes longer than a window, so it is pulled from the inclusion of its job on.
#[test]
fn files_are_pulled_before_the_draw_and_left_if_no_seat_comes_of_it() {
    let (mut jobs, drawn, other) = (jobs(1), order(0, 20), order(1, 20));
    for order in [&drawn, &other] {
        let intents = expected(&mut jobs, order);
        assert!(intents.contains(&Intent::FetchAhead(model(order))));
        assert!(intents.contains(&Intent::FetchAhead(input(order))));
        assert_eq!(expected(&mut jobs, order), [], "once");
    }
    assert_eq!(jobs.queued(), 0, "it is no duty yet");
    fetched(&mut jobs, model(&drawn), true);
    let intents = seat(&mut jobs, &drawn);
    assert!(
        intents.contains(&Intent::Fetch(input(&drawn))),
        "in earnest"
    );
    let intents = height(&mut jobs, 10, vec![assigned(&drawn), assigned(&other)]);
    let left: Vec<_> = intents
        .iter()
        .filter(|intent| matches!(intent, Intent::LeaveAhead(_)))
        .collect();
    assert_eq!(
        left,
        [&Intent::LeaveAhead(input(&other))],
        "the model is here"
    );
    fetched(&mut jobs, model(&drawn), true);
    assert_eq!(run(&fetched(&mut jobs, input(&drawn), true)), [drawn.seat]);
}

#[test]
fn a_closed_host_and_a_full_one_pull_nothing_ahead() {
    let mut closed = Jobs::new(Capacity::Closed, Height(9));
    assert_eq!(expected(&mut closed, &order(0, 20)), []);
    let mut jobs = jobs(1);
    for seat in 0..4 {
        assert_ne!(expected(&mut jobs, &order(seat, 20)), []);
    }
    assert_eq!(expected(&mut jobs, &order(4, 20)), [], "a few at a time");
    // One file is the same for all; with the other, the first of them makes room.
    fetched(&mut jobs, model(&order(0, 20)), true);
    fetched(&mut jobs, input(&order(0, 20)), false);
    assert_ne!(expected(&mut jobs, &order(4, 20)), []);
    let event = Event::Cancelled {
        job: order(1, 20).seat.job,
    };
    let intents = height(&mut jobs, 10, vec![event]);
    assert!(intents.contains(&Intent::LeaveAhead(input(&order(1, 20)))));
}

/// Peers may get a file between a search that began before the draw and the seat: only a search of its
/// own lets the seat say that nobody has it.
#[test]
fn a_search_that_began_before_the_draw_gives_no_seat_up() {
    let (mut jobs, order) = (jobs(1), order(0, 20));
    expected(&mut jobs, &order);
    seat(&mut jobs, &order);
    height(&mut jobs, 10, vec![assigned(&order)]);
    let intents = fetched(&mut jobs, input(&order), false);
    assert_eq!(intents, [Intent::Fetch(input(&order))]);
    let intents = fetched(&mut jobs, input(&order), false);
    assert_eq!(said(&intents), ["input_unavailable"]);
}
