//! A job's outputs: checked, described, printed, written.

use std::path::Path;

use anyhow::Result;
use protocol::result::{OutputTensor, decode_blob, root_of_blob};
use runner::npy;
use serde_json::{Value, json};

use super::plan;
use crate::client::resolve::Resolved;
use crate::client::text;
use crate::problem::{Problem, refuse};

/// Results with at most so many elements are printed.
const PRINTED_ELEMENTS_MAX: usize = 64;

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
    let head = format!("{} {} {:?}", output.name, output.dtype, output.dims);
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

/// Writes an output as a `.npy` file; gives its path.
pub(super) fn write(dir: &Path, name: &str, output: &OutputTensor) -> Result<String> {
    std::fs::create_dir_all(dir)?;
    let path = dir.join(format!("{name}.npy"));
    let array = npy::Array {
        dtype: output.dtype,
        dims: output.dims.clone(),
        elements: output.elements.clone(),
    };
    std::fs::write(&path, npy::write(&array))?;
    Ok(path.display().to_string())
}

#[cfg(test)]
mod tests {
    use protocol::result::Dtype;

    use super::*;

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
