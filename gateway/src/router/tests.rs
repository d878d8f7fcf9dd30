use std::sync::LazyLock;

use http::{HeaderName, Method};
use proptest::prelude::*;
use tidegate_snapshot::policy::{Authorization, AuthorizationProtocol};
use tidegate_snapshot::route::{HeaderMatch, QueryMatch, RequestMatch, TextMatch, WeightedCluster};
use tidegate_snapshot::{Action, ObjectRef, PathMatch, Pattern, Policies, RouteMatch, VirtualHost};

use super::*;
use crate::request::fixtures::Request;

fn request(host: &str, path: &str) -> Request {
    Request {
        host: host.into(),
        path: path.into(),
        uri: path.into(),
        ..Request::get("/")
    }
}

fn route(name: &str, matches: RouteMatch, action: Action) -> Arc<tidegate_snapshot::Route> {
    Arc::new(tidegate_snapshot::Route {
        matches,
        action,
        policies: Arc::new(Policies::default()),
        origin: ObjectRef::new("Ingress", "default", name),
        path: "/".into(),
    })
}

fn everything(name: &str) -> Arc<tidegate_snapshot::Route> {
    route(
        name,
        RouteMatch::path(PathMatch::Prefix("".into())),
        Action::Respond(204),
    )
}

fn forward(targets: &[(&str, u32)]) -> Action {
    let share = |(key, weight): &(&str, u32)| WeightedCluster::new(ClusterKey((*key).into()), *weight);
    Action::Forward(targets.iter().map(share).collect())
}

fn host(name: &str, routes: Vec<Arc<tidegate_snapshot::Route>>) -> (Hostname, Arc<VirtualHost>) {
    let hostname = Hostname::parse(name).unwrap();
    (
        hostname.clone(),
        Arc::new(VirtualHost {
            hostname,
            routes,
            client_auth: None,
            tls: None,
        }),
    )
}

fn table(hosts: impl IntoIterator<Item = (Hostname, Arc<VirtualHost>)>) -> RouteTable {
    RouteTable {
        hosts: hosts.into_iter().collect(),
        ..RouteTable::default()
    }
}

fn compile(previous: Option<&Hosts>, table: &RouteTable, changed: &[&str]) -> Hosts {
    let changed = changed.iter().map(|key| ClusterKey((*key).into())).collect();
    let links = Links {
        clusters: &HashMap::new(),
        changed: &changed,
        metrics: &Metrics::new(),
    };
    Hosts::compile(previous, table, &links)
}

fn found<'a>(hosts: &'a Hosts, host: &str, path: &str) -> Option<&'a str> {
    hosts
        .find(&request(host, path))
        .map(|route| &*route.spec.origin.name)
}

#[test]
fn the_most_specific_host_answers() {
    let hosts = compile(
        None,
        &table([
            host("a.foo.com", vec![everything("exact")]),
            host("*.foo.com", vec![everything("wildcard")]),
            host("", vec![everything("any")]),
        ]),
        &[],
    );
    assert_eq!(found(&hosts, "a.foo.com", "/"), Some("exact"));
    assert_eq!(found(&hosts, "b.foo.com", "/"), Some("wildcard"));
    assert_eq!(found(&hosts, "a.b.foo.com", "/"), Some("any"));
    assert_eq!(found(&hosts, "foo.com", "/"), Some("any"));
    assert_eq!(found(&hosts, ".foo.com", "/"), Some("any"));
    assert_eq!(found(&hosts, "", "/"), Some("any"));
}

#[test]
fn a_host_without_matching_route_ends_the_search() {
    let narrow = route(
        "narrow",
        RouteMatch::path(PathMatch::Exact("/x".into())),
        Action::Respond(204),
    );
    let hosts = compile(
        None,
        &table([host("a.b", vec![narrow]), host("", vec![everything("any")])]),
        &[],
    );
    assert_eq!(found(&hosts, "a.b", "/x"), Some("narrow"));
    assert_eq!(found(&hosts, "a.b", "/y"), None);
}

#[test]
fn an_unchanged_host_is_taken_over() {
    let (same, other) = (
        host("same.test", vec![everything("a")]),
        host("other.test", vec![everything("b")]),
    );
    let first = compile(None, &table([same.clone(), other]), &[]);
    let second = compile(
        Some(&first),
        &table([same, host("other.test", vec![everything("c")])]),
        &[],
    );
    let both = |name| (first.exact(name).unwrap(), second.exact(name).unwrap());
    assert!(Arc::ptr_eq(both("same.test").0, both("same.test").1));
    assert_eq!(found(&second, "other.test", "/"), Some("c"));
    assert_eq!(second.exact.len(), 2);
}

#[test]
fn a_host_that_names_a_changed_cluster_is_compiled_again() {
    let path = || RouteMatch::path(PathMatch::Prefix("".into()));
    let table = table([
        host("a.test", vec![route("a", path(), forward(&[("x", 1), ("y", 1)]))]),
        host("b.test", vec![route("b", path(), forward(&[("z", 1)]))]),
    ]);
    let first = compile(None, &table, &[]);
    let second = compile(Some(&first), &table, &["y"]);
    assert!(!Arc::ptr_eq(
        first.exact("a.test").unwrap(),
        second.exact("a.test").unwrap()
    ));
    assert!(Arc::ptr_eq(
        first.exact("b.test").unwrap(),
        second.exact("b.test").unwrap()
    ));
}

#[test]
fn a_host_that_asks_a_changed_cluster_is_compiled_again() {
    let policies = |cluster: &str| {
        Arc::new(Policies {
            authorization: Some(Box::new(Authorization {
                cluster: Some(ClusterKey(cluster.into())),
                protocol: AuthorizationProtocol::Grpc,
                request_headers: Vec::new(),
                body: 0,
            })),
            ..Policies::without_filters().as_ref().clone()
        })
    };
    let path = || RouteMatch::path(PathMatch::Prefix("".into()));
    let mut asked = Arc::unwrap_or_clone(route("a", path(), forward(&[("x", 1)])));
    asked.policies = policies("of-rule");
    if let Action::Forward(shares) = &mut asked.action {
        shares[0].policies = Some(policies("of-backend"));
    }
    let table = table([host("a.test", vec![Arc::new(asked)])]);
    let first = compile(None, &table, &[]);
    for (changed, same) in [("of-rule", false), ("of-backend", false), ("other", true)] {
        let second = compile(Some(&first), &table, &[changed]);
        let (before, after) = (first.exact("a.test").unwrap(), second.exact("a.test").unwrap());
        assert_eq!(Arc::ptr_eq(before, after), same, "{changed}");
    }
}

#[test]
fn traffic_splits_by_weight() {
    let split = |targets: &[(&str, u32)]| {
        let hosts = compile(
            None,
            &table([host(
                "",
                vec![route(
                    "r",
                    RouteMatch::path(PathMatch::Prefix("".into())),
                    forward(targets),
                )],
            )]),
            &[],
        );
        hosts.find(&request("", "/")).unwrap().clone()
    };
    let route = split(&[("a", 1), ("none", 0), ("b", 3)]);
    let mut counts = HashMap::new();
    for step in 0..1000_u32 {
        let key = route.by_weight(step * (u32::MAX / 1000)).unwrap().key.to_string();
        *counts.entry(key).or_insert(0) += 1;
    }
    assert!(
        (249..=251).contains(&counts["a"]) && counts["a"] + counts["b"] == 1000,
        "{counts:?}"
    );
    assert_eq!(&*route.by_weight(u32::MAX).unwrap().key.0, "b");
    assert_eq!(&*route.by_weight(0).unwrap().key.0, "a");
    let huge = split(&[("a", u32::MAX), ("b", u32::MAX)]);
    assert_eq!(&*huge.by_weight(u32::MAX).unwrap().key.0, "b");
    assert_eq!(&*huge.by_weight(u32::MAX / 2 - 1).unwrap().key.0, "a");
    assert!(split(&[("a", 0)]).by_weight(7).is_none());
    assert!(split(&[("a", 0), ("b", 0)]).by_weight(7).is_none());
}

#[test]
fn explanation_tells_every_loser() {
    let hosts = compile(
        None,
        &table([
            host(
                "a.foo.com",
                vec![
                    route(
                        "first",
                        RouteMatch::path(PathMatch::Exact("/x".into())),
                        Action::Respond(204),
                    ),
                    route(
                        "second",
                        RouteMatch::path(PathMatch::Prefix("/y".into())),
                        forward(&[("gone", 1)]),
                    ),
                    everything("third"),
                ],
            ),
            host("*.foo.com", vec![everything("wildcard")]),
        ]),
        &[],
    );
    let told = explain(&hosts, &request("a.foo.com", "/y/z"));
    let reasons: Vec<_> = told
        .hosts
        .iter()
        .map(|host| (host.hostname.as_str(), host.answers, host.reason))
        .collect();
    assert_eq!(
        reasons,
        [
            ("a.foo.com", true, "the most specific name with rules"),
            ("*.foo.com", false, "a more specific name answers"),
            ("*", false, "no rule names it"),
        ]
    );
    let reasons: Vec<_> = told
        .routes
        .iter()
        .map(|route| (route.answers, route.reason.as_str()))
        .collect();
    assert_eq!(
        reasons,
        [
            (false, "path differs"),
            (true, "the first that matches"),
            (false, "matches too, but an earlier one answers"),
        ]
    );
    let answer = told.answer.as_ref().unwrap();
    assert_eq!(answer.origin, "Ingress default/second");
    assert!(!answer.targets[0].exists);
    assert!(answer.policies.iter().all(|policy| policy.default));
    assert!(
        told.to_string()
            .contains("to gone weight 1 (no such cluster: 503)"),
        "{told}"
    );
    assert!(serde_json::to_string(&told).is_ok());
}

#[test]
fn explanation_marks_what_is_not_default() {
    let mut spec = (*everything("a")).clone();
    Arc::make_mut(&mut spec.policies).body.max_size = None;
    Arc::make_mut(&mut spec.policies).hsts = Some(tidegate_snapshot::policy::Hsts::default());
    let hosts = compile(None, &table([host("", vec![Arc::new(spec)])]), &[]);
    let answer = explain(&hosts, &request("", "/")).answer.unwrap();
    let changed: Vec<_> = answer.policies.iter().filter(|policy| !policy.default).collect();
    let names: Vec<_> = changed.iter().map(|policy| policy.name.as_str()).collect();
    assert_eq!(names, ["body", "hsts"]);
}

fn any_path() -> impl Strategy<Value = String> {
    "(/|(/(a|b|ab|c\\.d)){1,4}/?)"
}

/// Compiled once; the last one is for values.
static REGEXES: LazyLock<[Pattern; 7]> = LazyLock::new(|| {
    ["^/a", "b/", "^/[ab]+$", "^/A/B", ".*c\\.d", "^/b(/|$)(.*)", "^1"]
        .map(|source| Pattern::new(source, true).unwrap())
});

fn any_condition() -> impl Strategy<Value = RouteMatch> {
    let path = prop_oneof![
        any_path().prop_map(|path| PathMatch::Exact(path.into())),
        any_path().prop_map(|path| PathMatch::Prefix(path.trim_end_matches('/').into())),
        any_path().prop_map(|path| PathMatch::Below(format!("{}/", path.trim_end_matches('/')).into())),
        any_path().prop_map(|path| PathMatch::StartsWith(path.to_uppercase().into())),
        (0..REGEXES.len()).prop_map(|at| PathMatch::Regex(REGEXES[at].clone())),
        // What translation never makes must not confuse the index either.
        "[/ab]{0,4}".prop_map(|path| PathMatch::Exact(path.into())),
        "[/ab]{0,4}".prop_map(|path| PathMatch::Prefix(path.into())),
        "[/ab]{0,4}".prop_map(|path| PathMatch::Below(path.into())),
    ];
    let method = proptest::option::weighted(0.3, prop_oneof![Just(Method::GET), Just(Method::POST)]);
    let value = || {
        prop_oneof![
            "[12]".prop_map(|text| TextMatch::Exact(text.into())),
            Just(TextMatch::Regex(REGEXES[6].clone())),
        ]
    };
    let header = value().prop_map(|value| HeaderMatch {
        name: HeaderName::from_static("x-a"),
        value,
    });
    let query = value().prop_map(|value| QueryMatch {
        name: "q".into(),
        value,
    });
    let headers = proptest::option::weighted(0.3, header);
    let query = proptest::option::weighted(0.3, query);
    (path, method, headers, query).prop_map(|(path, method, header, query)| {
        let request = RequestMatch {
            method,
            headers: header.into_iter().collect(),
            query: query.into_iter().collect(),
        };
        RouteMatch::new(path, request)
    })
}

fn any_request() -> impl Strategy<Value = Request> {
    let method = prop_oneof![Just(Method::GET), Just(Method::POST)];
    let header = proptest::option::of("[12]{1,2}");
    let query = prop_oneof![Just(String::new()), "\\?q=[12]{1,2}", "\\?p=1&q=%31"];
    let host = prop_oneof![Just("a.b.c"), Just("x.b.c"), Just("b.c"), Just("other"), Just("")];
    (method, any_path(), header, query, host).prop_map(|(method, path, header, query, host)| {
        let mut request = request(host, &path);
        request.method = method;
        request.uri += &query;
        match header {
            Some(value) => request.with("x-a", &value),
            None => request,
        }
    })
}

/// The definition, written again without the module's code but for the
/// conditions other than the path: first host by specificity, first route that
/// holds.
fn naive<'a>(table: &'a RouteTable, request: &Request) -> Option<&'a Arc<tidegate_snapshot::Route>> {
    let host = table
        .hosts
        .iter()
        .find(|(name, _)| name.matches(&request.host))?
        .1;
    host.routes.iter().find(|route| {
        let path = request.path.as_str();
        let path_holds = match &route.matches.path {
            PathMatch::Exact(exact) => **exact == *path,
            PathMatch::Prefix(prefix) => **prefix == *path || path.starts_with(&format!("{prefix}/")),
            PathMatch::Below(below) => path.starts_with(&**below),
            PathMatch::StartsWith(start) => path.to_uppercase().starts_with(&start.to_uppercase()),
            PathMatch::Regex(pattern) => pattern.is_match(path),
        };
        let text = |condition: &TextMatch, value: &str| match condition {
            TextMatch::Exact(exact) => **exact == *value,
            TextMatch::Regex(pattern) => pattern.is_match(value),
        };
        let query = request
            .uri
            .split_once("q=")
            .map(|(_, value)| value.replace("%31", "1"));
        let wanted = route.matches.request.as_deref().cloned().unwrap_or_default();
        path_holds
            && wanted
                .method
                .as_ref()
                .is_none_or(|method| *method == request.method)
            && wanted.headers.iter().all(|header| {
                let value = request.headers.get("x-a");
                value.is_some_and(|value| text(&header.value, value.to_str().unwrap()))
            })
            && wanted
                .query
                .iter()
                .all(|condition| query.as_ref().is_some_and(|value| text(&condition.value, value)))
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]

    #[test]
    fn lookup_equals_the_linear_scan(
        lists in proptest::collection::vec(proptest::collection::vec(any_condition(), 0..40), 3),
        requests in proptest::collection::vec(any_request(), 1..20),
    ) {
        let names = ["a.b.c", "*.b.c", ""];
        let table = table(names.iter().zip(lists).map(|(name, conditions)| {
            let number = |(at, condition)| route(&format!("{at}"), condition, Action::Respond(204));
            host(name, conditions.into_iter().enumerate().map(number).collect())
        }));
        let hosts = compile(None, &table, &[]);
        for request in requests {
            let expected = naive(&table, &request);
            let found = hosts.find(&request).map(|route| &route.spec);
            prop_assert_eq!(
                found.map(Arc::as_ptr), expected.map(Arc::as_ptr),
                "{:?}: found {:?}, expected {:?}", request, found, expected
            );
            let told = explain(&hosts, &request);
            let winners: Vec<_> = told.routes.iter().filter(|route| route.answers).collect();
            prop_assert_eq!(winners.len(), usize::from(expected.is_some()));
            if let (Some(winner), Some(expected)) = (winners.first(), expected) {
                prop_assert_eq!(winner.number, expected.origin.name.parse::<usize>().unwrap() + 1);
                prop_assert_eq!(&told.answer.as_ref().unwrap().origin, &expected.origin.to_string());
            }
        }
    }
}
