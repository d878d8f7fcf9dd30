use serde::Serialize;

use crate::{ClusterKey, Text};

/// Copies of requests for another server, whose answers nobody reads
/// (`mirror-target`).
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize)]
pub struct Mirror {
    /// `http` or `https` URL of a copy.
    pub target: Text,
    /// The `Host` field of copies; the target's own where absent
    /// (`mirror-host`).
    pub host: Option<Text>,
    /// Copy the body too (`mirror-request-body`).
    pub body: bool,
}

/// Copies of requests, as the backend gets them, for one endpoint of a cluster
/// (Gateway API `RequestMirror`).
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize)]
pub struct RequestMirror {
    /// Where copies go.
    pub cluster: ClusterKey,
    /// So many of `denominator` requests are copied, drawn for each mirror by
    /// itself.
    pub numerator: u32,
    /// Never 0.
    pub denominator: u32,
}
