//! Work on constants, which the engine does before any input arrives, is not free.

use crate::onnx::{floats, line, node};
use crate::support::{floats as array, fuel, run};

/// A product of two constants, and the same product of the input: both are charged.
#[test]
fn products_of_constants_are_charged() {
    let side = 256_usize;
    let weights = vec![
        floats("a", &[256, 256], &vec![0.5; side * side]),
        floats("b", &[256, 256], &vec![0.25; side * side]),
    ];
    let plain = vec![
        node("Add", &["a", "b"], &["p"]),
        node("ReduceMax", &["p"], &["m"]),
        node("Add", &["x", "m"], &["y"]),
    ];
    let heavy = vec![
        node("MatMul", &["a", "b"], &["p"]),
        node("ReduceMax", &["p"], &["m"]),
        node("Add", &["x", "m"], &["y"]),
    ];
    let mut plain = line(plain, weights.clone());
    let mut heavy = line(heavy, weights);
    for graph in [&mut plain, &mut heavy] {
        graph.outputs = vec![crate::onnx::port(
            "y",
            1,
            &[crate::onnx::Dim::Named("a"), crate::onnx::Dim::Named("b")],
        )];
    }
    let x = [array(&[4], &[1.0; 4])];
    let (plain, heavy) = (fuel(&run(&plain.file(), &x)), fuel(&run(&heavy.file(), &x)));
    let multiply_adds = (side * side * side) as u64;
    assert!(heavy > plain + multiply_adds / 2, "{heavy} against {plain}");
}
