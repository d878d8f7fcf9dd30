//! Memory of idle keep-alive connections: Tidegate beside a bare Pingora proxy, with
//! TLS and without. Each connection has made one request and waits. Proxies are
//! processes of their own; clients and backend are here. Memory is what the proxy
//! has more than before, after a warm-up that fills pools and buffers.
//!
//! `cargo xtask bench idle -- 1000` sets the connections (10,000 by default).

#![allow(
    unreachable_pub,
    clippy::print_stdout,
    reason = "a benchmark's product is its table; it has no users"
)]

#[path = "common/bare.rs"]
mod bare;
#[path = "idle/client.rs"]
mod client;
#[path = "common/common.rs"]
mod common;
#[path = "../tests/support/ports.rs"]
mod ports;
#[path = "common/secure.rs"]
mod secure;

use std::net::SocketAddr;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use bare::{Process, pinned};
use client::Client;
use tokio_rustls::TlsConnector;

const CONNECTIONS: usize = 10_000;
/// Requests of the warm-up, on as many connections at a time as an Ingress controller
/// sees when little goes on.
const WARM: (usize, usize) = (64, 10_000);

const HOST: &str = "bench.test";

fn main() -> Result<()> {
    // One for each connection here, and one in the proxies, which have the same limit.
    let limit = rlimit::increase_nofile_limit(u64::MAX)?;
    let args: Vec<String> = std::env::args().collect();
    if let Some(at) = args.iter().position(|arg| arg == "--bare") {
        let certificate = args.get(at + 3).map(Path::new);
        return bare::run(&args[at + 1], &args[at + 2], certificate);
    }
    let chosen = args.iter().filter_map(|arg| arg.parse().ok()).next_back();
    let connections = chosen.unwrap_or(CONNECTIONS);
    ensure!(
        limit > connections as u64 + 1000,
        "only {limit} open files are allowed: ulimit -n {}",
        connections * 2
    );
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?
        .block_on(compare(connections))
}

async fn compare(connections: usize) -> Result<()> {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
    let upstream = listener.local_addr()?;
    tokio::spawn(common::backend(listener, vec![b'x'; 1024].into()));
    let folder = tempfile::tempdir()?;
    write_files(folder.path(), upstream.port())?;
    println!("{connections} idle connections, HTTP/1.1, one worker");
    println!(
        "{:<16}{:>12}{:>12}{:>16}",
        "proxy", "before MiB", "with MiB", "KiB each"
    );
    let mut verdicts = Vec::new();
    for (name, tls) in [("plain", None), ("TLS", Some(secure::connector()))] {
        let address = loopback();
        let bare = bare(address, upstream, tls.as_ref().map(|_| folder.path()))?;
        let bare = measure(&format!("bare, {name}"), bare, address, tls.as_ref(), connections).await?;
        let address = loopback();
        let (http, https) = match &tls {
            None => (address, loopback()),
            Some(_) => (loopback(), address),
        };
        let ours = tidegate(&folder.path().join("objects"), http, https)?;
        let label = format!("tidegate, {name}");
        let ours = measure(&label, ours, address, tls.as_ref(), connections).await?;
        let word = if ours <= bare { "reached" } else { "MISSED" };
        verdicts.push(format!(
            "{name}: ratio tidegate/bare {:.2}, goal at most 1: {word}",
            ours / bare
        ));
    }
    println!("{}", verdicts.join("\n"));
    Ok(())
}

/// One route that is served with TLS and without, and its certificate for the bare proxy.
fn write_files(folder: &Path, port: u16) -> Result<()> {
    let (certificate, key) = secure::pair(HOST)?;
    std::fs::write(folder.join("tls.crt"), certificate)?;
    std::fs::write(folder.join("tls.key"), key)?;
    let route = include_str!("common/one-route.yaml").replace("PORT", &port.to_string());
    let begin = "metadata: {name: bench}\nspec:\n  ingressClassName: nginx\n";
    ensure!(route.contains(begin), "TLS has no place in the manifest");
    let with_tls = format!(
        "metadata: {{name: bench, annotations: {{nginx.ingress.kubernetes.io/ssl-redirect: 'false'}}}}\n\
         spec:\n  ingressClassName: nginx\n  tls: [{{hosts: [{HOST}], secretName: secure}}]\n"
    );
    let objects = route.replace(begin, &with_tls) + &secure::secret(HOST)?;
    std::fs::create_dir(folder.join("objects"))?;
    std::fs::write(folder.join("objects/route.yaml"), objects)?;
    Ok(())
}

fn bare(address: SocketAddr, upstream: SocketAddr, certificate: Option<&Path>) -> Result<Process> {
    let own = std::env::current_exe()?.display().to_string();
    let mut arguments = vec!["--bare".to_owned(), address.to_string(), upstream.to_string()];
    arguments.extend(certificate.map(|folder| folder.display().to_string()));
    pinned(&own, &arguments)
}

fn tidegate(objects: &Path, http: SocketAddr, https: SocketAddr) -> Result<Process> {
    let arguments = [
        "run".to_owned(),
        format!("--provider-directory={}", objects.display()),
        format!("--http-port={}", http.port()),
        format!("--https-port={}", https.port()),
        format!("--healthz-port={}", loopback().port()),
        "--controller-class=k8s.io/ingress-nginx".to_owned(),
        "--threads=1".to_owned(),
        "--access-log=off".to_owned(),
    ];
    pinned(env!("CARGO_BIN_EXE_tidegate"), &arguments)
}

fn loopback() -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], ports::free_port()))
}

/// KiB for each connection; all of them are asked again at the end: none was
/// closed behind our back.
async fn measure(
    name: &str,
    process: Process,
    address: SocketAddr,
    tls: Option<&TlsConnector>,
    connections: usize,
) -> Result<f64> {
    ready(address, tls).await?;
    let mut warm = Vec::new();
    for _ in 0..WARM.0 {
        warm.push(Client::connect(address, HOST, tls).await?);
    }
    for _ in 0..WARM.1 / WARM.0 {
        for client in &mut warm {
            client.ask().await?;
        }
    }
    drop(warm);
    tokio::time::sleep(common::SETTLED).await;
    let pid = process.0.id();
    let before = common::resident_mib(pid)?;
    let mut clients = Vec::with_capacity(connections);
    for _ in 0..connections {
        let mut client = Client::connect(address, HOST, tls).await?;
        client.ask().await?;
        clients.push(client);
    }
    tokio::time::sleep(common::SETTLED).await;
    let with = common::resident_mib(pid)?;
    let each = (with - before) * 1024.0 / connections as f64;
    println!("{name:<16}{before:>12.1}{with:>12.1}{each:>16.2}");
    for client in &mut clients {
        client.ask().await.context("an idle connection")?;
    }
    Ok(each)
}

async fn ready(address: SocketAddr, tls: Option<&TlsConnector>) -> Result<()> {
    let start = Instant::now();
    loop {
        let asked = async { Client::connect(address, HOST, tls).await?.ask().await };
        match asked.await {
            Ok(()) => return Ok(()),
            Err(error) if start.elapsed() > Duration::from_secs(30) => {
                return Err(error).context("a proxy that does not answer");
            }
            Err(_) => tokio::time::sleep(Duration::from_millis(50)).await,
        }
    }
}
