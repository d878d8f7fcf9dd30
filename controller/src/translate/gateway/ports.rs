//! Who listens where: the listeners of all Gateways by address and port.

use std::collections::{BTreeMap, HashMap};
use std::net::IpAddr;

use super::listener::{Model, Protocol};
use super::status::{Address, Failure};
use crate::objects::Kind;
use crate::options::Options;

/// An address (`None`: the process's own) and a port that clients see.
pub(super) type Place = (Option<IpAddr>, u16);

/// The listeners at each place: all of one protocol, no two of one host name.
pub(super) type Ports = BTreeMap<Place, Vec<usize>>;

/// Gives every listener its place or a conflict. Listeners come in the order of
/// precedence: older Gateways first, a Gateway's own before its ListenerSets'.
pub(super) fn assign(
    listeners: &mut [Model],
    address: impl Fn(&Model) -> Address,
    options: &Options,
) -> Ports {
    let mut ports = Ports::new();
    let places: Vec<Option<Place>> = listeners
        .iter_mut()
        .map(|listener| {
            let address = address(listener);
            place(listener, &address, options)
        })
        .collect();
    conflicts_of_one_owner(listeners, &places);
    for index in 0..listeners.len() {
        let Some(place) = places[index] else { continue };
        if listeners[index].conflict.is_some() {
            continue;
        }
        let taken = ports.entry(place).or_default();
        let conflict = taken
            .iter()
            .find_map(|other| conflict(&listeners[index], &listeners[*other]));
        match conflict {
            Some(conflict) => listeners[index].conflict = Some(conflict),
            None if listeners[index].wants_port() => taken.push(index),
            None => {}
        }
    }
    ports.retain(|_, listeners| !listeners.is_empty());
    ports
}

/// "Implementations MUST NOT pick one conflicting Listener as the winner. ALL
/// indistinct Listeners must not be accepted for processing", within one Gateway.
/// In a ListenerSet the earlier one wins, as between ListenerSets.
fn conflicts_of_one_owner(listeners: &mut [Model], places: &[Option<Place>]) {
    let mut by_owner: HashMap<_, Vec<usize>> = HashMap::new();
    for (index, place) in places.iter().enumerate() {
        let owner = listeners[index].owner.clone();
        if let Some(place) = place
            && owner.kind == Kind::Gateway
        {
            by_owner.entry((owner, *place)).or_default().push(index);
        }
    }
    for group in by_owner.values().filter(|group| group.len() > 1) {
        for index in group {
            let others = group.iter().filter(|other| *other != index);
            let found = others
                .filter_map(|other| conflict(&listeners[*index], &listeners[*other]))
                .next();
            listeners[*index].conflict = found;
        }
    }
}

fn place(listener: &mut Model, address: &Address, options: &Options) -> Option<Place> {
    // A protocol that is not served can conflict nevertheless.
    let known =
        |failure: &Failure| failure.reason == "UnsupportedProtocol" && listener.protocol != Protocol::Other;
    if listener.refused.as_ref().is_some_and(|failure| !known(failure)) {
        return None;
    }
    let Some(port) = u16::try_from(listener.port).ok().filter(|port| *port > 0) else {
        let message = format!("{} is not a port", listener.port);
        listener
            .refused
            .get_or_insert_with(|| Failure::new("PortUnavailable", message));
        return None;
    };
    match address {
        Address::None => None,
        Address::Own(address) => Some((Some(*address), port)),
        Address::Shared => match unavailable(listener, port, options) {
            None => Some((None, port)),
            Some(message) => {
                listener
                    .refused
                    .get_or_insert_with(|| Failure::new("PortUnavailable", message));
                None
            }
        },
    }
}

/// Ports of the process that serve something else.
fn unavailable(listener: &Model, port: u16, options: &Options) -> Option<String> {
    if options.reserved_ports.contains(&port) {
        return Some(format!("port {port} is the gateway's own"));
    }
    for (own, protocol) in [(&options.http, Protocol::Http), (&options.https, Protocol::Https)] {
        let Some(own) = own else { continue };
        if own.public_port == port {
            let same = listener.protocol == protocol;
            return (!same).then(|| format!("port {port} speaks {protocol:?} here"));
        }
        if own.address.port() == port {
            return Some(format!(
                "port {port} is bound for clients of port {}",
                own.public_port
            ));
        }
    }
    None
}

fn conflict(listener: &Model, other: &Model) -> Option<Failure> {
    let whose = format!(
        "listener {:?} of {} {}/{}",
        other.name, other.owner.kind, other.owner.namespace, other.owner.name
    );
    if (listener.protocol == Protocol::Udp) != (other.protocol == Protocol::Udp) {
        return None;
    }
    if listener.protocol != other.protocol {
        let message = format!("{whose} speaks another protocol on port {}", listener.port);
        return Some(Failure::new("ProtocolConflict", message));
    }
    if listener.hostname == other.hostname {
        let message = format!("{whose} has the same port and host name");
        return Some(Failure::new("HostnameConflict", message));
    }
    None
}
