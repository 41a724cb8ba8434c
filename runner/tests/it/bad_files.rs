//! Every row of bad model files, and the outcome it must end in.

use protocol::job::DeclineReason;
use runner::Refusal::{
    self, BadModel, LimitExceeded, ShapeMismatch, UnsupportedOp, UnsupportedType,
};

use crate::onnx::{
    Bytes, DOUBLE, Dim, FLOAT, Graph, INT64, floats, graph_attribute, int_attribute, ints,
    ints_attribute, line, node, port, tensor, text_attribute, texts_attribute,
};
use crate::support::{declined, described, floats as array, outputs, refusal, run, run_as};

fn relu() -> Graph {
    line(vec![node("Relu", &["x"], &["y"])], vec![])
}

/// Runs a file as if its manifest were the one of a plain Relu.
fn outcome(file: &[u8]) -> runner::Report {
    run_as(
        &described(&relu().file()),
        file,
        array(&[4], &[1.0, -1.0, f32::NAN, 0.0]),
    )
}

fn expect(name: &str, graph: &Graph, expected: Refusal) {
    assert_eq!(refusal(&outcome(&graph.file())), Ok(expected), "{name}");
}

#[test]
fn the_yardstick_itself_runs() {
    assert!(outcome(&relu().file()).signable().is_some());
    assert_eq!(
        refusal(&outcome(&relu().file()))
            .unwrap_err()
            .split('{')
            .next(),
        Some("Answered ")
    );
}

#[test]
fn truncated_files() {
    let file = relu().file();
    for end in 1..file.len() {
        let report = outcome(&file[..end]);
        assert!(
            refusal(&report).is_ok(),
            "{end} bytes: {:?} {}",
            report.verdict,
            report.remark
        );
    }
}

#[test]
fn bytes_that_are_no_model() {
    for file in [&b"\x08"[..], b"not a model at all", &[0xff; 64], &[0; 64]] {
        assert_eq!(refusal(&outcome(file)), Ok(BadModel));
    }
}

#[test]
fn names_without_or_with_two_origins() {
    expect(
        "dangling input",
        &line(vec![node("Relu", &["q"], &["y"])], vec![]),
        BadModel,
    );
    expect(
        "dangling output",
        &line(vec![node("Relu", &["x"], &["q"])], vec![]),
        BadModel,
    );
    let twice = vec![node("Relu", &["x"], &["y"]), node("Abs", &["x"], &["y"])];
    expect("two origins", &line(twice, vec![]), BadModel);
    let weight = floats("x", &[1], &[1.0]);
    let report = outcome(&line(vec![node("Relu", &["x"], &["y"])], vec![weight]).file());
    assert_eq!(
        refusal(&report),
        Ok(ShapeMismatch),
        "an initialised input is no input"
    );
    let cycle = vec![
        node("Add", &["x", "b"], &["a"]),
        node("Relu", &["a"], &["b"]),
    ];
    let mut cycle = line(cycle, vec![]);
    cycle.outputs = vec![port("a", FLOAT, &[Dim::Named("N")])];
    let report = outcome(&cycle.file());
    assert!(
        report.signable().is_some() || declined(&report).is_some(),
        "{report:?}"
    );
}

#[test]
fn foreign_domains_and_operator_sets() {
    let foreign = node("Relu", &["x"], &["y"]).text(7, "com.example");
    expect(
        "foreign domain",
        &line(vec![foreign], vec![]),
        UnsupportedOp,
    );
    let spelled = node("Relu", &["x"], &["y"]).text(7, "ai.onnx");
    assert!(
        outcome(&line(vec![spelled], vec![]).file())
            .signable()
            .is_some()
    );
    for opset in [0, 8, 19, 22] {
        let report = outcome(&relu().file_with_opset(opset));
        assert_eq!(refusal(&report), Ok(UnsupportedOp), "opset {opset}");
    }
    for opset in [9, 13, 18] {
        let report = outcome(&relu().file_with_opset(opset));
        assert!(
            report.signable().is_some_and(|(o, _, _)| o.code() == 0),
            "opset {opset}"
        );
    }
}

#[test]
fn operators_that_are_not_admitted() {
    for operator in [
        "NonZero",
        "RandomNormalLike",
        "Tan",
        "Gelu",
        "NoSuchOperator",
        "",
    ] {
        let graph = line(vec![node(operator, &["x"], &["y"])], vec![]);
        expect(operator, &graph, UnsupportedOp);
    }
    let branch = Graph {
        nodes: vec![node("Relu", &["x"], &["z"])],
        outputs: vec![port("z", FLOAT, &[Dim::Named("N")])],
        ..Graph::default()
    };
    let conditional = graph_attribute(node("If", &["x"], &["y"]), "then_branch", &branch.bytes());
    expect("If", &line(vec![conditional], vec![]), UnsupportedOp);
    let smuggled = graph_attribute(node("Relu", &["x"], &["y"]), "body", &branch.bytes());
    expect(
        "a graph in a Relu",
        &line(vec![smuggled], vec![]),
        UnsupportedOp,
    );
}

#[test]
fn variants_that_are_not_admitted() {
    let gru = int_attribute(
        node("GRU", &["x", "x", "x"], &["y"]),
        "linear_before_reset",
        1,
    );
    expect("GRU", &line(vec![gru], vec![]), UnsupportedOp);
    let training = node("Dropout", &["x", "", "t"], &["y"]);
    let t = tensor("t", 9, &[], &[1]);
    expect("training", &line(vec![training], vec![t]), UnsupportedOp);
    let cast = int_attribute(node("Cast", &["x"], &["y"]), "to", DOUBLE);
    expect("cast to f64", &line(vec![cast], vec![]), UnsupportedType);
    let half = int_attribute(node("Cast", &["x"], &["y"]), "to", 10);
    expect("cast to f16", &line(vec![half], vec![]), UnsupportedType);
}

#[test]
fn types_that_are_not_admitted() {
    let double = tensor("w", DOUBLE, &[1], &[0; 8]);
    let add = || vec![node("Add", &["x", "w"], &["y"])];
    expect("f64 weights", &line(add(), vec![double]), UnsupportedType);
    let mut graph = relu();
    graph.inputs = vec![port("x", DOUBLE, &[Dim::Named("N")])];
    expect("f64 input", &graph, UnsupportedType);
    let location = Bytes::default().text(1, "location").text(2, "/etc/passwd");
    let external = tensor("w", FLOAT, &[1], &[])
        .int(14, 1)
        .bytes(13, &location.0);
    expect(
        "external data",
        &line(add(), vec![external]),
        UnsupportedType,
    );
    let short = tensor("w", FLOAT, &[2], &[0; 4]);
    expect("short weights", &line(add(), vec![short]), BadModel);
    let negative = tensor("w", FLOAT, &[-1], &[0; 4]);
    expect("negative dims", &line(add(), vec![negative]), BadModel);
}

#[test]
fn too_many_nodes_and_too_deep() {
    let mut nodes: Vec<Bytes> = (0..4_096)
        .map(|i| node("Neg", &[&format!("v{i}")], &[&format!("v{}", i + 1)]))
        .collect();
    nodes[0] = node("Neg", &["x"], &["v1"]);
    nodes.push(node("Neg", &["v4096"], &["y"]));
    expect("4,097 nodes", &line(nodes, vec![]), LimitExceeded);
    let mut inner = Graph {
        nodes: vec![node("Relu", &["x"], &["z"])],
        ..Graph::default()
    };
    for depth in 1..=9 {
        let outer = graph_attribute(node("If", &["x"], &["y"]), "then_branch", &inner.bytes());
        inner = line(vec![outer], vec![]);
        let expected = if depth <= 8 {
            UnsupportedOp
        } else {
            LimitExceeded
        };
        expect(&format!("depth {depth}"), &inner, expected);
    }
    for _ in 0..200 {
        let outer = graph_attribute(node("If", &["x"], &["y"]), "then_branch", &inner.bytes());
        inner = line(vec![outer], vec![]);
    }
    expect("beyond what decodes", &inner, BadModel);
}

/// Shapes straight from constants are judged before anything is allocated.
#[test]
fn eight_gigabytes_by_constant() {
    let shape = || ints("s", &[2_000, 1_000_000]);
    for operator in ["Expand", "Tile"] {
        let mut graph = line(vec![node(operator, &["x", "s"], &["y"])], vec![shape()]);
        graph.outputs = vec![port("y", FLOAT, &[Dim::Named("a"), Dim::Named("b")])];
        expect(operator, &graph, LimitExceeded);
    }
    let filled = node("ConstantOfShape", &["s"], &["c"]);
    let graph = line(
        vec![filled, node("Add", &["x", "c"], &["y"])],
        vec![shape()],
    );
    expect("ConstantOfShape", &graph, LimitExceeded);
    let range = vec![
        node("Range", &["a", "b", "d"], &["r"]),
        node("Add", &["x", "r"], &["y"]),
    ];
    let scalar = |name, value: i64| tensor(name, INT64, &[], &value.to_le_bytes());
    let weights = vec![scalar("a", 0), scalar("b", 1 << 40), scalar("d", 1)];
    expect("Range", &line(range, weights), LimitExceeded);
}

/// A tensor too large for the limit that only shape inference finds.
#[test]
fn too_large_a_tensor_by_inference() {
    let weights = vec![
        ints("rows", &[-1, 1]),
        floats("w", &[1, 40_000_000 / 4], &vec![0.0; 10_000_000]),
    ];
    let nodes = vec![
        node("Reshape", &["x", "rows"], &["c"]),
        node("Mul", &["c", "w"], &["big"]),
        node("ReduceMax", &["big"], &["y"]),
    ];
    expect("inferred", &line(nodes, weights), LimitExceeded);
}

/// Shapes that only the input's values would tell have no price.
#[test]
fn shapes_that_depend_on_data() {
    let cast = int_attribute(node("Cast", &["x"], &["s"]), "to", INT64);
    let nodes = vec![cast, node("ConstantOfShape", &["s"], &["y"])];
    let report = outcome(&line(nodes, vec![]).file());
    assert!(
        matches!(refusal(&report), Ok(UnsupportedOp | ShapeMismatch)),
        "{report:?}"
    );
}

/// What tract panics on is nobody's signed result.
#[test]
fn panics_are_declined() {
    let by_zero = vec![
        int_attribute(node("Cast", &["x"], &["i"]), "to", 6),
        node("Div", &["i", "z"], &["d"]),
        int_attribute(node("Cast", &["d"], &["y"]), "to", FLOAT),
    ];
    let zero = tensor("z", 6, &[1], &0_i32.to_le_bytes());
    let report = outcome(&line(by_zero, vec![zero]).file());
    assert_eq!(
        declined(&report),
        Some(DeclineReason::EnginePanic),
        "{report:?}"
    );
    assert_eq!(report.signable(), None);
}

/// What exporters write though it says nothing new, and what it may not say.
#[test]
fn cells_may_name_their_own_functions() {
    let cell = |names: &[&str], forget: i64| {
        let cell = node("RNN", &["x", "w", "r"], &["y"]);
        let cell = int_attribute(cell, "hidden_size", 1);
        let cell = int_attribute(cell, "input_forget", forget);
        let one = |name| floats(name, &[1, 1, 1], &[0.5]);
        Graph {
            nodes: vec![texts_attribute(cell, "activations", names)],
            weights: vec![one("w"), one("r")],
            inputs: vec![port("x", FLOAT, &[Dim::Is(4), Dim::Is(1), Dim::Is(1)])],
            outputs: vec![port(
                "y",
                FLOAT,
                &[Dim::Is(4), Dim::Is(1), Dim::Is(1), Dim::Is(1)],
            )],
        }
    };
    for name in ["Tanh", "tanh"] {
        let x = array(&[4, 1, 1], &[1.0, 0.5, 0.0, -1.0]);
        let report = run(&cell(&[name], 0).file(), &[x]);
        assert_eq!(outputs(&report)[0].dims, [4, 1, 1, 1]);
    }
    for (names, forget) in [(&["Relu"][..], 0), (&["Tanh", "Tanh"], 0), (&["Tanh"], 1)] {
        expect("another cell", &cell(names, forget), UnsupportedOp);
    }
}

/// A refusal names what is to be changed, in words.
#[test]
fn refusals_say_what_they_mean() {
    let says = |file: &[u8], expected: Refusal, words: &str| {
        let report = outcome(file);
        assert_eq!(refusal(&report), Ok(expected), "{words}");
        assert!(
            report.remark.contains(words),
            "{} lacks {words}",
            report.remark
        );
    };
    let old = relu().file_with_opset(19);
    says(&old, UnsupportedOp, "operator set 19, 9 to 18 are admitted");
    let half = tensor("weights", 10, &[1], &[0; 2]);
    let half = line(vec![node("Add", &["x", "weights"], &["y"])], vec![half]);
    says(&half.file(), UnsupportedType, "f16 of \"weights\"");
    let set = |version| Bytes::default().text(1, "").int(2, version);
    let with_set = |graph: &Graph, version| {
        let file = Bytes(graph.file());
        file.bytes(8, &set(version).0).0
    };
    assert!(
        refusal(&outcome(&with_set(&relu(), 17))).is_err(),
        "twice the same"
    );
    says(&with_set(&relu(), 16), BadModel, "two versions");
    let foreign = node("LinearClassifier", &["x"], &["y"]).text(7, "ai.onnx.ml");
    let foreign = line(vec![foreign], vec![]);
    let words = "LinearClassifier of domain ai.onnx.ml";
    says(&with_set(&foreign, 16), UnsupportedOp, words);
    let even = int_attribute(node("LRN", &["x"], &["y"]), "size", 4);
    says(
        &line(vec![even], vec![]).file(),
        UnsupportedOp,
        "LRN with an even size",
    );
}

/// tract fills what reflection does not reach with zeros.
#[test]
fn reflections_of_more_than_there_is() {
    let pad = text_attribute(node("Pad", &["x", "p"], &["y"]), "mode", "reflect");
    let graph = |pads: &[i64]| line(vec![pad.clone()], vec![ints("p", pads)]);
    assert!(
        refusal(&outcome(&graph(&[3, 3]).file())).is_err(),
        "it runs"
    );
    expect("four of four", &graph(&[0, 4]), ShapeMismatch);
    let old = text_attribute(node("Pad", &["x"], &["y"]), "mode", "reflect");
    let old = line(vec![ints_attribute(old, "pads", &[4, 0])], vec![]);
    let report = outcome(&old.file_with_opset(9));
    assert_eq!(refusal(&report), Ok(UnsupportedOp), "{}", report.remark);
}
