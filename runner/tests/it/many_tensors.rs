//! Several inputs and outputs of several types, and odd values that must stay what they are.

use protocol::result::Dtype;
use runner::npy::Array;

use crate::onnx::{Dim, FLOAT, Graph, INT64, int_attribute, line, node, port};
use crate::support::{as_floats, as_ints, floats, outputs, run};

fn array(dtype: Dtype, dims: &[u64], elements: Vec<u8>) -> Array {
    Array {
        dtype,
        dims: dims.to_vec(),
        elements,
    }
}

/// f32, i32, u8, i64 and bool in; all of them out; a batch axis of 1 and 7.
#[test]
fn five_types_in_and_out() {
    let batch = Dim::Named("batch");
    let graph = Graph {
        nodes: vec![
            node("Neg", &["f"], &["nf"]),
            node("Add", &["i", "i"], &["ii"]),
            node("Identity", &["u"], &["uu"]),
            node("Add", &["l", "l"], &["ll"]),
            node("Not", &["b"], &["nb"]),
            node("Shape", &["f"], &["shape"]),
        ],
        inputs: vec![
            port("f", FLOAT, &[batch, Dim::Is(2)]),
            port("i", 6, &[batch]),
            port("u", 2, &[batch, Dim::Is(3)]),
            port("l", INT64, &[batch]),
            port("b", 9, &[batch]),
        ],
        outputs: vec![
            port("nf", FLOAT, &[batch, Dim::Is(2)]),
            port("ii", 6, &[batch]),
            port("uu", 2, &[batch, Dim::Is(3)]),
            port("ll", INT64, &[batch]),
            port("nb", 9, &[batch]),
            port("shape", INT64, &[Dim::Is(2)]),
        ],
        ..Graph::default()
    };
    for n in [1_u8, 7] {
        let dim = u64::from(n);
        let count = usize::from(n);
        let inputs = [
            floats(&[dim, 2], &vec![1.5; count * 2]),
            array(
                Dtype::I32,
                &[dim],
                (0..i32::from(n)).flat_map(i32::to_le_bytes).collect(),
            ),
            array(Dtype::U8, &[dim, 3], (0..n * 3).collect()),
            array(
                Dtype::I64,
                &[dim],
                (0..i64::from(n)).flat_map(i64::to_le_bytes).collect(),
            ),
            array(Dtype::Bool, &[dim], (0..n).map(|i| i % 2).collect()),
        ];
        let outputs = outputs(&run(&graph.file(), &inputs));
        assert_eq!(as_floats(&outputs[0]), vec![-1.5; count * 2]);
        let doubled: Vec<u8> = (0..i32::from(n))
            .flat_map(|i| (2 * i).to_le_bytes())
            .collect();
        assert_eq!(
            (outputs[1].dtype, &outputs[1].elements),
            (Dtype::I32, &doubled)
        );
        assert_eq!(outputs[2].elements, (0..n * 3).collect::<Vec<u8>>());
        assert_eq!(
            as_ints(&outputs[3]),
            (0..i64::from(n)).map(|i| 2 * i).collect::<Vec<_>>()
        );
        assert_eq!(
            outputs[4].elements,
            (0..n).map(|i| 1 - i % 2).collect::<Vec<u8>>()
        );
        assert_eq!(
            as_ints(&outputs[5]),
            [i64::from(n), 2],
            "a shape is numbers, not pointers"
        );
    }
}

/// One symbol is one length, in every input.
#[test]
fn a_symbol_has_one_length() {
    let n = Dim::Named("N");
    let graph = Graph {
        nodes: vec![node("Concat", &["a", "b"], &["y"])]
            .into_iter()
            .map(|concat| int_attribute(concat, "axis", 0))
            .collect(),
        inputs: vec![port("a", FLOAT, &[n]), port("b", FLOAT, &[n])],
        outputs: vec![port("y", FLOAT, &[Dim::Named("M")])],
        ..Graph::default()
    };
    let file = graph.file();
    assert_eq!(
        outputs(&run(
            &file,
            &[floats(&[2], &[1.0; 2]), floats(&[2], &[2.0; 2])]
        ))[0]
            .dims,
        [4]
    );
    let report = run(&file, &[floats(&[2], &[1.0; 2]), floats(&[3], &[2.0; 3])]);
    assert_eq!(
        crate::support::refusal(&report),
        Ok(runner::Refusal::ShapeMismatch)
    );
}

/// NaN of any sign and payload leaves as the one NaN; everything else keeps its bits.
#[test]
fn odd_floats_keep_their_bits() {
    let identity = line(vec![node("Identity", &["x"], &["y"])], vec![]);
    let odd = [
        0xffc0_0001_u32,
        0x7f80_0001,
        0x7f80_0000,
        0xff80_0000,
        0x8000_0000,
        1,
        0x8000_0001,
    ];
    let values: Vec<f32> = odd.iter().map(|bits| f32::from_bits(*bits)).collect();
    let report = run(&identity.file(), &[floats(&[7], &values)]);
    let bits: Vec<u32> = as_floats(&outputs(&report)[0])
        .iter()
        .map(|v| v.to_bits())
        .collect();
    let mut expected = odd.to_vec();
    expected[..2].fill(0x7fc0_0000);
    assert_eq!(bits, expected);
}

#[test]
fn an_input_may_be_an_output() {
    let mut graph = line(vec![node("Neg", &["x"], &["y"])], vec![]);
    graph.outputs.push(port("x", FLOAT, &[Dim::Named("N")]));
    let outputs = outputs(&run(&graph.file(), &[floats(&[1], &[3.0])]));
    assert_eq!(
        (as_floats(&outputs[0]), as_floats(&outputs[1])),
        (vec![-3.0], vec![3.0])
    );
}

/// Two constant outputs of one value are one tensor inside the engine, and two answers outside.
#[test]
fn equal_constants_are_two_outputs() {
    let mut graph = line(
        vec![
            node("Identity", &["x"], &["y"]),
            node("Neg", &["a"], &["p"]),
            node("Neg", &["b"], &["q"]),
        ],
        ["a", "b"]
            .map(|name| crate::onnx::floats(name, &[1], &[2.0]))
            .to_vec(),
    );
    graph
        .outputs
        .extend(["p", "q"].map(|name| port(name, FLOAT, &[Dim::Is(1)])));
    let outputs = outputs(&run(&graph.file(), &[floats(&[1], &[3.0])]));
    let names: Vec<&str> = outputs.iter().map(|output| output.name.as_str()).collect();
    assert_eq!(names, ["y", "p", "q"]);
    assert_eq!(
        (as_floats(&outputs[1]), as_floats(&outputs[2])),
        (vec![-2.0], vec![-2.0])
    );
}
