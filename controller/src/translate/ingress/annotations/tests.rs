use std::collections::BTreeSet;

use super::*;
use crate::objects::Objects;

fn parsed(name: &str, value: &str) -> (Settings, Vec<Problem>) {
    let options = Options::default();
    let key = format!("{}/{name}", options.annotations_prefix);
    let annotations = BTreeMap::from([(key, value.to_owned())]);
    let mut problems = Vec::new();
    let object = ObjectRef::new("Ingress", "default", "a");
    let objects = Objects::new();
    let scope = Scope {
        object: &object,
        options: &options,
        lookup: &Lookup::new(&objects),
    };
    let settings = parse(Some(&annotations), &scope, &mut problems);
    (settings, problems)
}

/// The annotations of ingress-nginx 1.15.
const NAMES: &str = include_str!("../../../../tests/ingress_nginx/annotations.txt");

#[test]
fn the_table_is_sorted_and_complete() {
    assert!(table::TABLE.windows(2).all(|pair| pair[0].name < pair[1].name));
    let known = table::TABLE
        .iter()
        .filter(|entry| !matches!(entry.handling, Handling::Removed(_)));
    assert!(known.clone().all(|entry| entry.doc.ends_with('.')));
    let ours: BTreeSet<&str> = known.map(|entry| entry.name).collect();
    let theirs: BTreeSet<&str> = NAMES.lines().collect();
    let (missing, foreign): (Vec<_>, Vec<_>) = (
        theirs.difference(&ours).collect(),
        ours.difference(&theirs).collect(),
    );
    assert!(
        missing.is_empty() && foreign.is_empty(),
        "not in the table: {missing:?}; not ingress-nginx's: {foreign:?}"
    );
}

#[test]
fn what_may_close_something_and_is_not_supported_fails_closed() {
    let unsupported = table::TABLE
        .iter()
        .filter(|entry| matches!(entry.handling, Handling::Closes(_)));
    for entry in unsupported {
        let (settings, problems) = parsed(entry.name, "x");
        // Snippets are above the risk that is taken: nothing of the Ingress is served.
        let closed = settings.rejected || settings.policies.disabled.is_some();
        assert!(closed, "{} opens its routes", entry.name);
        assert!(problems[0].effect >= Effect::RouteDisabled);
    }
}

#[test]
fn a_switch_that_says_no_closes_nothing() {
    let (settings, problems) = parsed("enable-modsecurity", "false");
    assert_eq!((settings.policies.disabled, problems), (None, Vec::new()));
}

#[test]
fn an_empty_value_is_absent() {
    let (settings, problems) = parsed("auth-url", " \n");
    assert_eq!((settings, problems), parsed("enable-rewrite-log", "false"));
}

#[test]
fn what_changes_nothing_is_told_once_it_is_set() {
    for (name, default, other) in [
        ("proxy-buffering", "off", "on"),
        ("enable-rewrite-log", "false", "true"),
        ("auth-keepalive-timeout", "60", "7"),
    ] {
        let (settings, problems) = parsed(name, default);
        assert_eq!(problems, [], "{name}");
        let (others, problems) = parsed(name, other);
        assert_eq!(settings, others, "{name}");
        assert_eq!(problems.len(), 1, "{name}");
        assert_eq!(problems[0].reason, reason::ANNOTATION_WITHOUT_MEANING);
    }
}

#[test]
fn other_prefixes_are_not_ours() {
    let annotations = BTreeMap::from([("nginx.org/ssl-redirect".to_owned(), "x".to_owned())]);
    let mut problems = Vec::new();
    let object = ObjectRef::new("Ingress", "default", "a");
    let objects = Objects::new();
    let scope = Scope {
        object: &object,
        options: &Options::default(),
        lookup: &Lookup::new(&objects),
    };
    parse(Some(&annotations), &scope, &mut problems);
    assert_eq!(problems, []);
}

#[test]
fn sizes_are_those_of_nginx() {
    for (text, size) in [
        ("0", None),
        ("1", Some(1)),
        ("8m", Some(8 << 20)),
        ("2G", Some(2 << 30)),
        ("3K", Some(3072)),
    ] {
        let (settings, problems) = parsed("proxy-body-size", text);
        assert_eq!(
            (settings.policies.body.max_size, problems.len()),
            (size, 0),
            "{text}"
        );
    }
    for text in [
        "m",
        "-1",
        "1.5m",
        "10b",
        "1mb",
        "1 m",
        "99999999999999999999",
        "18446744073709551615g",
    ] {
        let (settings, problems) = parsed("proxy-body-size", text);
        assert_eq!(settings.policies.body, Default::default(), "{text}");
        assert_eq!(
            (problems.len(), problems[0].effect),
            (1, Effect::Ignored),
            "{text}"
        );
    }
}

#[test]
fn booleans_are_those_of_go() {
    for text in ["1", "t", "T", "TRUE", "true", "True", " true "] {
        assert!(parsed("force-ssl-redirect", text).0.force_ssl_redirect, "{text}");
    }
    for text in ["yes", "on", "tRue"] {
        let (settings, problems) = parsed("ssl-redirect", text);
        assert_eq!((settings.ssl_redirect, problems.len()), (true, 1), "{text}");
    }
}

#[test]
fn timeouts_are_whole_seconds() {
    let (settings, _) = parsed("proxy-read-timeout", "3600");
    assert_eq!(settings.policies.timeouts.read.as_secs(), 3600);
    for text in ["0", "-1", "60s", "1.5", "5000000000"] {
        let (settings, problems) = parsed("proxy-read-timeout", text);
        assert_eq!(
            (settings.policies.timeouts.read.as_secs(), problems.len()),
            (60, 1),
            "{text}"
        );
    }
}

#[test]
fn retry_conditions() {
    let on = |text| parsed("proxy-next-upstream", text).0.policies.retry.on;
    assert_eq!(on("error http_503 http_502 http_502").statuses, [502, 503]);
    assert!(!on("http_503").timeout);
    assert!(!on("off").error && !on("off").timeout);
    let (settings, problems) = parsed("proxy-next-upstream", "error http_418");
    assert_eq!(settings.policies.retry, Default::default());
    assert_eq!(problems[0].effect, Effect::Ignored);
}

#[test]
fn hash_keys() {
    let key = |text| parsed("upstream-hash-by", text).0.hash;
    assert_eq!(key("$binary_remote_addr"), Some(HashKey::ClientAddress));
    assert_eq!(key("${request_uri}"), Some(HashKey::RequestUri));
    assert_eq!(
        key("$http_x_user"),
        Some(HashKey::Header(http::HeaderName::from_static("x-user")))
    );
    assert_eq!(key("$cookie_sid"), Some(HashKey::Cookie("sid".into())));
    for text in ["$request_uri$host", "$uri", "${host}b", "x"] {
        let text = tidegate_snapshot::Text::parse(text).map(|parsed| (text, parsed));
        let (text, parsed_text) = text.unwrap();
        assert_eq!(key(text), Some(HashKey::Text(parsed_text)), "{text}");
    }
    assert!(parsed("upstream-hash-by", "$nonsense").0.rejected);
    assert!(parsed("upstream-hash-by", "$host;").0.rejected);
}

#[test]
fn protocols_in_any_case() {
    let protocol = |text| parsed("backend-protocol", text).0.protocol;
    assert_eq!(protocol("grpc"), UpstreamProtocol::H2c);
    assert_eq!(protocol("Https"), UpstreamProtocol::Https);
    assert!(parsed("backend-protocol", "FCGI").0.policies.disabled.is_some());
    assert_eq!(protocol("AUTO_HTTP"), UpstreamProtocol::Auto);
}

#[test]
fn a_misspelt_name_is_told_apart() {
    let (_, problems) = parsed("ssl-redirct", "true");
    assert_eq!(problems[0].reason, reason::UNKNOWN_ANNOTATION);
    assert!(problems[0].fix.contains("/ssl-redirect`"), "{}", problems[0]);
    assert_eq!(
        parsed("something-else-altogether", "x").1[0].fix,
        "remove it, or correct its name"
    );
}

#[test]
fn a_long_value_is_cut_in_messages() {
    let (_, problems) = parsed("ssl-redirect", &"é".repeat(5000));
    assert!(problems[0].message.len() < 300);
}
