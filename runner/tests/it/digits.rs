//! The digits model answers, and is right as often as it must be.

use protocol::result::Dtype;
use runner::npy::{Array, read};

use crate::support::{as_floats, as_ints, fuel, outputs, run};

const MODEL: &[u8] = include_bytes!("../../../examples/digits/digits.onnx");
const LABELS: &str = include_str!("../../../examples/digits/samples/labels.txt");

fn samples() -> Vec<(Array, i64)> {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../examples/digits/samples");
    let lines = LABELS
        .lines()
        .map(|line| line.split_once(' ').expect("name and label"));
    lines
        .map(|(name, label)| {
            let file = std::fs::read(format!("{folder}/{name}")).expect("a sample");
            (
                read(&file).expect("an array"),
                label.parse().expect("a digit"),
            )
        })
        .collect()
}

fn batch(samples: &[(Array, i64)]) -> Array {
    let elements: Vec<u8> = samples
        .iter()
        .flat_map(|(array, _)| array.elements.clone())
        .collect();
    Array {
        dtype: Dtype::F32,
        dims: vec![samples.len() as u64, 1, 8, 8],
        elements,
    }
}

/// At least 19 of 20 held-out images, with probabilities that are probabilities.
#[test]
fn digits_are_recognised() {
    let samples = samples();
    assert_eq!(samples.len(), 20);
    let mut right = 0;
    for (image, label) in &samples {
        let outputs = outputs(&run(MODEL, std::slice::from_ref(image)));
        assert_eq!(
            (outputs[0].name.as_str(), outputs[1].name.as_str()),
            ("probs", "label")
        );
        assert_eq!(
            (outputs[0].dims.as_slice(), outputs[1].dims.as_slice()),
            (&[1, 10][..], &[1][..])
        );
        let probs = as_floats(&outputs[0]);
        assert!((probs.iter().sum::<f32>() - 1.0).abs() < 1e-5, "{probs:?}");
        right += usize::from(as_ints(&outputs[1]) == [*label]);
    }
    assert!(right >= 19, "{right} of 20");
}

/// The batch axis is symbolic: any number of images, the same labels, and more fuel for more work.
#[test]
fn batches_of_one_and_seven() {
    let samples = samples();
    let one = run(MODEL, &[batch(&samples[..1])]);
    let seven = run(MODEL, &[batch(&samples[..7])]);
    let labels = as_ints(&outputs(&seven)[1]);
    for (index, sample) in samples[..7].iter().enumerate() {
        let alone = run(MODEL, &[batch(std::slice::from_ref(sample))]);
        assert_eq!(as_ints(&outputs(&alone)[1]), labels[index..=index]);
    }
    let parse = 20 * MODEL.len() as u64 + 500_000 * 10;
    assert_eq!(
        (fuel(&one) - parse) * 7 / (fuel(&seven) - parse),
        1,
        "work grows with the batch"
    );
    assert!(fuel(&one) > parse && fuel(&seven) > fuel(&one));
}

#[test]
fn the_same_bytes_every_time() {
    let image = batch(&samples()[..3]);
    let first = run(MODEL, std::slice::from_ref(&image));
    for _ in 0..20 {
        assert_eq!(run(MODEL, std::slice::from_ref(&image)), first);
    }
}
