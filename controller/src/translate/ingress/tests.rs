use tidegate_snapshot::PathMatch;

use super::path::PathError;
use super::*;

fn matches(text: &str, path_type: &str) -> PathMatch {
    Path::parse(text, path_type).unwrap().matches()
}

#[test]
fn types_and_slashes_choose_the_match() {
    assert_eq!(matches("/foo", "Exact"), PathMatch::Exact("/foo".into()));
    assert_eq!(matches("/foo/", "Exact"), PathMatch::Exact("/foo/".into()));
    assert_eq!(matches("/foo", "Prefix"), PathMatch::Prefix("/foo".into()));
    assert_eq!(matches("/foo/", "Prefix"), PathMatch::Below("/foo/".into()));
    assert_eq!(
        matches("/foo", "ImplementationSpecific"),
        PathMatch::Prefix("/foo".into())
    );
    assert_eq!(matches("", "Prefix"), PathMatch::Prefix("".into()));
    assert_eq!(
        matches("/", "ImplementationSpecific"),
        PathMatch::Prefix("".into())
    );
}

#[test]
fn strict_types_refuse_odd_characters() {
    for text in ["/a b", "/a;b", "/a$", "/(a|b)", "/é", "/a%20b"] {
        assert!(
            matches!(Path::parse(text, "Prefix"), Err(PathError::Character(_))),
            "{text}"
        );
        assert!(
            matches!(Path::parse(text, "Exact"), Err(PathError::Character(_))),
            "{text}"
        );
        assert!(Path::parse(text, "ImplementationSpecific").is_ok(), "{text}");
    }
}

#[test]
fn paths_that_no_request_has_are_refused() {
    for text in ["/a//b", "/a/../b", "/.", "/a/.."] {
        assert!(
            matches!(Path::parse(text, "Prefix"), Err(PathError::Unresolved(_))),
            "{text}"
        );
    }
    assert!(Path::parse("/.well-known/a..b", "Prefix").is_ok());
    assert!(matches!(
        Path::parse("foo", "ImplementationSpecific"),
        Err(PathError::Relative(_))
    ));
    assert!(Path::parse("/foo", "Regex").unwrap_err().is_type());
}

#[test]
fn prefixes_with_and_without_slash_are_one() {
    let key = |text, path_type| {
        let path = Path::parse(text, path_type).unwrap();
        (path.key().0, path.key().1.to_owned())
    };
    assert_eq!(key("/foo", "Prefix"), key("/foo/", "ImplementationSpecific"));
    assert_ne!(key("/foo", "Exact"), key("/foo/", "Exact"));
    assert_ne!(key("/foo", "Exact"), key("/foo", "Prefix"));
}

#[test]
fn acme_answers_are_never_redirected() {
    let mut policies = RoutePolicies::defaults(&Options::default());
    policies.always = true;
    assert!(policies.of_path("/", false).https_redirect.is_some());
    assert!(
        policies
            .of_path("/.well-known/acme-challenge/x", true)
            .https_redirect
            .is_none()
    );
}
