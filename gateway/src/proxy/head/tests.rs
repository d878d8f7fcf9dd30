use super::*;

fn head(method: &str, target: &str, fields: &[(&'static str, &str)]) -> RequestHeader {
    let mut head = RequestHeader::build(method, target.as_bytes(), None).unwrap();
    head.set_version(Version::HTTP_11);
    for (name, value) in fields {
        head.append_header(*name, *value).unwrap();
    }
    head
}

fn status(method: &str, target: &str, fields: &[(&'static str, &str)]) -> u16 {
    match check(
        &head(method, target, fields),
        || Some("\r\n".into()),
        &HttpSettings::default(),
    ) {
        Ok(_) => 200,
        Err(status) => status.as_u16(),
    }
}

#[test]
fn methods() {
    assert_eq!(status("GET", "/", &[]), 200);
    assert_eq!(status("PROPFIND", "/", &[]), 200);
    assert_eq!(status("M-SEARCH", "/", &[]), 200);
    assert_eq!(status("TRACE", "/", &[]), 405);
    assert_eq!(status("get", "/", &[]), 400);
}

#[test]
fn lines_must_fit_a_buffer() {
    // nginx: 8192 bytes of line with its end.
    let target = |length: usize| format!("/{}", "a".repeat(length - 1));
    assert_eq!(status("GET", &target(8192 - 15), &[]), 200);
    assert_eq!(status("GET", &target(8192 - 14), &[]), 414);
    assert_eq!(status("GET", "/", &[("x", &"a".repeat(8192 - 5))]), 200);
    assert_eq!(status("GET", "/", &[("x", &"a".repeat(8192 - 4))]), 400);
    let line = "a".repeat(8000);
    let fields: Vec<_> = ["a", "b", "c", "d"].map(|name| (name, &*line)).into();
    assert_eq!(status("GET", "/", &fields), 200);
    let fields: Vec<_> = ["a", "b", "c", "d", "e"].map(|name| (name, &*line)).into();
    assert_eq!(status("GET", "/", &fields), 400);
}

#[test]
fn framing_must_be_unambiguous() {
    let cl = ("content-length", "5");
    let te = ("transfer-encoding", "chunked");
    assert_eq!(status("POST", "/", &[cl]), 200);
    assert_eq!(status("POST", "/", &[te]), 200);
    assert_eq!(status("POST", "/", &[("transfer-encoding", "Chunked")]), 200);
    assert_eq!(status("POST", "/", &[cl, te]), 400);
    assert_eq!(status("POST", "/", &[cl, cl]), 400);
    assert_eq!(status("POST", "/", &[te, te]), 400);
    assert_eq!(status("POST", "/", &[("content-length", "5, 5")]), 400);
    assert_eq!(status("POST", "/", &[("content-length", "+5")]), 400);
    assert_eq!(status("POST", "/", &[("content-length", "")]), 400);
    assert_eq!(
        status("POST", "/", &[("content-length", "99999999999999999999")]),
        400
    );
    assert_eq!(
        status("POST", "/", &[("transfer-encoding", "gzip, chunked")]),
        501
    );
    let mut old = head("POST", "/", &[te]);
    old.set_version(Version::HTTP_10);
    assert!(check(&old, || None, &HttpSettings::default()).is_err());
}

#[test]
fn a_length_that_pingora_removed_is_seen_in_the_raw_head() {
    let raw = "POST / HTTP/1.1\r\nHost: a\r\nConTENT-length: 3\r\nTransfer-Encoding: chunked\r\n\r\n";
    let te = head("POST", "/", &[("transfer-encoding", "chunked")]);
    let checked = check(&te, || Some(raw.into()), &HttpSettings::default());
    assert_eq!(checked.unwrap_err(), StatusCode::BAD_REQUEST);
}

#[test]
fn odd_names_are_dropped() {
    let http = HttpSettings::default();
    let mut head = head(
        "GET",
        "/",
        &[("a_b", "1"), ("a.b", "2"), ("a-b", "3"), ("a1", "4")],
    );
    let checked = check(&head, || None, &http).unwrap();
    assert!(checked.drops);
    drop_fields(&mut head, &http);
    let mut names: Vec<_> = head.headers.keys().map(HeaderName::as_str).collect();
    names.sort_unstable();
    assert_eq!(names, ["a-b", "a1"]);
    let lax = HttpSettings {
        drop_underscores: false,
        ..http
    };
    assert!(!is_dropped(&HeaderName::from_static("a_b"), &lax));
    let all = HttpSettings {
        drop_invalid: false,
        ..HttpSettings::default()
    };
    for name in ["a_b", "a.b"] {
        assert!(!is_dropped(&HeaderName::from_static(name), &all), "{name}");
    }
}
