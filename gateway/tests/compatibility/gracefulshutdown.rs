//! `gracefulshutdown/`: the program's end. Seconds here where ingress-nginx's tests
//! take minutes.

use std::time::{Duration, Instant};

use crate::site::{HOST, Site, config_map, ingress};
use crate::support::client::{self, Client};
use crate::support::eventually;

fn end(site: &Site) {
    let pid = site.program.pid().to_string();
    let ended = std::process::Command::new("kill").args(["-TERM", &pid]).status();
    assert!(ended.unwrap().success());
}

async fn is_open(address: std::net::SocketAddr) -> bool {
    tokio::net::TcpStream::connect(address).await.is_ok()
}

/// How long the program goes on after this moment.
async fn until_the_end(site: &Site) -> Duration {
    let start = Instant::now();
    while is_open(site.program.admin).await {
        assert!(start.elapsed() < crate::support::PATIENCE, "it does not end");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    start.elapsed()
}

async fn site(flags: &[&str]) -> Site {
    let all = [&["--post-shutdown-grace-period=0"], flags].concat();
    Site::with(&["echo"], &ingress("web", &[]), &all).await
}

/// During `--shutdown-grace-period` `/healthz` is 500 and traffic is served.
#[tokio::test]
async fn case_1_grace_period() {
    let site = site(&["--shutdown-grace-period=3"]).await;
    assert_eq!(
        client::get(site.program.admin, "admin", "/healthz").await.status,
        200
    );
    end(&site);
    let start = Instant::now();
    while client::get(site.program.admin, "admin", "/healthz").await.status != 500 {
        assert!(start.elapsed() < Duration::from_secs(2), "still healthy");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert_eq!(site.get("/").await.status, 200);
    until_the_end(&site).await;
    assert!(
        start.elapsed() >= Duration::from_millis(2500),
        "{:?}",
        start.elapsed()
    );
}

/// Without a request under way it ends at once.
#[tokio::test]
async fn case_2_nothing_under_way() {
    let site = site(&[]).await;
    assert_eq!(site.get("/").await.status, 200);
    end(&site);
    let took = until_the_end(&site).await;
    assert!(took < Duration::from_secs(3), "{took:?}");
}

/// A request that is under way is answered, and the end waits for it.
#[tokio::test]
async fn case_3_to_5_under_way() {
    let site = site(&[]).await;
    site.echo("echo")
        .set(|behaviour| behaviour.delay = Duration::from_secs(2));
    let mut busy = Client::connect(site.program.http).await;
    busy.send(format!("GET / HTTP/1.1\r\nHost: {HOST}\r\n\r\n")).await;
    eventually("the request is under way", || site.echo("echo").count() == 1).await;
    end(&site);
    let start = Instant::now();
    assert_eq!(busy.answer().await.status, 200);
    assert!(start.elapsed() >= Duration::from_secs(1), "{:?}", start.elapsed());
    until_the_end(&site).await;
    assert!(!is_open(site.program.http).await);
}

/// A site whose ConfigMap has `worker-shutdown-timeout`, with an answer that takes
/// so long and a WebSocket under way.
async fn under_way(timeout: &str, delay: Duration) -> (Site, Client, Client) {
    let yaml = ingress("web", &[]) + &config_map("config", &[("worker-shutdown-timeout", timeout)]);
    let flags = ["--post-shutdown-grace-period=0", "--configmap=default/config"];
    let site = Site::with(&["echo"], &yaml, &flags).await;
    let echo = site.echo("echo");
    let mut socket = Client::connect(site.program.http).await;
    let fields = "Connection: Upgrade\r\nUpgrade: websocket\r\n";
    let upgrade = format!("GET / HTTP/1.1\r\nHost: {HOST}\r\n{fields}\r\n");
    assert_eq!(socket.request(upgrade).await.status, 101);
    echo.set(|behaviour| behaviour.delay = delay);
    let mut busy = Client::connect(site.program.http).await;
    busy.send(format!("GET / HTTP/1.1\r\nHost: {HOST}\r\n\r\n")).await;
    eventually("the request is under way", || echo.count() == 2).await;
    (site, busy, socket)
}

/// `worker-shutdown-timeout`: an answer and a WebSocket go on until they end, and
/// the program with them.
#[tokio::test]
async fn worker_shutdown_timeout_is_waited_for() {
    let (site, mut busy, mut socket) = under_way("60s", Duration::from_secs(4)).await;
    end(&site);
    assert_eq!(busy.answer().await.status, 200);
    for text in ["one", "two"] {
        socket.send(text).await;
        assert_eq!(socket.take(3).await, text.as_bytes());
    }
    assert!(is_open(site.program.admin).await, "it waits for the WebSocket");
    drop(socket);
    until_the_end(&site).await;
}

/// `worker-shutdown-timeout`: then an answer and a WebSocket that have not ended
/// are cut off, not before.
#[tokio::test]
async fn worker_shutdown_timeout_cuts_off() {
    let (site, mut busy, mut socket) = under_way("3s", Duration::from_secs(60)).await;
    let start = Instant::now();
    end(&site);
    let (of_socket, of_answer) = tokio::join!(socket.rest(), busy.rest());
    assert!(start.elapsed() >= Duration::from_secs(3), "{:?}", start.elapsed());
    assert_eq!((of_socket, of_answer), (Vec::new(), Vec::new()));
    until_the_end(&site).await;
}
