use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tidegate_snapshot::HealthCheckKind;

use super::super::FailureKind;
use super::super::fixtures::*;
use super::*;

const MILLISECOND: Duration = Duration::from_millis(1);

#[test]
fn a_cluster_without_endpoints_picks_none() {
    let (cluster, _) = cluster(LoadBalancing::RoundRobin, &[]);
    assert!(cluster.is_empty());
    assert!(cluster.pick(0, &[]).is_none());
}

#[test]
fn with_one_endpoint_it_is_the_same_again() {
    let (cluster, _) = cluster(LoadBalancing::RoundRobin, &[1]);
    eject(&cluster, 1);
    assert_eq!(cluster.pick(0, &[address(1)]).unwrap().address(), address(1));
}

#[test]
fn a_pick_counts_as_in_flight_until_dropped() {
    let (cluster, _) = cluster(LoadBalancing::RoundRobin, &[1]);
    let first = cluster.pick(0, &[]).unwrap();
    let second = cluster.pick(0, &[]).unwrap();
    assert_eq!(first.endpoint().in_flight(), 2);
    drop(second);
    assert_eq!(first.endpoint().in_flight(), 1);
}

#[test]
fn five_failed_connections_in_a_row_eject() {
    let (cluster, shared) = cluster(LoadBalancing::RoundRobin, &[1, 2, 3]);
    for _ in 0..4 {
        fail(&cluster, 2, FailureKind::Connect);
    }
    assert_eq!(histogram(&cluster, 30, &[])[2], 10);
    fail(&cluster, 2, FailureKind::Connect);
    assert_eq!(shared.counters.ejections.value(), 1);
    let counts = histogram(&cluster, 60, &[]);
    assert_eq!((counts[1], counts[2], counts[3]), (30, 0, 30));
}

#[test]
fn what_happens_after_the_connection_ejects_nothing() {
    let (cluster, _) = cluster(LoadBalancing::RoundRobin, &[1, 2]);
    for kind in [FailureKind::Timeout, FailureKind::Broken, FailureKind::Status] {
        (0..20).for_each(|_| fail(&cluster, 1, kind));
    }
    assert_eq!(histogram(&cluster, 20, &[])[1], 10);
}

#[test]
fn an_ejected_endpoint_gets_one_probe_and_returns_with_its_success() {
    let (cluster, shared) = cluster(LoadBalancing::RoundRobin, &[1, 2]);
    eject(&cluster, 1);
    assert_eq!(histogram(&cluster, 20, &[])[1], 0);
    shared.clock.advance(Duration::from_secs(2));
    assert_eq!(histogram(&cluster, 20, &[])[1], 1, "one probe");
    succeed(&cluster, 1, MILLISECOND);
    assert_eq!(histogram(&cluster, 20, &[])[1], 10);
}

#[test]
fn a_failed_probe_ejects_for_twice_as_long() {
    let (cluster, shared) = cluster(LoadBalancing::RoundRobin, &[1, 2]);
    eject(&cluster, 1);
    shared.clock.advance(Duration::from_secs(2));
    assert_eq!(histogram(&cluster, 4, &[])[1], 1);
    fail(&cluster, 1, FailureKind::Connect);
    shared.clock.advance(Duration::from_millis(3999));
    assert_eq!(histogram(&cluster, 4, &[])[1], 0);
    shared.clock.advance(MILLISECOND);
    assert_eq!(histogram(&cluster, 4, &[])[1], 1);
}

#[test]
fn when_all_are_ejected_all_are_used() {
    let (cluster, shared) = cluster(LoadBalancing::RoundRobin, &[1, 2]);
    eject(&cluster, 1);
    eject(&cluster, 2);
    let counts = histogram(&cluster, 20, &[]);
    assert_eq!((counts[1], counts[2]), (10, 10));
    assert_eq!(shared.counters.panic_picks.value(), 20);
}

#[test]
fn endpoints_that_stay_keep_their_state() {
    let (cluster, _) = cluster(LoadBalancing::RoundRobin, &[1, 2, 3]);
    let held = hold(&cluster, 2);
    eject(&cluster, 2);
    cluster.set_endpoints(endpoints(&[2, 3, 4]));
    let status = cluster.status();
    let addresses: Vec<_> = status.endpoints.iter().map(|endpoint| endpoint.address).collect();
    assert_eq!(addresses, [address(2), address(3), address(4)]);
    assert_eq!(status.endpoints[0].in_flight, 1);
    assert_eq!(status.endpoints[0].ejected_for_millis, Some(2000));
    assert_eq!(status.endpoints[1].ejected_for_millis, None);
    drop(held);
    assert_eq!(cluster.status().endpoints[0].in_flight, 0);
}

#[test]
fn an_address_that_comes_back_is_a_new_endpoint() {
    let (cluster, _) = cluster(LoadBalancing::RoundRobin, &[1, 2]);
    eject(&cluster, 1);
    cluster.set_endpoints(endpoints(&[2]));
    cluster.set_endpoints(endpoints(&[1, 2]));
    assert_eq!(histogram(&cluster, 20, &[])[1], 10);
}

#[test]
fn endpoints_may_come_in_any_order_and_twice() {
    let (cluster, _) = cluster(LoadBalancing::RoundRobin, &[3, 1, 2, 1]);
    let counts = histogram(&cluster, 30, &[]);
    assert_eq!((counts[1], counts[2], counts[3]), (10, 10, 10));
}

#[test]
fn a_changed_cluster_takes_its_endpoints_along() {
    let (previous, shared) = cluster(LoadBalancing::RoundRobin, &[1, 2]);
    eject(&previous, 1);
    let replaced = Cluster::replacing(&previous, Arc::new(spec(LoadBalancing::LeastRequest)), &shared);
    assert_eq!(histogram(&replaced, 20, &[])[1], 0);
    assert_eq!(replaced.key(), previous.key());

    let mut dns = spec(LoadBalancing::RoundRobin);
    dns.discovery = Discovery::Dns {
        name: "example.com".into(),
        port: 80,
        ipv4_only: false,
    };
    assert!(Cluster::replacing(&previous, Arc::new(dns), &shared).is_empty());
}

#[test]
fn a_changed_check_starts_without_verdicts() {
    let shared = shared();
    let check = |path: &str| {
        let mut spec = spec(LoadBalancing::RoundRobin);
        spec.health_check = Some(snapshot::HealthCheck {
            kind: HealthCheckKind::Http {
                path: path.into(),
                host: None,
            },
            interval: Duration::from_secs(1),
            timeout: Duration::from_secs(1),
            healthy_threshold: 1,
            unhealthy_threshold: 1,
        });
        Arc::new(spec)
    };
    let previous = Cluster::new(ClusterKey("k".into()), check("/a"), &shared);
    previous.set_endpoints(endpoints(&[1, 2]));
    previous.endpoints().endpoints[0].health.set(false);
    let mut same = (*check("/a")).clone();
    same.load_balancing = LoadBalancing::Ewma;
    let same = Cluster::replacing(&previous, Arc::new(same), &shared);
    assert!(!same.status().endpoints[0].healthy);
    let other = Cluster::replacing(&previous, check("/b"), &shared);
    assert!(other.status().endpoints[0].healthy);
}

#[test]
fn endpoints_of_a_dns_name_do_not_come_from_snapshots() {
    let mut dns = spec(LoadBalancing::RoundRobin);
    dns.discovery = Discovery::Dns {
        name: "example.com".into(),
        port: 80,
        ipv4_only: false,
    };
    let cluster = Cluster::new(ClusterKey("k".into()), Arc::new(dns), &shared());
    cluster.set_endpoints(endpoints(&[1]));
    assert!(cluster.is_empty());
}

#[test]
fn only_consistent_hashing_wants_a_hash() {
    let (plain, _) = cluster(LoadBalancing::Ewma, &[]);
    assert_eq!(plain.wants_hash(), None);
    let (hashed, _) = cluster(LoadBalancing::ConsistentHash(HashKey::Host), &[]);
    assert_eq!(hashed.wants_hash(), Some(&HashKey::Host));
}

#[test]
fn status_shows_every_endpoint() {
    let (cluster, _) = cluster(LoadBalancing::RoundRobin, &[1, 2]);
    eject(&cluster, 1);
    succeed(&cluster, 2, Duration::from_micros(1500));
    let status = serde_json::to_value(cluster.status()).unwrap();
    assert_eq!(status["key"], "shop-web-80");
    assert_eq!(status["endpoints"][0]["ejectedForMillis"], 2000);
    assert_eq!(status["endpoints"][0]["connectFailures"], 5);
    assert_eq!(
        status["endpoints"][1],
        serde_json::json!({
            "address": "10.0.0.2:8080", "inFlight": 0, "latencyMicros": 1500,
            "healthy": true, "connectFailures": 0,
        })
    );
}

/// Requests run while endpoints change: every pick must be of a set that was
/// current, and every guard must be given back.
#[test]
fn picking_and_changing_go_together() {
    for load_balancing in [
        LoadBalancing::RoundRobin,
        LoadBalancing::LeastRequest,
        LoadBalancing::Ewma,
        LoadBalancing::ConsistentHash(HashKey::Host),
    ] {
        let (cluster, _) = cluster(load_balancing, &[1, 2, 3]);
        let stop = AtomicBool::new(false);
        std::thread::scope(|scope| {
            for _ in 0..3 {
                scope.spawn(|| {
                    while !stop.load(Ordering::Relaxed) {
                        let pick = cluster.pick(rand::random(), &[address(2)]).unwrap();
                        assert_ne!(pick.address(), address(2), "another one is always left");
                        pick.succeeded(MILLISECOND);
                    }
                });
            }
            for round in 0..600u16 {
                let extra = 3 + (round % 7) as u8;
                cluster.set_endpoints(endpoints(&[1, 2, extra]));
            }
            stop.store(true, Ordering::Relaxed);
        });
        assert!(
            cluster
                .status()
                .endpoints
                .iter()
                .all(|endpoint| endpoint.in_flight == 0)
        );
    }
}

#[test]
fn an_endpoint_is_small() {
    // 10,000 clusters of 3 endpoints must stay within 30 MiB.
    assert!(
        size_of::<EndpointState>() <= 128,
        "{}",
        size_of::<EndpointState>()
    );
    assert!(size_of::<Cluster>() <= 128, "{}", size_of::<Cluster>());
}
