use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Gateway API (`gateway.networking.k8s.io`).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields, rename_all = "camelCase")]
pub struct GatewayApi {
    /// The served value of `spec.controllerName` in GatewayClasses.
    pub controller_name: String,
    /// Addresses of this machine, or networks of them: each Gateway gets one of
    /// its own. Empty: all Gateways share the addresses of the process, with
    /// each other and with Ingresses.
    pub addresses: Vec<String>,
}

impl Default for GatewayApi {
    fn default() -> Self {
        Self {
            controller_name: "tidegate.dev/gateway".to_owned(),
            addresses: Vec::new(),
        }
    }
}
