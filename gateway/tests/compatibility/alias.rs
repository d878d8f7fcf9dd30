//! `annotations/alias.go`.

use crate::site::{HOST, Site, ingress, ingress_of};

/// Without an alias another name is unknown: 404.
#[tokio::test]
async fn case_1_none() {
    let site = Site::start(&ingress("a", &[])).await;
    assert_eq!(site.get("/").await.status, 200);
    assert_eq!(site.ask_host("bar", "/").await.status, 404);
}

/// Both names answer; the backend sees the one that was asked.
#[tokio::test]
async fn case_2_alias() {
    let site = Site::start(&ingress(
        "a",
        &[("server-alias", "bar, *.example.com, ~^v[0-9]+\\.test$")],
    ))
    .await;
    for host in [HOST, "bar", "a.example.com", "v12.test"] {
        assert_eq!(site.ask_host(host, "/").await.status, 200, "{host}");
        assert_eq!(site.echo("echo").last().header("Host"), Some(host));
    }
    for host in ["x.bar", "a.b.example.com", "v.test", "xv1.test"] {
        assert_eq!(site.ask_host(host, "/").await.status, 404, "{host}");
    }
}

/// Paths of every Ingress of the host answer on the alias too.
#[tokio::test]
async fn case_3_two_ingresses() {
    let yaml = ingress_of("a", HOST, &[], &[("/app-a", "Prefix", "echo")])
        + &ingress_of(
            "b",
            HOST,
            &[("server-alias", "bar")],
            &[("/app-b", "Prefix", "echo")],
        );
    let site = Site::start(&yaml).await;
    for host in [HOST, "bar"] {
        assert_eq!(site.ask_host(host, "/app-a").await.status, 200, "{host}");
        assert_eq!(site.ask_host(host, "/app-b").await.status, 200, "{host}");
    }
}

/// Ours: an alias never takes a host from its Ingress.
#[tokio::test]
async fn ours_a_real_host_wins() {
    let yaml = ingress_of("a", HOST, &[("server-alias", "bar")], &[("/", "Prefix", "echo")])
        + &ingress_of("z", "bar", &[], &[("/", "Prefix", "other")]);
    let site = Site::with(&["echo", "other"], &yaml, &[]).await;
    assert_eq!(site.ask_host("bar", "/").await.json()["upstream"], "other");
}
