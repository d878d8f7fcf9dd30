//! Secrets to certificates, and the certificate of each host
//! (ingress-nginx-behaviour §11).

use std::net::IpAddr;

use k8s_openapi::api::core::v1::Secret;
use rustls::crypto::aws_lc_rs::sign::any_supported_type;
use tidegate_snapshot::{Certificate, CertificateError, Hostname, ObjectRef, parse_pem};
use x509_parser::prelude::{FromDer, GeneralName, X509Certificate};

/// Why a Secret is no certificate.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum SecretError {
    #[error("has no key `{0}`")]
    KeyMissing(&'static str),
    #[error(transparent)]
    Unusable(#[from] CertificateError),
}

/// Reads the pair in `tls.crt` and `tls.key`, whatever the Secret's type.
pub(super) fn from_secret(secret: &Secret) -> Result<Certificate, SecretError> {
    let value = |key: &'static str| {
        let data = secret.data.as_ref().and_then(|data| data.get(key));
        data.map(|value| value.0.as_slice())
            .ok_or(SecretError::KeyMissing(key))
    };
    let (chain, key) = parse_pem(value("tls.crt")?, value("tls.key")?)?;
    let leaf = chain.first().ok_or(SecretError::KeyMissing("tls.crt"))?;
    let broken = |error: &dyn std::fmt::Display| CertificateError::Chain(error.to_string());
    let (_, parsed) = X509Certificate::from_der(leaf).map_err(|error| broken(&error))?;
    let signing = any_supported_type(key.der())
        .map_err(|_| CertificateError::Key("its type is not supported".to_owned()))?;
    let public = signing.public_key();
    if public.is_none_or(|public| public.as_ref() != parsed.public_key().raw) {
        return Err(CertificateError::Mismatch.into());
    }
    Ok(Certificate {
        origin: ObjectRef::new(
            "Secret",
            secret.metadata.namespace.as_deref().unwrap_or_default(),
            secret.metadata.name.as_deref().unwrap_or_default(),
        ),
        names: names(&parsed),
        not_after: parsed.validity().not_after.timestamp(),
        fingerprint: fingerprint(leaf),
        chain,
        key,
    })
}

/// Names and addresses of the leaf; the common name when it has none.
fn names(certificate: &X509Certificate<'_>) -> Vec<String> {
    let alternative = certificate.subject_alternative_name().ok().flatten();
    let mut names: Vec<String> = alternative
        .iter()
        .flat_map(|extension| &extension.value.general_names)
        .filter_map(|name| match name {
            GeneralName::DNSName(name) => Some((*name).to_owned()),
            GeneralName::IPAddress(bytes) => address(bytes).map(|address| address.to_string()),
            _ => None,
        })
        .collect();
    if names.is_empty() {
        let common = certificate.subject().iter_common_name();
        names.extend(common.filter_map(|name| name.as_str().ok()).map(str::to_owned));
    }
    names
}

fn address(bytes: &[u8]) -> Option<IpAddr> {
    <[u8; 4]>::try_from(bytes)
        .map(IpAddr::from)
        .or_else(|_| <[u8; 16]>::try_from(bytes).map(IpAddr::from))
        .ok()
}

/// Whether the certificate is good for the host: by the same name in any case,
/// or by a wildcard for its last labels but one.
pub(super) fn covers(certificate: &Certificate, hostname: &Hostname) -> bool {
    certificate.names.iter().any(|name| match hostname {
        Hostname::Exact(host) => {
            name.eq_ignore_ascii_case(host)
                || name.strip_prefix("*.").is_some_and(|suffix| {
                    host.split_once('.')
                        .is_some_and(|(_, rest)| rest.eq_ignore_ascii_case(suffix))
                })
        }
        Hostname::Wildcard(suffix) | Hostname::Subdomains(suffix) => name
            .strip_prefix("*.")
            .is_some_and(|name| name.eq_ignore_ascii_case(suffix)),
        Hostname::Any | Hostname::Regex(_) => false,
    })
}

/// SHA-256 in hexadecimal.
pub(crate) fn fingerprint(der: &[u8]) -> String {
    let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, der);
    digest.as_ref().iter().map(|byte| format!("{byte:02x}")).collect()
}
