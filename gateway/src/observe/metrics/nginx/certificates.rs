//! `nginx_ingress_controller_ssl_*`: when the certificate of each host ends.

use x509_parser::prelude::{FromDer, X509Certificate};

use super::Identity;
use crate::observe::metrics::family::Family;
use crate::observe::metrics::gateway::CertificateExpiry;

/// The most hosts that get series; the ones whose certificates end first win.
const MOST: usize = 500;

#[allow(clippy::cast_precision_loss)]
pub(in super::super) fn certificates(identity: &Identity, certificates: &[CertificateExpiry]) -> Vec<Family> {
    let mut ends = Family::gauge(
        "nginx_ingress_controller_ssl_expire_time_seconds",
        "End of the validity of a host's certificate, in seconds since 1970.",
    );
    let mut facts = Family::gauge(
        "nginx_ingress_controller_ssl_certificate_info",
        "Always 1; the labels describe a host's certificate.",
    );
    let mut left = MOST;
    for one in certificates {
        let issuer = Issuer::of(&one.leaf);
        for host in one.hosts.iter().take(left) {
            let labels = [
                ("namespace", &*one.namespace),
                ("class", identity.class()),
                ("host", &**host),
                ("secret_name", &*one.secret),
                ("identifier", &*issuer.identifier),
            ];
            ends.add_float(&labels, one.not_after as f64);
            let more = [
                ("issuer_organization", &*issuer.organization),
                ("issuer_common_name", &*issuer.common_name),
                ("serial_number", &*issuer.serial),
                ("public_key_algorithm", issuer.algorithm),
            ];
            facts.add(&[&labels[..], &more[..]].concat(), 1);
        }
        left = left.saturating_sub(one.hosts.len());
    }
    vec![ends, facts]
}

#[derive(Default)]
struct Issuer {
    organization: String,
    common_name: String,
    serial: String,
    algorithm: &'static str,
    identifier: String,
}

impl Issuer {
    /// Empty texts for what is no certificate.
    fn of(leaf: &[u8]) -> Self {
        let Ok((_, certificate)) = X509Certificate::from_der(leaf) else {
            return Self::default();
        };
        let text = |name: Option<&x509_parser::x509::AttributeTypeAndValue<'_>>| {
            let text = name.and_then(|name| name.as_str().ok());
            text.unwrap_or_default().to_owned()
        };
        let issuer = certificate.issuer();
        let common_name = text(issuer.iter_common_name().next());
        let serial = certificate.tbs_certificate.serial.to_string();
        // The names that Go's library has for them.
        let algorithm = match certificate
            .public_key()
            .algorithm
            .algorithm
            .to_id_string()
            .as_str()
        {
            "1.2.840.113549.1.1.1" => "RSA",
            "1.2.840.10045.2.1" => "ECDSA",
            "1.3.101.112" => "Ed25519",
            _ => "",
        };
        Self {
            organization: text(issuer.iter_organization().next()),
            identifier: format!("{common_name}-{serial}"),
            common_name,
            serial,
            algorithm,
        }
    }
}
