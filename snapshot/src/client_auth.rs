//! Client certificates (mutual TLS) of a virtual host.

use std::fmt;

use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, CertificateRevocationListDer};
use serde::{Serialize, Serializer};

use crate::{ObjectRef, Pattern};

/// What a virtual host demands of its clients' certificates. The handshake asks
/// for one and does not fail for its sake, but in one mode: who is refused gets
/// an HTTP answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ClientAuth {
    /// The object that says so.
    pub origin: ObjectRef,
    /// Whom to trust. `None`: what was said could not be understood, and every
    /// request to the host is answered 403.
    pub trust: Option<ClientTrust>,
    /// Whether a certificate is needed.
    pub mode: ClientAuthMode,
    /// Intermediate certificates between the client's and a trusted one
    /// (`auth-tls-verify-depth`, nginx `ssl_verify_depth`).
    pub depth: u8,
    /// Where refused clients are sent (`auth-tls-error-page`).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error_page: Option<Box<str>>,
    /// Send the certificate to the backend
    /// (`auth-tls-pass-certificate-to-upstream`).
    pub pass_certificate: bool,
    /// What the subject must match (`auth-tls-match-cn`): 403 if it does not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub match_cn: Option<Pattern>,
}

/// Whether a client needs a certificate (`auth-tls-verify-client`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
pub enum ClientAuthMode {
    /// A good one, or 400.
    Required,
    /// None, or a good one.
    Optional,
    /// Any: the backend is told whether it is good.
    OptionalNoCa,
    /// A good one, or the handshake fails (Gateway API `AllowValidOnly`).
    Handshake,
    /// Any or none, expired ones too: the backend is told (Gateway API
    /// `AllowInsecureFallback`).
    Unchecked,
}

/// Certificate authorities, and what they revoked.
#[derive(Clone, PartialEq, Eq)]
pub struct ClientTrust {
    /// At least one.
    pub roots: Vec<CertificateDer<'static>>,
    /// With any, every certificate of a chain must be covered by one.
    pub revocations: Vec<CertificateRevocationListDer<'static>>,
}

/// Why PEM texts are no [`ClientTrust`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ClientTrustError {
    /// Not PEM, or without a certificate.
    #[error("`ca.crt` holds no certificate that can be read: {0}")]
    Roots(String),
    /// Not PEM, or without a list.
    #[error("`ca.crl` holds no revocation list that can be read: {0}")]
    Revocations(String),
}

impl ClientTrust {
    /// Reads a bundle of authorities and maybe of revocation lists.
    ///
    /// # Errors
    /// A [`ClientTrustError`]. Whether the certificates inside the PEM make
    /// sense is checked by whoever makes one (translation).
    pub fn parse(roots: &[u8], revocations: Option<&[u8]>) -> Result<Self, ClientTrustError> {
        let roots = CertificateDer::pem_slice_iter(roots)
            .collect::<Result<Vec<_>, _>>()
            .map_err(|error| ClientTrustError::Roots(error.to_string()))?;
        if roots.is_empty() {
            return Err(ClientTrustError::Roots("it is empty".to_owned()));
        }
        let lists = match revocations {
            None => Vec::new(),
            Some(pem) => {
                let lists = CertificateRevocationListDer::pem_slice_iter(pem)
                    .collect::<Result<Vec<_>, _>>()
                    .map_err(|error| ClientTrustError::Revocations(error.to_string()))?;
                if lists.is_empty() {
                    return Err(ClientTrustError::Revocations("it is empty".to_owned()));
                }
                lists
            }
        };
        Ok(Self {
            roots,
            revocations: lists,
        })
    }
}

impl fmt::Debug for ClientTrust {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} authorities, {} revocation lists",
            self.roots.len(),
            self.revocations.len()
        )
    }
}

impl Serialize for ClientTrust {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&format_args!("{self:?}"))
    }
}
