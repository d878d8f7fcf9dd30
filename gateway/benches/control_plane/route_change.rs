//! A route whose backend and filter change together every 200 ms under requests:
//! every answer is wholly the old route's or wholly the new one's.

use std::time::Duration;

use super::churn::Bystander;
use super::goals::no_more;
use super::number;
use super::objects::{self, BACKENDS, host};
use super::program::Program;
use super::world::World;

const CLIENTS: usize = 16;
/// The route that is changed.
const INDEX: usize = 7;
/// The Services of the first backend and of the second.
const SERVICE: usize = 10;
/// What the filter says with each of the two backends.
const VERSIONS: [&str; 2] = ["one", "two"];

pub async fn measure(world: &World, gateway: &Program) {
    let flips = number("FLIPS", 100);
    // Whatever has changed them before.
    for (to, backend) in BACKENDS.iter().enumerate() {
        world.patch(&objects::slice(SERVICE + to, &[backend])).await;
    }
    flip(world, 0).await;
    let is_right = |status: u16, body: &[u8], version: Option<&str>| {
        let of = |index: usize| body == [b'a' + index as u8] && version == Some(VERSIONS[index]);
        status == 200 && (of(0) || of(1))
    };
    tokio::time::sleep(Duration::from_secs(1)).await;
    let clients = Bystander::many(gateway.http, &host(INDEX), CLIENTS, is_right).await;
    for change in 1..=flips {
        flip(world, change % 2).await;
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    let (requests, bad) = clients.stop().await;
    println!(
        "route change: backend and filter {flips} times, every 200 ms, {CLIENTS} clients: \
         {bad} of {requests} answers bad ({})",
        no_more(bad, 0)
    );
}

async fn flip(world: &World, to: usize) {
    world
        .patch(&objects::versioned_route(INDEX, SERVICE + to, VERSIONS[to]))
        .await;
}
