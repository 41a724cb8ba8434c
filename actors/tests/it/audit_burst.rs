//! Goal: more to record at once than the journal's queue holds stops nobody. After its state was lost,
//! a start tells every event that is kept: a validator that was paid often has thousands of receipts.

use protocol::digest::Digest;

use crate::cluster::Cluster;

const RECORDS: u32 = 5_000;

#[test]
fn thousands_of_records_at_once_are_all_written() {
    let cluster = Cluster::start(1);
    cluster.wait_height(1);
    let node = cluster.nodes[0].as_ref().unwrap();
    let audit = node.handle.audit();
    for number in 0..RECORDS {
        audit.record("test", "burst", number.to_string(), Digest::ZERO);
    }
    let written = || {
        let families = node.registry.gather();
        let of_burst = families
            .iter()
            .filter(|family| family.name() == "palisade_audit_records_total")
            .flat_map(|family| family.get_metric())
            .find(|metric| metric.get_label()[0].value() == "burst");
        of_burst.map_or(0.0, |metric| metric.get_counter().get_value())
    };
    let before = node.handle.snapshot().height;
    cluster.wait(0, "blocks go on while all of it is written", |snapshot| {
        snapshot.height > before.plus(1) && written() >= f64::from(RECORDS)
    });
}
