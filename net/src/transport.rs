//! The swarm: TCP with noise or TLS 1.3 over yamux, and QUIC.

use std::num::NonZeroU8;
use std::time::Duration;

use libp2p::identity::Keypair;
use libp2p::{Swarm, SwarmBuilder, noise, quic, swarm, tcp, tls, yamux};
use thiserror::Error;

use crate::behaviour::Behaviour;
use crate::config::{Config, Dns, NoisePrologue, TcpSecurity};

/// A handshake that takes longer holds a slot for nothing.
const CONNECTION_TIMEOUT: Duration = Duration::from_secs(5);
const TCP_BACKLOG: u32 = 256;
const YAMUX_STREAMS: usize = 64;
const QUIC_STREAMS: u32 = 64;
const QUIC_STREAM_BYTES: u32 = 2 << 20;
const QUIC_CONNECTION_BYTES: u32 = 8 << 20;

/// Why there is no swarm.
#[derive(Debug, Error)]
pub(crate) enum TransportError {
    #[error("noise or tls: {0}")]
    Security(String),
    #[error("resolver: {0}")]
    Resolver(#[from] std::io::Error),
}

/// What binds a noise handshake to the chain.
fn prologue(config: &Config) -> Vec<u8> {
    match config.noise_prologue {
        NoisePrologue::Empty => Vec::new(),
        NoisePrologue::BoundToChain => {
            [b"palisade/p2p/1/".as_slice(), config.chain.as_ref()].concat()
        }
    }
}

fn tcp_config() -> tcp::Config {
    tcp::Config::default()
        .nodelay(true)
        .listen_backlog(TCP_BACKLOG)
}

fn yamux_config() -> yamux::Config {
    let mut config = yamux::Config::default();
    config.set_max_num_streams(YAMUX_STREAMS);
    config
}

fn quic_config(mut config: quic::Config) -> quic::Config {
    config.handshake_timeout = CONNECTION_TIMEOUT;
    config.max_idle_timeout = 30_000;
    config.keep_alive_interval = Duration::from_secs(5);
    config.max_concurrent_stream_limit = QUIC_STREAMS;
    config.max_stream_data = QUIC_STREAM_BYTES;
    config.max_connection_data = QUIC_CONNECTION_BYTES;
    config
}

fn swarm_config(config: swarm::Config) -> swarm::Config {
    config
        .with_idle_connection_timeout(Duration::from_secs(3_600))
        .with_max_negotiating_inbound_streams(16)
        .with_per_connection_event_buffer_size(16)
        .with_dial_concurrency_factor(NonZeroU8::MIN.saturating_add(1))
        .with_smart_dial()
}

/// The builder's types have no names outside libp2p, hence a macro instead of a generic function.
macro_rules! finish {
    ($config:expr, $behaviour:expr, $security:expr) => {{
        let builder =
            SwarmBuilder::with_existing_identity($config.node_key.keypair().clone()).with_tokio();
        let builder = builder
            .with_tcp(tcp_config(), $security, yamux_config)
            .map_err(|error| TransportError::Security(error.to_string()))?
            .with_quic_config(quic_config);
        match $config.dns {
            Dns::Off => Ok(
                infallible(builder.with_behaviour(move |_: &Keypair| $behaviour))
                    .with_swarm_config(swarm_config)
                    .with_connection_timeout(CONNECTION_TIMEOUT)
                    .build(),
            ),
            Dns::System => Ok(infallible(
                builder
                    .with_dns()?
                    .with_behaviour(move |_: &Keypair| $behaviour),
            )
            .with_swarm_config(swarm_config)
            .with_connection_timeout(CONNECTION_TIMEOUT)
            .build()),
        }
    }};
}

fn infallible<T>(result: Result<T, std::convert::Infallible>) -> T {
    match result {
        Ok(value) => value,
        Err(never) => match never {},
    }
}

/// Builds the swarm. Must run inside the runtime that will drive it.
pub(crate) fn swarm(
    config: &Config,
    behaviour: Behaviour,
) -> Result<Swarm<Behaviour>, TransportError> {
    let prologue = prologue(config);
    let noise =
        move |key: &Keypair| noise::Config::new(key).map(|config| config.with_prologue(prologue));
    match config.tcp_security {
        TcpSecurity::NoiseThenTls => finish!(config, behaviour, (noise, tls::Config::new)),
        TcpSecurity::Noise => finish!(config, behaviour, noise),
        TcpSecurity::Tls => finish!(config, behaviour, tls::Config::new),
    }
}
