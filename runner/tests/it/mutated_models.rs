//! Mutations of real models: only listed outcomes, the same one twice, and never a crash.

use proptest::prelude::*;
use protocol::job::DeclineReason;

use crate::onnx::{line, node};
use crate::support::{declined, described, floats, run_as};

const DIGITS: &[u8] = include_bytes!("../../../examples/digits/digits.onnx");

fn small() -> Vec<u8> {
    let nodes = vec![
        node("Exp", &["x"], &["e"]),
        node("Add", &["e", "w"], &["s"]),
        node("ReduceSum", &["s", "axes"], &["r"]),
        node("Mul", &["x", "r"], &["y"]),
    ];
    line(
        nodes,
        vec![
            crate::onnx::floats("w", &[1], &[0.5]),
            crate::onnx::ints("axes", &[0]),
        ],
    )
    .file()
}

/// A signed outcome, or the one Decline that a file can provoke.
fn is_listed(report: &runner::Report) -> bool {
    match declined(report) {
        Some(reason) => reason == DeclineReason::EnginePanic,
        None => report.signable().is_some(),
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..Default::default() })]

    #[test]
    fn of_a_small_graph(flips in prop::collection::vec((0..4096_usize, 0..8_u32), 1..4)) {
        let original = small();
        let mut file = original.clone();
        for (place, bit) in flips {
            let place = place % file.len();
            file[place] ^= 1 << bit;
        }
        let model = described(&original);
        let array = || floats(&[4], &[0.5, -1.0, f32::NAN, 2.0]);
        let first = run_as(&model, &file, array());
        prop_assert!(is_listed(&first), "{:?}", first);
        prop_assert_eq!(run_as(&model, &file, array()).verdict, first.verdict);
    }

    #[test]
    fn of_digits_outside_its_weights(place in 0..900_usize, byte in any::<u8>()) {
        let model = described(DIGITS);
        let mut file = DIGITS.to_vec();
        let graph_end = file.len() - 450;
        let place = if place < 450 { place } else { graph_end + place - 450 };
        file[place] = byte;
        let array = || floats(&[1, 1, 8, 8], &[0.25; 64]);
        let first = run_as(&model, &file, array());
        prop_assert!(is_listed(&first), "{:?}", first);
        prop_assert_eq!(run_as(&model, &file, array()).verdict, first.verdict);
    }
}
