//! Goal: a seat that lies about a result loses exactly what the rules say, the client gets the
//! honest result, and nobody else is touched.

use std::sync::Arc;

use actors::tamper::{Profiles, SeatResult, Tamper};
use protocol::digest::sha256;
use protocol::events::{Event, Offence};
use protocol::job::SeatRef;
use protocol::result::{Dtype, OutputTensor, encode_blob, result_root};
use protocol::units::{Amount, Height};

use crate::cluster::Cluster;
use crate::paid_job;

/// Answers something else.
#[derive(Debug)]
struct Liar;

impl Tamper for Liar {
    fn name(&self) -> &'static str {
        "liar"
    }

    fn result(&self, _: &SeatRef, _: u16, result: SeatResult) -> SeatResult {
        let outputs = [OutputTensor {
            name: "sum".to_owned(),
            dtype: Dtype::U8,
            dims: vec![1],
            elements: vec![sha256(&result.output).as_bytes()[0] ^ 1],
        }];
        SeatResult {
            result_root: result_root(&outputs).unwrap(),
            output: encode_blob(&outputs).unwrap(),
            ..result
        }
    }
}

#[derive(Debug)]
struct OnlyLiar;

impl Profiles for OnlyLiar {
    fn names(&self) -> Vec<&'static str> {
        vec!["liar"]
    }

    fn make(&self, name: &str) -> Option<Arc<dyn Tamper>> {
        (name == "liar").then(|| Arc::new(Liar) as Arc<dyn Tamper>)
    }
}

#[test]
fn a_lying_seat_is_slashed_by_the_whole_set() {
    let cluster = Cluster::start_with(4, Arc::new(OnlyLiar));
    cluster.wait_height(2);
    cluster
        .node(3)
        .byzantine(Some(("liar", Height(0))))
        .unwrap();
    let liar = cluster.validator(3);
    // Three of four sit: some job soon draws the liar.
    let mut seated = None;
    for round in 0..8 {
        paid_job::submit(&cluster);
        let drawn = |event: &Event| match event {
            Event::Assigned { job, seats, .. } => Some((*job, seats.contains(&liar))),
            _ => None,
        };
        let count = |event: &Event| drawn(event).is_some();
        cluster.wait_events(1, "another draw", round + 1, count);
        let feed = cluster.node(1).feed().after(Height(0));
        let mut draws = feed
            .iter()
            .flat_map(|entry| entry.events.iter())
            .filter_map(drawn);
        seated = draws.find_map(|(job, seated)| seated.then_some(job));
        if seated.is_some() {
            break;
        }
    }
    let job = seated.expect("three of four seats, eight times");
    let (_, end) = cluster.wait_event(1, "the end of the job", |event| {
        event.job() == Some(job)
            && matches!(
                event,
                Event::Resolved { .. } | Event::Ambiguous { .. } | Event::Failed { .. }
            )
    });
    let feed = cluster.node(1).feed().after(Height(0));
    let story: Vec<_> = feed
        .iter()
        .flat_map(|entry| entry.events.iter().map(move |event| (entry.height, event)))
        .filter(|(_, event)| event.job() == Some(job))
        .collect();
    assert!(matches!(end, Event::Resolved { .. }), "{story:#?}");
    let slashes: Vec<_> = feed
        .iter()
        .flat_map(|entry| entry.events.iter())
        .filter_map(|event| match event {
            Event::Slashed {
                validator,
                offence,
                amount,
                ..
            } => Some((*validator, *offence, *amount)),
            _ => None,
        })
        .collect();
    assert_eq!(slashes, [(liar, Offence::WrongResult, Amount::pal(50))]);
    let state = &cluster.node(1).snapshot().state;
    assert!(state.validators.get(&liar).unwrap().jail.is_some());
    let (_, paid) = cluster.wait_event(
        1,
        "a payment",
        |event| matches!(event, Event::Released { job: of, .. } if *of == job),
    );
    assert!(matches!(paid, Event::Released { .. }));
    cluster.assert_agreement();
}
