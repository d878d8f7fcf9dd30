//! What goes on meanwhile: endpoints that come and go, and a client that must
//! not notice.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};
use std::time::Duration;

use super::common::Client;
use super::objects::{BACKENDS, slice};
use super::world::World;

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

/// Asks without a pause until it is stopped.
pub struct Bystander {
    running: Arc<AtomicBool>,
    task: tokio::task::JoinHandle<(usize, usize)>,
}

impl Bystander {
    pub async fn start(address: std::net::SocketAddr, host: &str) -> Self {
        let mut client = Client::connect(address, host, "/").await.unwrap();
        let running = Arc::new(AtomicBool::new(true));
        let goes_on = running.clone();
        let task = tokio::spawn(async move {
            let (mut requests, mut bad) = (0, 0);
            while goes_on.load(Relaxed) {
                requests += 1;
                bad += usize::from(!matches!(client.exchange().await, Ok((200, _))));
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
            (requests, bad)
        });
        Self { running, task }
    }

    /// Requests, and answers that were not 200.
    pub async fn stop(self) -> (usize, usize) {
        self.running.store(false, Relaxed);
        self.task.await.unwrap()
    }
}
