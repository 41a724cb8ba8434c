//! 64 MiB of weights must run in the memory that a job has.

use crate::onnx::{Dim, FLOAT, Graph, node, port, tensor};
use crate::support::{as_floats, floats, outputs, run};

fn peak_bytes() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").expect("a Linux host");
    let line = status
        .lines()
        .find(|line| line.starts_with("VmHWM:"))
        .expect("a peak");
    line.split_whitespace()
        .nth(1)
        .and_then(|kib| kib.parse::<u64>().ok())
        .expect("KiB")
        * 1_024
}

#[test]
fn sixty_four_mebibytes_of_weights() {
    let side = 4_096_i64;
    let raw: Vec<u8> = std::iter::repeat_n(0.5_f32.to_le_bytes(), 4_096 * 4_096)
        .flatten()
        .collect();
    let graph = Graph {
        nodes: vec![node("MatMul", &["x", "w"], &["y"])],
        weights: vec![tensor("w", FLOAT, &[side, side], &raw)],
        inputs: vec![port("x", FLOAT, &[Dim::Is(1), Dim::Is(side)])],
        outputs: vec![port("y", FLOAT, &[Dim::Is(1), Dim::Is(side)])],
    };
    let file = graph.file();
    drop((graph, raw));
    let answer = outputs(&run(&file, &[floats(&[1, 4_096], &[1.0; 4_096])]));
    assert!(as_floats(&answer[0]).iter().all(|value| *value == 2_048.0));
    let (file, peak) = (file.len() as u64, peak_bytes());
    assert!(peak < 512 << 20, "peak of {} MiB", peak >> 20);
    assert!(peak > file, "the peak was measured");
}
