//! Result roots, tensors at their bounds, and refusals.

use super::*;

fn sample() -> Vec<OutputTensor> {
    let mut elements = Vec::new();
    for value in [1.0_f32, -f32::NAN, -0.0] {
        elements.extend_from_slice(&value.to_le_bytes());
    }
    let mut probs = OutputTensor {
        name: "probs".into(),
        dtype: Dtype::F32,
        dims: vec![1, 3],
        elements,
    };
    probs.canonicalise();
    let label = OutputTensor {
        name: "label".into(),
        dtype: Dtype::I64,
        dims: vec![1],
        elements: 2_i64.to_le_bytes().to_vec(),
    };
    vec![probs, label]
}

/// The vector of the specification.
#[test]
fn result_root_vector() {
    let root = result_root(&sample()).unwrap();
    let expected = "4aefe312c538d27651718b7502c1cab04f078d8fdc821c383c546e08710d5f76";
    assert_eq!(root.to_string(), expected);
}

#[test]
fn blob_round_trip_gives_the_same_root() {
    let outputs = sample();
    let blob = encode_blob(&outputs).unwrap();
    assert_eq!(decode_blob(&blob).unwrap(), outputs);
    assert_eq!(root_of_blob(&blob), result_root(&outputs));
    let shapes = outputs
        .iter()
        .map(|o| (o.name.as_str(), o.dtype, o.dims.as_slice()));
    assert_eq!(blob_bytes(shapes), Some(blob.len() as u64));
}

#[test]
fn every_truncation_and_addition_is_refused() {
    let blob = encode_blob(&sample()).unwrap();
    for end in 0..blob.len() {
        assert!(
            decode_blob(&blob[..end]).is_err(),
            "{end} bytes were accepted"
        );
    }
    let mut longer = blob;
    longer.push(0);
    assert_eq!(decode_blob(&longer), Err(ResultError::Trailing(1)));
}

#[test]
fn every_changed_bit_changes_the_root_or_is_refused() {
    let blob = encode_blob(&sample()).unwrap();
    let root = root_of_blob(&blob).unwrap();
    for bit in 0..blob.len() * 8 {
        let mut changed = blob.clone();
        changed[bit / 8] ^= 1 << (bit % 8);
        assert_ne!(root_of_blob(&changed), Ok(root), "bit {bit}");
    }
}

#[test]
fn foreign_nan_and_bool_are_refused_until_canonicalised() {
    let tensor = |dtype, elements: &[u8]| OutputTensor {
        name: "x".into(),
        dtype,
        dims: vec![1],
        elements: elements.to_vec(),
    };
    for mut odd in [
        tensor(Dtype::F32, &0xffc0_0000_u32.to_le_bytes()),
        tensor(Dtype::F32, &0x7f80_0001_u32.to_le_bytes()),
        tensor(Dtype::Bool, &[2]),
    ] {
        assert_eq!(odd.check(), Err(ResultError::NotCanonical("x".into())));
        odd.canonicalise();
        assert_eq!(odd.check(), Ok(()));
    }
    let infinity = tensor(Dtype::F32, &f32::NEG_INFINITY.to_le_bytes());
    assert_eq!(infinity.check(), Ok(()));
}

#[test]
fn bombs_are_refused() {
    let mut blob = vec![0, 1, 1, b'x', 1, 8];
    (0..8).for_each(|_| blob.extend_from_slice(&u64::MAX.to_be_bytes()));
    assert_eq!(decode_blob(&blob), Err(ResultError::Truncated));
    assert_eq!(decode_blob(&[0, 0]), Err(ResultError::Count { count: 0 }));
    assert_eq!(
        decode_blob(&[0xff, 0xff]),
        Err(ResultError::Count { count: 65_535 })
    );
    assert_eq!(decode_blob(&[0, 1, 0, 1, 0]), Err(ResultError::Truncated));
    assert_eq!(result_root(&[]), Err(ResultError::Count { count: 0 }));
}
