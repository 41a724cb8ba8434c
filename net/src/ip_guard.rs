//! Limits per address, before any cryptography is spent.
//!
//! TCP and QUIC have separate buckets: a UDP source can be forged, and forgery must not close a
//! victim's TCP door.

use std::collections::{HashMap, HashSet};
use std::net::IpAddr;
use std::task::{Context, Poll};
use std::time::Duration;

use libp2p::core::Endpoint;
use libp2p::core::transport::PortUse;
use libp2p::multiaddr::Protocol;
use libp2p::swarm::{
    ConnectionDenied, ConnectionId, FromSwarm, NetworkBehaviour, THandler, THandlerInEvent,
    THandlerOutEvent, ToSwarm, dummy,
};
use libp2p::{Multiaddr, PeerId};
use thiserror::Error;

use crate::buckets::{Buckets, Taken};
use crate::clock::Clock;
use crate::limits::Rate;

/// Inbound limits of one address and of its neighbourhood (/24, /48).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IpGuardLimits {
    /// Unfinished handshakes of one address.
    pub pending_per_address: u32,
    /// Connections of one address.
    pub established_per_address: u32,
    /// Handshakes of one address.
    pub handshakes_per_address: Rate,
    /// Connections of one neighbourhood.
    pub established_per_subnet: u32,
    /// Handshakes of one neighbourhood.
    pub handshakes_per_subnet: Rate,
}

impl Default for IpGuardLimits {
    fn default() -> Self {
        Self {
            pending_per_address: 2,
            established_per_address: 4,
            handshakes_per_address: Rate {
                count: 1,
                per: Duration::from_secs(2),
                burst: 10,
            },
            established_per_subnet: 8,
            handshakes_per_subnet: Rate::per_second(64, 128),
        }
    }
}

/// Why an address was turned away.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub(crate) enum IpRefused {
    #[error("too many unfinished handshakes from this address")]
    Pending,
    #[error("too many connections from this address")]
    Established,
    #[error("too many handshakes from this address")]
    Rate,
    #[error("too many connections from this subnet")]
    SubnetEstablished,
    #[error("too many handshakes from this subnet")]
    SubnetRate,
    #[error("address is banned")]
    Banned,
}

/// TCP or QUIC; they are counted apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Carrier {
    Tcp,
    Udp,
}

type Key = (IpAddr, Carrier);

#[derive(Debug)]
struct Seat {
    address: Key,
    subnet: Key,
    stage: Stage,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    Pending,
    Established,
}

/// The behaviour; first in the swarm, so that it refuses before anybody else acts.
#[derive(Debug)]
pub(crate) struct IpGuard {
    limits: IpGuardLimits,
    exempt: HashSet<IpAddr>,
    banned: HashSet<IpAddr>,
    per_address: Buckets<Key>,
    per_subnet: Buckets<Key>,
    seats: HashMap<ConnectionId, Seat>,
}

impl IpGuard {
    pub(crate) fn new(limits: IpGuardLimits, exempt: HashSet<IpAddr>, clock: &Clock) -> Self {
        Self {
            per_address: Buckets::new(limits.handshakes_per_address, clock),
            per_subnet: Buckets::new(limits.handshakes_per_subnet, clock),
            limits,
            exempt,
            banned: HashSet::new(),
            seats: HashMap::new(),
        }
    }

    /// Hosts, as [`host_of`] names them, from which nobody may come; replaces the last such list.
    pub(crate) fn set_banned(&mut self, banned: HashSet<IpAddr>) {
        self.banned = banned;
    }

    pub(crate) fn prune(&self) {
        self.per_address.prune();
        self.per_subnet.prune();
    }

    fn admit(&self, address: Key) -> Result<(), IpRefused> {
        if self.banned.contains(&address.0) {
            return Err(IpRefused::Banned);
        }
        let subnet = subnet(address);
        let count = |stage, by: fn(&Seat) -> Key, key: Key| {
            let seats = self.seats.values();
            u32::try_from(
                seats
                    .filter(|seat| seat.stage == stage && by(seat) == key)
                    .count(),
            )
            .unwrap_or(u32::MAX)
        };
        let limits = &self.limits;
        if count(Stage::Pending, |seat| seat.address, address) >= limits.pending_per_address {
            return Err(IpRefused::Pending);
        }
        let established = count(Stage::Established, |seat| seat.address, address);
        if established >= limits.established_per_address {
            return Err(IpRefused::Established);
        }
        let established = count(Stage::Established, |seat| seat.subnet, subnet);
        if established >= limits.established_per_subnet {
            return Err(IpRefused::SubnetEstablished);
        }
        if self.per_address.take(&address, 1) != Taken::Yes {
            return Err(IpRefused::Rate);
        }
        if self.per_subnet.take(&subnet, 1) != Taken::Yes {
            return Err(IpRefused::SubnetRate);
        }
        Ok(())
    }
}

/// An address's IP and carrier. IPv6 hosts own a /64, so that is their address here.
fn key(address: &Multiaddr) -> Option<Key> {
    let ip = host_of(ip_of(address)?);
    let udp = address.iter().any(|part| matches!(part, Protocol::Udp(_)));
    Some((ip, if udp { Carrier::Udp } else { Carrier::Tcp }))
}

/// What stands for whoever has this IP: an IPv6 host owns its whole /64.
pub(crate) fn host_of(ip: IpAddr) -> IpAddr {
    match ip {
        IpAddr::V4(_) => ip,
        IpAddr::V6(ip) => mask_v6(ip, 64),
    }
}

/// The IP of an address, if it has one.
pub(crate) fn ip_of(address: &Multiaddr) -> Option<IpAddr> {
    address.iter().find_map(|part| match part {
        Protocol::Ip4(ip) => Some(IpAddr::V4(ip)),
        Protocol::Ip6(ip) => Some(ip.to_ipv4_mapped().map_or(IpAddr::V6(ip), IpAddr::V4)),
        _ => None,
    })
}

fn subnet((ip, carrier): Key) -> Key {
    let ip = match ip {
        IpAddr::V4(ip) => {
            let [a, b, c, _] = ip.octets();
            IpAddr::from([a, b, c, 0])
        }
        IpAddr::V6(ip) => mask_v6(ip, 48),
    };
    (ip, carrier)
}

fn mask_v6(ip: std::net::Ipv6Addr, bits: u32) -> IpAddr {
    let mask = u128::MAX << (128 - bits);
    IpAddr::V6(std::net::Ipv6Addr::from_bits(ip.to_bits() & mask))
}

impl NetworkBehaviour for IpGuard {
    type ConnectionHandler = dummy::ConnectionHandler;
    type ToSwarm = std::convert::Infallible;

    fn handle_pending_inbound_connection(
        &mut self,
        connection: ConnectionId,
        _local: &Multiaddr,
        remote: &Multiaddr,
    ) -> Result<(), ConnectionDenied> {
        let Some(address) = key(remote) else {
            return Ok(());
        };
        // One address of a host, not all that are counted with it.
        if ip_of(remote).is_some_and(|ip| self.exempt.contains(&ip)) {
            return Ok(());
        }
        self.admit(address).map_err(ConnectionDenied::new)?;
        let seat = Seat {
            address,
            subnet: subnet(address),
            stage: Stage::Pending,
        };
        self.seats.insert(connection, seat);
        Ok(())
    }

    fn handle_established_inbound_connection(
        &mut self,
        connection: ConnectionId,
        _peer: PeerId,
        _local: &Multiaddr,
        _remote: &Multiaddr,
    ) -> Result<THandler<Self>, ConnectionDenied> {
        if let Some(seat) = self.seats.get_mut(&connection) {
            seat.stage = Stage::Established;
        }
        Ok(dummy::ConnectionHandler)
    }

    fn handle_established_outbound_connection(
        &mut self,
        _connection: ConnectionId,
        _peer: PeerId,
        _address: &Multiaddr,
        _role: Endpoint,
        _port: PortUse,
    ) -> Result<THandler<Self>, ConnectionDenied> {
        Ok(dummy::ConnectionHandler)
    }

    fn on_swarm_event(&mut self, event: FromSwarm<'_>) {
        match event {
            FromSwarm::ConnectionClosed(closed) => self.seats.remove(&closed.connection_id),
            FromSwarm::ListenFailure(failed) => self.seats.remove(&failed.connection_id),
            _ => None,
        };
    }

    fn on_connection_handler_event(
        &mut self,
        _peer: PeerId,
        _connection: ConnectionId,
        event: THandlerOutEvent<Self>,
    ) {
        match event {}
    }

    fn poll(
        &mut self,
        _cx: &mut Context<'_>,
    ) -> Poll<ToSwarm<Self::ToSwarm, THandlerInEvent<Self>>> {
        Poll::Pending
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn knock(guard: &mut IpGuard, id: usize, from: &str) -> Result<(), IpRefused> {
        let local = "/ip4/127.0.0.1/tcp/1".parse().unwrap();
        let connection = ConnectionId::new_unchecked(id);
        guard
            .handle_pending_inbound_connection(connection, &local, &from.parse().unwrap())
            .map_err(|denied| denied.downcast::<IpRefused>().unwrap())
    }

    fn enter(guard: &mut IpGuard, id: usize, from: &str) -> Result<(), IpRefused> {
        knock(guard, id, from)?;
        let local: Multiaddr = "/ip4/127.0.0.1/tcp/1".parse().unwrap();
        let entered = guard.handle_established_inbound_connection(
            ConnectionId::new_unchecked(id),
            PeerId::random(),
            &local,
            &from.parse().unwrap(),
        );
        assert!(entered.is_ok());
        Ok(())
    }

    fn guard(clock: &Clock) -> IpGuard {
        IpGuard::new(IpGuardLimits::default(), HashSet::new(), clock)
    }

    #[test]
    fn third_unfinished_handshake_is_refused_but_not_over_the_other_carrier() {
        let mut guard = guard(&Clock::manual());
        let tcp = "/ip4/10.0.0.1/tcp/5";
        assert_eq!(knock(&mut guard, 1, tcp), Ok(()));
        assert_eq!(knock(&mut guard, 2, tcp), Ok(()));
        assert_eq!(knock(&mut guard, 3, tcp), Err(IpRefused::Pending));
        assert_eq!(knock(&mut guard, 4, "/ip4/10.0.0.1/udp/5/quic-v1"), Ok(()));
    }

    #[test]
    fn fifth_connection_of_an_address_and_ninth_of_a_subnet() {
        let mut guard = guard(&Clock::manual());
        for id in 0..4 {
            assert_eq!(enter(&mut guard, id, "/ip4/10.0.0.1/tcp/5"), Ok(()));
        }
        let fifth = enter(&mut guard, 4, "/ip4/10.0.0.1/tcp/5");
        assert_eq!(fifth, Err(IpRefused::Established));
        for id in 5..9 {
            assert_eq!(enter(&mut guard, id, "/ip4/10.0.0.2/tcp/5"), Ok(()));
        }
        let ninth = enter(&mut guard, 9, "/ip4/10.0.0.3/tcp/5");
        assert_eq!(ninth, Err(IpRefused::SubnetEstablished));
        assert_eq!(enter(&mut guard, 10, "/ip4/10.0.1.1/tcp/5"), Ok(()));
    }

    #[test]
    fn handshakes_come_back_one_in_two_seconds() {
        let clock = Clock::manual();
        let mut guard = guard(&clock);
        let mut accepted = 0;
        for id in 0..30 {
            if enter(&mut guard, id, "/ip4/10.0.0.1/tcp/5").is_ok() {
                accepted += 1;
                guard.seats.clear();
            }
        }
        assert_eq!(accepted, 10);
        clock.advance(Duration::from_secs(2));
        assert_eq!(knock(&mut guard, 40, "/ip4/10.0.0.1/tcp/5"), Ok(()));
        assert_eq!(
            knock(&mut guard, 41, "/ip4/10.0.0.1/tcp/5"),
            Err(IpRefused::Rate)
        );
    }

    #[test]
    fn ipv6_hosts_are_counted_by_their_64() {
        let mut guard = guard(&Clock::manual());
        for id in 0..4 {
            let from = format!("/ip6/2001:db8::{id}/tcp/5");
            assert_eq!(enter(&mut guard, id, &from), Ok(()));
        }
        let fifth = enter(&mut guard, 5, "/ip6/2001:db8::ffff/tcp/5");
        assert_eq!(fifth, Err(IpRefused::Established));
    }

    #[test]
    fn exempt_and_banned_addresses() {
        let exempt = HashSet::from([IpAddr::from([127, 0, 0, 1])]);
        let mut guard = IpGuard::new(IpGuardLimits::default(), exempt, &Clock::manual());
        for id in 0..50 {
            assert_eq!(enter(&mut guard, id, "/ip4/127.0.0.1/tcp/5"), Ok(()));
        }
        guard.set_banned(HashSet::from([IpAddr::from([10, 0, 0, 9])]));
        assert_eq!(
            knock(&mut guard, 60, "/ip4/10.0.0.9/tcp/5"),
            Err(IpRefused::Banned)
        );
    }

    #[test]
    fn exempt_and_banned_ipv6_addresses() {
        let ip = |text: &str| text.parse::<IpAddr>().unwrap();
        let exempt = HashSet::from([ip("::1")]);
        let mut guard = IpGuard::new(IpGuardLimits::default(), exempt, &Clock::manual());
        for id in 0..50 {
            assert_eq!(enter(&mut guard, id, "/ip6/::1/tcp/5"), Ok(()));
        }
        guard.set_banned(HashSet::from([host_of(ip("2001:db8::bad:cafe"))]));
        for from in ["2001:db8::bad:cafe", "2001:db8::5"] {
            let knocked = knock(&mut guard, 60, &format!("/ip6/{from}/tcp/5"));
            assert_eq!(knocked, Err(IpRefused::Banned), "{from}");
        }
        assert_eq!(knock(&mut guard, 61, "/ip6/2001:db8:0:1::5/tcp/5"), Ok(()));
    }
}
