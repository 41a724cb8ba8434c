//! Integers are computed as integers, and equal initial states of a cell stay two states.

use protocol::result::{Dtype, OutputTensor};
use runner::Refusal;
use runner::npy::Array;

use crate::onnx::{
    Bytes, Dim, FLOAT, Graph, INT64, floats, int_attribute, ints, node, port, tensor,
};
use crate::support::{as_floats, as_ints, floats as array, longs, outputs, refusal, run};

const INT32: i64 = 6;

fn words(values: &[i32]) -> Array {
    let elements = values.iter().flat_map(|v| v.to_le_bytes()).collect();
    let dims = vec![values.len() as u64];
    Array {
        dtype: Dtype::I32,
        dims,
        elements,
    }
}

fn as_words(output: &OutputTensor) -> Vec<i32> {
    assert_eq!(output.dtype, Dtype::I32);
    let words = output.elements.chunks_exact(4);
    words
        .map(|e| i32::from_le_bytes(e.try_into().unwrap()))
        .collect()
}

/// From `x` to `y`, both of this type and one axis.
fn graph(kind: i64, nodes: Vec<Bytes>, weights: Vec<Bytes>) -> Vec<u8> {
    let end = |name| vec![port(name, kind, &[Dim::Named(name)])];
    let (inputs, outputs) = (end("x"), end("y"));
    Graph {
        nodes,
        weights,
        inputs,
        outputs,
    }
    .file()
}

/// Beyond 24 bits a float no longer holds every integer, and beyond 53 a double does not.
#[test]
fn squares_are_products() {
    let two = tensor("e", INT32, &[1], &2_i32.to_le_bytes());
    let x: Vec<i32> = vec![5_001, -16_532, 46_340, 65_537];
    let expected: Vec<i32> = x.iter().map(|x| x.wrapping_mul(*x)).collect();
    for (nodes, weights) in [
        (vec![node("Mul", &["x", "x"], &["y"])], vec![]),
        (vec![node("Pow", &["x", "e"], &["y"])], vec![two]),
    ] {
        let report = run(&graph(INT32, nodes, weights), &[words(&x)]);
        assert_eq!(as_words(&outputs(&report)[0]), expected);
    }
    let x = [5_001, -94_906_267, 3_037_000_499, 1 << 33 | 1];
    let expected: Vec<i64> = x.iter().map(|x: &i64| x.wrapping_mul(*x)).collect();
    for (nodes, weights) in [
        (vec![node("Mul", &["x", "x"], &["y"])], vec![]),
        (
            vec![node("Pow", &["x", "e"], &["y"])],
            vec![ints("e", &[2])],
        ),
    ] {
        let report = run(&graph(INT64, nodes, weights), &[longs(&x)]);
        assert_eq!(as_ints(&outputs(&report)[0]), expected);
    }
}

#[test]
fn sums_have_all_their_bits() {
    let x = [1_004_060_436_667, -191_046_258_771, 9_007_199_254_740_993];
    let total: i64 = x.iter().sum();
    let small = [3_i64, -40_000, 94_906_267];
    let squares: i64 = small.iter().map(|x| x * x).sum();
    for (operator, x, expected) in [
        ("ReduceSum", &x, total),
        ("ReduceMean", &x, total / 3),
        ("ReduceSumSquare", &small, squares),
    ] {
        let file = graph(INT64, vec![node(operator, &["x"], &["y"])], vec![]);
        let report = run(&file, &[longs(x)]);
        assert_eq!(as_ints(&outputs(&report)[0]), [expected], "{operator}");
    }
}

#[test]
fn float_functions_of_integers_are_refused() {
    for operator in ["ReduceL2", "ReduceLogSum", "ReduceLogSumExp"] {
        for (kind, x) in [(INT32, words(&[1, 2])), (INT64, longs(&[1, 2]))] {
            let file = graph(kind, vec![node(operator, &["x"], &["y"])], vec![]);
            let report = run(&file, &[x]);
            let refused = Ok(Refusal::UnsupportedType);
            assert_eq!(refusal(&report), refused, "{operator}: {}", report.remark);
        }
    }
}

/// A cell without initial states has two equal ones. All outputs of a batch of two must come, and be
/// those of each sequence run alone.
#[test]
fn a_cell_gives_all_its_states() {
    let (hidden, steps) = (3_usize, 4_usize);
    let weights = |name: &str, dims: &[i64], seed: i64| {
        let count = dims.iter().product::<i64>();
        let value = |n: i64| f32::from(i16::try_from((n * seed) % 17 - 8).unwrap()) / 16.0;
        floats(name, dims, &(0..count).map(value).collect::<Vec<_>>())
    };
    let h = i64::try_from(hidden).unwrap();
    let cell = node("LSTM", &["x", "w", "r"], &["y", "h", "c"]);
    let rank = |name, axes: &[&'static str]| {
        let dims: Vec<Dim> = axes.iter().map(|axis| Dim::Named(axis)).collect();
        port(name, FLOAT, &dims)
    };
    let graph = Graph {
        nodes: vec![int_attribute(cell, "hidden_size", h)],
        weights: vec![
            weights("w", &[1, 4 * h, 2], 7),
            weights("r", &[1, 4 * h, h], 5),
        ],
        inputs: vec![port(
            "x",
            FLOAT,
            &[Dim::Named("T"), Dim::Named("N"), Dim::Is(2)],
        )],
        outputs: vec![
            rank("y", &["a", "b", "c", "d"]),
            rank("h", &["a", "b", "c"]),
            rank("c", &["a", "b", "c"]),
        ],
    };
    let file = graph.file();
    let x: Vec<f32> = (0..16_i16).map(|n| f32::from(n) / 8.0 - 1.0).collect();
    let sequence = |of: usize| -> Vec<f32> {
        (0..steps)
            .flat_map(|t| x[t * 4 + of * 2..][..2].to_vec())
            .collect()
    };
    let both = outputs(&run(&file, &[array(&[4, 2, 2], &x)]));
    let both: Vec<Vec<f32>> = both.iter().map(as_floats).collect();
    for of in 0..2 {
        let alone = outputs(&run(&file, &[array(&[4, 1, 2], &sequence(of))]));
        let alone: Vec<Vec<f32>> = alone.iter().map(as_floats).collect();
        for (all, one) in both.iter().zip(&alone) {
            let picked = all.chunks(hidden).skip(of).step_by(2);
            let picked: Vec<f32> = picked.flatten().copied().collect();
            assert_eq!(picked, *one, "sequence {of}");
        }
    }
}
