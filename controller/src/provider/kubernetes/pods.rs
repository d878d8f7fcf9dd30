//! The pods of this controller: found by the labels of the one that we are.

use k8s_openapi::api::core::v1::{Node, Pod};
use kube::Client;
use serde_json::Value;
use tracing::warn;

use super::raw;

/// Labels that differ between replicas or releases of one controller.
const NOT_SHARED: [&str; 3] = [
    "controller-revision-hash",
    "pod-template-generation",
    "pod-template-hash",
];

/// Which pod this process runs in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PodIdentity {
    /// Environment variable `POD_NAMESPACE`.
    pub namespace: String,
    /// Environment variable `POD_NAME`.
    pub name: String,
}

/// The label of nodes that says where they are (Kubernetes, "well-known labels").
const ZONE: &str = "topology.kubernetes.io/zone";

/// The zone of the node that a pod runs on; `None` when it cannot be read, or
/// has none.
pub(crate) async fn zone(client: &Client, pod: &PodIdentity) -> Option<Box<str>> {
    let node = async {
        let own = own(client, pod).await?;
        let name = own["spec"]["nodeName"].as_str().unwrap_or_default();
        let nodes = raw::built_in::<Node>(client, None);
        nodes.get(name).await
    };
    match node.await {
        Ok(node) => {
            let node = node.value();
            let zone = node["metadata"]["labels"][ZONE].as_str();
            if zone.is_none() {
                warn!("the node has no label {ZONE}: endpoints of all zones are used");
            }
            zone.map(Into::into)
        }
        Err(error) => {
            warn!(%error, "the node cannot be read: endpoints of all zones are used");
            None
        }
    }
}

/// The label selector of all replicas; `None` when our own pod cannot be read.
pub(crate) async fn selector(client: &Client, pod: &PodIdentity) -> Option<String> {
    match own(client, pod).await {
        Ok(own) => of_labels(own["metadata"]["labels"].as_object().into_iter().flatten()),
        Err(error) => {
            warn!(namespace = %pod.namespace, pod = %pod.name, %error,
                "own pod cannot be read; node addresses and the count of replicas are unknown");
            None
        }
    }
}

/// The pod that we are.
async fn own(client: &Client, pod: &PodIdentity) -> kube::Result<Value> {
    let pods = raw::built_in::<Pod>(client, Some(&pod.namespace));
    Ok(pods.get(&pod.name).await?.value())
}

fn of_labels<'a>(labels: impl Iterator<Item = (&'a String, &'a Value)>) -> Option<String> {
    let terms: Vec<String> = labels
        .filter(|(key, _)| !NOT_SHARED.contains(&key.as_str()))
        .filter_map(|(key, value)| Some(format!("{key}={}", value.as_str()?)))
        .collect();
    // An empty selector would select every pod.
    (!terms.is_empty()).then(|| terms.join(","))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn labels_of_one_release_do_not_count() {
        let labels = json!({"app": "tidegate", "pod-template-hash": "abc", "tier": "edge"});
        assert_eq!(
            of_labels(labels.as_object().into_iter().flatten()).as_deref(),
            Some("app=tidegate,tier=edge")
        );
    }

    #[test]
    fn a_pod_without_labels_selects_nothing() {
        assert_eq!(of_labels(std::iter::empty()), None);
    }
}
