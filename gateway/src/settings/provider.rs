use std::path::PathBuf;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Where objects come from: a Kubernetes API, or a directory.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields, rename_all = "camelCase")]
pub struct Provider {
    /// A directory of YAML files, watched; no Kubernetes API is used then.
    /// `null`: the Kubernetes API.
    pub directory: Option<PathBuf>,
    /// The Kubernetes API.
    pub kubernetes: Kubernetes,
}

/// Access to the Kubernetes API (the flags of ingress-nginx in brackets).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields, rename_all = "camelCase")]
pub struct Kubernetes {
    /// A kubeconfig file. `null`: the pod's service account, or outside of a
    /// cluster `$KUBECONFIG` or `~/.kube/config` (`--kubeconfig`).
    pub kubeconfig: Option<PathBuf>,
    /// The API server's URL, in place of the configured one
    /// (`--apiserver-host`).
    pub api_server: Option<String>,
    /// A PEM file with the CA of the API server (`--certificate-authority`).
    pub certificate_authority: Option<PathBuf>,
    /// The one namespace to watch. `null`: all (`--watch-namespace`).
    pub namespace: Option<String>,
    /// Watch namespaces with these labels (`--watch-namespace-selector`).
    pub namespace_selector: Option<String>,
    /// Send a `Sync` Event for each Ingress that is accepted
    /// (`--disable-sync-events`).
    pub sync_events: bool,
}

impl Default for Kubernetes {
    fn default() -> Self {
        Self {
            kubeconfig: None,
            api_server: None,
            certificate_authority: None,
            namespace: None,
            namespace_selector: None,
            sync_events: true,
        }
    }
}
