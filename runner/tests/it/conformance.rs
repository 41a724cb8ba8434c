//! The vectors: what makes a host one of us.

use std::collections::BTreeSet;

use protocol::engine::conformance;
use runner::conformance::{answer, vectors};
use runner::operators::ADMITTED;
use runner::{ENGINE_ONNX_GEN, Verdict};

use crate::support::engine;

/// Names the graphs that differ if this host does not conform.
#[test]
fn this_host_conforms() {
    let report = engine().conform();
    let Verdict::Conformed { digest } = report.verdict else {
        panic!("{:?}: {}", report.verdict, report.remark);
    };
    assert_eq!(Some(digest), conformance(ENGINE_ONNX_GEN));
}

/// Every admitted operator has a vector of its own name.
#[test]
fn every_admitted_operator_has_a_vector() {
    let vectors = vectors();
    let covered: BTreeSet<&str> = vectors
        .iter()
        .filter_map(|vector| vector.name.split('-').next())
        .collect();
    let missing: Vec<_> = ADMITTED
        .iter()
        .map(|(name, _)| *name)
        .filter(|n| !covered.contains(n))
        .collect();
    assert!(missing.is_empty(), "no vector: {missing:?}");
    let admitted: BTreeSet<&str> = ADMITTED.iter().map(|(name, _)| *name).collect();
    let stray: Vec<_> = covered
        .into_iter()
        .filter(|n| *n != "net" && !admitted.contains(n))
        .collect();
    assert!(
        stray.is_empty(),
        "vectors of operators that are not admitted: {stray:?}"
    );
}

#[test]
fn repeated_runs_answer_alike() {
    for vector in vectors()
        .iter()
        .filter(|vector| vector.name.starts_with("net-"))
    {
        let first = answer(engine(), vector).expect("an answer");
        for _ in 0..5 {
            assert_eq!(answer(engine(), vector).as_ref(), Ok(&first));
        }
    }
}

/// They travel inside the binary and run at every start.
#[test]
fn the_pack_is_small() {
    let bytes: usize = vectors().iter().map(|vector| vector.model.len()).sum();
    assert!(bytes < 1 << 20, "{bytes} bytes of models");
}
