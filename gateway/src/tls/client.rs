//! Client certificates: asked for in the handshake, judged after it.
//!
//! The verifier that rustls gets takes any chain whose key the client holds, so
//! that the handshake succeeds and a refusal is an HTTP answer, as in nginx;
//! unless the mode says that handshakes fail, as Gateway API has it. The
//! verdict is made when the handshake is complete, resumed ones too: a session
//! may be older than the list of authorities.

mod name;

use std::fmt;
use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::HeaderValue;
use rustls::crypto::CryptoProvider;
use rustls::pki_types::{CertificateDer, TrustAnchor, UnixTime};
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::{CertificateError, DistinguishedName};
use tidegate_snapshot::{ClientAuth, ClientAuthMode, ClientTrust};
use webpki::{
    CertRevocationList, EndEntityCert, Error, ExpirationPolicy, KeyUsage, OwnedCertRevocationList,
    RevocationCheckDepth, RevocationOptionsBuilder, UnknownStatusPolicy, VerifiedPath,
};
use x509_parser::prelude::{FromDer, X509Certificate};

use crate::template::escape;

/// Who judges the certificates of a host's clients.
pub struct Authority {
    /// What it was made from.
    pub spec: Arc<ClientAuth>,
    anchors: Vec<TrustAnchor<'static>>,
    revocations: Vec<CertRevocationList<'static>>,
    hints: Vec<DistinguishedName>,
    provider: Arc<CryptoProvider>,
}

/// What a TLS client showed, and what to think of it.
pub struct Client {
    /// Who judged it.
    pub authority: Arc<Authority>,
    /// The judgement.
    pub verdict: Verdict,
    /// The certificate that it showed.
    pub certificate: Option<Certificate>,
}

/// The judgement about a client's certificate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It has none.
    Missing,
    /// It is trusted.
    Good,
    /// Nobody that is trusted made it.
    UnknownIssuer,
    /// It is bad, in OpenSSL's words.
    Bad(&'static str),
}

/// A client's certificate as header fields show it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Certificate {
    /// RFC 2253.
    pub subject: String,
    /// RFC 2253.
    pub issuer: String,
    der: CertificateDer<'static>,
}

impl Authority {
    /// `None`: nobody is to be asked for a certificate. Authorities and lists
    /// that cannot be used are left out; without one nobody is trusted.
    pub(super) fn new(spec: &Arc<ClientAuth>, provider: Arc<CryptoProvider>) -> Option<Self> {
        let ClientTrust { roots, revocations } = spec.trust.as_ref()?;
        let anchors: Vec<_> = roots
            .iter()
            .filter_map(|root| Some(webpki::anchor_from_trusted_cert(root).ok()?.to_owned()))
            .collect();
        let hints = anchors
            .iter()
            .map(|anchor| DistinguishedName::in_sequence(&anchor.subject));
        Some(Self {
            hints: hints.collect(),
            anchors,
            revocations: revocations
                .iter()
                .filter_map(|list| Some(OwnedCertRevocationList::from_der(list).ok()?.into()))
                .collect(),
            spec: spec.clone(),
            provider,
        })
    }

    /// Judges what a client showed.
    pub(crate) fn judge(self: &Arc<Self>, chain: Option<&[CertificateDer<'_>]>, now: UnixTime) -> Client {
        let shown = chain.and_then(<[_]>::split_first);
        let verdict = match shown {
            None => Verdict::Missing,
            Some((leaf, intermediates)) => match self.verify(leaf, intermediates, now) {
                Ok(()) => Verdict::Good,
                Err(Error::UnknownIssuer) => Verdict::UnknownIssuer,
                Err(error) => Verdict::Bad(reason(&error)),
            },
        };
        Client {
            authority: self.clone(),
            verdict,
            certificate: shown.and_then(|(leaf, _)| Certificate::parse(leaf)),
        }
    }

    fn verify(
        &self,
        leaf: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<(), Error> {
        let lists: Vec<_> = self.revocations.iter().collect();
        let revocation = match RevocationOptionsBuilder::new(&lists) {
            // nginx `ssl_crl`: for every certificate of the chain.
            Ok(options) => Some(
                options
                    .with_depth(RevocationCheckDepth::Chain)
                    .with_status_policy(UnknownStatusPolicy::Deny)
                    .with_expiration_policy(ExpirationPolicy::Enforce)
                    .build(),
            ),
            Err(_) if self.expects_revocations() => return Err(Error::UnknownRevocationStatus),
            Err(_) => None,
        };
        let depth = usize::from(self.spec.depth);
        let short_enough = |path: &VerifiedPath<'_>| {
            if path.intermediate_certificates().count() > depth {
                return Err(Error::MaximumPathDepthExceeded);
            }
            Ok(())
        };
        EndEntityCert::try_from(leaf)?
            .verify_for_usage(
                self.provider.signature_verification_algorithms.all,
                &self.anchors,
                intermediates,
                now,
                KeyUsage::client_auth(),
                revocation,
                Some(&short_enough),
            )
            .map(drop)
    }

    fn expects_revocations(&self) -> bool {
        let trust = self.spec.trust.as_ref();
        trust.is_some_and(|trust| !trust.revocations.is_empty())
    }
}

impl Verdict {
    /// nginx `$ssl_client_verify`.
    pub fn text(&self) -> String {
        match self {
            Self::Missing => "NONE".to_owned(),
            Self::Good => "SUCCESS".to_owned(),
            Self::UnknownIssuer => "FAILED:unable to get local issuer certificate".to_owned(),
            Self::Bad(reason) => format!("FAILED:{reason}"),
        }
    }
}

/// OpenSSL's words, where there are some.
fn reason(error: &Error) -> &'static str {
    match error {
        Error::CertExpired { .. } => "certificate has expired",
        Error::CertNotValidYet { .. } => "certificate is not yet valid",
        Error::CertRevoked => "certificate revoked",
        Error::CrlExpired { .. } => "CRL has expired",
        Error::UnknownRevocationStatus => "unable to get certificate CRL",
        Error::MaximumPathDepthExceeded | Error::PathLenConstraintViolated => "certificate chain too long",
        Error::RequiredEkuNotFoundContext(_) => "unsuitable certificate purpose",
        Error::CaUsedAsEndEntity => "a certificate of an authority",
        Error::InvalidSignatureForPublicKey => "certificate signature failure",
        _ => "unable to verify the certificate",
    }
}

impl Certificate {
    fn parse(der: &CertificateDer<'_>) -> Option<Self> {
        let (_, parsed) = X509Certificate::from_der(der).ok()?;
        Some(Self {
            subject: name::rfc2253(parsed.subject()),
            issuer: name::rfc2253(parsed.issuer()),
            der: der.clone().into_owned(),
        })
    }

    /// PEM, percent-encoded (nginx `$ssl_client_escaped_cert`).
    pub fn escaped_pem(&self) -> HeaderValue {
        let mut pem = String::from("-----BEGIN CERTIFICATE-----\n");
        let encoded = STANDARD.encode(&self.der);
        for line in encoded.as_bytes().chunks(64) {
            pem.push_str(&String::from_utf8_lossy(line));
            pem.push('\n');
        }
        pem.push_str("-----END CERTIFICATE-----\n");
        let mut escaped = Vec::with_capacity(pem.len() * 5 / 4);
        escape(pem.as_bytes(), &mut escaped);
        HeaderValue::from_bytes(&escaped).expect("percent-encoding makes a header value")
    }
}

impl fmt::Debug for Authority {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Authority")
            .field("spec", &self.spec)
            .finish_non_exhaustive()
    }
}

/// What rustls asks during the handshake.
impl ClientCertVerifier for Authority {
    fn client_auth_mandatory(&self) -> bool {
        self.spec.mode == ClientAuthMode::Handshake
    }

    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &self.hints
    }

    fn verify_client_cert(
        &self,
        leaf: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, rustls::Error> {
        if self.spec.mode == ClientAuthMode::Handshake {
            self.verify(leaf, intermediates, now)
                .map_err(|error| match error {
                    Error::UnknownIssuer => CertificateError::UnknownIssuer,
                    Error::CertExpired { .. } => CertificateError::Expired,
                    Error::CertNotValidYet { .. } => CertificateError::NotValidYet,
                    _ => CertificateError::ApplicationVerificationFailure,
                })?;
        }
        Ok(ClientCertVerified::assertion())
    }

    super::signatures_by_provider!();
}
