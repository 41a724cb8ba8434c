//! What several actors share, and what each has missed since it last noted a height.

use std::sync::Arc;

use protocol::digest::ChainId;
use protocol::events::Domain;
use protocol::keys::{PublicKey, SecretKey};
use protocol::units::Height;
use storage::handle::StorageHandle;
use storage::open::Recovered;
use storage::state::ActorId;

use super::TimerKey;
use super::boxes::Metrics;
use crate::audit::AuditTrail;
use crate::catalogue::DomainEvents;
use crate::clock::{Timers, Wall};
use crate::duties::Duties;
use crate::engine::Engine;
use crate::feed::{EventFeed, HeightEvents};
use crate::handle::Bells;
use crate::mempool::TakenJobs;
use crate::network::PublicBlobs;
use crate::snapshot::Snapshot;
use crate::supervisor::Supervisor;
use crate::tamper::TamperSwitch;
use crate::verified::VerifiedTxs;

/// Given to every function that makes an actor.
pub(super) struct Shared {
    pub(super) chain: ChainId,
    pub(super) consensus_key: Option<PublicKey>,
    pub(super) session: Option<Arc<SecretKey>>,
    pub(super) storage: StorageHandle,
    pub(super) net: net::NetHandle,
    pub(super) timers: Timers<TimerKey>,
    pub(super) wall: Wall,
    pub(super) tamper: TamperSwitch,
    pub(super) audit: AuditTrail,
    pub(super) public: PublicBlobs,
    pub(super) supervisor: Supervisor,
    pub(super) feed: EventFeed,
    pub(super) first: Arc<Snapshot>,
    pub(super) recovered: Recovered,
    pub(super) engine: Arc<dyn Engine>,
    pub(super) metrics: Metrics,
    pub(super) bells: Bells,
    pub(super) verified: VerifiedTxs,
    pub(super) taken: TakenJobs,
}

impl Shared {
    /// The key our seats speak with.
    pub(super) fn session_key(&self) -> Option<PublicKey> {
        self.session.as_ref().map(|session| session.public())
    }

    pub(super) fn duties(&self) -> Duties {
        Duties {
            chain: self.chain,
            session: self.session.clone(),
            mempool: self.bells.mempool.clone(),
            storage: self.storage.clone(),
            tamper: self.tamper.clone(),
        }
    }

    /// The last height an actor has dealt with.
    pub(super) fn noted(&self, actor: ActorId) -> Height {
        let notes = &self.recovered.state.notes;
        notes.get(&actor).copied().unwrap_or(Height::ZERO)
    }

    /// What an actor has not noted yet, as far as events are still kept.
    pub(super) fn backlog(&self, actor: ActorId, domain: Domain) -> Vec<DomainEvents> {
        let of = |entry: HeightEvents| DomainEvents {
            height: entry.height,
            events: entry.of(domain),
            snapshot: self.first.clone(),
        };
        self.feed
            .after(self.noted(actor))
            .into_iter()
            .map(of)
            .collect()
    }

    /// Opens the models of live jobs to everybody, as they were before a restart.
    pub(super) fn open_models(&self) {
        let state = &self.first.state;
        for job in state.live_jobs() {
            if let Some(request) = state.requests.get(&job) {
                self.public
                    .add_model(&self.storage, request.spec.model_root);
            }
        }
    }
}
