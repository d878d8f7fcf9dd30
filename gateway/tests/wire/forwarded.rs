//! What the upstream receives: ingress-nginx's header set.

use std::sync::Arc;

use serde_json::Value;
use tidegate_snapshot::{HttpSettings, ListenerProtocol, ProxyProtocol, RealIp};

use crate::harness::{Gateway, simple};
use crate::support::client::Client;
use crate::support::snapshot::{Builder, route};
use crate::support::upstream::{Echo, Seen};

/// The fields that the upstream saw, sorted, without the request ID.
fn fields(seen: &Seen) -> Vec<String> {
    let mut fields: Vec<String> = seen
        .headers
        .iter()
        .filter(|(name, _)| name != "X-Request-ID")
        .map(|(name, value)| format!("{name}: {value}"))
        .collect();
    fields.sort();
    fields
}

async fn send(gateway: &Gateway, echo: &Echo, request: &str) -> Seen {
    let answer = gateway.client().await.request(request).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    echo.last()
}

fn trusting(change: impl FnOnce(&mut RealIp)) -> Arc<HttpSettings> {
    let mut http = HttpSettings::default();
    http.real_ip.use_forwarded_headers = true;
    http.real_ip.trusted = vec!["127.0.0.0/8".parse().unwrap()];
    change(&mut http.real_ip);
    Arc::new(http)
}

fn with(echo: &Echo, http: Arc<HttpSettings>) -> Gateway {
    let builder = Builder::new()
        .listener("http", ListenerProtocol::Http, |listener| listener.http = http)
        .cluster("a", &[echo.address])
        .host("foo.bar", [route("/", "a")]);
    Gateway::start(&builder)
}

#[tokio::test]
async fn the_default_set_is_exact() {
    let echo = Echo::start("one").await;
    let gateway = Gateway::start(&simple(&[echo.address]));
    let seen = send(
        &gateway,
        &echo,
        "GET /a%2Fb//c?d=e HTTP/1.1\r\nHost: Foo.bar:81\r\nX-Mine: 1\r\n\r\n",
    )
    .await;
    assert_eq!(seen.uri, "/a%2Fb//c?d=e");
    assert_eq!(
        fields(&seen),
        [
            "Host: Foo.bar:81",
            "X-Forwarded-For: 127.0.0.1",
            "X-Forwarded-Host: Foo.bar:81",
            "X-Forwarded-Port: 80",
            "X-Forwarded-Proto: http",
            "X-Forwarded-Scheme: http",
            "X-Mine: 1",
            "X-Real-IP: 127.0.0.1",
            "X-Scheme: http",
        ]
    );
}

#[tokio::test]
async fn a_client_cannot_forge_it() {
    let echo = Echo::start("one").await;
    let gateway = Gateway::start(&simple(&[echo.address]));
    let request = "GET / HTTP/1.1\r\nHost: foo.bar\r\nX-Forwarded-For: 1.1.1.1\r\nX-Forwarded-For: 2.2.2.2\r\n\
         X-Real-IP: 6.6.6.6\r\nX-Forwarded-Host: evil\r\nX-Forwarded-Port: 1\r\nX-Forwarded-Proto: https\r\n\
         X-Forwarded-Scheme: https\r\nX-Scheme: https\r\nX-Original-Forwarded-For: 7.7.7.7\r\n\
         X-Original-Forwarded-Host: evil\r\nProxy: evil\r\nx_real_ip: 8.8.8.8\r\nX.Y: 1\r\n\r\n";
    let seen = send(&gateway, &echo, request).await;
    assert_eq!(
        fields(&seen),
        [
            "Host: foo.bar",
            "X-Forwarded-For: 127.0.0.1",
            "X-Forwarded-Host: foo.bar",
            "X-Forwarded-Port: 80",
            "X-Forwarded-Proto: http",
            "X-Forwarded-Scheme: http",
            "X-Original-Forwarded-For: 1.1.1.1, 2.2.2.2",
            "X-Original-Forwarded-Host: evil",
            "X-Real-IP: 127.0.0.1",
            "X-Scheme: http",
        ]
    );
    // Without the lists the names of what they were are not the client's either.
    let request = "GET / HTTP/1.1\r\nHost: foo.bar\r\nX-Original-Forwarded-For: 7\r\n\
         X-Original-Forwarded-Host: evil\r\n\r\n";
    let seen = send(&gateway, &echo, request).await;
    assert_eq!(seen.header("X-Original-Forwarded-For"), None);
    assert_eq!(seen.header("X-Original-Forwarded-Host"), None);
}

#[tokio::test]
async fn connection_cannot_remove_fields() {
    let echo = Echo::start("one").await;
    let gateway = Gateway::start(&simple(&[echo.address]));
    let request = "GET / HTTP/1.1\r\nHost: foo.bar\r\nConnection: X-Real-IP, X-Forwarded-For, close\r\n\
         Keep-Alive: 5\r\nTE: trailers\r\nTrailer: x\r\n\r\n";
    let seen = send(&gateway, &echo, request).await;
    assert_eq!(seen.header("X-Real-IP"), Some("127.0.0.1"));
    assert_eq!(seen.header("X-Forwarded-For"), Some("127.0.0.1"));
    assert_eq!(seen.header("Connection"), None);
    assert_eq!(seen.header("Keep-Alive"), None);
    assert_eq!(seen.header("TE"), None);
}

#[tokio::test]
async fn trusted_peers_say_who_and_how() {
    let echo = Echo::start("one").await;
    let gateway = with(&echo, trusting(|_| {}));
    let request = "GET / HTTP/1.1\r\nHost: foo.bar\r\nX-Forwarded-For: 9.9.9.9, 1.2.3.4, 127.0.0.9\r\n\
         X-Forwarded-Host: pub.example:444, other\r\nX-Forwarded-Port: 444\r\nX-Forwarded-Proto: https\r\n\r\n";
    let seen = send(&gateway, &echo, request).await;
    assert_eq!(
        fields(&seen),
        [
            "Host: pub.example:444",
            "X-Forwarded-For: 1.2.3.4",
            "X-Forwarded-Host: pub.example:444",
            "X-Forwarded-Port: 444",
            "X-Forwarded-Proto: https",
            "X-Forwarded-Scheme: https",
            "X-Original-Forwarded-For: 9.9.9.9, 1.2.3.4, 127.0.0.9",
            "X-Original-Forwarded-Host: pub.example:444, other",
            "X-Real-IP: 1.2.3.4",
            "X-Scheme: https",
        ]
    );
}

#[tokio::test]
async fn the_full_list_gets_the_peer_appended() {
    let echo = Echo::start("one").await;
    let gateway = with(
        &echo,
        trusting(|real_ip| real_ip.compute_full_forwarded_for = true),
    );
    let request = "GET / HTTP/1.1\r\nHost: foo.bar\r\nX-Forwarded-For: 1.2.3.4\r\n\r\n";
    let seen = send(&gateway, &echo, request).await;
    assert_eq!(seen.header("X-Forwarded-For"), Some("1.2.3.4, 127.0.0.1"));
    assert_eq!(seen.header("X-Real-IP"), Some("1.2.3.4"));
    let seen = send(&gateway, &echo, "GET / HTTP/1.1\r\nHost: foo.bar\r\n\r\n").await;
    assert_eq!(seen.header("X-Forwarded-For"), Some("127.0.0.1"));
}

#[tokio::test]
async fn peers_that_are_not_trusted_say_nothing() {
    let echo = Echo::start("one").await;
    let gateway = with(
        &echo,
        trusting(|real_ip| real_ip.trusted = vec!["10.0.0.0/8".parse().unwrap()]),
    );
    let request = "GET / HTTP/1.1\r\nHost: foo.bar\r\nX-Forwarded-For: 1.2.3.4\r\nX-Forwarded-Proto: https\r\n\
         X-Forwarded-Host: evil\r\nX-Forwarded-Port: 1\r\n\r\n";
    let seen = send(&gateway, &echo, request).await;
    assert_eq!(seen.header("Host"), Some("foo.bar"));
    assert_eq!(seen.header("X-Forwarded-For"), Some("127.0.0.1"));
    assert_eq!(seen.header("X-Forwarded-Proto"), Some("http"));
    assert_eq!(seen.header("X-Forwarded-Port"), Some("80"));
}

#[tokio::test]
async fn proxy_protocol_announces_client_port_and_scheme() {
    let echo = Echo::start("one").await;
    let builder = Builder::new()
        .listener("http", ListenerProtocol::Http, |listener| {
            listener.proxy_protocol = Some(ProxyProtocol {
                trusted: vec!["127.0.0.0/8".parse().unwrap()],
                optional: Vec::new(),
                header_timeout: ProxyProtocol::HEADER_TIMEOUT,
            });
        })
        .cluster("a", &[echo.address])
        .host("foo.bar", [route("/", "a")]);
    let gateway = Gateway::start(&builder);
    for (port, scheme) in [("443", "https"), ("8080", "http")] {
        let request =
            format!("PROXY TCP4 1.2.3.4 5.6.7.8 1000 {port}\r\nGET / HTTP/1.1\r\nHost: foo.bar\r\n\r\n");
        let seen = send(&gateway, &echo, &request).await;
        assert_eq!(seen.header("X-Real-IP"), Some("1.2.3.4"));
        assert_eq!(seen.header("X-Forwarded-For"), Some("1.2.3.4"));
        assert_eq!(seen.header("X-Forwarded-Port"), Some(port));
        assert_eq!(seen.header("X-Forwarded-Proto"), Some(scheme));
    }
}

#[tokio::test]
async fn tls_is_https_on_443() {
    let echo = Echo::start("one").await;
    let builder = Builder::new()
        .https("https")
        .certificate("")
        .cluster("a", &[echo.address])
        .host("foo.bar", [route("/", "a")]);
    let gateway = Gateway::start(&builder);
    let mut client = Client::tls(gateway.address("https"), "foo.bar", &["http/1.1"]).await;
    assert_eq!(client.get("foo.bar", "/").await.status, 200);
    let seen = echo.last();
    assert_eq!(seen.header("X-Forwarded-Port"), Some("443"));
    assert_eq!(seen.header("X-Forwarded-Proto"), Some("https"));
    assert_eq!(seen.header("X-Scheme"), Some("https"));
}

#[tokio::test]
async fn request_ids_are_made_or_passed_on() {
    let echo = Echo::start("one").await;
    let gateway = Gateway::start(&simple(&[echo.address]));
    let mut client = gateway.client().await;
    let mut ids = std::collections::HashSet::new();
    for _ in 0..3 {
        client.get("foo.bar", "/").await;
        let id = echo.last().header("X-Request-ID").unwrap().to_owned();
        assert!(
            id.len() == 32 && id.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f')),
            "{id}"
        );
        ids.insert(id);
    }
    assert_eq!(ids.len(), 3);
    client
        .request("GET / HTTP/1.1\r\nHost: foo.bar\r\nX-Request-ID: mine\r\n\r\n")
        .await;
    assert_eq!(echo.last().header("X-Request-ID"), Some("mine"));

    let quiet = HttpSettings {
        generate_request_id: false,
        ..Default::default()
    };
    let gateway = with(&echo, Arc::new(quiet));
    gateway.client().await.get("foo.bar", "/").await;
    assert_eq!(echo.last().header("X-Request-ID"), None);
}

#[tokio::test]
async fn an_absolute_target_is_sent_in_origin_form() {
    let echo = Echo::start("one").await;
    let gateway = Gateway::start(&simple(&[echo.address]));
    let seen = send(
        &gateway,
        &echo,
        "GET http://foo.bar/a?b HTTP/1.1\r\nHost: foo.bar\r\n\r\n",
    )
    .await;
    assert_eq!((&*seen.uri, seen.header("Host")), ("/a?b", Some("foo.bar")));
    let seen = send(
        &gateway,
        &echo,
        "GET http://foo.bar HTTP/1.1\r\nHost: foo.bar\r\n\r\n",
    )
    .await;
    assert_eq!(seen.uri, "/");
}

#[tokio::test]
async fn old_clients_without_host_get_the_default_host() {
    let echo = Echo::start("one").await;
    let builder = Builder::new()
        .http("http")
        .cluster("a", &[echo.address])
        .host("", [route("/", "a")]);
    let gateway = Gateway::start(&builder);
    let mut client = gateway.client().await;
    let answer = client.request("GET / HTTP/1.0\r\n\r\n").await;
    assert_eq!(answer.status, 200);
    assert_eq!(answer.header("Connection"), Some("close"));
    let seen = echo.last();
    assert_eq!(seen.header("Host"), Some("_"));
    assert!(seen.head.starts_with("GET / HTTP/1.1\r\n"));
    assert_eq!(client.rest().await, b"");
}

#[tokio::test]
async fn what_the_upstream_answers_passes_but_for_a_few_fields() {
    let echo = Echo::start("one").await;
    echo.set(|behaviour| {
        behaviour.headers = "Server: secret/1.0\r\nX-Powered-By: x\r\nKeep-Alive: timeout=5\r\n\
             Strict-Transport-Security: max-age=1\r\nDate: Mon, 01 Jan 2001 00:00:00 GMT\r\n"
            .to_owned();
    });
    let gateway = Gateway::start(&simple(&[echo.address]));
    let answer = gateway.client().await.get("foo.bar", "/").await;
    assert_eq!(answer.header("Server"), None);
    assert_eq!(answer.header("Keep-Alive"), None);
    assert_eq!(answer.header("X-Powered-By"), Some("x"));
    assert_eq!(answer.header("Strict-Transport-Security"), Some("max-age=1"));
    assert_ne!(answer.header("Date"), Some("Mon, 01 Jan 2001 00:00:00 GMT"));
    assert_eq!(
        answer
            .headers
            .iter()
            .filter(|(name, _)| name.eq_ignore_ascii_case("date"))
            .count(),
        1
    );
    assert!(matches!(answer.json(), Value::Object(_)));
}
