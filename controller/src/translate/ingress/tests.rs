use tidegate_snapshot::PathMatch;

use super::path::{PathError, PathRules};
use super::*;

fn parse(text: &str, path_type: &str) -> Result<Path, PathError> {
    let rules = PathRules {
        strict: true,
        regex: false,
    };
    Path::parse(text, path_type, rules)
}

fn matches(text: &str, path_type: &str) -> PathMatch {
    parse(text, path_type).unwrap().matches()
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
            matches!(parse(text, "Prefix"), Err(PathError::Character(_))),
            "{text}"
        );
        assert!(
            matches!(parse(text, "Exact"), Err(PathError::Character(_))),
            "{text}"
        );
        assert!(parse(text, "ImplementationSpecific").is_ok(), "{text}");
    }
}

#[test]
fn paths_that_no_request_has_are_refused() {
    for text in ["/a//b", "/a/../b", "/.", "/a/.."] {
        assert!(
            matches!(parse(text, "Prefix"), Err(PathError::Unresolved(_))),
            "{text}"
        );
    }
    assert!(parse("/.well-known/a..b", "Prefix").is_ok());
    assert!(matches!(
        parse("foo", "ImplementationSpecific"),
        Err(PathError::Relative(_))
    ));
    assert!(parse("/foo", "Regex").unwrap_err().is_type());
}

#[test]
fn prefixes_with_and_without_slash_are_one() {
    let key = |text, path_type| {
        let path = parse(text, path_type).unwrap();
        (path.key().0, path.key().1.to_owned())
    };
    assert_eq!(key("/foo", "Prefix"), key("/foo/", "ImplementationSpecific"));
    assert_ne!(key("/foo", "Exact"), key("/foo/", "Exact"));
    assert_ne!(key("/foo", "Exact"), key("/foo", "Prefix"));
}

#[test]
fn on_regex_hosts_types_do_not_count() {
    let regex = |text, path_type| parse(text, path_type).unwrap().as_regex();
    for path_type in ["Exact", "Prefix", "ImplementationSpecific"] {
        assert_eq!(
            regex("/foo/", path_type),
            Ok(PathMatch::StartsWith("/foo/".into()))
        );
    }
    let Ok(PathMatch::Regex(pattern)) = regex("/a.b", "Exact") else {
        panic!("not a regular expression")
    };
    assert_eq!(pattern.source(), "^/a.b");
    assert!(pattern.is_match("/AxBcd") && !pattern.is_match("/x/a.b"));
    assert!(regex("/a(", "ImplementationSpecific").is_err());
}

#[test]
fn looser_rules_take_more() {
    let lax = PathRules {
        strict: false,
        regex: true,
    };
    assert!(Path::parse("/a(/|$)(.*)", "Prefix", lax).is_ok());
    assert!(Path::parse("/a/..", "ImplementationSpecific", lax).is_ok());
    assert!(Path::parse("/a/..", "Prefix", lax).is_err());
}
