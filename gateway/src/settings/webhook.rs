use std::path::PathBuf;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The admission webhook (the flags of ingress-nginx in brackets).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields, rename_all = "camelCase")]
pub struct Webhook {
    /// The address to listen on, as in `:8443`. `null`: no webhook
    /// (`--validating-webhook`).
    pub address: Option<String>,
    /// A PEM file with the certificate, read again when it changes
    /// (`--validating-webhook-certificate`).
    pub certificate: Option<PathBuf>,
    /// A PEM file with its key (`--validating-webhook-key`).
    pub key: Option<PathBuf>,
}
