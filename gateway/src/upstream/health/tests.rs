use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;

use tidegate_snapshot::{ClusterKey, Endpoint, HealthCheckKind, LoadBalancing, UpstreamProtocol};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::time::timeout;

use super::super::fixtures::{shared, spec};
use super::super::shared::Shared;
use super::*;

const LIMIT: Duration = Duration::from_secs(10);

#[test]
fn verdicts_flip_only_after_enough_contradictions_in_a_row() {
    let health = Health::default();
    assert!(!health.observe(false, 3));
    assert!(!health.observe(false, 3));
    assert!(
        !health.observe(true, 3),
        "a success between starts the count again"
    );
    assert!(!health.observe(false, 3));
    assert!(!health.observe(false, 3));
    assert!(health.is_healthy());
    assert!(health.observe(false, 3));
    assert!(!health.is_healthy());
    assert!(!health.observe(true, 2));
    assert!(health.observe(true, 2));
    assert!(health.is_healthy());
}

/// An HTTP/1.1 server that answers every request with the status of the moment
/// and keeps the last request.
struct Server {
    address: SocketAddr,
    status: watch::Sender<u16>,
    requests: Arc<AtomicUsize>,
    last: Arc<parking_lot::Mutex<String>>,
    task: tokio::task::JoinHandle<()>,
}

impl Server {
    async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (status, receiver) = watch::channel(200);
        let (requests, last) = (
            Arc::new(AtomicUsize::new(0)),
            Arc::new(parking_lot::Mutex::default()),
        );
        let (counted, kept) = (Arc::clone(&requests), Arc::clone(&last));
        let task = tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let mut head = [0; 2048];
                let length = stream.read(&mut head).await.unwrap_or(0);
                if length == 0 {
                    continue;
                }
                *kept.lock() = String::from_utf8_lossy(&head[..length]).into_owned();
                counted.fetch_add(1, Relaxed);
                let status = *receiver.borrow();
                let answer = format!("HTTP/1.1 {status} X\r\ncontent-length: 0\r\n\r\n");
                let _ = stream.write_all(answer.as_bytes()).await;
            }
        });
        Self {
            address,
            status,
            requests,
            last,
            task,
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

fn checked(kind: HealthCheckKind, addresses: &[SocketAddr], shared: &Arc<Shared>) -> Arc<Cluster> {
    let mut spec = spec(LoadBalancing::RoundRobin);
    spec.health_check = Some(HealthCheck {
        kind,
        interval: Duration::from_millis(20),
        timeout: Duration::from_millis(500),
        healthy_threshold: 2,
        unhealthy_threshold: 2,
    });
    let cluster = Cluster::new(ClusterKey("checked".into()), Arc::new(spec), shared);
    cluster.set_endpoints(
        addresses
            .iter()
            .map(|address| Endpoint { address: *address })
            .collect(),
    );
    cluster
}

fn http(host: Option<&str>) -> HealthCheckKind {
    HealthCheckKind::Http {
        path: "/healthz?full=1".into(),
        host: host.map(Into::into),
    }
}

async fn until(what: &str, holds: impl Fn() -> bool) {
    let wait = async {
        while !holds() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    timeout(LIMIT, wait)
        .await
        .unwrap_or_else(|_| panic!("not in time: {what}"));
}

fn healthy(cluster: &Cluster, address: SocketAddr) -> bool {
    let status = cluster.status();
    status
        .endpoints
        .iter()
        .any(|endpoint| endpoint.address == address && endpoint.healthy)
}

#[tokio::test]
async fn an_endpoint_that_answers_other_than_200_is_left_out_until_it_does() {
    let (good, bad, shared) = (Server::start().await, Server::start().await, shared());
    bad.status.send_replace(503);
    let cluster = checked(http(None), &[good.address, bad.address], &shared);
    let task = tokio::spawn(Arc::clone(&shared).run());
    until("unhealthy", || !healthy(&cluster, bad.address)).await;
    assert!((0..10).all(|_| cluster.pick(0, &[]).unwrap().address() == good.address));
    assert!(shared.counters.checks_failed.value() >= 2);
    assert_eq!(shared.counters.became_unhealthy.value(), 1);

    // The verdict belongs to the address: other endpoints may come and go.
    cluster.set_endpoints([Endpoint { address: bad.address }].into());
    cluster.set_endpoints(
        [good.address, bad.address]
            .map(|address| Endpoint { address })
            .into(),
    );
    assert!(!healthy(&cluster, bad.address));

    bad.status.send_replace(200);
    until("healthy", || healthy(&cluster, bad.address)).await;
    assert_eq!(shared.counters.became_healthy.value(), 1);
    task.abort();
}

#[tokio::test]
async fn a_check_asks_for_its_path_and_host() {
    let (server, shared) = (Server::start().await, shared());
    let task = tokio::spawn(Arc::clone(&shared).run());
    let cluster = checked(http(Some("shop.example")), &[server.address], &shared);
    until("a request", || server.requests.load(Relaxed) > 0).await;
    let request = server.last.lock().to_lowercase();
    assert!(
        request.starts_with("get /healthz?full=1 http/1.1\r\n"),
        "{request}"
    );
    assert!(request.contains("\r\nhost: shop.example\r\n"), "{request}");
    drop(cluster);

    let other = Server::start().await;
    let _cluster = checked(http(None), &[other.address], &shared);
    until("a request", || other.requests.load(Relaxed) > 0).await;
    let request = other.last.lock().to_lowercase();
    assert!(
        request.contains(&format!("\r\nhost: {}\r\n", other.address)),
        "{request}"
    );
    task.abort();
}

#[tokio::test]
async fn a_dropped_cluster_is_checked_no_more() {
    let (server, shared) = (Server::start().await, shared());
    let task = tokio::spawn(Arc::clone(&shared).run());
    let cluster = checked(http(None), &[server.address], &shared);
    until("a request", || server.requests.load(Relaxed) > 0).await;
    drop(cluster);
    tokio::time::sleep(Duration::from_millis(100)).await;
    let requests = server.requests.load(Relaxed);
    tokio::time::sleep(Duration::from_millis(200)).await;
    assert_eq!(server.requests.load(Relaxed), requests);
    task.abort();
}

#[tokio::test]
async fn a_tcp_check_wants_a_connection() {
    let (server, shared) = (Server::start().await, shared());
    // Bound and closed again: nothing listens there.
    let closed = TcpListener::bind("127.0.0.1:0")
        .await
        .unwrap()
        .local_addr()
        .unwrap();
    let cluster = checked(HealthCheckKind::Tcp, &[server.address, closed], &shared);
    let task = tokio::spawn(Arc::clone(&shared).run());
    until("unhealthy", || !healthy(&cluster, closed)).await;
    assert!(healthy(&cluster, server.address));
    task.abort();
}

fn alone(spec: tidegate_snapshot::Cluster) -> Arc<Cluster> {
    Cluster::new(ClusterKey("alone".into()), Arc::new(spec), &shared())
}

#[tokio::test]
async fn an_endpoint_that_never_answers_fails_in_time() {
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let spec = spec(LoadBalancing::RoundRobin);
    let check = HealthCheck {
        kind: http(None),
        interval: LIMIT,
        // Enough to connect in, however busy the machine is.
        timeout: Duration::from_millis(500),
        healthy_threshold: 1,
        unhealthy_threshold: 1,
    };
    let result = Probes::default()
        .check(&alone(spec), &check, silent.local_addr().unwrap())
        .await;
    assert!(matches!(result, Err(probe::CheckError::Timeout(_))), "{result:?}");
}

#[tokio::test]
async fn an_h2c_cluster_is_checked_with_h2() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let server = tokio::spawn(async move {
        let (stream, _) = listener.accept().await.unwrap();
        let mut connection = h2::server::handshake(stream).await.unwrap();
        let (request, mut respond) = connection.accept().await.unwrap().unwrap();
        respond.send_response(http::Response::new(()), true).unwrap();
        tokio::spawn(async move { while connection.accept().await.is_some() {} });
        request.uri().to_string()
    });
    let mut spec = spec(LoadBalancing::RoundRobin);
    spec.protocol = UpstreamProtocol::H2c;
    let check = HealthCheck {
        kind: self::http(Some("grpc.example")),
        interval: LIMIT,
        timeout: LIMIT,
        healthy_threshold: 1,
        unhealthy_threshold: 1,
    };
    Probes::default()
        .check(&alone(spec), &check, address)
        .await
        .unwrap();
    assert_eq!(server.await.unwrap(), "http://grpc.example/healthz?full=1");
}
