//! TCP and UDP services of their ConfigMaps (ingress-nginx-behaviour §14), and
//! the Ingresses whose TLS is passed through (annotations reference §4).

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;

use ipnet::IpNet;
use tidegate_snapshot::route::WeightedCluster;
use tidegate_snapshot::{
    ClusterKey, Effect, Hostname, Listener, ListenerKey, ListenerProtocol, ObjectRef, Problem, ProxyProtocol,
    RouteTable, StreamRoute, UpstreamProtocol,
};

use super::cluster::Refusal;
use super::host::{Renames, cluster_key};
use super::ingress::{IngressField, Model, ServiceUse, Transport};
use super::problems::Problems;
use super::reason;
use crate::objects::{Kind, NamespacedName, Objects};
use crate::options::Options;

/// One port and its Service.
#[derive(Debug)]
pub(super) struct Entry {
    port: u16,
    pub(super) namespace: Arc<str>,
    pub(super) service: ServiceUse,
    receive_proxy_protocol: bool,
    send_proxy_protocol: bool,
    /// The ConfigMap.
    object: ObjectRef,
}

impl Entry {
    fn parse(
        object: &ObjectRef,
        port: &str,
        value: &str,
        transport: Transport,
    ) -> Result<Self, &'static str> {
        const FORM: &str =
            "write namespace/service:port, then :PROXY to expect PROXY protocol, and another to send it";
        let number = port.trim().parse().ok().filter(|port| *port > 0);
        let number: u16 = number.ok_or("the key must be a port from 1 to 65535")?;
        let mut parts = value.trim().split(':');
        let (namespace, name) = parts
            .next()
            .and_then(|service| service.split_once('/'))
            .ok_or(FORM)?;
        let service_port = parts.next().filter(|port| !port.is_empty()).ok_or(FORM)?;
        let mut proxy = || match parts.next() {
            Some(word) if word.eq_ignore_ascii_case("PROXY") => Ok(true),
            None | Some("") => Ok(false),
            Some(_) => Err(FORM),
        };
        let (receive, send) = (proxy()?, proxy()?);
        if namespace.is_empty() || name.is_empty() || parts.next().is_some() {
            return Err(FORM);
        }
        let kind = transport.name().to_ascii_lowercase();
        Ok(Self {
            port: number,
            namespace: namespace.into(),
            service: ServiceUse {
                name: name.into(),
                port: service_port.into(),
                field: IngressField::DefaultBackend,
                key: ClusterKey(format!("{kind}-{namespace}-{name}-{service_port}").into()),
                protocol: UpstreamProtocol::Http,
                load_balancing: None,
                service_upstream: false,
                tls: None,
                tls_identity: None,
                transport,
            },
            receive_proxy_protocol: receive && transport == Transport::Tcp,
            send_proxy_protocol: send && transport == Transport::Tcp,
            object: object.clone(),
        })
    }

    /// Its port, and whether that is UDP's.
    pub(super) fn place(&self) -> (u16, bool) {
        (self.port, self.service.transport == Transport::Udp)
    }

    fn key(&self) -> ListenerKey {
        let kind = self.service.transport.name().to_ascii_lowercase();
        format!("{kind}-{}", self.port).into()
    }

    /// Its Service cannot be used.
    pub(super) fn refused(&self, refusal: &Refusal) -> Problem {
        Problem {
            object: self.object.clone(),
            field: format!("data[{}]", self.port),
            reason: refusal.reason,
            message: refusal.message.clone(),
            effect: Effect::RouteDisabled,
            fix: refusal.fix.to_owned(),
        }
    }

    fn listener(&self, options: &Options) -> Listener {
        let listener = options.http.as_ref().or(options.https.as_ref());
        let ip = listener.map_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED), |listener| {
            listener.address.ip()
        });
        let everybody = ["0.0.0.0/0", "::/0"].map(|net| net.parse::<IpNet>());
        Listener {
            address: SocketAddr::new(ip, self.port),
            protocol: match self.service.transport {
                Transport::Tcp => ListenerProtocol::Tcp,
                Transport::Udp => ListenerProtocol::Udp,
            },
            proxy_protocol: self.receive_proxy_protocol.then(|| ProxyProtocol {
                trusted: everybody.into_iter().flatten().collect(),
                optional: Vec::new(),
                header_timeout: ProxyProtocol::HEADER_TIMEOUT,
            }),
            table: self.key(),
            public_port: self.port,
            http: options.http_settings.clone(),
        }
    }
}

/// The services of both ConfigMaps; equal parts stay the same `Arc`.
#[derive(Debug, Default)]
pub(super) struct Streams {
    listeners: BTreeMap<ListenerKey, Arc<Listener>>,
    tables: BTreeMap<Arc<str>, Arc<RouteTable>>,
}

impl Streams {
    /// What the ConfigMaps say.
    pub(super) fn entries(objects: &Objects, options: &Options, problems: &mut Problems) -> Vec<Entry> {
        let both = [
            (&options.tcp_services, Transport::Tcp),
            (&options.udp_services, Transport::Udp),
        ];
        let mut entries = Vec::new();
        for (name, transport) in both {
            let Some(NamespacedName { namespace, name }) = name else {
                continue;
            };
            let data = objects
                .config_map(namespace, name)
                .and_then(|map| map.data.as_ref());
            let object = ObjectRef::new("ConfigMap", namespace, name);
            for (port, value) in data.into_iter().flatten() {
                match Entry::parse(&object, port, value, transport) {
                    Ok(entry) => match taken(&entry, options) {
                        Some(why) => problems.push(invalid(&object, port, why, "use another port")),
                        None => entries.push(entry),
                    },
                    Err(fix) => problems.push(invalid(&object, port, "the entry cannot be understood", fix)),
                }
            }
        }
        entries
    }

    /// Makes listeners and tables of them.
    pub(super) fn update(&mut self, entries: &[Entry], renames: &Renames, options: &Options) {
        let mut listeners = BTreeMap::new();
        let mut tables = BTreeMap::new();
        for entry in entries {
            let cluster = cluster_key(renames, &entry.namespace, &entry.service);
            let mut route = route(entry.object.clone(), cluster, options);
            route.send_proxy_protocol = entry.send_proxy_protocol;
            let table = RouteTable {
                streams: BTreeMap::from([(Hostname::Any, Some(Arc::new(route)))]),
                ..RouteTable::default()
            };
            keep(
                &self.listeners,
                &mut listeners,
                entry.key(),
                entry.listener(options),
            );
            keep(&self.tables, &mut tables, entry.key(), table);
        }
        self.listeners = listeners;
        self.tables = tables;
    }

    /// By name.
    pub(super) fn listeners(&self) -> &BTreeMap<ListenerKey, Arc<Listener>> {
        &self.listeners
    }

    /// By the name that listeners have for them.
    pub(super) fn tables(&self) -> &BTreeMap<Arc<str>, Arc<RouteTable>> {
        &self.tables
    }

    /// Whether this object is one of the ConfigMaps.
    pub(super) fn reads(options: &Options, kind: Kind, namespace: &str, name: &str) -> bool {
        let both = [&options.tcp_services, &options.udp_services];
        let named = |map: &NamespacedName| *map.namespace == *namespace && *map.name == *name;
        kind == Kind::ConfigMap && both.into_iter().flatten().any(named)
    }
}

/// The hosts whose TLS goes to a backend untouched: that of the path `/` of the
/// first Ingress that asks for it.
pub(super) fn passthrough(
    serving: &[Arc<Model>],
    renames: &Renames,
    options: &Options,
) -> BTreeMap<Hostname, Option<Arc<StreamRoute>>> {
    let mut streams = BTreeMap::new();
    for model in serving.iter().filter(|model| model.passthrough) {
        for host in model.hosts.iter().filter(|host| host.hostname != Hostname::Any) {
            let root = host.paths.iter().find(|rule| *rule.path.text == *"/");
            let service = root.and_then(|rule| model.services.get(rule.service?));
            if let Some(service) = service {
                let cluster = cluster_key(renames, &model.object.namespace, service);
                streams
                    .entry(host.hostname.clone())
                    .or_insert_with(|| Some(Arc::new(route(model.object.clone(), cluster, options))));
            }
        }
    }
    streams
}

fn route(origin: ObjectRef, cluster: ClusterKey, options: &Options) -> StreamRoute {
    let settings = &options.streams;
    StreamRoute {
        idle_timeout: settings.idle_timeout,
        tries: if settings.next_upstream { settings.tries } else { 1 },
        responses: (settings.responses > 0).then_some(settings.responses),
        ..StreamRoute::new(origin, vec![WeightedCluster::new(cluster, 1)])
    }
}

/// Why the port is not to be had, if it is not: ingress-nginx has such a list,
/// too. UDP has ports of its own.
fn taken(entry: &Entry, options: &Options) -> Option<&'static str> {
    if entry.service.transport == Transport::Udp {
        return None;
    }
    let mut http = options.http.iter().chain(&options.https);
    if http.any(|listener| listener.address.port() == entry.port) {
        return Some("the port serves HTTP");
    }
    let own = options.reserved_ports.contains(&entry.port);
    own.then_some("the port is the gateway's own: metrics and health, or the admission webhook")
}

fn invalid(object: &ObjectRef, port: &str, message: &str, fix: &str) -> Problem {
    Problem {
        object: object.clone(),
        field: format!("data[{port}]"),
        reason: reason::INVALID_KEY,
        message: message.to_owned(),
        effect: Effect::Ignored,
        fix: fix.to_owned(),
    }
}

fn keep<K: Ord, V: PartialEq>(
    before: &BTreeMap<K, Arc<V>>,
    after: &mut BTreeMap<K, Arc<V>>,
    key: K,
    value: V,
) {
    let value = match before.get(&key).filter(|before| ***before == value) {
        Some(same) => same.clone(),
        None => Arc::new(value),
    };
    after.insert(key, value);
}
