//! Publications that arrive while traffic flows.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::time::Duration;

use tidegate_snapshot::{Changed, ClusterKey, ListenerProtocol, Publication};

use crate::start;
use crate::support::client::{Client, get};
use crate::support::eventually;
use crate::support::snapshot::{Builder, route};
use crate::support::upstream::Echo;

fn endpoints_only(builder: &Builder, generation: u64, cluster: &str) -> Publication {
    Publication {
        changed: Changed::Endpoints(vec![ClusterKey(cluster.into())]),
        ..builder.publication(generation)
    }
}

#[tokio::test]
async fn not_ready_before_the_first_publication() {
    let (gateway, metrics) = start();
    assert!(gateway.ready().unwrap_err().contains("first sync"));
    gateway.apply(&Builder::new().http("http").publication(7));
    assert_eq!(gateway.ready(), Ok(()));
    assert_eq!(
        get(gateway.address("http").unwrap(), "a.b", "/").await.status,
        404
    );
    let text = metrics.encode();
    let generation = text
        .lines()
        .find(|line| line.contains("generation") && !line.starts_with('#'));
    assert!(generation.is_some_and(|line| line.ends_with(" 7")), "{text}");
}

#[tokio::test]
async fn not_ready_while_a_listener_is_not_bound() {
    let taken = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = taken.local_addr().unwrap();
    let (gateway, _) = start();
    let builder = Builder::new()
        .http("http")
        .listener("taken", ListenerProtocol::Http, |listener| {
            listener.address = address
        });
    gateway.apply(&builder.publication(1));
    let reason = gateway.ready().unwrap_err();
    assert!(reason.contains("listener taken: cannot bind"), "{reason}");
    assert!(gateway.address("http").is_some());
    drop(taken);
    eventually("the port is bound", || gateway.ready().is_ok()).await;
}

#[tokio::test]
async fn a_keep_alive_connection_sees_every_change() {
    let (one, two) = (Echo::start("one").await, Echo::start("two").await);
    let (gateway, _) = start();
    let builder = Builder::new()
        .http("http")
        .cluster("a", &[one.address])
        .cluster("b", &[two.address])
        .host("a.b", [route("/", "a")]);
    gateway.apply(&builder.publication(1));
    let mut client = Client::connect(gateway.address("http").unwrap()).await;
    assert_eq!(client.get("a.b", "/").await.json()["upstream"], "one");

    let builder = builder.host("a.b", [route("/x", "b"), route("/", "a")]);
    gateway.apply(&builder.publication(2));
    assert_eq!(client.get("a.b", "/x").await.json()["upstream"], "two");

    let builder = builder.endpoints("a", &[two.address]);
    gateway.apply(&endpoints_only(&builder, 3, "a"));
    assert_eq!(client.get("a.b", "/").await.json()["upstream"], "two");
    assert_eq!(gateway.runtime().generation, 3);

    gateway.apply(&builder.clone().without_host("a.b").publication(4));
    assert_eq!(client.get("a.b", "/").await.status, 404);

    // What comes late is old.
    gateway.apply(&builder.publication(3));
    assert_eq!(client.get("a.b", "/").await.status, 404);
}

#[tokio::test]
async fn an_unrelated_change_keeps_upstream_connections() {
    let echo = Echo::start("one").await;
    let (gateway, _) = start();
    let mut builder = Builder::new()
        .http("http")
        .cluster("a", &[echo.address])
        .host("a.b", [route("/", "a")]);
    gateway.apply(&builder.publication(1));
    let mut client = Client::connect(gateway.address("http").unwrap()).await;
    for generation in 2..10 {
        assert_eq!(client.get("a.b", "/").await.status, 200);
        builder = builder.host(&format!("{generation}.test"), [route("/", "a")]);
        gateway.apply(&builder.publication(generation));
    }
    assert_eq!(echo.connections(), 1);
}

#[tokio::test]
async fn listeners_come_and_go() {
    let (gateway, _) = start();
    let both = Builder::new()
        .http("one")
        .http("two")
        .host("", [route("/", "missing")]);
    gateway.apply(&both.publication(1));
    let (one, two) = (gateway.address("one").unwrap(), gateway.address("two").unwrap());
    assert_eq!(get(two, "a.b", "/").await.status, 503);
    let single = Builder::new().http("one").host("", [route("/", "missing")]);
    gateway.apply(&single.publication(2));
    assert_eq!(gateway.address("one"), Some(one));
    assert_eq!(get(one, "a.b", "/").await.status, 503);
    let refused = || std::net::TcpStream::connect_timeout(&two, Duration::from_secs(1)).is_err();
    eventually("the removed port is closed", refused).await;
}

/// Endpoints, routes and clusters change all the time; not one request fails.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_request_is_lost_while_everything_changes() {
    let echoes = [
        Echo::start("0").await,
        Echo::start("1").await,
        Echo::start("2").await,
    ];
    let gateway = Arc::new(start().0);
    let base = Builder::new()
        .http("http")
        .cluster("a", &[echoes[0].address])
        .host("a.b", [route("/", "a")]);
    gateway.apply(&base.publication(1));
    let address = gateway.address("http").unwrap();
    let stop = Arc::new(AtomicBool::new(false));
    let clients: Vec<_> = (0..8)
        .map(|_| {
            let stop = stop.clone();
            tokio::spawn(async move {
                let mut client = Client::connect(address).await;
                let mut count = 0;
                while !stop.load(SeqCst) {
                    let answer = client.get("a.b", "/").await;
                    assert_eq!(answer.status, 200, "{answer:?}");
                    count += 1;
                    // A fast machine gets to the last request of a connection.
                    if answer.header("connection") == Some("close") {
                        client = Client::connect(address).await;
                    }
                }
                count
            })
        })
        .collect();

    for generation in 2..300_u64 {
        let at = usize::try_from(generation).unwrap();
        let endpoints = [echoes[at % 3].address, echoes[(at + 1) % 3].address];
        let builder = base.clone().endpoints("a", &endpoints);
        if generation % 3 == 0 {
            gateway.apply(
                &builder
                    .host(&format!("{generation}.test"), [route("/", "a")])
                    .publication(generation),
            );
        } else {
            gateway.apply(&endpoints_only(&builder, generation, "a"));
        }
        tokio::time::sleep(Duration::from_millis(3)).await;
    }
    stop.store(true, SeqCst);
    let mut total = 0;
    for client in clients {
        total += client.await.unwrap();
    }
    assert!(total > 100, "only {total} requests");
    assert!(echoes.iter().all(|echo| echo.count() > 0));
}
