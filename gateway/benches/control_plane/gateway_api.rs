//! What gateway-api-bench asks, of Gateway API routes.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::SOON;
use super::backend::PORT;
use super::churn::{Bystander, Churn};
use super::common::{self, Client};
use super::objects::{self, BACKENDS, host, http_route};
use super::program::Program;
use super::world::{WRITES, World, quantiles, resident, until};

const ATTACHED: usize = 1000;
const ROUTES: usize = 5000;
/// Services of the scale test.
const SERVICES: usize = 1000;
const PROBES: usize = 100;

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

    attached(&world, &gateway).await;
    scale(&world, &gateway, empty).await;
    change(&world, &gateway).await;
    failover(&world, &gateway).await;
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

async fn attached(world: &World, gateway: &Program) {
    let before = gateway.metric(WRITES);
    world
        .create(
            (0..ATTACHED)
                .map(|index| http_route(index, index % SERVICES))
                .collect(),
        )
        .await;
    let took = attached_become(world, ATTACHED).await;
    tokio::time::sleep(Duration::from_secs(3)).await;
    let writes = gateway.metric(WRITES) - before;
    println!(
        "attached routes: {ATTACHED} right {took:.2} s after the last was made (goal 3 s), {writes} statuses written"
    );
    world.delete_all(&http_route(0, 0)).await;
    let took = attached_become(world, 0).await;
    println!("attached routes: none right {took:.2} s after they were deleted");
}

async fn scale(world: &Arc<World>, gateway: &Program, empty: f64) {
    world
        .create(
            (0..ROUTES)
                .map(|index| http_route(index, index % SERVICES))
                .collect(),
        )
        .await;
    common::ready(gateway.http, &host(ROUTES - 1), SOON)
        .await
        .unwrap();
    attached_become(world, ROUTES).await;
    tokio::time::sleep(Duration::from_secs(5)).await;
    let full = resident(gateway);
    println!(
        "route scale: {ROUTES} routes, {SERVICES} Services: {full:.1} MiB, {:.1} more than empty (goal 60)",
        full - empty
    );
    let stages = Stages::of(gateway);
    let (mut idle, bad) = probe(world, gateway, ROUTES).await;
    println!(
        "route probe: 404 to 200 in {} ms idle (p50 goal 15), {bad} bad answers; {}",
        quantiles(&mut idle),
        stages.since(gateway)
    );
    let churn = Churn::start(world, 2, SERVICES);
    let (cpu, start) = (gateway.metric("process_cpu_seconds_total"), Instant::now());
    let bystander = Bystander::start(gateway.http, &host(2)).await;
    tokio::time::sleep(Duration::from_secs(10)).await;
    let cores = (gateway.metric("process_cpu_seconds_total") - cpu) / start.elapsed().as_secs_f64();
    let stages = Stages::of(gateway);
    let (mut churned, bad) = probe(world, gateway, ROUTES + PROBES).await;
    let (requests, failed) = bystander.stop().await;
    drop(churn);
    println!(
        "route probe: {} ms while endpoints churn (p50 goal 30), {bad} bad answers; {}; {cores:.3} cores; \
         bystander: {failed} of {requests} failed",
        quantiles(&mut churned),
        stages.since(gateway)
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

/// Routes that are added one by one.
async fn probe(world: &World, gateway: &Program, first: usize) -> (Vec<f64>, usize) {
    let (mut times, mut bad) = (Vec::new(), 0);
    for index in first..first + PROBES {
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

/// A route whose backend flips every 200 ms under requests.
async fn change(world: &World, gateway: &Program) {
    let bystander = Bystander::start(gateway.http, &host(7)).await;
    for flip in 0..50 {
        world.patch(&http_route(7, flip % 2)).await;
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    let (requests, bad) = bystander.stop().await;
    println!("route change: every 200 ms, {bad} of {requests} answers bad (goal 0)");
}

/// Four endpoints, one of which nobody listens on half of the time.
async fn failover(world: &World, gateway: &Program) {
    for address in ["10.77.1.1", "10.77.1.2", "10.77.1.3"] {
        let listener = tokio::net::TcpListener::bind((address, PORT)).await.unwrap();
        tokio::spawn(common::backend(listener, vec![b'x'].into()));
    }
    let flapping = tokio::spawn(async {
        loop {
            let listener = tokio::net::TcpListener::bind(("10.77.1.4", PORT)).await;
            let serving = tokio::spawn(common::backend(listener.unwrap(), vec![b'x'].into()));
            tokio::time::sleep(Duration::from_millis(500)).await;
            serving.abort();
            tokio::time::sleep(Duration::from_millis(500)).await;
        }
    });
    let addresses = ["10.77.1.1", "10.77.1.2", "10.77.1.3", "10.77.1.4"];
    world.patch(&objects::slice(8, &addresses)).await;
    let mut client = Client::connect(gateway.http, &host(8), "/").await.unwrap();
    until(&mut client, b'x', 200, Instant::now()).await;
    let bystander = Bystander::start(gateway.http, &host(8)).await;
    tokio::time::sleep(Duration::from_secs(15)).await;
    let (requests, bad) = bystander.stop().await;
    flapping.abort();
    println!("failover: one of four endpoints flaps, {bad} of {requests} requests failed (goal at most 6)");
}
