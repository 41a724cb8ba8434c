//! Goal: a panic on a slot's thread costs that run, and neither its seat's word nor the slot.

use protocol::events::{Event, FailCode};
use protocol::units::Fuel;

use crate::cluster::Cluster;
use crate::fake::PANICS;
use crate::paid_job::submit_to;

#[test]
fn a_slot_that_panics_declines_its_seat_and_serves_the_next() {
    let cluster = Cluster::start(4);
    cluster.wait_height(2);
    let terms = (4, Fuel(2_000_000_000));
    submit_to(&cluster, 1, [PANICS, 2, 3, 4], terms);
    let (_, end) = cluster.wait_event(1, "the end of the first job", |event| {
        matches!(
            event,
            Event::Settled { .. } | Event::Failed { .. } | Event::Expired { .. }
        )
    });
    let declined = matches!(
        end,
        Event::Failed {
            code: FailCode::Declined,
            ..
        }
    );
    assert!(declined, "{end:?}");
    submit_to(&cluster, 2, [1, 2, 3, 4], terms);
    let settled = |event: &Event| matches!(event, Event::Settled { .. });
    cluster.wait_event(1, "the second job settled", settled);
}
