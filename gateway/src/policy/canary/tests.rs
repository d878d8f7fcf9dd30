use tidegate_snapshot::route::CanaryHeader;
use tidegate_snapshot::{ClusterKey, Pattern};

use super::*;
use crate::request::fixtures::Request;

fn request(fields: &[(&'static str, &str)]) -> Request {
    fields.iter().fold(Request::get("/"), |request, (name, value)| {
        request.with(name, value)
    })
}

fn canary(header: Option<CanaryValue>, cookie: Option<&str>, weight: u32) -> Canary {
    Canary::new(&route::Canary {
        main: ClusterKey("main".into()),
        canary: ClusterKey("canary".into()),
        header: header.map(|value| CanaryHeader {
            name: HeaderName::from_static("x-canary"),
            value,
        }),
        cookie: cookie.map(Into::into),
        weight,
        total: 100,
        sticky: true,
    })
}

fn takes(canary: &Canary, fields: &[(&'static str, &str)]) -> bool {
    canary.takes(&request(fields), 0)
}

#[test]
fn the_header_decides_before_the_cookie_and_the_cookie_before_chance() {
    let canary = canary(Some(CanaryValue::Words), Some("who"), 100);
    assert!(!takes(
        &canary,
        &[("x-canary", "never"), ("cookie", "who=always")]
    ));
    assert!(!takes(&canary, &[("x-canary", "maybe"), ("cookie", "who=never")]));
    assert!(takes(&canary, &[("x-canary", "maybe"), ("cookie", "who=maybe")]));
    assert!(takes(&canary, &[]));
}

#[test]
fn a_value_takes_the_meaning_from_the_words() {
    let canary = canary(Some(CanaryValue::Equals("me".into())), None, 0);
    assert!(takes(&canary, &[("x-canary", "me")]));
    assert!(!takes(&canary, &[("x-canary", "always")]));
}

#[test]
fn a_pattern_matches_anywhere_and_a_broken_one_ends_the_search() {
    let pattern = Pattern::new("^Do[A-Z]", false).unwrap();
    let matching = canary(Some(CanaryValue::Matches(pattern)), Some("who"), 0);
    assert!(takes(&matching, &[("x-canary", "DoCanary")]));
    assert!(!takes(&matching, &[("x-canary", "Docanary")]));
    assert!(takes(&matching, &[("x-canary", "no"), ("cookie", "who=always")]));
    let broken = canary(Some(CanaryValue::Main), Some("who"), 100);
    assert!(!takes(&broken, &[("x-canary", "x"), ("cookie", "who=always")]));
    assert!(
        takes(&broken, &[("cookie", "who=always")]),
        "without the field the next rule"
    );
}

#[test]
fn weights_are_shares_of_the_total() {
    let tenth = canary(None, None, 10);
    let none = request(&[]);
    let taken = (0..1000u32).filter(|n| tenth.takes(&none, n * (u32::MAX / 1000)));
    assert!(matches!(taken.count(), 99..=101));
    assert!(!canary(None, None, 0).takes(&none, 0));
    assert!(canary(None, None, 100).takes(&none, u32::MAX));
}
