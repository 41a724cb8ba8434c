//! From `.npy` files to the input of a job.

use std::path::{Path, PathBuf};

use anyhow::Result;
use protocol::manifest::{DimSpec, InputManifest, InputSpec, ModelManifest};
use runner::npy;

use crate::keys::file::read_given;
use crate::printable::printable;
use crate::problem::Problem;

/// An input file is a little longer than its elements.
const NPY_BYTES_MAX: u64 = (4 << 20) + (64 << 10);

/// The input that files make for a model, and its bytes.
pub(super) fn of(model: &ModelManifest, files: &[String]) -> Result<(InputManifest, Vec<u8>)> {
    let arrays = files.iter().map(|text| array(text));
    let arrays = arrays.collect::<Result<Vec<_>>>()?;
    npy::bundle(model, arrays).map_err(|error| {
        let text = format!("{error}; the model takes {}", taken(model));
        Problem::new("input.refused", printable(&text)).into()
    })
}

/// What a model wants for input, in words.
fn taken(model: &ModelManifest) -> String {
    let input = |input: &InputSpec| {
        let dims = input.dims.iter().map(|dim| match dim {
            DimSpec::Fixed(dim) => dim.to_string(),
            DimSpec::UpTo(most) => format!("1..{most}"),
        });
        let dims: Vec<String> = dims.collect();
        format!("{:?} {}[{}]", input.name, input.dtype, dims.join(", "))
    };
    let inputs: Vec<String> = model.inputs.iter().map(input).collect();
    if inputs.is_empty() {
        "no input".to_owned()
    } else {
        inputs.join(", ")
    }
}

/// `FILE`, else `NAME=FILE` with the first `=` that has a file behind it: both may contain one.
fn name_and_path(text: &str) -> (Option<String>, PathBuf) {
    let whole = PathBuf::from(text);
    if whole.exists() {
        return (None, whole);
    }
    let mut splits = text.match_indices('=').map(|(at, _)| text.split_at(at));
    let named = splits.find(|(_, path)| Path::new(&path[1..]).exists());
    match named.or_else(|| Some(text.split_at(text.find('=')?))) {
        Some((name, path)) => (Some(name.to_owned()), PathBuf::from(&path[1..])),
        None => (None, whole),
    }
}

fn array(text: &str) -> Result<(Option<String>, npy::Array)> {
    let (name, path) = name_and_path(text);
    let bytes = read_given(&path, NPY_BYTES_MAX, "input.refused")?;
    let array = npy::read(&bytes)
        .map_err(|error| Problem::new("input.refused", format!("{}: {error}", path.display())))?;
    Ok((name, array))
}

#[cfg(test)]
mod tests {
    use super::super::super::model;
    use super::*;
    use crate::exit::Exit;

    #[test]
    fn a_file_that_is_no_input_is_refused_as_one() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("x.npy");
        let refused = |bytes: &[u8]| {
            std::fs::write(&path, bytes).unwrap();
            let refused = array(&format!("x={}", path.display())).unwrap_err();
            let refused = refused.downcast::<Problem>().unwrap();
            assert!(refused.detail.contains("x.npy"), "{}", refused.detail);
            (refused.code, refused.exit_code)
        };
        let file = |header: &str| {
            let length = u8::try_from(header.len()).unwrap();
            [&b"\x93NUMPY\x01\0"[..], &[length, 0], header.as_bytes()].concat()
        };
        let expected = ("input.refused".to_owned(), Exit::Rejected.code());
        let longest = usize::try_from(NPY_BYTES_MAX).unwrap();
        for bad in [
            Vec::new(),
            b"\x80\x04a pickle".to_vec(),
            file("{'descr': '<f8', 'fortran_order': False, 'shape': (0,), }"),
            file("{'descr': '|O', 'fortran_order': False, 'shape': (0,), }"),
            file("{'descr': '<f4', 'fortran_order': True, 'shape': (0,), }"),
            file("{'descr': '<f4', 'fortran_order': False, 'shape': (2,), }"),
            vec![0; longest + 1],
        ] {
            assert_eq!(refused(&bad), expected);
        }
        let missing = array("x=nowhere.npy").unwrap_err();
        let missing = missing.downcast::<Problem>().unwrap();
        assert_eq!(missing.code, "file.unreadable");
        assert!(missing.detail.contains("nowhere.npy"), "{}", missing.detail);
    }

    #[test]
    fn what_a_model_takes_is_told() {
        let (mut model, _) = model::describe_attack("spin");
        assert_eq!(taken(&model), "no input");
        let input = |name: &str, dims| InputSpec {
            name: name.to_owned(),
            dtype: protocol::result::Dtype::F32,
            dims,
        };
        model.inputs = vec![
            input("x", vec![DimSpec::UpTo(16), DimSpec::Fixed(8)]),
            input("\x1b[2J", vec![]),
        ];
        assert_eq!(taken(&model), r#""x" f32[1..16, 8], "\u{1b}[2J" f32[]"#);
    }

    #[test]
    fn names_and_paths_may_contain_an_equals_sign() {
        let dir = tempfile::tempdir().unwrap();
        let path = |name: &str| dir.path().join(name).display().to_string();
        for name in ["a.npy", "b=c.npy"] {
            std::fs::write(path(name), b"").unwrap();
        }
        let of = |text: String| {
            let (name, path) = name_and_path(&text);
            (name.unwrap_or_default(), path.display().to_string())
        };
        let plain = |text: &str| (String::new(), text.to_owned());
        let named = |name: &str, path: String| (name.to_owned(), path);
        assert_eq!(of(path("a.npy")), plain(&path("a.npy")));
        assert_eq!(of(path("b=c.npy")), plain(&path("b=c.npy")));
        assert_eq!(
            of(format!("x={}", path("a.npy"))),
            named("x", path("a.npy"))
        );
        assert_eq!(
            of(format!("x=1={}", path("b=c.npy"))),
            named("x=1", path("b=c.npy"))
        );
        assert_eq!(of("x=missing".to_owned()), named("x", "missing".to_owned()));
        assert_eq!(of("missing".to_owned()), plain("missing"));
    }
}
