//! Who listens where: the listeners of all Gateways by address and port.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use tidegate_snapshot::{Listener, ListenerKey, ListenerProtocol};

use super::listener::{Model, Protocol};
use super::status::Failure;
use super::targets::Targets;
use crate::objects::{Kind, NamespacedName};
use crate::options::Options;

/// Where listeners listen.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Place {
    pub(super) at: At,
    /// The port that clients see.
    pub(super) port: u16,
    /// UDP's ports are not TCP's.
    pub(super) datagrams: bool,
}

/// Whose a port is.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum At {
    /// That of all Gateways, and of Ingresses.
    Process,
    /// That of the Gateway with these addresses.
    Addresses(Arc<[IpAddr]>),
    /// That of the Gateway of this name, by its Service.
    Service(NamespacedName),
}

impl Place {
    /// The Ingresses' listener that is there, too.
    pub(super) fn shared(&self, options: &Options) -> Option<&'static str> {
        if self.at != At::Process || self.datagrams {
            return None;
        }
        let both = [("http", &options.http), ("https", &options.https)];
        both.into_iter().find_map(|(name, own)| {
            let own = own.as_ref()?;
            (own.public_port == self.port).then_some(name)
        })
    }

    /// The keys of its listeners, one for each address. The first is that of the
    /// routing table, which all of them have.
    pub(super) fn keys(&self, options: &Options) -> Vec<ListenerKey> {
        if let Some(name) = self.shared(options) {
            return vec![name.into()];
        }
        let kind = if self.datagrams { "/udp" } else { "" };
        let port = self.port;
        let key = |at: String| format!("gateway/{at}{kind}").into();
        match &self.at {
            At::Process => vec![key(format!("*:{port}"))],
            At::Addresses(addresses) => {
                let sockets = addresses
                    .iter()
                    .map(|address| SocketAddr::new(*address, port).to_string());
                sockets.map(key).collect()
            }
            At::Service(gateway) => vec![key(format!("{gateway}:{port}"))],
        }
    }

    /// Its listeners by their keys; none while no Service leads to it. PROXY protocol
    /// is the whole process's affair: the same load balancer stands in front of all
    /// its ports.
    pub(super) fn listeners(
        &self,
        protocol: ListenerProtocol,
        targets: &BTreeMap<NamespacedName, Targets>,
        options: &Options,
    ) -> Vec<(ListenerKey, Listener)> {
        let any = options.http.as_ref().or(options.https.as_ref());
        let process = any.map_or(IpAddr::from([0, 0, 0, 0]), |any| any.address.ip());
        let sockets: Vec<SocketAddr> = match &self.at {
            At::Process => vec![SocketAddr::new(process, self.port)],
            At::Addresses(addresses) => addresses
                .iter()
                .map(|address| SocketAddr::new(*address, self.port))
                .collect(),
            At::Service(gateway) => {
                let targets = targets.get(gateway);
                let target = targets.and_then(|targets| targets.get(&(self.port, self.datagrams)));
                target
                    .map(|target| SocketAddr::new(process, *target))
                    .into_iter()
                    .collect()
            }
        };
        let keys = self.keys(options);
        let listener = |address| Listener {
            address,
            protocol,
            proxy_protocol: any
                .filter(|_| !self.datagrams)
                .and_then(|any| any.proxy_protocol.clone()),
            table: keys[0].clone(),
            public_port: self.port,
            http: options.http_settings.clone(),
        };
        keys.iter()
            .cloned()
            .zip(sockets.into_iter().map(listener))
            .collect()
    }
}

/// The listeners at each place: all of one protocol, or of HTTPS and TLS; no two
/// of one host name.
pub(super) type Ports = BTreeMap<Place, Vec<usize>>;

/// Gives every listener its place or a conflict. Listeners come in the order of
/// precedence: older Gateways first, a Gateway's own before its ListenerSets'.
pub(super) fn assign(
    listeners: &mut [Model],
    at: impl Fn(&Model) -> Option<At>,
    options: &Options,
    taken: &BTreeSet<(u16, bool)>,
) -> Ports {
    let mut ports = Ports::new();
    let places: Vec<Option<Place>> = listeners
        .iter_mut()
        .map(|listener| {
            let at = at(listener);
            place(listener, at, options, taken)
        })
        .collect();
    conflicts_of_one_owner(listeners, &places);
    for index in 0..listeners.len() {
        let Some(place) = &places[index] else { continue };
        if listeners[index].conflict.is_some() {
            continue;
        }
        let taken = ports.entry(place.clone()).or_default();
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
            by_owner.entry((owner, place)).or_default().push(index);
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

fn place(
    listener: &mut Model,
    at: Option<At>,
    options: &Options,
    taken: &BTreeSet<(u16, bool)>,
) -> Option<Place> {
    if listener.refused.is_some() {
        return None;
    }
    let refusal = |message| Some(Failure::new("PortUnavailable", message));
    let Some(port) = u16::try_from(listener.port).ok().filter(|port| *port > 0) else {
        listener.refused = refusal(format!("{} is not a port", listener.port));
        return None;
    };
    let at = at?;
    if at == At::Process
        && let Some(message) = unavailable(listener, port, options, taken)
    {
        listener.refused = refusal(message);
        return None;
    }
    Some(Place {
        at,
        port,
        datagrams: listener.protocol == Protocol::Udp,
    })
}

/// Ports of the process that serve something else.
fn unavailable(
    listener: &Model,
    port: u16,
    options: &Options,
    taken: &BTreeSet<(u16, bool)>,
) -> Option<String> {
    if taken.contains(&(port, listener.protocol == Protocol::Udp)) {
        return Some(format!("port {port} is in the ConfigMap of TCP or UDP services"));
    }
    if listener.protocol == Protocol::Udp {
        return None;
    }
    if options.reserved_ports.contains(&port) {
        return Some(format!("port {port} is the gateway's own"));
    }
    for (own, protocol) in [(&options.http, Protocol::Http), (&options.https, Protocol::Https)] {
        let Some(own) = own else { continue };
        if own.public_port == port {
            let same =
                listener.protocol == protocol || (listener.protocol.is_over_tls() && protocol.is_over_tls());
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

/// "The set of listeners that all share a protocol value MUST have different
/// values for at least one of these fields to be distinct: HTTP, HTTPS, TLS:
/// Port, Hostname; TCP, UDP: Port." HTTPS and TLS on one port are told apart by
/// the server name, which every ClientHello has.
fn conflict(listener: &Model, other: &Model) -> Option<Failure> {
    let whose = format!(
        "listener {:?} of {} {}/{}",
        other.name, other.owner.kind, other.owner.namespace, other.owner.name
    );
    if (listener.protocol == Protocol::Udp) != (other.protocol == Protocol::Udp) {
        return None;
    }
    let same_name = listener.hostname == other.hostname;
    let same_protocol = listener.protocol == other.protocol && listener.protocol.has_hostnames();
    let told_apart = listener.protocol.is_over_tls() && other.protocol.is_over_tls() && !same_name;
    if !same_protocol && !told_apart {
        let message = if listener.protocol == other.protocol {
            format!("{whose} has port {} already", listener.port)
        } else {
            format!("{whose} speaks another protocol on port {}", listener.port)
        };
        return Some(Failure::new("ProtocolConflict", message));
    }
    if same_name {
        let message = format!("{whose} has the same port and host name");
        return Some(Failure::new("HostnameConflict", message));
    }
    None
}
