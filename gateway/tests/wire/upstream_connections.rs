//! Which connections to upstreams are kept: `upstream-keepalive-*`, on the direct
//! path and on Pingora's. Every test is one thread, so that there is one pool.

use std::time::{Duration, Instant};

use tidegate_snapshot::{HttpSettings, ListenerProtocol, UpstreamKeepAlive};

use crate::harness::Gateway;
use crate::support::client::Client;
use crate::support::eventually;
use crate::support::snapshot::{Builder, route};
use crate::support::upstream::Echo;

/// Which path requests take.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Path {
    Direct,
    Pingora,
}

const BOTH: [Path; 2] = [Path::Direct, Path::Pingora];

fn start(echo: &Echo, path: Path, upstream_keep_alive: UpstreamKeepAlive) -> Gateway {
    let http = HttpSettings {
        upstream_keep_alive,
        // A field that the direct path does not set.
        original_uri_header: path == Path::Pingora,
        ..HttpSettings::default()
    };
    let builder = Builder::new()
        .listener("http", ListenerProtocol::Http, |listener| {
            listener.http = http.into()
        })
        .cluster("a", &[echo.address])
        .host("foo.bar", [route("/", "a")]);
    Gateway::start(&builder)
}

/// The number of the upstream connection that served a request, and when the
/// request began and its answer was there.
struct Served {
    by: u64,
    begin: Instant,
    end: Instant,
}

async fn ask(client: &mut Client, echo: &Echo, path: Path) -> Served {
    let begin = Instant::now();
    let answer = client.get("foo.bar", "/").await;
    let end = Instant::now();
    let is_pingoras = echo.last().header("x-original-uri").is_some();
    assert_eq!(is_pingoras, path == Path::Pingora);
    let by = answer.json()["connection"].as_u64().unwrap();
    Served { by, begin, end }
}

#[tokio::test]
async fn a_connection_serves_so_many_requests() {
    for path in BOTH {
        let echo = Echo::start("one").await;
        let keep_alive = UpstreamKeepAlive {
            requests: 3,
            ..UpstreamKeepAlive::default()
        };
        let gateway = start(&echo, path, keep_alive);
        let mut client = gateway.client().await;
        let mut served = Vec::new();
        for _ in 0..7 {
            served.push(ask(&mut client, &echo, path).await.by);
        }
        assert_eq!(served, [1, 1, 1, 2, 2, 2, 3], "{path:?}");
        eventually("those that have served enough are closed", || echo.open() == 1).await;
    }
}

/// Each request that begins after the connection's time is its last; those well
/// within it are not.
#[tokio::test]
async fn a_connection_lives_for_so_long() {
    const LIFE: Duration = Duration::from_secs(2);
    for path in BOTH {
        let echo = Echo::start("one").await;
        let keep_alive = UpstreamKeepAlive {
            life: LIFE,
            ..UpstreamKeepAlive::default()
        };
        let gateway = start(&echo, path, keep_alive);
        let mut client = gateway.client().await;
        let first = ask(&mut client, &echo, path).await;
        let mut last = ask(&mut client, &echo, path).await;
        let mut kept = 0;
        while last.end - first.begin < LIFE / 2 {
            assert_eq!(last.by, 1, "{path:?}");
            kept += 1;
            tokio::time::sleep(LIFE / 20).await;
            last = ask(&mut client, &echo, path).await;
        }
        assert!(kept > 0, "{path:?}: too slow to see anything");
        tokio::time::sleep((first.end + LIFE + LIFE / 10).saturating_duration_since(Instant::now())).await;
        let aged = ask(&mut client, &echo, path).await;
        assert!(aged.begin - first.end > LIFE);
        assert_eq!(aged.by, 1, "{path:?}: it ends with a request, not before one");
        assert_eq!(ask(&mut client, &echo, path).await.by, 2, "{path:?}");
        eventually("the old one is closed", || echo.open() == 1).await;
    }
}

#[tokio::test]
async fn a_connection_idles_for_so_long() {
    const IDLE: Duration = Duration::from_secs(1);
    for path in BOTH {
        let echo = Echo::start("one").await;
        let keep_alive = UpstreamKeepAlive {
            idle: IDLE,
            ..UpstreamKeepAlive::default()
        };
        let gateway = start(&echo, path, keep_alive);
        let mut client = gateway.client().await;
        let mut last = ask(&mut client, &echo, path).await;
        let mut kept = 0;
        for _ in 0..10 {
            tokio::time::sleep(IDLE / 5).await;
            let next = ask(&mut client, &echo, path).await;
            if next.end - last.begin < IDLE {
                assert_eq!(next.by, last.by, "{path:?}");
                kept += 1;
            }
            last = next;
        }
        assert!(kept > 0, "{path:?}: too slow to see anything");
        tokio::time::sleep(IDLE + IDLE / 2).await;
        assert_eq!(ask(&mut client, &echo, path).await.by, last.by + 1, "{path:?}");
    }
}

/// So many requests at once, each of its own client.
async fn at_once(gateway: &Gateway, echo: &Echo, count: usize) {
    let before = echo.count();
    echo.set(|behaviour| behaviour.delay = Duration::from_millis(300));
    let mut clients = Vec::new();
    for _ in 0..count {
        let mut client = gateway.client().await;
        client.send("GET / HTTP/1.1\r\nHost: foo.bar\r\n\r\n").await;
        clients.push(client);
    }
    eventually("all are under way", || echo.count() == before + count).await;
    for client in &mut clients {
        assert_eq!(client.answer().await.status, 200);
    }
}

/// More requests at once than connections may idle: that many stay.
#[tokio::test]
async fn so_many_connections_idle() {
    let echo = Echo::start("one").await;
    let keep_alive = UpstreamKeepAlive {
        connections: 2,
        ..UpstreamKeepAlive::default()
    };
    let gateway = start(&echo, Path::Direct, keep_alive);
    for (total, open) in [(5, 2), (8, 2)] {
        at_once(&gateway, &echo, 5).await;
        assert_eq!(echo.connections(), total);
        eventually("the others are closed", || echo.open() == open).await;
    }
}

/// `upstream-keepalive-connections: "0"` is no time to idle; see
/// `finish_upstream_pool` of the controller.
#[tokio::test]
async fn no_connection_is_kept() {
    for path in BOTH {
        let echo = Echo::start("one").await;
        let keep_alive = UpstreamKeepAlive {
            connections: 0,
            idle: Duration::ZERO,
            ..UpstreamKeepAlive::default()
        };
        let gateway = start(&echo, path, keep_alive);
        let mut client = gateway.client().await;
        for count in 1..=3 {
            assert_eq!(ask(&mut client, &echo, path).await.by, count, "{path:?}");
        }
        eventually("all are closed", || echo.open() == 0).await;
    }
}
