use serde::Serialize;

use crate::{ClusterKey, FieldName};

/// A Service that is asked about every request (Gateway API `ExternalAuth`).
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Authorization {
    /// Who is asked. `None`: there is no such Service; every request is answered
    /// 500.
    pub cluster: Option<ClusterKey>,
    /// How it is asked.
    pub protocol: AuthorizationProtocol,
    /// Fields of the client that are told: over HTTP these besides `Host` and
    /// `Authorization`, over gRPC only these, and if there are none all.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub request_headers: Vec<FieldName>,
    /// How many bytes of the client's body are told (`forwardBody.maxSize`); 0:
    /// nothing of it.
    #[serde(skip_serializing_if = "is_zero")]
    pub body: u16,
}

/// What an [`Authorization`] is asked with.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub enum AuthorizationProtocol {
    /// The client's request without its body: "each backend must respond with a
    /// `200` status code on a successful authorization".
    Http {
        /// What stands before the path that is asked about; without a slash at
        /// its end.
        prefix: Box<str>,
        /// Fields of the answer that replace those of the request to the
        /// backend; empty: all.
        #[serde(skip_serializing_if = "Vec::is_empty")]
        response_headers: Vec<FieldName>,
    },
    /// "Calling a gRPC service which must implement the Envoy ext_authz"
    /// protocol: `envoy.service.auth.v3.Authorization/Check`.
    Grpc,
}

fn is_zero(bytes: &u16) -> bool {
    *bytes == 0
}
