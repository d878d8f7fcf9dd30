//! The end of a gateway.

use std::time::Duration;

use tidegate_gateway::listener::Drain;

use crate::start;
use crate::support::PATIENCE;
use crate::support::client::Client;
use crate::support::snapshot::{Builder, route};
use crate::support::upstream::Echo;

#[tokio::test]
async fn a_drain_finishes_what_is_under_way() {
    let echo = Echo::start("slow").await;
    let (gateway, _) = start();
    let builder = Builder::new()
        .http("http")
        .cluster("a", &[echo.address])
        .host("a.b", [route("/", "a")]);
    gateway.apply(&builder.publication(1));
    let address = gateway.address("http").unwrap();
    let mut idle = Client::connect(address).await;
    assert_eq!(idle.get("a.b", "/").await.status, 200);
    echo.set(|behaviour| behaviour.delay = Duration::from_millis(400));
    let mut busy = Client::connect(address).await;
    busy.send("GET / HTTP/1.1\r\nHost: a.b\r\n\r\n").await;
    crate::support::eventually("the request is under way", || echo.count() == 2).await;

    let drain = Drain {
        delay: Duration::from_millis(100),
        idle: Duration::from_millis(200),
        grace: PATIENCE,
    };
    let drained = tokio::spawn(gateway.drain(drain));
    assert_eq!(gateway.ready(), Err("draining".to_owned()));
    // New connections are served until the delay is over.
    let mut late = Client::connect(address).await;
    let answer = late.get("a.b", "/").await;
    assert_eq!((answer.status, answer.header("connection")), (200, Some("close")));

    let answer = busy.answer().await;
    assert_eq!((answer.status, answer.header("connection")), (200, Some("close")));
    assert_eq!(idle.rest().await, b"");
    assert_eq!(drained.await.unwrap(), 0, "connections cut off");
    assert!(tokio::net::TcpStream::connect(address).await.is_err());
}
