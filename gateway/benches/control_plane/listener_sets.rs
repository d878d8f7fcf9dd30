//! ListenerSets with certificates and routes: what they take, and that all serve.

use std::time::{Duration, Instant};

use super::goals::{at_most, no_more};
use super::objects::{self, listener_set, set_certificate, set_host, set_route};
use super::program::Program;
use super::secure;
use super::world::{World, resident};
use super::{SOON, number};

/// Routes of each.
const ROUTES: usize = 16;

pub async fn measure(world: &World, gateway: &Program) {
    let sets = number("LISTENER_SETS", 100);
    // What was before gives its memory back meanwhile.
    tokio::time::sleep(Duration::from_secs(15)).await;
    let before = resident(gateway);
    world.create((0..sets).map(set_certificate).collect()).await;
    world.create((0..sets).map(listener_set).collect()).await;
    let routes = (0..sets).flat_map(|set| (0..ROUTES).map(move |route| set_route(set, route, 0)));
    world.create(routes.collect()).await;
    let last = set_host(sets - 1, &format!("host-{}", ROUTES - 1));
    let start = Instant::now();
    while secure::request(gateway.https, &last).await.ok() != Some(200) {
        assert!(start.elapsed() < SOON, "the last ListenerSet is never served");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let took = start.elapsed().as_secs_f64();
    let mut bad = 0;
    for set in 0..sets {
        let host = set_host(set, "host-0");
        let answer = secure::request(gateway.https, &host).await;
        bad += usize::from(answer.ok() != Some(200));
    }
    tokio::time::sleep(Duration::from_secs(5)).await;
    let more = resident(gateway) - before;
    println!(
        "ListenerSets: {sets} with a certificate and {ROUTES} routes each: the last served {took:.2} s after \
         it was made ({}), {more:.1} MiB more ({}), {bad} of them bad ({})",
        at_most(took, 1.0),
        at_most(more, 40.0),
        no_more(bad, 0)
    );
    let routes = (0..sets).flat_map(|set| (0..ROUTES).map(move |route| set_route(set, route, 0)));
    world.delete(routes.collect()).await;
    world.delete((0..sets).map(objects::listener_set).collect()).await;
}
