//! Wrong values are refused, with a message that names the value and the reason.

use std::collections::BTreeSet;

use serde_json::Value;

use super::helm::{set, template};
use super::read;

/// What is set, and parts of the message.
const REFUSED: &[(&[&str], &[&str])] = &[
    (
        &["controller.replicaCoutn=3"],
        &["/controller", "'replicaCoutn' not allowed"],
    ),
    (&["contoller.kind=DaemonSet"], &["'contoller' not allowed"]),
    (
        &["controller.kind=Both"],
        &["/controller/kind", "'Deployment', 'DaemonSet'"],
    ),
    (
        &["controller.service.type=LoadBalncer"],
        &["/controller/service/type", "'LoadBalancer'"],
    ),
    (
        &["controller.service.internal.external.enabled=true"],
        &["internal", "'external' not allowed"],
    ),
    (
        &["controller.metrics.port=http"],
        &["/controller/metrics/port", "want integer"],
    ),
    (
        &["controller.containerPort.http=70000"],
        &["/controller/containerPort/http", "65"],
    ),
    (
        &["controller.replicaCount=-1"],
        &["/controller/replicaCount", "minimum"],
    ),
    (
        &["controller.image.digest=latest"],
        &["/controller/image/digest", "sha256"],
    ),
    (
        &["controller.extraEnvs.name=x"],
        &["/controller/extraEnvs", "want array"],
    ),
    (
        &["controller.config.nested.key=x"],
        &["/controller/config/nested", "got object"],
    ),
    (
        &["controller.publishService.pathOverride=name"],
        &["/controller/publishService/pathOverride"],
    ),
    (&["controller.electionTTL=soon"], &["/controller/electionTTL"]),
    (&["tcp.x=a/b:1"], &["'x' does not match"]),
    (&["tcp.5432=postgres"], &["/tcp/5432", "does not match"]),
    (
        &["controller.admissionWebhooks.failurePolicy=Maybe"],
        &["'Fail', 'Ignore'"],
    ),
    // What only templates can tell.
    (
        &["controller.image.image=ingress-nginx/controller"],
        &["controller.image is ingress-nginx's program"],
    ),
    (&["controller.image.image="], &["controller.image.image is empty"]),
    (
        &[
            "controller.autoscaling.enabled=true",
            "controller.keda.enabled=true",
        ],
        &["controller.autoscaling.enabled and controller.keda.enabled"],
    ),
    (
        &["controller.kind=DaemonSet", "controller.autoscaling.enabled=true"],
        &["DaemonSet, which cannot be scaled"],
    ),
    (&["rbac.scope=true"], &["controller.scope.enabled"]),
    (
        &[
            "rbac.scope=true",
            "controller.scope.enabled=true",
            "controller.scope.namespaceSelector=a=b",
        ],
        &["rbac.namespaces"],
    ),
    (
        &[
            "controller.scope.namespace=a",
            "controller.scope.namespaceSelector=a=b",
        ],
        &["only one of them"],
    ),
    (
        &["controller.terminationGracePeriodSeconds=10"],
        &["terminationGracePeriodSeconds (10)", "shutdownGracePeriod (10)"],
    ),
    (
        &[
            "controller.containerPort.http=9443",
            "controller.admissionWebhooks.enabled=true",
        ],
        &["containerPort.http and controller.admissionWebhooks.port are both port 9443"],
    ),
    (&["defaultBackend.enabled=true"], &["defaultBackend.image.image"]),
];

#[test]
fn wrong_values_are_refused_by_name() {
    for (pairs, parts) in REFUSED {
        let error = template(&set(pairs)).expect_err(&format!("{pairs:?} was taken"));
        for part in *parts {
            assert!(error.contains(part), "{pairs:?}: no {part:?} in\n{error}");
        }
    }
}

/// Every value has a rule, so that one with a typing error has none.
#[test]
fn the_schema_knows_every_value() {
    let values: Value = serde_saphyr::from_str(&read("helm/tidegate/values.yaml")).unwrap();
    let schema: Value = serde_json::from_str(&read("helm/tidegate/values.schema.json")).unwrap();
    let mut missing = BTreeSet::new();
    compare(&values, &schema, &schema, "", &mut missing);
    assert!(missing.is_empty(), "not in values.schema.json: {missing:?}");
}

fn compare(values: &Value, rule: &Value, schema: &Value, path: &str, missing: &mut BTreeSet<String>) {
    let rule = resolve(rule, schema);
    let (Some(values), Some(properties)) = (values.as_object(), rule["properties"].as_object()) else {
        return;
    };
    for (name, value) in values {
        let path = format!("{path}/{name}");
        match properties.get(name) {
            Some(rule) => compare(value, rule, schema, &path, missing),
            None => drop(missing.insert(path)),
        }
    }
}

/// A rule, or what it refers to.
fn resolve<'a>(rule: &'a Value, schema: &'a Value) -> &'a Value {
    let Some(reference) = rule["$ref"].as_str() else {
        return rule;
    };
    schema.pointer(reference.trim_start_matches('#')).unwrap()
}

/// A value that is taken and then forgotten is worse than one that is refused:
/// each is used by a template, at least to say that it has no effect.
#[test]
fn every_value_is_used() {
    let mut templates = read("helm/tidegate/templates/tests/answers.yaml");
    for entry in std::fs::read_dir(super::repository("helm/tidegate/templates")).unwrap() {
        let path = entry.unwrap().path();
        if path.is_file() {
            templates += &std::fs::read_to_string(path).unwrap();
        }
    }
    let words: BTreeSet<&str> = templates
        .split(|letter: char| !letter.is_alphanumeric())
        .filter(|word| !word.is_empty())
        .collect();
    let schema: Value = serde_json::from_str(&read("helm/tidegate/values.schema.json")).unwrap();
    let mut unused = BTreeSet::new();
    names(&schema, &schema, &mut |name| {
        // Made from the names of the ports.
        if !words.contains(name) && name != "enableHttps" && name != "enableHttp" {
            unused.insert(name.to_owned());
        }
    });
    assert!(unused.is_empty(), "without any effect: {unused:?}");
}

fn names(rule: &Value, schema: &Value, each: &mut dyn FnMut(&str)) {
    let rule = resolve(rule, schema);
    for (name, rule) in rule["properties"].as_object().into_iter().flatten() {
        each(name);
        names(rule, schema, each);
    }
}
