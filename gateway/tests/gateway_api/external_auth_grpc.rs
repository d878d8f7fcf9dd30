//! `ExternalAuth` over gRPC, with the client's body, and of one backend.

use std::collections::HashMap;

use crate::Site;
use crate::ext_authz::messages::{
    BoolValue, CheckResponse, DeniedHttpResponse, HeaderValue, HeaderValueOption, HttpResponse, HttpStatus,
    OkHttpResponse, QueryParameter, Status,
};
use crate::ext_authz::{Authorizer, Says};
use crate::support::client::{Answer, Client};

const ROUTES: &str = include_str!("external_auth_grpc.yaml");

async fn site() -> (Site, Authorizer) {
    let authorizer = Authorizer::start().await;
    let yaml = ROUTES.replace("AUTHORIZER-PORT", &authorizer.address.port().to_string());
    (Site::of(&yaml).await, authorizer)
}

async fn ask(site: &Site, request: &[u8]) -> Answer {
    let mut client = Client::connect(site.program.http).await;
    client.send(request).await;
    client.answer().await
}

fn field(name: &str, value: &str) -> HeaderValueOption {
    HeaderValueOption {
        header: Some(HeaderValue {
            key: name.to_owned(),
            value: value.to_owned(),
            raw_value: Vec::new(),
        }),
        append: None,
        append_action: 0,
    }
}

fn says(code: i32, http_response: HttpResponse) -> Says {
    Says::Message(CheckResponse {
        status: Some(Status { code }),
        http_response: Some(http_response),
    })
}

fn allowed() -> Says {
    says(0, HttpResponse::Ok(OkHttpResponse::default()))
}

#[tokio::test]
async fn a_service_is_asked_over_grpc_and_changes_what_the_backend_gets() {
    let (site, authorizer) = site().await;
    let appended = HeaderValueOption {
        append: Some(BoolValue { value: true }),
        ..field("X-Role", "admin")
    };
    authorizer.says(says(
        0,
        HttpResponse::Ok(OkHttpResponse {
            headers: vec![field("X-User", "jane"), appended, field("Content-Length", "999")],
            headers_to_remove: vec!["authorization".to_owned(), "host".to_owned()],
            response_headers_to_add: vec![field("X-Checked", "yes")],
            query_parameters_to_set: vec![QueryParameter {
                key: "user".to_owned(),
                value: "jane".to_owned(),
            }],
            query_parameters_to_remove: vec!["token".to_owned()],
        }),
    ));
    let request = "POST /all/x?token=t&q=1 HTTP/1.1\r\nHost: asked.test\r\nAuthorization: Bearer x\r\n\
                   X-User: forged\r\nX-Role: guest\r\nX-Twice: 1\r\nX-Twice: 2\r\nContent-Length: 5\r\n\r\nhello";
    let answer = ask(&site, request.as_bytes()).await;
    assert_eq!((answer.status, answer.header("x-checked")), (200, Some("yes")));
    let question = authorizer.last();
    let http = question.request.unwrap().http.unwrap();
    assert_eq!(
        (http.method.as_str(), http.path.as_str(), http.host.as_str()),
        ("POST", "/all/x?token=t&q=1", "asked.test")
    );
    assert_eq!(
        (http.scheme.as_str(), http.protocol.as_str(), http.size),
        ("http", "HTTP/1.1", 5)
    );
    assert!(http.body.is_empty(), "it is not to be told the body");
    for (name, value) in [
        ("authorization", "Bearer x"),
        ("x-twice", "1,2"),
        (":path", &http.path),
    ] {
        assert_eq!(http.headers.get(name).map(String::as_str), Some(value), "{name}");
    }
    let source = question.source.unwrap().address.unwrap().socket_address.unwrap();
    assert_eq!(source.address, "127.0.0.1");
    assert_ne!(source.port_value, 0);

    let seen = site.first.last();
    assert_eq!(seen.uri, "/all/x?q=1&user=jane");
    assert_eq!(seen.body, b"hello");
    assert_eq!(seen.header("x-user"), Some("jane"));
    let roles = seen
        .headers
        .iter()
        .filter(|(name, _)| name.eq_ignore_ascii_case("x-role"));
    let roles: Vec<_> = roles.map(|(_, value)| value.as_str()).collect();
    assert_eq!(roles, ["guest", "admin"]);
    assert_eq!(
        (seen.header("authorization"), seen.header("host")),
        (None, Some("asked.test"))
    );

    // "If the list has entries, only those entries must be sent."
    let answer = ask(&site, request.replace("/all", "/some").as_bytes()).await;
    assert_eq!(answer.status, 200);
    let http = authorizer.last().request.unwrap().http.unwrap();
    assert_eq!(
        http.headers,
        HashMap::from([("x-role".to_owned(), "guest".to_owned())])
    );
}

#[tokio::test]
async fn only_an_ok_over_grpc_lets_in() {
    let (site, authorizer) = site().await;
    let request = b"GET /all HTTP/1.1\r\nHost: asked.test\r\n\r\n";
    authorizer.says(says(
        7,
        HttpResponse::Denied(DeniedHttpResponse {
            status: Some(HttpStatus { code: 401 }),
            headers: vec![field("X-Why", "no"), field("Content-Type", "text/x-why")],
            body: "go away".to_owned(),
        }),
    ));
    let answer = ask(&site, request).await;
    assert_eq!((answer.status, answer.header("x-why")), (401, Some("no")));
    assert_eq!(answer.header("content-type"), Some("text/x-why"));
    assert_eq!(answer.body, b"go away");
    let denied = |code| says(code, HttpResponse::Denied(DeniedHttpResponse::default()));
    let bare = |code| {
        Says::Message(CheckResponse {
            status: Some(Status { code }),
            http_response: None,
        })
    };
    let broken = HttpResponse::Ok(OkHttpResponse {
        headers: vec![field("X-User", "line\nbreak")],
        ..OkHttpResponse::default()
    });
    let error = HttpResponse::Error(DeniedHttpResponse::default());
    for (what, says, status) in [
        ("denied without more", denied(7), 403),
        ("denied, whatever the status says", denied(0), 403),
        ("a status alone", bare(16), 403),
        (
            "a failing status beside an ok",
            says(7, HttpResponse::Ok(OkHttpResponse::default())),
            403,
        ),
        ("an error", says(13, error), 500),
        ("a field that cannot be", says(0, broken), 500),
        ("an empty message", Says::Bytes(b""), 500),
        ("no message", Says::Bytes(b"\xff\xff"), 500),
        ("a status of gRPC at once", Says::Status("12", true), 500),
        ("one in the trailers", Says::Status("7", false), 500),
        (
            "the status of success, and nothing else",
            Says::Status("0", true),
            500,
        ),
    ] {
        authorizer.says(says);
        assert_eq!(ask(&site, request).await.status, status, "{what}");
    }
    assert_eq!(site.first.count(), 0, "nothing reached the backend");
    authorizer.says(bare(0));
    assert_eq!(ask(&site, request).await.status, 200);
    // A Service that speaks HTTP/1.1 only.
    let plain = b"GET /plain HTTP/1.1\r\nHost: asked.test\r\n\r\n";
    assert_eq!(ask(&site, plain).await.status, 500);
    assert_eq!(site.first.count(), 1);
}

/// What a client sends, with its length announced or in chunks.
fn upload(path: &str, body: &[u8], chunked: bool) -> Vec<u8> {
    let framing = match chunked {
        true => "Transfer-Encoding: chunked".to_owned(),
        false => format!("Content-Length: {}", body.len()),
    };
    let mut request = format!("POST {path} HTTP/1.1\r\nHost: asked.test\r\n{framing}\r\n\r\n").into_bytes();
    if !chunked {
        request.extend(body);
        return request;
    }
    for chunk in body.chunks(7000) {
        request.extend(format!("{:x}\r\n", chunk.len()).into_bytes());
        request.extend(chunk);
        request.extend(b"\r\n");
    }
    request.extend(b"0\r\n\r\n");
    request
}

#[tokio::test]
async fn the_body_is_told_as_far_as_asked_for_and_reaches_the_backend_whole() {
    let (site, authorizer) = site().await;
    authorizer.says(allowed());
    for length in [
        0_usize, 5, 1024, 1025, 40_000, 65_535, 65_536, 70_000, 100_000, 200_000, 1_500_000,
    ] {
        let body: Vec<u8> = (0..length)
            .map(|at| b'a' + u8::try_from(at % 23).unwrap())
            .collect();
        for chunked in [false, true] {
            let context = format!("{length} bytes, chunked: {chunked}");
            let answer = ask(&site, &upload("/body", &body, chunked)).await;
            assert_eq!(answer.status, 200, "{context}");
            let told = site.second.last();
            assert_eq!(told.body, body[..length.min(1024)], "{context}");
            assert_eq!(
                told.header("content-length"),
                Some(&*length.min(1024).to_string()),
                "{context}"
            );
            assert_eq!(site.first.last().body, body, "{context}");

            let answer = ask(&site, &upload("/body-grpc", &body, chunked)).await;
            assert_eq!(answer.status, 200, "{context}");
            let told = authorizer.last().request.unwrap().http.unwrap();
            assert_eq!(told.body.as_bytes(), &body[..length.min(65_535)], "{context}");
            let size = if chunked {
                -1
            } else {
                i64::try_from(length).unwrap()
            };
            assert_eq!(told.size, size, "{context}");
            assert_eq!(site.first.last().body, body, "{context}");
        }
    }
    let raw = ask(&site, &upload("/body-grpc", b"\xff\0", false)).await;
    assert_eq!(raw.status, 200);
    let told = authorizer.last().request.unwrap().http.unwrap();
    assert_eq!((told.body.as_str(), &*told.raw_body), ("", &b"\xff\0"[..]));
}

#[tokio::test]
async fn a_client_that_waits_to_be_asked_for_its_body_is_asked() {
    let (site, _authorizer) = site().await;
    let mut client = Client::connect(site.program.http).await;
    client
        .send(b"POST /body HTTP/1.1\r\nHost: asked.test\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n")
        .await;
    let asked = b"HTTP/1.1 100 Continue\r\n\r\n";
    assert_eq!(client.take(asked.len()).await, asked);
    client.send(b"hello").await;
    assert_eq!(client.answer().await.status, 200);
    assert_eq!(site.second.last().body, b"hello");
    let seen = site.first.last();
    assert_eq!(
        (seen.body.as_slice(), seen.header("expect")),
        (&b"hello"[..], None)
    );
}

#[tokio::test]
async fn a_backend_has_a_service_of_its_own_after_the_rules() {
    let (site, authorizer) = site().await;
    let request = b"GET /backend HTTP/1.1\r\nHost: asked.test\r\nX-User: forged\r\n\r\n";
    // The rule's service lets in, the backend's has the last word.
    authorizer.says(says(7, HttpResponse::Denied(DeniedHttpResponse::default())));
    assert_eq!(ask(&site, request).await.status, 403);
    assert_eq!(site.second.count(), 1, "the rule's was asked first");
    assert_eq!(site.first.count(), 0);
    authorizer.says(says(
        0,
        HttpResponse::Ok(OkHttpResponse {
            headers: vec![field("X-User", "jane")],
            ..OkHttpResponse::default()
        }),
    ));
    site.second
        .set(|service| service.headers = "X-User: joe\r\nX-Rule: 1\r\n".to_owned());
    assert_eq!(ask(&site, request).await.status, 200);
    let seen = site.first.last();
    assert_eq!(
        (seen.header("x-user"), seen.header("x-rule")),
        (Some("jane"), Some("1"))
    );
    // The rule's refusal is not the backend's to overrule.
    site.second.set(|service| service.status = 401);
    assert_eq!(ask(&site, request).await.status, 401);
    assert_eq!(site.first.count(), 1);
    // The other backend has none, and the same rule.
    site.second.set(|service| service.status = 200);
    let missing = b"GET /missing HTTP/1.1\r\nHost: asked.test\r\n\r\n";
    assert_eq!(ask(&site, missing).await.status, 500);
}

/// The connection lives on when a stream of it fails: it must not be tried for ever.
#[tokio::test]
async fn a_service_that_breaks_off_or_is_silent_is_asked_a_few_times() {
    let (site, authorizer) = site().await;
    let request = |path: &str| format!("GET {path} HTTP/1.1\r\nHost: asked.test\r\n\r\n");
    authorizer.says(allowed());
    assert_eq!(ask(&site, request("/all").as_bytes()).await.status, 200);
    for (says, path, status) in [(Says::Reset, "/all", 500), (Says::Nothing, "/hurried", 504)] {
        authorizer.says(says);
        let before = authorizer.count();
        assert_eq!(
            ask(&site, request(path).as_bytes()).await.status,
            status,
            "{path}"
        );
        let asked = authorizer.count() - before;
        assert!((1..=3).contains(&asked), "{path}: {asked}");
    }
    authorizer.says(allowed());
    assert_eq!(ask(&site, request("/all").as_bytes()).await.status, 200);
}
