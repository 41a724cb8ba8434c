//! Fuel, output length, requested outputs and files that are not the manifest's.

use protocol::job::{DeclineReason, Outcome};
use protocol::units::Fuel;
use runner::npy::read;
use runner::{Refusal, Verdict};

use crate::onnx::{Dim, FLOAT, node, port};
use crate::support::{
    declined, described, engine, floats, fuel, input_of, outputs, refusal, request, run,
};

const ECHO: &[u8] = include_bytes!("../../../examples/demo/echo.onnx");
const SPIN: &[u8] = include_bytes!("../../../examples/demo/spin.onnx");
const SPIN_X: &[u8] = include_bytes!("../../../examples/demo/spin-x.npy");

/// The demo's unit of work: one second of an average host.
#[test]
fn spin_costs_about_a_second_of_fuel() {
    let report = run(SPIN, &[read(SPIN_X).unwrap()]);
    let fuel = fuel(&report);
    assert!((950_000_000..1_050_000_000).contains(&fuel), "{fuel}");
    assert_eq!(outputs(&report)[0].dims, [1]);
}

/// One unit short of the count, nothing runs and only reading is charged.
#[test]
fn fuel_limit_is_exact() {
    let (mut request, bytes) = request(described(ECHO), vec![(None, floats(&[4], &[1.0; 4]))]);
    let needed = fuel(&engine().run(&request, ECHO.to_vec(), &bytes));
    request.fuel_limit = Fuel(needed);
    assert_eq!(fuel(&engine().run(&request, ECHO.to_vec(), &bytes)), needed);
    request.fuel_limit = Fuel(needed - 1);
    let report = engine().run(&request, ECHO.to_vec(), &bytes);
    let parse = Fuel(20 * ECHO.len() as u64 + 500_000);
    let expected = Verdict::Failed {
        outcome: Outcome::FuelExhausted,
        code: 0,
        fuel: parse,
    };
    assert_eq!(report.verdict, expected);
    request.fuel_limit = Fuel(7);
    let report = engine().run(&request, ECHO.to_vec(), &bytes);
    let expected = Verdict::Failed {
        outcome: Outcome::FuelExhausted,
        code: 0,
        fuel: Fuel(7),
    };
    assert_eq!(report.verdict, expected, "never more than the limit");
}

#[test]
fn output_limit_is_exact() {
    let (mut request, bytes) = request(described(ECHO), vec![(None, floats(&[4], &[1.0; 4]))]);
    request.out_bytes = 2 + 1 + 1 + 1 + 1 + 8 + 16;
    let answered = engine().run(&request, ECHO.to_vec(), &bytes);
    assert_eq!(outputs(&answered)[0].dims, [4]);
    request.out_bytes -= 1;
    let report = engine().run(&request, ECHO.to_vec(), &bytes);
    let count = fuel(&answered);
    let expected = Verdict::Failed {
        outcome: Outcome::OutputTooLarge,
        code: 0,
        fuel: Fuel(count),
    };
    assert_eq!(report.verdict, expected);
}

#[test]
fn outputs_come_in_the_order_of_the_job() {
    let both = crate::onnx::Graph {
        nodes: vec![node("Neg", &["x"], &["p"]), node("Abs", &["x"], &["q"])],
        inputs: vec![port("x", FLOAT, &[Dim::Is(2)])],
        outputs: vec![
            port("p", FLOAT, &[Dim::Is(2)]),
            port("q", FLOAT, &[Dim::Is(2)]),
        ],
        ..Default::default()
    };
    let file = both.file();
    let (mut request, bytes) = request(described(&file), vec![(None, floats(&[2], &[1.0, -2.0]))]);
    let mut names = |outputs: &[&str]| {
        request.outputs = outputs.iter().map(|name| (*name).to_owned()).collect();
        engine().run(&request, file.clone(), &bytes)
    };
    let listed = |report| -> Vec<String> { outputs(&report).into_iter().map(|o| o.name).collect() };
    assert_eq!(listed(names(&[])), ["p", "q"]);
    assert_eq!(listed(names(&["q", "p"])), ["q", "p"]);
    assert_eq!(listed(names(&["q"])), ["q"]);
    for wrong in [&["r"][..], &["p", "p"][..]] {
        assert_eq!(
            refusal(&names(wrong)),
            Ok(Refusal::OutputMismatch),
            "{wrong:?}"
        );
    }
}

/// A file that is not the manifest's is this host's fault, and a host's fault is never signed.
#[test]
fn wrong_files_are_declined() {
    let (request, bytes) = request(described(ECHO), vec![(None, floats(&[4], &[1.0; 4]))]);
    let mut other = ECHO.to_vec();
    other[0] ^= 1;
    let report = engine().run(&request, other, &bytes);
    assert_eq!(declined(&report), Some(DeclineReason::Unavailable));
    assert_eq!(report.signable(), None);
    let report = engine().run(&request, ECHO.to_vec(), &bytes[1..]);
    assert_eq!(declined(&report), Some(DeclineReason::Unavailable));
}

/// Requests that no honest node makes: the runner still answers with an outcome.
#[test]
fn inputs_that_do_not_fit_are_refused() {
    let (good, bytes) = request(described(ECHO), vec![(None, floats(&[4], &[1.0; 4]))]);
    assert_eq!(input_of(&good).inputs[0].dims, [4]);
    type Change = fn(&mut runner::Request);
    let changes: [(Change, Refusal); 6] = [
        (
            |r| r.input.inputs[0].name = "z".into(),
            Refusal::ShapeMismatch,
        ),
        (
            |r| r.input.inputs[0].dims = vec![2, 2],
            Refusal::ShapeMismatch,
        ),
        (|r| r.input.inputs[0].dims = vec![5], Refusal::ShapeMismatch),
        (
            |r| r.input.inputs[0].dtype = protocol::result::Dtype::I32,
            Refusal::ShapeMismatch,
        ),
        (
            |r| r.model.outputs[0].name = "z".into(),
            Refusal::OutputMismatch,
        ),
        (
            |r| r.model.kind = protocol::manifest::ModelKind::Probe,
            Refusal::BadModel,
        ),
    ];
    for (index, (change, expected)) in changes.into_iter().enumerate() {
        let mut request = good.clone();
        change(&mut request);
        let report = engine().run(&request, ECHO.to_vec(), &bytes);
        assert_eq!(refusal(&report), Ok(expected), "change {index}");
        let parse = 20 * ECHO.len() as u64 + 500_000;
        assert_eq!(fuel(&report), parse, "change {index}");
    }
}

/// The longest chain a file may hold is built, optimised and run, without running out of stack.
#[test]
fn a_chain_of_all_nodes_allowed() {
    let mut nodes: Vec<_> = (0..4_096)
        .map(|i| node("Neg", &[&format!("v{i}")], &[&format!("v{}", i + 1)]))
        .collect();
    nodes[0] = node("Neg", &["x"], &["v1"]);
    nodes[4_095] = node("Neg", &["v4095"], &["y"]);
    let file = crate::onnx::line(nodes, vec![]).file();
    let report = run(&file, &[floats(&[2], &[1.0, -3.0])]);
    assert_eq!(crate::support::as_floats(&outputs(&report)[0]), [1.0, -3.0]);
}
