//! Four endpoints, one of which dies and comes back twice a second, with its
//! connections: who asks must not notice.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::time::{Duration, Instant};

use tokio::net::TcpListener;
use tokio::task::JoinSet;

use super::backend::PORT;
use super::churn::once;
use super::common::{self, Client};
use super::goals::no_more;
use super::number;
use super::objects::{self, host};
use super::program::Program;
use super::world::{World, until};

const GOOD: [&str; 3] = ["10.77.1.1", "10.77.1.2", "10.77.1.3"];
const FLAPPING: &str = "10.77.1.4";
/// How long it lives, and how long it is dead.
const HALF: Duration = Duration::from_millis(250);
const CLIENTS: usize = 16;
/// Between two requests of one client: a thousand a second in all, so that it dies
/// fifty times meanwhile.
const PAUSE: Duration = Duration::from_millis(15);
/// The Service whose endpoints these are.
const INDEX: usize = 8;
const MOST: usize = 3;

pub async fn measure(world: &World, gateway: &Program) {
    for address in GOOD {
        let listener = TcpListener::bind((address, PORT)).await.unwrap();
        tokio::spawn(common::backend(listener, vec![b'x'].into()));
    }
    let deaths = Arc::new(AtomicUsize::new(0));
    let flapping = tokio::spawn(flap(deaths.clone()));
    let addresses: Vec<&str> = GOOD.into_iter().chain([FLAPPING]).collect();
    world.patch(&objects::slice(INDEX, &addresses)).await;
    let mut client = Client::connect(gateway.http, &host(INDEX), "/").await.unwrap();
    until(&mut client, b'x', 200, Instant::now()).await;

    let requests = number("FAILOVER_REQUESTS", 25_000);
    let (left, before) = (Arc::new(AtomicUsize::new(requests)), deaths.load(Relaxed));
    let mut clients = JoinSet::new();
    for _ in 0..CLIENTS {
        clients.spawn(ask(gateway.http, left.clone()));
    }
    let failed: usize = clients.join_all().await.into_iter().sum();
    let died = deaths.load(Relaxed) - before;
    flapping.abort();
    println!(
        "failover: one of four endpoints died {died} times, {failed} of {requests} requests failed ({})",
        no_more(failed, MOST)
    );
}

async fn ask(address: std::net::SocketAddr, left: Arc<AtomicUsize>) -> usize {
    let mut client = Client::connect(address, &host(INDEX), "/").await.unwrap();
    let mut failed = 0;
    let take = |count: usize| count.checked_sub(1);
    while left.fetch_update(Relaxed, Relaxed, take).is_ok() {
        let is_right = once(&mut client, |status, body, _| status == 200 && body == b"x").await;
        failed += usize::from(!is_right);
        tokio::time::sleep(PAUSE).await;
    }
    failed
}

/// Lives and dies until it is aborted.
async fn flap(deaths: Arc<AtomicUsize>) {
    let answer = common::answer(b"x", "");
    loop {
        let listener = TcpListener::bind((FLAPPING, PORT)).await.unwrap();
        // All connections end with the set.
        let mut connections = JoinSet::new();
        let answer = &answer;
        let _ = tokio::time::timeout(HALF, async {
            while let Ok((stream, _)) = listener.accept().await {
                let answer = answer.clone();
                connections.spawn(async move { common::serve(stream, &answer).await });
            }
        })
        .await;
        drop((listener, connections));
        deaths.fetch_add(1, Relaxed);
        tokio::time::sleep(HALF).await;
    }
}
