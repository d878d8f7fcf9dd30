use super::*;

const INGRESS: &str = "apiVersion: networking.k8s.io/v1
kind: Ingress
metadata:
  name: a
spec:
  rules:
  - host: a.example
";

#[test]
fn reads_several_documents_and_defaults_the_namespace() {
    let text = format!(
        "# a comment\n---\n{INGRESS}---\napiVersion: v1\nkind: Namespace\nmetadata: {{name: n}}\n---\n"
    );
    let manifest = parse("a.yaml", &text);
    assert_eq!(manifest.errors, []);
    let names: Vec<_> = manifest
        .objects
        .iter()
        .map(|object| object.object_ref().to_string())
        .collect();
    assert_eq!(names, ["Ingress default/a", "Namespace n"]);
}

#[test]
fn a_broken_document_costs_only_itself_and_is_named_by_line() {
    let text = format!("{INGRESS}---\napiVersion: v1\nkind: Service\nmetadata:\n  name: [\n---\n{INGRESS}");
    let manifest = parse("dir/b.yaml", &text);
    assert_eq!(manifest.objects.len(), 2);
    assert_eq!(manifest.errors.len(), 1);
    let error = &manifest.errors[0];
    assert_eq!(&*error.file, "dir/b.yaml");
    assert!((12..=13).contains(&error.line), "{error}");
    assert!(!error.reason.contains('\n'));
}

#[test]
fn a_wrong_type_is_named_by_line() {
    let text = "apiVersion: v1\nkind: Service\nmetadata:\n  name: a\nspec:\n  ports:\n  - port: eighty\n";
    let manifest = parse("c.yaml", text);
    assert_eq!(manifest.errors.len(), 1);
    assert_eq!(manifest.errors[0].line, 7, "{}", manifest.errors[0]);
}

#[test]
fn missing_name_kind_or_version_is_an_error() {
    for text in [
        "apiVersion: v1\nkind: Service\n",
        "kind: Service\nmetadata: {name: a}\n",
        "apiVersion: v1\nmetadata: {name: a}\n",
        "just text\n",
    ] {
        let manifest = parse("d.yaml", text);
        assert_eq!((manifest.objects.len(), manifest.errors.len()), (0, 1), "{text}");
    }
}

#[test]
fn other_kinds_are_skipped_with_a_note() {
    let manifest = parse(
        "e.yaml",
        "\n---\napiVersion: apps/v1\nkind: Deployment\nmetadata: {name: a}\n",
    );
    assert_eq!(
        manifest.skipped[0].to_string(),
        "e.yaml:2: apps/v1 Deployment is not used and was skipped"
    );
}

#[test]
fn beta_ingresses_are_refused_with_the_way_out() {
    let text = INGRESS.replace("networking.k8s.io/v1", "extensions/v1beta1");
    let reason = &parse("f.yaml", &text).errors[0].reason;
    assert!(reason.contains("networking.k8s.io/v1"), "{reason}");
}

#[test]
fn lists_are_unfolded_and_json_is_yaml() {
    let text = r#"{"apiVersion": "v1", "kind": "List", "items": [
        {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "a", "namespace": "n"}},
        {"apiVersion": "v1", "kind": "Service", "metadata": {}},
        {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "d"}}
    ]}"#;
    let manifest = parse("g.json", text);
    assert_eq!(manifest.objects[0].object_ref().to_string(), "Service n/a");
    assert_eq!((manifest.objects.len(), manifest.skipped.len()), (1, 1));
    assert_eq!(manifest.errors[0].line, 3, "{}", manifest.errors[0]);
}

#[test]
fn a_separator_may_carry_a_comment_and_is_nothing_inside_a_line() {
    let text =
        "--- # first\napiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\ndata:\n  k: |\n    ---\n    x\n";
    let manifest = parse("h.yaml", text);
    assert_eq!((manifest.objects.len(), manifest.errors.len()), (1, 0));
}

#[test]
fn nothing_is_nothing() {
    for text in ["", "\n\n", "# only\n", "---\n---\n", "---"] {
        assert_eq!(parse("i.yaml", text), Manifest::default(), "{text:?}");
    }
}

#[test]
fn a_field_in_a_list_is_named_with_its_line() {
    let text = "apiVersion: v1\nkind: List\nitems:\n- apiVersion: v1\n  kind: Service\n  metadata: {name: a}\n  spec:\n    \
                ports:\n    - port: eighty\n- apiVersion: gateway.networking.k8s.io/v1\n  kind: HTTPRoute\n  metadata: \
                {name: r}\n  spec:\n    rules: none\n";
    let errors: Vec<String> = parse("j.yaml", text)
        .errors
        .iter()
        .map(ToString::to_string)
        .collect();
    assert_eq!(
        errors,
        [
            "j.yaml:9: `spec.ports[0].port`: invalid type: string \"eighty\", expected i32",
            "j.yaml:14: `spec.rules`: invalid type: string \"none\", expected a sequence",
        ]
    );
}

/// As the API server shows a slice without endpoints.
#[test]
fn lists_may_be_null() {
    let text = "apiVersion: discovery.k8s.io/v1\nkind: EndpointSlice\nmetadata: {name: a}\nendpoints: null\nports: null\n";
    let manifest = parse("k.yaml", text);
    assert_eq!((manifest.objects.len(), manifest.errors.len()), (1, 0));
}
