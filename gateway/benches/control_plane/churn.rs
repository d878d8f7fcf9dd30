//! What goes on meanwhile: endpoints that come and go, and a client that must
//! not notice.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};
use std::time::Duration;

use super::common::Client;
use super::objects::{BACKENDS, slice};
use super::world::World;

/// The field of answers that a route's filter sets.
pub const FIELD: &str = "x-version";

/// Changes of endpoints in a second.
const RATE: u32 = 10;

/// Runs until it is dropped.
pub struct Churn {
    running: Arc<AtomicBool>,
    pub changes: Arc<AtomicUsize>,
}

impl Churn {
    /// Services from `first` to `last` gain and lose an endpoint in turn.
    pub fn start(world: &Arc<World>, first: usize, last: usize) -> Self {
        let running = Arc::new(AtomicBool::new(true));
        let changes = Arc::new(AtomicUsize::new(0));
        let (world, goes_on, counted) = (world.clone(), running.clone(), changes.clone());
        tokio::spawn(async move {
            let mut ticks = tokio::time::interval(Duration::from_secs(1) / RATE);
            let services = last - first;
            for change in 0.. {
                ticks.tick().await;
                if !goes_on.load(Relaxed) {
                    return;
                }
                let addresses = if (change / services).is_multiple_of(2) {
                    &BACKENDS[..]
                } else {
                    &BACKENDS[..1]
                };
                world.patch(&slice(first + change % services, addresses)).await;
                counted.fetch_add(1, Relaxed);
            }
        });
        Self { running, changes }
    }
}

impl Drop for Churn {
    fn drop(&mut self) {
        self.running.store(false, Relaxed);
    }
}

/// Clients that ask until they are stopped.
pub struct Bystander {
    running: Arc<AtomicBool>,
    tasks: Vec<tokio::task::JoinHandle<(usize, usize)>>,
}

impl Bystander {
    /// One client, whose answers must be 200.
    pub async fn start(address: SocketAddr, host: &str) -> Self {
        Self::many(address, host, 1, |status, _, _| status == 200).await
    }

    /// So many clients; `is_right` judges each answer by status, body and the
    /// client's [`FIELD`].
    pub async fn many(
        address: SocketAddr,
        host: &str,
        clients: usize,
        is_right: fn(u16, &[u8], Option<&str>) -> bool,
    ) -> Self {
        let running = Arc::new(AtomicBool::new(true));
        let mut tasks = Vec::new();
        for _ in 0..clients {
            let mut client = Client::connect(address, host, "/").await.unwrap();
            let goes_on = running.clone();
            tasks.push(tokio::spawn(async move {
                let (mut requests, mut bad) = (0, 0);
                while goes_on.load(Relaxed) {
                    requests += 1;
                    if !once(&mut client, is_right).await {
                        bad += 1;
                    }
                    tokio::time::sleep(Duration::from_millis(1)).await;
                }
                (requests, bad)
            }));
        }
        Self { running, tasks }
    }

    /// Requests, and answers that were not right.
    pub async fn stop(self) -> (usize, usize) {
        self.running.store(false, Relaxed);
        let mut all = (0, 0);
        for task in self.tasks {
            let (requests, bad) = task.await.unwrap();
            all = (all.0 + requests, all.1 + bad);
        }
        all
    }
}

/// One exchange, and whether it was right.
pub async fn once(client: &mut Client, is_right: fn(u16, &[u8], Option<&str>) -> bool) -> bool {
    let Ok((status, body)) = client.exchange().await else {
        // Its connection is no good any more.
        client.reconnect().await;
        return false;
    };
    let body = body.to_vec();
    is_right(status, &body, client.field(FIELD))
}
