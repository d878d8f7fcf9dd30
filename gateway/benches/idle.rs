//! Memory of idle keep-alive connections: Tidegate beside a bare Pingora proxy.
//! Each connection has made one request and waits. Memory is what the process
//! has more than before, after a warm-up that fills pools and buffers.

#![allow(clippy::print_stdout, reason = "a benchmark's product is its table")]

#[path = "common/bare.rs"]
mod bare;
#[path = "common/common.rs"]
mod common;
#[path = "../tests/support/ports.rs"]
mod ports;

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use bare::{Process, pinned};

const CONNECTIONS: usize = 10_000;
/// Connections and requests of the warm-up.
const WARM: (usize, u64) = (64, 10_000);

/// Longer than the allocator keeps what was freed (`dirty_decay_ms` in `.cargo/config.toml`).
const SETTLE: Duration = Duration::from_secs(5);

const MANIFEST: &str = include_str!("common/one-route.yaml");

fn main() -> Result<()> {
    // One for each connection here, and one in the proxies, which have the same limit.
    let limit = rlimit::increase_nofile_limit(u64::MAX)?;
    let args: Vec<String> = std::env::args().collect();
    if let Some(at) = args.iter().position(|arg| arg == "--bare") {
        return bare::run(&args[at + 1], &args[at + 2]);
    }
    ensure!(
        limit > CONNECTIONS as u64 + 1000,
        "only {limit} open files are allowed: ulimit -n {}",
        CONNECTIONS * 2
    );
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?
        .block_on(compare())
}

async fn compare() -> Result<()> {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
    let upstream = listener.local_addr()?;
    tokio::spawn(common::backend(listener, vec![b'x'; 1024].into()));
    println!("{CONNECTIONS} idle connections, HTTP/1.1, one worker");
    println!(
        "{:<12}{:>12}{:>12}{:>16}",
        "proxy", "before MiB", "with MiB", "KiB each"
    );

    let address = loopback();
    let own = std::env::current_exe()?.display().to_string();
    let arguments = ["--bare".to_owned(), address.to_string(), upstream.to_string()];
    let bare = measure("bare", pinned(&own, &arguments)?, address).await?;

    let folder = tempfile::tempdir()?;
    let manifest = MANIFEST.replace("PORT", &upstream.port().to_string());
    std::fs::write(folder.path().join("route.yaml"), manifest)?;
    let address = loopback();
    let arguments = [
        "run".to_owned(),
        format!("--provider-directory={}", folder.path().display()),
        format!("--http-port={}", address.port()),
        format!("--https-port={}", loopback().port()),
        format!("--healthz-port={}", loopback().port()),
        "--controller-class=k8s.io/ingress-nginx".to_owned(),
        "--threads=1".to_owned(),
        "--access-log=off".to_owned(),
    ];
    let tidegate = pinned(env!("CARGO_BIN_EXE_tidegate"), &arguments)?;
    let ours = measure("tidegate", tidegate, address).await?;
    println!("ratio tidegate/bare: {:.2} (goal: at most 1)", ours / bare);
    Ok(())
}

fn loopback() -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], ports::free_port()))
}

/// KiB for each connection; all of them are asked again at the end: none was
/// closed behind our back.
async fn measure(name: &str, process: Process, address: SocketAddr) -> Result<f64> {
    common::ready(address, "bench.test", Duration::from_secs(10)).await?;
    common::load(address, "bench.test", WARM.0, WARM.1).await?;
    tokio::time::sleep(SETTLE).await;
    let pid = process.0.id();
    let before = common::resident_mib(pid)?;
    let mut clients = Vec::with_capacity(CONNECTIONS);
    for _ in 0..CONNECTIONS {
        let mut client = common::Client::connect(address, "bench.test", "/").await?;
        let (status, _) = client.exchange().await?;
        ensure!(status == 200, "status {status}");
        clients.push(client);
    }
    tokio::time::sleep(SETTLE).await;
    let with = common::resident_mib(pid)?;
    let each = (with - before) * 1024.0 / CONNECTIONS as f64;
    println!("{name:<12}{before:>12.1}{with:>12.1}{each:>16.2}");
    for client in &mut clients {
        let (status, _) = client.exchange().await.context("an idle connection")?;
        ensure!(status == 200, "status {status}");
    }
    Ok(each)
}
