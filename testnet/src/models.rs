//! The models that the binary carries, so that a first job needs no download.

use std::path::{Path, PathBuf};

use anyhow::Result;

use crate::files::write_atomically;

/// A model with one example input.
#[derive(Debug, Clone, Copy)]
pub struct Model {
    /// `demo/…`.
    pub name: &'static str,
    onnx: &'static [u8],
    input: &'static [u8],
}

/// All of them (examples/).
pub const MODELS: [Model; 3] = [
    Model {
        name: "demo/digits",
        onnx: include_bytes!("../../examples/digits/digits.onnx"),
        input: include_bytes!("../../examples/digits/samples/digit-00.npy"),
    },
    Model {
        name: "demo/echo",
        onnx: include_bytes!("../../examples/demo/echo.onnx"),
        input: include_bytes!("../../examples/demo/echo-x.npy"),
    },
    Model {
        name: "demo/spin",
        onnx: include_bytes!("../../examples/demo/spin.onnx"),
        input: include_bytes!("../../examples/demo/spin-x.npy"),
    },
];

impl Model {
    /// The model with this name.
    #[must_use]
    pub fn by_name(name: &str) -> Option<&'static Self> {
        MODELS.iter().find(|model| model.name == name)
    }

    /// Writes model and input below a folder and returns their paths.
    ///
    /// # Errors
    /// If the disk refuses.
    pub fn write(&self, dir: &Path) -> Result<(PathBuf, Vec<PathBuf>)> {
        let stem = self.name.trim_start_matches("demo/");
        let (model, input) = (
            dir.join(format!("{stem}.onnx")),
            dir.join(format!("{stem}.npy")),
        );
        write_atomically(&model, self.onnx)?;
        write_atomically(&input, self.input)?;
        Ok((model, vec![input]))
    }
}
