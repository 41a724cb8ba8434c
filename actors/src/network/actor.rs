//! The bridge between the network's loop and the actors.
//!
//! Owns: the handle on the network, the transfers under way. Consumes: what actors want sent or
//! fetched, chunks from peers, answers from storage. Emits: commands to the network (all of which
//! return at once), `Fetched` to jobs. What peers say to other actors does not pass through here:
//! each lane has a task of its own (`lanes.rs`), so that a slow receiver stalls only its own lane.

use std::sync::Arc;
use std::time::Duration;

use net::{CommandError, NetHandle, Offence, PeerId, Role};
use protocol::digest::{ChainId, Digest};
use protocol::keys::SecretKey;
use protocol::manifest::FileDigest;
use storage::blobs::FileParts;
use storage::handle::StorageHandle;
use tokio::sync::watch;

use crate::catalogue::{JobsMail, NetworkMail};
use crate::clock::{Timers, Wall};
use crate::jobs::workflow::Artifact;
use crate::mailbox::{Outbox, Receive};
use crate::network::fetch::{Action, Fetcher};
use crate::network::ports::PublicBlobs;
use crate::snapshot::Snapshot;
use crate::supervisor::{Fatal, HaltReason, Supervisor};
use crate::tamper::Outgoing;
use crate::wiring::TimerKey;

/// A transfer with nobody to ask looks again after this long.
const RETRY_AFTER: Duration = Duration::from_millis(500);
/// A proof lives 24 hours and is renewed at half of that; a first one is due once we are registered.
const PROOF_RENEW: Duration = Duration::from_secs(12 * 3_600);
const PROOF_RETRY: Duration = Duration::from_secs(2);

/// What the network actor is made of.
#[derive(Debug)]
pub(crate) struct NetworkParts {
    pub(crate) net: NetHandle,
    pub(crate) chain: ChainId,
    pub(crate) role: Role,
    pub(crate) session: Option<Arc<SecretKey>>,
    pub(crate) storage: StorageHandle,
    pub(crate) own: Outbox<NetworkMail>,
    pub(crate) jobs: Outbox<JobsMail>,
    pub(crate) timers: Timers<TimerKey>,
    pub(crate) wall: Wall,
    pub(crate) snapshots: watch::Receiver<Arc<Snapshot>>,
    pub(crate) public: PublicBlobs,
    pub(crate) supervisor: Supervisor,
}

/// See the module.
#[derive(Debug)]
pub(crate) struct NetworkActor {
    parts: NetworkParts,
    fetcher: Fetcher,
    /// What storage was too busy for.
    deferred: Vec<Action>,
}

impl NetworkActor {
    pub(crate) fn new(parts: NetworkParts) -> Self {
        Self {
            parts,
            fetcher: Fetcher::default(),
            deferred: Vec::new(),
        }
    }

    fn broadcast(&self, message: &Outgoing) {
        let net = &self.parts.net;
        let sent = match message {
            Outgoing::Vote(vote) => net.broadcast_vote(vote),
            Outgoing::Proposal { proposal, block } => net.broadcast_proposal(proposal, block),
            Outgoing::Certificate(certificate) => net.broadcast_certificate(certificate),
        };
        self.check(sent);
    }

    /// A stuck loop ends the process; everything else repeats itself or is reported elsewhere.
    fn check(&self, outcome: Result<(), CommandError>) {
        match outcome {
            Ok(()) | Err(CommandError::Ended) => {}
            Err(error @ CommandError::Stuck) => {
                self.parts
                    .supervisor
                    .raise(Fatal::new(HaltReason::Stuck, error.to_string()));
            }
            Err(error) => tracing::debug!(%error, "network_busy"),
        }
    }

    /// Whom to ask for blobs: validators first.
    fn peers(&self) -> Vec<PeerId> {
        let view = self.parts.net.view();
        let mut rows: Vec<_> = view.peers.iter().collect();
        rows.sort_by_key(|row| (row.validator.is_none(), row.role != Role::Full));
        rows.into_iter().map(|row| row.peer).collect()
    }

    fn perform(&mut self, actions: Vec<Action>) {
        for action in actions {
            self.act(action);
        }
    }

    fn act(&mut self, action: Action) {
        match action {
            Action::ReadManifest(artifact) => self.read_manifest(artifact),
            Action::CheckFile(artifact, file) => self.list_missing(artifact, file),
            Action::Request(peer, request) => {
                // A busy queue loses the request: it counts as a failed try.
                if self.parts.net.fetch_chunk(peer, request).is_err() {
                    self.fetcher.lost(peer, request);
                    self.parts.timers.set(TimerKey::RetryBlobs, RETRY_AFTER);
                }
            }
            Action::Put(artifact, key, bytes) => self.put(artifact, key, bytes),
            Action::Assemble(artifact, file) => self.assemble(artifact, file),
            Action::Report(peer) => self.check(self.parts.net.report(peer, Offence::LyingChunk)),
            Action::Done(artifact, held) => {
                if held && let Artifact::Model(root) = artifact {
                    self.parts.public.add_model(&self.parts.storage, root);
                }
                self.parts.jobs.tell(JobsMail::Fetched { artifact, held });
            }
            Action::Later => self.parts.timers.set(TimerKey::RetryBlobs, RETRY_AFTER),
        }
    }

    fn read_manifest(&mut self, artifact: Artifact) {
        let own = self.parts.own.clone();
        let reply = Box::new(move |outcome: Result<Vec<u8>, _>| {
            let bytes = outcome.ok();
            own.tell(NetworkMail::ManifestRead { artifact, bytes });
        });
        if self.parts.storage.get_blob(artifact.root(), reply).is_err() {
            self.defer(Action::ReadManifest(artifact));
        }
    }

    fn list_missing(&mut self, artifact: Artifact, file: FileDigest) {
        let own = self.parts.own.clone();
        let reply = Box::new(move |outcome: Result<Vec<Digest>, _>| {
            let missing = outcome.ok();
            own.tell(NetworkMail::MissingListed { artifact, missing });
        });
        if self
            .parts
            .storage
            .missing_chunks(parts_of(&file), reply)
            .is_err()
        {
            self.defer(Action::CheckFile(artifact, file));
        }
    }

    fn put(&mut self, artifact: Artifact, key: Digest, bytes: Vec<u8>) {
        let own = self.parts.own.clone();
        let is_manifest = key == artifact.root() && !matches!(artifact, Artifact::Output { .. });
        let reply = Box::new(move |outcome: Result<(), _>| {
            // A manifest that is not stored shows when the run looks for it.
            if !is_manifest {
                let stored = outcome.is_ok();
                own.tell(NetworkMail::ChunkStored { artifact, stored });
            }
        });
        if self
            .parts
            .storage
            .put_blob(key, bytes.clone(), reply)
            .is_err()
        {
            self.defer(Action::Put(artifact, key, bytes));
        }
    }

    fn assemble(&mut self, artifact: Artifact, file: FileDigest) {
        let own = self.parts.own.clone();
        let reply = Box::new(move |outcome: Result<Vec<Digest>, _>| {
            let whole = outcome.is_ok_and(|missing| missing.is_empty());
            own.tell(NetworkMail::Assembled { artifact, whole });
        });
        if self.parts.storage.assemble(parts_of(&file), reply).is_err() {
            self.defer(Action::Assemble(artifact, file));
        }
    }

    /// Storage is busy: the action is taken up again in a while. The requests under way bound how
    /// many can wait here.
    fn defer(&mut self, action: Action) {
        self.deferred.push(action);
        self.parts.timers.set(TimerKey::RetryBlobs, RETRY_AFTER);
    }

    /// Proves for which validator this node speaks, as soon as there is one.
    fn renew_proof(&self) {
        let Some(session) = &self.parts.session else {
            return;
        };
        let snapshot = self.parts.snapshots.borrow().clone();
        let Some(validator) = snapshot.session_holder(&session.public()) else {
            self.parts.timers.set(TimerKey::RenewProof, PROOF_RETRY);
            return;
        };
        let (chain, peer) = (&self.parts.chain, self.parts.net.peer_id());
        let now = self.parts.wall.now().0;
        let proof = net::Proof::sign(session, chain, self.parts.role, validator, peer, now);
        self.check(self.parts.net.set_proof(proof));
        self.parts.timers.set(TimerKey::RenewProof, PROOF_RENEW);
    }
}

fn parts_of(file: &FileDigest) -> FileParts {
    FileParts {
        sha256: file.sha256,
        size: file.size,
        chunks: file.chunks.clone(),
    }
}

impl Receive for NetworkActor {
    type Message = NetworkMail;

    fn started(&mut self) {
        self.renew_proof();
    }

    fn receive(&mut self, message: NetworkMail) {
        match message {
            NetworkMail::Broadcast(message) => self.broadcast(&message),
            NetworkMail::OfferRound { height, round } => {
                self.check(self.parts.net.offer_round(height, round));
            }
            NetworkMail::FetchBody { id, peer } => {
                self.check(self.parts.net.fetch_body(peer, id));
            }
            NetworkMail::AskHeight { peer, height } => {
                self.check(self.parts.net.ask_height(peer, height));
            }
            NetworkMail::Report { peer, offence } => {
                self.check(self.parts.net.report(peer, offence));
            }
            NetworkMail::GossipTx(tx) => self.check(self.parts.net.gossip_tx(&tx)),
            NetworkMail::GossipPair(pair) => self.check(self.parts.net.gossip_pair(&pair)),
            NetworkMail::FetchBlob(artifact) => {
                self.fetcher.set_peers(self.peers());
                let actions = self.fetcher.want(artifact);
                self.perform(actions);
            }
            NetworkMail::FetchAhead(artifact) => {
                self.fetcher.set_peers(self.peers());
                let actions = self.fetcher.want_ahead(artifact);
                self.perform(actions);
            }
            NetworkMail::LeaveAhead(artifact) => {
                if self.fetcher.leave_ahead(&artifact) {
                    self.deferred
                        .retain(|action| action.artifact() != Some(artifact));
                }
            }
            NetworkMail::Chunk(event) => {
                let bytes = event.outcome.ok().map(|chunk| chunk.bytes);
                let actions = self.fetcher.arrived(event.peer, event.request, bytes);
                self.perform(actions);
            }
            NetworkMail::ManifestRead { artifact, bytes } => {
                let actions = self.fetcher.manifest_read(artifact, bytes);
                self.perform(actions);
            }
            NetworkMail::MissingListed { artifact, missing } => {
                let actions = self.fetcher.missing_listed(artifact, missing);
                self.perform(actions);
            }
            NetworkMail::ChunkStored { artifact, stored } => {
                let actions = self.fetcher.stored(artifact, stored);
                self.perform(actions);
            }
            NetworkMail::Assembled { artifact, whole } => {
                let actions = self.fetcher.assembled(artifact, whole);
                self.perform(actions);
            }
            NetworkMail::RetryBlobs => {
                self.fetcher.set_peers(self.peers());
                let mut actions = std::mem::take(&mut self.deferred);
                actions.extend(self.fetcher.retry());
                self.perform(actions);
            }
            NetworkMail::RenewProof => self.renew_proof(),
        }
    }
}
