//! Making and judging certificates for the webhook: each has an authority of its
//! own, whose key is thrown away.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa, KeyPair,
    KeyUsagePurpose,
};
use rustls::crypto::aws_lc_rs::sign::any_supported_type;
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use x509_parser::prelude::{FromDer, GeneralName, X509Certificate};

/// Clocks differ.
const BEFORE: Duration = Duration::from_secs(3600);

/// A certificate with its key and whoever signed it, all PEM.
pub(super) struct Pair {
    pub(super) authority: Vec<u8>,
    pub(super) certificate: Vec<u8>,
    pub(super) key: Vec<u8>,
}

impl Pair {
    /// Makes one for these names.
    pub(super) fn generate(
        names: &BTreeSet<String>,
        validity: Duration,
        now: SystemTime,
    ) -> Result<Self, rcgen::Error> {
        let params = |names: Vec<String>, common: &str| -> Result<CertificateParams, rcgen::Error> {
            let mut params = CertificateParams::new(names)?;
            params.distinguished_name = rcgen::DistinguishedName::new();
            params.distinguished_name.push(DnType::CommonName, common);
            // Short ones must not count as old from the start.
            params.not_before = (now - BEFORE.min(validity / 10)).into();
            params.not_after = (now + validity).into();
            Ok(params)
        };
        // Two authorities of one name would be taken for each other.
        let number = rand::random::<u64>();
        let mut authority = params(Vec::new(), &format!("tidegate-webhook-authority-{number}"))?;
        authority.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        authority.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::DigitalSignature];
        let authority = CertifiedIssuer::self_signed(authority, KeyPair::generate()?)?;
        let mut leaf = params(names.iter().cloned().collect(), "tidegate-webhook")?;
        leaf.use_authority_key_identifier_extension = true;
        leaf.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        leaf.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        let key = KeyPair::generate()?;
        let certificate = leaf.signed_by(&key, &authority)?;
        Ok(Self {
            authority: authority.pem().into_bytes(),
            certificate: certificate.pem().into_bytes(),
            key: key.serialize_pem().into_bytes(),
        })
    }
}

/// How long a certificate can be left as it is: until a third of its time is
/// left. `None`: it is to be renewed now, or is none for these names.
pub(super) fn renewal(
    authorities: &[u8],
    certificate: &[u8],
    key: &[u8],
    names: &BTreeSet<String>,
    now: SystemTime,
) -> Option<Duration> {
    let leaf = CertificateDer::from_pem_slice(certificate).ok()?;
    let (_, leaf) = X509Certificate::from_der(&leaf).ok()?;
    let key = any_supported_type(&PrivateKeyDer::from_pem_slice(key).ok()?).ok()?;
    if key.public_key()?.as_ref() != leaf.public_key().raw {
        return None;
    }
    let signed = CertificateDer::pem_slice_iter(authorities)
        .flatten()
        .any(|authority| {
            X509Certificate::from_der(&authority)
                .is_ok_and(|(_, authority)| authority.subject().as_raw() == leaf.issuer().as_raw())
        });
    if !signed || !names.is_subset(&covered(&leaf)) {
        return None;
    }
    let (from, until) = (leaf.validity().not_before, leaf.validity().not_after);
    let third = (until.timestamp() - from.timestamp()) / 3;
    let renew = UNIX_EPOCH + Duration::from_secs(u64::try_from(until.timestamp() - third).ok()?);
    renew.duration_since(now).ok().filter(|left| !left.is_zero())
}

fn covered(leaf: &X509Certificate<'_>) -> BTreeSet<String> {
    let alternative = leaf.subject_alternative_name().ok().flatten();
    let names = alternative
        .iter()
        .flat_map(|extension| &extension.value.general_names);
    names
        .filter_map(|name| match name {
            GeneralName::DNSName(name) => Some((*name).to_owned()),
            GeneralName::IPAddress(bytes) => address(bytes).map(|address| address.to_string()),
            _ => None,
        })
        .collect()
}

fn address(bytes: &[u8]) -> Option<IpAddr> {
    let four = <[u8; 4]>::try_from(bytes).map(IpAddr::from);
    four.or_else(|_| <[u8; 16]>::try_from(bytes).map(IpAddr::from))
        .ok()
}

/// The new authority, then those known that have not ended.
pub(super) fn bundle(new: &[u8], known: &[u8], now: SystemTime) -> Vec<u8> {
    let now = now.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    let mut bundle = new.to_vec();
    let text = String::from_utf8_lossy(known);
    for block in text.split_inclusive("-----END CERTIFICATE-----") {
        let ends = CertificateDer::from_pem_slice(block.as_bytes())
            .ok()
            .and_then(|der| {
                let (_, parsed) = X509Certificate::from_der(&der).ok()?;
                u64::try_from(parsed.validity().not_after.timestamp()).ok()
            });
        if ends.is_some_and(|ends| ends > now) {
            bundle.extend_from_slice(block.trim_start().as_bytes());
            bundle.push(b'\n');
        }
    }
    bundle
}

#[cfg(test)]
mod tests {
    use super::*;

    const YEAR: Duration = Duration::from_secs(365 * 24 * 3600);

    fn names() -> BTreeSet<String> {
        ["edge-admission.edge.svc", "192.0.2.1"].map(str::to_owned).into()
    }

    #[test]
    fn renewed_when_a_third_is_left() {
        let now = SystemTime::now();
        let pair = Pair::generate(&names(), YEAR, now).unwrap();
        let left = |now| renewal(&pair.authority, &pair.certificate, &pair.key, &names(), now);
        let first = left(now).unwrap();
        assert!(first > YEAR / 2 && first < YEAR * 7 / 10, "{first:?}");
        assert!(left(now + YEAR * 6 / 10).is_some());
        assert_eq!(left(now + YEAR * 7 / 10), None);
        assert_eq!(left(now + YEAR * 2), None);
    }

    #[test]
    fn made_anew_when_anything_does_not_fit() {
        let now = SystemTime::now();
        let [pair, other] = [(); 2].map(|()| Pair::generate(&names(), YEAR, now).unwrap());
        let judge = |authority: &[u8], certificate: &[u8], key: &[u8], names: &BTreeSet<String>| {
            renewal(authority, certificate, key, names, now).is_some()
        };
        assert!(judge(&pair.authority, &pair.certificate, &pair.key, &names()));
        assert!(!judge(&other.authority, &pair.certificate, &pair.key, &names()));
        assert!(!judge(&pair.authority, &pair.certificate, &other.key, &names()));
        assert!(!judge(&pair.authority, b"", &pair.key, &names()));
        let mut more = names();
        more.insert("new.edge.svc".to_owned());
        assert!(!judge(&pair.authority, &pair.certificate, &pair.key, &more));
    }

    #[test]
    fn authorities_stay_known_until_they_end() {
        let now = SystemTime::now();
        let [old, new] = [YEAR / 2, YEAR].map(|validity| Pair::generate(&names(), validity, now).unwrap());
        let count = |bundle: &[u8]| CertificateDer::pem_slice_iter(bundle).flatten().count();
        let both = bundle(&new.authority, &old.authority, now);
        assert_eq!(count(&both), 2);
        assert!(both.starts_with(&new.authority));
        // The certificate of the one before is still one to trust.
        assert!(renewal(&both, &old.certificate, &old.key, &names(), now).is_some());
        let later = Pair::generate(&names(), YEAR, now + YEAR * 6 / 10).unwrap();
        assert_eq!(count(&bundle(&later.authority, &both, now + YEAR * 6 / 10)), 2);
        assert_eq!(count(&bundle(&new.authority, b"garbage", now)), 1);
    }
}
