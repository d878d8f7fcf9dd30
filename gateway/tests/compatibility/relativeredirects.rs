//! `annotations/relativeredirects.go`.

use crate::site::{HOST, Site, ingress, ingress_of};

/// Only shows in nginx's configuration; cases 2 and 3 show it on the wire.
#[allow(dead_code, reason = "read by the generator of the documentation")]
pub(crate) const NOT_TESTED: &[(&str, &str)] = &[("1", "asserts nginx's text; cases 2 and 3 say the same")];

/// Without it a path becomes a URL of the same host.
#[tokio::test]
async fn case_2_off() {
    let annotations = [
        ("permanent-redirect", "/new-location"),
        ("relative-redirects", "false"),
    ];
    let site = Site::start(&ingress("a", &annotations)).await;
    let answer = site.get("/").await;
    assert_eq!(
        (answer.status, answer.header("Location")),
        (301, Some("http://foo/new-location"))
    );
}

/// With it the path stays a path.
#[tokio::test]
async fn case_3_on() {
    let annotations = [
        ("permanent-redirect", "/new-location"),
        ("relative-redirects", "true"),
    ];
    let site = Site::start(&ingress("a", &annotations)).await;
    let answer = site.get("/").await;
    assert_eq!(
        (answer.status, answer.header("Location")),
        (301, Some("/new-location"))
    );
}

/// Ours: so does the redirect that adds a slash.
#[tokio::test]
async fn ours_trailing_slash() {
    let yaml = ingress_of(
        "a",
        HOST,
        &[("relative-redirects", "true")],
        &[("/app/", "Prefix", "echo")],
    );
    let site = Site::start(&yaml).await;
    let answer = site.get("/app?a=b").await;
    assert_eq!(
        (answer.status, answer.header("Location")),
        (301, Some("/app/?a=b"))
    );
}
