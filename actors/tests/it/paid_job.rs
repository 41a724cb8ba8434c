//! Goal: a job goes from submission to payment: artifacts travel from the node that took them to the
//! committee, seats commit and reveal, escrow pays them.

use actors::mempool::Admission;
use ledger::execution::{Output, Reveal, SeatState};
use protocol::codec::encode;
use protocol::events::Event;
use protocol::job::{JobParams, JobSpec, Outcome};
use protocol::manifest::{
    DimSpec, FileDigest, InputManifest, InputSpec, InputTensor, MANIFEST_VERSION, ModelKind,
    ModelManifest, OutputSpec,
};
use protocol::result::Dtype;
use protocol::tx::{SubmitJob, TxBody};
use protocol::units::{Amount, Fuel};

use crate::cluster::{Cluster, wallet};

/// Larger than one chunk, so that it has to be assembled.
fn model_file() -> Vec<u8> {
    (0..300_000_u32)
        .map(|n| u8::try_from(n % 251).unwrap())
        .collect()
}

fn model(file: &[u8]) -> ModelManifest {
    let dims = vec![DimSpec::Fixed(4)];
    ModelManifest {
        version: MANIFEST_VERSION,
        kind: ModelKind::Onnx,
        name: "sum".to_owned(),
        licence: "Apache-2.0".to_owned(),
        file: FileDigest::of(file),
        inputs: vec![InputSpec {
            name: "x".to_owned(),
            dtype: Dtype::U8,
            dims,
        }],
        outputs: vec![OutputSpec {
            name: "sum".to_owned(),
            dtype: Dtype::U8,
            rank: 1,
        }],
    }
}

fn input(bundle: &[u8]) -> InputManifest {
    InputManifest {
        version: MANIFEST_VERSION,
        inputs: vec![InputTensor {
            name: "x".to_owned(),
            dtype: Dtype::U8,
            dims: vec![4],
            offset: 0,
        }],
        bundle: FileDigest::of(bundle),
    }
}

fn put(cluster: &Cluster, index: usize, file: &[u8], manifest: Vec<u8>) {
    let node = cluster.node(index);
    cluster.runtime.block_on(async {
        for chunk in file.chunks(protocol::manifest::CHUNK_BYTES) {
            let claimed = protocol::digest::sha256(chunk);
            node.put_chunk(claimed, chunk.to_vec()).await.unwrap();
        }
        let put = node.put_manifest(manifest).await.unwrap();
        assert_eq!(put.missing, []);
    });
}

/// Submits a job to the first node and gives the payment that was locked for it.
pub(crate) fn submit(cluster: &Cluster) -> Amount {
    submit_with(cluster, 1, [1, 2, 3, 4])
}

fn submit_with(cluster: &Cluster, client: u8, bundle: [u8; 4]) -> Amount {
    submit_to(cluster, client, bundle, (3, Fuel(2_000_000_000)))
}

/// As [`submit`], for another client, with so many seats and so much fuel.
pub(crate) fn submit_to(
    cluster: &Cluster,
    client: u8,
    bundle: [u8; 4],
    (k, fuel_limit): (u16, Fuel),
) -> Amount {
    let file = model_file();
    let (model, input) = (model(&file), input(&bundle));
    put(cluster, 0, &file, encode(&model));
    put(cluster, 0, &bundle, encode(&input));
    let max_price = Amount::pal(2);
    let spec = JobSpec {
        model_root: model.root(),
        engine: 1,
        input: input.root(),
        params: JobParams::default(),
        fuel_limit,
        k,
        max_price,
        expiry: cluster.node(0).snapshot().height.plus(100),
    };
    let body = TxBody::SubmitJob(SubmitJob {
        spec,
        sponsor: None,
    });
    let admission = cluster.submit(0, &wallet(client), body);
    assert!(matches!(admission, Admission::Admitted(_)), "{admission:?}");
    max_price
}

#[test]
fn a_job_is_run_revealed_and_paid() {
    let cluster = Cluster::start(4);
    cluster.wait_height(2);
    let locked = submit(&cluster);
    let (_, settled) = cluster.wait_event(1, "the end of the job", |event| {
        matches!(
            event,
            Event::Settled { .. } | Event::Failed { .. } | Event::Expired { .. }
        )
    });
    let Event::Settled { job, outcome, .. } = settled else {
        panic!("{settled:?}")
    };
    assert_eq!(outcome, Outcome::Ok);
    let snapshot = cluster.node(1).snapshot();
    let head = snapshot.state.jobs.get(&job).unwrap();
    let amounts = &head.amounts;
    assert_eq!(amounts.locked, locked);
    assert_eq!(amounts.held, Amount::ZERO);
    assert!(amounts.paid > Amount::ZERO && amounts.refunded > Amount::ZERO);
    cluster.assert_agreement();
}

const JOBS: u8 = 30;

/// A long output is a blob that only the seats have; the node that took the job fetches it, for
/// that is where its client will ask.
#[test]
fn the_node_that_took_the_job_fetches_a_long_output() {
    let cluster = Cluster::start(4);
    cluster.wait_height(2);
    let own = cluster.validator(0);
    // Three of four sit in each: that the first node sits in all of these has a chance of 1 in 5,000.
    for client in 1..=JOBS {
        submit_with(&cluster, client, [255, 2, 3, client]);
    }
    let settled = |event: &Event| matches!(event, Event::Settled { .. });
    cluster.wait_events(1, "all jobs settled", usize::from(JOBS), settled);
    let snapshot = cluster.node(1).snapshot();
    let mut heads = snapshot.state.jobs.iter();
    let (job, head) = heads
        .find(|(_, head)| head.seats.iter().all(|holder| holder.validator != own))
        .expect("a committee without the first node");
    let seat = protocol::job::SeatRef {
        job: *job,
        attempt: head.attempt,
        seat: 0,
    };
    let SeatState::Revealed(Reveal {
        output: Output::Blob { sha256, size },
        ..
    }) = snapshot.state.seats.get(&seat).unwrap().state
    else {
        panic!("a long output is a blob");
    };
    let node = cluster.node(0);
    let held = || actors::blobs::length(node.storage(), sha256);
    cluster.wait(0, "the output", |_| held() == Some(size));
}
