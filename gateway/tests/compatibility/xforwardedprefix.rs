//! `annotations/xforwardedprefix.go`.

use crate::site::{HOST, Site, ingress, ingress_of};

const NAME: &str = "X-Forwarded-Prefix";

/// The value reaches the backend where the path is rewritten.
#[tokio::test]
async fn case_1_value() {
    let annotations = [("x-forwarded-prefix", "/test/value"), ("rewrite-target", "/foo")];
    let site = Site::start(&ingress_of("a", HOST, &annotations, &[("/", "Prefix", "echo")])).await;
    assert_eq!(site.get("/").await.status, 200);
    assert_eq!(site.echo("echo").last().header(NAME), Some("/test/value"));
}

/// An empty value sends nothing; nor does any without rewriting.
#[tokio::test]
async fn case_2_empty() {
    for annotations in [
        [("x-forwarded-prefix", ""), ("rewrite-target", "/foo")],
        [("x-forwarded-prefix", "/test"), ("use-regex", "true")],
    ] {
        let site = Site::start(&ingress("a", &annotations)).await;
        assert_eq!(site.get("/").await.status, 200);
        assert_eq!(site.echo("echo").last().header(NAME), None);
    }
}
