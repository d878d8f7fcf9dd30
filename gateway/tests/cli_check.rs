//! `tidegate check`, `schema` and the args of `run`.

#![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]

#[path = "support/cli.rs"]
mod cli;

use cli::{run, text};

const CLASS: &str = "apiVersion: networking.k8s.io/v1\nkind: IngressClass\nmetadata: {name: nginx}\n\
                     spec: {controller: tidegate.dev/ingress}\n---\n";

fn ingress(host: &str) -> String {
    format!(
        "apiVersion: networking.k8s.io/v1\nkind: Ingress\nmetadata: {{name: web}}\nspec:\n  \
         ingressClassName: nginx\n  rules:\n  - host: \"{host}\"\n    http:\n      paths:\n      \
         - path: /\n        pathType: Prefix\n        backend: {{service: {{name: web, port: {{number: 80}}}}}}\n"
    )
}

fn demo() -> String {
    format!("{}/../conf/demo", env!("CARGO_MANIFEST_DIR"))
}

#[test]
fn the_demo_has_no_problems() {
    let output = run(&["check", &demo()], "");
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    assert_eq!(text(&output.stdout), "1 Ingress served, 0 problems\n");
}

#[test]
fn gateways_and_routes_are_counted() {
    let path = format!(
        "{}/../conf/examples/gateway-api-streams.yaml",
        env!("CARGO_MANIFEST_DIR")
    );
    let all = std::fs::read_to_string(path).unwrap();
    let shown = |input: &str| text(&run(&["check", "-"], input).stdout);
    let counted = "1 Gateway, 3 routes attached, 0 problems\n";
    assert!(shown(&all).ends_with(counted), "{}", shown(&all));
    let lost = all.replace("sectionName: cache", "sectionName: nothing");
    let counted = "1 Gateway, 2 routes attached, 1 problem\n";
    assert!(shown(&lost).ends_with(counted), "{}", shown(&lost));
}

#[test]
fn a_problem_names_object_field_and_reason() {
    let input = format!("{CLASS}{}", ingress("a..b"));
    let output = run(&["check", "-"], &input);
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    let shown = text(&output.stdout);
    for part in ["Ingress default/web", "spec.rules[0].host", "a..b", "effect"] {
        assert!(shown.contains(part), "{part} in {shown}");
    }

    let output = run(&["check", "--output=json", "-"], &input);
    assert_eq!(output.status.code(), Some(1));
    let value: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(value["problems"][0]["object"]["name"], "web");
    assert_eq!(value["problems"][0]["field"], "spec.rules[0].host");
}

#[test]
fn settings_that_nobody_reads_are_told() {
    let input = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: settings, namespace: ingress}\n\
                 data: {proxy-read-timeout: \"90\"}\n---\n\
                 apiVersion: v1\nkind: ConfigMap\nmetadata: {name: of-an-app}\ndata: {colour: blue}\n";
    let output = run(&["check", "-"], input);
    let shown = text(&output.stdout);
    let line = "ConfigMap ingress/settings\n  not read: --configmap=ingress/settings";
    assert!(shown.contains(line) && !shown.contains("of-an-app"), "{shown}");
    assert_eq!(output.status.code(), Some(0), "{shown}");
    let shown = text(&run(&["check", "--configmap=ingress/settings", "-"], input).stdout);
    assert!(!shown.contains("not read"), "{shown}");
}

#[test]
fn broken_yaml_names_file_and_line() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("broken.yaml");
    std::fs::write(&path, format!("{CLASS}kind: Ingress\nmetadata: {{name: [\n")).unwrap();
    let output = run(&["check", directory.path().to_str().unwrap()], "");
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    assert!(text(&output.stdout).contains("broken.yaml"), "{output:?}");
}

#[test]
fn classes_of_ingress_nginx_are_adopted_by_flag() {
    let input = format!(
        "{}{}",
        CLASS.replace("tidegate.dev/ingress", "k8s.io/ingress-nginx"),
        ingress("a.example")
    );
    let served = |args: &[&str]| text(&run(args, &input).stdout);
    assert!(served(&["check", "-"]).contains("0 Ingresses served"));
    assert!(served(&["check", "--controller-class=k8s.io/ingress-nginx", "-"]).contains("1 Ingress served"));
}

#[test]
fn what_cannot_be_read_is_exit_2() {
    for args in [
        &["check", "/nonexistent"][..],
        &["check"],
        &["run", "--no-such-flag"],
        &["run", "--config=/nonexistent"],
        &["--http-port=x"],
    ] {
        let output = run(args, "");
        assert_eq!(output.status.code(), Some(2), "{args:?}: {output:?}");
        assert!(!output.stderr.is_empty());
    }
    let error = text(&run(&["run", "--htp-port=1"], "").stderr);
    assert!(
        error.contains("--htp-port") && error.contains("--http-port"),
        "{error}"
    );
}

#[test]
fn the_schema_is_json() {
    let output = run(&["schema"], "");
    let schema: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert!(schema["properties"]["listen"].is_object());
    assert!(output.status.success());
}
