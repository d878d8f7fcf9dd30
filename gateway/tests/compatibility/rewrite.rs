//! `annotations/rewrite.go`.

use crate::site::{HOST, Site, ingress_of};
use crate::support::client::Answer;

fn uri(answer: &Answer) -> String {
    assert_eq!(answer.status, 200, "{answer:?}");
    answer.json()["uri"].as_str().unwrap().to_owned()
}

fn upstream(answer: &Answer) -> String {
    answer.json()["upstream"].as_str().unwrap().to_owned()
}

/// `rewrite-target: /` on `/something`: 200, without regard to case.
#[tokio::test]
async fn case_1_target() {
    let paths = [("/something", "Prefix", "echo")];
    let site = Site::start(&ingress_of("a", HOST, &[("rewrite-target", "/")], &paths)).await;
    assert_eq!(uri(&site.get("/something").await), "/");
    assert_eq!(uri(&site.get("/SOMETHING/else?a=%2F").await), "/?a=%2F");
    assert_eq!(site.get("/other").await.status, 404);
}

/// A plain path of another Ingress wins over `/` that is rewritten, and is not
/// rewritten itself.
#[tokio::test]
async fn case_2_plain_wins_by_length() {
    let plain = [("/.well-known/acme/challenge", "Prefix", "plain")];
    let yaml = ingress_of("plain", HOST, &[], &plain)
        + &ingress_of(
            "rewriting",
            HOST,
            &[("rewrite-target", "/new/backend")],
            &[("/", "Prefix", "echo")],
        );
    let site = Site::with(&["echo", "plain"], &yaml, &[]).await;
    let answer = site.get("/.well-known/acme/challenge").await;
    assert_eq!(
        (upstream(&answer), uri(&answer)),
        ("plain".into(), "/.well-known/acme/challenge".into())
    );
    let answer = site.get("/any").await;
    assert_eq!(
        (upstream(&answer), uri(&answer)),
        ("echo".into(), "/new/backend".into())
    );
}

/// `/foo` stays as it is, `/foo.+` is rewritten.
#[tokio::test]
async fn case_3_use_regex_beside_plain() {
    let regex = [("use-regex", "true"), ("rewrite-target", "/new/backend")];
    let yaml = ingress_of("plain", HOST, &[], &[("/foo", "Exact", "echo")])
        + &ingress_of(
            "regex",
            HOST,
            &regex,
            &[("/foo.+", "ImplementationSpecific", "echo")],
        );
    let site = Site::start(&yaml).await;
    assert_eq!(uri(&site.get("/foo").await), "/foo");
    assert_eq!(uri(&site.get("/foo/bar").await), "/new/backend");
}

/// The longer pattern wins: `/foo/bar/[a-z]{3}` over `/foo/bar/bar`.
#[tokio::test]
async fn case_4_longest_pattern() {
    let regex = [("use-regex", "true"), ("rewrite-target", "/new/backend")];
    let yaml = ingress_of("plain", HOST, &[], &[("/foo/bar/bar", "Prefix", "echo")])
        + &ingress_of(
            "regex",
            HOST,
            &regex,
            &[("/foo/bar/[a-z]{3}", "ImplementationSpecific", "echo")],
        );
    let site = Site::start(&yaml).await;
    assert_eq!(uri(&site.get("/foo/bar/bar").await), "/new/backend");
}

/// A group goes where `$1` stands.
#[tokio::test]
async fn case_5_groups() {
    let regex = [("use-regex", "true"), ("rewrite-target", "/new/backend/$1")];
    let paths = [("/foo/bar/(.+)", "ImplementationSpecific", "echo")];
    let site = Site::start(&ingress_of("a", HOST, &regex, &paths)).await;
    assert_eq!(uri(&site.get("/foo/bar/bar?x=y").await), "/new/backend/bar?x=y");
}

/// Ours: what leads out of the target is refused, what was decoded is escaped.
#[tokio::test]
async fn ours_the_target_is_not_left() {
    let paths = [("/static(.*)", "ImplementationSpecific", "echo")];
    let site = Site::start(&ingress_of("a", HOST, &[("rewrite-target", "/files/$1")], &paths)).await;
    assert_eq!(site.get("/static../secret").await.status, 400);
    assert_eq!(uri(&site.get("/static%3Fa%20b").await), "/files/%3Fa%20b");
}

/// Look-around and back-references in paths, as PCRE has them.
#[tokio::test]
async fn look_around() {
    let paths = [
        ("/(?!api)(.*)", "ImplementationSpecific", "echo"),
        (r"/api/(\w+)/\1", "ImplementationSpecific", "echo"),
        ("/slow/((?=a)a|aa?)+$", "ImplementationSpecific", "echo"),
    ];
    let annotations = [("use-regex", "true"), ("rewrite-target", "/new/$1")];
    let site = Site::start(&ingress_of("a", HOST, &annotations, &paths)).await;
    assert_eq!(uri(&site.get("/web/x").await), "/new/web/x");
    assert_eq!(site.get("/API/x").await.status, 404);
    assert_eq!(uri(&site.get("/api/v1/v1").await), "/new/v1");
    // Nobody can tell which route it is: none is.
    let hostile = format!("/slow/{}b", "a".repeat(100));
    assert_eq!(site.get(&hostile).await.status, 400);
    assert_eq!(site.echo("echo").count(), 2);
}
