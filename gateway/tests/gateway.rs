//! The whole data plane on loopback, fed with hand-made snapshots.

#![allow(clippy::unwrap_used, reason = "tests")]

#[path = "support/support.rs"]
mod support;

#[path = "gateway/changes.rs"]
mod changes;
#[path = "gateway/drain.rs"]
mod drain;
#[path = "gateway/routing.rs"]
mod routing;
#[path = "gateway/tls.rs"]
mod tls;
#[path = "gateway/webhook.rs"]
mod webhook;

use std::sync::Arc;

use support::client::Client;
use support::upstream::{Close, Echo};
use tidegate_gateway::gateway::{Gateway, Options};
use tidegate_gateway::listener::Limits;
use tidegate_gateway::observe::access_log::AccessLog;
use tidegate_gateway::observe::metrics::Metrics;

/// A gateway without a publication, and what it counts into.
fn start() -> (Gateway, Arc<Metrics>) {
    let metrics = Arc::new(Metrics::new());
    let options = Options {
        metrics: metrics.clone(),
        access_log: Arc::new(AccessLog::off()),
        limits: Limits::default(),
    };
    (Gateway::start(options).unwrap(), metrics)
}

/// The other tests rely on the upstream and the client to show what is there.
#[tokio::test]
async fn the_test_upstream_shows_what_it_receives() {
    let echo = Echo::start("one").await;
    let mut client = Client::connect(echo.address).await;
    let request = "POST /a//b?c HTTP/1.1\r\nhost: x\r\nX-Odd:  1 \r\nTransfer-Encoding: chunked\r\n\r\n";
    let answer = client
        .request(format!("{request}2\r\nab\r\n1;x=y\r\nc\r\n0\r\n\r\n"))
        .await;
    assert_eq!(answer.status, 200);
    assert_eq!(answer.json()["uri"], "/a//b?c");
    assert_eq!(answer.json()["body"], "abc");
    assert_eq!(answer.json()["headers"][1][0], "X-Odd");
    assert_eq!(echo.last().head, request);

    echo.set(|behaviour| {
        behaviour.status = 503;
        behaviour.close = Close::Silently;
    });
    let answer = client.get("x", "/").await;
    assert_eq!(
        (answer.status, answer.json()["connection"].as_u64()),
        (503, Some(1))
    );
    assert_eq!(client.rest().await, b"");
    assert_eq!((echo.count(), echo.connections()), (2, 1));
}
