use std::net::IpAddr;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The admin port: probes, metrics, dumps. It answers without authentication
/// and shows no secrets; keep it inside the cluster.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields, rename_all = "camelCase")]
pub struct Admin {
    /// The address to listen on. `null`: all.
    pub address: Option<IpAddr>,
    /// The port (ingress-nginx `--healthz-port`).
    pub port: u16,
    /// Another path for the health check, besides `/healthz` (ingress-nginx
    /// `--health-check-path`).
    pub health_path: String,
}

impl Default for Admin {
    fn default() -> Self {
        Self {
            address: None,
            port: 10254,
            health_path: "/healthz".to_owned(),
        }
    }
}
