//! What a value may be, and how values fit each other and the chain.
//!
//! `config check` and the start of a node ask the same questions here, so that the one promises what
//! the other keeps. A [`Fault`] names its key; [`super::load::Loaded`] knows where that was written.

use std::net::{IpAddr, SocketAddr};

use actix_web::http::uri::Authority;
use net::Multiaddr;
use protocol::genesis::{is_local_name, moniker_is_valid};
use protocol::limits::MONIKER_BYTES_MAX;
use tracing_subscriber::EnvFilter;

use super::{Api, Config, Limits, Metrics};
use crate::problem::Problem;
use crate::run::socket_of;

/// Beyond this a limit limits nothing; the products stay far below 2^32.
const FACTOR_MAX: u32 = 1_000;
/// More jobs at once than this have no user ids of their own.
const SLOTS_MAX: u16 = 16;
/// Lower ids belong to the system; the last ones are no users, and slots count upwards.
const UID_BASE: std::ops::RangeInclusive<u32> = 1_000..=u32::MAX - 1_000;

/// A value that cannot hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Fault {
    /// The problem's code.
    pub(crate) code: &'static str,
    /// `section.key`, or `section.key[2]` for the third of a list.
    pub(crate) key: String,
    /// The value, and what is allowed.
    pub(crate) text: String,
}

impl Fault {
    fn invalid(key: impl Into<String>, text: String) -> Self {
        Self {
            code: "config.invalid",
            key: key.into(),
            text,
        }
    }
}

impl From<Fault> for Problem {
    fn from(fault: Fault) -> Self {
        Self::new(fault.code, format!("{}: {}", fault.key, fault.text))
    }
}

impl Config {
    /// Checks every value, and their fit to a chain of this name if one is known.
    pub(crate) fn check(&self, chain_name: Option<&str>) -> Result<(), Fault> {
        moniker(&self.node.moniker).map_err(|text| Fault::invalid("node.moniker", text))?;
        let local = chain_name.is_some_and(is_local_name);
        listener("api.listen", self.api.listen, self.api.allow_plain, local)?;
        let metrics = &self.metrics;
        listener("metrics.listen", metrics.listen, metrics.allow_plain, local)?;
        each("api.authorities", &self.api.authorities, authority)?;
        each("net.listen", &self.net.listen, |text| {
            listen_address(text).map(drop)
        })?;
        each("net.persistent", &self.net.persistent, static_peer)?;
        each("net.exempt", &self.net.exempt, |text| {
            let parsed: Result<IpAddr, _> = text.parse();
            parsed
                .map(drop)
                .map_err(|error| format!("{text:?}: {error}"))
        })?;
        if local {
            local_peers(&self.net.listen)?;
        }
        ports_differ(&self.api, metrics, &self.net.listen)?;
        factors(&self.limits)?;
        self.check_sandbox()?;
        EnvFilter::try_new(&self.log.filter)
            .map(drop)
            .map_err(|error| {
                let text = format!("{:?}: {error}; as in \"info,net=debug\"", self.log.filter);
                Fault::invalid("log.filter", text)
            })
    }

    fn check_sandbox(&self) -> Result<(), Fault> {
        let slots = self.sandbox.slots;
        if !(1..=SLOTS_MAX).contains(&slots) {
            let text = format!("{slots}, 1 to {SLOTS_MAX} allowed");
            return Err(Fault::invalid("sandbox.slots", text));
        }
        each(
            "sandbox.allow_degraded",
            &self.sandbox.allow_degraded,
            |name| {
                let layers = sandbox::Degradation::ALL.map(sandbox::Degradation::allow_name);
                match layers.contains(&name) {
                    true => Ok(()),
                    false => Err(format!("{name:?} is not a layer: {}", layers.join(", "))),
                }
            },
        )?;
        let first = self.sandbox.uid_base;
        if UID_BASE.contains(&first) {
            return Ok(());
        }
        let text = format!(
            "{first}, {} to {} allowed",
            UID_BASE.start(),
            UID_BASE.end()
        );
        Err(Fault::invalid("sandbox.uid_base", text))
    }
}

fn each(
    key: &str,
    values: &[String],
    rule: impl Fn(&str) -> Result<(), String>,
) -> Result<(), Fault> {
    for (index, value) in values.iter().enumerate() {
        rule(value).map_err(|text| Fault::invalid(format!("{key}[{index}]"), text))?;
    }
    Ok(())
}

/// The rule of the chain, where a validator registers under this name.
fn moniker(text: &str) -> Result<(), String> {
    match moniker_is_valid(text) {
        true => Ok(()),
        false => Err(format!(
            "{} bytes: 1 to {MONIKER_BYTES_MAX} allowed, none of them a control character",
            text.len()
        )),
    }
}

/// A name for people, as `--moniker` takes it.
pub(crate) fn parse_moniker(text: &str) -> Result<String, String> {
    moniker(text).map(|()| text.to_owned())
}

/// A peer to stay connected to, as `--peer` takes it.
pub(crate) fn parse_peer(text: &str) -> Result<String, String> {
    static_peer(text).map(|()| text.to_owned())
}

fn listener(key: &str, listen: SocketAddr, allow_plain: bool, local: bool) -> Result<(), Fault> {
    let fault = |code, text| Fault {
        code,
        key: key.to_owned(),
        text,
    };
    if listen.ip().is_loopback() {
        return Ok(());
    }
    if !allow_plain {
        let text = format!("{listen} is off loopback, and this release has no TLS");
        return Err(fault("config.plain", text));
    }
    match local {
        true => Err(fault("config.chain", format!("{listen} on a local chain"))),
        false => Ok(()),
    }
}

/// A `Host` header: a name or an address, with the port where it is not the scheme's own.
fn authority(text: &str) -> Result<(), String> {
    let parsed: Result<Authority, _> = text.parse();
    match parsed {
        Ok(authority) if !text.contains('@') && !authority.host().is_empty() => Ok(()),
        _ => Err(format!("{text:?} is no Host header: write name:port")),
    }
}

fn local_peers(listen: &[String]) -> Result<(), Fault> {
    for (index, text) in listen.iter().enumerate() {
        let off = |address: SocketAddr| !address.ip().is_loopback();
        if listen_address(text).is_ok_and(off) {
            return Err(Fault {
                code: "config.chain",
                key: format!("net.listen[{index}]"),
                text: format!("{text} on a local chain"),
            });
        }
    }
    Ok(())
}

/// The socket of an address to listen on. Its shape is all that the transport takes.
fn listen_address(text: &str) -> Result<SocketAddr, String> {
    let parsed = text.parse().ok();
    let socket = parsed.and_then(|address: Multiaddr| {
        let shape: Vec<&str> = address.protocol_stack().collect();
        match shape.as_slice() {
            ["ip4" | "ip6", "tcp"] | ["ip4" | "ip6", "udp", "quic-v1"] => socket_of(text),
            _ => None,
        }
    });
    let socket = socket.map(|(socket, _)| socket);
    socket.ok_or_else(|| {
        format!("{text:?}: write /ip4/ADDRESS/udp/PORT/quic-v1 or /ip4/ADDRESS/tcp/PORT")
    })
}

/// Names are not resolved, and without an id at its end anybody could answer there.
fn static_peer(text: &str) -> Result<(), String> {
    let parsed = text.parse().ok();
    let fits = parsed.is_some_and(|address: Multiaddr| {
        let shape: Vec<&str> = address.protocol_stack().collect();
        matches!(
            shape.as_slice(),
            ["ip4" | "ip6", "tcp", "p2p"] | ["ip4" | "ip6", "udp", "quic-v1", "p2p"]
        )
    });
    match fits {
        true => Ok(()),
        false => Err(format!(
            "{text:?}: write /ip4/ADDRESS/udp/PORT/quic-v1/p2p/PEER or /ip4/ADDRESS/tcp/PORT/p2p/PEER"
        )),
    }
}

/// Two listeners of one socket would fail only once the store is open.
fn ports_differ(api: &Api, metrics: &Metrics, peers: &[String]) -> Result<(), Fault> {
    if collide(api.listen, metrics.listen) {
        // The fault lies with the one that somebody wrote; the other may be a default.
        let (key, listen, other) = match metrics.listen == Metrics::default().listen {
            true => ("api.listen", api.listen, "metrics"),
            false => ("metrics.listen", metrics.listen, "api"),
        };
        let text = format!("{listen} is where {other} listens, too");
        return Err(Fault::invalid(key, text));
    }
    for (index, text) in peers.iter().enumerate() {
        let Some(address) = text
            .contains("/tcp/")
            .then(|| listen_address(text).ok())
            .flatten()
        else {
            continue;
        };
        for (section, listen) in [("api", api.listen), ("metrics", metrics.listen)] {
            if collide(address, listen) {
                let text = format!("{text} is where {section} listens, too");
                return Err(Fault::invalid(format!("net.listen[{index}]"), text));
            }
        }
    }
    Ok(())
}

fn collide(a: SocketAddr, b: SocketAddr) -> bool {
    let anywhere = a.ip().is_unspecified() || b.ip().is_unspecified();
    a.port() != 0 && a.port() == b.port() && (a.ip() == b.ip() || anywhere)
}

fn factors(limits: &Limits) -> Result<(), Fault> {
    let factors = [
        ("limits.tx_factor", limits.tx_factor),
        ("limits.consensus_factor", limits.consensus_factor),
    ];
    for (key, factor) in factors {
        if !(1..=FACTOR_MAX).contains(&factor) {
            let text = format!("{factor}, 1 to {FACTOR_MAX} allowed");
            return Err(Fault::invalid(key, text));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::load::merge;

    const PEER: &str = "/p2p/12D3KooWEyoppNCUx8Yx66oV9fJnriXwCcXwDDUA2kj6vnc6iDEp";

    /// What is wrong with a file, on no chain or on this one.
    fn fault(text: &str, chain_name: Option<&str>) -> Option<Fault> {
        let (config, _) = merge(text, "f", &[]).unwrap();
        config.check(chain_name).err()
    }

    #[test]
    fn default_binds_are_loopback() {
        let config = Config::default();
        assert!(config.api.listen.ip().is_loopback());
        assert!(config.metrics.listen.ip().is_loopback());
        for text in &config.net.listen {
            assert!(listen_address(text).unwrap().ip().is_loopback(), "{text}");
        }
        assert_eq!(config.check(Some("palisade-local-1")), Ok(()));
    }

    #[test]
    fn refuses_plain_off_loopback() {
        let mut config = Config::default();
        config.api.listen = "0.0.0.0:8645".parse().unwrap();
        assert_eq!(config.check(None).unwrap_err().code, "config.plain");
        config.api.allow_plain = true;
        assert!(config.check(Some("palisade-1")).is_ok());
        assert_eq!(
            config.check(Some("palisade-local-1")).unwrap_err().code,
            "config.chain"
        );
        config = Config::default();
        config.metrics.listen = "[::]:9464".parse().unwrap();
        let problem = Problem::from(config.check(None).unwrap_err());
        assert_eq!(problem.exit_code, 78);
    }

    #[test]
    fn local_chains_stay_on_loopback_for_peers_too() {
        for address in [
            "/ip4/0.0.0.0/udp/8640/quic-v1",
            "/ip4/0.0.0.0/tcp/8640",
            "/ip4/10.0.0.1/tcp/8640",
            "/ip6/::/udp/8640/quic-v1",
        ] {
            let text = format!("[net]\nlisten = [\"/ip4/127.9.1.1/tcp/1\", \"{address}\"]");
            assert_eq!(fault(&text, None), None, "{address}");
            assert_eq!(fault(&text, Some("palisade-compose-1")), None, "{address}");
            for chain in ["palisade-local-1", "palisade-dev-x"] {
                let fault = fault(&text, Some(chain)).unwrap();
                assert_eq!(
                    (fault.code, fault.key.as_str()),
                    ("config.chain", "net.listen[1]")
                );
            }
        }
    }

    /// Goal: whatever would keep a node from starting is refused, under the key that is at fault.
    #[test]
    fn values_that_cannot_hold_are_refused_by_key() {
        let long = format!("[node]\nmoniker = \"{}\"", "m".repeat(500));
        let rows = [
            (long.as_str(), "node.moniker"),
            ("[node]\nmoniker = \"\"", "node.moniker"),
            ("[node]\nmoniker = \"a\\u0007b\"", "node.moniker"),
            (
                "[api]\nauthorities = [\"a:1\", \"http://x y\"]",
                "api.authorities[1]",
            ),
            ("[api]\nauthorities = [\"http://x\"]", "api.authorities[0]"),
            ("[api]\nauthorities = [\"u@x:1\"]", "api.authorities[0]"),
            ("[api]\nauthorities = [\"\"]", "api.authorities[0]"),
            ("[api]\nlisten = \"127.0.0.1:9464\"", "api.listen"),
            ("[metrics]\nlisten = \"127.0.0.1:8645\"", "metrics.listen"),
            ("[net]\nlisten = [\"garbage\"]", "net.listen[0]"),
            (
                "[net]\nlisten = [\"/ip4/127.0.0.1/tcp/8645\"]",
                "net.listen[0]",
            ),
            (
                "[net]\nlisten = [\"/ip4/127.0.0.1/udp/1\"]",
                "net.listen[0]",
            ),
            (
                "[net]\nlisten = [\"/dns4/localhost/tcp/1\"]",
                "net.listen[0]",
            ),
            (
                "[net]\npersistent = [\"/ip4/10.0.0.1/tcp/1\"]",
                "net.persistent[0]",
            ),
            (
                "[net]\npersistent = [\"/ip4/10.0.0.1/tcp/1/p2p/me\"]",
                "net.persistent[0]",
            ),
            ("[net]\nexempt = [\"10.0.0.0/8\"]", "net.exempt[0]"),
            ("[limits]\ntx_factor = 0", "limits.tx_factor"),
            (
                "[limits]\nconsensus_factor = 1001",
                "limits.consensus_factor",
            ),
            ("[sandbox]\nslots = 17", "sandbox.slots"),
            (
                "[sandbox]\nallow_degraded = [\"nope\"]",
                "sandbox.allow_degraded[0]",
            ),
            ("[sandbox]\nuid_base = 0", "sandbox.uid_base"),
            ("[sandbox]\nuid_base = 4294967295", "sandbox.uid_base"),
            ("[log]\nfilter = \"x=zzz\"", "log.filter"),
        ];
        for (text, key) in rows {
            let fault = fault(text, None).unwrap_or_else(|| panic!("accepted: {text}"));
            assert_eq!(
                (fault.code, fault.key.as_str()),
                ("config.invalid", key),
                "{text}"
            );
        }
    }

    #[test]
    fn values_in_use_are_accepted() {
        let peer = format!("[net]\npersistent = [\"/ip4/10.77.1.12/udp/8640/quic-v1{PEER}\"]");
        let rows = [
            peer.as_str(),
            "[node]\nmoniker = \"zoë\"",
            "[api]\nauthorities = [\"10.77.3.11:8645\", \"localhost:1\", \"example.org\", \"[::1]:2\"]",
            "[api]\nlisten = \"127.0.0.1:0\"\n[metrics]\nlisten = \"127.0.0.1:0\"",
            "[net]\nlisten = [\"/ip4/127.0.0.1/udp/8645/quic-v1\", \"/ip6/::1/tcp/0\"]",
            "[net]\nlisten = []\nexempt = [\"10.0.0.1\", \"::1\"]",
            "[sandbox]\nallow_degraded = [\"cgroup\", \"landlock-abi\", \"namespaces\"]",
            "[log]\nfilter = \"warn,net=debug\"",
        ];
        for text in rows {
            assert_eq!(fault(text, Some("palisade-local-1")), None, "{text}");
        }
    }
}
