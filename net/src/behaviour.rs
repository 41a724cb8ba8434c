//! The swarm's behaviours. Those that can refuse a connection come first.

use std::time::Duration;

use libp2p::memory_connection_limits;
use libp2p::request_response::{self, ProtocolSupport};
use libp2p::swarm::NetworkBehaviour;
use libp2p::swarm::behaviour::toggle::Toggle;
use libp2p::{StreamProtocol, allow_block_list, connection_limits, gossipsub, identify, ping};
use thiserror::Error;

use crate::config::Config;
use crate::frame::FrameCodec;
use crate::gossip;
use crate::ip_guard::IpGuard;
use crate::relayers::RelayerBuckets;
use crate::role::Role;
use crate::service::Service;
use crate::tap::GossipTap;
use crate::topic::{Topic, Topics, chain_prefix};

/// One request-response protocol.
pub(crate) type Requests = request_response::Behaviour<FrameCodec>;

/// All behaviours, in the order in which they are asked.
#[derive(NetworkBehaviour)]
pub(crate) struct Behaviour {
    pub(crate) ip_guard: IpGuard,
    pub(crate) blocked: allow_block_list::Behaviour<allow_block_list::BlockedPeers>,
    pub(crate) connection_limits: connection_limits::Behaviour,
    pub(crate) memory_limit: Toggle<memory_connection_limits::Behaviour>,
    pub(crate) tap: GossipTap,
    pub(crate) identify: identify::Behaviour,
    pub(crate) ping: ping::Behaviour,
    pub(crate) hello: Requests,
    pub(crate) status: Requests,
    pub(crate) voteset: Requests,
    pub(crate) body: Requests,
    pub(crate) sync: Requests,
    pub(crate) blob: Requests,
}

/// Why the behaviours could not be set up; all of these are mistakes in constants of this crate.
#[derive(Debug, Error)]
pub(crate) enum BehaviourError {
    #[error(transparent)]
    Config(#[from] gossipsub::ConfigBuilderError),
    #[error("gossip: {0}")]
    Gossip(String),
    #[error(transparent)]
    Subscription(#[from] gossipsub::SubscriptionError),
}

impl Behaviour {
    pub(crate) fn new(config: &Config, topics: &Topics) -> Result<Self, BehaviourError> {
        let prefix = chain_prefix(&config.chain);
        let requests = |service| requests(service, &prefix);
        Ok(Self {
            ip_guard: IpGuard::new(config.ip_guard, config.ip_exempt.clone(), &config.clock),
            blocked: allow_block_list::Behaviour::default(),
            connection_limits: connection_limits::Behaviour::new(limits(config)),
            memory_limit: config
                .memory_bytes
                .map(|bytes| memory_connection_limits::Behaviour::with_max_bytes(bytes / 10 * 7))
                .into(),
            tap: tap(config, topics)?,
            identify: identify::Behaviour::new(identify_config(config)),
            ping: ping::Behaviour::default(),
            hello: requests(Service::Hello),
            status: requests(Service::Status),
            voteset: requests(Service::Voteset),
            body: requests(Service::Body),
            sync: requests(Service::Sync),
            blob: requests(Service::Blob),
        })
    }

    pub(crate) fn requests(&mut self, service: Service) -> &mut Requests {
        match service {
            Service::Hello => &mut self.hello,
            Service::Status => &mut self.status,
            Service::Voteset => &mut self.voteset,
            Service::Body => &mut self.body,
            Service::Sync => &mut self.sync,
            Service::Blob => &mut self.blob,
        }
    }
}

fn limits(config: &Config) -> connection_limits::ConnectionLimits {
    let limits = config.connections;
    connection_limits::ConnectionLimits::default()
        .with_max_pending_incoming(Some(limits.pending_in))
        .with_max_pending_outgoing(Some(limits.pending_out))
        .with_max_established_incoming(Some(limits.established_in))
        .with_max_established_outgoing(Some(limits.established_out))
        .with_max_established_per_peer(Some(limits.per_peer))
        .with_max_established(Some(limits.total))
}

fn identify_config(config: &Config) -> identify::Config {
    let public = config.node_key.keypair().public();
    identify::Config::new("/palisade/1".to_owned(), public)
        .with_agent_version(config.agent.clone())
        .with_cache_size(0)
        .with_interval(Duration::from_secs(3_600))
        .with_hide_listen_addrs(config.role == Role::Validator)
}

fn tap(config: &Config, topics: &Topics) -> Result<GossipTap, BehaviourError> {
    let mut gossip = gossipsub::Behaviour::new_with_subscription_filter(
        gossipsub::MessageAuthenticity::Anonymous,
        gossip::config()?,
        gossip::filter(topics),
    )
    .map_err(|reason| BehaviourError::Gossip(reason.to_owned()))?;
    let (params, thresholds) = gossip::scores(topics, &config.ip_exempt);
    gossip
        .with_peer_score(params, thresholds)
        .map_err(BehaviourError::Gossip)?;
    for topic in Topic::ALL {
        gossip.subscribe(topics.ident(topic))?;
    }
    let buckets = RelayerBuckets::new(&config.limits, &config.clock);
    Ok(GossipTap::new(gossip, topics.clone(), buckets))
}

fn requests(service: Service, prefix: &str) -> Requests {
    let name = format!("/palisade/{prefix}/{}/1", service.name());
    // The name is built from a constant and eight hex digits, and starts with a slash.
    let protocol = StreamProtocol::try_from_owned(name)
        .unwrap_or_else(|_| StreamProtocol::new("/palisade/invalid"));
    let config = request_response::Config::default()
        .with_request_timeout(service.timeout())
        // libp2p counts both directions together; ours must not crowd out theirs.
        .with_max_concurrent_streams(2 * service.streams_max());
    Requests::with_codec(
        FrameCodec(service),
        [(protocol, ProtocolSupport::Full)],
        config,
    )
}
