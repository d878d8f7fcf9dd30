//! The gateway's own answers, exactly.

use std::time::Duration;

use tidegate_snapshot::policy::{Hsts, HttpsRedirect};
use tidegate_snapshot::{Action, HttpSettings, ListenerProtocol, PathMatch};

use crate::harness::{Gateway, simple};
use crate::support::client::{Answer, Client};
use crate::support::snapshot::{Builder, custom, forward, route, with_policies};
use crate::support::upstream::{Close, Echo};

/// An answer's head without its date, then its body.
fn exact(answer: &Answer) -> String {
    let lines = answer.head.split_inclusive("\r\n");
    let head: String = lines
        .filter(|line| !line.to_ascii_lowercase().starts_with("date:"))
        .collect();
    head + &answer.text()
}

fn page(title: &str) -> String {
    format!(
        "<html>\r\n<head><title>{title}</title></head>\r\n<body>\r\n<center><h1>{title}</h1></center>\r\n\
         <hr><center>tidegate</center>\r\n</body>\r\n</html>\r\n"
    )
}

fn expected(title: &str, connection: &str) -> String {
    let page = page(title);
    let length = page.len();
    format!(
        "HTTP/1.1 {title}\r\nContent-Type: text/html\r\nContent-Length: {length}\r\n\
         Connection: {connection}\r\n\r\n{page}"
    )
}

#[tokio::test]
async fn nothing_matches_404() {
    let gateway = Gateway::start(&simple(&[]));
    let mut client = gateway.client().await;
    for _ in 0..2 {
        let answer = client.get("other.host", "/x").await;
        assert_eq!(exact(&answer), expected("404 Not Found", "keep-alive"));
        assert!(answer.header("Date").is_some());
    }
    let head = client
        .request("HEAD / HTTP/1.1\r\nHost: other.host\r\n\r\n")
        .await;
    assert_eq!((head.status, head.header("Content-Length")), (404, Some("149")));
    assert_eq!(client.get("other.host", "/").await.status, 404);
}

#[tokio::test]
async fn nowhere_to_go_503() {
    let builder = simple(&[]).host("gone.bar", [route("/", "no-such-cluster")]);
    let gateway = Gateway::start(&builder);
    let mut client = gateway.client().await;
    for host in ["foo.bar", "gone.bar"] {
        let answer = client.get(host, "/").await;
        assert_eq!(
            exact(&answer),
            expected("503 Service Temporarily Unavailable", "keep-alive")
        );
    }
}

#[tokio::test]
async fn a_route_that_fails_closed_503() {
    let echo = Echo::start("one").await;
    let broken = with_policies(route("/", "a"), |policies| {
        policies.disabled = Some("auth".to_owned())
    });
    let gateway = Gateway::start(&simple(&[echo.address]).host("foo.bar", [broken]));
    assert_eq!(gateway.client().await.get("foo.bar", "/").await.status, 503);
    assert_eq!(echo.count(), 0);
}

#[tokio::test]
async fn the_upstream_is_broken_502() {
    let echo = Echo::start("one").await;
    let gateway = Gateway::start(&simple(&[echo.address]));
    echo.set(|behaviour| behaviour.close = Close::BeforeAnswer);
    let mut client = gateway.client().await;
    let answer = client.get("foo.bar", "/").await;
    assert_eq!(exact(&answer), expected("502 Bad Gateway", "keep-alive"));
    echo.set(|behaviour| behaviour.close = Close::Never);
    assert_eq!(
        client.get("foo.bar", "/").await.status,
        200,
        "the same connection"
    );
    echo.set(|behaviour| {
        behaviour.raw = Some(b"not http at all\r\n\r\n".to_vec());
    });
    assert_eq!(gateway.client().await.get("foo.bar", "/").await.status, 502);
    echo.set(|behaviour| behaviour.close = Close::AtOnce);
    assert_eq!(gateway.client().await.get("foo.bar", "/").await.status, 502);
}

#[tokio::test]
async fn the_upstream_refuses_502() {
    let gone = tokio::net::TcpListener::bind("127.0.0.1:0")
        .await
        .unwrap()
        .local_addr()
        .unwrap();
    let gateway = Gateway::start(&simple(&[gone]));
    let answer = gateway.client().await.get("foo.bar", "/").await;
    assert_eq!(exact(&answer), expected("502 Bad Gateway", "keep-alive"));
}

#[tokio::test]
async fn the_upstream_is_silent_504() {
    let echo = Echo::start("one").await;
    echo.set(|behaviour| behaviour.delay = Duration::from_secs(5));
    let hasty = with_policies(route("/", "a"), |policies| {
        policies.timeouts.read = Duration::from_millis(100);
        policies.retry.tries = 1;
    });
    let gateway = Gateway::start(&simple(&[echo.address]).host("foo.bar", [hasty]));
    let answer = gateway.client().await.get("foo.bar", "/").await;
    assert_eq!(exact(&answer), expected("504 Gateway Time-out", "keep-alive"));
    assert_eq!(echo.count(), 1);
}

fn redirecting() -> Builder {
    let secure = with_policies(route("/", "a"), |policies| {
        policies.https_redirect = Some(HttpsRedirect::default());
        policies.hsts = Some(Hsts::default());
    });
    Builder::new()
        .https("https")
        .certificate("")
        .http("http")
        .host("foo.bar", [secure])
}

#[tokio::test]
async fn plain_http_is_sent_to_https_308() {
    let gateway = Gateway::start(&redirecting());
    let mut client = gateway.client().await;
    for (target, location) in [
        ("/", "https://foo.bar"),
        ("/a/b/", "https://foo.bar/a/b"),
        ("/a%20b?c=d", "https://foo.bar/a%20b?c=d"),
    ] {
        let answer = client.get("Foo.Bar:8080", target).await;
        let page = page("308 Permanent Redirect");
        let expected = format!(
            "HTTP/1.1 308 Permanent Redirect\r\nContent-Type: text/html\r\nContent-Length: {}\r\n\
             Location: {location}\r\nConnection: keep-alive\r\n\r\n{page}",
            page.len()
        );
        assert_eq!(exact(&answer), expected);
    }
    let post = "POST / HTTP/1.1\r\nHost: foo.bar\r\nContent-Length: 3\r\n\r\nabc";
    assert_eq!(client.request(post).await.status, 308);
    assert_eq!(
        client.get("foo.bar", "/").await.status,
        308,
        "the body was thrown away"
    );
}

#[tokio::test]
async fn a_trusted_proxy_that_ended_tls_is_not_redirected() {
    let echo = Echo::start("one").await;
    let builder =
        redirecting()
            .cluster("a", &[echo.address])
            .listener("http", ListenerProtocol::Http, |listener| {
                let mut http = HttpSettings::default();
                http.real_ip.use_forwarded_headers = true;
                http.real_ip.trusted = vec!["127.0.0.0/8".parse().unwrap()];
                listener.http = http.into();
            });
    let gateway = Gateway::start(&builder);
    let mut client = gateway.client().await;
    let https = "GET / HTTP/1.1\r\nHost: foo.bar\r\nX-Forwarded-Proto: https\r\n\r\n";
    let answer = client.request(https).await;
    assert_eq!(
        (answer.status, answer.header("Strict-Transport-Security")),
        (200, None)
    );
    let http =
        "GET /a HTTP/1.1\r\nHost: foo.bar\r\nX-Forwarded-Proto: http\r\nX-Forwarded-Host: Pub:1\r\n\r\n";
    let answer = client.request(http).await;
    assert_eq!(
        (answer.status, answer.header("Location")),
        (308, Some("https://pub/a"))
    );
}

#[tokio::test]
async fn hsts_is_on_every_answer_over_tls() {
    const VALUE: Option<&str> = Some("max-age=31536000; includeSubDomains");
    let echo = Echo::start("one").await;
    echo.set(|behaviour| behaviour.headers = "Strict-Transport-Security: max-age=1\r\n".to_owned());
    let builder = redirecting().cluster("a", &[echo.address]);
    let gateway = Gateway::start(&builder);
    let mut client = Client::tls(gateway.address("https"), "foo.bar", &[]).await;
    let answer = client.get("foo.bar", "/").await;
    assert_eq!(
        (answer.status, answer.header("Strict-Transport-Security")),
        (200, VALUE)
    );
    let fields = answer
        .headers
        .iter()
        .filter(|(name, _)| name.eq_ignore_ascii_case("strict-transport-security"));
    assert_eq!(fields.count(), 1);
    echo.set(|behaviour| behaviour.close = Close::BeforeAnswer);
    let answer = client.get("foo.bar", "/").await;
    assert_eq!(
        (answer.status, answer.header("Strict-Transport-Security")),
        (502, VALUE)
    );
    let gateway = Gateway::start(&redirecting());
    let mut client = Client::tls(gateway.address("https"), "foo.bar", &[]).await;
    let answer = client.get("foo.bar", "/").await;
    assert_eq!(
        (answer.status, answer.header("Strict-Transport-Security")),
        (503, VALUE)
    );
    let answer = gateway.client().await.get("foo.bar", "/").await;
    assert_eq!(
        (answer.status, answer.header("Strict-Transport-Security")),
        (308, None)
    );
}

#[tokio::test]
async fn a_missing_slash_is_added_301() {
    let echo = Echo::start("one").await;
    let routes = [
        custom(PathMatch::Below("/foo/".into()), forward(&[("a", 1)])),
        with_policies(
            custom(PathMatch::Exact("/foo".into()), Action::AddTrailingSlash),
            |policies| {
                policies.https_redirect = Some(HttpsRedirect::default());
            },
        ),
        custom(PathMatch::Exact("/ü b".into()), Action::AddTrailingSlash),
    ];
    let builder = simple(&[echo.address])
        .host("foo.bar", routes)
        .https("https")
        .certificate("");
    let gateway = Gateway::start(&builder);
    let mut client = gateway.client().await;
    for (target, location) in [
        ("/foo", "http://foo.bar/foo/"),
        ("/foo?a=b", "http://foo.bar/foo/?a=b"),
        ("//x/..//foo", "http://foo.bar/foo/"),
        ("/%C3%BC%20b", "http://foo.bar/%C3%BC%20b/"),
    ] {
        let answer = client.get("foo.bar:81", target).await;
        assert_eq!((answer.status, answer.header("Location")), (301, Some(location)));
    }
    assert_eq!(client.get("foo.bar", "/foo/").await.status, 200);
    let mut client = Client::tls(gateway.address("https"), "foo.bar", &[]).await;
    let answer = client.get("foo.bar", "/foo").await;
    assert_eq!(answer.header("Location"), Some("https://foo.bar/foo/"));
}

#[tokio::test]
async fn a_route_can_answer_by_itself() {
    let routes = [
        custom(PathMatch::Exact("/teapot".into()), Action::Respond(418)),
        custom(PathMatch::Prefix("".into()), Action::Respond(404)),
    ];
    let gateway = Gateway::start(&Builder::new().http("http").host("", routes));
    let mut client = gateway.client().await;
    assert_eq!(
        exact(&client.get("x", "/").await),
        expected("404 Not Found", "keep-alive")
    );
    let answer = client.get("x", "/teapot").await;
    assert_eq!((answer.status, answer.header("Content-Length")), (418, Some("0")));
}
