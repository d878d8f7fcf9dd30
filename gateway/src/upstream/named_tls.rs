//! TLS to endpoints whose certificate is judged by other names than the server
//! name (Gateway API, `subjectAltNames` of a BackendTLSPolicy). Pingora compares
//! with the server name alone: here the handshake is ours, below what Pingora
//! takes for a plain connection. The next handshake is resumed.

use std::sync::{Arc, LazyLock};

use async_trait::async_trait;
use pingora_core::connectors::L4Connect;
use pingora_core::protocols::l4::socket::SocketAddr;
use pingora_core::protocols::l4::stream::Stream;
use pingora_core::{Error, ErrorType, OrErr, Result};
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{verify_server_cert_signed_by_trust_anchor, verify_server_name};
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::{CertificateError, ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme};
use tidegate_snapshot::{AltName, TrustAnchors, UpstreamTls};
use tokio_rustls::TlsConnector;
use x509_parser::extensions::GeneralName;
use x509_parser::prelude::{FromDer, X509Certificate};

use super::socket::{self, Socket};

/// The operating system's authorities, read once.
static SYSTEM: LazyLock<Vec<CertificateDer<'static>>> =
    LazyLock::new(|| rustls_native_certs::load_native_certs().certs);

/// How to connect to such endpoints.
#[derive(Debug)]
pub(super) struct NamedTls {
    /// `None`: no handshake can come to a good end, so none is begun.
    handshake: Option<(Arc<ClientConfig>, ServerName<'static>)>,
}

impl NamedTls {
    /// `None` where the server name is what decides. With `h2` that protocol is
    /// asked for; else none is, and HTTP/1.1 is what servers take that for.
    pub(super) fn new(spec: &UpstreamTls, h2: bool) -> Option<Self> {
        if spec.alt_names.is_empty() {
            return None;
        }
        let server_name = spec.server_name.as_deref().unwrap_or_default().to_owned();
        let handshake = config(spec, h2)
            .ok()
            .zip(ServerName::try_from(server_name).ok())
            .map(|(config, server_name)| (Arc::new(config), server_name));
        Some(Self { handshake })
    }
}

fn config(spec: &UpstreamTls, h2: bool) -> Result<ClientConfig, rustls::Error> {
    let provider = Arc::new(aws_lc_rs::default_provider());
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(match &spec.verify {
        Some(TrustAnchors::System) => SYSTEM.iter().cloned(),
        Some(TrustAnchors::Certificates(certificates)) => certificates.iter().cloned(),
        // Nobody is believed.
        None => [].iter().cloned(),
    });
    let verifier = Verifier {
        roots,
        names: spec.alt_names.clone(),
        provider: provider.clone(),
    };
    let builder = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(verifier));
    let mut config = match &spec.client_certificate {
        Some(certificate) => {
            let key = PrivateKeyDer::try_from(certificate.key.der().secret_der().to_vec())
                .map_err(|error| rustls::Error::General(error.to_owned()))?;
            builder.with_client_auth_cert(certificate.chain.to_vec(), key)?
        }
        None => builder.with_no_client_auth(),
    };
    if h2 {
        config.alpn_protocols = vec![b"h2".to_vec()];
    }
    Ok(config)
}

#[async_trait]
impl L4Connect for NamedTls {
    /// Pingora's `total_connection_timeout` bounds it.
    async fn connect(&self, address: &SocketAddr) -> Result<Stream> {
        let Some((config, server_name)) = &self.handshake else {
            return Error::e_explain(ErrorType::ConnectError, "TLS that cannot be set up");
        };
        let tls = TlsConnector::from(config.clone())
            .connect(server_name.clone(), socket::connect(address).await?)
            .await
            .or_err(ErrorType::TLSHandshakeFailure, "handshake with an endpoint")?;
        Ok(Socket::over(tls))
    }
}

/// Judges an endpoint's certificate: signed by one of `roots`, and for one of
/// `names`.
#[derive(Debug)]
struct Verifier {
    roots: RootCertStore,
    names: Vec<AltName>,
    provider: Arc<CryptoProvider>,
}

/// Whether a certificate is for this name.
fn is_for(leaf: &CertificateDer<'_>, parsed: &ParsedCertificate<'_>, wanted: &AltName) -> bool {
    match wanted {
        AltName::Hostname(name) if !name.starts_with("*.") => {
            ServerName::try_from(&**name).is_ok_and(|name| verify_server_name(parsed, &name).is_ok())
        }
        AltName::Hostname(pattern) => has_name(leaf, |name| {
            let GeneralName::DNSName(name) = name else {
                return false;
            };
            // `*` in both is one label too.
            name.split_once('.')
                .is_some_and(|(_, parent)| parent.eq_ignore_ascii_case(&pattern[2..]))
        }),
        AltName::Uri(uri) => has_name(
            leaf,
            |name| matches!(name, GeneralName::URI(name) if **name == **uri),
        ),
    }
}

/// Whether one of a certificate's subject alternative names is `wanted`.
fn has_name(leaf: &CertificateDer<'_>, wanted: impl FnMut(&GeneralName<'_>) -> bool) -> bool {
    let Ok((_, certificate)) = X509Certificate::from_der(leaf) else {
        return false;
    };
    let Ok(Some(names)) = certificate.subject_alternative_name() else {
        return false;
    };
    names.value.general_names.iter().any(wanted)
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        leaf: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        let parsed = ParsedCertificate::try_from(leaf)?;
        let algorithms = self.provider.signature_verification_algorithms.all;
        verify_server_cert_signed_by_trust_anchor(&parsed, &self.roots, intermediates, now, algorithms)?;
        if self.names.iter().any(|name| is_for(leaf, &parsed, name)) {
            Ok(ServerCertVerified::assertion())
        } else {
            Err(CertificateError::NotValidForName.into())
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        rustls::crypto::verify_tls12_signature(message, certificate, signed, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        rustls::crypto::verify_tls13_signature(message, certificate, signed, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider
            .signature_verification_algorithms
            .supported_schemes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn certificate() -> CertificateDer<'static> {
        let names = ["a.test".to_owned(), "*.b.test".to_owned()];
        let mut parameters = rcgen::CertificateParams::new(names).unwrap();
        let uri = "spiffe://a.test/own".try_into().unwrap();
        parameters.subject_alt_names.push(rcgen::SanType::URI(uri));
        let key = rcgen::KeyPair::generate().unwrap();
        parameters.self_signed(&key).unwrap().der().clone()
    }

    fn judged(names: &[AltName], is_trusted: bool) -> Result<(), rustls::Error> {
        let made = certificate();
        let mut roots = RootCertStore::empty();
        roots.add_parsable_certificates(is_trusted.then(|| made.clone()));
        let verifier = Verifier {
            roots,
            names: names.to_vec(),
            provider: Arc::new(aws_lc_rs::default_provider()),
        };
        // What the server name says does not count.
        let name = ServerName::try_from("unrelated.test").unwrap();
        let verdict = verifier.verify_server_cert(&made, &[], &name, &[], UnixTime::now());
        verdict.map(|_| ())
    }

    fn host(name: &str) -> AltName {
        AltName::Hostname(name.into())
    }

    fn uri(name: &str) -> AltName {
        AltName::Uri(name.into())
    }

    #[test]
    fn one_of_the_names_must_be_there() {
        for name in [
            host("a.test"),
            host("x.b.test"),
            host("*.b.test"),
            host("*.test"),
            uri("spiffe://a.test/own"),
        ] {
            assert_eq!(
                judged(&[host("other.test"), name.clone()], true),
                Ok(()),
                "{name:?}"
            );
        }
        let refused = Err(CertificateError::NotValidForName.into());
        for name in [
            host("c.test"),
            host("x.y.b.test"),
            host("*.a.test"),
            host("spiffe://a.test/own"),
            uri("spiffe://a.test/other"),
            uri("spiffe://a.test/"),
            uri("a.test"),
        ] {
            assert_eq!(
                judged(&[host("other.test"), name.clone()], true),
                refused,
                "{name:?}"
            );
        }
        assert_eq!(judged(&[], true), refused);
    }

    #[test]
    fn an_authority_must_have_signed_it() {
        assert_eq!(
            judged(&[host("a.test")], false),
            Err(CertificateError::UnknownIssuer.into())
        );
    }
}
