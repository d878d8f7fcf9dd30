use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Span;

/// The addresses in `status.loadBalancer` of Ingresses (the flags of
/// ingress-nginx in brackets).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields, rename_all = "camelCase")]
pub struct Status {
    /// Write statuses (`--update-status`).
    pub update: bool,
    /// `namespace/name` of the Service whose addresses are written
    /// (`--publish-service`).
    pub publish_service: Option<String>,
    /// Addresses and host names to write (`--publish-status-address`).
    pub publish_addresses: Vec<String>,
    /// Write internal rather than external addresses of nodes, where neither of
    /// the two is set (`--report-node-internal-ip-address`).
    pub node_internal_address: bool,
    /// Remove the addresses when the last replica ends
    /// (`--update-status-on-shutdown`).
    pub clear_on_shutdown: bool,
}

impl Default for Status {
    fn default() -> Self {
        Self {
            update: true,
            publish_service: None,
            publish_addresses: Vec::new(),
            node_internal_address: false,
            clear_on_shutdown: true,
        }
    }
}

/// The Lease that decides which replica writes statuses.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields, rename_all = "camelCase")]
pub struct LeaderElection {
    /// Without it no statuses are written (`--disable-leader-election`).
    pub enabled: bool,
    /// The Lease's name, in the pod's namespace (`--election-id`).
    pub lease: String,
    /// How long a silent leader keeps it (`--election-ttl`).
    pub ttl: Span,
}

impl Default for LeaderElection {
    fn default() -> Self {
        Self {
            enabled: true,
            lease: "ingress-controller-leader".to_owned(),
            ttl: Span::seconds(30),
        }
    }
}
