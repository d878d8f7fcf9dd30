//! `helm/tidegate/README.md`, from `values.yaml`: each key with a comment that
//! begins with `# --` is a row.

use std::fmt::Write;

use serde_json::Value;

use super::{assert_fresh, read};

const HEAD: &str = "# The chart tidegate\n\n\
    Tidegate in a cluster, with one command:\n\n\
    ```sh\n\
    helm install edge helm/tidegate --namespace ingress-nginx --create-namespace\n\
    ```\n\n\
    It serves Ingresses of class `nginx`. Beside another controller, or in its place:\n\n\
    | wanted | values |\n| --- | --- |\n\
    | take over the objects and the load balancer of a release of ingress-nginx's chart | \
    [`nameOverride: ingress-nginx`](ci/from-ingress-nginx-values.yaml), the name of that release, `helm upgrade` |\n\
    | serve the classes of an ingress-nginx without owning them | `controller.ingressClassResource.enabled: false` |\n\
    | run beside it with a class of its own | `controller.ingressClassResource.name: tidegate` and `.controllerValue: \
    tidegate.dev/ingress` |\n\
    | kind or minikube | [ports of the node](ci/kind-values.yaml) |\n\
    | bare metal behind an external balancer | [fixed NodePorts](ci/nodeport-values.yaml) |\n\
    | a pod on every node, in its network | [DaemonSet](ci/host-network-values.yaml) |\n\
    | rights in one namespace only | [one namespace](ci/one-namespace-values.yaml), \
    [namespaces by label](ci/labelled-namespaces-values.yaml) |\n\
    | nearly everything | [all at once](ci/everything-values.yaml) |\n\n\
    Names are those of ingress-nginx's chart wherever the meaning is the same. Values of it that mean nothing here are\n\
    accepted and listed after the installation; a key that neither chart knows is refused.\n\n\
    The pods meet the Pod Security Standard `restricted`: no root, no capabilities, a file system that cannot be\n\
    written. They listen on 8080 and 8443 behind the Service's 80 and 443. With `controller.hostNetwork` on ports below\n\
    1024 the kernel asks for root: the pods then run as root with the capability `NET_BIND_SERVICE` alone;\n\
    `controller.hostPort.enabled` opens the same ports without that.\n\n\
    Dashboards and alerts: [`dashboards/`](dashboards/) and [`alerts.yaml`](alerts.yaml) work without the chart, too. They take\n\
    the labels `namespace` and `service` for the Ingress's and its backend's: scrape with `honor_labels: true`, as the\n\
    ServiceMonitor does.\n\n\
    Values\n------\n\n\
    Generated from `values.yaml`: `UPDATE_GENERATED=1 cargo test -p tidegate-gateway --test chart`.\n\n\
    | Value | Default | Meaning |\n| --- | --- | --- |\n";

#[test]
fn the_readme_is_fresh() {
    let text = read("helm/tidegate/values.yaml");
    let values: Value = serde_saphyr::from_str(&text).unwrap();
    let mut page = HEAD.to_owned();
    for (path, meaning) in documented(&text) {
        let value = values.pointer(&format!("/{}", path.join("/"))).unwrap();
        let meaning = meaning.replace('|', "\\|");
        // Writing to a String cannot fail.
        let _ = writeln!(
            page,
            "| `{}` | `{}` | {meaning} |",
            path.join("."),
            value.to_string().replace('|', "\\|")
        );
    }
    assert_fresh("helm/tidegate/README.md", &page);
}

/// Paths of keys with a comment, in order.
fn documented(text: &str) -> Vec<(Vec<&str>, String)> {
    let (mut found, mut open, mut comment) = (Vec::new(), Vec::<(usize, &str)>::new(), None::<String>);
    for line in text.lines() {
        let trimmed = line.trim_start();
        let indent = line.len() - trimmed.len();
        if let Some(start) = trimmed.strip_prefix("# -- ") {
            comment = Some(start.to_owned());
        } else if let Some(more) = trimmed.strip_prefix("# ") {
            if let Some(comment) = &mut comment {
                comment.push(' ');
                comment.push_str(more);
            }
        } else if let Some((key, _)) = trimmed.split_once(':').filter(|(key, _)| !key.starts_with('-')) {
            open.retain(|(outer, _)| *outer < indent);
            open.push((indent, key));
            if let Some(comment) = comment.take() {
                found.push((open.iter().map(|(_, key)| *key).collect(), comment));
            }
        }
    }
    found
}

/// A value without a comment is one that nobody finds: only those that repeat
/// others, or that hold documented ones, are without.
#[test]
fn values_are_documented() {
    let text = read("helm/tidegate/values.yaml");
    let values: Value = serde_saphyr::from_str(&text).unwrap();
    let documented: Vec<String> = documented(&text)
        .into_iter()
        .map(|(path, _)| path.join("."))
        .collect();
    let mut leaves = Vec::new();
    collect(&values, "", &documented, &mut leaves);
    leaves.retain(|leaf| {
        !leaf.starts_with("controller.metrics.podMonitor.")
            && !leaf.starts_with("controller.service.internal.")
    });
    assert_eq!(leaves, Vec::<String>::new());
}

fn collect(value: &Value, path: &str, documented: &[String], leaves: &mut Vec<String>) {
    if documented.iter().any(|known| known == path) {
        return;
    }
    match value.as_object().filter(|map| !map.is_empty()) {
        Some(map) => {
            for (key, value) in map {
                let path = if path.is_empty() {
                    key.clone()
                } else {
                    format!("{path}.{key}")
                };
                collect(value, &path, documented, leaves);
            }
        }
        None => leaves.push(path.to_owned()),
    }
}
