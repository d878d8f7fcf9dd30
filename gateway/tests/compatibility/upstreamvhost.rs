//! `annotations/upstreamvhost.go`.

use crate::site::{HOST, Site, config_map, ingress};

/// The backend gets this `Host`; `X-Forwarded-Host` stays the client's.
#[tokio::test]
async fn case_1_host() {
    let site = Site::start(&ingress("a", &[("upstream-vhost", "upstreamvhost.bar.com")])).await;
    assert_eq!(site.get("/").await.status, 200);
    let seen = site.echo("echo").last();
    assert_eq!(seen.header("Host"), Some("upstreamvhost.bar.com"));
    assert_eq!(seen.header("X-Forwarded-Host"), Some(HOST));
}

/// Ours: variables of the route, as service meshes' recipes have them.
#[tokio::test]
async fn ours_variables() {
    let value = "$service_name.$namespace.svc.cluster.local:$service_port";
    let site = Site::start(&ingress("a", &[("upstream-vhost", value)])).await;
    assert_eq!(site.get("/").await.status, 200);
    assert_eq!(
        site.echo("echo").last().header("Host"),
        Some("echo.default.svc.cluster.local:80")
    );
}

/// `settings/proxy_host.go`: `$proxy_host` is the name of ingress-nginx's one
/// upstream, with `upstream-vhost` too.
#[tokio::test]
async fn proxy_host_1_and_2() {
    let snippet = (
        "configuration-snippet",
        "more_set_headers \"Custom-Header: $proxy_host\";",
    );
    let keys = [
        ("allow-snippet-annotations", "true"),
        ("annotations-risk-level", "Critical"),
    ];
    for annotations in [&[snippet][..], &[snippet, ("upstream-vhost", "other.example")]] {
        let yaml = ingress("a", annotations) + &config_map("config", &keys);
        let site = Site::with(&["echo"], &yaml, &["--configmap=default/config"]).await;
        let answer = site.get("/").await;
        assert_eq!(answer.header("custom-header"), Some("upstream_balancer"));
    }
}
