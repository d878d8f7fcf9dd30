//! `annotations/connection.go`.

use crate::site::{Site, ingress};

/// The backend gets this `Connection`.
#[tokio::test]
async fn case_1_keep_alive() {
    let site = Site::start(&ingress("a", &[("connection-proxy-header", "keep-alive")])).await;
    assert_eq!(site.get("/").await.status, 200);
    assert_eq!(site.echo("echo").last().header("Connection"), Some("keep-alive"));
}
