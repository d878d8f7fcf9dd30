//! Ingresses from a real API server: start, memory, changes, churn.

use std::io::Write;
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::Value;

use super::churn::{Bystander, Churn};
use super::common::{self, Client};
use super::goals::{at_most, no_more};
use super::objects::{self, BACKENDS};
use super::program::Program;
use super::world::{WRITES, World, pair, quantiles, resident, until};
use super::{SOON, manifests, objects::host};

const SAMPLES: usize = 50;
const CHURNING: Duration = Duration::from_secs(20);
/// Services whose endpoints churn.
const SERVICES: usize = 1000;
/// The first of them; those before are for what is measured.
const FIRST: usize = 2;

/// Prints a table.
pub async fn measure(sizes: impl Iterator<Item = usize>) {
    println!("Ingresses with TLS and annotations from a real API server; 3 paths and 2 endpoints each");
    println!(
        "{:>10}{:>11}{:>14}{:>18}{:>18}{:>18}{:>18}{:>12}{:>10}{:>14}",
        "ingresses",
        "serving s",
        "resident MiB",
        "endpoint ms",
        "route ms",
        "churn, endpoint",
        "churn, route",
        "churn cores",
        "bad",
        "deleted MiB"
    );
    for size in std::iter::once(0).chain(sizes) {
        assert!(size == 0 || size > FIRST, "SIZES are at least {}", FIRST + 1);
        let world = Arc::new(World::new().await);
        world.create(vec![manifests::class()]).await;
        world.create(objects::certificates()).await;
        let indices = || 0..size;
        world.create(indices().map(objects::service).collect()).await;
        world
            .create(
                indices()
                    .map(|index| objects::slice(index, &BACKENDS[..1]))
                    .collect(),
            )
            .await;
        world
            .create(indices().map(|index| objects::ingress(index, index)).collect())
            .await;
        let start = Instant::now();
        let gateway = world.gateway();
        if size > 0 {
            common::ready(gateway.http, &host(size - 1), SOON).await.unwrap();
        }
        let serving = start.elapsed().as_secs_f64();
        statuses(&gateway, size).await;
        tokio::time::sleep(common::SETTLED).await;
        let memory = resident(&gateway);
        if size == 0 {
            println!("{size:>10}{serving:>11.2}{memory:>14.1}");
            continue;
        }
        changes(&world, &gateway, size, serving, memory).await;
    }
}

/// Waits until every Ingress has its status: to write thousands takes longer than to
/// serve them, and what is measured next is measured on a gateway without other work.
async fn statuses(gateway: &Program, size: usize) {
    let start = Instant::now();
    while gateway.metric(WRITES) < size as f64 {
        assert!(start.elapsed() < SOON, "not all of {size} statuses are written");
        // The page of all metrics is work for the gateway too.
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
}

async fn changes(world: &Arc<World>, gateway: &Program, size: usize, serving: f64, memory: f64) {
    let idle = propagation(world, gateway).await;
    let churn = Churn::start(world, FIRST, size.min(SERVICES));
    let bystander = Bystander::start(gateway.http, &host(FIRST)).await;
    let (cpu, start) = (gateway.metric("process_cpu_seconds_total"), Instant::now());
    tokio::time::sleep(CHURNING).await;
    let cores = (gateway.metric("process_cpu_seconds_total") - cpu) / start.elapsed().as_secs_f64();
    let churned = propagation(world, gateway).await;
    drop(churn);
    let (_, bad) = bystander.stop().await;

    print!(
        "{size:>10}{serving:>11.2}{memory:>14.1}{:>18}{:>18}{:>18}{:>18}{cores:>12.3}{:>10}",
        pair(idle.endpoint.sent),
        pair(idle.route.sent),
        pair(churned.endpoint.sent),
        pair(churned.route.sent),
        bad + idle.bad + churned.bad,
    );
    std::io::stdout().flush().unwrap();
    let ingress = |index| objects::ingress(index, index);
    world.delete((0..size).map(ingress).collect()).await;
    let slice = |index| objects::slice(index, &[]);
    world.delete((0..size).map(slice).collect()).await;
    world.delete((0..size).map(objects::service).collect()).await;
    tokio::time::sleep(Duration::from_secs(15)).await;
    println!("{:>14.1}", resident(gateway));
    println!(
        "{:>10} from the API server's answer on: endpoint {}, route {}; under churn {}, {}",
        "",
        pair(idle.endpoint.accepted),
        pair(idle.route.accepted),
        pair(churned.endpoint.accepted),
        pair(churned.route.accepted)
    );
    judge(size, memory, &idle, bad + idle.bad + churned.bad);
}

/// The goals of this size. That of an endpoint counts from the API server's answer on, as
/// the figures of other gateways do that it was set beside; a route's counts from sending
/// it, which is harder.
fn judge(size: usize, memory: f64, idle: &Propagation, bad: usize) {
    let route = if size > 100 { 100.0 } else { 15.0 };
    print!(
        "{:>10} endpoint p50 {}, p99 {}; route p50 {}; bad {}",
        "",
        at_most(idle.endpoint.accepted[0], 5.0),
        at_most(idle.endpoint.accepted[1], 20.0),
        at_most(idle.route.sent[0], route),
        no_more(bad, 0)
    );
    match size {
        1000 => println!("; resident {}", at_most(memory, 40.0)),
        _ => println!(),
    }
}

/// Of both kinds of changes.
struct Propagation {
    endpoint: Latency,
    route: Latency,
    bad: usize,
}

/// p50 and p99 in milliseconds.
struct Latency {
    /// From sending a change on.
    sent: [f64; 2],
    /// From when the API server had accepted it.
    accepted: [f64; 2],
}

/// Until the first answer that shows a change: the endpoint of `svc-0` swapped, the
/// Service of `ing-1` changed.
async fn propagation(world: &World, gateway: &Program) -> Propagation {
    world.patch(&objects::slice(1, &BACKENDS[1..])).await;
    let mut client = Client::connect(gateway.http, &host(1), "/").await.unwrap();
    until(&mut client, b'b', 200, Instant::now()).await;

    let mut client = Client::connect(gateway.http, &host(0), "/").await.unwrap();
    let mut endpoint = Samples::default();
    for sample in 0..SAMPLES {
        let to = (sample + 1) % 2;
        let change = objects::slice(0, &BACKENDS[to..=to]);
        endpoint.take(world, &change, &mut client, to).await;
    }
    // Not kept from before: it would have been idle for long where changes are slow.
    let mut client = Client::connect(gateway.http, &host(1), "/").await.unwrap();
    let mut route = Samples::default();
    for sample in 0..SAMPLES {
        // `svc-0` has the backend that the last sample left it, the first.
        let to = sample % 2;
        route.take(world, &objects::ingress(1, to), &mut client, to).await;
    }
    Propagation {
        bad: endpoint.bad + route.bad,
        endpoint: endpoint.latency(),
        route: route.latency(),
    }
}

/// Milliseconds.
#[derive(Default)]
struct Samples {
    sent: Vec<f64>,
    accepted: Vec<f64>,
    bad: usize,
}

impl Samples {
    /// Changes an object so that backend number `to` answers.
    async fn take(&mut self, world: &World, change: &Value, client: &mut Client, to: usize) {
        tokio::time::sleep(Duration::from_millis(50)).await;
        let start = Instant::now();
        world.patch(change).await;
        let accepted = start.elapsed().as_secs_f64() * 1e3;
        let (took, bad) = until(client, b'a' + to as u8, 200, start).await;
        self.sent.push(took);
        self.accepted.push(took - accepted);
        self.bad += bad;
    }

    fn latency(mut self) -> Latency {
        Latency {
            sent: quantiles(&mut self.sent),
            accepted: quantiles(&mut self.accepted),
        }
    }
}
