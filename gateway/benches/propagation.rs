//! From an object's event to the first request that shows it, in one process:
//! a swapped endpoint, and a new Ingress, at several sizes of the table; and the
//! admission webhook's judgement meanwhile.

#![allow(clippy::print_stdout, reason = "a benchmark's product is its table")]

#[path = "common/common.rs"]
mod common;
#[path = "common/inprocess.rs"]
mod inprocess;
#[path = "common/objects.rs"]
mod objects;

use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use common::Client;
use inprocess::Tidegate;
use objects::{CLASS, ingress, service, slice};
use tidegate_controller::admission::Desk;

const SAMPLES: usize = 100;

fn main() -> Result<()> {
    // Two threads for traffic; the controller has its own.
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()?;
    println!("milliseconds from event to the first request that shows it; {SAMPLES} samples each");
    println!(
        "{:<26}{:>10}{:>9}{:>9}{:>9}{:>14}",
        "change", "ingresses", "p50", "p99", "max", "goal p50/p99"
    );
    for ingresses in [100, 1_000, 10_000] {
        runtime.block_on(measure(ingresses))?;
    }
    Ok(())
}

/// Two backends that tell themselves apart by their body.
async fn backends() -> Result<[u16; 2]> {
    let mut ports = [0; 2];
    for (index, port) in ports.iter_mut().enumerate() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
        *port = listener.local_addr()?.port();
        tokio::spawn(common::backend(listener, vec![b'a' + index as u8].into()));
    }
    Ok(ports)
}

async fn measure(ingresses: usize) -> Result<()> {
    let ports = backends().await?;
    let mut yaml = CLASS.to_owned();
    for index in 0..ingresses {
        yaml += &ingress(index, index);
        yaml += &service(index);
        yaml += &slice(index, "a", ports[0], &[("127.0.0.1", true)]);
    }
    let tidegate = Tidegate::start(inprocess::objects(&yaml)?).await?;
    tokio::time::sleep(Duration::from_secs(1)).await;

    let mut endpoint = Vec::new();
    let mut client = Client::connect(tidegate.http, "host-7.test", "/").await?;
    for sample in 0..SAMPLES {
        // Seldom enough that each event finds the controller idle.
        tokio::time::sleep(Duration::from_millis(20)).await;
        let to = (sample + 1) % 2;
        let start = Instant::now();
        tidegate
            .apply(&slice(7, "a", ports[to], &[("127.0.0.1", true)]))
            .await?;
        until(&mut client, 200, Some(b'a' + to as u8)).await?;
        endpoint.push(start.elapsed().as_secs_f64() * 1e3);
    }
    report("endpoint swapped", ingresses, &mut endpoint, "5 / 20");

    let mut added = Vec::new();
    for sample in 0..SAMPLES / 2 {
        tokio::time::sleep(Duration::from_millis(700)).await;
        let index = ingresses + sample;
        let mut client = Client::connect(tidegate.http, &format!("host-{index}.test"), "/").await?;
        let start = Instant::now();
        tidegate.apply(&ingress(index, 7)).await?;
        until(&mut client, 200, None).await?;
        added.push(start.elapsed().as_secs_f64() * 1e3);
    }
    let goal = if ingresses == 100 { "15 / -" } else { "100 / -" };
    report("new Ingress", ingresses, &mut added, goal);
    reviews(&tidegate, ingresses).await
}

/// Reviews, as the webhook's thread judges them, while Ingresses change.
async fn reviews(tidegate: &Tidegate, ingresses: usize) -> Result<()> {
    let desk = Desk::new(tidegate.state.clone());
    let object = objects::ingress(ingresses + 1000, 7);
    let object: serde_json::Value = serde_saphyr::from_str(object.trim_start_matches("---\n"))?;
    let review = serde_json::json!({"request": {
        "uid": "7", "operation": "CREATE", "object": object,
        "kind": {"group": "networking.k8s.io", "version": "v1", "kind": "Ingress"},
    }});
    let review = serde_json::to_vec(&review)?;
    let mut judged = Vec::new();
    for sample in 0..SAMPLES {
        tidegate.apply(&ingress(ingresses + sample, 7)).await?;
        let start = Instant::now();
        let answer = tokio::task::block_in_place(|| desk.review(&review))?;
        judged.push(start.elapsed().as_secs_f64() * 1e3);
        anyhow::ensure!(answer.ends_with(b"\"allowed\":true}}"), "refused: {answer:?}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    report("review under changes", ingresses, &mut judged, "- / 10");
    Ok(())
}

async fn until(client: &mut Client, status: u16, body: Option<u8>) -> Result<()> {
    let start = Instant::now();
    while start.elapsed() < Duration::from_secs(10) {
        let (seen, text) = client.exchange().await?;
        if seen == status && body.is_none_or(|byte| text == [byte]) {
            return Ok(());
        }
        tokio::task::yield_now().await;
    }
    bail!("the change did not show within 10 s")
}

fn report(what: &str, ingresses: usize, samples: &mut [f64], goal: &str) {
    let [p50, p99, max] = [500, 990, 1000].map(|permille| common::percentile(samples, permille));
    println!("{what:<26}{ingresses:>10}{p50:>9.2}{p99:>9.2}{max:>9.2}{goal:>14}");
}
