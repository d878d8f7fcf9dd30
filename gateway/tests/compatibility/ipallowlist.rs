//! `annotations/ipallowlist.go`.

use crate::site::{Site, ingress};

/// Two networks may come in, all others get 403; the old name says the same.
#[tokio::test]
async fn case_1_networks() {
    let yaml = ingress("a", &[("whitelist-source-range", "10.0.0.0/8, 127.0.0.0/8")]);
    let site = Site::start(&yaml).await;
    assert_eq!(site.get("/").await.status, 200);
    for (name, list, status) in [
        ("allowlist-source-range", "10.0.0.0/8,192.168.0.0/16", 403),
        ("allowlist-source-range", "127.0.0.1", 200),
        // A list that cannot be read closes the routes.
        ("whitelist-source-range", "127.0.0.1, office", 503),
    ] {
        site.write("objects.yaml", &site.objects(&ingress("a", &[(name, list)])));
        site.until("foo", "/", |answer| answer.status == status).await;
    }
}
