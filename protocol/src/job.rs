//! Jobs: what a client asks for, where a validator sits, how a run ends and how a seat commits to it.

use bincode::de::Decoder;
use bincode::enc::Encoder;
use bincode::error::{DecodeError, EncodeError};
use bincode::{Decode, Encode};

use crate::codec::{Canonical, CodecError, decode_canonical, encode};
use crate::digest::{Address, ChainId, Digest, JobId, Tag, ValidatorId, th};
use crate::keys::{PublicKey, Signature};
use crate::limits::{
    JOB_CPU_MS, JOB_MEM_BYTES, JOB_WALL_MS, OUTPUT_BYTES_DEFAULT, OUTPUT_NAME_BYTES_MAX,
    OUTPUTS_MAX,
};
use crate::tx::TxKind;
use crate::units::{Amount, Fuel, Height};

/// How equal two answers must be.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Encode, Decode)]
pub enum Agreement {
    /// Outcome, result root and fuel are the same.
    Exact,
}

/// The terms of a run.
#[derive(Clone, PartialEq, Eq, Debug, Encode, Decode)]
pub struct JobParams {
    /// How equal answers must be.
    pub agreement: Agreement,
    /// Which outputs the client wants, in this order; none means all, in the model's order.
    pub outputs: Vec<String>,
    /// All outputs together.
    pub out_bytes: u64,
    /// Processor time; in S1 the default and nothing else.
    pub cpu_ms: u64,
    /// Elapsed time; in S1 the default and nothing else.
    pub wall_ms: u64,
    /// Memory; in S1 the default and nothing else.
    pub mem_bytes: u64,
}

impl Default for JobParams {
    fn default() -> Self {
        Self {
            agreement: Agreement::Exact,
            outputs: Vec::new(),
            out_bytes: OUTPUT_BYTES_DEFAULT,
            cpu_ms: JOB_CPU_MS,
            wall_ms: JOB_WALL_MS,
            mem_bytes: JOB_MEM_BYTES,
        }
    }
}

/// What a client asks for.
#[derive(Clone, PartialEq, Eq, Debug, Encode, Decode)]
pub struct JobSpec {
    /// Which model: the root of its manifest.
    pub model_root: Digest,
    /// Which engine runs it (models.md).
    pub engine: u16,
    /// Which input: the root of its manifest.
    pub input: Digest,
    /// On which terms.
    pub params: JobParams,
    /// How much work it may cost.
    pub fuel_limit: Fuel,
    /// How many seats.
    pub k: u16,
    /// What is locked for it.
    pub max_price: Amount,
    /// The height at which it ends if no committee was drawn before.
    pub expiry: Height,
}

impl Canonical for JobSpec {
    const BYTES_MAX: usize = 256 + OUTPUTS_MAX * (OUTPUT_NAME_BYTES_MAX + 8);
}

impl JobSpec {
    /// The spec as it stands in a transaction: the kind's number, then the fields.
    #[must_use]
    pub fn bytes(&self) -> Vec<u8> {
        let mut bytes = TxKind::SubmitJob.code().to_be_bytes().to_vec();
        bytes.extend_from_slice(&encode(self));
        bytes
    }

    /// Reads [`Self::bytes`].
    ///
    /// # Errors
    /// [`CodecError`] for anything but the canonical bytes of a spec.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, CodecError> {
        match bytes.split_first_chunk::<4>() {
            Some((kind, fields)) if *kind == TxKind::SubmitJob.code().to_be_bytes() => {
                decode_canonical(fields)
            }
            _ => Err(CodecError::Malformed("not a job spec".to_owned())),
        }
    }

    /// `TH("palisade/job-spec/v1", spec)`.
    #[must_use]
    pub fn hash(&self) -> Digest {
        spec_hash(&self.bytes())
    }

    /// The id this spec gets when `client` submits it with `nonce`.
    #[must_use]
    pub fn job_id(&self, chain: &ChainId, client: &Address, nonce: u64) -> JobId {
        job_id(chain, client, nonce, &self.hash())
    }
}

/// `TH("palisade/job-spec/v1", spec bytes)`.
#[must_use]
pub fn spec_hash(spec: &[u8]) -> Digest {
    th(Tag::JobSpec, &[spec])
}

/// `TH("palisade/job/v1", chain ‖ client ‖ nonce ‖ spec hash)`.
#[must_use]
pub fn job_id(chain: &ChainId, client: &Address, nonce: u64, spec: &Digest) -> JobId {
    let nonce = nonce.to_be_bytes();
    JobId(th(
        Tag::Job,
        &[chain.as_ref(), client.as_ref(), &nonce, spec.as_ref()],
    ))
}

/// Someone who pays a job's price in the client's stead.
#[derive(Clone, PartialEq, Eq, Debug, Encode, Decode)]
pub struct Sponsor {
    /// Whose account.
    pub key: PublicKey,
    /// Over [`sponsor_digest`].
    pub signature: Signature,
}

/// What a sponsor signs.
#[must_use]
pub fn sponsor_digest(job: &JobId) -> Digest {
    th(Tag::Sponsor, &[job.as_ref()])
}

/// One place in the committee of one job.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Encode, Decode)]
pub struct SeatRef {
    /// Which job.
    pub job: JobId,
    /// Which committee of that job, from 0; S1 draws one only.
    pub attempt: u32,
    /// Which place in it, from 0. Jurors follow the drawn seats.
    pub seat: u16,
}

macro_rules! byte_enum {
    ($(#[$doc:meta])* $name:ident, $wrong:literal { $($(#[$vdoc:meta])* $variant:ident = $code:literal, $text:literal;)* }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
        pub enum $name {
            $($(#[$vdoc])* $variant,)*
        }

        impl $name {
            /// All of them, by number.
            pub const ALL: &'static [Self] = &[$(Self::$variant),*];

            /// The number on the wire.
            #[must_use]
            pub const fn code(self) -> u8 {
                match self {
                    $(Self::$variant => $code,)*
                }
            }

            /// The name people and JSON use.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$variant => $text,)*
                }
            }

            /// The one with this number.
            #[must_use]
            pub const fn from_code(code: u8) -> Option<Self> {
                match code {
                    $($code => Some(Self::$variant),)*
                    _ => None,
                }
            }
        }

        impl Encode for $name {
            fn encode<E: Encoder>(&self, encoder: &mut E) -> Result<(), EncodeError> {
                self.code().encode(encoder)
            }
        }

        impl<Context> Decode<Context> for $name {
            fn decode<D: Decoder<Context = Context>>(decoder: &mut D) -> Result<Self, DecodeError> {
                Self::from_code(u8::decode(decoder)?).ok_or(DecodeError::Other($wrong))
            }
        }

        bincode::impl_borrow_decode!($name);
    };
}

byte_enum! {
    /// How a run ended, as fixed by model and input alone. All of these can be agreed on and are
    /// paid; what a host may have caused is a [`DeclineReason`] instead.
    Outcome, "not an outcome" {
        /// It answered.
        Ok = 0, "ok";
        /// The model failed while running.
        ModelTrap = 1, "model_trap";
        /// It costs more than its limit.
        FuelExhausted = 2, "fuel_exhausted";
        /// The answer is longer than asked for.
        OutputTooLarge = 3, "output_too_large";
        /// The engine does not run such models.
        EngineRefused = 4, "engine_refused";
    }
}

byte_enum! {
    /// Why a host gave up its seat: unpaid and unslashed.
    DeclineReason, "not a reason to decline" {
        /// Too slow.
        HostTimeout = 1, "host_timeout";
        /// Memory ran out.
        OutOfMemory = 2, "out_of_memory";
        /// The sandbox ended the run.
        SandboxKilled = 3, "sandbox_killed";
        /// The engine itself failed.
        EnginePanic = 4, "engine_panic";
        /// This build or host fails the conformance vectors.
        NotConforming = 5, "not_conforming";
        /// The processor lacks what the engine needs.
        CpuFloor = 6, "cpu_floor";
        /// No slot, no sandbox, no space, or told to be quiet.
        Unavailable = 7, "unavailable";
    }
}

impl Outcome {
    /// The root that stands for this outcome in place of a result: `None` for [`Self::Ok`].
    #[must_use]
    pub fn root(self, code: u32) -> Option<Digest> {
        match self {
            Self::Ok => None,
            failed => Some(th(Tag::Outcome, &[&[failed.code()], &code.to_be_bytes()])),
        }
    }
}

/// What a commit hides: 207 bytes, opened by the reveal.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Encode, Decode)]
pub struct CommitPreimage {
    /// On which chain.
    pub chain: ChainId,
    /// From which seat.
    pub seat: SeatRef,
    /// By whom: a copied commit opens for its author only.
    pub validator: ValidatorId,
    /// Made it unguessable.
    pub salt: Digest,
    /// How the run ended.
    pub outcome: Outcome,
    /// What the run answered.
    pub result_root: Digest,
    /// All zero in S1.
    pub work_digest: Digest,
    /// What the run cost.
    pub fuel: Fuel,
}

/// Length of [`CommitPreimage::bytes`].
pub const COMMIT_PREIMAGE_BYTES: usize = 207;
/// How much of it the salt is derived from: chain, job, attempt, seat and validator.
pub const SALT_INPUT_BYTES: usize = 102;

impl Canonical for CommitPreimage {
    const BYTES_MAX: usize = COMMIT_PREIMAGE_BYTES;
}

impl CommitPreimage {
    /// The 207 bytes.
    #[must_use]
    pub fn bytes(&self) -> Vec<u8> {
        encode(self)
    }

    /// `TH("palisade/commit/v1", bytes)`.
    #[must_use]
    pub fn hash(&self) -> Digest {
        th(Tag::Commit, &[&self.bytes()])
    }
}

/// The first 102 bytes of a preimage: what the salt of a seat is derived from.
#[must_use]
pub fn salt_input(chain: &ChainId, seat: &SeatRef, validator: &ValidatorId) -> Vec<u8> {
    let mut bytes = encode(chain);
    bytes.extend_from_slice(&encode(seat));
    bytes.extend_from_slice(validator.as_ref());
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::digest::sha256;
    use crate::keys::SecretKey;

    fn vector_job() -> (ChainId, JobId, ValidatorId) {
        let chain = ChainId::of_genesis(b"palisade-local");
        let client = SecretKey::from_bytes(&[1; 32]).unwrap().public().address();
        let job = job_id(&chain, &client, 7, &spec_hash(b"spec"));
        (chain, job, ValidatorId::derive(&chain, &client, 0))
    }

    #[test]
    fn job_id_vector() {
        let text = vector_job().1.to_string();
        assert!(
            text.starts_with("164933f0") && text.ends_with("190fffb4"),
            "{text}"
        );
    }

    #[test]
    fn commit_vector() {
        let (chain, job, validator) = vector_job();
        let seat = SeatRef {
            job,
            attempt: 0,
            seat: 2,
        };
        let preimage = CommitPreimage {
            chain,
            seat,
            validator,
            salt: sha256(b"salt"),
            outcome: Outcome::Ok,
            result_root: sha256(b"result"),
            work_digest: Digest::ZERO,
            fuel: Fuel(123_456),
        };
        assert_eq!(preimage.bytes().len(), COMMIT_PREIMAGE_BYTES);
        assert_eq!(
            preimage.bytes()[..SALT_INPUT_BYTES],
            salt_input(&chain, &seat, &validator),
            "the salt is derived from what the preimage begins with"
        );
        assert_eq!(
            preimage.hash().to_string(),
            "1ab84773b85ffe23f19663a394f5fd1bfa44aaaedf04fa062675d24f5fdf6c1a"
        );
    }

    #[test]
    fn codes_are_their_numbers() {
        for outcome in Outcome::ALL {
            assert_eq!(Outcome::from_code(outcome.code()), Some(*outcome));
            assert_eq!(encode(outcome), [outcome.code()]);
        }
        for reason in DeclineReason::ALL {
            assert_eq!(DeclineReason::from_code(reason.code()), Some(*reason));
        }
        assert_eq!(Outcome::from_code(5), None);
        assert_eq!(DeclineReason::from_code(0), None);
    }

    #[test]
    fn outcome_roots_differ_and_ok_has_none() {
        assert_eq!(Outcome::Ok.root(0), None);
        assert_ne!(Outcome::ModelTrap.root(1), Outcome::EngineRefused.root(1));
        assert_ne!(
            Outcome::EngineRefused.root(1),
            Outcome::EngineRefused.root(2)
        );
    }

    #[test]
    fn spec_bytes_begin_with_the_kind() {
        let spec = JobSpec {
            model_root: sha256(b"model"),
            engine: 1,
            input: sha256(b"input"),
            params: JobParams {
                outputs: vec!["probs".to_owned()],
                ..JobParams::default()
            },
            fuel_limit: Fuel(1),
            k: 3,
            max_price: Amount(9),
            expiry: Height(50),
        };
        assert_eq!(spec.bytes()[..4], [0, 0, 0, 5]);
        assert_eq!(JobSpec::from_bytes(&spec.bytes()), Ok(spec.clone()));
        let mut other = spec.bytes();
        other[3] = 6;
        assert!(JobSpec::from_bytes(&other).is_err());
    }
}
