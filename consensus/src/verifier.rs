//! Checks signatures for the core, each at most once.
//!
//! The core's verifier is async. Ours never waits: it is polled once, with a waker that does nothing.

use std::future::Future;
use std::pin::pin;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::{Context as TaskContext, Poll, Waker};

use arc_malachitebft_core_types::{
    self as core, NilOrVal, Round, ValidatorProof, VoteExtensionScope, VoteType,
};
use arc_malachitebft_signing::{Error, VerificationResult, Verifier};
use protocol::digest::{ChainId, Digest};
use protocol::keys::{PublicKey, Signature};
use protocol::vote::{
    CertificateSignature, CommitCertificate, PolkaCertificate, RoundCertificate,
    RoundCertificateKind, RoundSignature, VoteKind,
};

use crate::cache::SignatureCache;
use crate::context::{CoreAddress, CoreHeight, CoreProposal, CoreVote, Ctx, our_round};

#[derive(Debug, Default)]
struct Checked {
    cache: SignatureCache,
    verifications: u64,
}

/// The cache, and the chain that every digest names. The lock is never contended: it is there
/// because the core's trait takes `&self`.
#[derive(Debug)]
pub(crate) struct CachedVerifier {
    chain: ChainId,
    checked: Mutex<Checked>,
}

impl CachedVerifier {
    pub(crate) fn new(chain: ChainId) -> Self {
        Self {
            chain,
            checked: Mutex::default(),
        }
    }

    fn checked(&self) -> MutexGuard<'_, Checked> {
        self.checked.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How many signatures were computed, rather than remembered.
    pub(crate) fn verifications(&self) -> u64 {
        self.checked().verifications
    }

    /// How many signatures are remembered.
    pub(crate) fn remembered(&self) -> usize {
        self.checked().cache.len()
    }

    /// Takes note of a signature that was checked elsewhere, or made here.
    pub(crate) fn trust(&self, digest: Digest, key: PublicKey, signature: Signature) {
        self.checked().cache.insert((digest, key, signature));
    }

    pub(crate) fn is_good(
        &self,
        digest: Option<Digest>,
        key: &PublicKey,
        signature: &Signature,
    ) -> bool {
        let Some(digest) = digest else { return false };
        let entry = (digest, *key, *signature);
        let mut checked = self.checked();
        if checked.cache.contains(&entry) {
            return true;
        }
        checked.verifications = checked.verifications.saturating_add(1);
        let good = key.verify(&digest, signature).is_ok();
        if good {
            checked.cache.insert(entry);
        }
        good
    }

    pub(crate) fn vote_is_good(
        &self,
        vote: &CoreVote,
        key: &PublicKey,
        signature: &Signature,
    ) -> bool {
        vote.address.0.as_ref() == Some(key)
            && self.is_good(vote.digest(&self.chain), key, signature)
    }

    pub(crate) fn proposal_is_good(
        &self,
        proposal: &CoreProposal,
        key: &PublicKey,
        signature: &Signature,
    ) -> bool {
        proposal.address.0.as_ref() == Some(key)
            && self.is_good(proposal.digest(&self.chain), key, signature)
    }
}

type Answer<'a> =
    std::pin::Pin<Box<dyn Future<Output = Result<VerificationResult, Error>> + Send + 'a>>;

fn answer<'a>(good: bool) -> Answer<'a> {
    Box::pin(std::future::ready(Ok(VerificationResult::from_bool(good))))
}

impl Verifier<Ctx> for CachedVerifier {
    fn verify_signed_vote<'life0, 'life1, 'life2, 'life3, 'async_trait>(
        &'life0 self,
        vote: &'life1 CoreVote,
        signature: &'life2 Signature,
        key: &'life3 PublicKey,
    ) -> Answer<'async_trait>
    where
        'life0: 'async_trait,
        'life1: 'async_trait,
        'life2: 'async_trait,
        'life3: 'async_trait,
        Self: 'async_trait,
    {
        answer(self.vote_is_good(vote, key, signature))
    }

    fn verify_signed_proposal<'life0, 'life1, 'life2, 'life3, 'async_trait>(
        &'life0 self,
        proposal: &'life1 CoreProposal,
        signature: &'life2 Signature,
        key: &'life3 PublicKey,
    ) -> Answer<'async_trait>
    where
        'life0: 'async_trait,
        'life1: 'async_trait,
        'life2: 'async_trait,
        'life3: 'async_trait,
        Self: 'async_trait,
    {
        answer(self.proposal_is_good(proposal, key, signature))
    }

    /// Extensions are off, so none is ever good.
    fn verify_signed_vote_extension<'life0, 'life1, 'life2, 'life3, 'life4, 'async_trait>(
        &'life0 self,
        _: &'life1 VoteExtensionScope<Ctx>,
        (): &'life2 (),
        _: &'life3 Signature,
        _: &'life4 PublicKey,
    ) -> Answer<'async_trait>
    where
        'life0: 'async_trait,
        'life1: 'async_trait,
        'life2: 'async_trait,
        'life3: 'async_trait,
        'life4: 'async_trait,
        Self: 'async_trait,
    {
        answer(false)
    }

    /// Peers prove themselves to the network by other means.
    fn verify_validator_proof<'life0, 'life1, 'async_trait>(
        &'life0 self,
        _: &'life1 ValidatorProof<Ctx>,
    ) -> Answer<'async_trait>
    where
        'life0: 'async_trait,
        'life1: 'async_trait,
        Self: 'async_trait,
    {
        answer(false)
    }
}

/// The result of a future that does not wait; `None` if it does.
pub(crate) fn poll_once<T>(future: impl Future<Output = T>) -> Option<T> {
    match pin!(future).poll(&mut TaskContext::from_waker(Waker::noop())) {
        Poll::Ready(value) => Some(value),
        Poll::Pending => None,
    }
}

/// Who signed, in the core's order; `None` if somebody there has no key.
fn parts(
    signed: impl Iterator<Item = (CoreAddress, Signature)>,
) -> Option<Vec<CertificateSignature>> {
    let part = |(address, signature): (CoreAddress, Signature)| {
        let signer = address.0?;
        Some(CertificateSignature { signer, signature })
    };
    signed.map(part).collect()
}

/// A decision as everybody reads it: signers in ascending order of key.
pub(crate) fn commit_from_core(
    certificate: &core::CommitCertificate<Ctx>,
) -> Option<CommitCertificate> {
    let mut signatures = parts(
        certificate
            .commit_signatures
            .iter()
            .map(|part| (part.address, part.signature)),
    )?;
    signatures.sort_by_key(|part| part.signer);
    Some(CommitCertificate {
        height: certificate.height.0,
        round: our_round(certificate.round)?,
        block: certificate.value_id,
        signatures,
    })
}

pub(crate) fn commit_to_core(
    certificate: &CommitCertificate,
) -> core::ExtendedCommitCertificate<Ctx> {
    let signature = |part: &CertificateSignature| {
        core::ExtendedCommitSignature::new(CoreAddress(Some(part.signer)), part.signature, None)
    };
    core::ExtendedCommitCertificate {
        height: CoreHeight(certificate.height),
        round: Round::new(certificate.round.0),
        value_id: certificate.block,
        commit_signatures: certificate.signatures.iter().map(signature).collect(),
    }
}

pub(crate) fn polka_from_core(polka: &core::PolkaCertificate<Ctx>) -> Option<PolkaCertificate> {
    let signatures = parts(
        polka
            .polka_signatures
            .iter()
            .map(|part| (part.address, part.signature)),
    )?;
    Some(PolkaCertificate {
        height: polka.height.0,
        round: our_round(polka.round)?,
        block: polka.value_id,
        signatures,
    })
}

pub(crate) fn polka_to_core(polka: &PolkaCertificate) -> core::PolkaCertificate<Ctx> {
    let signature = |part: &CertificateSignature| {
        core::PolkaSignature::new(CoreAddress(Some(part.signer)), part.signature)
    };
    core::PolkaCertificate {
        height: CoreHeight(polka.height),
        round: Round::new(polka.round.0),
        value_id: polka.block,
        polka_signatures: polka.signatures.iter().map(signature).collect(),
    }
}

pub(crate) fn round_from_core(
    certificate: &core::RoundCertificate<Ctx>,
) -> Option<RoundCertificate> {
    let part = |part: &core::RoundSignature<Ctx>| {
        Some(RoundSignature {
            kind: match part.vote_type {
                VoteType::Prevote => VoteKind::Prevote,
                VoteType::Precommit => VoteKind::Precommit,
            },
            block: match part.value_id {
                NilOrVal::Nil => None,
                NilOrVal::Val(id) => Some(id),
            },
            signer: part.address.0?,
            signature: part.signature,
        })
    };
    Some(RoundCertificate {
        height: certificate.height.0,
        round: our_round(certificate.round)?,
        kind: match certificate.cert_type {
            core::RoundCertificateType::Precommit => RoundCertificateKind::Precommit,
            core::RoundCertificateType::Skip => RoundCertificateKind::Skip,
        },
        signatures: certificate
            .round_signatures
            .iter()
            .map(part)
            .collect::<Option<Vec<_>>>()?,
    })
}

pub(crate) fn round_to_core(certificate: &RoundCertificate) -> core::RoundCertificate<Ctx> {
    let part = |part: &RoundSignature| {
        let kind = match part.kind {
            VoteKind::Prevote => VoteType::Prevote,
            VoteKind::Precommit => VoteType::Precommit,
        };
        let value = part.block.map_or(NilOrVal::Nil, NilOrVal::Val);
        core::RoundSignature::new(kind, value, CoreAddress(Some(part.signer)), part.signature)
    };
    core::RoundCertificate {
        height: CoreHeight(certificate.height),
        round: Round::new(certificate.round.0),
        cert_type: match certificate.kind {
            RoundCertificateKind::Precommit => core::RoundCertificateType::Precommit,
            RoundCertificateKind::Skip => core::RoundCertificateType::Skip,
        },
        round_signatures: certificate.signatures.iter().map(part).collect(),
    }
}
