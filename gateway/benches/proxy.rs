//! CPU time per proxied request: Tidegate with its whole default header set,
//! routing and metrics, side by side with a bare Pingora proxy that does
//! nothing but forward.
//!
//! Both proxies run one worker, pinned to the first core; load and backend run
//! on the second. Rounds are interleaved; the figure is CPU time of the proxy
//! process, which a busy machine distorts least.

#![allow(clippy::print_stdout, reason = "a benchmark's product is its table")]

#[path = "common/bare.rs"]
mod bare;
#[path = "common/common.rs"]
mod common;
#[path = "../tests/support/ports.rs"]
mod ports;

use std::net::SocketAddr;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result};
use bare::pinned;

const CONNECTIONS: usize = 64;
const REQUESTS: u64 = 40_000;
const ROUNDS: usize = 7;

const MANIFEST: &str = include_str!("common/one-route.yaml");

fn main() -> Result<()> {
    let args: Vec<String> = std::env::args().collect();
    if let Some(at) = args.iter().position(|arg| arg == "--bare") {
        return bare::run(&args[at + 1], &args[at + 2], None);
    }
    if std::env::var_os("BENCH_PINNED").is_none() {
        let status = Command::new("taskset")
            .args(["-c", "1"])
            .args(&args)
            .env("BENCH_PINNED", "1")
            .status()
            .context("pinning the load generator with taskset (package util-linux)")?;
        anyhow::ensure!(status.success(), "the pinned run failed: {status}");
        return Ok(());
    }
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?
        .block_on(compare())
}

async fn compare() -> Result<()> {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
    let upstream = listener.local_addr()?;
    tokio::spawn(common::backend(listener, vec![b'x'; 1024].into()));

    let bare_address = SocketAddr::from(([127, 0, 0, 1], ports::free_port()));
    let own = std::env::current_exe()?.display().to_string();
    let comparison = pinned(
        &own,
        &[
            "--bare".to_owned(),
            bare_address.to_string(),
            upstream.to_string(),
        ],
    )?;

    let folder = tempfile::tempdir()?;
    std::fs::write(
        folder.path().join("route.yaml"),
        MANIFEST.replace("PORT", &upstream.port().to_string()),
    )?;
    let (port, tls, admin) = (ports::free_port(), ports::free_port(), ports::free_port());
    let tidegate_address = SocketAddr::from(([127, 0, 0, 1], port));
    let arguments = [
        "run".to_owned(),
        "--provider-directory".to_owned(),
        folder.path().display().to_string(),
        format!("--http-port={port}"),
        format!("--https-port={tls}"),
        format!("--healthz-port={admin}"),
        "--controller-class=k8s.io/ingress-nginx".to_owned(),
        "--threads=1".to_owned(),
        "--access-log=off".to_owned(),
    ];
    let tidegate = pinned(env!("CARGO_BIN_EXE_tidegate"), &arguments)?;

    let mut figures: [Vec<f64>; 2] = [Vec::new(), Vec::new()];
    for address in [bare_address, tidegate_address] {
        common::ready(address, "bench.test", Duration::from_secs(10)).await?;
        common::load(address, "bench.test", CONNECTIONS, REQUESTS / 4).await?;
    }
    for _ in 0..ROUNDS {
        for (index, (process, address)) in [(&comparison, bare_address), (&tidegate, tidegate_address)]
            .into_iter()
            .enumerate()
        {
            let before = common::cpu_seconds(process.0.id())?;
            common::load(address, "bench.test", CONNECTIONS, REQUESTS).await?;
            let used = common::cpu_seconds(process.0.id())? - before;
            figures[index].push(used * 1e6 / REQUESTS as f64);
        }
    }
    report(&mut figures);
    Ok(())
}

fn report(figures: &mut [Vec<f64>; 2]) {
    println!(
        "CPU µs per request, HTTP/1.1 keep-alive, 1 KiB, {CONNECTIONS} connections, one worker, {ROUNDS} rounds"
    );
    println!("{:<12}{:>10}{:>10}{:>10}", "proxy", "median", "min", "max");
    for (name, samples) in ["bare", "tidegate"].into_iter().zip(figures.iter_mut()) {
        let [low, mid, high] = [0, 500, 1000].map(|permille| common::percentile(samples, permille));
        println!("{name:<12}{mid:>10.1}{low:>10.1}{high:>10.1}");
    }
    let mut ratios: Vec<f64> = figures[1]
        .iter()
        .zip(&figures[0])
        .map(|(ours, bare)| ours / bare)
        .collect();
    println!(
        "ratio tidegate/bare: {:.3} of medians, {:.3} median of rounds (goal: at most 1.15)",
        common::percentile(&mut figures[1], 500) / common::percentile(&mut figures[0], 500),
        common::percentile(&mut ratios, 500)
    );
}
