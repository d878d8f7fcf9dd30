//! Many Ingresses at once: until the last of them answers, and until all have their
//! address in their status.

use std::time::{Duration, Instant};

use super::churn::Bystander;
use super::common::Client;
use super::goals::{at_most, no_more};
use super::objects::{self, BACKENDS, host};
use super::program::Program;
use super::world::World;
use super::{SOON, manifests, number};

pub async fn measure() {
    let world = World::new().await;
    let (statuses, burst) = (number("STATUSES", 1000), number("BURST", 500));
    world.create(vec![manifests::class()]).await;
    world.create(objects::certificates()).await;
    world
        .create(vec![objects::service(0), objects::slice(0, &BACKENDS[..1])])
        .await;
    world
        .create((0..statuses).map(|index| objects::ingress(index, 0)).collect())
        .await;
    let start = Instant::now();
    let gateway = world.gateway();
    let ready = start.elapsed().as_secs_f64();
    addresses(&world, statuses).await;
    let took = start.elapsed().as_secs_f64();
    println!(
        "statuses: {statuses} addresses written {took:.2} s after start ({}), ready after {ready:.2} s",
        at_most(took, 5.0)
    );
    at_once(&world, &gateway, statuses..statuses + burst).await;
}

/// Waits until so many Ingresses have an address.
async fn addresses(world: &World, count: usize) {
    let path = objects::collection(&objects::ingress(0, 0));
    let start = Instant::now();
    loop {
        let list = world.read(&path).await;
        let items = list["items"].as_array().map_or(&[][..], |items| items);
        let has = |item: &&serde_json::Value| item["status"]["loadBalancer"]["ingress"][0]["ip"].is_string();
        if items.iter().filter(has).count() >= count {
            return;
        }
        assert!(start.elapsed() < SOON, "not all of {count} have an address");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

async fn at_once(world: &World, gateway: &Program, indices: std::ops::Range<usize>) {
    let bystander = Bystander::start(gateway.http, &host(0)).await;
    let (count, last) = (indices.len(), indices.end);
    let start = Instant::now();
    world
        .create(indices.clone().map(|index| objects::ingress(index, 0)).collect())
        .await;
    let made = start.elapsed().as_secs_f64();
    let since = Instant::now();
    // All of them: which is the last one the gateway decides.
    for index in indices {
        let mut client = Client::connect(gateway.http, &host(index), "/").await.unwrap();
        while !matches!(client.exchange().await, Ok((200, _))) {
            assert!(since.elapsed() < SOON, "{} never answers", host(index));
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }
    let took = since.elapsed().as_secs_f64();
    addresses(world, last).await;
    let written = since.elapsed().as_secs_f64();
    let (requests, failed) = bystander.stop().await;
    println!(
        "burst: {count} Ingresses at once, made in {made:.2} s, all answer {took:.3} s after the last was made \
         ({}), have their address after {written:.2} s; bystander: {failed} of {requests} failed ({})",
        at_most(took, 1.0),
        no_more(failed, 0)
    );
}
