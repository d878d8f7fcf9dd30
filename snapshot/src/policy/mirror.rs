use serde::Serialize;

use crate::Text;

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
