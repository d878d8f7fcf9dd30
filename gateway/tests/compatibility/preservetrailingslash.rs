//! `annotations/preservetrailingslash.go`.

use crate::site::{Site, ingress};

/// The slash stays in the redirect to https.
#[tokio::test]
async fn case_1_kept() {
    let annotations = [
        ("preserve-trailing-slash", "true"),
        ("force-ssl-redirect", "true"),
    ];
    let site = Site::start(&ingress("a", &annotations)).await;
    let answer = site.get("/").await;
    assert_eq!(
        (answer.status, answer.header("Location")),
        (308, Some("https://foo/"))
    );
}
