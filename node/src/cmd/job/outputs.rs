//! A job's outputs: checked, described, printed, written.

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

/// An output as a document, its elements if they are few.
pub(super) fn describe(output: &OutputTensor) -> Value {
    json!({
        "name": output.name, "dtype": output.dtype.to_string(), "dims": output.dims,
        "values": values(output),
    })
}

/// Elements of a small output.
fn values(output: &OutputTensor) -> Option<Vec<Value>> {
    use protocol::result::Dtype;
    let all = &output.elements;
    let width = match output.dtype {
        Dtype::F32 | Dtype::I32 => 4,
        Dtype::I64 => 8,
        _ => 1,
    };
    if all.len() / width > PRINTED_ELEMENTS_MAX {
        return None;
    }
    let value = |part: &[u8]| match output.dtype {
        Dtype::F32 => json!(f32::from_le_bytes(part.try_into().unwrap_or_default())),
        Dtype::I32 => json!(i32::from_le_bytes(part.try_into().unwrap_or_default())),
        Dtype::I64 => json!(i64::from_le_bytes(part.try_into().unwrap_or_default())),
        Dtype::I8 => json!(i8::from_le_bytes(part.try_into().unwrap_or_default())),
        Dtype::Bool => json!(part == [1]),
        _ => json!(part.first()),
    };
    Some(all.chunks(width).map(value).collect())
}

/// An output as a line.
pub(super) fn print(output: &OutputTensor) -> String {
    let name = printable(&output.name);
    let head = format!("{name} {} {:?}", output.dtype, output.dims);
    match values(output) {
        Some(values) => {
            let values: Vec<String> = values.iter().map(Value::to_string).collect();
            format!("{head} = {}", values.join(" "))
        }
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
