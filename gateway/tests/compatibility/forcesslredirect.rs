//! `annotations/forcesslredirect.go`.

use crate::site::{Site, ingress};

/// 308 to https without a certificate; one slash at the end is removed.
#[tokio::test]
async fn case_1_redirect() {
    let site = Site::start(&ingress("a", &[("force-ssl-redirect", "true")])).await;
    let answer = site.get("/").await;
    assert_eq!(
        (answer.status, answer.header("Location")),
        (308, Some("https://foo"))
    );
}
