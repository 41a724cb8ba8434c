//! The vectors that decide whether this build on this host is one of us.
//!
//! Builders may differ, so binaries are not compared: answers are. A pack of small graphs, one at least
//! per admitted operator, fed with NaN, infinities, zeros of both signs and subnormals, is run and every
//! outcome, root and fuel hashed. The hash stands beside the engine's id in `protocol`.

use protocol::digest::{Digest, Tag, th};
use protocol::engine::conformance;
use protocol::job::DeclineReason;
use protocol::limits::OUTPUT_BYTES_MAX;
use protocol::manifest::ModelManifest;
use protocol::result::Dtype;
use protocol::units::Fuel;

use crate::describe::{FREE_AXIS_MAX, manifest_of};
use crate::npy::{Array, bundle};
use crate::prepared::Prepared;
use crate::report::{Report, Verdict};
use crate::request::Request;

/// Graphs and inputs, written by `vectors/build.py`.
const PACK: &[u8] = include_bytes!("../vectors/vectors.pack");
/// What each graph answered when the hash was fixed, so that a difference can be named.
const EXPECTED: &str = include_str!("../vectors/expected.txt");
/// A bit pattern on which two processors' exponentials are known to differ.
const STRADDLER: u32 = 0x4202_422f;

/// One graph and what to feed it.
#[derive(Clone, Debug)]
pub struct Vector {
    /// Its name; before the first dash, the operator it is about.
    pub name: String,
    /// The ONNX file.
    pub model: Vec<u8>,
    /// Its inputs, in the graph's order.
    pub inputs: Vec<Array>,
}

/// What a vector answered: the line that is hashed.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Answer {
    /// The vector's name.
    pub name: String,
    /// Outcome, root and fuel.
    pub line: String,
}

/// All vectors of the pack.
///
/// # Panics
/// Never for the pack in this build; a test reads it.
#[must_use]
pub fn vectors() -> Vec<Vector> {
    let mut pack = Reader(PACK);
    let count = pack.number::<2>();
    (0..count).map(|_| pack.vector()).collect()
}

/// Runs one vector.
///
/// # Errors
/// A sentence, if the vector is not one or could not be run.
pub fn answer(prepared: &Prepared, vector: &Vector) -> Result<Answer, String> {
    let report = run(prepared, vector.model.clone(), |model| {
        let named = model.inputs.iter().map(|input| Some(input.name.clone()));
        named.zip(vector.inputs.iter().cloned()).collect()
    })?;
    let (outcome, root, fuel) = report
        .signable()
        .ok_or_else(|| format!("{}: {}", vector.name, report.remark))?;
    let line = format!("{} {} {root} {}", vector.name, outcome.name(), fuel.0);
    Ok(Answer {
        name: vector.name.clone(),
        line,
    })
}

/// The digest of all answers.
#[must_use]
pub fn digest_of(engine: u16, answers: &[Answer]) -> Digest {
    let mut text = String::new();
    for answer in answers {
        text.push_str(&answer.line);
        text.push('\n');
    }
    th(Tag::Conformance, &[&engine.to_be_bytes(), text.as_bytes()])
}

pub(crate) fn conform(prepared: &Prepared) -> Report {
    let engine = prepared.engine();
    let answers: Result<Vec<Answer>, String> = vectors()
        .iter()
        .map(|vector| answer(prepared, vector))
        .collect();
    match answers {
        Ok(answers) if conformance(engine) == Some(digest_of(engine, &answers)) => Report::new(
            engine,
            Verdict::Conformed {
                digest: digest_of(engine, &answers),
            },
            "",
        ),
        Ok(answers) => not_conforming(engine, &differences(&answers)),
        Err(why) => not_conforming(engine, &why),
    }
}

fn not_conforming(engine: u16, why: &str) -> Report {
    let verdict = Verdict::Declined {
        reason: DeclineReason::NotConforming,
    };
    Report::new(engine, verdict, why)
}

/// The names of graphs that answer otherwise than when the hash was fixed.
fn differences(answers: &[Answer]) -> String {
    let expected: Vec<&str> = EXPECTED.lines().collect();
    let odd = answers
        .iter()
        .filter(|answer| !expected.contains(&answer.line.as_str()));
    let names: Vec<&str> = odd.map(|answer| answer.name.as_str()).collect();
    format!("these answer otherwise: {}", names.join(" "))
}

/// Runs a built-in graph on ones.
pub(crate) fn run_graph(prepared: &Prepared, model: &[u8]) -> Result<Report, String> {
    run(prepared, model.to_vec(), |manifest| {
        let inputs = manifest.inputs.iter();
        inputs
            .map(|input| (Some(input.name.clone()), ones(input)))
            .collect()
    })
}

fn ones(input: &protocol::manifest::InputSpec) -> Array {
    let dims = input.dims.iter().map(|dim| match dim {
        protocol::manifest::DimSpec::Fixed(length) => *length,
        protocol::manifest::DimSpec::UpTo(_) => 1,
    });
    let dims: Vec<u64> = dims.collect();
    let one: &[u8] = match input.dtype {
        Dtype::F32 => &1.0_f32.to_le_bytes(),
        Dtype::U8 | Dtype::I8 | Dtype::Bool => &[1],
        Dtype::I32 => &1_i32.to_le_bytes(),
        Dtype::I64 => &1_i64.to_le_bytes(),
    };
    let count = dims.iter().product::<u64>();
    let elements = (0..count).flat_map(|_| one.iter().copied()).collect();
    Array {
        dtype: input.dtype,
        dims,
        elements,
    }
}

fn run(
    prepared: &Prepared,
    file: Vec<u8>,
    inputs: impl FnOnce(&ModelManifest) -> Vec<(Option<String>, Array)>,
) -> Result<Report, String> {
    let model = manifest_of(&file, "", "", FREE_AXIS_MAX).map_err(|error| error.to_string())?;
    let arrays = inputs(&model);
    let (input, bytes) = bundle(&model, arrays).map_err(|error| error.to_string())?;
    let request = Request {
        model,
        input,
        outputs: Vec::new(),
        fuel_limit: Fuel(u64::MAX),
        out_bytes: OUTPUT_BYTES_MAX,
    };
    Ok(prepared.run(&request, file, &bytes))
}

/// Reads the pack: big-endian lengths, then bytes.
struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn take(&mut self, length: usize) -> &'a [u8] {
        let (taken, rest) = self.0.split_at(length);
        self.0 = rest;
        taken
    }

    fn number<const N: usize>(&mut self) -> usize {
        self.take(N)
            .iter()
            .fold(0, |number, byte| number << 8 | usize::from(*byte))
    }

    fn vector(&mut self) -> Vector {
        let name_length = self.number::<1>();
        let name = String::from_utf8_lossy(self.take(name_length)).into_owned();
        let model_length = self.number::<4>();
        let model = self.take(model_length).to_vec();
        let count = self.number::<1>();
        let inputs = (0..count).map(|_| self.array()).collect();
        Vector {
            name,
            model,
            inputs,
        }
    }

    fn array(&mut self) -> Array {
        let code = self.take(1)[0];
        let Some(dtype) = Dtype::from_code(code) else {
            return sweep();
        };
        let rank = self.number::<1>();
        let dims: Vec<u64> = (0..rank).map(|_| self.number::<4>() as u64).collect();
        let bytes = usize::try_from(dtype.bytes_of(&dims).unwrap_or(0)).unwrap_or(0);
        Array {
            dtype,
            dims,
            elements: self.take(bytes).to_vec(),
        }
    }
}

/// 65,536 floats spread evenly over all bit patterns, and the known straddler.
fn sweep() -> Array {
    let spread = (0..65_535_u32).map(|index| index << 16 | index.wrapping_mul(40_503) & 0xffff);
    let elements = spread
        .chain([STRADDLER])
        .flat_map(u32::to_le_bytes)
        .collect();
    Array {
        dtype: Dtype::F32,
        dims: vec![65_536],
        elements,
    }
}
