//! Whether a response may be stapled (RFC 6960 §3.2, §4.2.2).

use std::time::Duration;

use rustls::crypto::WebPkiSupportedAlgorithms;
use rustls_pki_types::{CertificateDer, SignatureVerificationAlgorithm, SubjectPublicKeyInfoDer, UnixTime};
use webpki::{EndEntityCert, KeyUsage, RawPublicKeyEntity, anchor_from_trusted_cert};
use x509_cert::der::asn1::{AnyRef, BitStringRef};
use x509_cert::der::oid::AssociatedOid;
use x509_cert::der::{self, Decode, Encode, Reader, SliceReader, Tag, TagMode, TagNumber, Tagged};
use x509_cert::ext::Extensions;
use x509_ocsp::{
    BasicOcspResponse, CertId, CertStatus, OcspGeneralizedTime, OcspResponse, OcspResponseStatus,
    ResponseData, SingleResponse,
};
use x509_parser::prelude::{FromDer, X509Certificate};

use super::question::Question;

/// id-kp-OCSPSigning, 1.3.6.1.5.5.7.3.9.
const OCSP_SIGNING: &[u8] = &[0x2b, 0x06, 0x01, 0x05, 0x05, 0x07, 0x03, 0x09];
/// How far the responder's clock may be ahead of ours; OpenSSL's users, nginx
/// among them, allow as much.
const LEEWAY: Duration = Duration::from_secs(5 * 60);
/// How long a response is used that does not say until when it holds.
const WITHOUT_END: Duration = Duration::from_secs(24 * 60 * 60);

/// Why a response is not stapled.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Unusable {
    #[error("not an OCSP response: {0}")]
    Malformed(der::Error),
    #[error("the responder answers {0:?}")]
    Status(OcspResponseStatus),
    #[error("of another type, or with extensions that nobody knows")]
    Type,
    #[error("not signed by the issuer, nor by a responder that it appointed")]
    Signature,
    #[error("about other certificates")]
    Other,
    #[error("not valid yet")]
    Early,
    #[error("expired")]
    Expired,
    #[error("the certificate is revoked")]
    Revoked,
    #[error("the responder does not know the certificate")]
    Unknown,
}

impl From<der::Error> for Unusable {
    fn from(error: der::Error) -> Self {
        Self::Malformed(error)
    }
}

impl Unusable {
    /// Whether somebody who may say so says that the certificate is not good:
    /// an older response that says otherwise is not shown any more.
    pub(super) fn is_verdict(&self) -> bool {
        matches!(self, Self::Revoked | Self::Unknown)
    }
}

/// A `BasicOCSPResponse` with its parts as they were signed.
struct Basic<'a> {
    data: &'a [u8],
    algorithm: AnyRef<'a>,
    signature: BitStringRef<'a>,
    certificates: Vec<AnyRef<'a>>,
}

/// Until when `response` may be shown, which answers `question`. Times are since
/// 1970.
///
/// # Errors
/// It may not be shown.
pub(super) fn judge(
    response: &[u8],
    question: &Question,
    now: Duration,
    algorithms: &WebPkiSupportedAlgorithms,
) -> Result<Duration, Unusable> {
    let outer = OcspResponse::from_der(response)?;
    if outer.response_status != OcspResponseStatus::Successful {
        return Err(Unusable::Status(outer.response_status));
    }
    let bytes = outer.response_bytes.ok_or(Unusable::Type)?;
    if bytes.response_type != BasicOcspResponse::OID {
        return Err(Unusable::Type);
    }
    let basic = Basic::parse(bytes.response.as_bytes())?;
    if !basic.is_signed(&question.issuer, now, algorithms) {
        return Err(Unusable::Signature);
    }
    let data = ResponseData::from_der(basic.data)?;
    let mut singles = data.responses.iter();
    let single = singles
        .find(|single| same(&single.cert_id, &question.id))
        .ok_or(Unusable::Other)?;
    if is_critical(&data.response_extensions) || is_critical(&single.single_extensions) {
        return Err(Unusable::Type);
    }
    let until = valid_until(single, now)?;
    match single.cert_status {
        CertStatus::Good(_) => Ok(until),
        CertStatus::Revoked(_) => Err(Unusable::Revoked),
        CertStatus::Unknown(_) => Err(Unusable::Unknown),
    }
}

impl<'a> Basic<'a> {
    fn parse(bytes: &'a [u8]) -> der::Result<Self> {
        let mut reader = SliceReader::new(bytes)?;
        let basic = reader.sequence(|inner| {
            let data = inner.tlv_bytes()?;
            let algorithm = AnyRef::decode(inner)?;
            algorithm.tag().assert_eq(Tag::Sequence)?;
            let signature = BitStringRef::decode(inner)?;
            let certificates: Option<Vec<AnyRef<'a>>> =
                inner.context_specific(TagNumber::N0, TagMode::Explicit)?;
            Ok(Self {
                data,
                algorithm,
                signature,
                certificates: certificates.unwrap_or_default(),
            })
        })?;
        reader.finish(basic)
    }

    /// Whether the issuer signed it, or somebody whose certificate is in it and
    /// valid, made by the issuer itself and for this purpose (RFC 6960
    /// §4.2.2.2). Whether that certificate is revoked nobody asks: issuers make
    /// them for short times, or say that nobody needs to (§4.2.2.2.1).
    fn is_signed(
        &self,
        issuer: &CertificateDer<'_>,
        now: Duration,
        algorithms: &WebPkiSupportedAlgorithms,
    ) -> bool {
        let Ok((_, parsed)) = X509Certificate::from_der(issuer) else {
            return false;
        };
        let key = SubjectPublicKeyInfoDer::from(parsed.public_key().raw);
        let Ok(key) = RawPublicKeyEntity::try_from(&key) else {
            return false;
        };
        let Some(signature) = self.signature.as_bytes() else {
            return false;
        };
        // An algorithm of signatures may go with keys of several kinds.
        let named: Vec<&dyn SignatureVerificationAlgorithm> = algorithms
            .all
            .iter()
            .copied()
            .filter(|algorithm| algorithm.signature_alg_id().as_ref() == self.algorithm.value())
            .collect();
        let by_issuer = |algorithm: &&dyn SignatureVerificationAlgorithm| {
            key.verify_signature(*algorithm, self.data, signature).is_ok()
        };
        if named.iter().any(by_issuer) {
            return true;
        }
        let Ok(anchor) = anchor_from_trusted_cert(issuer) else {
            return false;
        };
        let anchors = std::slice::from_ref(&anchor);
        let time = UnixTime::since_unix_epoch(now);
        self.certificates.iter().any(|certificate| {
            let Ok(der) = certificate.to_der().map(CertificateDer::from) else {
                return false;
            };
            let Ok(responder) = EndEntityCert::try_from(&der) else {
                return false;
            };
            let usage = KeyUsage::required(OCSP_SIGNING);
            let by_responder = |algorithm: &&dyn SignatureVerificationAlgorithm| {
                let verified = responder.verify_signature(*algorithm, self.data, signature);
                verified.is_ok()
            };
            responder
                .verify_for_usage(algorithms.all, anchors, &[], time, usage, None, None)
                .is_ok()
                && named.iter().any(by_responder)
        })
    }
}

/// Whether both mean the same certificate. The parameters of the digest may be
/// left out or NULL.
fn same(a: &CertId, b: &CertId) -> bool {
    a.hash_algorithm.oid == b.hash_algorithm.oid
        && a.issuer_name_hash == b.issuer_name_hash
        && a.issuer_key_hash == b.issuer_key_hash
        && a.serial_number == b.serial_number
}

fn is_critical(extensions: &Option<Extensions>) -> bool {
    let mut extensions = extensions.iter().flatten();
    extensions.any(|extension| extension.critical)
}

/// The end of its validity, which has begun and not ended (RFC 6960 §4.2.2.1).
fn valid_until(single: &SingleResponse, now: Duration) -> Result<Duration, Unusable> {
    let since_epoch = |time: &OcspGeneralizedTime| time.0.to_unix_duration();
    let begin = since_epoch(&single.this_update);
    if begin > now + LEEWAY {
        return Err(Unusable::Early);
    }
    let end = match &single.next_update {
        Some(end) => since_epoch(end),
        None => begin + WITHOUT_END,
    };
    if end <= now {
        return Err(Unusable::Expired);
    }
    Ok(end)
}
