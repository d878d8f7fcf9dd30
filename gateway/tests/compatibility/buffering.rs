//! `annotations/proxy.go` 8 and 9, `settings/gzip.go`, `settings/brotli.go`,
//! `annotations/mirror.go`, and what of buffers shows on the wire.

use std::time::Duration;

use tokio::io::AsyncWriteExt;
use tokio::net::TcpListener;

use crate::site::{HOST, Site, config_map, ingress, ingress_of, service};
use crate::support::client::Client;
use crate::support::upstream::{Close, Echo};
use crate::support::{PATIENCE, eventually};

/// The upstream hears of a request when its body is complete.
#[tokio::test]
async fn proxy_9_request_buffering_on() {
    let site = Site::start(&ingress("a", &[])).await;
    let mut client = Client::connect(site.program.http).await;
    let body = "x".repeat(300_000);
    let head = format!(
        "POST / HTTP/1.1\r\nHost: {HOST}\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    client.send(head + &body[..200_000]).await;
    tokio::time::sleep(Duration::from_millis(200)).await;
    assert_eq!(site.echo("echo").connections(), 0, "the body is not complete");
    client.send(&body[200_000..]).await;
    assert_eq!(client.answer().await.status, 200);
    assert_eq!(site.echo("echo").last().body, body.as_bytes());
}

/// Switched off, it hears of it at once.
#[tokio::test]
async fn proxy_9_request_buffering_off() {
    let site = Site::start(&ingress("a", &[("proxy-request-buffering", "off")])).await;
    let mut client = Client::connect(site.program.http).await;
    client
        .send(format!(
            "POST / HTTP/1.1\r\nHost: {HOST}\r\nContent-Length: 10\r\n\r\nabc"
        ))
        .await;
    eventually("a connection to the upstream", || {
        site.echo("echo").connections() == 1
    })
    .await;
    client.send("defghij").await;
    assert_eq!(client.answer().await.status, 200);
    assert_eq!(site.echo("echo").last().body, b"abcdefghij");
}

/// `annotations/proxy.go` 8: with `proxy-buffering` and its sizes, too, what a
/// backend has said is with the client before it says the rest.
#[tokio::test]
async fn proxy_8_answers_are_not_held_back() {
    let backend = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let annotations = [
        ("proxy-buffering", "on"),
        ("proxy-buffers-number", "8"),
        ("proxy-buffer-size", "8k"),
        ("proxy-busy-buffers-size", "16k"),
    ];
    let port = backend.local_addr().unwrap().port();
    let yaml = ingress_of("a", HOST, &annotations, &[("/", "Prefix", "slow")]) + &service("slow", &[port]);
    let site = Site::with(&[], &yaml, &[]).await;
    let mut client = Client::connect(site.program.http).await;
    client
        .send(format!("GET / HTTP/1.1\r\nHost: {HOST}\r\n\r\n"))
        .await;
    let (mut stream, _) = backend.accept().await.unwrap();
    stream
        .write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nfirst")
        .await
        .unwrap();
    let mut received = Vec::new();
    while !received.ends_with(b"first") {
        received.extend(client.take(1).await);
    }
    stream.write_all(b"last").await.unwrap();
    assert_eq!(client.take(4).await, b"last");
}

/// A large body that was read first can be sent again.
#[tokio::test]
async fn a_buffered_body_is_sent_again() {
    let site = Site::start(&ingress("a", &[])).await;
    site.echo("echo")
        .set(|behaviour| behaviour.close = Close::BeforeAnswer);
    let body = "y".repeat(500_000);
    let request = format!(
        "PUT / HTTP/1.1\r\nHost: {HOST}\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    );
    assert_eq!(site.request(&request).await.status, 502);
    let seen = site.echo("echo").seen();
    assert_eq!(seen.len(), 3);
    assert!(seen.iter().all(|seen| seen.body == body.as_bytes()));
}

/// A head larger than `proxy-buffer-size` is answered 502, once.
#[tokio::test]
async fn buffer_size_limits_the_head_of_answers() {
    let large = format!("X-Large: {}\r\n", "z".repeat(5000));
    for (annotations, status) in [(&[][..], 502), (&[("proxy-buffer-size", "8k")][..], 200)] {
        let site = Site::start(&ingress("a", annotations)).await;
        site.echo("echo")
            .set(|behaviour| behaviour.headers = large.clone());
        assert_eq!(site.get("/").await.status, status);
        assert_eq!(site.echo("echo").count(), 1);
    }
}

async fn compressing(keys: &[(&str, &str)]) -> Site {
    let yaml = ingress("a", &[]) + &config_map("nginx", keys);
    Site::with(&["echo"], &yaml, &["--configmap=default/nginx"]).await
}

async fn encoding(site: &Site, length: usize, content_type: &str, accept: &str) -> Option<String> {
    site.echo("echo").set(|behaviour| {
        behaviour.body = Some(vec![b'a'; length]);
        // The echo's own JSON type comes first and would win.
        behaviour.raw = Some(
            format!(
                "HTTP/1.1 200 OK\r\nContent-Type: {content_type}\r\nETag: \"v1\"\r\nContent-Length: {length}\r\n\
                 Connection: close\r\n\r\n{}",
                "a".repeat(length)
            )
            .into_bytes(),
        );
    });
    let answer = site
        .ask_with("/", &format!("Accept-Encoding: {accept}\r\n"))
        .await;
    let encoding = answer.header("content-encoding").map(str::to_owned);
    match &encoding {
        Some(_) => {
            assert_eq!(answer.header("etag"), Some("W/\"v1\""));
            assert_eq!(
                answer.header("vary").map(str::to_ascii_lowercase).as_deref(),
                Some("accept-encoding")
            );
            assert_eq!(answer.header("content-length"), None);
            assert!(answer.body.len() < length);
        }
        None => {
            assert_eq!(answer.body.len(), length);
            assert_eq!(answer.header("etag"), Some("\"v1\""));
        }
    }
    encoding
}

/// Off without a ConfigMap.
#[tokio::test]
async fn gzip_1_off() {
    let site = compressing(&[]).await;
    assert_eq!(encoding(&site, 1000, "text/html", "gzip").await, None);
}

/// On: XML from 256 bytes.
#[tokio::test]
async fn gzip_2_on() {
    let site = compressing(&[("use-gzip", "true")]).await;
    assert_eq!(
        encoding(&site, 1000, "application/xml", "gzip").await.as_deref(),
        Some("gzip")
    );
    assert_eq!(encoding(&site, 255, "application/xml", "gzip").await, None);
    assert_eq!(encoding(&site, 1000, "application/xml", "br").await, None);
    assert_eq!(encoding(&site, 1000, "image/png", "gzip").await, None);
}

/// `gzip-min-length` and `gzip-level`.
#[tokio::test]
async fn gzip_3_and_5_level_and_length() {
    let site = compressing(&[
        ("use-gzip", "true"),
        ("gzip-level", "4"),
        ("gzip-min-length", "100"),
    ])
    .await;
    assert_eq!(encoding(&site, 99, "text/html", "gzip").await, None);
    assert_eq!(
        encoding(&site, 100, "text/html", "gzip").await.as_deref(),
        Some("gzip")
    );
}

/// `gzip-disable` of `msie6`: Internet Explorer 6 gets it as it is.
#[tokio::test]
async fn gzip_4_disable() {
    let site = compressing(&[("use-gzip", "true"), ("gzip-disable", "msie6")]).await;
    let agent =
        |version: &str| format!("gzip\r\nUser-Agent: Mozilla/4.0 (compatible; MSIE {version}; Windows)");
    assert_eq!(encoding(&site, 1000, "text/html", &agent("6.0")).await, None);
    assert_eq!(
        encoding(&site, 1000, "text/html", &agent("8.0")).await.as_deref(),
        Some("gzip")
    );
}

/// `gzip-types` replaces the list; HTML is always in it.
#[tokio::test]
async fn gzip_6_types() {
    let site = compressing(&[("use-gzip", "true"), ("gzip-types", "text/html")]).await;
    assert_eq!(encoding(&site, 1000, "application/xml", "gzip").await, None);
    assert_eq!(
        encoding(&site, 1000, "text/html", "gzip").await.as_deref(),
        Some("gzip")
    );
}

/// Brotli from its own length, before gzip.
#[tokio::test]
async fn brotli_1() {
    let keys = [
        ("enable-brotli", "true"),
        ("brotli-min-length", "1000"),
        ("use-gzip", "true"),
        ("gzip-min-length", "2000"),
    ];
    let site = compressing(&keys).await;
    assert_eq!(
        encoding(&site, 1000, "text/html", "gzip, br").await.as_deref(),
        Some("br")
    );
    assert_eq!(encoding(&site, 999, "text/html", "gzip, br").await, None);
    assert_eq!(
        encoding(&site, 2000, "text/html", "gzip").await.as_deref(),
        Some("gzip")
    );
}

/// Ours: Zstandard for clients that take it, before brotli.
#[tokio::test]
async fn zstd() {
    let keys = [
        ("enable-zstd", "true"),
        ("zstd-min-length", "1000"),
        ("enable-brotli", "true"),
    ];
    let site = compressing(&keys).await;
    for (length, accepted, expected) in [
        (1000, "br, zstd", Some("zstd")),
        (999, "br, zstd", Some("br")),
        (1000, "br", Some("br")),
        (1000, "gzip", None),
    ] {
        let encoding = encoding(&site, length, "text/html", accepted).await;
        assert_eq!(encoding.as_deref(), expected, "{length} {accepted}");
    }
}

/// A copy goes to the target, with its body, and the original does not wait.
#[tokio::test]
async fn mirror_1_and_2_target() {
    let mirror = Echo::start("mirror").await;
    mirror.set(|behaviour| behaviour.delay = PATIENCE);
    let target = format!("http://{}/copy$request_uri", mirror.address);
    let site = Site::start(&ingress("a", &[("mirror-target", &target)])).await;
    let request =
        format!("POST /x?y=z HTTP/1.1\r\nHost: {HOST}\r\nX-Mine: 1\r\nContent-Length: 3\r\n\r\nabc");
    assert_eq!(site.request(&request).await.json()["upstream"], "echo");
    eventually("a copy", || mirror.count() == 1).await;
    let copy = mirror.last();
    assert_eq!((copy.method.as_str(), copy.uri.as_str()), ("POST", "/copy/x?y=z"));
    assert_eq!(copy.body, b"abc");
    assert_eq!(copy.header("x-mine"), Some("1"));
    assert_eq!(copy.header("host"), Some(mirror.address.to_string().as_str()));
}

/// `mirror-request-body: off` copies the head alone; `mirror-host` names the
/// host.
#[tokio::test]
async fn mirror_3_without_body() {
    let mirror = Echo::start("mirror").await;
    let target = format!("http://{}", mirror.address);
    let annotations = [
        ("mirror-target", &*target),
        ("mirror-request-body", "off"),
        ("mirror-host", "copies.example"),
    ];
    let site = Site::start(&ingress("a", &annotations)).await;
    let request = format!("POST /x HTTP/1.1\r\nHost: {HOST}\r\nContent-Length: 3\r\n\r\nabc");
    assert_eq!(site.request(&request).await.status, 200);
    eventually("a copy", || mirror.count() == 1).await;
    let copy = mirror.last();
    assert_eq!(
        (copy.uri.as_str(), copy.header("host")),
        ("/", Some("copies.example"))
    );
    assert!(copy.body.is_empty());
}

/// `large-client-header-buffers`: a request line that does not fit one buffer is
/// 414, a field 400, and so are all of them together.
#[tokio::test]
async fn large_client_header_buffers() {
    let keys = [("large-client-header-buffers", "2 2k")];
    let yaml = ingress("a", &[]) + &config_map("config", &keys);
    let site = Site::with(&["echo"], &yaml, &["--configmap=default/config"]).await;
    let ask = |path: usize, fields: &[usize]| {
        let fields = fields.iter().enumerate();
        let fields = fields.map(|(number, length)| format!("X-{number}: {}\r\n", "x".repeat(*length)));
        let fields: String = fields.collect();
        format!(
            "GET /{} HTTP/1.1\r\nHost: {HOST}\r\n{fields}Connection: close\r\n\r\n",
            "p".repeat(path)
        )
    };
    for (path, fields, status) in [
        (1900, &[][..], 200),
        (2100, &[], 414),
        (10, &[1900], 200),
        (10, &[2100], 400),
        (10, &[1500, 1500], 200),
        (10, &[1500, 1500, 1500], 400),
    ] {
        let answer = site.request(&ask(path, fields)).await;
        assert_eq!(answer.status, status, "{path} {fields:?}");
    }
}
