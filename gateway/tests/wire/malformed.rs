//! Requests that break HTTP: the exact status, and that nothing reaches an
//! upstream.

use crate::harness::{Gateway, simple};
use crate::support::upstream::Echo;

/// Status of the answer (0: closed without one), and whether anything came
/// after it.
async fn outcome(gateway: &Gateway, request: &[u8]) -> (u16, String) {
    let mut client = gateway.client().await;
    client.send(request).await;
    let raw = String::from_utf8_lossy(&client.rest().await).into_owned();
    let status = raw.get(9..12).and_then(|status| status.parse().ok()).unwrap_or(0);
    (status, raw)
}

async fn refused(cases: &[(u16, &[u8])]) {
    let echo = Echo::start("one").await;
    let gateway = Gateway::start(&simple(&[echo.address]));
    for (expected, request) in cases {
        let (status, raw) = outcome(&gateway, request).await;
        let shown = String::from_utf8_lossy(&request[..request.len().min(200)]).into_owned();
        assert_eq!(status, *expected, "{shown:?} -> {raw:?}");
        assert_eq!(
            raw.matches("HTTP/1.1 ").count(),
            1,
            "one answer, then the end: {shown:?} -> {raw:?}"
        );
        assert_eq!(echo.count(), 0, "{shown:?} reached the upstream");
    }
}

/// Pingora answers heads that it cannot parse without asking anybody.
#[tokio::test]
async fn heads_that_do_not_parse_get_our_page_and_are_counted() {
    let echo = Echo::start("one").await;
    let gateway = Gateway::start(&simple(&[echo.address]));
    let bad = "NONSENSE\r\n\r\n";
    let (status, raw) = outcome(&gateway, bad.as_bytes()).await;
    assert_eq!(status, 400);
    assert!(
        raw.contains("<title>400 Bad Request</title>") && !raw.contains("Pingora"),
        "{raw}"
    );
    assert!(raw.contains("\r\nConnection: close\r\n"), "{raw}");
    let page = raw.split_once("\r\n\r\n").unwrap().1;
    assert!(
        raw.contains(&format!("Content-Length: {}\r\n", page.len())),
        "{raw}"
    );
    // Also as the second request of a connection.
    let good = "GET / HTTP/1.1\r\nHost: foo.bar\r\n\r\n";
    let mut client = gateway.client().await;
    assert_eq!(client.request(good).await.status, 200);
    client.send(bad.as_bytes()).await;
    let second = String::from_utf8_lossy(&client.rest().await).into_owned();
    assert!(
        second.starts_with("HTTP/1.1 400 ") && second.ends_with(page),
        "{second}"
    );
    let counted = gateway.metrics.encode();
    let line = counted.lines().find(|line| {
        line.starts_with("tidegate_requests_total{")
            && line.contains("class=\"4xx\"")
            && line.contains("ingress=\"\"")
    });
    assert!(line.is_some_and(|line| line.ends_with(" 2")), "{counted}");
}

#[tokio::test]
async fn ambiguous_lengths() {
    refused(&[
        (400, b"POST / HTTP/1.1\r\nHost: foo.bar\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"),
        (400, b"POST / HTTP/1.1\r\nHost: foo.bar\r\nTransfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n0\r\n\r\n"),
        (400, b"POST / HTTP/1.1\r\nHost: foo.bar\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\nabcd"),
        (400, b"POST / HTTP/1.1\r\nHost: foo.bar\r\nContent-Length: 3\r\nContent-Length: 3\r\n\r\nabc"),
        (400, b"POST / HTTP/1.1\r\nHost: foo.bar\r\nContent-Length: 3, 3\r\n\r\nabc"),
        (400, b"POST / HTTP/1.1\r\nHost: foo.bar\r\nContent-Length: +3\r\n\r\nabc"),
        (400, b"POST / HTTP/1.1\r\nHost: foo.bar\r\nContent-Length: -1\r\n\r\n"),
        (400, b"POST / HTTP/1.1\r\nHost: foo.bar\r\nContent-Length: 0x3\r\n\r\nabc"),
        (400, b"POST / HTTP/1.1\r\nHost: foo.bar\r\nContent-Length: 99999999999999999999\r\n\r\n"),
        (400, b"POST / HTTP/1.0\r\nHost: foo.bar\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"),
    ])
    .await;
}

#[tokio::test]
async fn transfer_codings() {
    refused(&[
        (400, b"POST / HTTP/1.1\r\nHost: foo.bar\r\nTransfer-Encoding: identity\r\n\r\n"),
        (400, b"POST / HTTP/1.1\r\nHost: foo.bar\r\nTransfer-Encoding: chunked, gzip\r\n\r\n0\r\n\r\n"),
        (501, b"POST / HTTP/1.1\r\nHost: foo.bar\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n"),
        (400, b"POST / HTTP/1.1\r\nHost: foo.bar\r\nTransfer-Encoding: xchunked\r\n\r\n0\r\n\r\n"),
        (400, b"POST / HTTP/1.1\r\nHost: foo.bar\r\nTransfer-Encoding : chunked\r\n\r\n0\r\n\r\n"),
        (400, b"POST / HTTP/1.1\r\nHost: foo.bar\r\nTransfer-Encoding: \x0bchunked\r\n\r\n0\r\n\r\n"),
        (400, b"POST / HTTP/1.1\r\nHost: foo.bar\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"),
        (400, b"POST / HTTP/1.1\r\nHost: foo.bar\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n\r\n0\r\n\r\n"),
    ])
    .await;
}

#[tokio::test]
async fn hosts() {
    refused(&[
        (400, b"GET / HTTP/1.1\r\n\r\n"),
        (400, b"GET / HTTP/1.1\r\nHost: foo.bar\r\nHost: foo.bar\r\n\r\n"),
        (400, b"GET / HTTP/1.1\r\nHost: foo.bar\r\nHost: evil\r\n\r\n"),
        (400, b"GET / HTTP/1.1\r\nHost:\r\n\r\n"),
        (400, b"GET / HTTP/1.1\r\nHost: foo/bar\r\n\r\n"),
        (400, b"GET / HTTP/1.1\r\nHost: foo bar\r\n\r\n"),
        (400, b"GET / HTTP/1.1\r\nHost: foo..bar\r\n\r\n"),
        (400, b"GET / HTTP/1.1\r\nHost: user@foo.bar\r\n\r\n"),
        (400, b"GET http://foo.bar/ HTTP/1.1\r\nHost: evil\r\n\r\n"),
        (400, b"GET http://user@foo.bar/ HTTP/1.1\r\nHost: foo.bar\r\n\r\n"),
    ])
    .await;
}

#[tokio::test]
async fn targets_and_methods() {
    let escape = "GET /%zz HTTP/1.1\r\nHost: foo.bar\r\n\r\n";
    refused(&[
        (400, b"GET /../etc HTTP/1.1\r\nHost: foo.bar\r\n\r\n"),
        (400, b"GET /a/%2e%2e/%2E%2E/b HTTP/1.1\r\nHost: foo.bar\r\n\r\n"),
        (400, b"GET /%00 HTTP/1.1\r\nHost: foo.bar\r\n\r\n"),
        (400, escape.as_bytes()),
        (400, b"OPTIONS * HTTP/1.1\r\nHost: foo.bar\r\n\r\n"),
        (400, b"GET foo HTTP/1.1\r\nHost: foo.bar\r\n\r\n"),
        (400, b"get / HTTP/1.1\r\nHost: foo.bar\r\n\r\n"),
        (400, b"GE(T / HTTP/1.1\r\nHost: foo.bar\r\n\r\n"),
        (
            405,
            b"TRACE / HTTP/1.1\r\nHost: foo.bar\r\nConnection: close\r\n\r\n",
        ),
        (405, b"CONNECT foo.bar:80 HTTP/1.1\r\nHost: foo.bar:80\r\n\r\n"),
        (400, b"GET / HTTP/3.0\r\nHost: foo.bar\r\n\r\n"),
        (400, b"GET /\r\n\r\n"),
        (400, b"NONSENSE\r\n\r\n"),
    ])
    .await;
}

#[tokio::test]
async fn fields() {
    refused(&[
        (400, b"GET / HTTP/1.1\r\nHost: foo.bar\r\nNo colon\r\n\r\n"),
        (400, b"GET / HTTP/1.1\r\nHost: foo.bar\r\nA b: c\r\n\r\n"),
        (400, b"GET / HTTP/1.1\r\nHost: foo.bar\r\nA : c\r\n\r\n"),
        (400, b"GET / HTTP/1.1\r\nHost: foo.bar\r\n: c\r\n\r\n"),
        (400, b"GET / HTTP/1.1\r\nHost: foo.bar\r\nX: a\x00b\r\n\r\n"),
        (400, b"GET / HTTP/1.1\r\nHost: foo.bar\r\nX: a\rb\r\n\r\n"),
        // obs-fold
        (400, b"GET / HTTP/1.1\r\nHost: foo.bar\r\nX: a\r\n b\r\n\r\n"),
        (400, b"GET / HTTP/1.1\r\n Host: foo.bar\r\n\r\n"),
    ])
    .await;
}

#[tokio::test]
async fn sizes() {
    let long = "a".repeat(9000);
    let line = format!("GET /{long} HTTP/1.1\r\nHost: foo.bar\r\n\r\n");
    let field = format!("GET / HTTP/1.1\r\nHost: foo.bar\r\nX: {long}\r\n\r\n");
    let part = "a".repeat(7000);
    let fields: String = (0..5).map(|n| format!("X-{n}: {part}\r\n")).collect();
    let total = format!("GET / HTTP/1.1\r\nHost: foo.bar\r\n{fields}\r\n");
    let many: String = (0..300).map(|n| format!("X-{n}: 1\r\n")).collect();
    let many = format!("GET / HTTP/1.1\r\nHost: foo.bar\r\n{many}\r\n");
    refused(&[
        (414, line.as_bytes()),
        (400, field.as_bytes()),
        (400, total.as_bytes()),
        // Pingora parses at most 256 fields.
        (400, many.as_bytes()),
    ])
    .await;
}

#[tokio::test]
async fn bad_chunks_end_the_request() {
    let echo = Echo::start("one").await;
    let gateway = Gateway::start(&simple(&[echo.address]));
    for chunks in [
        "zz\r\nabc\r\n0\r\n\r\n",
        "3\r\nabcX\r\n0\r\n\r\n",
        "ffffffffffffffffff\r\n",
        "-1\r\n\r\n",
    ] {
        let head = "POST / HTTP/1.1\r\nHost: foo.bar\r\nTransfer-Encoding: chunked\r\n\r\n";
        let (status, raw) = outcome(&gateway, format!("{head}{chunks}").as_bytes()).await;
        assert_eq!(status, 400, "{chunks:?} -> {raw:?}");
        assert_eq!(
            echo.count(),
            0,
            "the upstream never gets a whole request: {chunks:?}"
        );
    }
}

/// What nginx takes is taken: bare line feeds end lines.
#[tokio::test]
async fn bare_line_feeds_are_line_ends_and_reach_the_upstream_as_proper_ones() {
    let echo = Echo::start("one").await;
    let gateway = Gateway::start(&simple(&[echo.address]));
    let mut client = gateway.client().await;
    let answer = client.request("GET /a HTTP/1.1\nHost: foo.bar\nX-A: 1\n\n").await;
    assert_eq!(answer.status, 200);
    let seen = echo.last();
    assert_eq!((&*seen.uri, seen.header("X-A")), ("/a", Some("1")));
    assert!(!seen.head.replace("\r\n", "").contains('\n'));
}

/// The classic shapes: whatever the first request's framing is taken for, the
/// upstream must see the hidden one never.
#[tokio::test]
async fn smuggled_requests_stay_out() {
    let echo = Echo::start("one").await;
    let gateway = Gateway::start(&simple(&[echo.address]));
    let hidden = "GET /hidden HTTP/1.1\r\nHost: foo.bar\r\n\r\n";
    let length = hidden.len();
    let shapes = [
        format!(
            "POST / HTTP/1.1\r\nHost: foo.bar\r\nContent-Length: {length}\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n{hidden}"
        ),
        format!(
            "POST / HTTP/1.1\r\nHost: foo.bar\r\nContent-Length: 0\r\nContent-Length: {length}\r\n\r\n{hidden}"
        ),
        format!(
            "POST / HTTP/1.1\r\nHost: foo.bar\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: x\r\n\r\n0\r\n\r\n{hidden}"
        ),
        format!(
            "POST / HTTP/1.1\r\nHost: foo.bar\r\nContent-Length: 0\r\nTransfer_Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n{hidden}"
        ),
        format!("GET / HTTP/1.1\r\nHost: foo.bar\r\nX: y\rContent-Length: {length}\r\n\r\n{hidden}"),
        format!(
            "POST / HTTP/1.0\r\nHost: foo.bar\r\nConnection: keep-alive\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n{hidden}"
        ),
    ];
    for shape in shapes {
        let (status, raw) = outcome(&gateway, shape.as_bytes()).await;
        assert_eq!(status, 400, "{shape:?} -> {raw:?}");
        assert_eq!(echo.count(), 0, "{shape:?} -> {:?}", echo.seen());
    }
    // A body that looks like a request is a body.
    let body = format!("POST / HTTP/1.1\r\nHost: foo.bar\r\nContent-Length: {length}\r\n\r\n{hidden}");
    let answer = gateway.client().await.request(body).await;
    assert_eq!((answer.status, echo.count()), (200, 1));
    assert_eq!(answer.json()["body"], hidden);
}
