//! The four gossip topics.

use libp2p::gossipsub::{IdentTopic, TopicHash};
use protocol::digest::ChainId;

/// A gossip topic; each has its own lane, quota and share of the verify pool.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Topic {
    /// Votes, proposals, certificates.
    Cons,
    /// Contradicting pairs.
    Evid,
    /// Session-signed transactions: seat messages, on their own budget, so that a flood of users
    /// cannot delay a reveal.
    Duty,
    /// All other transactions.
    Tx,
}

impl Topic {
    /// All of them, the most urgent first.
    pub const ALL: [Self; 4] = [Self::Cons, Self::Evid, Self::Duty, Self::Tx];

    /// The name on the wire and in metrics.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Cons => "cons",
            Self::Evid => "evid",
            Self::Duty => "duty",
            Self::Tx => "tx",
        }
    }

    /// Position in [`Self::ALL`].
    #[must_use]
    pub(crate) const fn index(self) -> usize {
        match self {
            Self::Cons => 0,
            Self::Evid => 1,
            Self::Duty => 2,
            Self::Tx => 3,
        }
    }
}

/// First eight hex digits of the chain id: enough to keep chains' protocol names apart. The chain
/// itself is checked at `hello` and in every signature.
pub(crate) fn chain_prefix(chain: &ChainId) -> String {
    let mut text = chain.to_string();
    text.truncate(8);
    text
}

/// The topics of one chain, with their hashes computed once.
#[derive(Clone, Debug)]
pub(crate) struct Topics {
    topics: [IdentTopic; 4],
    hashes: [TopicHash; 4],
}

impl Topics {
    pub(crate) fn new(chain: &ChainId) -> Self {
        let prefix = chain_prefix(chain);
        let topics = Topic::ALL
            .map(|topic| IdentTopic::new(format!("/palisade/{prefix}/{}/1", topic.name())));
        let hashes = topics.each_ref().map(IdentTopic::hash);
        Self { topics, hashes }
    }

    pub(crate) fn ident(&self, topic: Topic) -> &IdentTopic {
        &self.topics[topic.index()]
    }

    pub(crate) fn hash(&self, topic: Topic) -> &TopicHash {
        &self.hashes[topic.index()]
    }

    pub(crate) fn find(&self, hash: &TopicHash) -> Option<Topic> {
        Topic::ALL
            .into_iter()
            .find(|topic| self.hash(*topic) == hash)
    }
}
