//! What the fuzz target `manifest` checks, on its seeds and on generated input:
//! no YAML makes reading or translating panic, and errors name a line.

#![allow(clippy::unwrap_used, reason = "tests")]

use proptest::prelude::*;
use tidegate_controller::manifest;
use tidegate_controller::objects::Objects;
use tidegate_controller::options::Options;
use tidegate_controller::translate::translate;

const SEEDS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../fuzz/seeds/manifest");

fn holds(text: &str) {
    let read = manifest::parse("input.yaml", text);
    let lines = text.lines().count().max(1);
    for error in &read.errors {
        assert!(
            (1..=lines + 1).contains(&error.line),
            "line {} of {lines}: {}",
            error.line,
            error.reason
        );
        assert!(!error.reason.is_empty());
    }
    let mut objects = Objects::new();
    for object in read.objects {
        objects.apply(object);
    }
    let options = Options {
        watch_ingress_without_class: true,
        ..Options::default()
    };
    translate(&objects, &options);
}

#[test]
fn the_seeds_of_the_fuzz_target_hold() {
    let mut seen = 0;
    for entry in std::fs::read_dir(SEEDS).unwrap() {
        holds(&std::fs::read_to_string(entry.unwrap().path()).unwrap());
        seen += 1;
    }
    assert!(seen >= 4, "only {seen} seeds");
}

/// Pieces that make nearly valid manifests.
fn piece() -> impl Strategy<Value = String> {
    let known = prop::sample::select(vec![
        "---\n",
        "apiVersion: networking.k8s.io/v1\nkind: Ingress\nmetadata: {name: a}\n",
        "apiVersion: v1\nkind: Service\nmetadata: {name: s}\nspec: {ports: [{port: 80}]}\n",
        "apiVersion: v1\nkind: Secret\nmetadata: {name: t}\ntype: kubernetes.io/tls\n",
        "spec: {defaultBackend: {service: {name: s, port: {number: 80}}}}\n",
        "spec: {tls: [{secretName: t}], rules: [{host: '*.a'}]}\n",
        "spec: {rules: [{http: {paths: [{path: '/a/', backend: {service: {name: s}}}]}}]}\n",
        "stringData: {tls.crt: x, tls.key: y}\n",
        "spec: [\n",
        "  - : {\n",
        "kind: List\nitems: [~, 1, {}]\n",
    ]);
    prop_oneof![4 => known.prop_map(str::to_owned), 1 => "\\PC{0,40}\n"]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn no_input_panics(pieces in prop::collection::vec(piece(), 0..8)) {
        holds(&pieces.concat());
    }
}
