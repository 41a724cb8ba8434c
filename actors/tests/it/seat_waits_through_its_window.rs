//! Goal: a seat that still waits for a slot while its reveal window opens is revealed all the same.
//!
//! Method: a node commits from two seats and restarts; its one slot is held up by the first seat
//! while the chain opens both windows, so of the second window it hears before that seat runs.

use protocol::events::Event;
use protocol::units::{Fuel, Height};

use crate::cluster::Cluster;
use crate::paid_job::submit_to;

/// The node that restarts; the others hold their commits back until it is up again.
const RESTARTED: usize = 3;

#[test]
fn a_seat_that_waits_while_its_window_opens_is_revealed() {
    let mut cluster = Cluster::start(4);
    for gate in &cluster.gates[..RESTARTED] {
        gate.close();
    }
    cluster.wait_height(2);
    for client in [1, 2] {
        submit_to(
            &cluster,
            client,
            [1, 2, 3, client],
            (4, Fuel(2_000_000_000)),
        );
    }
    let own = cluster.validator(RESTARTED);
    let committed =
        |event: &Event| matches!(event, Event::Committed { validator, .. } if *validator == own);
    cluster.wait_events(0, "both commits", 2, committed);
    cluster.stop_node(RESTARTED);
    cluster.gates[RESTARTED].close();
    cluster.start_node(RESTARTED);
    let tip = cluster.node(0).snapshot().height;
    cluster.wait(RESTARTED, "the tip", |s| s.height >= tip);
    for gate in &cluster.gates[..RESTARTED] {
        gate.open();
    }
    let window = |event: &Event| matches!(event, Event::RevealWindow { .. });
    cluster.wait_events(RESTARTED, "both windows", 2, window);
    cluster.gates[RESTARTED].open();
    let ended = |event: &Event| {
        matches!(
            event,
            Event::Settled { .. } | Event::Failed { .. } | Event::Expired { .. }
        )
    };
    cluster.wait_events(0, "the ends of both jobs", 2, ended);
    let revealed =
        |event: &Event| matches!(event, Event::Revealed { validator, .. } if *validator == own);
    let entries = cluster.node(0).feed().after(Height(0));
    let all = entries.iter().flat_map(|entry| entry.events.iter());
    assert_eq!(all.filter(|event| revealed(event)).count(), 2);
}
