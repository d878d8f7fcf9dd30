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
    let asked = serde_json::from_value(asked.clone()).unwrap();
    translator.judge().admit(&asked, true)
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

/// nginx has one location for each text, whatever the path type; one of a
/// regular expression stays as it is.
#[test]
fn paths_are_the_same_by_their_text() {
    let exact = |name, path| {
        let mut exact = ingress(name, "foo.bar", path, &[]);
        exact["spec"]["rules"][0]["http"]["paths"][0]["pathType"] = json!("Exact");
        exact
    };
    let prefix = |name, path| ingress(name, "foo.bar", path, &[]);
    let regex = |name, path| ingress(name, "foo.bar", path, &[("use-regex", "true")]);
    for (first, second, denied) in [
        (exact("a", "/foo"), prefix("b", "/foo"), true),
        (prefix("a", "/foo"), exact("b", "/foo"), true),
        (prefix("a", "/foo"), exact("b", "/foo/"), true),
        (prefix("a", "/foo/"), exact("b", "/foo/"), true),
        (prefix("a", "/foo/"), exact("b", "/foo"), false),
        (exact("a", "/foo/"), exact("b", "/foo"), false),
        (exact("a", "/"), prefix("b", "/"), true),
        (regex("a", "/foo"), regex("b", "/foo/"), false),
        (regex("a", "/foo"), regex("b", "/foo"), true),
        (prefix("a", "/foo"), prefix("b", "/FOO"), false),
    ] {
        let answer = admit(std::slice::from_ref(&first), &second);
        let refused = matches!(answer, Admission::Denied(_));
        assert_eq!(refused, denied, "{first} and {second}: {answer:?}");
    }
}

/// What was taken is free again, and nobody is in his own way.
#[test]
fn paths_go_with_their_ingress() {
    let mut objects = store(&ingress("a", "foo.bar", "/", &[]).to_string());
    let mut translator = Translator::new(options());
    translator.translate(&objects);
    let asked: Ingress = serde_json::from_value(ingress("b", "foo.bar", "/", &[])).unwrap();
    denial(translator.judge().admit(&asked, true));
    objects.delete(crate::objects::Kind::Ingress, "default", "a");
    let before = translator.judge();
    translator.translate(&objects);
    denial(before.admit(&asked, true));
    assert_eq!(
        translator.judge().admit(&asked, true),
        Admission::Allowed(Vec::new())
    );
    let mut again = ingress("b", "foo.bar", "/", &[]);
    again["metadata"]["uid"] = json!("b2d4c3d0-0000-4000-8000-000000000001");
    assert_eq!(
        admit(&[ingress("b", "foo.bar", "/", &[])], &again),
        Admission::Allowed(Vec::new())
    );
}

/// Whoever reaches the port learns nothing of Secrets, of what ConfigMaps hold,
/// or of Services: the same bytes with and without them.
#[test]
fn answers_tell_nothing_of_other_objects() {
    let present = [
        json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "x", "namespace": "kube-system"},
            "data": {"auth": "YTpi", "ca.crt": "bm9uZQ==", "tls.crt": "bm9uZQ==", "tls.key": "bm9uZQ=="}}),
        json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "x", "namespace": "default"},
            "data": {"auth": "YTpi", "ca.crt": "bm9uZQ==", "tls.crt": "bm9uZQ==", "tls.key": "bm9uZQ=="}}),
        json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "m", "namespace": "kube-system"},
            "data": {"hidden key": "hidden value", "X-A": "a\nb"}}),
        json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "m", "namespace": "default"},
            "data": {"hidden key": "hidden value", "X-A": "a\nb"}}),
        json!({"apiVersion": "v1", "kind": "Service", "metadata": {"name": "s", "namespace": "default"},
            "spec": {"ports": [{"port": 80}]}}),
    ];
    let auth = ("auth-url", "http://auth/");
    let asked: [&[(&str, &str)]; 9] = [
        &[("auth-type", "basic"), ("auth-secret", "kube-system/x")],
        &[
            ("auth-type", "digest"),
            ("auth-secret", "x"),
            ("auth-secret-type", "auth-map"),
        ],
        &[("auth-tls-secret", "kube-system/x")],
        &[("proxy-ssl-secret", "default/x"), ("proxy-ssl-verify", "on")],
        &[("custom-headers", "kube-system/m")],
        &[("custom-headers", "default/m")],
        &[auth, ("auth-proxy-set-headers", "kube-system/m")],
        &[auth, ("auth-proxy-set-headers", "default/m")],
        &[("default-backend", "s")],
    ];
    for crossing in [false, true] {
        let options = Options {
            allow_cross_namespace_resources: crossing,
            ..options()
        };
        for annotations in asked {
            let asked = ingress("a", "foo.bar", "/", annotations);
            let [without, with] = [&[][..], &present].map(|present| {
                let admission = admit_with(options.clone(), present, &asked);
                serde_json::to_vec(&reviewed("7".to_owned(), admission)).unwrap()
            });
            let text = String::from_utf8(with.clone()).unwrap();
            assert_eq!(with, without, "{annotations:?}: {text}");
            let shown = ["hidden", "exist", "ca.crt"]
                .iter()
                .find(|word| text.contains(**word));
            assert_eq!(shown, None, "{annotations:?}: {text}");
        }
    }
}

/// What is wrong with the annotations themselves is said all the same.
#[test]
fn faults_beside_a_reference_are_told() {
    let annotations = [
        ("auth-url", "http://auth/"),
        ("auth-proxy-set-headers", "default/m"),
        ("auth-request-redirect", "$no_such_variable"),
    ];
    let answer = admit(&[], &ingress("a", "foo.bar", "/", &annotations));
    let Admission::Allowed(warnings) = answer else {
        panic!("{answer:?}")
    };
    assert!(warnings[0].contains("auth-request-redirect"), "{warnings:?}");
}

/// Namespaces that nobody watches are inspected, no more.
#[test]
fn other_namespaces_are_none_of_our_business() {
    let mut translator = Translator::new(options());
    translator.translate(&store(&ingress("a", "foo.bar", "/", &[]).to_string()));
    let asked = |path| serde_json::from_value(ingress("b", "foo.bar", path, &[])).unwrap();
    let judge = translator.judge();
    denial(judge.admit(&asked("/"), true));
    assert_eq!(judge.admit(&asked("/"), false), Admission::Allowed(Vec::new()));
    denial(judge.admit(&asked("/etc/passwd"), false));

    let state = State::new();
    assert!(state.watches("any"));
    state.set_watched(["shop".to_owned()].into());
    assert!(state.watches("shop") && !state.watches("any"));
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
    let fastest = |count: usize, of_one_host: bool| {
        let mut objects = Objects::new();
        for number in 0..count {
            let (host, path) = match of_one_host {
                true => ("host-5.example.com".to_owned(), format!("/{number}")),
                false => (format!("host-{number}.example.com"), "/".to_owned()),
            };
            let value = ingress(&format!("ingress-{number}"), &host, &path, &[]);
            for object in manifest::parse("test", &value.to_string()).objects {
                objects.apply(object);
            }
        }
        let mut translator = Translator::new(options());
        translator.translate(&objects);
        let judge = translator.judge();
        let asked = ingress("new", "host-5.example.com", "/b", &[("proxy-body-size", "8m")]);
        let asked: Ingress = serde_json::from_value(asked).unwrap();
        let rounds = (0..50).map(|_| {
            let start = Instant::now();
            assert_eq!(judge.admit(&asked, true), Admission::Allowed(Vec::new()));
            start.elapsed()
        });
        rounds.min().unwrap()
    };
    for of_one_host in [false, true] {
        let (few, many) = (fastest(10, of_one_host), fastest(10_000, of_one_host));
        assert!(many < Duration::from_millis(10), "{many:?}");
        assert!(
            many < few * 5 + Duration::from_millis(1),
            "{few:?} with 10, {many:?} with 10,000"
        );
    }
}

#[test]
fn a_review_that_nobody_can_judge_is_an_error() {
    let desk = Desk::new(State::new());
    let review = json!({"request": {
        "uid": "1", "operation": "CREATE",
        "kind": {"group": "networking.k8s.io", "kind": "Ingress"},
        "object": ingress("a", "b", "/", &[]),
    }});
    assert!(matches!(
        desk.review(review.to_string().as_bytes()),
        Err(ReviewError::Unavailable(_))
    ));
    for body in ["", "{}", "[1]", "{\"request\": 1}"] {
        let answer = desk.review(body.as_bytes());
        assert!(matches!(answer, Err(ReviewError::Malformed(_))), "{body}");
    }
    let other = json!({"request": {"uid": "7", "kind": {"group": "", "kind": "Pod"}}});
    let answer: Value = serde_json::from_slice(&desk.review(other.to_string().as_bytes()).unwrap()).unwrap();
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
