//! The certificate that stands in where no other fits. Made at start by the
//! binary and handed to translation in [`crate::options::Options`], because
//! making a key is not pure.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use rcgen::{CertificateParams, DnType, KeyPair};
use rustls_pki_types::PrivateKeyDer;
use tidegate_snapshot::{Certificate, ObjectRef, PrivateKey};

/// Common name, as in ingress-nginx: people look for it in the browser.
pub const COMMON_NAME: &str = "Kubernetes Ingress Controller Fake Certificate";

/// How long it is good for: a year, as in ingress-nginx.
const VALIDITY: Duration = Duration::from_secs(365 * 24 * 60 * 60);

/// Makes a self-signed certificate for `ingress.local` (ingress-nginx-behaviour
/// §11), with an ECDSA P-256 key where ingress-nginx makes an RSA one.
///
/// # Errors
/// When the cryptographic library cannot make a key.
pub fn generate() -> Result<Arc<Certificate>, rcgen::Error> {
    let mut params = CertificateParams::new(vec!["ingress.local".to_owned()])?;
    params.distinguished_name = rcgen::DistinguishedName::new();
    params
        .distinguished_name
        .push(DnType::OrganizationName, "Acme Co");
    params.distinguished_name.push(DnType::CommonName, COMMON_NAME);
    let now = SystemTime::now();
    params.not_before = now.into();
    params.not_after = (now + VALIDITY).into();
    let not_after = params.not_after.unix_timestamp();
    let key = KeyPair::generate()?;
    let certificate = params.self_signed(&key)?;
    let key = PrivateKeyDer::Pkcs8(key.serialize_der().into());
    Ok(Arc::new(Certificate {
        origin: ObjectRef::new("Generated", "", "fallback-certificate"),
        fingerprint: crate::translate::fingerprint(certificate.der()),
        chain: vec![certificate.der().clone()],
        key: PrivateKey::new(key),
        names: vec!["ingress.local".to_owned()],
        not_after,
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn is_a_certificate_that_its_key_fits() {
        let certificate = generate().unwrap();
        let text = String::from_utf8_lossy(&certificate.chain[0]).into_owned();
        assert!(text.contains(COMMON_NAME) && text.contains("Acme Co"));
        assert_eq!(certificate.names, ["ingress.local"]);
        assert_eq!(certificate.fingerprint.len(), 64);
        assert_ne!(certificate.fingerprint, generate().unwrap().fingerprint);
    }
}
