//! `annotations/customheaders.go`.

use crate::site::{Site, ingress};

/// Without the annotation nothing is added.
#[tokio::test]
async fn case_1_none() {
    let site = Site::start(&ingress("a", &[])).await;
    assert_eq!(site.get("/").await.status, 200);
}

/// A ConfigMap that does not exist closes the routes: 503.
#[tokio::test]
async fn case_2_missing_config_map() {
    let site = Site::start(&ingress("a", &[("custom-headers", "default/missing")])).await;
    assert_eq!(site.get("/").await.status, 503);
}
