//! A job's outputs: checked, described, printed, written.

use std::fmt;
use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::Path;

use anyhow::Result;
use protocol::result::{OutputTensor, decode_blob, root_of_blob};
use runner::npy;
use serde_json::{Value, json};

use super::plan;
use crate::client::resolve::Resolved;
use crate::client::text;
use crate::printable::printable;
use crate::problem::{Problem, refuse};

/// Results with at most so many elements are printed.
const PRINTED_ELEMENTS_MAX: usize = 64;
/// More than a file system keeps beside a file's name, so that a full one has to say so.
const PROOF_BYTES: usize = 64 << 10;

/// The outputs, checked against the root that the chain knows.
pub(super) fn of(node: &Resolved, job: &Value) -> Result<Vec<OutputTensor>> {
    let path = format!("/v1/jobs/{}/output", text(job, "id"));
    let blob = node.as_wallet(|api| api.get_bytes(&path))?;
    let found = root_of_blob(&blob).map_err(|error| Problem::new("blob.digest", error))?;
    if plan::result_root(job) != Some(found) {
        refuse!(
            "blob.digest",
            "the node's output has root {found}, the chain says another"
        );
    }
    decode_blob(&blob).map_err(|error| Problem::new("blob.digest", error).into())
}

/// An output as a document, its elements if they are few. JSON has no word for NaN and infinities:
/// they are null there.
pub(super) fn describe(output: &OutputTensor) -> Value {
    let values = elements(output, |element| match element {
        Element::Float(value) => json!(value),
        Element::Integer(value) => json!(value),
        Element::Truth(value) => json!(value),
    });
    json!({
        "name": output.name, "dtype": output.dtype.to_string(), "dims": output.dims,
        "values": values,
    })
}

/// One element of an output.
enum Element {
    Float(f32),
    Integer(i64),
    Truth(bool),
}

impl fmt::Display for Element {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            // As short as it can be read back: 0.1, 1e-30, NaN, -inf.
            Self::Float(value) => write!(f, "{value:?}"),
            Self::Integer(value) => value.fmt(f),
            Self::Truth(value) => value.fmt(f),
        }
    }
}

/// Elements of a small output.
fn elements<T>(output: &OutputTensor, shown: impl Fn(Element) -> T) -> Option<Vec<T>> {
    use protocol::result::Dtype;
    let all = &output.elements;
    let width = match output.dtype {
        Dtype::F32 | Dtype::I32 => 4,
        Dtype::I64 => 8,
        Dtype::U8 | Dtype::I8 | Dtype::Bool => 1,
    };
    if all.len() / width > PRINTED_ELEMENTS_MAX {
        return None;
    }
    let element = |part: &[u8]| match output.dtype {
        Dtype::F32 => Element::Float(f32::from_le_bytes(part.try_into().unwrap_or_default())),
        Dtype::I32 => {
            Element::Integer(i32::from_le_bytes(part.try_into().unwrap_or_default()).into())
        }
        Dtype::I64 => Element::Integer(i64::from_le_bytes(part.try_into().unwrap_or_default())),
        Dtype::I8 => {
            Element::Integer(i8::from_le_bytes(part.try_into().unwrap_or_default()).into())
        }
        Dtype::U8 => {
            Element::Integer(u8::from_le_bytes(part.try_into().unwrap_or_default()).into())
        }
        Dtype::Bool => Element::Truth(part == [1]),
    };
    Some(all.chunks(width).map(element).map(shown).collect())
}

/// An output as a line.
pub(super) fn print(output: &OutputTensor) -> String {
    let name = printable(&output.name);
    let head = format!("{name} {} {:?}", output.dtype, output.dims);
    match elements(output, |element| element.to_string()) {
        Some(elements) => format!("{head} = {}", elements.join(" ")),
        None => format!("{head}, too long to print: use --output-dir"),
    }
}

/// A file name for each output. Their names come from the model: only harmless characters stay, and
/// a name that is taken by then gets its output's number.
pub(super) fn file_names(outputs: &[OutputTensor]) -> Vec<String> {
    let plain = |c: char| {
        if c.is_ascii_alphanumeric() || c == '-' || c == '_' {
            c
        } else {
            '_'
        }
    };
    let mut names: Vec<String> = Vec::new();
    for (place, output) in outputs.iter().enumerate() {
        let mut name: String = output.name.chars().take(64).map(plain).collect();
        while names.contains(&name) {
            name.push_str(&format!("-{place}"));
        }
        names.push(name);
    }
    names
}

/// Makes the directory that outputs go to and proves that it takes a file, so that a job is not paid
/// for first and found to have nowhere to go then.
pub(super) fn prepare(dir: &Path) -> Result<()> {
    let proof = dir.join(format!(".palisade-{}", std::process::id()));
    let write = || -> io::Result<()> {
        fs::create_dir_all(dir)?;
        let mut file = File::create(&proof)?;
        file.write_all(&[0; PROOF_BYTES])?;
        // Some disks only say that they are full when they must keep it.
        file.sync_all()
    };
    let written = write();
    drop(fs::remove_file(&proof));
    written.map_err(|error| {
        let hint = "Make room there, or name another --output-dir; nothing was sent.";
        unwritten(dir, &error).hint(hint).into()
    })
}

/// Writes an output as a `.npy` file, all of it or none; gives its path.
pub(super) fn write(dir: &Path, name: &str, output: &OutputTensor, job: &str) -> Result<String> {
    let path = dir.join(format!("{name}.npy"));
    let part = dir.join(format!(".{name}.npy-{}", std::process::id()));
    let write = || -> io::Result<()> {
        fs::create_dir_all(dir)?;
        fs::write(&part, npy::write(&npy::Array::from(output)))?;
        fs::rename(&part, &path)
    };
    write().map_err(|error| {
        drop(fs::remove_file(&part));
        let hint = format!(
            "Nothing is lost: palisade job watch {job} --output-dir DIR writes all of it elsewhere, \
             palisade receipt fetch {job} its receipt and result."
        );
        unwritten(&path, &error).hint(hint)
    })?;
    Ok(path.display().to_string())
}

fn unwritten(path: &Path, error: &io::Error) -> Problem {
    let text = format!("cannot write {}: {error}", path.display());
    Problem::new("storage.failed", text)
}

#[cfg(test)]
mod tests {
    use protocol::result::Dtype;

    use super::*;

    fn tensor() -> OutputTensor {
        OutputTensor {
            name: "a".to_owned(),
            dtype: Dtype::U8,
            dims: vec![1],
            elements: vec![7],
        }
    }

    fn problem(error: anyhow::Error) -> Problem {
        error.downcast::<Problem>().unwrap()
    }

    #[test]
    fn a_directory_is_made_and_proved_and_left_empty() {
        let home = tempfile::tempdir().unwrap();
        let dir = home.path().join("new/out");
        prepare(&dir).unwrap();
        assert_eq!(fs::read_dir(&dir).unwrap().count(), 0);
        let file = home.path().join("file");
        fs::write(&file, b"").unwrap();
        let refused = problem(prepare(&file.join("out")).unwrap_err());
        assert_eq!(refused.code, "storage.failed");
        assert!(refused.detail.contains("file/out"), "{}", refused.detail);
        assert!(refused.hint.contains("nothing was sent"));
    }

    #[test]
    fn an_output_that_cannot_be_written_names_its_path_and_how_to_get_it_again() {
        let home = tempfile::tempdir().unwrap();
        let written = write(home.path(), "a", &tensor(), "ab12").unwrap();
        let array = npy::read(&fs::read(&written).unwrap()).unwrap();
        assert_eq!(array, npy::Array::from(&tensor()));
        fs::create_dir(home.path().join("b.npy")).unwrap();
        let refused = problem(write(home.path(), "b", &tensor(), "ab12").unwrap_err());
        assert_eq!(refused.code, "storage.failed");
        assert!(refused.detail.contains("b.npy"), "{}", refused.detail);
        for command in ["job watch ab12 --output-dir", "receipt fetch ab12"] {
            assert!(refused.hint.contains(command), "{}", refused.hint);
        }
        assert_eq!(fs::read_dir(home.path()).unwrap().count(), 2);
    }

    #[test]
    fn a_name_from_a_model_moves_no_cursor() {
        let mut output = tensor();
        output.name = "\x1b[2J\x1b[31mHACK\n".to_owned();
        assert_eq!(print(&output), "\\u{1b}[2J\\u{1b}[31mHACK\\n u8 [1] = 7");
    }

    #[test]
    fn floats_that_are_no_numbers_are_named() {
        let floats = [
            1.0,
            0.1,
            -0.0,
            1e-30,
            f32::NAN,
            f32::INFINITY,
            f32::NEG_INFINITY,
        ];
        let mut output = tensor();
        output.dtype = Dtype::F32;
        output.dims = vec![7];
        output.elements = floats
            .iter()
            .flat_map(|float| float.to_le_bytes())
            .collect();
        assert_eq!(
            print(&output),
            "a f32 [7] = 1.0 0.1 -0.0 1e-30 NaN inf -inf"
        );
        let values = &describe(&output)["values"];
        assert_eq!(values[0], 1.0);
        assert!(values[4].is_null() && values[6].is_null(), "{values}");
    }

    #[test]
    fn integers_keep_their_sign_and_width() {
        for (dtype, elements, shown) in [
            (Dtype::U8, vec![255], "255"),
            (Dtype::I8, vec![255], "-1"),
            (Dtype::I32, vec![254, 255, 255, 255], "-2"),
            (
                Dtype::I64,
                i64::MIN.to_le_bytes().to_vec(),
                "-9223372036854775808",
            ),
            (Dtype::Bool, vec![1], "true"),
        ] {
            let output = OutputTensor {
                dtype,
                elements,
                ..tensor()
            };
            assert_eq!(print(&output), format!("a {dtype} [1] = {shown}"));
            assert_eq!(describe(&output)["values"][0].to_string(), shown);
        }
    }

    #[test]
    fn no_output_overwrites_another() {
        let output = |name: &str| OutputTensor {
            name: name.to_owned(),
            dtype: Dtype::U8,
            dims: vec![1],
            elements: vec![0],
        };
        let outputs = ["a/b:0", "a:b/0", "a_b_0-1", "../x"].map(output);
        let names = file_names(&outputs);
        assert_eq!(names, ["a_b_0", "a_b_0-1", "a_b_0-1-2", "___x"]);
    }
}
