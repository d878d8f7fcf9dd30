//! `ingress/pathtype_exact.go`, `pathtype_mixed.go`, `pathtype_prefix.go` and
//! the regular expressions of `ingress/without_host.go` and its neighbours.

use crate::site::{HOST, Site, config_map, ingress_of};

async fn statuses(site: &Site, expected: &[(&str, u16)]) {
    for (path, status) in expected {
        assert_eq!(site.get(path).await.status, *status, "{path}");
    }
}

async fn regex_site(path: &str) -> Site {
    let paths = [(path, "ImplementationSpecific", "echo")];
    Site::start(&ingress_of("a", HOST, &[("use-regex", "true")], &paths)).await
}

/// Exact beats Prefix; a third Ingress with the same Prefix is ignored.
#[tokio::test]
async fn case_3_exact() {
    let yaml = ingress_of("exact", HOST, &[], &[("/exact", "Exact", "exact")])
        + &ingress_of("prefix", HOST, &[], &[("/exact", "Prefix", "prefix")])
        + &ingress_of("duplicate", HOST, &[], &[("/exact", "Prefix", "duplicate")]);
    let site = Site::with(&["exact", "prefix", "duplicate"], &yaml, &[]).await;
    assert_eq!(site.get("/exact").await.json()["upstream"], "exact");
    // Equal times: the later name comes first.
    assert_eq!(site.get("/exact/suffix").await.json()["upstream"], "prefix");
}

/// Exact and Prefix of `/` and of `/foo` side by side.
#[tokio::test]
async fn case_4_mixed() {
    let paths = [
        ("/", "Exact", "exact-root"),
        ("/", "Prefix", "prefix-root"),
        ("/foo", "Exact", "exact-foo"),
        ("/foo", "Prefix", "prefix-foo"),
    ];
    let services = paths.map(|(_, _, service)| service);
    let site = Site::with(&services, &ingress_of("a", HOST, &[], &paths), &[]).await;
    for (path, service) in [
        ("/", "exact-root"),
        ("/bar", "prefix-root"),
        ("/foo", "exact-foo"),
        ("/foo/bar", "prefix-foo"),
        ("/foobar", "prefix-root"),
    ] {
        assert_eq!(site.get(path).await.json()["upstream"], service, "{path}");
    }
}

/// A Prefix covers whole elements.
#[tokio::test]
async fn case_5_prefix() {
    let site = Site::start(&ingress_of("a", HOST, &[], &[("/aaa", "Prefix", "echo")])).await;
    statuses(
        &site,
        &[
            ("/aaa", 200),
            ("/aaacccc", 404),
            ("/aaa/cccc", 200),
            ("/aaa/", 200),
        ],
    )
    .await;
}

/// A regular expression is anchored at its start only.
#[tokio::test]
async fn case_6_open_end() {
    let site = regex_site("/id/[0-9]+").await;
    statuses(
        &site,
        &[
            ("/id/1", 200),
            ("/id/12", 200),
            ("/id/123", 200),
            ("/id/123a", 200),
            ("/id/aaa", 404),
        ],
    )
    .await;
}

/// `$` anchors the end.
#[tokio::test]
async fn case_7_anchored_end() {
    let site = regex_site("/id/[0-9]+$").await;
    statuses(&site, &[("/id/123", 200), ("/id/123a", 404)]).await;
}

/// Repetition counts.
#[tokio::test]
async fn case_8_repetition() {
    let site = regex_site("/id/[0-9]{3}$").await;
    statuses(
        &site,
        &[
            ("/id/99", 404),
            ("/id/123", 200),
            ("/id/9999", 404),
            ("/id/123a", 404),
        ],
    )
    .await;
}

/// Several classes in one path.
#[tokio::test]
async fn case_9_classes() {
    let site = regex_site("/id/[0-9]+/post/[a-zA-Z]+$").await;
    let expected = [
        ("/id/123/post/abc", 200),
        ("/id/123/post/abc123", 404),
        ("/id/abc/post/abc", 404),
    ];
    statuses(&site, &expected).await;
}

/// Ours: a regular expression host compares every path so.
#[tokio::test]
async fn ours_exact_loses_its_exactness() {
    let yaml = ingress_of("exact", HOST, &[], &[("/foo", "Exact", "echo")])
        + &ingress_of(
            "regex",
            HOST,
            &[("use-regex", "true")],
            &[("/bar/(.*)", "ImplementationSpecific", "echo")],
        );
    let site = Site::start(&yaml).await;
    statuses(
        &site,
        &[("/foobar", 200), ("/FOO", 200), ("/x", 404), ("/xfoo", 404)],
    )
    .await;
}

/// `strict-validate-path-type`: unusual characters in Prefix paths, once it is
/// off.
#[tokio::test]
async fn strict_path_types() {
    let paths = [("/a+b", "Prefix", "echo")];
    let yaml = |strict| {
        ingress_of("a", HOST, &[], &paths) + &config_map("config", &[("strict-validate-path-type", strict)])
    };
    let site = Site::with(&["echo"], &yaml("true"), &["--configmap=default/config"]).await;
    assert_eq!(site.get("/a+b").await.status, 404);
    site.write("objects.yaml", &site.objects(&yaml("false")));
    site.until(HOST, "/a+b/c", |answer| answer.status == 200).await;
    assert_eq!(site.get("/aab").await.status, 404, "it is no pattern");
}
