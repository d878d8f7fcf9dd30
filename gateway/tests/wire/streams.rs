//! Upgrades and long answers.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use tidegate_gateway::observe::access_log::{AccessLog, Format};
use tidegate_snapshot::{HttpSettings, ListenerProtocol, Policies};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;

use crate::harness::{Gateway, simple};
use crate::support::client::Client;
use crate::support::snapshot::{Builder, route, with_policies};
use crate::support::upstream::Echo;

fn upgrade(to: &str) -> String {
    format!(
        "GET /chat HTTP/1.1\r\nHost: foo.bar\r\nConnection: keep-alive, Upgrade\r\nUpgrade: {to}\r\n\
         Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
    )
}

async fn tunnel(gateway: &Gateway, to: &str) -> Client {
    let mut client = gateway.client().await;
    let answer = client.request(upgrade(to)).await;
    assert_eq!(answer.status, 101, "{answer:?}");
    assert!(
        answer
            .header("Connection")
            .unwrap()
            .eq_ignore_ascii_case("upgrade")
    );
    client
}

#[tokio::test]
async fn websockets_need_no_annotation_even_from_a_fast_backend() {
    let echo = Echo::start("one").await;
    let gateway = Gateway::start(&simple(&[echo.address]));
    for round in 0..50 {
        let mut client = tunnel(&gateway, "websocket").await;
        for message in ["hello", "\x00\x01\r\n\r\n", "bye"] {
            client.send(message).await;
            assert_eq!(
                client.take(message.len()).await,
                message.as_bytes(),
                "round {round}"
            );
        }
    }
    let seen = echo.last();
    assert_eq!(
        (seen.header("Upgrade"), seen.header("Connection")),
        (Some("websocket"), Some("upgrade"))
    );
    assert_eq!(seen.header("Sec-WebSocket-Version"), Some("13"));
}

const SWITCHING: &str =
    "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n";

async fn listen() -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    (listener, address)
}

async fn read_head(stream: &mut BufReader<TcpStream>) {
    let mut line = String::new();
    while line != "\r\n" {
        line.clear();
        stream.read_line(&mut line).await.unwrap();
    }
}

/// The upstream's side of the next tunnel.
async fn accept(listener: &TcpListener) -> BufReader<TcpStream> {
    let mut stream = BufReader::new(listener.accept().await.unwrap().0);
    read_head(&mut stream).await;
    stream.write_all(SWITCHING.as_bytes()).await.unwrap();
    stream
}

/// One gateway that takes the direct path, and one that does not.
fn both_paths(address: SocketAddr, policies: impl Fn(&mut Policies)) -> [Gateway; 2] {
    [true, false].map(|buffers| {
        let route = with_policies(route("/", "a"), |own| {
            own.buffering.request = buffers;
            policies(own);
        });
        let builder = Builder::new()
            .http("http")
            .cluster("a", &[address])
            .host("foo.bar", [route]);
        Gateway::start(&builder)
    })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_upstream_is_too_fast_for_a_tunnel() {
    let (listener, address) = listen().await;
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            tokio::spawn(async move {
                // The answer is there before the request is.
                stream.write_all(SWITCHING.as_bytes()).await.unwrap();
                let mut stream = BufReader::new(stream);
                read_head(&mut stream).await;
                let (mut read, mut write) = tokio::io::split(stream);
                let _ = tokio::io::copy(&mut read, &mut write).await;
            });
        }
    });
    for gateway in both_paths(address, |_| {}) {
        for _ in 0..300 {
            let mut client = tunnel(&gateway, "websocket").await;
            client.send("hello").await;
            assert_eq!(client.take(5).await, b"hello");
        }
    }
}

#[tokio::test]
async fn a_tunnel_ends_with_either_of_its_ends() {
    let (listener, address) = listen().await;
    for gateway in both_paths(address, |_| {}) {
        let (mut client, mut upstream) = tokio::join!(tunnel(&gateway, "websocket"), accept(&listener));
        client.send("last words").await;
        drop(client);
        let mut heard = String::new();
        upstream.read_to_string(&mut heard).await.unwrap();
        assert_eq!(heard, "last words");

        let (mut client, mut upstream) = tokio::join!(tunnel(&gateway, "websocket"), accept(&listener));
        upstream.write_all(b"bye").await.unwrap();
        drop(upstream);
        assert_eq!(client.rest().await, b"bye");
    }
}

#[tokio::test]
async fn a_client_that_goes_on_speaking_keeps_its_tunnel() {
    let (listener, address) = listen().await;
    let [gateway, _] = both_paths(address, |policies| {
        policies.timeouts.read = Duration::from_millis(600);
    });
    let (mut client, mut upstream) = tokio::join!(tunnel(&gateway, "websocket"), accept(&listener));
    for _ in 0..5 {
        tokio::time::sleep(Duration::from_millis(300)).await;
        client.send(".").await;
    }
    let mut heard = [0; 5];
    upstream.read_exact(&mut heard).await.unwrap();
    upstream.write_all(b"well").await.unwrap();
    assert_eq!(client.take(4).await, b"well");
}

#[tokio::test]
async fn what_a_client_says_too_early_is_not_lost() {
    let echo = Echo::start("one").await;
    for gateway in both_paths(echo.address, |_| {}) {
        let mut client = gateway.client().await;
        let answer = client.request(upgrade("websocket") + "early").await;
        assert_eq!(answer.status, 101);
        assert_eq!(client.take(5).await, b"early");
    }
}

#[tokio::test]
async fn tunnels_are_counted_and_logged_when_they_end() {
    let echo = Echo::start("one").await;
    let file = tempfile::NamedTempFile::new().unwrap();
    let log = AccessLog::to_writer(Format::default(), file.reopen().unwrap()).unwrap();
    let gateway = Gateway::with_log(&simple(&[echo.address]), log);
    let mut client = tunnel(&gateway, "websocket").await;
    client.send("12345").await;
    client.take(5).await;
    drop(client);
    let line = || std::fs::read_to_string(file.path()).unwrap();
    crate::support::eventually("a line", || line().contains("\"GET /chat HTTP/1.1\" 101 5 ")).await;
    let metrics = gateway.metrics.encode();
    let counted = |line: &&str| {
        line.contains("requests_total{") && line.contains("ingress=\"test\"") && line.ends_with(" 1")
    };
    assert_eq!(metrics.lines().filter(counted).count(), 1, "{metrics}");
}

#[tokio::test]
async fn other_upgrades_pass_too() {
    let echo = Echo::start("one").await;
    let gateway = Gateway::start(&simple(&[echo.address]));
    let mut client = tunnel(&gateway, "SPDY/3.1").await;
    client.send("x").await;
    assert_eq!(client.take(1).await, b"x");
    assert_eq!(echo.last().header("Upgrade"), Some("SPDY/3.1"));
}

#[tokio::test]
async fn http2_cannot_be_smuggled_in_a_tunnel() {
    let echo = Echo::start("one").await;
    let gateway = Gateway::start(&simple(&[echo.address]));
    for wish in ["h2c", "websocket, H2C"] {
        let answer = gateway.client().await.request(upgrade(wish)).await;
        assert_eq!(answer.status, 200);
        assert_eq!(
            (echo.last().header("Upgrade"), echo.last().header("Connection")),
            (None, None)
        );
    }
}

#[tokio::test]
async fn old_clients_cannot_upgrade() {
    let echo = Echo::start("one").await;
    let gateway = Gateway::start(&simple(&[echo.address]));
    let request = upgrade("websocket").replace("HTTP/1.1", "HTTP/1.0");
    let answer = gateway.client().await.request(request).await;
    assert_eq!(answer.status, 200);
    assert_eq!(echo.last().header("Upgrade"), None);
}

#[tokio::test]
async fn an_upgrade_may_be_refused() {
    let echo = Echo::start("one").await;
    echo.set(|behaviour| {
        behaviour.raw = Some(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\n\r\nno".to_vec());
    });
    let gateway = Gateway::start(&simple(&[echo.address]));
    let mut client = gateway.client().await;
    for _ in 0..2 {
        let answer = client.request(upgrade("websocket")).await;
        assert_eq!((answer.status, answer.text().as_str()), (403, "no"));
    }
}

#[tokio::test]
async fn a_tunnel_ends_when_the_upstream_is_silent_not_when_the_client_is() {
    let echo = Echo::start("one").await;
    let patient = with_policies(route("/", "a"), |policies| {
        policies.timeouts.read = Duration::from_millis(700);
    });
    let builder = Builder::new()
        .listener("http", ListenerProtocol::Http, |listener| {
            let http = HttpSettings {
                body_timeout: Duration::from_millis(100),
                ..Default::default()
            };
            listener.http = http.into();
        })
        .cluster("a", &[echo.address])
        .host("foo.bar", [patient]);
    let gateway = Gateway::start(&builder);
    let mut client = tunnel(&gateway, "websocket").await;
    tokio::time::sleep(Duration::from_millis(350)).await;
    client.send("still here").await;
    assert_eq!(client.take(10).await, b"still here");
    let start = Instant::now();
    assert_eq!(client.rest().await, b"");
    let silence = start.elapsed().as_millis();
    assert!((500..3000).contains(&silence), "{silence} ms");
}

/// An upstream that answers in two parts, the second when told to.
async fn two_parts() -> (SocketAddr, oneshot::Sender<()>, oneshot::Receiver<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (go_on, told) = oneshot::channel();
    let (gone, ended) = oneshot::channel();
    tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut buffer = [0; 4096];
        let _ = stream.read(&mut buffer).await.unwrap();
        let head = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\ndata: 1\n\n";
        stream.write_all(head.as_bytes()).await.unwrap();
        tokio::select! {
            _ = told => stream.write_all(b"data: 2\n\n").await.unwrap(),
            read = stream.read(&mut buffer) => drop(read),
        }
        let _ = gone.send(());
    });
    (address, go_on, ended)
}

#[tokio::test]
async fn events_are_passed_on_as_they_come() {
    let (address, go_on, _ended) = two_parts().await;
    let gateway = Gateway::start(&simple(&[address]));
    let mut client = gateway.client().await;
    client
        .send("GET / HTTP/1.1\r\nHost: foo.bar\r\nAccept: text/event-stream\r\n\r\n")
        .await;
    let mut seen = Vec::new();
    while !seen.ends_with(b"data: 1\n\n\r\n") {
        seen.extend(client.take(1).await);
    }
    go_on.send(()).unwrap();
    assert_eq!(client.take(14).await, b"9\r\ndata: 2\n\n\r\n");
    assert_eq!(client.take(5).await, b"0\r\n\r\n");
}

#[tokio::test]
async fn a_client_that_leaves_ends_the_upstreams_work() {
    let (address, _go_on, ended) = two_parts().await;
    let gateway = Gateway::start(&simple(&[address]));
    let mut client = gateway.client().await;
    client.send("GET / HTTP/1.1\r\nHost: foo.bar\r\n\r\n").await;
    client.take(20).await;
    drop(client);
    tokio::time::timeout(Duration::from_secs(5), ended)
        .await
        .unwrap()
        .unwrap();
}
