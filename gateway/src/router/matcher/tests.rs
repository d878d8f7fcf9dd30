use http::{HeaderValue, Method};
use tidegate_snapshot::Pattern;
use tidegate_snapshot::route::RequestMatch;

use super::*;
use crate::request::fixtures::Request;

fn exact(text: &str) -> TextMatch {
    TextMatch::Exact(text.into())
}

fn regex(source: &str) -> TextMatch {
    TextMatch::Regex(Pattern::new(source, false).unwrap())
}

#[test]
fn prefix_takes_whole_elements() {
    let prefix = PathMatch::Prefix("/foo".into());
    for path in ["/foo", "/foo/", "/foo/bar"] {
        assert!(path_holds(&prefix, path), "{path}");
    }
    for path in ["/foobar", "/fo", "/", "/FOO", "/x/foo"] {
        assert!(!path_holds(&prefix, path), "{path}");
    }
    assert!(path_holds(&PathMatch::Prefix("".into()), "/anything"));
}

#[test]
fn below_needs_the_slash() {
    let below = PathMatch::Below("/foo/".into());
    assert!(path_holds(&below, "/foo/") && path_holds(&below, "/foo/bar"));
    assert!(!path_holds(&below, "/foo") && !path_holds(&below, "/foobar"));
}

#[test]
fn exact_forgives_nothing() {
    let path = PathMatch::Exact("/foo".into());
    assert!(path_holds(&path, "/foo"));
    assert!(!path_holds(&path, "/foo/") && !path_holds(&path, "/Foo"));
}

#[test]
fn header_fields_of_one_name_are_joined() {
    let mut request = Request::get("/").with("x-a", "1").with("x-a", "2");
    let not_text = HeaderValue::from_bytes(b"\xff").unwrap();
    request.headers.insert("x-b", not_text);
    let holds = |name: &'static str, value| {
        header_holds(
            &HeaderMatch {
                name: HeaderName::from_static(name),
                value,
            },
            &request,
        )
    };
    assert!(holds("x-a", exact("1,2")));
    assert!(!holds("x-a", exact("1")));
    assert!(holds("x-a", regex("^1,")));
    assert!(!holds("x-b", regex(".*")), "not text");
    assert!(!holds("x-c", regex(".*")), "a missing field fits nothing");
}

#[test]
fn the_first_query_parameter_counts() {
    let request = Request::get("/?a=1&a=2&b&c=%41+%zz&%64=4");
    let holds = |name: &str, value| {
        query_holds(
            &QueryMatch {
                name: name.into(),
                value,
            },
            &request,
        )
    };
    assert!(holds("a", exact("1")) && !holds("a", exact("2")));
    assert!(holds("b", exact("")));
    assert!(holds("c", exact("A %zz")));
    assert!(holds("d", exact("4")));
    assert!(!holds("A", regex("")) && !holds("e", regex("")));
}

#[test]
fn the_first_failing_part_is_named() {
    let condition = |method| {
        let more = RequestMatch {
            method: Some(method),
            headers: vec![HeaderMatch {
                name: HeaderName::from_static("x-a"),
                value: exact("1"),
            }],
            query: vec![QueryMatch {
                name: "q".into(),
                value: exact("1"),
            }],
        };
        RouteMatch::new(PathMatch::Prefix("/a".into()), more)
    };
    let (post, get) = (condition(Method::POST), condition(Method::GET));
    let mut request = Request::get("/b");
    assert_eq!(mismatch(&post, &request), Some(Mismatch::Path));
    request.path = "/a".to_owned();
    assert_eq!(mismatch(&post, &request), Some(Mismatch::Method));
    assert!(matches!(mismatch(&get, &request), Some(Mismatch::Header(_))));
    request = request.with("x-a", "1");
    assert_eq!(mismatch(&get, &request), Some(Mismatch::Query("q")));
    request.uri = "/a?q=1".to_owned();
    assert_eq!(mismatch(&get, &request), None);
}
