//! `annotations/redirect.go`.

use crate::site::{Site, ingress};

const URL: &str = "http://redirect.example.com";

/// 301 to the URL as written, whatever the path.
#[tokio::test]
async fn case_1_permanent() {
    let site = Site::start(&ingress("a", &[("permanent-redirect", URL)])).await;
    let answer = site.get("/something?a=b").await;
    assert_eq!((answer.status, answer.header("Location")), (301, Some(URL)));
}

/// `permanent-redirect-code` chooses the status.
#[tokio::test]
async fn case_2_code() {
    let annotations = [("permanent-redirect", URL), ("permanent-redirect-code", "302")];
    let site = Site::start(&ingress("a", &annotations)).await;
    let answer = site.get("/something").await;
    assert_eq!((answer.status, answer.header("Location")), (302, Some(URL)));
}

/// Ours: a temporal redirect wins, before the redirect to https.
#[tokio::test]
async fn ours_temporal_wins() {
    let annotations = [
        ("permanent-redirect", "http://permanent.example.com"),
        ("temporal-redirect", URL),
        ("temporal-redirect-code", "307"),
        ("force-ssl-redirect", "true"),
    ];
    let site = Site::start(&ingress("a", &annotations)).await;
    let answer = site.get("/").await;
    assert_eq!((answer.status, answer.header("Location")), (307, Some(URL)));
}
