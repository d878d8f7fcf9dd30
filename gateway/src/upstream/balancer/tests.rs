use std::time::Duration;

use proptest::prelude::*;
use tidegate_snapshot::HashKey;

use super::super::Cluster;
use super::super::fixtures::*;
use super::*;

fn hashed() -> LoadBalancing {
    LoadBalancing::ConsistentHash(HashKey::ClientAddress)
}

#[test]
fn round_robin_gives_equal_shares_in_turn() {
    let (cluster, _) = cluster(LoadBalancing::RoundRobin, &[1, 2, 3]);
    let turns: Vec<u8> = (0..6)
        .map(|_| octet(cluster.pick(0, &[]).unwrap().address()))
        .collect();
    assert_eq!(turns[..3], turns[3..]);
    let mut first = turns[..3].to_vec();
    first.sort_unstable();
    assert_eq!(first, [1, 2, 3]);
}

#[test]
fn round_robin_starts_anywhere() {
    let first = |_| {
        octet(
            cluster(LoadBalancing::RoundRobin, &[1, 2, 3, 4])
                .0
                .pick(0, &[])
                .unwrap()
                .address(),
        )
    };
    let starts: std::collections::HashSet<u8> = (0..100).map(first).collect();
    assert_eq!(starts.len(), 4);
}

#[test]
fn an_unusable_endpoints_turns_go_round_the_others() {
    let (cluster, _) = cluster(LoadBalancing::RoundRobin, &[1, 2, 3, 4]);
    eject(&cluster, 2);
    let counts = histogram(&cluster, 1200, &[]);
    assert_eq!((counts[1], counts[2], counts[3], counts[4]), (400, 0, 400, 400));
}

#[test]
fn least_request_takes_the_less_busy_of_two() {
    let (cluster, _) = cluster(LoadBalancing::LeastRequest, &[1, 2]);
    let _busy = hold(&cluster, 1);
    assert_eq!(histogram(&cluster, 50, &[])[2], 50);
}

#[test]
fn least_request_spreads_equals() {
    let (cluster, _) = cluster(LoadBalancing::LeastRequest, &[1, 2, 3, 4]);
    let counts = histogram(&cluster, 4000, &[]);
    assert!((1..=4).all(|octet| counts[octet] > 800), "{:?}", &counts[1..5]);
}

#[test]
fn ewma_takes_the_faster_of_two() {
    let (cluster, _) = cluster(LoadBalancing::Ewma, &[1, 2]);
    succeed(&cluster, 1, Duration::from_millis(50));
    succeed(&cluster, 2, Duration::from_millis(5));
    assert_eq!(histogram(&cluster, 50, &[])[2], 50);
}

#[test]
fn ewma_forgets_with_time() {
    let (cluster, shared) = cluster(LoadBalancing::Ewma, &[1, 2]);
    succeed(&cluster, 1, Duration::from_millis(50));
    shared.clock.advance(Duration::from_secs(60));
    succeed(&cluster, 2, Duration::from_millis(5));
    assert_eq!(histogram(&cluster, 50, &[])[1], 50);
}

#[test]
fn ewma_counts_what_is_under_way() {
    let (cluster, _) = cluster(LoadBalancing::Ewma, &[1, 2]);
    succeed(&cluster, 1, Duration::from_millis(10));
    succeed(&cluster, 2, Duration::from_millis(15));
    let _busy = hold(&cluster, 1);
    assert_eq!(histogram(&cluster, 50, &[])[2], 50);
}

#[test]
fn ewma_starts_newcomers_at_the_average() {
    let (cluster, _) = cluster(LoadBalancing::Ewma, &[1, 2]);
    succeed(&cluster, 1, Duration::from_millis(10));
    succeed(&cluster, 2, Duration::from_millis(30));
    cluster.set_endpoints(endpoints(&[1, 2, 3]));
    assert_eq!(cluster.status().endpoints[2].latency_micros, 20_000);
}

#[test]
fn a_fast_failure_does_not_look_fast() {
    let (cluster, _) = cluster(LoadBalancing::Ewma, &[1, 2]);
    succeed(&cluster, 1, Duration::from_millis(10));
    fail(&cluster, 2, crate::upstream::FailureKind::Broken);
    assert_eq!(histogram(&cluster, 50, &[])[1], 50);
}

#[test]
fn a_hash_goes_to_one_endpoint_and_hashes_to_all() {
    let (cluster, _) = cluster(hashed(), &[1, 2, 3, 4]);
    let at = |hash| cluster.pick(hash, &[]).unwrap().address();
    assert!((0..100).all(|hash| at(hash) == at(hash)));
    let counts = histogram(&cluster, 8000, &[]);
    assert!((1..=4).all(|octet| counts[octet] > 1000), "{:?}", &counts[1..5]);
}

#[test]
fn an_ejected_endpoints_keys_come_back_to_it() {
    let (cluster, _) = cluster(hashed(), &[1, 2, 3]);
    let at = |hash| octet(cluster.pick(hash, &[]).unwrap().address());
    let before: Vec<u8> = (0..500).map(at).collect();
    eject(&cluster, 2);
    let during: Vec<u8> = (0..500).map(at).collect();
    for (before, during) in before.iter().zip(&during) {
        assert!(*during != 2 && (*before == 2 || before == during));
    }
    succeed(&cluster, 2, Duration::ZERO);
    assert_eq!((0..500).map(at).collect::<Vec<u8>>(), before);
}

#[test]
fn a_ring_with_nearly_all_out_still_answers() {
    let octets: Vec<u8> = (1..=200).collect();
    let (cluster, _) = cluster(hashed(), &octets);
    for octet in 1..200 {
        eject(&cluster, octet);
    }
    assert_eq!(histogram(&cluster, 200, &[])[200], 200);
}

fn any_load_balancing() -> impl Strategy<Value = LoadBalancing> {
    prop_oneof![
        Just(LoadBalancing::RoundRobin),
        Just(LoadBalancing::LeastRequest),
        Just(LoadBalancing::Ewma),
        Just(hashed()),
    ]
}

fn some_octets() -> impl Strategy<Value = Vec<u8>> {
    proptest::collection::btree_set(1..=40u8, 1..12).prop_map(|octets| octets.into_iter().collect())
}

proptest! {
    /// Whatever is out, the best class that has anyone is picked from.
    #[test]
    fn the_best_class_wins(
        load_balancing in any_load_balancing(),
        octets in some_octets(),
        out in proptest::collection::btree_set(1..=40u8, 0..12),
        tried in proptest::collection::btree_set(1..=40u8, 0..6),
        hash: u64,
    ) {
        let (cluster, _) = cluster(load_balancing, &octets);
        out.iter().filter(|octet| octets.contains(octet)).for_each(|octet| eject(&cluster, *octet));
        let tried_addresses: Vec<_> = tried.iter().map(|octet| address(*octet)).collect();
        let class = |octet: &u8| match (tried.contains(octet), out.contains(octet)) {
            (false, false) => 0,
            (false, true) => 1,
            (true, false) => 2,
            (true, true) => 3,
        };
        let best = octets.iter().map(class).min().unwrap();
        let picked = octet(cluster.pick(hash, &tried_addresses).unwrap().address());
        prop_assert!(octets.contains(&picked));
        prop_assert_eq!(class(&picked), best);
    }

    /// An endpoint that leaves moves its own keys alone; one that comes takes
    /// keys only for itself.
    #[test]
    fn a_change_moves_few_keys(octets in some_octets(), leaves: prop::sample::Index, keys: [u64; 32]) {
        let gone = octets[leaves.index(octets.len())];
        let rest: Vec<u8> = octets.iter().copied().filter(|octet| *octet != gone).collect();
        prop_assume!(!rest.is_empty());
        let (all, _) = cluster(hashed(), &octets);
        let (fewer, _) = cluster(hashed(), &rest);
        for key in keys {
            let before = all.pick(key, &[]).unwrap().address();
            let after = fewer.pick(key, &[]).unwrap().address();
            prop_assert!(before == address(gone) || before == after);
        }
    }

    /// The same addresses make the same ring however they came about.
    #[test]
    fn history_does_not_matter_to_the_ring(octets in some_octets(), earlier in some_octets(), key: u64) {
        let (fresh, _) = cluster(hashed(), &octets);
        let (changed, _): (std::sync::Arc<Cluster>, _) = cluster(hashed(), &earlier);
        changed.set_endpoints(endpoints(&octets));
        prop_assert_eq!(
            fresh.pick(key, &[]).unwrap().address(),
            changed.pick(key, &[]).unwrap().address()
        );
    }
}
