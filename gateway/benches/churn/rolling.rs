//! A rolling update: a second program starts, the first is ended as a pod is, and so
//! on in turn. Clients are balanced over what is ready, as a Service does it: new
//! connections go there, old ones stay until they are asked to leave.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::time::Duration;

use anyhow::{Result, ensure};
use parking_lot::RwLock;
use tokio::task::JoinSet;

use super::common::{self, Client};
use super::eprint_once;
use super::replica::{Replica, is_ready};

const CLIENTS: usize = 64;
/// How often readiness is asked for: what it finds the balancer does at once.
const PROBE: Duration = Duration::from_millis(250);
/// Updates at least, however fast the requests are made.
const TURNS: usize = 3;

/// What is ready, and what was counted.
#[derive(Default)]
struct Service {
    ready: RwLock<Vec<SocketAddr>>,
    stop: AtomicBool,
    requests: AtomicU64,
    failed: AtomicU64,
    /// Sent again because a kept connection ended before a byte of the answer, which
    /// every client of HTTP/1.1 has to do (RFC 9112 §9.3.1, §9.6).
    repeated: AtomicU64,
    next: AtomicUsize,
}

impl Service {
    fn pick(&self) -> Option<SocketAddr> {
        let ready = self.ready.read();
        let at = self.next.fetch_add(1, Relaxed);
        ready.get(at % ready.len().max(1)).copied()
    }

    fn fail(&self, why: &str) {
        eprint_once(&format!("rolling update: {why}"));
        self.failed.fetch_add(1, Relaxed);
    }
}

/// Prints what was lost.
///
/// # Errors
/// Anything was.
pub async fn measure() -> Result<()> {
    let wanted = std::env::var("REQUESTS").map_or(Ok(100_000), |text| text.parse())?;
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
    let port = listener.local_addr()?.port();
    tokio::spawn(common::backend(listener, b"fine".to_vec().into()));
    let folder = tempfile::tempdir()?;
    let manifest = include_str!("../common/one-route.yaml").replace("PORT", &port.to_string());
    std::fs::write(folder.path().join("route.yaml"), manifest)?;

    let service = Arc::new(Service::default());
    let mut current = Replica::start(folder.path()).await?;
    service.ready.write().push(current.http);
    let mut clients = JoinSet::new();
    for _ in 0..CLIENTS {
        clients.spawn(ask(service.clone()));
    }
    let (mut turns, mut longest) = (0, Duration::ZERO);
    while turns < TURNS || service.requests.load(Relaxed) < wanted {
        let took;
        (current, took) = turn(&service, current, folder.path()).await?;
        longest = longest.max(took);
        turns += 1;
    }
    service.stop.store(true, Relaxed);
    clients.join_all().await;
    report(&service, turns, longest)
}

/// One update; the new program, and how long the old one took to end.
async fn turn(service: &Service, old: Replica, objects: &Path) -> Result<(Replica, Duration)> {
    let new = Replica::start(objects).await?;
    service.ready.write().push(new.http);
    tokio::time::sleep(Duration::from_secs(1)).await;
    let (http, admin) = (old.http, old.admin);
    let ended = tokio::spawn(old.end());
    // The first look is before anything can have changed.
    while is_ready(admin).await {
        tokio::time::sleep(PROBE).await;
    }
    service.ready.write().retain(|address| *address != http);
    Ok((new, ended.await??))
}

/// Keep-alive requests without a pause, each connection to what is ready then.
async fn ask(service: Arc<Service>) {
    while !service.stop.load(Relaxed) {
        let Some(address) = service.pick() else {
            service.fail("nothing is ready");
            tokio::time::sleep(PROBE).await;
            continue;
        };
        match Client::connect(address, "bench.test", "/").await {
            Ok(client) => keep(client, &service).await,
            Err(error) => {
                service.requests.fetch_add(1, Relaxed);
                service.fail(&format!("connect: {error}"));
            }
        }
    }
}

/// Requests on a connection until it ends.
async fn keep(mut client: Client, service: &Service) {
    while !service.stop.load(Relaxed) {
        service.requests.fetch_add(1, Relaxed);
        let answered = client.exchange().await.map(|(status, _)| status);
        let status = match answered {
            Ok(status) => status,
            Err(_) if client.exchanges() > 1 && client.got_nothing() => {
                // The next connection makes this request.
                service.requests.fetch_sub(1, Relaxed);
                service.repeated.fetch_add(1, Relaxed);
                return;
            }
            Err(error) => return service.fail(&error.to_string()),
        };
        if status != 200 {
            service.fail(&format!("status {status}"));
        }
        let closes = |value: &str| value.eq_ignore_ascii_case("close");
        // The client would open its next connection to the same program.
        if client.field("connection").is_some_and(closes) || client.exchanges() == common::EXCHANGES {
            return;
        }
    }
}

fn report(service: &Service, turns: usize, longest: Duration) -> Result<()> {
    let failed = service.failed.load(Relaxed);
    println!(
        "rolling update: {turns} turns, {} requests, {failed} failed (goal 0: {}), {} sent again after a kept \
         connection ended, the longest end took {:.1} s",
        service.requests.load(Relaxed),
        if failed == 0 { "reached" } else { "MISSED" },
        service.repeated.load(Relaxed),
        longest.as_secs_f64()
    );
    ensure!(
        failed == 0,
        "requests were lost in a rolling update: the goal is none"
    );
    Ok(())
}
