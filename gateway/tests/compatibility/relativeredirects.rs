//! `annotations/relativeredirects.go`.

use crate::site::{HOST, Site, config_map, ingress, ingress_of};

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

/// `use-port-in-redirects`: the port that clients come in by stands in the redirect
/// to TLS, and in the one that adds a slash unless it is the scheme's own; without
/// the annotation no port does.
#[tokio::test]
async fn ours_use_port_in_redirects() {
    for (value, named) in [("true", true), ("false", false)] {
        let port = ("use-port-in-redirects", value);
        let yaml = ingress_of("a", HOST, &[port], &[("/app/", "Prefix", "echo")])
            + &ingress_of(
                "b",
                "tls",
                &[port, ("force-ssl-redirect", "true")],
                &[("/", "Prefix", "echo")],
            );
        let site = Site::start(&yaml).await;
        let location = async |host: &str, path: &str| {
            let answer = site.ask_host(host, path).await;
            (
                answer.status,
                answer.header("Location").unwrap_or_default().to_owned(),
            )
        };
        let https = if named { ":443" } else { "" };
        assert_eq!(location(HOST, "/app").await, (301, "http://foo/app/".to_owned()));
        assert_eq!(
            location("tls", "/a").await,
            (308, format!("https://tls{https}/a"))
        );
    }
}

/// `http-redirect-code`: the status of redirects to TLS and to `www.`.
#[tokio::test]
async fn ours_http_redirect_code() {
    let yaml = ingress_of(
        "a",
        HOST,
        &[("force-ssl-redirect", "true")],
        &[("/", "Prefix", "echo")],
    ) + &ingress_of(
        "b",
        "www.bar",
        &[("from-to-www-redirect", "true")],
        &[("/", "Prefix", "echo")],
    ) + &config_map("config", &[("http-redirect-code", "307")]);
    let site = Site::with(&["echo"], &yaml, &["--configmap=default/config"]).await;
    for host in [HOST, "bar"] {
        assert_eq!(site.ask_host(host, "/").await.status, 307, "{host}");
    }
}
