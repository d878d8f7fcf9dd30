//! `annotations/approot.go`.

use crate::site::{HOST, Site, ingress, ingress_of};

/// `/` is redirected to the application.
#[tokio::test]
async fn case_1_redirect() {
    let site = Site::start(&ingress("a", &[("app-root", "/foo")])).await;
    let answer = site.get("/").await;
    assert_eq!(
        (answer.status, answer.header("Location")),
        (302, Some("http://foo/foo"))
    );
    assert_eq!(site.get("/foo").await.status, 200);
}

/// Ours: also without a rule for `/`, with the port that the client named, and
/// before the redirect to https.
#[tokio::test]
async fn ours_first_of_all() {
    let annotations = [("app-root", "/foo"), ("force-ssl-redirect", "true")];
    let site = Site::start(&ingress_of(
        "a",
        HOST,
        &annotations,
        &[("/foo", "Prefix", "echo")],
    ))
    .await;
    let answer = site
        .request("GET /?a=b HTTP/1.1\r\nHost: foo:8080\r\nConnection: close\r\n\r\n")
        .await;
    assert_eq!(
        (answer.status, answer.header("Location")),
        (302, Some("http://foo:8080/foo"))
    );
}
