//! Session persistence, by cookie and by header.

use std::time::Duration;

use crate::support::client::{Answer, Client};
use crate::{Site, name};

const ROUTES: &str = include_str!("sessions.yaml");

async fn ask(site: &Site, path: &str, field: &str) -> Answer {
    let request = format!("GET {path} HTTP/1.1\r\nHost: session.test\r\n{field}\r\n\r\n");
    Client::connect(site.program.http).await.request(request).await
}

/// Asks so often that chance would have changed the backend.
async fn stays(site: &Site, path: &str, field: &str, at: &str) {
    for _ in 0..20 {
        let answer = ask(site, path, field).await;
        assert_eq!(name(&answer), at);
        assert_eq!(answer.header("set-cookie").or(answer.header("x-session")), None);
    }
}

#[tokio::test]
async fn a_cookie_keeps_a_client_at_its_share_until_its_time_is_over() {
    let site = Site::of(ROUTES).await;
    let answer = ask(&site, "/cookie", "X-None: 1").await;
    let cookie = answer.header("set-cookie").unwrap();
    let (pair, attributes) = cookie.split_once("; ").unwrap();
    assert!(pair.starts_with("stay="), "{cookie}");
    assert_eq!(attributes, "Max-Age=2; Path=/cookie; HttpOnly");
    let field = format!("Cookie: {pair}");
    stays(&site, "/cookie", &field, &name(&answer)).await;
    tokio::time::sleep(Duration::from_secs(3)).await;
    let answer = ask(&site, "/cookie", &field).await;
    assert!(answer.header("set-cookie").is_some(), "the session is over");
}

#[tokio::test]
async fn a_header_does_the_same() {
    let site = Site::of(ROUTES).await;
    let answer = ask(&site, "/header", "X-None: 1").await;
    let field = format!("X-Session: {}", answer.header("x-session").unwrap());
    stays(&site, "/header", &field, &name(&answer)).await;
}

/// "When set to Session, AbsoluteTimeout indicates the absolute lifetime of the
/// cookie tracked by the gateway."
#[tokio::test]
async fn the_gateway_ends_sessions_that_clients_would_keep() {
    let site = Site::of(ROUTES).await;
    for (path, field, sent) in [
        ("/tracked", "set-cookie", "Cookie"),
        ("/short", "x-session", "X-Session"),
    ] {
        let answer = ask(&site, path, "X-None: 1").await;
        let given = answer.header(field).unwrap();
        assert!(!given.contains("Max-Age"), "{given}");
        let (token, _) = given.split_once("; ").unwrap_or((given, ""));
        let token = format!("{sent}: {token}");
        stays(&site, path, &token, &name(&answer)).await;
        tokio::time::sleep(Duration::from_secs(3)).await;
        let answer = ask(&site, path, &token).await;
        assert!(answer.header(field).is_some(), "the session is over");
    }
}
