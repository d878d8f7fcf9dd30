//! Certificates with their keys.

use std::fmt;

use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use serde::Serialize;

use crate::ObjectRef;

/// A certificate chain and its private key, parsed. Whether the key fits the
/// leaf is checked by whoever makes one (translation).
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Certificate {
    /// The Secret that it comes from.
    pub origin: ObjectRef,
    /// The chain, leaf first, as the Secret has it.
    #[serde(skip)]
    pub chain: Vec<CertificateDer<'static>>,
    /// The leaf's private key.
    #[serde(skip)]
    pub key: PrivateKey,
    /// DNS names and addresses that the leaf covers, as it writes them.
    pub names: Vec<String>,
    /// End of validity, seconds since 1970.
    pub not_after: i64,
    /// SHA-256 of the leaf, in hexadecimal: tells two versions apart in dumps.
    pub fingerprint: String,
}

/// A private key that never shows itself.
pub struct PrivateKey(PrivateKeyDer<'static>);

impl PrivateKey {
    /// Wraps a parsed key.
    pub fn new(key: PrivateKeyDer<'static>) -> Self {
        Self(key)
    }

    /// The key, for the TLS library.
    pub fn der(&self) -> &PrivateKeyDer<'static> {
        &self.0
    }
}

impl Clone for PrivateKey {
    fn clone(&self) -> Self {
        Self(self.0.clone_key())
    }
}

impl PartialEq for PrivateKey {
    fn eq(&self, other: &Self) -> bool {
        self.0.secret_der() == other.0.secret_der()
    }
}

impl Eq for PrivateKey {}

impl fmt::Debug for PrivateKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PrivateKey(redacted)")
    }
}

/// Why a PEM pair is not usable.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CertificateError {
    /// The certificate text holds no certificate, or a broken one.
    #[error("`tls.crt` is not a PEM certificate chain: {0}")]
    Chain(String),
    /// The key text holds no private key, or a broken one.
    #[error("`tls.key` is not a PEM private key: {0}")]
    Key(String),
    /// The key belongs to another certificate.
    #[error("`tls.key` does not belong to the first certificate in `tls.crt`")]
    Mismatch,
}

/// Reads a PEM chain and key.
///
/// # Errors
/// [`CertificateError::Chain`] or [`CertificateError::Key`]; nothing of the
/// key is in the message.
pub fn parse_pem(
    chain: &[u8],
    key: &[u8],
) -> Result<(Vec<CertificateDer<'static>>, PrivateKey), CertificateError> {
    let chain: Vec<_> = CertificateDer::pem_slice_iter(chain)
        .collect::<Result<_, _>>()
        .map_err(|error| CertificateError::Chain(error.to_string()))?;
    if chain.is_empty() {
        return Err(CertificateError::Chain("no certificate found".to_owned()));
    }
    let key = PrivateKeyDer::from_pem_slice(key)
        .map_err(|_| CertificateError::Key("no usable key found".to_owned()))?;
    Ok((chain, PrivateKey::new(key)))
}
