use std::sync::atomic::AtomicUsize;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use super::*;

const PATIENCE: Duration = Duration::from_secs(10);

/// A server that takes `streams` at a time on a connection, and leaves them open.
async fn server(streams: u32) -> (SocketAddr, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let count = Arc::new(AtomicUsize::new(0));
    let connections = Arc::clone(&count);
    tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            connections.fetch_add(1, Relaxed);
            tokio::spawn(async move {
                let mut builder = h2::server::Builder::new();
                builder.max_concurrent_streams(streams);
                let mut connection = builder.handshake::<_, Bytes>(stream).await.unwrap();
                let mut open = Vec::new();
                while let Some(Ok(request)) = connection.accept().await {
                    open.push(request);
                }
            });
        }
    });
    (address, count)
}

/// One that sends these bytes when it is spoken to, and is silent then.
async fn saying(bytes: &'static [u8]) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        stream.read_u8().await.unwrap();
        stream.write_all(bytes).await.unwrap();
        std::future::pending::<()>().await;
    });
    address
}

async fn lease(lines: &Lines, address: SocketAddr, keep_alive: &UpstreamKeepAlive) -> Lease {
    let lease = lines.lease(address, keep_alive, PATIENCE).await;
    lease.map_err(|error| error.failure).unwrap()
}

#[tokio::test]
async fn those_who_come_at_the_same_time_share_a_connection() {
    let (address, connections) = server(100).await;
    let (lines, keep_alive) = (Lines::new(), UpstreamKeepAlive::default());
    let leases = (0..20).map(|_| lease(&lines, address, &keep_alive));
    let leases = futures::future::join_all(leases).await;
    assert!(leases.iter().all(|lease| !lease.reused));
    assert!(lease(&lines, address, &keep_alive).await.reused);
    assert_eq!(connections.load(Relaxed), 1);
}

#[tokio::test]
async fn the_servers_number_of_streams_holds() {
    let (address, connections) = server(2).await;
    let (lines, keep_alive) = (Lines::new(), UpstreamKeepAlive::default());
    let leases = (0..5).map(|_| lease(&lines, address, &keep_alive));
    let mut leases = futures::future::join_all(leases).await;
    assert_eq!(connections.load(Relaxed), 3);
    leases.pop();
    leases.push(lease(&lines, address, &keep_alive).await);
    leases.push(lease(&lines, address, &keep_alive).await);
    assert!(leases.iter().skip(4).all(|lease| lease.reused));
    assert_eq!(connections.load(Relaxed), 3);
}

#[tokio::test]
async fn a_connection_serves_as_much_and_as_long_as_it_may() {
    let (address, connections) = server(100).await;
    let spent = [
        UpstreamKeepAlive {
            requests: 1,
            ..UpstreamKeepAlive::default()
        },
        UpstreamKeepAlive {
            idle: Duration::ZERO,
            ..UpstreamKeepAlive::default()
        },
    ];
    for (before, keep_alive) in spent.iter().enumerate() {
        let lines = Lines::new();
        for count in 1..=2 {
            assert!(!lease(&lines, address, keep_alive).await.reused);
            assert_eq!(connections.load(Relaxed), 2 * before + count);
        }
    }
    let (lines, keep_alive) = (Lines::new(), UpstreamKeepAlive::default());
    lease(&lines, address, &keep_alive).await.retire();
    assert!(!lease(&lines, address, &keep_alive).await.reused);
}

#[tokio::test]
async fn with_too_many_the_one_that_idled_longest_goes() {
    let keep_alive = UpstreamKeepAlive {
        connections: 2,
        ..UpstreamKeepAlive::default()
    };
    let lines = Lines::new();
    let mut addresses = Vec::new();
    for _ in 0..3 {
        let (address, _) = server(100).await;
        lease(&lines, address, &keep_alive).await;
        addresses.push(address);
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    assert!(lease(&lines, addresses[2], &keep_alive).await.reused);
    assert!(lease(&lines, addresses[1], &keep_alive).await.reused);
    assert!(!lease(&lines, addresses[0], &keep_alive).await.reused);
    lines.sweep();
    // An address without connections is forgotten.
    assert_eq!(lines.shelf().lock().len(), 2);
}

#[tokio::test]
async fn why_there_is_no_connection_is_told() {
    let (lines, keep_alive) = (Lines::new(), UpstreamKeepAlive::default());
    let short = Duration::from_millis(50);
    let nobody = TcpListener::bind("127.0.0.1:0")
        .await
        .unwrap()
        .local_addr()
        .unwrap();
    for (address, patience, error, connected) in [
        (nobody, PATIENCE, UpstreamError::Connect, false),
        (saying(b"").await, short, UpstreamError::ConnectTimeout, false),
        (
            saying(b"HTTP/1.1 400 Bad Request\r\n\r\n").await,
            PATIENCE,
            UpstreamError::Protocol,
            true,
        ),
    ] {
        let failed = lines.lease(address, &keep_alive, patience).await.err().unwrap();
        assert_eq!(failed.failure, Failure::Upstream(error));
        assert_eq!(failed.connected, connected);
    }
}
