use std::time::Instant;

use serde_json::{Value, json};

use super::*;
use crate::manifest;
use crate::objects::Objects;
use crate::options::Options;
use crate::translate::Translator;

fn store(yaml: &str) -> Objects {
    let mut objects = Objects::new();
    for object in manifest::parse("test", yaml).objects {
        objects.apply(object);
    }
    objects
}

fn ingress(name: &str, host: &str, path: &str, annotations: &[(&str, &str)]) -> Value {
    let annotations: serde_json::Map<_, _> = annotations
        .iter()
        .map(|(key, value)| (format!("nginx.ingress.kubernetes.io/{key}"), json!(value)))
        .collect();
    json!({
        "apiVersion": "networking.k8s.io/v1",
        "kind": "Ingress",
        "metadata": {"name": name, "namespace": "default", "annotations": annotations},
        "spec": {"rules": [{"host": host, "http": {"paths": [{
            "path": path, "pathType": "Prefix",
            "backend": {"service": {"name": "a", "port": {"number": 80}}},
        }]}}]},
    })
}

fn options() -> Options {
    Options {
        watch_ingress_without_class: true,
        ..Options::default()
    }
}

/// What is said of `asked` while `present` are there.
fn admit_with(options: Options, present: &[Value], asked: &Value) -> Admission {
    let yaml: Vec<String> = present.iter().map(Value::to_string).collect();
    let objects = store(&yaml.join("\n---\n"));
    let mut translator = Translator::new(options);
    translator.translate(&objects);
    translator.admit(&objects, &serde_json::from_value(asked.clone()).unwrap())
}

fn admit(present: &[Value], asked: &Value) -> Admission {
    admit_with(options(), present, asked)
}

fn denial(admission: Admission) -> String {
    match admission {
        Admission::Denied(message) => message,
        Admission::Allowed(warnings) => panic!("allowed, with {warnings:?}"),
    }
}

#[test]
fn the_same_host_and_path_is_denied() {
    let first = ingress("first", "foo.bar", "/", &[]);
    let message = denial(admit(
        std::slice::from_ref(&first),
        &ingress("second", "foo.bar", "/", &[]),
    ));
    assert_eq!(
        message,
        "host \"foo.bar\" and path \"/\" is already defined in ingress default/first"
    );
    assert_eq!(
        admit(std::slice::from_ref(&first), &first),
        Admission::Allowed(Vec::new()),
        "an update"
    );
    let other = ingress("second", "foo.bar", "/b", &[]);
    assert_eq!(admit(&[first], &other), Admission::Allowed(Vec::new()));
    // nginx makes one location of both.
    let slash = admit(
        &[ingress("first", "foo.bar", "/foo", &[])],
        &ingress("second", "foo.bar", "/foo/", &[]),
    );
    assert!(matches!(slash, Admission::Denied(_)));
}

#[test]
fn one_canary_may_share_a_path_and_no_second() {
    let main = ingress("main", "foo.bar", "/", &[]);
    let canary = |name| {
        ingress(
            name,
            "foo.bar",
            "/",
            &[("canary", "true"), ("canary-by-header", "x")],
        )
    };
    assert!(matches!(
        admit(std::slice::from_ref(&main), &canary("one")),
        Admission::Allowed(_)
    ));
    assert!(matches!(
        admit(&[main, canary("one")], &canary("two")),
        Admission::Denied(_)
    ));
}

#[test]
fn paths_are_inspected_and_checked() {
    assert!(denial(admit(&[], &ingress("a", "foo.bar", "/etc/nginx", &[]))).contains("/etc/nginx"));
    assert!(matches!(
        admit(&[], &ingress("a", "foo.bar", "/mypage", &[])),
        Admission::Allowed(_)
    ));
    denial(admit(&[], &ingress("a", "foo.bar", "/foo/bar/[a-z]{3}", &[])));
    let mut foreign = ingress("a", "foo.bar", "/etc/nginx", &[]);
    foreign["spec"]["ingressClassName"] = json!("other");
    denial(admit(&[], &foreign));
}

#[test]
fn annotations_are_parsed() {
    let bad = |name, value| admit(&[], &ingress("a", "foo.bar", "/", &[(name, value)]));
    let message = denial(bad("load-balance", "random"));
    assert!(
        message.contains("load-balance") && message.contains("random"),
        "{message}"
    );
    assert!(denial(bad("configuration-snippet", "x")).contains("disabled by the administrator"));
    let Admission::Allowed(warnings) = bad("proxy-read-timeout", "x") else {
        panic!("a default stands in for it");
    };
    assert!(warnings[0].contains("proxy-read-timeout"), "{warnings:?}");
}

#[test]
fn words_risks_and_prefixes() {
    let blocked = Options {
        blocked_words: vec!["}".into(), "set_by_lua".into()],
        ..options()
    };
    for value in ["a }", "set_by_lua"] {
        let asked = ingress("a", "foo.bar", "/", &[("app-root", value)]);
        let message = denial(admit_with(blocked.clone(), &[], &asked));
        assert!(message.contains("annotation-value-word-blocklist"), "{message}");
    }
    let medium = Options {
        risk_level: crate::options::Risk::Medium,
        ..options()
    };
    let asked = ingress("a", "foo.bar", "/", &[("server-alias", "b.c")]);
    assert!(denial(admit_with(medium, &[], &asked)).contains("High"));
    let prefixed = Options {
        annotations_prefix: "example.com".to_owned(),
        ..options()
    };
    assert!(denial(admit_with(prefixed, &[], &asked)).contains("example.com"));
}

#[test]
fn other_classes_are_none_of_our_business() {
    let mut asked = ingress("a", "foo.bar", "/", &[("configuration-snippet", "x")]);
    asked["spec"]["ingressClassName"] = json!("other");
    assert_eq!(admit(&[], &asked), Admission::Allowed(Vec::new()));
}

/// The cost of one review must not grow with the number of Ingresses. Relative,
/// so that it holds in a debug build on a busy machine.
#[test]
fn ten_thousand_ingresses_cost_no_more_than_ten() {
    let fastest = |count: usize| {
        let mut objects = Objects::new();
        for number in 0..count {
            let host = format!("host-{number}.example.com");
            let value = ingress(&format!("ingress-{number}"), &host, "/", &[]);
            for object in manifest::parse("test", &value.to_string()).objects {
                objects.apply(object);
            }
        }
        let mut translator = Translator::new(options());
        translator.translate(&objects);
        let asked = ingress("new", "host-5.example.com", "/b", &[("proxy-body-size", "8m")]);
        let asked: Ingress = serde_json::from_value(asked).unwrap();
        let rounds = (0..50).map(|_| {
            let start = Instant::now();
            assert_eq!(translator.admit(&objects, &asked), Admission::Allowed(Vec::new()));
            start.elapsed()
        });
        rounds.min().unwrap()
    };
    let (few, many) = (fastest(10), fastest(10_000));
    assert!(many < Duration::from_millis(10), "{many:?}");
    assert!(
        many < few * 5 + Duration::from_millis(1),
        "{few:?} with 10, {many:?} with 10,000"
    );
}

#[tokio::test]
async fn a_review_that_nobody_can_judge_is_an_error() {
    let desk = Desk::new(State::new());
    let review = json!({"request": {
        "uid": "1", "operation": "CREATE",
        "kind": {"group": "networking.k8s.io", "kind": "Ingress"},
        "object": ingress("a", "b", "/", &[]),
    }});
    assert!(matches!(
        desk.review(review.to_string().as_bytes()).await,
        Err(ReviewError::Unavailable(_))
    ));
    for body in ["", "{}", "[1]", "{\"request\": 1}"] {
        let answer = desk.review(body.as_bytes()).await;
        assert!(matches!(answer, Err(ReviewError::Malformed(_))), "{body}");
    }
    let other = json!({"request": {"uid": "7", "kind": {"group": "", "kind": "Pod"}}});
    let answer: Value =
        serde_json::from_slice(&desk.review(other.to_string().as_bytes()).await.unwrap()).unwrap();
    assert_eq!(answer["response"], json!({"uid": "7", "allowed": true}));
}

#[test]
fn reviews_are_counted_by_ingress_and_not_without_end() {
    let mut reviews = Reviews::default();
    let name = |number: usize| NamespacedName::new("shop", &number.to_string());
    for number in 0..150 {
        reviews.add(name(number), true, Duration::from_millis(1));
        reviews.add(name(0), false, Duration::from_millis(2));
    }
    assert_eq!(reviews.ingresses.len(), MOST_REVIEWED);
    let (last, counts) = reviews.ingresses.last().unwrap();
    assert_eq!((last, counts.passed, counts.failed), (&name(0), 1, 150));
    assert!(reviews.any && reviews.last == Duration::from_millis(2));
}
