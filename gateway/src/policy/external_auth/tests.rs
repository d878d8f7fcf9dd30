use tidegate_snapshot::policy::{AuthCache, CacheDuration, Signin};
use tidegate_snapshot::{ObjectRef, Text};

use super::*;
use crate::request::fixtures::Request;

const X_USER: FieldName = FieldName::from_static("x-user", "X-User");

fn request(uri: &str) -> Request {
    let mut request = Request::get(uri);
    request.method = Method::POST;
    request.scheme = "https";
    let team = HeaderValue::from_bytes(b"a b\xff").unwrap();
    request.headers.insert("x-team", team);
    request
}

fn text(text: &str) -> Text {
    Text::parse(text).unwrap()
}

fn auth(url: &str) -> ExternalAuth {
    ExternalAuth::new(&policy::ExternalAuth {
        url: text(url),
        method: None,
        signin: Some(Signin {
            url: text("http://$host/auth/start?rd="),
            append_target: true,
        }),
        response_headers: vec![X_USER],
        headers: Vec::new(),
        request_redirect: None,
        cache: Some(AuthCache {
            key: text("$http_x_team"),
            durations: vec![
                CacheDuration {
                    statuses: vec![200, 401],
                    duration: Duration::from_secs(300),
                },
                CacheDuration {
                    statuses: Vec::new(),
                    duration: Duration::ZERO,
                },
            ],
        }),
        always_set_cookie: false,
    })
}

#[test]
fn urls_are_made_of_the_request_and_checked() {
    let request = request("/a?b=c");
    let url = |template: &str| auth(template).url(&Values::of(&request));
    let plain = url("http://auth.team.svc:8080/verify?u=$request_uri&t=$http_x_team").unwrap();
    assert_eq!(
        (plain.tls, &*plain.host, plain.port),
        (false, "auth.team.svc", 8080)
    );
    assert_eq!(plain.target, "/verify?u=/a?b=c&t=a%20b%FF");
    assert_eq!(plain.authority, "auth.team.svc:8080");
    let secure = url("https://$host").unwrap();
    assert_eq!((secure.tls, secure.port, &*secure.target), (true, 443, "/"));
    for broken in [
        "http://$http_absent/",
        "ftp://a/",
        "a/b",
        "http://$host:x/",
        "http://u:p@h/",
    ] {
        assert_eq!(url(broken), None, "{broken}");
    }
}

#[test]
fn only_success_lets_in() {
    let auth = auth("http://a/");
    let verdict = |status: u16| {
        let headers = HeaderMap::from_iter([(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"))]);
        let heard = auth.hear(StatusCode::from_u16(status).unwrap(), &headers);
        auth.verdict(&heard)
    };
    for status in [200, 202, 204, 299] {
        assert_eq!(verdict(status), Verdict::Granted, "{status}");
    }
    let challenged =
        Reply::status(StatusCode::UNAUTHORIZED).with(Reply::CHALLENGE, HeaderValue::from_static("Bearer"));
    assert_eq!(verdict(401), Verdict::Refused(challenged));
    assert_eq!(
        verdict(403),
        Verdict::Refused(Reply::status(StatusCode::FORBIDDEN))
    );
    for status in [301, 302, 304, 400, 404, 407, 429, 500, 503] {
        assert_eq!(verdict(status), ExternalAuth::failed(), "{status}");
    }
}

#[test]
fn the_way_back_is_one_parameter() {
    let request = request("/?a=b&c=d");
    let reply = auth("http://a/").signin(&Values::of(&request)).unwrap();
    assert_eq!(reply.status, StatusCode::FOUND);
    assert_eq!(
        reply.fields[0].1,
        "http://foo.bar/auth/start?rd=https://foo.bar%2F%3Fa%3Db%26c%3Dd"
    );
}

#[test]
fn fields_come_from_the_service_alone() {
    let auth = auth("http://a/");
    let mut headers = HeaderMap::new();
    headers.append("x-user", HeaderValue::from_static("joe"));
    headers.append("x-user", HeaderValue::from_static("ann"));
    headers.append("x-other", HeaderValue::from_static("1"));
    let heard = auth.hear(StatusCode::OK, &headers);
    let forwarded: Vec<_> = auth.forwarded(Some(&heard)).collect();
    assert_eq!(
        forwarded,
        [(&X_USER, Some(&HeaderValue::from_static("joe, ann")))]
    );
    assert!(auth.forwarded(None).all(|(_, value)| value.is_none()));
}

#[test]
fn answers_are_remembered_by_nginxs_rules() {
    let auth = auth("http://a/");
    let lifetime = |status: u16, fields: &[(&'static str, &'static str)]| {
        let fields = fields
            .iter()
            .map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value)));
        let headers: HeaderMap = fields.collect();
        let heard = auth.hear(StatusCode::from_u16(status).unwrap(), &headers);
        auth.lifetime(&heard, &headers).map(|lifetime| lifetime.as_secs())
    };
    assert_eq!(lifetime(200, &[]), Some(300));
    assert_eq!(lifetime(401, &[]), Some(300));
    assert_eq!(lifetime(500, &[]), None);
    assert_eq!(lifetime(500, &[("cache-control", "public, max-age=7")]), Some(7));
    for field in [
        ("set-cookie", "a=b"),
        ("vary", "cookie"),
        ("cache-control", "no-store"),
        ("cache-control", "Private"),
        ("cache-control", "max-age=0"),
        ("cache-control", "max-age=x"),
        ("expires", "0"),
    ] {
        assert_eq!(lifetime(200, &[field]), None, "{field:?}");
    }
}

#[test]
fn tickets_tell_hosts_paths_and_keys_apart() {
    let auth = auth("http://a/");
    let request = request("/");
    let ticket = |name: &str, path: &str| {
        let origin = ObjectRef::new("Ingress", "team", name);
        auth.ticket(&Values {
            route: Some((&origin, path)),
            ..Values::of(&request)
        })
        .unwrap()
    };
    assert_eq!(ticket("a", "/x"), ticket("a", "/x"));
    assert_ne!(ticket("a", "/x"), ticket("a", "/y"));
    assert_ne!(ticket("a", "/x"), ticket("a/", "x"));
}

#[test]
fn a_claimed_name_finds_only_answers_of_its_password() {
    let ticket = |key: &str, credentials: &'static str| {
        let mut auth = auth("http://a/");
        if let Some(cache) = &mut auth.spec.cache {
            cache.key = text(key);
        }
        let origin = ObjectRef::new("Ingress", "team", "a");
        let request = request("/").with("authorization", credentials);
        auth.ticket(&Values {
            route: Some((&origin, "/")),
            ..Values::of(&request)
        })
        .unwrap()
    };
    // foo:bar, foo:wrong
    let (right, wrong) = ("Basic Zm9vOmJhcg==", "Basic Zm9vOndyb25n");
    for key in [
        "$remote_user",
        "$remote_user$http_authorization",
        "a${remote_user}b",
    ] {
        assert_eq!(ticket(key, right), ticket(key, right));
        assert_ne!(ticket(key, right), ticket(key, wrong), "{key}");
    }
    assert_eq!(ticket("$host", right), ticket("$host", wrong));
}

#[test]
fn answers_end_with_their_time() {
    let answers = Answers::default();
    let ticket = Ticket::new(&[b"a"]);
    let heard = std::sync::Arc::new(auth("http://a/").hear(StatusCode::OK, &HeaderMap::new()));
    answers.remember(ticket, heard.clone(), Duration::from_secs(60));
    assert!(answers.recall(ticket).is_some());
    answers.remember(ticket, heard.clone(), Duration::ZERO);
    assert!(answers.recall(ticket).is_none());
    for number in 0..50_000_u32 {
        answers.remember(
            Ticket::new(&[&number.to_le_bytes()]),
            heard.clone(),
            Duration::from_secs(60),
        );
    }
    assert!(
        answers
            .recall(Ticket::new(&[&49_999_u32.to_le_bytes()]))
            .is_some()
    );
    assert!(answers.recall(Ticket::new(&[&1_u32.to_le_bytes()])).is_none());
}
