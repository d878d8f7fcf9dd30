//! What is asked about a certificate, and whom (RFC 6960 §4.1, RFC 5280
//! §4.2.2.1).

use std::hash::{Hash, Hasher};

use aws_lc_rs::digest::{SHA1_FOR_LEGACY_USE_ONLY, digest};
use http::Uri;
use http::uri::Scheme;
use rustls_pki_types::CertificateDer;
use x509_cert::der::asn1::{Null, ObjectIdentifier, OctetString};
use x509_cert::der::{self, Decode, Encode};
use x509_cert::serial_number::SerialNumber;
use x509_cert::spki::AlgorithmIdentifierOwned;
use x509_ocsp::{CertId, OcspRequest, Request, TbsRequest, Version};
use x509_parser::extensions::{GeneralName, ParsedExtension};
use x509_parser::oid_registry::OID_PKIX_ACCESS_DESCRIPTOR_OCSP;
use x509_parser::prelude::{FromDer, X509Certificate};

/// Every responder knows it, and some no other. It only says which certificate
/// is meant: what holds is the signature.
const SHA1: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.14.3.2.26");

/// The question whether one certificate is revoked. Certificates that are equal
/// make equal questions.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::tls) struct Question {
    /// `http://` and a host.
    pub(super) responder: Uri,
    /// Which certificate.
    pub(super) id: CertId,
    /// Who made it: the signature is its own, or that of somebody it names.
    pub(super) issuer: CertificateDer<'static>,
    /// An `OCSPRequest`.
    pub(super) request: Vec<u8>,
}

impl Hash for Question {
    fn hash<H: Hasher>(&self, state: &mut H) {
        // It has the hashes of the issuer, and the serial number.
        self.request.hash(state);
    }
}

/// Why nobody can be asked about a certificate that names a responder.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Unasked {
    #[error("responders are asked over http:// alone, this is {0}")]
    Scheme(String),
    #[error("`tls.crt` holds the certificate without its issuer's: append that")]
    NoIssuer,
    #[error("the certificate is malformed: {0}")]
    Malformed(String),
}

impl From<der::Error> for Unasked {
    fn from(error: der::Error) -> Self {
        Self::Malformed(error.to_string())
    }
}

impl Question {
    /// What to ask about the first certificate of `chain`; `Ok(None)`: it names
    /// no responder.
    ///
    /// # Errors
    /// It names one, and cannot be asked about.
    pub(super) fn about(chain: &[CertificateDer<'static>]) -> Result<Option<Self>, Unasked> {
        let Some((leaf, others)) = chain.split_first() else {
            return Ok(None);
        };
        let leaf = parse(leaf)?;
        let mut responders = responders(&leaf).peekable();
        let Some(first) = responders.peek().copied() else {
            return Ok(None);
        };
        let responder = responders
            .find_map(usable)
            .ok_or_else(|| Unasked::Scheme(first.to_owned()))?;
        for other in others {
            let issuer = parse(other)?;
            if issuer.subject().as_raw() != leaf.issuer().as_raw() {
                continue;
            }
            let id = id(&leaf, &issuer)?;
            return Ok(Some(Self {
                responder,
                request: request(&id)?,
                id,
                issuer: other.clone(),
            }));
        }
        Err(Unasked::NoIssuer)
    }
}

fn parse<'a>(certificate: &'a CertificateDer<'_>) -> Result<X509Certificate<'a>, Unasked> {
    let parsed = X509Certificate::from_der(certificate);
    parsed
        .map(|(_, certificate)| certificate)
        .map_err(|error| Unasked::Malformed(error.to_string()))
}

/// The URLs of its responders, in their order.
fn responders<'a>(leaf: &'a X509Certificate<'_>) -> impl Iterator<Item = &'a str> {
    let access = leaf
        .extensions()
        .iter()
        .filter_map(|extension| match extension.parsed_extension() {
            ParsedExtension::AuthorityInfoAccess(access) => Some(access),
            _ => None,
        });
    access
        .flat_map(|access| access.iter())
        .filter(|description| description.access_method == OID_PKIX_ACCESS_DESCRIPTOR_OCSP)
        .filter_map(|description| match description.access_location {
            GeneralName::URI(url) => Some(url),
            _ => None,
        })
}

/// Responses are signed, so that TLS would add nothing but a circle: whoever
/// checks the responder's own certificate would have to ask a responder.
fn usable(url: &str) -> Option<Uri> {
    let uri: Uri = url.parse().ok()?;
    let plain = uri.scheme() == Some(&Scheme::HTTP);
    let named = uri
        .authority()
        .is_some_and(|authority| !authority.host().is_empty() && !authority.as_str().contains('@'));
    (plain && named).then_some(uri)
}

fn id(leaf: &X509Certificate<'_>, issuer: &X509Certificate<'_>) -> der::Result<CertId> {
    let hash = |bytes| OctetString::new(digest(&SHA1_FOR_LEGACY_USE_ONLY, bytes).as_ref());
    let serial = leaf.raw_serial();
    // As it stands, whatever length or sign it should have had.
    let length = u8::try_from(serial.len()).unwrap_or(u8::MAX);
    let serial = [&[0x02, length], serial].concat();
    Ok(CertId {
        hash_algorithm: AlgorithmIdentifierOwned {
            oid: SHA1,
            parameters: Some(Null.into()),
        },
        issuer_name_hash: hash(leaf.issuer().as_raw())?,
        issuer_key_hash: hash(&issuer.public_key().subject_public_key.data)?,
        serial_number: SerialNumber::from_der(&serial)?,
    })
}

/// Without a nonce: most responders sign ahead of time (RFC 9654 §3).
fn request(id: &CertId) -> der::Result<Vec<u8>> {
    let one = Request {
        req_cert: id.clone(),
        single_request_extensions: None,
    };
    let request = OcspRequest {
        tbs_request: TbsRequest {
            version: Version::V1,
            requestor_name: None,
            request_list: vec![one],
            request_extensions: None,
        },
        optional_signature: None,
    };
    request.to_der()
}
