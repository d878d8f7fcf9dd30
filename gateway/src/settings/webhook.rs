use std::path::PathBuf;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Span;

/// The admission webhook (the flags of ingress-nginx in brackets).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
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
    /// `namespace/name` of a Secret in place of files: the leader makes the
    /// certificate and renews it there. Needs `configuration`.
    pub secret: Option<String>,
    /// The ValidatingWebhookConfiguration whose `caBundle` the leader keeps right
    /// and whose Services the certificate is for.
    pub configuration: Option<String>,
    /// How long a certificate made by the leader is valid. It is renewed when a
    /// third is left.
    pub validity: Span,
}

impl Default for Webhook {
    fn default() -> Self {
        Self {
            address: None,
            certificate: None,
            key: None,
            secret: None,
            configuration: None,
            validity: Span::seconds(365 * 24 * 3600),
        }
    }
}
