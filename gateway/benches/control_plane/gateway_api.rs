//! What gateway-api-bench asks, of Gateway API routes: attached routes, the probe of
//! routes that are added one by one, and scale with churn.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::churn::{Bystander, Churn};
use super::common::{self, Client, percentile};
use super::goals::{at_most, no_more};
use super::objects::{self, BACKENDS, host, http_route};
use super::program::Program;
use super::world::{World, pair, quantiles, resident, until};
use super::{SOON, failover, listener_sets, number, route_change, traffic};

const ATTACHED: usize = 1000;
const ROUTES: usize = 5000;
/// Services of the scale test.
const SERVICES: usize = 1000;
/// Writes of the Gateway's status while its routes come: it counts them.
const GATEWAY_WRITES: usize = 30;
/// Routes that are probed at scale while nothing else goes on.
const IDLE_PROBES: usize = 100;

/// Prints what each test says.
pub async fn measure() {
    let world = Arc::new(World::new().await);
    let crds = std::env::var("GATEWAY_API_CRDS")
        .expect("GATEWAY_API_CRDS is a folder with the CRDs: run `cargo xtask bench control_plane`");
    world.api.kubectl(&["apply", "--server-side", "-f", &crds]);
    world
        .create(vec![objects::gateway_class(), objects::gateway()])
        .await;
    world.create((0..SERVICES).map(objects::service).collect()).await;
    world
        .create(
            (0..SERVICES)
                .map(|index| objects::slice(index, &BACKENDS[index % 2..=index % 2]))
                .collect(),
        )
        .await;
    let gateway = world.gateway();
    tokio::time::sleep(Duration::from_secs(3)).await;
    let empty = resident(&gateway);

    attached(&world).await;
    let probes = number("PROBES", 3000);
    alone(&world, &gateway, probes).await;
    scale(&world, &gateway, empty).await;
    churned(&world, &gateway, probes).await;
    route_change::measure(&world, &gateway).await;
    failover::measure(&world, &gateway).await;
    traffic::measure(&gateway).await;
    listener_sets::measure(&world, &gateway).await;
}

async fn attached_routes(world: &World) -> u64 {
    let path = format!("{}/edge", objects::collection(&objects::gateway()));
    let gateway = world.read(&path).await;
    gateway["status"]["listeners"][0]["attachedRoutes"]
        .as_u64()
        .unwrap_or(0)
}

async fn attached_become(world: &World, count: usize) -> f64 {
    let start = Instant::now();
    while attached_routes(world).await != count as u64 {
        assert!(start.elapsed() < SOON, "{count} routes are never attached");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    start.elapsed().as_secs_f64()
}

fn routes(indices: std::ops::Range<usize>) -> Vec<serde_json::Value> {
    indices.map(|index| http_route(index, index % SERVICES)).collect()
}

async fn attached(world: &World) {
    let written = || ["httproutes", "gateways"].map(|plural| world.status_writes(plural) as usize);
    let before = written();
    world.create(routes(0..ATTACHED)).await;
    let took = attached_become(world, ATTACHED).await;
    tokio::time::sleep(Duration::from_secs(3)).await;
    let [of_routes, of_gateway] = [0, 1].map(|kind| written()[kind] - before[kind]);
    println!(
        "attached routes: {ATTACHED} right {took:.2} s after the last was made ({})",
        at_most(took, 3.0)
    );
    println!(
        "statuses written: {of_routes} of routes ({}), {of_gateway} of the Gateway ({})",
        no_more(of_routes, ATTACHED),
        no_more(of_gateway, GATEWAY_WRITES)
    );
    world.delete_all(&http_route(0, 0)).await;
    let took = attached_become(world, 0).await;
    println!("attached routes: none right {took:.2} s after they were deleted");
}

/// Routes that are added to a gateway without any: the last must not be slower.
async fn alone(world: &World, gateway: &Program, probes: usize) {
    let (mut times, bad) = probe(world, gateway, 0..probes).await;
    let part = (probes / 10).max(1);
    let (first, last) = (
        percentile(&mut times[..part].to_vec(), 500),
        percentile(&mut times[probes - part..].to_vec(), 500),
    );
    let text = pair(quantiles(&mut times));
    let (half, most) = (percentile(&mut times, 500), percentile(&mut times, 990));
    println!(
        "route probe: {probes} added one by one, 404 to 200 in {text} ms (p50 {}; p99 {}), \
         p50 of the first tenth {first:.1}, of the last {last:.1}; {bad} bad answers ({})",
        at_most(half, 14.0),
        at_most(most, 38.0),
        no_more(bad, 0)
    );
    world.delete(routes(0..probes)).await;
    attached_become(world, 0).await;
}

async fn scale(world: &Arc<World>, gateway: &Program, empty: f64) {
    world.create(routes(0..ROUTES)).await;
    common::ready(gateway.http, &host(ROUTES - 1), SOON)
        .await
        .unwrap();
    attached_become(world, ROUTES).await;
    tokio::time::sleep(Duration::from_secs(5)).await;
    let full = resident(gateway);
    println!(
        "route scale: {ROUTES} routes, {SERVICES} Services: {full:.1} MiB, {:.1} more than empty ({})",
        full - empty,
        at_most(full - empty, 60.0)
    );
    let stages = Stages::of(gateway);
    let (mut idle, bad) = probe(world, gateway, ROUTES..ROUTES + IDLE_PROBES).await;
    println!(
        "route probe: {IDLE_PROBES} more, 404 to 200 in {} ms (p50 {}), {bad} bad answers ({}); {}",
        pair(quantiles(&mut idle)),
        at_most(percentile(&mut idle, 500), 15.0),
        no_more(bad, 0),
        stages.since(gateway)
    );
}

/// The probe at scale while endpoints come and go.
async fn churned(world: &Arc<World>, gateway: &Program, probes: usize) {
    let churn = Churn::start(world, 2, SERVICES);
    let (cpu, start) = (gateway.metric("process_cpu_seconds_total"), Instant::now());
    let bystander = Bystander::start(gateway.http, &host(2)).await;
    tokio::time::sleep(Duration::from_secs(10)).await;
    let cores = (gateway.metric("process_cpu_seconds_total") - cpu) / start.elapsed().as_secs_f64();
    let stages = Stages::of(gateway);
    let first = ROUTES + IDLE_PROBES;
    let (mut churned, bad) = probe(world, gateway, first..first + probes).await;
    let (requests, failed) = bystander.stop().await;
    drop(churn);
    println!(
        "route probe: {probes} more while endpoints churn, {} ms (p50 {}), {bad} bad answers ({}); {}; \
         {cores:.3} cores; bystander: {failed} of {requests} failed ({})",
        pair(quantiles(&mut churned)),
        at_most(percentile(&mut churned, 500), 30.0),
        no_more(bad, 0),
        stages.since(gateway),
        no_more(failed, 0)
    );
}

/// What a change costs within the program: seconds and times, of each stage.
struct Stages([(f64, f64); 3]);

impl Stages {
    const NAMES: [(&str, &str); 3] = [
        ("translation", "tidegate_controller_translation_duration_seconds"),
        ("compilation", "tidegate_compile_seconds"),
        ("in all", "tidegate_propagation_seconds"),
    ];

    fn of(gateway: &Program) -> Self {
        let part = |name: &str, part: &str| gateway.metric(&format!("{name}_{part}"));
        Self(Self::NAMES.map(|(_, name)| (part(name, "sum"), part(name, "count"))))
    }

    /// The mean of each since then.
    fn since(&self, gateway: &Program) -> String {
        let now = Self::of(gateway);
        let stages = self.0.iter().zip(&now.0).zip(Self::NAMES);
        let texts = stages.map(|(((sum, count), (sum_now, count_now)), (name, _))| {
            let mean = (sum_now - sum) / (count_now - count).max(1.0);
            format!("{name} {:.1} ms", mean * 1e3)
        });
        texts.collect::<Vec<_>>().join(", ")
    }
}

/// Routes that are added one by one: milliseconds of each, and bad answers.
async fn probe(world: &World, gateway: &Program, indices: std::ops::Range<usize>) -> (Vec<f64>, usize) {
    let (mut times, mut bad) = (Vec::new(), 0);
    for index in indices {
        let mut client = Client::connect(gateway.http, &host(index), "/").await.unwrap();
        assert_eq!(client.exchange().await.unwrap().0, 404);
        let start = Instant::now();
        world.create(vec![http_route(index, 0)]).await;
        let (took, wrong) = until(&mut client, b'a', 404, start).await;
        times.push(took);
        bad += wrong;
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    (times, bad)
}
