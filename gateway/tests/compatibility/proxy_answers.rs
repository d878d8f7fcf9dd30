//! `annotations/proxy.go`: cookies and redirects of backends.

use crate::site::{HOST, Site, ingress};

/// Cases that only show in nginx's configuration, and what is asserted instead.
#[allow(dead_code, reason = "read by the generator of the documentation")]
pub(crate) const NOT_TESTED: &[(&str, &str)] = &[
    ("1", "`off` is what happens without the annotation"),
    (
        "2",
        "`default` replaces nginx's own name of the backend, which no backend answers",
    ),
    (
        "12",
        "backends are spoken to in HTTP/1.1 always; `1.0` is reported",
    ),
];

/// `proxy-redirect-from` and `-to` replace the start of `Location`.
#[tokio::test]
async fn case_3_redirect() {
    let annotations = [
        ("proxy-redirect-from", "http://hello.com/"),
        ("proxy-redirect-to", "https://goodbye.com/"),
    ];
    let site = Site::start(&ingress("a", &annotations)).await;
    site.echo("echo").set(|behaviour| {
        behaviour.status = 302;
        behaviour.headers = "Location: http://hello.com/a?b\r\n".to_owned();
    });
    assert_eq!(
        site.get("/").await.header("Location"),
        Some("https://goodbye.com/a?b")
    );
}

/// `proxy-cookie-domain` and `-path` replace attributes of cookies.
#[tokio::test]
async fn case_11_cookies() {
    let annotations = [
        ("proxy-cookie-domain", "localhost example.org"),
        ("proxy-cookie-path", "/one/ /"),
    ];
    let site = Site::start(&ingress("a", &annotations)).await;
    site.echo("echo").set(|behaviour| {
        behaviour.headers = "Set-Cookie: a=b; Domain=localhost; Path=/one/two\r\n".to_owned();
    });
    let answer = site.get("/").await;
    assert_eq!(
        answer.header("Set-Cookie"),
        Some("a=b; Domain=example.org; Path=/two")
    );
    assert_eq!(site.echo("echo").last().header("Host"), Some(HOST));
}
