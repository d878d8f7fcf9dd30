//! Requests a second, latency and CPU at several numbers of connections. Clients,
//! gateway and backend share the machine: compare CPU.

use std::time::{Duration, Instant};

use super::common::{Client, percentile};
use super::goals::no_more;
use super::number;
use super::objects::host;
use super::program::Program;

const CONNECTIONS: [usize; 3] = [1, 16, 512];
/// A route with a backend that stays.
const INDEX: usize = 4;

pub async fn measure(gateway: &Program) {
    let time = Duration::from_secs(number("TRAFFIC_SECONDS", 10) as u64);
    for connections in CONNECTIONS {
        let cpu = gateway.metric("process_cpu_seconds_total");
        let start = Instant::now();
        let clients: Vec<_> = (0..connections)
            .map(|_| tokio::spawn(ask(gateway.http, start + time)))
            .collect();
        let (mut times, mut bad) = (Vec::new(), 0);
        for client in clients {
            let (part, failed) = client.await.unwrap();
            times.extend(part);
            bad += failed;
        }
        let seconds = start.elapsed().as_secs_f64();
        let cpu = gateway.metric("process_cpu_seconds_total") - cpu;
        assert!(!times.is_empty(), "not one request was answered");
        let count = times.len() as f64;
        println!(
            "traffic: {connections} connections: {:.0} requests a second, p50 {:.2} ms, p99 {:.2} ms, \
             {:.1} µs of CPU each, {bad} failed ({})",
            count / seconds,
            percentile(&mut times, 500),
            percentile(&mut times, 990),
            cpu * 1e6 / count,
            no_more(bad, 0)
        );
    }
}

/// Milliseconds of each answer, and how many there were but 200.
async fn ask(address: std::net::SocketAddr, end: Instant) -> (Vec<f64>, usize) {
    let mut client = Client::connect(address, &host(INDEX), "/").await.unwrap();
    let (mut times, mut bad) = (Vec::new(), 0);
    while Instant::now() < end {
        let start = Instant::now();
        match client.exchange().await {
            Ok((200, _)) => times.push(start.elapsed().as_secs_f64() * 1e3),
            Ok(_) => bad += 1,
            Err(_) => {
                bad += 1;
                client.reconnect().await;
            }
        }
    }
    (times, bad)
}
