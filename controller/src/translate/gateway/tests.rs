//! What the memory of Gateways and routes must never change: the answer.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::status::{Address, RouteStatuses};
use super::*;
use crate::gateway_api::GROUP_VERSION;
use crate::options::GatewayServices;
use crate::translate::tests::{self, read};
use crate::translate::{Translator, translate};

const NAMESPACES: [&str; 2] = ["a", "a-b"];
const KINDS: [Kind; 4] = [Kind::HTTPRoute, Kind::GRPCRoute, Kind::TLSRoute, Kind::TCPRoute];
const HOSTNAMES: [&[&str]; 6] = [
    &[],
    &["x.example"],
    &["*.example"],
    &["x.example", "y.example"],
    &["*.x.example", "z.x.example"],
    &["no host"],
];

#[derive(Clone, Debug)]
enum Edit {
    Other(Box<tests::Edit>),
    Route(Box<Route>),
    DeleteRoute(usize, usize, usize),
    Gateway(usize, usize),
    DeleteGateway(usize),
    Grant(bool),
    Policy(usize, bool),
    Namespace(usize, bool),
    Class(bool),
}

#[derive(Clone, Debug)]
struct Route {
    kind: usize,
    namespace: usize,
    name: usize,
    created: usize,
    hostnames: usize,
    parent: usize,
    section: usize,
    backend: (usize, usize),
    filter: usize,
}

impl Route {
    fn object(&self) -> Value {
        let kind = KINDS[self.kind];
        let services = ["c", "b-c", "web", "nobody"];
        let (namespace, service) = self.backend;
        let backend = json!({"name": services[service], "namespace": NAMESPACES[namespace], "port": 80});
        let mut spec = json!({
            "parentRefs": [{"name": format!("g{}", self.parent), "namespace": "a"}],
            "rules": [{"backendRefs": [backend]}],
        });
        if self.section > 0 {
            spec["parentRefs"][0]["sectionName"] = json!(format!("l{}", self.section));
        }
        if kind != Kind::TCPRoute && !HOSTNAMES[self.hostnames].is_empty() {
            spec["hostnames"] = json!(HOSTNAMES[self.hostnames]);
        }
        if kind == Kind::HTTPRoute {
            spec["rules"][0]["matches"] = json!([{"path": {"value": (["/", "/foo"][self.filter % 2])}}]);
            spec["rules"][0]["filters"] = match self.filter {
                0 => json!([]),
                1 => {
                    json!([{"type": "RequestMirror", "requestMirror": {"backendRef": {"name": "c", "port": 80}}}])
                }
                2 => json!([{"type": "ResponseHeaderModifier", "responseHeaderModifier": {"remove": ["x"]}}]),
                _ => json!([{"type": "Unknown"}]),
            };
        }
        let created = format!("2024-01-01T00:00:0{}Z", self.created);
        json!({
            "apiVersion": if kind == Kind::TCPRoute { "gateway.networking.k8s.io/v1alpha2" } else { GROUP_VERSION },
            "kind": kind.as_str(),
            "metadata": {
                "name": format!("r{}", self.name),
                "namespace": NAMESPACES[self.namespace],
                "creationTimestamp": created,
            },
            "spec": spec,
        })
    }
}

fn listener(name: usize, protocol: &str, port: u16, hostname: &str, from: &str) -> Value {
    let mut listener = json!({
        "name": format!("l{name}"), "protocol": protocol, "port": port,
        "allowedRoutes": {"namespaces": {
            "from": from, "selector": {"matchLabels": {"let": "in"}},
        }},
    });
    if !hostname.is_empty() {
        listener["hostname"] = json!(hostname);
    }
    match protocol {
        "HTTPS" => listener["tls"] = json!({"certificateRefs": [{"name": "cert"}]}),
        "TLS" => listener["tls"] = json!({"mode": "Passthrough"}),
        _ => {}
    }
    listener
}

fn gateway(name: usize, variant: usize) -> Value {
    let listeners = match variant {
        0 => json!([listener(1, "HTTP", 80, "", "All")]),
        1 => json!([
            listener(1, "HTTP", 80, "", "Same"),
            listener(2, "HTTP", 80, "x.example", "All")
        ]),
        2 => json!([
            listener(1, "HTTPS", 443, "*.example", "All"),
            listener(2, "TLS", 443, "x.example", "All")
        ]),
        3 => json!([
            listener(1, "HTTP", 8080, "*.example", "Selector"),
            listener(2, "TCP", 9000, "", "All")
        ]),
        _ => json!([
            listener(1, "HTTP", 8080, "", "All"),
            listener(2, "HTTPS", 8443, "", "All")
        ]),
    };
    json!({
        "apiVersion": GROUP_VERSION, "kind": "Gateway",
        "metadata": {"name": format!("g{name}"), "namespace": "a"},
        "spec": {"gatewayClassName": "ours", "listeners": listeners},
    })
}

fn class(ours: bool) -> Value {
    json!({
        "apiVersion": GROUP_VERSION, "kind": "GatewayClass", "metadata": {"name": "ours"},
        "spec": {"controllerName": if ours { CONTROLLER_NAME } else { "other.test/gateway" }},
    })
}

impl Edit {
    fn apply(&self, objects: &mut Objects) {
        let put = |objects: &mut Objects, object: &Value| drop(objects.apply(read(&object.to_string())));
        match self {
            Self::Other(edit) => drop(edit.apply(objects)),
            Self::Route(route) => put(objects, &route.object()),
            Self::DeleteRoute(kind, namespace, name) => {
                objects.delete(KINDS[*kind], NAMESPACES[*namespace], &format!("r{name}"));
            }
            Self::Gateway(name, variant) => put(objects, &gateway(*name, *variant)),
            Self::DeleteGateway(name) => drop(objects.delete(Kind::Gateway, "a", &format!("g{name}"))),
            Self::Grant(true) => put(
                objects,
                &json!({
                    "apiVersion": "gateway.networking.k8s.io/v1beta1", "kind": "ReferenceGrant",
                    "metadata": {"name": "grant", "namespace": "a"},
                    "spec": {
                        "from": [{"group": "gateway.networking.k8s.io", "kind": "HTTPRoute", "namespace": "a-b"}],
                        "to": [{"group": "", "kind": "Service"}],
                    },
                }),
            ),
            Self::Grant(false) => drop(objects.delete(Kind::ReferenceGrant, "a", "grant")),
            Self::Policy(service, true) => put(
                objects,
                &json!({
                    "apiVersion": GROUP_VERSION, "kind": "BackendTLSPolicy",
                    "metadata": {"name": "policy", "namespace": "a"},
                    "spec": {
                        "targetRefs": [{"group": "", "kind": "Service", "name": (["c", "b-c", "web"][*service])}],
                        "validation": {"hostname": "b.test", "wellKnownCACertificates": "System"},
                    },
                }),
            ),
            Self::Policy(_, false) => drop(objects.delete(Kind::BackendTLSPolicy, "a", "policy")),
            Self::Namespace(name, labelled) => put(
                objects,
                &json!({
                    "apiVersion": "v1", "kind": "Namespace",
                    "metadata": {
                        "name": NAMESPACES[*name], "labels": if *labelled { json!({"let": "in"}) } else { json!({}) },
                    },
                }),
            ),
            Self::Class(ours) => put(objects, &class(*ours)),
        }
    }
}

fn route() -> impl Strategy<Value = Edit> {
    let identity = (0..KINDS.len(), 0..2usize, 0..3usize, 0..3usize);
    let backend = (0..2usize, 0..4usize);
    let rest = (0..HOSTNAMES.len(), 0..2usize, 0..3usize, backend, 0..5usize);
    (identity, rest, 0..8usize).prop_map(
        |((kind, namespace, name, created), (hostnames, parent, section, backend, filter), common)| {
            Edit::Route(Box::new(Route {
                // Most of them are of the kinds that have most, and want the same hosts.
                kind: match common {
                    0..4 => 0,
                    4..6 => 1,
                    _ => kind,
                },
                namespace,
                name,
                created,
                hostnames,
                parent,
                section,
                backend,
                filter,
            }))
        },
    )
}

fn edit() -> impl Strategy<Value = Edit> {
    prop_oneof![
        12 => route(),
        3 => (0..KINDS.len(), 0..2usize, 0..3usize).prop_map(|(a, b, c)| Edit::DeleteRoute(a, b, c)),
        3 => (0..2usize, 0..5usize).prop_map(|(a, b)| Edit::Gateway(a, b)),
        1 => (0..2usize).prop_map(Edit::DeleteGateway),
        1 => any::<bool>().prop_map(Edit::Grant),
        1 => (0..3usize, any::<bool>()).prop_map(|(a, b)| Edit::Policy(a, b)),
        1 => (0..2usize, any::<bool>()).prop_map(|(a, b)| Edit::Namespace(a, b)),
        1 => prop_oneof![5 => Just(true), 1 => Just(false)].prop_map(Edit::Class),
        8 => tests::edit().prop_map(|edit| Edit::Other(Box::new(edit))),
    ]
}

/// The routes whose status differs.
fn differing(before: &RouteStatuses, after: &RouteStatuses) -> BTreeSet<(Kind, NamespacedName)> {
    let keys = before.keys().chain(after.keys());
    keys.filter(|key| before.get(*key) != after.get(*key))
        .cloned()
        .collect()
}

/// A Gateway that comes to the front of an order must not take the address of one
/// that has been told its own, but whose status has not come back yet.
#[test]
fn an_address_stays_while_no_status_shows_it() {
    let options = Options {
        gateway_addresses: vec!["10.0.0.0/29".parse().unwrap()],
        ..Options::default()
    };
    let mut objects = Objects::new();
    for object in [class(true), gateway(1, 0)] {
        objects.apply(read(&object.to_string()));
    }
    let mut translator = Translator::new(options);
    let address = |translator: &mut Translator, objects: &Objects, name: &str| {
        let statuses = translator.translate(objects).gateway_api;
        statuses.gateways[&NamespacedName::new("a", name)].address.clone()
    };
    let first = address(&mut translator, &objects, "g1");
    assert!(matches!(first, Address::Own(_)), "{first:?}");
    objects.apply(read(&gateway(0, 0).to_string()));
    let second = address(&mut translator, &objects, "g0");
    assert!(matches!(second, Address::Own(_)), "{second:?}");
    assert_eq!(address(&mut translator, &objects, "g1"), first);
    assert_ne!(second, first);
    objects.delete(Kind::Gateway, "a", "g1");
    assert_eq!(address(&mut translator, &objects, "g0"), second);
}

/// The reasons of `Accepted` of routes, with whether it holds.
fn accepted(translator: &mut Translator, objects: &Objects) -> Vec<(String, bool, &'static str)> {
    let routes = translator.translate(objects).gateway_api.routes.clone();
    let told = routes.iter().map(|((kind, name), status)| {
        let accepted = &status.parents[0].1[0];
        (format!("{kind} {}", name.name), accepted.status, accepted.reason)
    });
    told.collect()
}

/// A GRPCRoute and HTTPRoutes in one order of creation and another: whatever comes
/// first to us, the older has the host, and gives it back when it goes.
#[test]
fn of_two_kinds_the_older_route_has_a_host() {
    let route = |kind: usize, name: usize, created: usize, hostnames: usize| Route {
        kind,
        namespace: 0,
        name,
        created,
        hostnames,
        parent: 0,
        section: 0,
        backend: (0, 0),
        filter: 0,
    };
    // `*.example`, `x.example`, and `*.x.example` with `z.x.example`.
    let (wide, narrow, apart) = (route(1, 0, 1, 2), route(0, 1, 2, 1), route(0, 2, 0, 4));
    let both = [(true, "Accepted"), (false, contest::REASON)];
    let mut objects = Objects::new();
    let mut translator = Translator::new(Options::default());
    for object in [class(true), gateway(0, 0), narrow.object()] {
        objects.apply(read(&object.to_string()));
    }
    let http =
        |name: usize, (status, reason): (bool, &'static str)| (format!("HTTPRoute r{name}"), status, reason);
    let grpc = |(status, reason): (bool, &'static str)| ("GRPCRoute r0".to_owned(), status, reason);
    assert_eq!(accepted(&mut translator, &objects), [http(1, both[0])]);
    objects.apply(read(&wide.object().to_string()));
    let won = [http(1, both[1]), grpc(both[0])];
    assert_eq!(accepted(&mut translator, &objects), won);
    // One that is older still takes its host from the GRPCRoute; what that one had
    // taken is free again.
    objects.apply(read(&apart.object().to_string()));
    let lost = [http(1, both[0]), http(2, both[0]), grpc(both[1])];
    assert_eq!(accepted(&mut translator, &objects), lost);
    objects.delete(Kind::HTTPRoute, "a", "r2");
    assert_eq!(accepted(&mut translator, &objects), won);
    objects.delete(Kind::GRPCRoute, "a", "r0");
    assert_eq!(accepted(&mut translator, &objects), [http(1, both[0])]);
}

/// Its parents are told, so that whoever waits for a status gets one.
#[test]
fn a_route_that_cannot_be_read_has_a_status() {
    let mut objects = Objects::new();
    for object in [class(true), gateway(0, 0)] {
        objects.apply(read(&object.to_string()));
    }
    let route: crate::gateway_api::HTTPRoute = serde_json::from_value(json!({
        "metadata": {"name": "r0", "namespace": "a"},
        "spec": {"parentRefs": [{"name": "g0"}, {"name": 7}], "rules": "none"},
    }))
    .unwrap();
    objects.apply(crate::objects::Object::from(route));
    let translation = translate(&objects, &Options::default());
    let status = translation.gateway_api.routes.values().next().unwrap();
    assert_eq!(status.parents.len(), 1);
    let accepted = &status.parents[0].1[0];
    assert_eq!((accepted.status, accepted.reason), (false, "UnsupportedValue"));
    assert!(
        accepted.message.contains("cannot be read"),
        "{}",
        accepted.message
    );
}

/// A parent that is somebody else's says nothing about what our Gateway shows.
#[test]
fn a_foreign_parent_does_not_take_the_client_certificate_away() {
    let mut edge = gateway(0, 0);
    edge["spec"]["tls"] = json!({"backend": {"clientCertificateRef": {"name": "cert"}}});
    let own = json!({"name": "g0"});
    let mesh = json!({"name": "c", "group": "", "kind": "Service"});
    let foreign = json!({"name": "foreign", "namespace": "elsewhere"});
    for parents in [json!([own]), json!([mesh, own]), json!([foreign, own])] {
        let mut objects = Objects::new();
        let route = json!({
            "apiVersion": GROUP_VERSION, "kind": "HTTPRoute", "metadata": {"name": "r0", "namespace": "a"},
            "spec": {"parentRefs": parents, "rules": [{"backendRefs": [{"name": "c", "port": 80}]}]},
        });
        let service = json!({
            "apiVersion": "v1", "kind": "Service", "metadata": {"name": "c", "namespace": "a"},
            "spec": {"ports": [{"port": 80}]},
        });
        for object in [class(true), edge.clone(), route, service] {
            objects.apply(read(&object.to_string()));
        }
        tests::Edit::Secret(0, 0, 0).apply(&mut objects);
        Edit::Policy(0, true).apply(&mut objects);
        let translation = translate(&objects, &Options::default());
        let clusters = translation.snapshot.clusters.values();
        let shown = clusters.filter_map(|cluster| cluster.tls.as_ref()?.client_certificate.as_ref());
        assert_eq!(shown.count(), 1, "{parents}: {:?}", translation.problems);
    }
}

/// A port that one Gateway's Service is to lead to must not become another's while no
/// Service says so yet; and nothing is bound before one does.
#[test]
fn a_target_stays_while_no_service_says_it() {
    let options = Options {
        gateway_services: Some(GatewayServices::fixture(&[])),
        ..Options::default()
    };
    let mut objects = Objects::new();
    for object in [class(true), gateway(1, 0)] {
        objects.apply(read(&object.to_string()));
    }
    let mut translator = Translator::new(options);
    let first = translator.translate(&objects);
    let name = NamespacedName::new("a", "g1-ours");
    let service = first.infrastructure.services[&name].clone();
    let targets = |service: &Service| infrastructure::targets_of(service);
    assert_eq!(targets(&service), BTreeMap::from([((80, false), 20000)]));
    assert!(!first.snapshot.listeners.contains_key("gateway/a/g1:80"));
    objects.apply(read(&gateway(0, 0).to_string()));
    let second = translator.translate(&objects);
    let other = NamespacedName::new("a", "g0-ours");
    assert_eq!(
        targets(&second.infrastructure.services[&other]),
        BTreeMap::from([((80, false), 20001)])
    );
    assert_eq!(second.infrastructure.services[&name], service);
    objects.apply(crate::objects::Object::from(service));
    let seen = translator.translate(&objects);
    assert!(Arc::ptr_eq(&seen.infrastructure, &second.infrastructure));
    assert_eq!(seen.snapshot.listeners["gateway/a/g1:80"].address.port(), 20000);
    assert_eq!(seen.snapshot.listeners["gateway/a/g1:80"].public_port, 80);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn memory_never_changes_the_answer(
        edits in proptest::collection::vec((edit(), any::<bool>()), 1..40),
        own_services in any::<bool>(),
    ) {
        let options = Options {
            gateway_services: own_services.then(|| GatewayServices::fixture(&[])),
            ..Options::default()
        };
        let mut objects = Objects::new();
        for object in [class(true), gateway(0, 0), gateway(1, 3)] {
            objects.apply(read(&object.to_string()));
        }
        let mut translator = Translator::new(options.clone());
        let mut routes = Arc::default();
        for (edit, look) in edits {
            edit.apply(&mut objects);
            if !look {
                continue;
            }
            let remembered = translator.translate(&objects);
            let fresh = translate(&objects, &options);
            prop_assert_eq!(&remembered.problems, &fresh.problems);
            prop_assert_eq!(&remembered.gateway_api, &fresh.gateway_api);
            prop_assert_eq!(&*remembered.snapshot, &*fresh.snapshot);
            let told: BTreeSet<_> = remembered.changed_routes.into_iter().collect();
            prop_assert_eq!(told, differing(&routes, &remembered.gateway_api.routes));
            routes = remembered.gateway_api.routes.clone();
            let again = translator.translate(&objects);
            prop_assert!(Arc::ptr_eq(&remembered.snapshot, &again.snapshot));
            prop_assert!(Arc::ptr_eq(&remembered.gateway_api, &again.gateway_api));
        }
    }
}
