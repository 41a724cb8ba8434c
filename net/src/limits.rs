//! How much one relayer and one signer may cost: the table of quotas.
//!
//! Every topic and every request protocol has a row. A row without a quota cannot be written: the
//! tables are exhaustive matches over [`Topic`] and [`Service`].

use std::time::Duration;

use crate::service::Service;
use crate::topic::Topic;

/// A token bucket's shape: `count` tokens per `per`, at most `burst` saved up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    /// Tokens gained in one period.
    pub count: u32,
    /// The period.
    pub per: Duration,
    /// Tokens that may be saved up.
    pub burst: u32,
}

const SECOND: Duration = Duration::from_secs(1);
const KIB: u32 = 1 << 10;
const MIB: u32 = 1 << 20;

impl Rate {
    /// So many a second, so many at once.
    #[must_use]
    pub const fn per_second(count: u32, burst: u32) -> Self {
        Self {
            count,
            per: SECOND,
            burst,
        }
    }

    /// The same bucket, `factor` times as large.
    #[must_use]
    pub const fn times(self, factor: u32) -> Self {
        Self {
            count: self.count.saturating_mul(factor),
            per: self.per,
            burst: self.burst.saturating_mul(factor),
        }
    }

    /// A tenth, what a quarantined validator keeps; never nothing.
    #[must_use]
    pub const fn tenth(self) -> Self {
        let burst = self.burst / 10;
        Self {
            count: self.count,
            per: self.per.saturating_mul(10),
            burst: if burst == 0 { 1 } else { burst },
        }
    }

    /// Four fifths, what we send at, so that an honest node never trips a peer's bucket.
    #[must_use]
    pub const fn sending(self) -> Self {
        let burst = self.burst / 5 * 4;
        Self {
            count: self.count.saturating_mul(4),
            per: self.per.saturating_mul(5),
            burst: if burst == 0 { 1 } else { burst },
        }
    }
}

/// Limits of one gossip topic.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TopicLimits {
    /// Messages one peer may relay to us.
    pub relayer_messages: Rate,
    /// Bytes one peer may relay to us.
    pub relayer_bytes: Rate,
    /// Messages of one signer that we pass on, whoever relays them.
    pub signer_messages: Rate,
}

/// Limits of one request protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ServiceLimits {
    /// Requests one peer may make.
    pub requests: Rate,
    /// Bytes we answer one peer with.
    pub response_bytes: Rate,
}

/// The whole table. `Default` is the design's; operators override it in `node.toml`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Consensus topic.
    pub cons: TopicLimits,
    /// Evidence topic.
    pub evid: TopicLimits,
    /// Session-signed transactions.
    pub duty: TopicLimits,
    /// All other transactions.
    pub tx: TopicLimits,
    /// `hello` requests.
    pub hello: ServiceLimits,
    /// `status` requests.
    pub status: ServiceLimits,
    /// `voteset` requests.
    pub voteset: ServiceLimits,
    /// `body` requests.
    pub body: ServiceLimits,
    /// `sync` requests.
    pub sync: ServiceLimits,
    /// `blob` requests.
    pub blob: ServiceLimits,
    /// Signature checks a second, all topics together.
    pub verify_checks_per_second: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            cons: TopicLimits {
                relayer_messages: Rate::per_second(500, 1_500),
                relayer_bytes: Rate::per_second(MIB, 4 * MIB),
                signer_messages: Rate::per_second(20, 60),
            },
            evid: TopicLimits {
                relayer_messages: Rate::per_second(2, 10),
                relayer_bytes: Rate::per_second(64 * KIB, 64 * KIB),
                signer_messages: Rate::per_second(1, 5),
            },
            duty: TopicLimits {
                relayer_messages: Rate::per_second(50, 200),
                relayer_bytes: Rate::per_second(512 * KIB, 512 * KIB),
                signer_messages: Rate::per_second(10, 40),
            },
            tx: TopicLimits {
                relayer_messages: Rate::per_second(100, 300),
                relayer_bytes: Rate::per_second(512 * KIB, 2 * MIB),
                signer_messages: Rate::per_second(5, 20),
            },
            hello: ServiceLimits {
                requests: Rate {
                    count: 1,
                    per: Duration::from_secs(10),
                    burst: 2,
                },
                response_bytes: Rate::per_second(KIB, 4 * KIB),
            },
            status: ServiceLimits {
                requests: Rate::per_second(1, 4),
                response_bytes: Rate::per_second(KIB, 4 * KIB),
            },
            voteset: ServiceLimits {
                requests: Rate::per_second(20, 60),
                response_bytes: Rate::per_second(MIB, 4 * MIB),
            },
            body: ServiceLimits {
                requests: Rate::per_second(8, 16),
                response_bytes: Rate::per_second(4 * MIB, 16 * MIB),
            },
            sync: ServiceLimits {
                requests: Rate::per_second(4, 8),
                response_bytes: Rate::per_second(4 * MIB, 8 * MIB),
            },
            blob: ServiceLimits {
                requests: Rate::per_second(32, 64),
                response_bytes: Rate::per_second(8 * MIB, 16 * MIB),
            },
            verify_checks_per_second: 4_000,
        }
    }
}

impl Limits {
    /// Limits of a local chain: eight times the blob row, so that a large model's chunks arrive
    /// within one commit window, and ten times the hello row, because tests kill nodes often.
    #[must_use]
    pub fn local() -> Self {
        let mut limits = Self::default();
        limits.blob.requests = limits.blob.requests.times(8);
        limits.blob.response_bytes = limits.blob.response_bytes.times(8);
        limits.hello.requests = limits.hello.requests.times(10);
        limits.hello.response_bytes = limits.hello.response_bytes.times(10);
        limits
    }

    /// The row of a topic.
    #[must_use]
    pub const fn topic(&self, topic: Topic) -> &TopicLimits {
        match topic {
            Topic::Cons => &self.cons,
            Topic::Evid => &self.evid,
            Topic::Duty => &self.duty,
            Topic::Tx => &self.tx,
        }
    }

    /// The row of a request protocol.
    #[must_use]
    pub const fn service(&self, service: Service) -> &ServiceLimits {
        match service {
            Service::Hello => &self.hello,
            Service::Status => &self.status,
            Service::Voteset => &self.voteset,
            Service::Body => &self.body,
            Service::Sync => &self.sync,
            Service::Blob => &self.blob,
        }
    }

    /// A topic's share of the signature checks: 70 % for consensus, 10 % for each other.
    #[must_use]
    pub const fn verify_share(&self, topic: Topic) -> u32 {
        let tenths = match topic {
            Topic::Cons => 7,
            Topic::Evid | Topic::Duty | Topic::Tx => 1,
        };
        let share = self.verify_checks_per_second / 10 * tenths;
        if share == 0 { 1 } else { share }
    }
}
