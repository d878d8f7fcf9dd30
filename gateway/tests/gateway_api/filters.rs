//! Mirrors, filters of single backends, CORS.

use std::time::Duration;

use crate::Site;
use crate::support::client::{Answer, Client};
use crate::support::upstream::Echo;

const ROUTES: &str = include_str!("filters.yaml");

/// Waits until so many requests have come.
async fn seen(echo: &Echo, count: usize) {
    for _ in 0..200 {
        if echo.count() >= count {
            break;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    // One more would be one too many.
    tokio::time::sleep(Duration::from_millis(30)).await;
    assert_eq!(echo.count(), count);
}

async fn ask(site: &Site, request: &str) -> Answer {
    Client::connect(site.program.http).await.request(request).await
}

#[tokio::test]
async fn copies_go_to_every_mirror_as_the_backend_gets_them() {
    let site = Site::of(ROUTES).await;
    let answer = ask(
        &site,
        "POST /all/x?q=1 HTTP/1.1\r\nHost: mirror.test\r\nContent-Length: 5\r\n\r\nhello",
    )
    .await;
    assert_eq!(answer.json()["upstream"], "first");
    seen(&site.second, 2).await;
    for copy in site.second.seen() {
        assert_eq!((copy.method.as_str(), copy.uri.as_str()), ("POST", "/all/x?q=1"));
        assert_eq!(copy.header("host"), Some("mirror.test"));
        assert_eq!(copy.header("x-set"), Some("rule"));
        assert_eq!(copy.body, b"hello");
    }
    assert_eq!(site.first.count(), 1);
}

#[tokio::test]
async fn a_share_of_requests_is_copied() {
    let site = Site::of(ROUTES).await;
    let mut client = Client::connect(site.program.http).await;
    for _ in 0..400 {
        assert_eq!(client.get("mirror.test", "/half").await.status, 200);
        assert_eq!(client.get("mirror.test", "/none").await.status, 200);
    }
    tokio::time::sleep(Duration::from_millis(200)).await;
    // Five standard deviations of a fair coin, thrown 400 times.
    let count = site.second.count();
    assert!((150..=250).contains(&count), "{count}");
    assert!(site.second.seen().iter().all(|copy| copy.uri == "/half"));
}

#[tokio::test]
async fn filters_of_a_backend_are_for_its_share_alone() {
    let site = Site::of(ROUTES).await;
    let mut names = std::collections::BTreeSet::new();
    for _ in 0..40 {
        let answer = site.get("backend.test", "/app/x").await;
        let name = answer.json()["upstream"].as_str().unwrap().to_owned();
        assert_eq!(answer.header("x-rule"), Some("rule"));
        assert_eq!(answer.header("x-first").is_some(), name == "first");
        names.insert(name);
    }
    assert_eq!(names.into_iter().collect::<Vec<_>>(), ["first", "second"]);
    let first = site.first.last();
    assert_eq!(first.uri, "/new/x");
    assert_eq!(first.header("host"), Some("inside.test"));
    assert_eq!(first.header("x-set"), Some("first"));
    let second = site.second.last();
    assert_eq!(second.uri, "/app/x");
    assert_eq!(second.header("x-set"), Some("rule"));
    assert_eq!(
        site.location("backend.test", "/moved").await,
        (302, "http://new.test/moved".to_owned())
    );
}

async fn preflight(site: &Site, path: &str, origin: &str) -> Answer {
    let request = format!(
        "OPTIONS {path} HTTP/1.1\r\nHost: cors.test\r\nOrigin: {origin}\r\n\
         Access-Control-Request-Method: PUT\r\nAccess-Control-Request-Headers: x-1, x-9\r\n\r\n"
    );
    ask(site, &request).await
}

fn field<'a>(answer: &'a Answer, name: &str) -> Option<&'a str> {
    answer.header(&format!("access-control-{name}"))
}

#[tokio::test]
async fn preflights_are_answered_to_all_and_told_to_allowed_origins() {
    let site = Site::of(ROUTES).await;
    for origin in [
        "https://www.foo.test",
        "https://www.foo.test:443",
        "https://a.b.bar.test",
    ] {
        let answer = preflight(&site, "/list", origin).await;
        assert_eq!(answer.status, 204);
        assert_eq!(field(&answer, "allow-origin"), Some(origin));
        assert_eq!(field(&answer, "allow-methods"), Some("GET, PUT"));
        assert_eq!(field(&answer, "allow-headers"), Some("x-1"));
        assert_eq!(field(&answer, "expose-headers"), Some("x-2, x-3"));
        assert_eq!(field(&answer, "max-age"), Some("60"));
        assert_eq!(field(&answer, "allow-credentials"), None);
        assert_eq!(answer.header("vary"), Some("Origin"));
    }
    for origin in [
        "https://foo.test",
        "https://bar.test",
        "http://www.foo.test",
        "null",
    ] {
        let answer = preflight(&site, "/list", origin).await;
        assert_eq!(
            (answer.status, field(&answer, "allow-origin")),
            (204, None),
            "{origin}"
        );
        assert_eq!(field(&answer, "allow-methods"), None);
    }
    assert_eq!(site.first.count(), 0);

    let options = "OPTIONS /list HTTP/1.1\r\nHost: cors.test\r\nOrigin: https://www.foo.test\r\n\r\n";
    let answer = ask(&site, options).await;
    assert_eq!((answer.status, site.first.count()), (200, 1), "not a preflight");
    assert_eq!(field(&answer, "allow-origin"), Some("https://www.foo.test"));
    assert_eq!(field(&answer, "expose-headers"), Some("x-2, x-3"));
    assert_eq!(field(&answer, "allow-methods"), None);
}

#[tokio::test]
async fn with_credentials_what_is_asked_for_is_repeated() {
    let site = Site::of(ROUTES).await;
    let answer = preflight(&site, "/star", "https://any.test:8443").await;
    assert_eq!(answer.status, 204);
    assert_eq!(field(&answer, "allow-origin"), Some("https://any.test:8443"));
    assert_eq!(field(&answer, "allow-methods"), Some("PUT"));
    assert_eq!(field(&answer, "allow-headers"), Some("x-1, x-9"));
    assert_eq!(field(&answer, "allow-credentials"), Some("true"));
    assert_eq!(field(&answer, "expose-headers"), None);
    assert_eq!(field(&answer, "max-age"), Some("5"));
}
