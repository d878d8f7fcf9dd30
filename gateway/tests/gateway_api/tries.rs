//! Retries, and limits on whole requests and single tries.

use std::time::{Duration, Instant};

use crate::Site;
use crate::support::client::Client;

const ROUTES: &str = include_str!("tries.yaml");

async fn status(site: &Site, method: &str, path: &str) -> u16 {
    let mut client = Client::connect(site.program.http).await;
    let request = format!("{method} {path} HTTP/1.1\r\nHost: tries.test\r\nContent-Length: 2\r\n\r\nhi");
    client.request(request).await.status
}

#[tokio::test]
async fn codes_are_tried_again_so_often_and_no_others() {
    let site = Site::of(ROUTES).await;
    site.first.set(|echo| echo.status = 503);
    assert_eq!(status(&site, "GET", "/codes").await, 503);
    assert_eq!(site.first.count(), 3, "the first, and two attempts");
    assert_eq!(status(&site, "POST", "/codes").await, 503);
    assert_eq!(site.first.count(), 6, "whoever names a code knows what it means");
    assert!(site.first.seen().iter().all(|seen| seen.body == b"hi"));
    site.first.set(|echo| echo.status = 502);
    assert_eq!(status(&site, "GET", "/codes").await, 502);
    assert_eq!(site.first.count(), 7);
}

#[tokio::test]
async fn tries_are_apart_by_the_backoff() {
    let site = Site::of(ROUTES).await;
    site.first.set(|echo| echo.status = 500);
    let began = Instant::now();
    assert_eq!(status(&site, "GET", "/backoff").await, 500);
    assert_eq!(site.first.count(), 3);
    assert!(
        began.elapsed() >= Duration::from_millis(300),
        "{:?}",
        began.elapsed()
    );
}

#[tokio::test]
async fn a_request_ends_in_time_whatever_its_tries() {
    let site = Site::of(ROUTES).await;
    site.first.set(|echo| {
        echo.status = 500;
        echo.delay = Duration::from_millis(200);
    });
    let began = Instant::now();
    assert_eq!(status(&site, "GET", "/request").await, 504);
    let took = began.elapsed();
    assert!(
        (Duration::from_millis(450)..Duration::from_secs(3)).contains(&took),
        "{took:?}"
    );
    assert_eq!(site.first.count(), 3);
}

#[tokio::test]
async fn every_try_has_its_own_limit() {
    let site = Site::of(ROUTES).await;
    site.first.set(|echo| echo.delay = Duration::from_secs(10));
    let began = Instant::now();
    assert_eq!(status(&site, "GET", "/attempt").await, 504);
    assert!(began.elapsed() < Duration::from_secs(4), "{:?}", began.elapsed());
    assert_eq!(site.first.count(), 3);
    assert_eq!(status(&site, "POST", "/attempt").await, 504);
    assert_eq!(site.first.count(), 4, "what may have been done is not done again");
}
