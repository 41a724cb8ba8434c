//! Every message between the parts of one node, ordered by receiver.
//!
//! Each variant says `from -> to; class` first; `docs/messages.md` has the same rows, and a test
//! keeps the two equal. Classes are those of [`Class`]: Vital is never lost, Flow waits with its
//! sender, Shed is dropped and counted, Ask is Flow with an answer. What is Latest travels as a
//! watch: [`Snapshot`](crate::snapshot::Snapshot), `consensus::admission::Window` and the admitted
//! set.

use std::fmt;
use std::sync::Arc;

use consensus::TimerId;
use net::{BulkEvent, ConsensusEvent, PeerId};
use protocol::digest::{BlockId, Digest, EvidenceId, JobId, TxId};
use protocol::events::Event;
use protocol::job::SeatRef;
use protocol::signed::{Signed, Verified};
use protocol::tx::Tx;
use protocol::units::{Height, Round};
use protocol::vote::Pair;
use tokio::sync::oneshot;

use crate::engine::RunEnd;
use crate::execution::workflow::Order;
use crate::jobs::workflow::{Artifact, Capacity};
use crate::mailbox::{Class, Letter};
use crate::mempool::Admission;
use crate::snapshot::Snapshot;
use crate::tamper::Outgoing;

macro_rules! letters {
    ($(#[$doc:meta])* $name:ident { $($(#[$vdoc:meta])+ $class:ident $variant:ident $({ $($(#[$fdoc:meta])* $field:ident: $type:ty),* $(,)? })? $(($($tuple:ty),*))?,)* }) => {
        $(#[$doc])*
        pub enum $name {
            $($(#[$vdoc])+ $variant $({
                $(
                    $(#[$fdoc])*
                    #[doc = concat!("Its ", stringify!($field), ".")]
                    $field: $type
                ),*
            })? $(($($tuple),*))?,)*
        }

        impl Letter for $name {
            fn name(&self) -> &'static str {
                match self {
                    $(Self::$variant { .. } => stringify!($variant),)*
                }
            }

            fn class(&self) -> Class {
                match self {
                    $(Self::$variant { .. } => Class::$class,)*
                }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.name())
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.name())
            }
        }
    };
}

/// The events of one domain at one height, with the snapshot they led to.
#[derive(Clone, Debug)]
pub struct DomainEvents {
    /// The height.
    pub height: Height,
    /// In the order in which they happened.
    pub events: Vec<Event>,
    /// The state after that height, or a later one while a start replays.
    pub snapshot: Arc<Snapshot>,
}

letters! {
    /// To the consensus actor.
    ConsensusMail {
        /// network -> consensus; Flow
        Flow Heard(Box<ConsensusEvent>),
        /// clock -> consensus; Vital
        Vital Timeout(TimerId),
        /// mempool -> consensus; Vital
        Vital Taken { height: Height, round: Round, txs: Vec<Arc<Verified<Tx>>> },
        /// storage -> consensus; Vital
        Vital WalDurable { seq: u64, outcome: Result<u64, String>, exit: Option<u8> },
        /// storage -> consensus; Vital
        Vital BlockDurable { height: Height, outcome: Result<(), String>, exit: Option<u8> },
    }
}

letters! {
    /// To the mempool.
    MempoolMail {
        /// api -> mempool; Ask
        Ask Submit { tx: Box<Verified<Tx>>, reply: oneshot::Sender<Admission> },
        /// staking, escrow, jobs, execution, evidence -> mempool; Flow
        Flow Duty(Box<Verified<Tx>>),
        /// network -> mempool; Shed
        Shed Relayed(Box<Verified<Tx>>),
        /// consensus -> mempool; Vital
        Vital Take { height: Height, round: Round, bytes_max: usize },
        /// consensus -> mempool; Vital
        Vital Included { ids: Vec<TxId>, snapshot: Arc<Snapshot> },
        /// consensus -> mempool; Shed
        Shed Refused(Vec<TxId>),
        /// api -> mempool; Ask
        Ask Lookup { id: TxId, reply: oneshot::Sender<Option<Arc<Verified<Tx>>>> },
        /// api -> mempool; Ask
        Ask NextNonce { account: protocol::digest::Address, reply: oneshot::Sender<u64> },
    }
}

letters! {
    /// To the network actor.
    NetworkMail {
        /// consensus -> network; Vital
        Vital Broadcast(Outgoing),
        /// consensus -> network; Vital
        Vital OfferRound { height: Height, round: Round },
        /// consensus -> network; Flow
        Flow FetchBody { id: BlockId, peer: PeerId },
        /// consensus -> network; Flow
        Flow AskHeight { peer: PeerId, height: Height },
        /// consensus -> network; Shed
        Shed Report { peer: PeerId, offence: net::Offence },
        /// mempool -> network; Shed
        Shed GossipTx(Arc<Signed<Tx>>),
        /// evidence -> network; Shed
        Shed GossipPair(Box<Signed<Pair>>),
        /// jobs -> network; Flow
        Flow FetchBlob(Artifact),
        /// jobs -> network; Shed
        Shed FetchAhead(Artifact),
        /// jobs -> network; Shed
        Shed LeaveAhead(Artifact),
        /// network -> network; Flow
        Flow Chunk(BulkEvent),
        /// storage -> network; Vital
        Vital ManifestRead { artifact: Artifact, bytes: Option<Vec<u8>> },
        /// storage -> network; Vital
        Vital MissingListed { artifact: Artifact, missing: Option<Vec<Digest>> },
        /// storage -> network; Vital
        Vital ChunkStored { artifact: Artifact, stored: bool },
        /// storage -> network; Vital
        Vital Assembled { artifact: Artifact, whole: bool },
        /// clock -> network; Vital
        Vital RetryBlobs,
        /// clock -> network; Vital
        Vital RenewProof,
    }
}

letters! {
    /// To the staking actor.
    StakingMail {
        /// consensus -> staking; Vital
        Vital Committed(DomainEvents),
    }
}

letters! {
    /// To the escrow actor.
    EscrowMail {
        /// consensus -> escrow; Vital
        Vital Committed(DomainEvents),
    }
}

letters! {
    /// To the jobs actor.
    JobsMail {
        /// consensus -> jobs; Vital
        Vital Committed(DomainEvents),
        /// network -> jobs; Vital
        Vital Fetched { artifact: Artifact, held: bool },
        /// execution -> jobs; Vital
        Vital Finished { seat: SeatRef, digest: Option<Digest> },
        /// execution -> jobs; Vital
        Vital Again(Box<Order>),
        /// api -> jobs; Flow
        Flow Capacity(Capacity),
    }
}

letters! {
    /// To the execution actor.
    ExecutionMail {
        /// consensus -> execution; Vital
        Vital Committed(DomainEvents),
        /// jobs -> execution; Vital
        Vital Run(Box<Order>),
        /// jobs -> execution; Vital
        Vital Cancel(JobId),
        /// slot -> execution; Vital
        Vital Ended { seat: SeatRef, end: Box<RunEnd> },
        /// storage -> execution; Vital
        Vital Marked { seat: SeatRef, allowed: bool },
        /// storage -> execution; Vital
        Vital Stored(SeatRef),
    }
}

letters! {
    /// To the evidence actor.
    EvidenceMail {
        /// consensus -> evidence; Vital
        Vital Committed(DomainEvents),
        /// consensus -> evidence; Vital
        Vital Contradiction { kind: protocol::evidence::EvidenceKind, first: Vec<u8>, second: Vec<u8> },
        /// network -> evidence; Shed
        Shed Gossiped(Box<Verified<Pair>>),
        /// storage -> evidence; Vital
        Vital Kept(EvidenceId),
    }
}
