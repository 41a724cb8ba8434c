//! The buckets of those who relay to us, by messages and by bytes.

use libp2p::PeerId;

use crate::buckets::{Buckets, Taken};
use crate::clock::Clock;
use crate::limits::{Limits, Rate};
use crate::tap::Standing;
use crate::topic::Topic;

#[derive(Debug)]
struct Pair {
    messages: Buckets<PeerId>,
    bytes: Buckets<PeerId>,
}

impl Pair {
    fn new(messages: Rate, bytes: Rate, clock: &Clock) -> Self {
        Self {
            messages: Buckets::new(messages, clock),
            bytes: Buckets::new(bytes, clock),
        }
    }

    fn take(&self, peer: &PeerId, (messages, bytes): (u32, usize)) -> bool {
        let bytes = u32::try_from(bytes).unwrap_or(u32::MAX);
        self.messages.take(peer, messages) == Taken::Yes
            && self.bytes.take(peer, bytes) == Taken::Yes
    }

    fn prune(&self) {
        self.messages.prune();
        self.bytes.prune();
    }
}

/// One pair of buckets per topic, and a tenth of `cons` for quarantined validators.
#[derive(Debug)]
pub(crate) struct RelayerBuckets {
    topics: [Pair; 4],
    quarantine: Pair,
}

impl RelayerBuckets {
    pub(crate) fn new(limits: &Limits, clock: &Clock) -> Self {
        let topics = Topic::ALL.map(|topic| {
            let row = limits.topic(topic);
            Pair::new(row.relayer_messages, row.relayer_bytes, clock)
        });
        let cons = limits.topic(Topic::Cons);
        let quarantine = Pair::new(
            cons.relayer_messages.tenth(),
            cons.relayer_bytes.tenth(),
            clock,
        );
        Self { topics, quarantine }
    }

    /// Charges so many messages of so many bytes together; `false` if the relayer has no more.
    pub(crate) fn take(
        &self,
        peer: &PeerId,
        topic: Topic,
        load: (u32, usize),
        standing: Standing,
    ) -> bool {
        match standing {
            Standing::Open => self.topics[topic.index()].take(peer, load),
            Standing::Quarantined => topic == Topic::Cons && self.quarantine.take(peer, load),
            Standing::Stranger | Standing::Muted => false,
        }
    }

    pub(crate) fn prune(&self) {
        self.topics.iter().for_each(Pair::prune);
        self.quarantine.prune();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn passed(buckets: &RelayerBuckets, topic: Topic, bytes: usize, standing: Standing) -> usize {
        let peer = PeerId::random();
        (0..5_000)
            .filter(|_| buckets.take(&peer, topic, (1, bytes), standing))
            .count()
    }

    #[test]
    fn messages_and_bytes_bind_whichever_is_less() {
        let buckets = RelayerBuckets::new(&Limits::default(), &Clock::manual());
        assert_eq!(
            passed(&buckets, Topic::Tx, 100, Standing::Open),
            300,
            "by messages"
        );
        assert_eq!(
            passed(&buckets, Topic::Tx, 32 << 10, Standing::Open),
            64,
            "by bytes"
        );
    }

    #[test]
    fn quarantine_leaves_a_tenth_of_consensus() {
        let buckets = RelayerBuckets::new(&Limits::default(), &Clock::manual());
        assert_eq!(passed(&buckets, Topic::Cons, 154, Standing::Open), 1_500);
        assert_eq!(
            passed(&buckets, Topic::Cons, 154, Standing::Quarantined),
            150
        );
        assert_eq!(passed(&buckets, Topic::Tx, 154, Standing::Quarantined), 0);
        assert_eq!(passed(&buckets, Topic::Cons, 154, Standing::Stranger), 0);
    }
}
