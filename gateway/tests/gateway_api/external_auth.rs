//! `ExternalAuth`: a Service (the one called "second") is asked before the
//! backend ("first") sees anything.

use crate::Site;
use crate::support::client::{Answer, Client};

const ROUTES: &str = include_str!("external_auth.yaml");

async fn ask(site: &Site, request: &str) -> Answer {
    Client::connect(site.program.http).await.request(request).await
}

/// A POST that says more than the service may be told.
async fn post(site: &Site, path: &str) -> Answer {
    let request = format!(
        "POST {path} HTTP/1.1\r\nHost: asked.test\r\nAuthorization: Bearer x\r\nX-Token: t\r\nX-User: forged\r\n\
         Cookie: secret=1\r\nContent-Length: 5\r\n\r\nhello"
    );
    ask(site, &request).await
}

#[tokio::test]
async fn the_service_is_told_what_is_allowed_and_tells_the_backend_likewise() {
    let site = Site::of(ROUTES).await;
    site.second
        .set(|service| service.headers = "X-User: jane\r\nX-Other: 1\r\n".to_owned());
    assert_eq!(post(&site, "/some/x?q=1").await.status, 200);
    let question = site.second.last();
    assert_eq!(
        (question.method.as_str(), question.uri.as_str()),
        ("POST", "/verify/some/x?q=1")
    );
    let told = |name: &str| question.header(name);
    assert_eq!(told("host"), Some("asked.test"));
    assert_eq!(told("authorization"), Some("Bearer x"));
    assert_eq!(told("content-length"), Some("0"));
    assert_eq!(told("x-token"), Some("t"));
    assert_eq!((told("cookie"), told("x-user")), (None, None));
    assert!(question.body.is_empty());
    let seen = site.first.last();
    assert_eq!(seen.body, b"hello");
    assert_eq!(seen.header("x-user"), Some("jane"));
    assert_eq!(seen.header("x-other"), None);

    // What the service does not say the client cannot say for it.
    site.second.set(|service| service.headers.clear());
    assert_eq!(post(&site, "/some").await.status, 200);
    assert_eq!(site.first.last().header("x-user"), None);

    // Without a list everything is copied but what belongs to the answer's body.
    site.second
        .set(|service| service.headers = "X-User: jane\r\nX-Other: 1\r\n".to_owned());
    assert_eq!(post(&site, "/all").await.status, 200);
    assert_eq!(site.second.last().uri, "/all");
    let seen = site.first.last();
    assert_eq!(
        (seen.header("x-user"), seen.header("x-other")),
        (Some("jane"), Some("1"))
    );
    assert_eq!(
        (seen.header("content-length"), seen.header("content-type")),
        (Some("5"), None)
    );
}

#[tokio::test]
async fn anything_but_200_keeps_clients_out() {
    let site = Site::of(ROUTES).await;
    for (says, field, answered) in [
        (401, "WWW-Authenticate: Bearer", 401),
        (403, "X-None: 1", 403),
        (302, "Location: https://login.test/", 302),
        (204, "X-None: 1", 403),
        (404, "X-None: 1", 403),
        (500, "X-None: 1", 500),
    ] {
        site.second.set(|service| {
            service.status = says;
            service.headers = format!("{field}\r\n");
        });
        let answer = post(&site, "/some").await;
        assert_eq!(answer.status, answered, "the service says {says}");
        let (name, value) = field.split_once(": ").unwrap();
        let is_told = matches!(says, 401 | 302);
        assert_eq!(answer.header(name), is_told.then_some(value), "{says}");
    }
    assert_eq!(post(&site, "/nobody").await.status, 500);
    // A filter that cannot be read keeps the whole route out.
    let unsupported = ask(&site, "GET / HTTP/1.1\r\nHost: unsupported.test\r\n\r\n").await;
    assert_eq!(unsupported.status, 404);
    assert_eq!(site.first.count(), 0, "nothing reached the backend");
}
