use serde::Serialize;

use crate::{ClusterKey, FieldName};

/// A Service that is asked about every request (Gateway API `ExternalAuth` with
/// protocol HTTP): "each backend must respond with a `200` status code on a
/// successful authorization".
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Authorization {
    /// Who is asked. `None`: there is no such Service; every request is answered
    /// 500.
    pub cluster: Option<ClusterKey>,
    /// What stands before the path that is asked about; without a slash at its
    /// end.
    pub prefix: Box<str>,
    /// Fields of the client that are told, besides `Host` and `Authorization`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub request_headers: Vec<FieldName>,
    /// Fields of its answer that replace those of the request to the backend;
    /// empty: all.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub response_headers: Vec<FieldName>,
}
