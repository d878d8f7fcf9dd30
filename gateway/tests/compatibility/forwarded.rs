//! Keys of `X-Forwarded-For` that ingress-nginx's tests leave out.

use crate::site::{Site, config_map, ingress};

async fn site(keys: &[(&str, &str)]) -> Site {
    let yaml = ingress("web", &[]) + &config_map("config", keys);
    Site::with(&["echo"], &yaml, &["--configmap=default/config"]).await
}

/// What the backend gets in this field.
async fn seen(site: &Site, fields: &str, name: &str) -> Option<String> {
    assert_eq!(site.ask_with("/", fields).await.status, 200);
    site.echo("echo").last().header(name).map(str::to_owned)
}

const LIST: &str = "X-Forwarded-For: 1.2.3.4, 10.0.0.1\r\n";

/// `compute-full-forwarded-for`: the peer is put behind the list; without it the
/// client's address takes the list's place.
#[tokio::test]
async fn compute_full_forwarded_for() {
    let trusted = [
        ("use-forwarded-headers", "true"),
        ("proxy-real-ip-cidr", "127.0.0.0/8,10.0.0.0/8"),
    ];
    let replaced = site(&trusted).await;
    assert_eq!(
        seen(&replaced, LIST, "x-forwarded-for").await.as_deref(),
        Some("1.2.3.4")
    );
    let full = [&trusted[..], &[("compute-full-forwarded-for", "true")]].concat();
    let full = site(&full).await;
    let list = seen(&full, LIST, "x-forwarded-for").await;
    assert_eq!(list.as_deref(), Some("1.2.3.4, 10.0.0.1, 127.0.0.1"));
    assert_eq!(full.echo("echo").last().header("x-real-ip"), Some("1.2.3.4"));
    assert_eq!(
        seen(&full, "", "x-forwarded-for").await.as_deref(),
        Some("127.0.0.1")
    );
}

/// `forwarded-for-header`: the address comes from another field, and
/// `X-Forwarded-For` says nothing.
#[tokio::test]
async fn forwarded_for_header() {
    let site = site(&[
        ("enable-real-ip", "true"),
        ("forwarded-for-header", "CF-Connecting-IP"),
    ])
    .await;
    let fields = "CF-Connecting-IP: 192.0.2.7\r\nX-Forwarded-For: 1.2.3.4\r\n";
    for name in ["x-real-ip", "x-forwarded-for"] {
        assert_eq!(
            seen(&site, fields, name).await.as_deref(),
            Some("192.0.2.7"),
            "{name}"
        );
    }
    assert_eq!(seen(&site, LIST, "x-real-ip").await.as_deref(), Some("127.0.0.1"));
}
