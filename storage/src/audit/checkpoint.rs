//! Signed checkpoints in the C2SP `tlog-checkpoint` form; pure.
//!
//! ```text
//! palisade/audit/<genesis hash>/<signer>
//! <number of records>
//! <root, base64>
//!
//! — <signer> <base64 of key id ‖ signature>
//! ```
//! What is signed is the text up to and including the newline after the root.

use std::fmt;

use protocol::digest::{ChainId, Digest, Tag, sha256, th};
use protocol::keys::{PublicKey, Signature};

use super::base64;

/// Limit of a checkpoint, which must fit an audit record.
pub const CHECKPOINT_BYTES_MAX: usize = 1 << 10;
/// C2SP's byte for a signature type of one's own, followed by its name.
const SIGNATURE_TYPE: &[u8] = b"\xffpalisade-k256";

/// Signs checkpoints; the key stays with whoever implements this.
pub trait CheckpointSigner: Send {
    /// The public key that verifies the signatures.
    fn public_key(&self) -> PublicKey;
    /// Signs a digest.
    fn sign(&self, digest: &Digest) -> Signature;
}

impl CheckpointSigner for protocol::keys::SecretKey {
    fn public_key(&self) -> PublicKey {
        self.public()
    }

    fn sign(&self, digest: &Digest) -> Signature {
        Self::sign(self, digest)
    }
}

/// What a checkpoint states.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Checkpoint {
    /// Number of records.
    pub size: u64,
    /// Root of their tree.
    pub root: Digest,
}

/// Why a checkpoint is not accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CheckpointError {
    /// Not the exact form of a checkpoint of this log.
    #[error("checkpoint is malformed")]
    Malformed,
    /// The signature is not by the log's key.
    #[error("checkpoint signature does not verify")]
    BadSignature,
}

/// Which log, and whose.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LogIdentity {
    /// The chain.
    pub chain: ChainId,
    /// The key that signs checkpoints.
    pub signer: PublicKey,
}

struct Hex<'a>(&'a [u8]);

impl fmt::Display for Hex<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl LogIdentity {
    fn text(&self, checkpoint: &Checkpoint) -> String {
        let chain = self.chain;
        let signer = Hex(self.signer.as_bytes());
        let root = base64::encode(checkpoint.root.as_bytes());
        format!(
            "palisade/audit/{chain}/{signer}\n{}\n{root}\n",
            checkpoint.size
        )
    }

    fn key_id(&self) -> [u8; 4] {
        let mut bytes = Hex(self.signer.as_bytes()).to_string().into_bytes();
        bytes.push(b'\n');
        bytes.extend_from_slice(SIGNATURE_TYPE);
        bytes.extend_from_slice(self.signer.as_bytes());
        let [a, b, c, d, ..] = sha256(&bytes).0;
        [a, b, c, d]
    }

    /// Signs a checkpoint and returns its bytes.
    #[must_use]
    pub fn sign(&self, checkpoint: &Checkpoint, signer: &dyn CheckpointSigner) -> Vec<u8> {
        let text = self.text(checkpoint);
        let signature = signer.sign(&th(Tag::Checkpoint, &[text.as_bytes()]));
        let mut stamped = self.key_id().to_vec();
        stamped.extend_from_slice(&signature.0);
        let name = Hex(self.signer.as_bytes());
        format!("{text}\n\u{2014} {name} {}\n", base64::encode(&stamped)).into_bytes()
    }

    /// Checks a checkpoint's form and signature.
    ///
    /// # Errors
    /// Says which of the two is wrong.
    pub fn verify(&self, bytes: &[u8]) -> Result<Checkpoint, CheckpointError> {
        let checkpoint = parse(bytes).ok_or(CheckpointError::Malformed)?;
        let text = self.text(&checkpoint);
        let whole = std::str::from_utf8(bytes).map_err(|_| CheckpointError::Malformed)?;
        let rest = whole
            .strip_prefix(&text)
            .ok_or(CheckpointError::Malformed)?;
        let opening = format!("\n\u{2014} {} ", Hex(self.signer.as_bytes()));
        let stamped = rest
            .strip_prefix(&opening)
            .and_then(|rest| rest.strip_suffix('\n'));
        let stamped = stamped
            .and_then(base64::decode)
            .ok_or(CheckpointError::Malformed)?;
        let signature = stamped
            .strip_prefix(&self.key_id())
            .ok_or(CheckpointError::Malformed)?;
        let signature =
            Signature::from_slice(signature).map_err(|_| CheckpointError::BadSignature)?;
        let digest = th(Tag::Checkpoint, &[text.as_bytes()]);
        self.signer
            .verify(&digest, &signature)
            .map_err(|_| CheckpointError::BadSignature)?;
        Ok(checkpoint)
    }
}

/// The hash that the node's next transaction carries.
#[must_use]
pub fn anchor(checkpoint: &[u8]) -> Digest {
    sha256(checkpoint)
}

/// Reads size and root without believing them.
#[must_use]
pub fn parse(bytes: &[u8]) -> Option<Checkpoint> {
    (bytes.len() <= CHECKPOINT_BYTES_MAX).then_some(())?;
    let mut lines = std::str::from_utf8(bytes).ok()?.lines().skip(1);
    let size = lines.next()?.parse().ok()?;
    let root = base64::decode(lines.next()?)?.try_into().ok()?;
    Some(Checkpoint {
        size,
        root: Digest(root),
    })
}
