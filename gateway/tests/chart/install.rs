//! The chart against a real API server: every object is accepted, pods meet
//! the Pod Security Standard, and a release comes, changes and goes.

use std::collections::BTreeSet;
use std::path::Path;
use std::time::Instant;

use serde_json::json;

use super::api_server::ApiServer;
use super::helm::{self, NAMESPACE, Objects, RELEASE, matrix, release_command, rendered_file, set, values};
use super::{gateway_api, rights};

/// CRDs of other projects.
const FOREIGN: [&str; 6] = [
    "cert-manager.io_certificates.yaml",
    "cert-manager.io_issuers.yaml",
    "keda.sh_scaledobjects.yaml",
    "monitoring.coreos.com_podmonitors.yaml",
    "monitoring.coreos.com_prometheusrules.yaml",
    "monitoring.coreos.com_servicemonitors.yaml",
];

#[test]
fn a_real_api_server_takes_the_chart() {
    let start = Instant::now();
    let api = ApiServer::start();
    println!("API server ready after {:?}", start.elapsed());
    for name in [NAMESPACE, "shop", "blog", "certificates"] {
        api.apply(&json!({
            "apiVersion": "v1", "kind": "Namespace",
            "metadata": {"name": name, "labels": {"pod-security.kubernetes.io/enforce": "restricted"}},
        }));
    }
    install_foreign_definitions(&api);
    gateway_api::install_definitions(&api);
    everything_is_accepted(&api);
    pods_are_restricted(&api);
    a_foreign_class_is_left_alone(&api);
    a_release_comes_changes_and_goes(&api);
    an_own_certificate_is_kept(&api);
    rights::they_suffice(&api);
}

/// A server-side dry run: defaults, validation and admission of the real thing.
fn everything_is_accepted(api: &ApiServer) {
    for name in matrix() {
        let objects = helm::objects(&helm::template(&values(&name)).unwrap());
        let count = objects.len();
        let list = json!({"apiVersion": "v1", "kind": "List", "items": objects});
        let arguments = [
            "apply",
            "--server-side",
            "--dry-run=server",
            "--validate=strict",
            "-f",
            "-",
        ];
        if let Err(error) = api.try_kubectl(&arguments, Some(&list.to_string())) {
            panic!("{name}: {error}");
        }
        println!("{name:?}: {count} objects accepted");
    }
}

/// CRDs of what values may ask for: those of the Prometheus operator, KEDA and
/// cert-manager.
fn install_foreign_definitions(api: &ApiServer) {
    let folders = std::env::var_os("FOREIGN_CRDS")
        .expect("FOREIGN_CRDS are folders with CRDs of other projects: run `cargo xtask test`");
    let mut missing: BTreeSet<&str> = FOREIGN.into();
    for folder in std::env::split_paths(&folders) {
        for name in FOREIGN {
            let path = folder.join(name);
            if path.exists() {
                // Too long for the annotation that a client-side one writes.
                api.kubectl(&["apply", "--server-side", "-f", path.to_str().unwrap()]);
                missing.remove(name);
            }
        }
    }
    assert!(missing.is_empty(), "not in FOREIGN_CRDS: {missing:?}");
}

/// The namespace enforces the standard on pods, not on what makes pods.
fn pods_are_restricted(api: &ApiServer) {
    let admitted = |objects: &Objects| {
        let pod = objects.pod();
        let mut spec = pod["spec"].clone();
        // Not the standard's business, and not there.
        spec.as_object_mut().unwrap().remove("priorityClassName");
        let object = json!({
            "apiVersion": "v1", "kind": "Pod", "spec": spec,
            "metadata": {"name": "gateway", "namespace": NAMESPACE, "labels": pod["metadata"]["labels"]},
        });
        let arguments = ["create", "--dry-run=server", "-f", "-"];
        api.try_kubectl(&arguments, Some(&object.to_string())).map(drop)
    };
    for name in [
        "",
        "nodeport",
        "from-ingress-nginx",
        "one-namespace",
        "made-certificate",
    ] {
        let objects = if name.is_empty() {
            helm::rendered(&[])
        } else {
            rendered_file(name)
        };
        admitted(&objects).unwrap_or_else(|error| panic!("{name}: {error}"));
        for pod in objects.of_kind("Pod") {
            let arguments = ["create", "--dry-run=server", "-f", "-"];
            api.try_kubectl(&arguments, Some(&pod.to_string())).unwrap();
        }
    }
    let error = admitted(&rendered_file("host-network")).unwrap_err();
    assert!(
        error.contains("violates PodSecurity") && error.contains("hostNetwork"),
        "{error}"
    );
}

pub fn install(kubeconfig: &Path, verb: &str, more: &[String]) -> Result<String, String> {
    helm::chart_command(&[verb, RELEASE], more, Some(kubeconfig))
}

fn a_foreign_class_is_left_alone(api: &ApiServer) {
    api.apply(&json!({
        "apiVersion": "networking.k8s.io/v1", "kind": "IngressClass",
        "metadata": {"name": "nginx"}, "spec": {"controller": "k8s.io/ingress-nginx"},
    }));
    let error = install(&api.kubeconfig, "install", &[]).unwrap_err();
    for part in [
        "IngressClass \"nginx\" exists",
        "controller.ingressClassResource.enabled=false",
    ] {
        assert!(error.contains(part), "{error}");
    }
    let adopted = set(&["controller.ingressClassResource.enabled=false"]);
    install(&api.kubeconfig, "install", &adopted).unwrap();
    release_command(&["uninstall", RELEASE, "--wait"], &api.kubeconfig).unwrap();
    let class = api.kubectl(&[
        "get",
        "ingressclass",
        "nginx",
        "-o",
        "jsonpath={.spec.controller}",
    ]);
    assert_eq!(class, "k8s.io/ingress-nginx");
    api.kubectl(&["delete", "ingressclass", "nginx"]);
}

fn a_release_comes_changes_and_goes(api: &ApiServer) {
    let replicas = || {
        let path = "jsonpath={.spec.replicas}";
        let deployment = "deployment/edge-tidegate-controller";
        api.kubectl(&["get", deployment, "--namespace", NAMESPACE, "-o", path])
    };
    let notes = install(
        &api.kubeconfig,
        "install",
        &set(&["controller.service.type=NodePort"]),
    )
    .unwrap();
    let command =
        format!("kubectl --namespace {NAMESPACE} rollout status deployment/edge-tidegate-controller");
    assert!(
        notes.contains(&command) && notes.contains("{.spec.ports[?(@.name==\"http\")].nodePort}"),
        "{notes}"
    );
    assert_eq!(replicas(), "1");
    let changed = set(&[
        "controller.replicaCount=3",
        "controller.extraModules[0].name=geoip",
    ]);
    let notes = install(&api.kubeconfig, "upgrade", &changed).unwrap();
    assert!(
        notes.contains("controller.extraModules: there are no modules"),
        "{notes}"
    );
    assert_eq!(replicas(), "3");
    release_command(&["rollback", RELEASE, "1"], &api.kubeconfig).unwrap();
    assert_eq!(replicas(), "1");
    release_command(&["uninstall", RELEASE, "--wait"], &api.kubeconfig).unwrap();
    assert_eq!(left_behind(api), "");
}

/// Names of all objects with the release's label, in every namespace.
pub fn left_behind(api: &ApiServer) -> String {
    let kinds = "all,configmaps,secrets,serviceaccounts,leases,roles,rolebindings,clusterroles,clusterrolebindings,\
                 ingressclasses,gatewayclasses,poddisruptionbudgets,networkpolicies,validatingwebhookconfigurations";
    let label = format!("app.kubernetes.io/instance={RELEASE}");
    api.kubectl(&["get", kinds, "--all-namespaces", "-l", &label, "-o", "name"])
}

/// A new certificate in each upgrade would be one that running pods do not have.
fn an_own_certificate_is_kept(api: &ApiServer) {
    let mut own = values("one-namespace");
    own.extend(set(&["controller.admissionWebhooks.enabled=true"]));
    let bundle = || {
        let (secret, webhook) = (
            "secret/edge-tidegate-admission",
            "validatingwebhookconfiguration/edge-tidegate-admission",
        );
        let ca = api.kubectl(&[
            "get",
            secret,
            "--namespace",
            NAMESPACE,
            "-o",
            "jsonpath={.data.ca}",
        ]);
        let path = "jsonpath={.webhooks[0].clientConfig.caBundle}";
        assert_eq!(ca, api.kubectl(&["get", webhook, "-o", path]));
        ca
    };
    install(&api.kubeconfig, "install", &own).unwrap();
    let first = bundle();
    assert!(first.len() > 500);
    install(&api.kubeconfig, "upgrade", &own).unwrap();
    assert_eq!(first, bundle());
    release_command(&["uninstall", RELEASE, "--wait"], &api.kubeconfig).unwrap();
    assert_eq!(left_behind(api), "");
}
