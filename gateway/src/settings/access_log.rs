use std::path::PathBuf;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The access log: a line for every request, and for every connection of a TCP
/// service, session of a UDP service and connection of TLS that passes through.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields, rename_all = "camelCase")]
pub struct AccessLog {
    /// `nginx`: ingress-nginx's default format; `json`: an object a line, keys
    /// named like nginx's variables; `off`.
    pub format: AccessLogFormat,
    /// A file to append to, opened again after it was moved away. `null`:
    /// standard output.
    pub file: Option<PathBuf>,
}

/// The form of a line.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum AccessLogFormat {
    /// ingress-nginx's default format.
    #[default]
    Nginx,
    /// One JSON object a line.
    Json,
    /// No access log.
    Off,
}
