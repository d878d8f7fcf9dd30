//! `settings/tls.go` 1, `settings/ssl_ciphers.go`, `settings/ssl_session_cache.go`,
//! `settings/ssl_session_tickets.go`, `annotations/sslciphers.go`: handshakes; and
//! what `settings/tls.go` and `settings/proxy_protocol.go` ask around them.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustls::client::Resumption;
use rustls::crypto::aws_lc_rs::cipher_suite as suites;
use rustls::pki_types::{ServerName, UnixTime};
use rustls::time_provider::TimeProvider;
use rustls::version::{TLS12, TLS13};
use rustls::{CipherSuite, ClientConfig, HandshakeKind, ProtocolVersion, SupportedProtocolVersion};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use crate::site::{HOST, Site, config_map, ingress, ingress_of};
use crate::support::client::Client;
use crate::support::early_data;
use crate::support::trust_all::{client_config, client_config_of};

#[allow(dead_code, reason = "the page of tests is made of it")]
pub(crate) const NOT_TESTED: &[(&str, &str)] = &[(
    "sslciphers 2",
    "tested where strings are read: controller/src/translate/ciphers.rs",
)];

/// What a handshake came to.
#[derive(Debug, PartialEq, Eq)]
struct Shaken {
    version: ProtocolVersion,
    suite: CipherSuite,
    resumed: bool,
}

/// A handshake and a request, so that tickets arrive.
async fn shake(address: SocketAddr, name: &str, config: &Arc<ClientConfig>) -> std::io::Result<Shaken> {
    let tcp = TcpStream::connect(address).await?;
    let name = ServerName::try_from(name.to_owned()).unwrap();
    let mut stream = TlsConnector::from(config.clone()).connect(name, tcp).await?;
    let request = format!("GET / HTTP/1.1\r\nHost: {HOST}\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await?;
    assert!(answer.starts_with(b"HTTP/1.1 "));
    let session = stream.get_ref().1;
    Ok(Shaken {
        version: session.protocol_version().unwrap(),
        suite: session.negotiated_cipher_suite().unwrap().suite(),
        resumed: session.handshake_kind() == Some(HandshakeKind::Resumed),
    })
}

fn client(version: &'static SupportedProtocolVersion) -> Arc<ClientConfig> {
    Arc::new(client_config(&[version], &["http/1.1"]))
}

/// Certificates of the gateway's own have ECDSA keys.
async fn site(keys: &[(&str, &str)], yaml: &str) -> Site {
    let yaml = ingress("web", &[]) + yaml + &config_map("config", keys);
    Site::with(&["echo"], &yaml, &["--configmap=default/config"]).await
}

/// The suite of the list is taken for TLS 1.2; TLS 1.3 is not affected.
#[tokio::test]
async fn tls_1_cipher_suite() {
    let list = "ECDHE-ECDSA-AES256-GCM-SHA384:ECDHE-RSA-AES256-GCM-SHA384";
    let site = site(&[("ssl-ciphers", list)], "").await;
    let old = shake(site.program.https, HOST, &client(&TLS12)).await.unwrap();
    assert_eq!(old.version, ProtocolVersion::TLSv1_2);
    assert_eq!(old.suite, CipherSuite::TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384);
    let new = shake(site.program.https, HOST, &client(&TLS13)).await.unwrap();
    assert_eq!(new.version, ProtocolVersion::TLSv1_3);
}

/// A suite that is not there is reported; with none left TLS 1.2 is not offered.
#[tokio::test]
async fn ssl_ciphers_1_unknown() {
    let site = site(&[("ssl-ciphers", "DHE-RSA-AES128-GCM-SHA256:AES128-SHA")], "").await;
    assert!(shake(site.program.https, HOST, &client(&TLS12)).await.is_err());
    assert!(shake(site.program.https, HOST, &client(&TLS13)).await.is_ok());
    site.problems("data[ssl-ciphers]").await;
}

/// Only the versions of the list, and a change without a restart.
#[tokio::test]
async fn ssl_protocols() {
    let site = site(&[("ssl-protocols", "TLSv1.3")], "").await;
    assert!(shake(site.program.https, HOST, &client(&TLS12)).await.is_err());
    assert!(shake(site.program.https, HOST, &client(&TLS13)).await.is_ok());
    let keys = config_map("config", &[("ssl-protocols", "TLSv1.1 TLSv1.2")]);
    site.write("objects.yaml", &site.objects(&(ingress("web", &[]) + &keys)));
    let start = std::time::Instant::now();
    while shake(site.program.https, HOST, &client(&TLS12)).await.is_err() {
        assert!(start.elapsed() < crate::support::PATIENCE, "still TLS 1.3 alone");
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    assert!(shake(site.program.https, HOST, &client(&TLS13)).await.is_err());
}

/// The annotations hold for their host alone: its suites, and the client's order.
#[tokio::test]
async fn sslciphers_1_of_a_host() {
    let list = "ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-ECDSA-CHACHA20-POLY1305";
    let annotations = [("ssl-ciphers", list), ("ssl-prefer-server-ciphers", "false")];
    let other = ingress_of("other", "other", &annotations, &[("/", "Prefix", "echo")]);
    let site = site(&[], &other).await;
    let offered = vec![
        suites::TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384,
        suites::TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256,
        suites::TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256,
    ];
    let config = Arc::new(client_config_of(offered, &[&TLS12], &["http/1.1"]));
    let there = shake(site.program.https, "other", &config).await.unwrap();
    assert_eq!(
        there.suite,
        CipherSuite::TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256,
        "the client's first of the list"
    );
    let here = shake(site.program.https, HOST, &config).await.unwrap();
    assert_eq!(
        here.suite,
        CipherSuite::TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256,
        "the server's first"
    );
}

/// Classes, signs and commands of OpenSSL's strings.
#[tokio::test]
async fn sslciphers_2_classes() {
    let list = "ALL:!AES128:!CHACHA20:@STRENGTH:@SECLEVEL=2";
    let other = ingress_of(
        "other",
        "other",
        &[("ssl-ciphers", list)],
        &[("/", "Prefix", "echo")],
    );
    let site = site(&[], &other).await;
    let of = |suite| Arc::new(client_config_of(vec![suite], &[&TLS12], &["http/1.1"]));
    for (suite, is_there) in [
        (suites::TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384, true),
        (suites::TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256, false),
        (suites::TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256, false),
    ] {
        let there = shake(site.program.https, "other", &of(suite)).await;
        assert_eq!(there.is_ok(), is_there, "{suite:?}");
        assert!(
            shake(site.program.https, HOST, &of(suite)).await.is_ok(),
            "{suite:?}"
        );
    }
}

/// Whether a second handshake is shortened.
async fn resumes(keys: &[(&str, &str)], version: &'static SupportedProtocolVersion, tickets: bool) -> bool {
    let site = site(keys, "").await;
    let mut config = client_config(&[version], &["http/1.1"]);
    config.resumption = Resumption::in_memory_sessions(8).tls12_resumption(if tickets {
        rustls::client::Tls12Resumption::SessionIdOrTickets
    } else {
        rustls::client::Tls12Resumption::SessionIdOnly
    });
    let config = Arc::new(config);
    assert!(!shake(site.program.https, HOST, &config).await.unwrap().resumed);
    shake(site.program.https, HOST, &config).await.unwrap().resumed
}

/// Sessions are kept unless the key says no.
#[tokio::test]
async fn ssl_session_cache_1_and_2() {
    assert!(resumes(&[], &TLS12, false).await);
    assert!(!resumes(&[("ssl-session-cache", "false")], &TLS12, false).await);
}

/// Off: with the cache off too nothing is resumed; on by default.
#[tokio::test]
async fn ssl_session_tickets_1_and_2() {
    let off = [("ssl-session-cache", "false"), ("ssl-session-tickets", "false")];
    assert!(!resumes(&off, &TLS13, true).await);
    assert!(resumes(&[("ssl-session-cache", "false")], &TLS13, true).await);
}

/// With a key that replicas share, a ticket of one is taken by the other; without
/// tickets there is none to take.
#[tokio::test]
async fn ssl_session_tickets_3_shared_key() {
    let key = "A".repeat(64);
    let shared = ("ssl-session-ticket-key", key.as_str());
    let off = [shared, ("ssl-session-tickets", "false")];
    let (one, other) = (site(&[shared], "").await, site(&[shared], "").await);
    let (stranger, without) = (site(&[], "").await, site(&off, "").await);
    for version in [&TLS13, &TLS12] {
        for (first, second, resumed) in [
            (&one, &other, true),
            (&one, &stranger, false),
            (&without, &other, false),
            (&one, &without, false),
        ] {
            let config = client(version);
            assert!(!shake(first.program.https, HOST, &config).await.unwrap().resumed);
            let shaken = shake(second.program.https, HOST, &config).await.unwrap();
            assert_eq!(shaken.resumed, resumed);
        }
    }
}

/// It believes what it is told about the time: that none passes, so that it offers
/// sessions whose time is over.
#[derive(Debug)]
struct Stopped(UnixTime);

impl TimeProvider for Stopped {
    fn current_time(&self) -> Option<UnixTime> {
        Some(self.0)
    }
}

/// A client that keeps sessions for ever, by tickets if it can.
fn hopeful(version: &'static SupportedProtocolVersion) -> Arc<ClientConfig> {
    let mut config = client_config(&[version], &["http/1.1"]);
    config.time_provider = Arc::new(Stopped(UnixTime::now()));
    Arc::new(config)
}

/// A session is resumed within its time, and not after. When the machine is too
/// busy for the former it is tried again.
async fn resumes_for(site: &Site, version: &'static SupportedProtocolVersion, time: Duration) {
    let start = Instant::now();
    loop {
        let (config, begin) = (hopeful(version), Instant::now());
        assert!(!shake(site.program.https, HOST, &config).await.unwrap().resumed);
        let shaken = shake(site.program.https, HOST, &config).await.unwrap();
        // Sessions end with a whole second.
        if begin.elapsed() < time - Duration::from_secs(1) {
            assert!(shaken.resumed, "{version:?}");
            break;
        }
        assert!(
            start.elapsed() < crate::support::PATIENCE,
            "too slow to see anything"
        );
    }
    let config = hopeful(version);
    assert!(!shake(site.program.https, HOST, &config).await.unwrap().resumed);
    tokio::time::sleep(time).await;
    assert!(
        !shake(site.program.https, HOST, &config).await.unwrap().resumed,
        "{version:?}"
    );
}

/// `ssl_session_cache.go` 4: `ssl-session-timeout`, of sessions that are kept here
/// and of those that are sealed with clients.
#[tokio::test]
async fn ssl_session_cache_4_timeout() {
    let time = ("ssl-session-timeout", "4s");
    let tickets = site(&[time], "").await;
    let cache = site(&[time, ("ssl-session-tickets", "false")], "").await;
    let seconds = Duration::from_secs(4);
    tokio::join!(
        resumes_for(&tickets, &TLS13, seconds),
        resumes_for(&tickets, &TLS12, seconds),
        resumes_for(&cache, &TLS13, seconds),
        resumes_for(&cache, &TLS12, seconds),
    );
}

/// `ssl_session_cache.go` 3: `ssl-session-cache-size`. Of many sessions the last
/// are kept; a kilobyte is no room for the first.
#[tokio::test]
async fn ssl_session_cache_3_size() {
    for (size, first_is_kept) in [("1k", false), ("1m", true)] {
        let keys = [("ssl-session-cache-size", size), ("ssl-session-tickets", "false")];
        let site = site(&keys, "").await;
        let clients: Vec<_> = (0..30).map(|_| client(&TLS12)).collect();
        for config in &clients {
            assert!(!shake(site.program.https, HOST, config).await.unwrap().resumed);
        }
        let last = shake(site.program.https, HOST, &clients[29]).await.unwrap();
        assert!(last.resumed, "{size}");
        let first = shake(site.program.https, HOST, &clients[0]).await.unwrap();
        assert_eq!(first.resumed, first_is_kept, "{size}");
    }
}

/// `ssl-early-data`: a request that comes before the handshake has ended is
/// answered before it ends, and its backend told.
#[tokio::test]
async fn ssl_early_data() {
    let keys = [
        ("ssl-early-data", "true"),
        ("proxy-set-headers", "default/fields"),
    ];
    let fields = config_map("fields", &[("X-Early", "early:$ssl_early_data")]);
    let site = site(&keys, &fields).await;
    let address = site.program.https;
    let exchange = tokio::task::spawn_blocking(move || {
        let request = format!("GET / HTTP/1.1\r\nHost: {HOST}\r\n\r\n");
        let config = early_data::config(&["http/1.1"]);
        let mut first = early_data::Client::connect(&config, address, HOST);
        assert!(first.ask(&request).starts_with("HTTP/1.1 200"));
        let mut early = early_data::Client::connect(&config, address, HOST);
        assert!(early.send_early(&request));
        assert!(early.answer().starts_with("HTTP/1.1 200"));
        assert!(
            early.session.wants_write(),
            "the end of the handshake is not sent yet"
        );
        assert!(early.ask(&request).starts_with("HTTP/1.1 200"));
    });
    exchange.await.unwrap();
    let told = |field: &str| -> Vec<_> {
        let seen = site.echo("echo").seen();
        let told = seen.iter().map(|seen| seen.header(field).map(str::to_owned));
        told.collect()
    };
    assert_eq!(told("early-data"), [None, Some("1".to_owned()), None]);
    let fields = ["early:", "early:1", "early:"].map(|text| Some(text.to_owned()));
    assert_eq!(told("x-early"), fields);
}

/// `ssl-reject-handshake`: names that no host has get no certificate, nor do
/// clients that name none; hosts without a certificate of their own get the
/// default one.
#[tokio::test]
async fn ssl_reject_handshake() {
    let wildcard = ingress_of("wild", "*.wild", &[], &[("/", "Prefix", "echo")]);
    let site = site(&[("ssl-reject-handshake", "true")], &wildcard).await;
    for (name, served) in [
        (HOST, true),
        ("a.wild", true),
        ("nobody", false),
        ("127.0.0.1", false),
    ] {
        let shaken = shake(site.program.https, name, &client(&TLS13)).await;
        assert_eq!(shaken.is_ok(), served, "{name}: {shaken:?}");
        if let Err(error) = shaken {
            assert!(error.to_string().contains("UnrecognisedName"), "{error}");
        }
    }
}

/// One HSTS field, ours, whatever the backend says.
#[tokio::test]
async fn tls_5_one_hsts_field() {
    let yaml = ingress("web", &[]) + &config_map("config", &[("hsts-max-age", "86400")]);
    let site = Site::with(&["echo"], &yaml, &["--configmap=default/config"]).await;
    site.echo("echo").set(|behaviour| {
        behaviour.headers = "Strict-Transport-Security: max-age=3600; preload\r\n".to_owned();
    });
    let answer = site.tls(HOST).await.get(HOST, "/").await;
    let fields = answer.headers.iter();
    let fields: Vec<_> = fields
        .filter(|(name, _)| name.eq_ignore_ascii_case("strict-transport-security"))
        .map(|(_, value)| value.as_str())
        .collect();
    assert_eq!(fields, ["max-age=86400; includeSubDomains"]);
}

/// The redirect to TLS names no port, neither that of the request nor that of
/// `X-Forwarded-Host`.
#[tokio::test]
async fn tls_6_and_7_redirect_without_a_port() {
    let yaml = ingress("web", &[("force-ssl-redirect", "true")])
        + &config_map("config", &[("use-forwarded-headers", "true")]);
    let site = Site::with(&["echo"], &yaml, &["--configmap=default/config"]).await;
    for (host, forwarded, location) in [
        (HOST, "", "https://foo"),
        ("foo:8080", "", "https://foo"),
        (
            HOST,
            "X-Forwarded-Host: example.com:80\r\n",
            "https://example.com",
        ),
    ] {
        let request = format!("GET / HTTP/1.1\r\nHost: {host}\r\n{forwarded}Connection: close\r\n\r\n");
        let answer = site.request(&request).await;
        assert_eq!((answer.status, answer.header("location")), (308, Some(location)));
    }
}

/// `settings/proxy_protocol.go` 3: a PROXY header before the handshake; the backend
/// is told its destination port, and https.
#[tokio::test]
async fn proxy_protocol_3_over_tls() {
    let yaml = ingress("web", &[]) + &config_map("config", &[("use-proxy-protocol", "true")]);
    let site = Site::with(&["echo"], &yaml, &["--configmap=default/config"]).await;
    let mut stream = tokio::net::TcpStream::connect(site.program.https).await.unwrap();
    let header = b"PROXY TCP4 192.168.0.1 192.168.0.11 56324 1234\r\n";
    tokio::io::AsyncWriteExt::write_all(&mut stream, header)
        .await
        .unwrap();
    let mut client = Client::tls_over(stream, HOST, &["http/1.1"]).await.unwrap();
    assert_eq!(client.get(HOST, "/").await.status, 200);
    let seen = site.echo("echo").last();
    for (name, value) in [
        ("x-forwarded-port", "1234"),
        ("x-forwarded-proto", "https"),
        ("x-forwarded-scheme", "https"),
        ("x-forwarded-for", "192.168.0.1"),
    ] {
        assert_eq!(seen.header(name), Some(value), "{name}");
    }
}
