//! `annotations/customheaders.go`.

use crate::site::{Site, config_map, ingress};

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

/// Allowed fields are set; a variable in a value is plain text.
#[tokio::test]
async fn case_3_fields() {
    let fields = [("My-Custom-Header", "42"), ("My-Custom-Address", "$remote_addr")];
    let allowed = [(
        "global-allowed-response-headers",
        "My-Custom-Header,My-Custom-Address",
    )];
    let yaml = ingress("a", &[("custom-headers", "default/fields")])
        + &config_map("fields", &fields)
        + &config_map("config", &allowed);
    let site = Site::with(&["echo"], &yaml, &["--configmap=default/config"]).await;
    let answer = site.get("/").await;
    assert_eq!(answer.status, 200);
    for (name, value) in fields {
        assert_eq!(answer.header(name), Some(value));
    }
}
