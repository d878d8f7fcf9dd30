use std::time::Duration;

use http::{Method, StatusCode};
use tidegate_snapshot::{HttpSettings, policy};

use super::*;
use crate::request::fixtures::{Head, Request};

fn flow(spec: &snapshot::Policies, uri: &'static str, scheme: &'static str, http: &HttpSettings) -> Flow {
    let request = Request {
        uri: uri.to_owned(),
        scheme,
        ..Request::get("/")
    };
    Policies::compile(spec).on_request(&Facts {
        request: &request,
        redirect_host: "foo.bar",
        port: 80,
        content_length: None,
        http,
    })
}

fn redirecting() -> snapshot::Policies {
    snapshot::Policies {
        https_redirect: Some(policy::HttpsRedirect::default()),
        ..Default::default()
    }
}

fn location(uri: &'static str, http: &HttpSettings) -> String {
    match flow(&redirecting(), uri, "http", http) {
        Flow::Respond(Reply {
            status: StatusCode::PERMANENT_REDIRECT,
            fields,
            ..
        }) => fields[0].1.to_str().unwrap().to_owned(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn https_redirect_keeps_the_uri_but_for_one_trailing_slash() {
    let http = HttpSettings::default();
    assert_eq!(location("/", &http), "https://foo.bar");
    assert_eq!(location("/a/", &http), "https://foo.bar/a");
    assert_eq!(location("/a//", &http), "https://foo.bar/a/");
    assert_eq!(location("/a?b=c", &http), "https://foo.bar/a?b=c");
    assert_eq!(location("/a?b=/", &http), "https://foo.bar/a?b=");
    assert_eq!(location("/%2e%2E/%20", &http), "https://foo.bar/%2e%2E/%20");
}

#[test]
fn https_redirect_names_any_port_but_443() {
    let http = HttpSettings {
        https_port: 8443,
        ..Default::default()
    };
    assert_eq!(location("/a", &http), "https://foo.bar:8443/a");
}

#[test]
fn https_redirect_looks_at_the_effective_scheme_only() {
    let http = HttpSettings::default();
    assert_eq!(flow(&redirecting(), "/", "https", &http), Flow::Continue);
    assert_eq!(flow(&redirecting(), "/", "HTTP", &http), Flow::Continue);
}

#[test]
fn disabled_wins_over_redirects() {
    let spec = snapshot::Policies {
        disabled: Some("auth-type".to_owned()),
        ..redirecting()
    };
    assert_eq!(
        flow(&spec, "/", "http", &HttpSettings::default()),
        Flow::Respond(Reply::status(StatusCode::SERVICE_UNAVAILABLE))
    );
}

#[test]
fn body_limit_counts_the_announced_length() {
    let limit = |max_size| Body::new(&policy::Body { max_size });
    assert!(!limit(Some(10)).is_exceeded(10));
    assert!(limit(Some(10)).is_exceeded(11));
    assert!(!limit(None).is_exceeded(u64::MAX));
}

fn answered(spec: &snapshot::Policies, is_tls: bool) -> Vec<(String, String)> {
    let request = Request {
        is_tls,
        ..Request::get("/")
    };
    let mut head = Head::default();
    Policies::compile(spec).on_response(
        &Answer {
            request_id: b"",
            request: &request,
            status: StatusCode::OK,
            is_own: false,
            surroundings: Default::default(),
        },
        &mut head,
    );
    head.pairs()
}

#[test]
fn hsts_value_is_exact_and_only_for_tls() {
    let text = |hsts: policy::Hsts| {
        let spec = snapshot::Policies {
            hsts: Some(hsts),
            ..Default::default()
        };
        assert_eq!(answered(&spec, false), []);
        let [(name, value)] = &answered(&spec, true)[..] else {
            panic!("one field");
        };
        assert_eq!(name, "strict-transport-security");
        value.clone()
    };
    assert_eq!(
        text(policy::Hsts::default()),
        "max-age=31536000; includeSubDomains"
    );
    let full = policy::Hsts {
        max_age: 1,
        include_subdomains: false,
        preload: true,
    };
    assert_eq!(text(full), "max-age=1; preload");
}

fn attempt(failed: Failed, method: &Method, sent: bool, tries: u32) -> Attempt<'_> {
    Attempt {
        failed,
        method,
        sent,
        tries,
        elapsed: Duration::from_secs(1),
    }
}

#[test]
fn retries_by_default_are_three_tries_of_what_is_safe() {
    let retry = Retry::new(&policy::Retry::default());
    assert!(retry.allows(&attempt(Failed::Error, &Method::GET, true, 1)));
    assert!(retry.allows(&attempt(Failed::Timeout, &Method::GET, true, 2)));
    assert!(!retry.allows(&attempt(Failed::Error, &Method::GET, true, 3)));
    assert!(!retry.allows(&attempt(Failed::Status(502), &Method::GET, true, 1)));
    assert!(retry.allows(&attempt(Failed::Error, &Method::PUT, true, 1)));
    for method in [Method::POST, Method::PATCH, Method::from_bytes(b"LOCK").unwrap()] {
        assert!(
            !retry.allows(&attempt(Failed::Error, &method, true, 1)),
            "{method}"
        );
        assert!(
            retry.allows(&attempt(Failed::Error, &method, false, 1)),
            "{method}"
        );
    }
}

#[test]
fn retries_follow_the_list_the_count_and_the_clock() {
    let mut spec = policy::Retry::default();
    spec.on.error = false;
    spec.on.statuses = vec![503];
    spec.on.non_idempotent = true;
    spec.tries = 0;
    spec.timeout = Some(Duration::from_secs(2));
    let retry = Retry::new(&spec);
    assert!(!retry.allows(&attempt(Failed::Error, &Method::GET, false, 1)));
    assert!(retry.allows(&attempt(Failed::Status(503), &Method::POST, true, 100)));
    assert!(!retry.allows(&attempt(Failed::Status(502), &Method::GET, true, 1)));
    let late = Attempt {
        elapsed: Duration::from_secs(2),
        ..attempt(Failed::Status(503), &Method::GET, true, 1)
    };
    assert!(!retry.allows(&late));
}

/// Ten thousand Ingresses have ten thousand of them (and their memory is a
/// promise): a large policy that most routes do without must be boxed.
#[test]
fn policies_that_are_not_used_take_little_room() {
    let size = size_of::<Policies>();
    assert!(size <= 640, "{size} bytes");
}
