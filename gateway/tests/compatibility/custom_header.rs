//! `settings/custom_header.go`, and the ConfigMap's other lists of headers.

use crate::site::{Site, config_map, ingress};

async fn site(controller: &[(&str, &str)], fields: &[(&str, &str)]) -> Site {
    let yaml = config_map("controller", controller) + &config_map("fields", fields) + &ingress("a", &[]);
    Site::with(&["echo"], &yaml, &["--configmap=default/controller"]).await
}

/// One header of `add-headers` is on answers.
#[tokio::test]
async fn case_1_one() {
    let site = site(&[("add-headers", "default/fields")], &[("Foo", "Bar")]).await;
    assert_eq!(site.get("/").await.header("Foo"), Some("Bar"));
}

/// Two are, on the gateway's own answers too, instead of the backend's.
#[tokio::test]
async fn case_2_two() {
    let fields = [("First", "one"), ("Second", "id-$req_id")];
    let site = site(&[("add-headers", "default/fields")], &fields).await;
    site.echo("echo")
        .set(|behaviour| behaviour.headers = "First: backend\r\n".to_owned());
    let answer = site.ask_with("/", "X-Request-ID: 7\r\n").await;
    assert_eq!(
        (answer.header("First"), answer.header("Second")),
        (Some("one"), Some("id-7"))
    );
    assert_eq!(answer.head.to_ascii_lowercase().matches("\nfirst:").count(), 1);
    assert_eq!(site.ask_host("unknown", "/").await.header("First"), Some("one"));
}

/// Ours: `hide-headers` and `proxy-set-headers`; the custom value wins.
#[tokio::test]
async fn ours_hide_and_set() {
    let controller = [
        ("hide-headers", "X-Powered-By, Via"),
        ("proxy-set-headers", "default/fields"),
    ];
    let fields = [
        ("X-Real-IP", "from-$remote_addr"),
        ("X-Scheme", ""),
        ("X-Team", "a b"),
    ];
    let site = site(&controller, &fields).await;
    site.echo("echo")
        .set(|behaviour| behaviour.headers = "X-Powered-By: x\r\nX-Other: y\r\n".to_owned());
    let answer = site.get("/").await;
    assert_eq!(
        (answer.header("X-Powered-By"), answer.header("X-Other")),
        (None, Some("y"))
    );
    let seen = site.echo("echo").last();
    assert_eq!(seen.header("X-Real-IP"), Some("from-127.0.0.1"));
    assert_eq!(
        (seen.header("X-Scheme"), seen.header("X-Team")),
        (None, Some("a b"))
    );
}
