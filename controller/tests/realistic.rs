//! A cluster of 1,000 Ingresses as real ones are: TLS, passwords, single sign-on,
//! client certificates, canaries, several Ingresses of one host, aliases, pages
//! for errors, snippets, ConfigMaps. It must translate without a Problem but that
//! buffers are not made; and beside 10,000 of them another one is judged by the
//! webhook in no time.

#![allow(clippy::unwrap_used, clippy::panic, clippy::print_stdout, reason = "tests")]

#[path = "realistic/cluster.rs"]
mod cluster;

use std::time::{Duration, Instant};

use cluster::{App, cluster};
use serde_json::json;
use tidegate_controller::manifest;
use tidegate_controller::objects::{NamespacedName, Objects};
use tidegate_controller::options::Options;
use tidegate_controller::translate::{Admission, Translator, translate};

const INGRESSES: usize = 1000;

fn objects(yaml: &str) -> Objects {
    let manifest = manifest::parse("cluster", yaml);
    assert_eq!(manifest.errors, []);
    let mut objects = Objects::new();
    for object in manifest.objects {
        objects.apply(object);
    }
    objects
}

fn options() -> Options {
    Options {
        config_map: Some(NamespacedName::new("ingress-nginx", "controller")),
        ..Options::default()
    }
}

/// What `tidegate check` does: read, translate, list the problems. A second in
/// a release build; a debug build on a busy machine gets many more.
#[test]
fn a_thousand_ingresses_have_no_problem() {
    let yaml = cluster(INGRESSES);
    let start = Instant::now();
    let objects = objects(&yaml);
    let translation = translate(&objects, &options());
    let took = start.elapsed();
    // One line for each that asks for buffers, and nothing else.
    let asking = ["/proxy-buffering\":\"on\"", "/client-body-buffer-size\":"]
        .into_iter()
        .flat_map(|text| yaml.matches(text))
        .count();
    for problem in &translation.problems {
        assert_eq!(problem.reason, "AnnotationWithoutMeaning", "{problem}");
        assert!(problem.field.contains("buffer"), "{problem}");
    }
    assert_eq!(translation.problems.len(), asking);
    assert_eq!(translation.accepted.len(), INGRESSES);
    assert!(took < Duration::from_secs(30), "{took:?}");
}

/// The cluster is no better than it looks: what is broken in it shows.
#[test]
fn what_is_missing_is_told() {
    let whole = cluster(INGRESSES);
    for (gone, reason) in [
        ("\"name\":\"users\"", "auth-type"),
        ("\"name\":\"clients\"", "auth-tls-secret"),
        ("\"name\":\"fields\"", "custom-headers"),
        ("\"name\":\"wildcard\"", "spec.tls"),
        ("\"name\":\"errors\"", "default-backend"),
        ("\"name\":\"controller\"", "configuration-snippet"),
    ] {
        let rest: Vec<&str> = whole
            .split("\n---\n")
            .filter(|document| !document.contains(gone) || document.contains("\"kind\":\"Ingress\""))
            .collect();
        assert!(rest.len() < whole.split("\n---\n").count(), "{gone}");
        let translation = translate(&objects(&rest.join("\n---\n")), &options());
        let told = translation
            .problems
            .iter()
            .any(|problem| problem.field.contains(reason));
        assert!(told, "without {gone}: {:?}", translation.problems.first());
    }
}

/// ingress-nginx renders and tests the whole configuration for each. The limit is
/// for 95 of a hundred in a debug build on a machine that does other things; a
/// release build takes some microseconds.
#[test]
fn the_webhook_judges_beside_ten_thousand_within_ten_milliseconds() {
    const MANY: usize = 10_000;
    let objects = objects(&cluster(MANY));
    let mut translator = Translator::new(options());
    translator.translate(&objects);
    let judge = translator.judge();
    let mut times: Vec<Duration> = (0..100)
        .map(|number| {
            let app = App::new(number);
            let mut object = app.ingress();
            object["metadata"]["name"] = json!("new");
            // Every second one has the host and paths of another.
            if number.is_multiple_of(2) {
                object["spec"]["rules"][0]["host"] = json!(format!("new-{number}.example.com"));
            }
            let object = serde_json::from_value(object).unwrap();
            let start = Instant::now();
            let admission = judge.admit(&object, true);
            let took = start.elapsed();
            match number % 2 {
                0 => assert!(matches!(admission, Admission::Allowed(_)), "{admission:?}"),
                _ => assert!(matches!(admission, Admission::Denied(_)), "{admission:?}"),
            }
            took
        })
        .collect();
    times.sort();
    println!("median {:?}, slowest {:?}", times[50], times[99]);
    assert!(times[94] < Duration::from_millis(10), "{times:?}");
}
