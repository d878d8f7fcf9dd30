use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Instant;

use tidegate_snapshot::route::WeightedCluster;
use tidegate_snapshot::{
    Action, Discovery, Endpoint, Hostname, LoadBalancing, ObjectRef, PathMatch, Policies, Route, RouteMatch,
    RouteTable, UpstreamProtocol, VirtualHost,
};

use super::*;

fn parts() -> Parts {
    Parts {
        metrics: Arc::new(Metrics::new()),
        upstream: upstream::Shared::new(),
    }
}

fn key(name: &str) -> ClusterKey {
    ClusterKey(name.into())
}

fn cluster(name: &str, load_balancing: LoadBalancing) -> Arc<tidegate_snapshot::Cluster> {
    Arc::new(tidegate_snapshot::Cluster {
        origin: ObjectRef::new("Service", "default", name),
        port: "80".into(),
        discovery: Discovery::Snapshot,
        protocol: UpstreamProtocol::Http,
        load_balancing,
        health_check: None,
        tls: None,
    })
}

fn endpoints(ports: &[u16]) -> Arc<[Endpoint]> {
    ports
        .iter()
        .map(|port| Endpoint {
            address: SocketAddr::from(([10, 0, 0, 1], *port)),
        })
        .collect()
}

fn host(name: &str, cluster: &str) -> (Hostname, Arc<VirtualHost>) {
    let hostname = Hostname::parse(name).unwrap();
    let route = Route {
        matches: RouteMatch::path(PathMatch::Prefix("".into())),
        action: Action::Forward(vec![WeightedCluster::new(key(cluster), 1)]),
        policies: Arc::new(Policies::default()),
        origin: ObjectRef::new("Ingress", "default", name),
        path: "/".into(),
    };
    (
        hostname.clone(),
        Arc::new(VirtualHost {
            client_auth: None,
            tls: None,
            hostname,
            routes: vec![Arc::new(route)],
        }),
    )
}

/// Hosts a and b in front of clusters a and b.
fn snapshot() -> Snapshot {
    let hosts = [host("a", "a"), host("b", "b")].into();
    let table = RouteTable {
        hosts,
        ..RouteTable::default()
    };
    let clusters = ["a", "b"].map(|name| (key(name), cluster(name, LoadBalancing::RoundRobin)));
    Snapshot {
        access_log: Arc::default(),
        trace_export: Arc::default(),
        ocsp: None,
        tables: BTreeMap::from([("t".into(), Arc::new(table))]),
        clusters: Arc::new(clusters.into()),
        endpoints: Arc::new([(key("a"), endpoints(&[1])), (key("b"), endpoints(&[2]))].into()),
        ..Snapshot::default()
    }
}

fn publication(generation: u64, snapshot: Snapshot, changed: Changed) -> Publication {
    Publication {
        generation,
        snapshot: Arc::new(snapshot),
        changed,
        event: Instant::now(),
    }
}

fn ports(runtime: &Runtime, name: &str) -> Vec<u16> {
    let status = runtime.clusters[&key(name)].status();
    status
        .endpoints
        .iter()
        .map(|endpoint| endpoint.address.port())
        .collect()
}

/// The cluster that requests for a host go to.
fn target(runtime: &Runtime, host: &str) -> Option<Arc<Cluster>> {
    let request = crate::request::fixtures::Request {
        host: host.into(),
        ..crate::request::fixtures::Request::get("/")
    };
    let route = runtime.tables["t"].hosts.find(&request).unwrap().clone();
    route.by_weight(0).unwrap().cluster.clone()
}

#[test]
fn an_equal_snapshot_keeps_everything_live() {
    let parts = parts();
    let first = compile(None, &publication(1, snapshot(), Changed::Everything), &parts);
    assert_eq!(ports(&first, "a"), [1]);
    let mut same = snapshot();
    same.tables = first.snapshot.tables.clone();
    let second = compile(Some(&first), &publication(2, same, Changed::Everything), &parts);
    assert!(Arc::ptr_eq(&first.clusters, &second.clusters));
    assert!(Arc::ptr_eq(&first.tables["t"], &second.tables["t"]));
    assert_eq!(second.generation, 2);
}

#[test]
fn a_changed_cluster_is_replaced_where_routes_name_it() {
    let parts = parts();
    let first = compile(None, &publication(1, snapshot(), Changed::Everything), &parts);
    let mut next = (*first.snapshot).clone();
    Arc::make_mut(&mut next.clusters).insert(key("a"), cluster("a", LoadBalancing::Ewma));
    let second = compile(Some(&first), &publication(2, next, Changed::Everything), &parts);
    let both = |host| (target(&first, host).unwrap(), target(&second, host).unwrap());
    assert!(!Arc::ptr_eq(&both("a").0, &both("a").1));
    assert!(Arc::ptr_eq(&both("a").1, &second.clusters[&key("a")]));
    assert!(Arc::ptr_eq(&both("b").0, &both("b").1));
    assert_eq!(ports(&second, "a"), [1]);
}

#[test]
fn clusters_come_and_go() {
    let parts = parts();
    let first = compile(None, &publication(1, snapshot(), Changed::Everything), &parts);
    let mut next = (*first.snapshot).clone();
    Arc::make_mut(&mut next.clusters).remove(&key("a"));
    let second = compile(Some(&first), &publication(2, next, Changed::Everything), &parts);
    assert!(target(&second, "a").is_none());
    assert_eq!(second.clusters.len(), 1);
    let third = publication(3, (*first.snapshot).clone(), Changed::Everything);
    let third = compile(Some(&second), &third, &parts);
    assert!(target(&third, "a").is_some());
    assert_eq!(ports(&third, "a"), [1]);
}

#[test]
fn endpoints_alone_reach_live_clusters() {
    let parts = parts();
    let first = compile(None, &publication(1, snapshot(), Changed::Everything), &parts);
    let mut next = (*first.snapshot).clone();
    Arc::make_mut(&mut next.endpoints).insert(key("a"), endpoints(&[1, 3]));
    Arc::make_mut(&mut next.endpoints).remove(&key("b"));
    let changed = Changed::Endpoints(vec![key("a"), key("b"), key("unknown")]);
    let second = compile(Some(&first), &publication(2, next, changed), &parts);
    assert_eq!((ports(&second, "a"), ports(&second, "b")), (vec![1, 3], vec![]));
    assert!(Arc::ptr_eq(&first.tables["t"], &second.tables["t"]));
    // Back to what the first snapshot had: the way there must not be forgotten.
    let third = publication(3, (*first.snapshot).clone(), Changed::Everything);
    let third = compile(Some(&second), &third, &parts);
    assert_eq!((ports(&third, "a"), ports(&third, "b")), (vec![1], vec![2]));
}

#[test]
fn after_a_gap_everything_is_compared() {
    let parts = parts();
    let first = compile(None, &publication(1, snapshot(), Changed::Everything), &parts);
    let mut next = (*first.snapshot).clone();
    Arc::make_mut(&mut next.endpoints).insert(key("a"), endpoints(&[7]));
    let third = publication(3, next, Changed::Endpoints(vec![key("b")]));
    assert_eq!(ports(&compile(Some(&first), &third, &parts), "a"), [7]);
}
