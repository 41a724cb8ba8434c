//! Round trips, fixed roots, and what a manifest may not say.

use super::*;
use crate::codec::decode_canonical;

fn model() -> ModelManifest {
    ModelManifest {
        version: MANIFEST_VERSION,
        kind: ModelKind::Onnx,
        name: "digits".into(),
        licence: "Apache-2.0".into(),
        file: FileDigest::of(&[7; CHUNK_BYTES + 1]),
        inputs: vec![InputSpec {
            name: "image".into(),
            dtype: Dtype::F32,
            dims: vec![DimSpec::UpTo(64), DimSpec::Fixed(8)],
        }],
        outputs: vec![OutputSpec {
            name: "label".into(),
            dtype: Dtype::I64,
            rank: 1,
        }],
    }
}

fn input() -> InputManifest {
    InputManifest {
        version: MANIFEST_VERSION,
        inputs: vec![InputTensor {
            name: "image".into(),
            dtype: Dtype::F32,
            dims: vec![2, 8],
            offset: 0,
        }],
        bundle: FileDigest::of(&[0; 64]),
    }
}

#[test]
fn round_trip_and_roots() {
    let (model, input) = (model(), input());
    assert_eq!(model.file.chunks.len(), 2);
    assert_eq!(decode_canonical(&encode(&model)), Ok(model.clone()));
    assert_eq!(decode_canonical(&encode(&input)), Ok(input.clone()));
    let mut other = model.clone();
    other.licence = "MIT".into();
    assert_ne!(model.root(), other.root());
    assert_ne!(model.root(), input.root());
}

/// Fixes the layout: a changed field order would change every root.
#[test]
fn root_vectors() {
    let expected = [MODEL_ROOT, INPUT_ROOT];
    assert_eq!(
        [model().root().to_string(), input().root().to_string()],
        expected
    );
}
const MODEL_ROOT: &str = "009925834f960cd4c6f7a9779f2684c86c43153fafe1bb297d329cdbb7110d35";
const INPUT_ROOT: &str = "5f80b101364e43a75e0ea54d2a7011e6c9d4d63e9538f999ef025642734c5bf0";

#[test]
fn model_rules() {
    assert_eq!(model().check(), Ok(()));
    let broken = |change: fn(&mut ModelManifest)| {
        let mut model = model();
        change(&mut model);
        model.check().unwrap_err()
    };
    assert_eq!(broken(|m| m.version = 2), ManifestError::Version(2));
    assert_eq!(broken(|m| m.name = "n".repeat(65)), ManifestError::Label);
    assert!(matches!(
        broken(|m| m.file.size = 0),
        ManifestError::FileSize { .. }
    ));
    assert!(matches!(
        broken(|m| m.file.size = 67 << 20),
        ManifestError::FileSize { .. }
    ));
    assert!(matches!(
        broken(|m| m.file.chunks.truncate(1)),
        ManifestError::Chunks { .. }
    ));
    assert!(matches!(
        broken(|m| m.outputs.clear()),
        ManifestError::Tensors { .. }
    ));
    assert!(matches!(
        broken(|m| m.inputs[0].name.clear()),
        ManifestError::TensorName(_)
    ));
    assert!(matches!(
        broken(|m| m.outputs.push(m.outputs[0].clone())),
        ManifestError::TensorName(_)
    ));
    assert!(matches!(
        broken(|m| m.inputs[0].dims[0] = DimSpec::UpTo(0)),
        ManifestError::Shape(_)
    ));
    assert!(matches!(
        broken(|m| m.outputs[0].rank = 9),
        ManifestError::Shape(_)
    ));
}

#[test]
fn input_rules() {
    assert_eq!(input().check(), Ok(()));
    let broken = |change: fn(&mut InputManifest)| {
        let mut input = input();
        change(&mut input);
        input.check().unwrap_err()
    };
    assert!(matches!(
        broken(|i| i.inputs[0].offset = 4),
        ManifestError::Offset(_)
    ));
    assert!(matches!(
        broken(|i| i.inputs[0].dims[0] = 3),
        ManifestError::Offset(_)
    ));
    assert!(matches!(
        broken(|i| i.inputs[0].dims[0] = 0),
        ManifestError::Shape(_)
    ));
    assert!(matches!(
        broken(|i| i.inputs[0].dims = vec![u64::MAX, 8]),
        ManifestError::Shape(_)
    ));
    assert!(matches!(
        broken(|i| i.bundle.size = 5 << 20),
        ManifestError::FileSize { .. }
    ));
}

#[test]
fn inputs_must_fit_the_model() {
    let refused = |change: fn(&mut InputManifest)| {
        let mut input = input();
        change(&mut input);
        model().accepts(&input).unwrap_err()
    };
    assert_eq!(model().accepts(&input()), Ok(()));
    assert!(matches!(
        refused(|i| i.inputs[0].name = "x".into()),
        ManifestError::Inputs { .. }
    ));
    assert!(matches!(
        refused(|i| i.inputs.clear()),
        ManifestError::Inputs { .. }
    ));
    assert!(matches!(
        refused(|i| i.inputs[0].dtype = Dtype::I32),
        ManifestError::InputDtype { .. }
    ));
    for dims in [vec![0, 8], vec![65, 8], vec![2, 9], vec![2, 8, 1]] {
        let mut input = input();
        input.inputs[0].dims = dims;
        assert!(matches!(
            model().accepts(&input),
            Err(ManifestError::InputDims { .. })
        ));
    }
}
