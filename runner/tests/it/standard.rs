//! Operators that tract reads otherwise than the standard. The expected numbers are onnxruntime's.

use protocol::job::Outcome;
use protocol::result::OutputTensor;
use runner::npy::Array;

use crate::onnx::{
    Bytes, Dim, FLOAT, Graph, INT64, float_attribute, floats, int_attribute, ints, ints_attribute,
    node, port, tensor, text_attribute,
};
use crate::support::{as_floats, as_ints, floats as array, longs, outputs, run};

/// A graph of one f32 input `x`, shaped like the array, to outputs of these ranks.
fn answers(
    opset: i64,
    nodes: Vec<Bytes>,
    weights: Vec<Bytes>,
    x: &Array,
    wanted: &[(&str, usize)],
) -> Vec<OutputTensor> {
    let axes = |count: usize| {
        vec![
            Dim::Named("a"),
            Dim::Named("b"),
            Dim::Named("c"),
            Dim::Named("d"),
        ][..count]
            .to_vec()
    };
    let own: Vec<Dim> = x
        .dims
        .iter()
        .map(|d| Dim::Is(i64::try_from(*d).unwrap()))
        .collect();
    let graph = Graph {
        nodes,
        weights,
        inputs: vec![port("x", FLOAT, &own)],
        outputs: wanted
            .iter()
            .map(|(name, rank)| port(name, FLOAT, &axes(*rank)))
            .collect(),
    };
    outputs(&run(&graph.file_with_opset(opset), std::slice::from_ref(x)))
}

/// One node from `x` and weights to `y`.
fn one(opset: i64, node: Bytes, weights: Vec<Bytes>, x: &Array, rank: usize) -> OutputTensor {
    answers(opset, vec![node], weights, x, &[("y", rank)]).remove(0)
}

fn close(found: &[f32], expected: &[f32], what: &str) {
    let near = |(a, b): (&f32, &f32)| a == b || (a - b).abs() <= 1e-5 * b.abs().max(1.0);
    let all = found.len() == expected.len() && found.iter().zip(expected).all(near);
    assert!(all, "{what}: {found:?}, not {expected:?}");
}

/// Numbers that look like weights: the same formula made the models for onnxruntime.
fn weights(name: &str, dims: &[i64], seed: i64) -> Bytes {
    let value = |n: i64| f32::from(i16::try_from((n * seed) % 17 - 8).unwrap()) / 16.0;
    let values: Vec<f32> = (0..dims.iter().product::<i64>()).map(value).collect();
    floats(name, dims, &values)
}

fn reversed(operator: &str, gates: i64, outs: &[&str]) -> Vec<OutputTensor> {
    let cell = node(operator, &["x", "w", "r", "b"], outs);
    let cell = int_attribute(cell, "hidden_size", 2);
    let cell = text_attribute(cell, "direction", "reverse");
    let held = vec![
        weights("w", &[1, 2 * gates, 2], 7),
        weights("r", &[1, 2 * gates, 2], 5),
        weights("b", &[1, 4 * gates], 3),
    ];
    let x: Vec<f32> = (0..8_u8).map(|n| f32::from(n) / 8.0 - 0.5).collect();
    let ranks: Vec<(&str, usize)> = outs
        .iter()
        .map(|n| (*n, if *n == "y" { 4 } else { 3 }))
        .collect();
    answers(17, vec![cell], held, &array(&[4, 1, 2], &x), &ranks)
}

#[test]
fn cells_run_from_the_last_step_to_the_first() {
    let lstm = reversed("LSTM", 4, &["y", "h", "c"]);
    let y = [
        -0.2241136,
        -0.02898612,
        -0.1689647,
        -0.03615361,
        -0.1141059,
        -0.0387216,
        -0.05850829,
        -0.03090157,
    ];
    close(&as_floats(&lstm[0]), &y, "LSTM");
    close(&as_floats(&lstm[1]), &y[..2], "LSTM h");
    close(&as_floats(&lstm[2]), &[-0.4099006, -0.04921939], "LSTM c");
    let gru = reversed("GRU", 3, &["y", "h"]);
    let y = [
        0.5354737, 0.7698542, 0.5380441, 0.7141659, 0.5176082, 0.6228011, 0.406469, 0.4458848,
    ];
    close(&as_floats(&gru[0]), &y, "GRU");
    close(&as_floats(&gru[1]), &y[..2], "GRU h");
    let rnn = reversed("RNN", 1, &["y", "h"]);
    let y = [
        -0.1217804, -0.5316663, -0.2745846, -0.4900394, -0.2565654, -0.4378093, -0.6489239,
        -0.2449186,
    ];
    close(&as_floats(&rnn[0]), &y, "RNN");
    close(&as_floats(&rnn[1]), &y[..2], "RNN h");
}

#[test]
fn log_softmax_of_far_numbers() {
    let plain = || node("LogSoftmax", &["x"], &["y"]);
    let far = array(&[3, 2], &[0.0, 88.0, -1000.0, 0.0, 0.0, 104.0]);
    let y = one(17, plain(), vec![], &far, 2);
    close(
        &as_floats(&y),
        &[-88.0, 0.0, -1000.0, 0.0, -104.0, 0.0],
        "far",
    );
    let x = array(&[1, 2, 3], &[1.0, 2.0, 3.0, -1.0, 0.0, 4.0]);
    let y = one(11, plain(), vec![], &x, 3);
    let all = [
        -3.456193, -2.456193, -1.456193, -5.456193, -4.456193, -0.4561933,
    ];
    close(&as_floats(&y), &all, "all axes from one");
    let y = one(17, int_attribute(plain(), "axis", 1), vec![], &x, 3);
    let middle = [
        -0.126928, -0.126928, -1.313262, -2.126928, -2.126928, -0.3132617,
    ];
    close(&as_floats(&y), &middle, "one axis");
}

#[test]
fn log_sum_exp_of_large_numbers() {
    let (inf, low) = (f32::INFINITY, f32::NEG_INFINITY);
    let x = [90.0, 91.0, -200.0, -201.0, low, 3.0, low, low, inf, 1.0];
    let reduce = node("ReduceLogSumExp", &["x"], &["y"]);
    let reduce = ints_attribute(reduce, "axes", &[1]);
    let reduce = int_attribute(reduce, "keepdims", 0);
    let y = one(17, reduce, vec![], &array(&[5, 2], &x), 1);
    close(
        &as_floats(&y),
        &[91.31326, -199.6867, 3.0, low, inf],
        "last axis",
    );
    let x = array(&[1, 2, 3], &[50.0, 100.0, 150.0, -50.0, 0.0, 200.0]);
    let reduce = node("ReduceLogSumExp", &["x", "axes"], &["y"]);
    let y = one(18, reduce, vec![ints("axes", &[-1, 1])], &x, 3);
    assert_eq!(y.dims, [1, 1, 1]);
    close(&as_floats(&y), &[200.0], "two axes");
}

#[test]
fn activations_at_their_ends() {
    let x = array(&[4], &[-1.0, -2.0, 0.0, 1.5]);
    for (alpha, expected) in [
        (0.5, [-0.4323324, -0.4908422, 0.0, 1.5]),
        (2.0, [-0.7869387, -1.264241, 0.0, 1.5]),
    ] {
        let celu = float_attribute(node("Celu", &["x"], &["y"]), "alpha", alpha);
        close(&as_floats(&one(17, celu, vec![], &x, 1)), &expected, "Celu");
    }
    let x = array(&[6], &[100.0, 89.0, 1.0, 0.0, -1.0, -100.0]);
    let y = one(17, node("Softplus", &["x"], &["y"]), vec![], &x, 1);
    let expected = [
        100.0,
        89.0,
        1.313262,
        std::f32::consts::LN_2,
        0.3132617,
        0.0,
    ];
    close(&as_floats(&y), &expected, "Softplus");
}

#[test]
fn paddings_that_copy_and_paddings_that_cut() {
    let x = array(&[5], &[0.0, 1.0, 2.0, 3.0, 4.0]);
    let padded = |mode: &str, pads: &[i64]| {
        let pad = node("Pad", &["x", "p", "v"], &["y"]);
        let value = tensor("v", FLOAT, &[], &9.0_f32.to_le_bytes());
        let held = vec![ints("p", pads), value];
        as_floats(&one(17, text_attribute(pad, "mode", mode), held, &x, 1))
    };
    let reflected = [2.0, 1.0, 0.0, 1.0, 2.0, 3.0, 4.0, 3.0];
    assert_eq!(padded("reflect", &[2, 1]), reflected);
    assert_eq!(
        padded("edge", &[2, 1]),
        [0.0, 0.0, 0.0, 1.0, 2.0, 3.0, 4.0, 4.0]
    );
    assert_eq!(padded("constant", &[1, -3]), [9.0, 0.0, 1.0]);
    for (mode, filled) in [
        ("constant", [9.0; 2]),
        ("reflect", [3.0, 2.0]),
        ("edge", [4.0; 2]),
    ] {
        assert_eq!(padded(mode, &[-1, -2]), [1.0, 2.0], "{mode}");
        let expected = [1.0, 2.0, 3.0, 4.0, filled[0], filled[1]];
        assert_eq!(padded(mode, &[-1, 2]), expected, "{mode}");
    }
    let nodes = vec![
        node("Pad", &["c", "p"], &["t"]),
        node("Add", &["x", "t"], &["y"]),
    ];
    let held = vec![floats("c", &[3], &[1.0, 2.0, 3.0]), ints("p", &[-1, -1])];
    let y = answers(17, nodes, held, &x, &[("y", 1)]);
    assert_eq!(as_floats(&y[0]), [2.0, 3.0, 4.0, 5.0, 6.0], "a constant");
}

#[test]
fn a_stated_size_cuts_where_the_standard_cuts() {
    let image: Vec<f32> = (0..6_i16)
        .map(|n| f32::from((n * 7) % 17 - 8) / 16.0)
        .collect();
    let x = array(&[1, 1, 2, 3], &image);
    let sized = |size: &[i64], auto: &str| {
        let node = node("ConvTranspose", &["x", "k"], &["y"]);
        let node = ints_attribute(node, "strides", &[2, 2]);
        let node = ints_attribute(node, "output_shape", size);
        let node = match auto {
            "" => ints_attribute(node, "pads", &[1, 0, 1, 0]),
            auto => text_attribute(node, "auto_pad", auto),
        };
        as_floats(&one(17, node, vec![weights("k", &[1, 1, 3, 2], 5)], &x, 4))
    };
    let start = [
        -0.21875,
        -0.0078125,
        -0.02734375,
        0.046875,
        0.1640625,
        0.046875,
        -0.07421875,
        -0.03515625,
        0.1015625,
        0.08203125,
        -0.109375,
        0.0234375,
        0.08203125,
        -0.0546875,
        -0.1914062,
        0.0,
        -0.05859375,
        0.0,
        0.1367188,
        0.0,
    ];
    close(&sized(&[4, 5], ""), &start, "paddings are ignored");
    close(&sized(&[4, 5], "SAME_LOWER"), &start, "lower");
    let end = [
        0.25,
        0.09375,
        0.03125,
        0.01171875,
        -0.1875,
        -0.0625,
        -0.21875,
        -0.0078125,
        -0.02734375,
        0.046875,
        0.28125,
        0.046875,
        -0.07421875,
        -0.03515625,
        0.1015625,
        -0.03125,
        -0.109375,
        0.0234375,
        0.08203125,
        -0.0546875,
    ];
    close(&sized(&[4, 5], "SAME_UPPER"), &end, "upper");
    let larger = sized(&[6, 7], "SAME_UPPER");
    close(
        &larger[..7],
        &[0.25, 0.09375, 0.03125, 0.01171875, -0.1875, -0.0703125, 0.0],
        "larger",
    );
    assert_eq!(larger[35..], [0.0; 7]);
}

/// Casts, and integers that meet a size: tract knows both as sizes of 32 bits.
#[test]
fn casts_to_i64_have_all_their_bits() {
    let cast = |from: &str, to: &str| int_attribute(node("Cast", &[from], &[to]), "to", INT64);
    let file = |kind: i64, nodes: Vec<Bytes>| {
        let end = |name, kind| vec![port(name, kind, &[Dim::Named(name)])];
        let graph = Graph {
            nodes,
            weights: vec![],
            inputs: end("x", kind),
            outputs: end("y", INT64),
        };
        graph.file()
    };
    let report = run(
        &file(FLOAT, vec![cast("x", "y")]),
        &[array(&[3], &[3e9, -1e12, 2.7])],
    );
    assert_eq!(
        as_ints(&outputs(&report)[0]),
        [3_000_000_000, -999_999_995_904, 2]
    );
    let wide = longs(&[(1 << 33) + 5, -7, 3]);
    let report = run(
        &file(INT64, vec![cast("x", "y")]),
        std::slice::from_ref(&wide),
    );
    assert_eq!(as_ints(&outputs(&report)[0]), [(1 << 33) + 5, -7, 3]);
    let shape = || node("Shape", &["x"], &["s"]);
    for (nodes, expected) in [
        (
            vec![shape(), node("Mul", &["x", "s"], &["y"])],
            vec![3 * ((1 << 33) + 5), -21, 9],
        ),
        (
            vec![shape(), cast("s", "t"), node("Add", &["x", "t"], &["y"])],
            vec![(1 << 33) + 8, -4, 6],
        ),
    ] {
        let report = run(&file(INT64, nodes), std::slice::from_ref(&wide));
        assert_eq!(as_ints(&outputs(&report)[0]), expected);
    }
}

/// The way exporters write a size: through floats and back.
#[test]
fn a_shape_may_pass_through_casts() {
    let to =
        |from: &str, to: &str, kind: i64| int_attribute(node("Cast", &[from], &[to]), "to", kind);
    let nodes = vec![
        node("Shape", &["x"], &["s"]),
        to("s", "f", FLOAT),
        node("Mul", &["f", "two"], &["g"]),
        to("g", "t", INT64),
        node("Concat", &["t", "s"], &["u"]),
        node("ConstantOfShape", &["u"], &["y"]),
    ];
    let nodes: Vec<Bytes> = nodes
        .into_iter()
        .enumerate()
        .map(|(at, node)| match at {
            4 => int_attribute(node, "axis", 0),
            _ => node,
        })
        .collect();
    let held = vec![floats("two", &[1], &[2.0])];
    let y = answers(17, nodes, held, &array(&[3], &[1.0; 3]), &[("y", 2)]);
    assert_eq!(
        (y[0].dims.as_slice(), as_floats(&y[0])),
        (&[6, 3][..], vec![0.0; 18])
    );
}

/// Neighbours over which tract's optimiser contradicts itself.
#[test]
fn repetitions_and_steps_are_optimised_apart() {
    let x: Vec<f32> = (0..12_u8).map(f32::from).collect();
    let slice = node("Slice", &["a", "b", "e", "axes", "steps"], &["y"]);
    let by = |start: i64, end: i64, axis: i64, step: i64| {
        [("b", start), ("e", end), ("axes", axis), ("steps", step)]
            .map(|(name, value)| ints(name, &[value]))
            .to_vec()
    };
    let shaped = |held: Vec<Bytes>| [held, vec![ints("s", &[2, 3, 2])]].concat();
    let reshape = vec![node("Reshape", &["x", "s"], &["a"]), slice];
    let flat = array(&[2, 6], &x);
    for (held, expected) in [
        (by(0, 99, 2, 2), vec![0.0, 2.0, 4.0, 6.0, 8.0, 10.0]),
        (
            by(0, 99, 1, 2),
            vec![0.0, 1.0, 4.0, 5.0, 6.0, 7.0, 10.0, 11.0],
        ),
        (
            by(-1, -99, 2, -1),
            vec![1.0, 0.0, 3.0, 2.0, 5.0, 4.0, 7.0, 6.0, 9.0, 8.0, 11.0, 10.0],
        ),
    ] {
        let y = answers(17, reshape.clone(), shaped(held), &flat, &[("y", 3)]);
        assert_eq!(as_floats(&y[0]), expected);
    }
    for (operator, dims) in [("Expand", &[1_u64, 2, 2][..]), ("Tile", &[1, 2, 2])] {
        let nodes = vec![
            node(operator, &["x", "s"], &["a"]),
            node("MatMul", &["a", "w"], &["y"]),
        ];
        let held = vec![ints("s", &[3, 1, 1]), floats("w", &[2, 1], &[1.0, 10.0])];
        let y = answers(17, nodes, held, &array(dims, &x[..4]), &[("y", 3)]);
        assert_eq!(as_floats(&y[0]), [10.0, 32.0].repeat(3), "{operator}");
    }
}

/// Below zero an index counts from the end; out of range it lights nothing, or everybody sees an error.
#[test]
fn indices_from_the_end_and_out_of_range() {
    let x = array(&[3, 2], &[0.0, 1.0, 2.0, 3.0, 4.0, 5.0]);
    let points = |name, values: &[i64]| {
        let raw: Vec<u8> = values.iter().flat_map(|v| v.to_le_bytes()).collect();
        tensor(
            name,
            INT64,
            &[i64::try_from(values.len()).unwrap(), 1],
            &raw,
        )
    };
    let gather = || node("GatherND", &["x", "i"], &["y"]);
    let y = one(17, gather(), vec![points("i", &[-1, 1])], &x, 2);
    assert_eq!(as_floats(&y), [4.0, 5.0, 2.0, 3.0]);
    let scatter = node("ScatterND", &["x", "i", "u"], &["y"]);
    let held = vec![points("i", &[-2]), floats("u", &[1, 2], &[8.0, 9.0])];
    assert_eq!(
        as_floats(&one(17, scatter, held, &x, 2)),
        [0.0, 1.0, 8.0, 9.0, 4.0, 5.0]
    );
    let graph = |opset: Bytes, weights, out: &[Dim]| Graph {
        nodes: vec![opset],
        weights,
        inputs: vec![port("x", INT64, &[Dim::Named("N")])],
        outputs: vec![port("y", FLOAT, out)],
    };
    let hot = node("OneHot", &["x", "d", "v"], &["y"]);
    let held = vec![ints("d", &[3]), floats("v", &[2], &[0.5, 2.0])];
    let hot = graph(hot, held, &[Dim::Named("N"), Dim::Is(3)]);
    let y = outputs(&run(&hot.file(), &[longs(&[-1, 3, 1, -4, 1 << 32])]));
    let (off, on) = (0.5, 2.0);
    let expected = [[off, off, on], [off; 3], [off, on, off], [off; 3], [off; 3]];
    assert_eq!(as_floats(&y[0]), expected.concat());
    let picked = node("GatherND", &["w", "x"], &["y"]);
    let picked = graph(picked, vec![floats("w", &[3], &[1.0, 2.0, 3.0])], &[]);
    let found = |index| run(&picked.file(), &[longs(&[index])]);
    assert_eq!(as_floats(&outputs(&found(-3))[0]), [1.0]);
    let trap = found(3).signable().map(|(outcome, _, _)| outcome);
    assert_eq!(trap, Some(Outcome::ModelTrap));
}
