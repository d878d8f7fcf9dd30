//! TLS towards endpoints (ingress-nginx `proxy-ssl-*`, Gateway API
//! `BackendTLSPolicy`).

use std::sync::Arc;

use rustls_pki_types::CertificateDer;
use serde::{Serialize, Serializer};

use crate::{Certificate, Cipher};

/// What is asked of, and shown to, an endpoint over TLS.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct UpstreamTls {
    /// The server name (SNI); also the name that the certificate must have
    /// where it is verified. `None`: none is sent. Must be there with `verify`.
    pub server_name: Option<Arc<str>>,
    /// Who must have signed the endpoint's certificate. `None`: any will do.
    pub verify: Option<TrustAnchors>,
    /// With any, the certificate must have one of these names instead of the
    /// server name. Only with `verify`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub alt_names: Vec<AltName>,
    /// The certificate shown to endpoints that ask for one.
    pub client_certificate: Option<Arc<Certificate>>,
    /// What handshakes may come to; `None`: whatever the TLS library has.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub limits: Option<HandshakeLimits>,
}

/// What a handshake with an endpoint may come to. There is always something to
/// offer: a suite of TLS 1.2 or TLS 1.3.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize)]
pub struct HandshakeLimits {
    /// `proxy-ssl-protocols`.
    pub tls12: bool,
    /// `proxy-ssl-protocols`.
    pub tls13: bool,
    /// Of TLS 1.2, the best first (`proxy-ssl-ciphers`).
    pub ciphers: Vec<Cipher>,
    /// The most intermediate certificates between the endpoint's and an
    /// authority's (`proxy-ssl-verify-depth`); `None`: any number. Only with
    /// `verify`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub depth: Option<u8>,
}

impl Default for HandshakeLimits {
    /// None.
    fn default() -> Self {
        Self {
            tls12: true,
            tls13: true,
            ciphers: Cipher::ALL.to_vec(),
            depth: None,
        }
    }
}

/// A subject alternative name (RFC 5280 §4.2.1.6).
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize)]
pub enum AltName {
    /// A DNS name, or `*.` and one.
    Hostname(Arc<str>),
    /// A URI, compared as it is (SPIFFE).
    Uri(Arc<str>),
}

/// Certificate authorities that are believed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub enum TrustAnchors {
    /// The operating system's.
    System,
    /// These certificates, each parsed before. Never empty.
    #[serde(serialize_with = "count")]
    Certificates(Arc<[CertificateDer<'static>]>),
}

fn count<S: Serializer>(
    certificates: &Arc<[CertificateDer<'static>]>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    serializer.collect_str(&format_args!("{} certificates", certificates.len()))
}
