//! Traffic while everything changes: 64 keep-alive clients at full speed and
//! eight WebSockets, while endpoints are added, removed and set terminating ten
//! times a second, routes come and go five times a second, and the certificate
//! is swapped every second. Then two programs take turns, as replicas do in a rolling
//! update. Not one request may fail.
//!
//! `cargo xtask bench churn -- 60` sets the seconds (60 by default) of the first part,
//! `REQUESTS=100000` the least number of the second.

#![allow(
    unreachable_pub,
    clippy::print_stdout,
    reason = "a benchmark's product is its table; it has no users"
)]

#[path = "common/common.rs"]
mod common;
#[path = "common/inprocess.rs"]
mod inprocess;
#[path = "common/objects.rs"]
mod objects;
#[path = "../tests/support/ports.rs"]
mod ports;
#[path = "churn/replica.rs"]
mod replica;
#[path = "churn/rolling.rs"]
mod rolling;
#[path = "common/secure.rs"]
mod secure;

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use common::Client;
use inprocess::Tidegate;
use objects::{CLASS, ingress, service, slice};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

const CLIENTS: usize = 64;
const WEBSOCKETS: usize = 8;
const BACKENDS: usize = 6;

#[derive(Default)]
struct Counts {
    stop: AtomicBool,
    requests: AtomicU64,
    failed: AtomicU64,
    handshakes: AtomicU64,
    frames: AtomicU64,
    broken: AtomicU64,
}

fn main() -> Result<()> {
    let seconds = std::env::args()
        .filter_map(|arg| arg.parse().ok())
        .next_back()
        .unwrap_or(60);
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()?
        .block_on(async {
            // Both are measured before either fails.
            let churned = churn(Duration::from_secs(seconds)).await;
            rolling::measure().await.and(churned)
        })
}

async fn churn(time: Duration) -> Result<()> {
    let mut ports = Vec::new();
    for _ in 0..BACKENDS {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
        ports.push(listener.local_addr()?.port());
        tokio::spawn(common::backend(listener, b"fine".to_vec().into()));
    }
    let mut yaml = CLASS.to_owned();
    for index in 0..100 {
        yaml += &ingress(index, 0);
    }
    yaml += &service(0);
    yaml += &secure::ingress("secure.test");
    yaml += &secure::secret("secure.test")?;
    for (index, port) in ports.iter().enumerate() {
        yaml += &slice(0, &index.to_string(), *port, &[("127.0.0.1", true)]);
    }
    let tidegate = Tidegate::start(inprocess::objects(&yaml)?).await?;

    let counts = Arc::new(Counts::default());
    let mut tasks = Vec::new();
    for client in 0..CLIENTS {
        let host = format!("host-{}.test", client % 50);
        tasks.push(tokio::spawn(ask(tidegate.http, host, counts.clone())));
    }
    for _ in 0..WEBSOCKETS {
        tasks.push(tokio::spawn(websocket(tidegate.http, counts.clone())));
    }
    tasks.push(tokio::spawn(handshakes(tidegate.https, counts.clone())));
    let changes = change(&tidegate, &ports, time).await?;
    counts.stop.store(true, Relaxed);
    for task in tasks {
        task.await?;
    }
    report(&counts, changes, time)
}

/// Keep-alive requests without a pause.
async fn ask(address: SocketAddr, host: String, counts: Arc<Counts>) {
    while !counts.stop.load(Relaxed) {
        let Ok(mut client) = Client::connect(address, &host, "/").await else {
            counts.failed.fetch_add(1, Relaxed);
            continue;
        };
        while !counts.stop.load(Relaxed) {
            counts.requests.fetch_add(1, Relaxed);
            match client.exchange().await {
                Ok((200, _)) => {}
                Ok((status, _)) => {
                    eprint_once(&format!("status {status}"));
                    counts.failed.fetch_add(1, Relaxed);
                }
                Err(error) => {
                    eprint_once(&error.to_string());
                    counts.failed.fetch_add(1, Relaxed);
                    break;
                }
            }
        }
    }
}

/// One upgraded connection for the whole time, a message every 10 ms.
async fn websocket(address: SocketAddr, counts: Arc<Counts>) {
    if let Err(error) = frames(address, &counts).await {
        eprint_once(&format!("WebSocket: {error}"));
        counts.broken.fetch_add(1, Relaxed);
    }
}

async fn frames(address: SocketAddr, counts: &Counts) -> io::Result<()> {
    let mut stream = TcpStream::connect(address).await?;
    let request = "GET /api HTTP/1.1\r\nhost: host-1.test\r\nconnection: upgrade\r\nupgrade: websocket\r\n\
                   sec-websocket-version: 13\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
    stream.write_all(request.as_bytes()).await?;
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        if stream.read_buf(&mut head).await? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
    }
    if !head.starts_with(b"HTTP/1.1 101") {
        return Err(io::Error::other(String::from_utf8_lossy(&head).into_owned()));
    }
    let mut answer = [0; 4];
    while !counts.stop.load(Relaxed) {
        stream.write_all(b"ping").await?;
        stream.read_exact(&mut answer).await?;
        if answer != *b"ping" {
            return Err(io::ErrorKind::InvalidData.into());
        }
        counts.frames.fetch_add(1, Relaxed);
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    Ok(())
}

/// A new TLS connection and request, again and again.
async fn handshakes(address: SocketAddr, counts: Arc<Counts>) {
    while !counts.stop.load(Relaxed) {
        counts.handshakes.fetch_add(1, Relaxed);
        match secure::request(address, "secure.test").await {
            Ok(200) => {}
            other => {
                eprint_once(&format!("TLS: {other:?}"));
                counts.failed.fetch_add(1, Relaxed);
            }
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

struct Changes {
    endpoints: u32,
    routes: u32,
    certificates: u32,
}

/// Every 100 ms an endpoint changes, every 200 ms a route, every second the
/// certificate. A backend that was removed stays alive, as a pod does while its
/// removal spreads.
async fn change(tidegate: &Tidegate, ports: &[u16], time: Duration) -> Result<Changes> {
    let mut changes = Changes {
        endpoints: 0,
        routes: 0,
        certificates: 0,
    };
    let mut tick = tokio::time::interval(Duration::from_millis(100));
    let start = Instant::now();
    let mut round: u32 = 0;
    while start.elapsed() < time {
        tick.tick().await;
        let which = round as usize % BACKENDS;
        let endpoints: &[(&str, bool)] = match round as usize / BACKENDS % 3 {
            0 => &[("127.0.0.1", false)],
            1 => &[],
            _ => &[("127.0.0.1", true)],
        };
        // The first is never taken away, so that there is always one.
        if which != 0 {
            tidegate
                .apply(&slice(0, &which.to_string(), ports[which], endpoints))
                .await?;
            changes.endpoints += 1;
        }
        if round.is_multiple_of(2) {
            let route = ingress(1000 + (round as usize / 4) % 10, 0);
            if round.is_multiple_of(4) {
                tidegate.apply(&route).await?
            } else {
                tidegate.delete(&route).await?
            }
            changes.routes += 1;
        }
        if round.is_multiple_of(10) {
            tidegate.apply(&secure::secret("secure.test")?).await?;
            changes.certificates += 1;
        }
        round += 1;
    }
    Ok(changes)
}

fn report(counts: &Counts, changes: Changes, time: Duration) -> Result<()> {
    let of = |count: &AtomicU64| count.load(Relaxed);
    println!("{} s of churn", time.as_secs());
    println!(
        "changes: {} endpoint, {} route, {} certificate",
        changes.endpoints, changes.routes, changes.certificates
    );
    println!("{:<14}{:>12}{:>10}", "", "count", "failed");
    println!(
        "{:<14}{:>12}{:>10}",
        "requests",
        of(&counts.requests) + of(&counts.handshakes),
        of(&counts.failed)
    );
    println!("{:<14}{:>12}", "TLS handshakes", of(&counts.handshakes));
    println!("{:<14}{:>12}{:>10}", "WebSockets", WEBSOCKETS, of(&counts.broken));
    println!("{:<14}{:>12}", "frames", of(&counts.frames));
    ensure!(
        of(&counts.failed) == 0 && of(&counts.broken) == 0,
        "requests were lost: the goal is none"
    );
    Ok(())
}

/// The first few failures are shown, the rest only counted.
fn eprint_once(what: &str) {
    static SHOWN: AtomicU64 = AtomicU64::new(0);
    if SHOWN.fetch_add(1, Relaxed) < 5 {
        println!("failure: {what}");
    }
}
