//! TLS to endpoints whose certificate is judged by other names than the server
//! name (Gateway API, `subjectAltNames` of a BackendTLSPolicy), or with limits
//! (ingress-nginx `proxy-ssl-protocols`, `proxy-ssl-ciphers` and
//! `proxy-ssl-verify-depth`). Pingora compares with the server name alone and
//! offers everything: here the handshake is ours, below what Pingora takes for a
//! plain connection. The next handshake is resumed.

use std::sync::{Arc, LazyLock};

use async_trait::async_trait;
use pingora_core::connectors::L4Connect;
use pingora_core::protocols::l4::socket::SocketAddr;
use pingora_core::protocols::l4::stream::Stream;
use pingora_core::{Error, ErrorType, OrErr, Result};
use rustls::client::danger::{ServerCertVerified, ServerCertVerifier};
use rustls::client::{verify_server_cert_signed_by_trust_anchor, verify_server_name};
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::version::{TLS12, TLS13};
use rustls::{CertificateError, ClientConfig, RootCertStore};
use tidegate_snapshot::{AltName, HandshakeLimits, TrustAnchors, UpstreamTls};
use tokio_rustls::TlsConnector;
use webpki::{EndEntityCert, KeyUsage, VerifiedPath};
use x509_parser::extensions::GeneralName;
use x509_parser::prelude::{FromDer, X509Certificate};

use super::socket::{self, Socket};
use crate::tls;

/// The operating system's authorities, read once.
static SYSTEM: LazyLock<Vec<CertificateDer<'static>>> =
    LazyLock::new(|| rustls_native_certs::load_native_certs().certs);

/// How to connect to such endpoints.
#[derive(Debug)]
pub(super) struct OwnTls {
    /// `None`: no handshake can come to a good end, so none is begun.
    config: Option<Arc<ClientConfig>>,
    /// `None`: none is sent, and none is looked for in the certificate.
    server_name: Option<ServerName<'static>>,
}

impl OwnTls {
    /// `None` where Pingora's does. With `h2` that protocol is
    /// asked for; else none is, and HTTP/1.1 is what servers take that for.
    pub(super) fn new(spec: &UpstreamTls, h2: bool) -> Option<Self> {
        if spec.alt_names.is_empty() && spec.limits.is_none() {
            return None;
        }
        let server_name = spec.server_name.as_deref();
        let server_name = server_name.map(|name| ServerName::try_from(name.to_owned()));
        // A name that is none must not be taken for no name.
        let is_bad = matches!(server_name, Some(Err(_)));
        let config = config(spec, h2).ok().filter(|_| !is_bad);
        Some(Self {
            config: config.map(Arc::new),
            server_name: server_name.and_then(Result::ok),
        })
    }
}

fn config(spec: &UpstreamTls, h2: bool) -> Result<ClientConfig, rustls::Error> {
    let limits = spec.limits.clone().unwrap_or_default();
    let provider = Arc::new(restricted(&limits));
    let roots = spec.verify.as_ref().map(|anchors| {
        let mut roots = RootCertStore::empty();
        roots.add_parsable_certificates(match anchors {
            TrustAnchors::System => SYSTEM.iter().cloned(),
            TrustAnchors::Certificates(certificates) => certificates.iter().cloned(),
        });
        roots
    });
    let verifier = Verifier {
        roots,
        names: spec.alt_names.clone(),
        depth: limits.depth,
        provider: provider.clone(),
    };
    let both = [(limits.tls13, &TLS13), (limits.tls12, &TLS12)];
    let wanted = both.into_iter().filter(|(wanted, _)| *wanted);
    let versions: Vec<_> = wanted.map(|(_, version)| version).collect();
    let builder = ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(&versions)?
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
    config.enable_sni = spec.server_name.is_some();
    if h2 {
        config.alpn_protocols = vec![b"h2".to_vec()];
    }
    Ok(config)
}

/// The provider with the suites that are wanted, in their order.
fn restricted(limits: &HandshakeLimits) -> CryptoProvider {
    let mut provider = aws_lc_rs::default_provider();
    provider.cipher_suites = tls::suites(&provider, &limits.ciphers);
    provider
}

#[async_trait]
impl L4Connect for OwnTls {
    /// Pingora's `total_connection_timeout` bounds it.
    async fn connect(&self, address: &SocketAddr) -> Result<Stream> {
        let Some((config, address_ip)) = self.config.as_ref().zip(address.as_inet()) else {
            return Error::e_explain(ErrorType::ConnectError, "TLS that cannot be set up");
        };
        let server_name = match &self.server_name {
            Some(name) => name.clone(),
            None => ServerName::IpAddress(address_ip.ip().into()),
        };
        let tls = TlsConnector::from(config.clone())
            .connect(server_name, socket::connect(address).await?)
            .await
            .or_err(ErrorType::TLSHandshakeFailure, "handshake with an endpoint")?;
        Ok(Socket::over(tls))
    }
}

/// Judges an endpoint's certificate: signed by one of `roots`, and for one of
/// `names`, or without any for the server name.
#[derive(Debug)]
struct Verifier {
    /// `None`: any certificate will do.
    roots: Option<RootCertStore>,
    names: Vec<AltName>,
    depth: Option<u8>,
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

impl Verifier {
    /// Whether there is a way to an authority with so few intermediate
    /// certificates (OpenSSL's SSL_CTX_set_verify_depth(3)).
    fn verify_depth(
        &self,
        leaf: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        roots: &RootCertStore,
        now: UnixTime,
        depth: u8,
    ) -> Result<(), rustls::Error> {
        let short_enough = |path: &VerifiedPath<'_>| {
            if path.intermediate_certificates().count() > usize::from(depth) {
                return Err(webpki::Error::MaximumPathDepthExceeded);
            }
            Ok(())
        };
        let refused = |_| CertificateError::ApplicationVerificationFailure;
        let algorithms = self.provider.signature_verification_algorithms.all;
        let usage = KeyUsage::server_auth();
        let leaf = EndEntityCert::try_from(leaf).map_err(refused)?;
        let verified = leaf.verify_for_usage(
            algorithms,
            &roots.roots,
            intermediates,
            now,
            usage,
            None,
            Some(&short_enough),
        );
        verified.map_err(refused)?;
        Ok(())
    }
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        leaf: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        _: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        let Some(roots) = &self.roots else {
            return Ok(ServerCertVerified::assertion());
        };
        let parsed = ParsedCertificate::try_from(leaf)?;
        let algorithms = self.provider.signature_verification_algorithms.all;
        verify_server_cert_signed_by_trust_anchor(&parsed, roots, intermediates, now, algorithms)?;
        if let Some(depth) = self.depth {
            self.verify_depth(leaf, intermediates, roots, now, depth)?;
        }
        if self.names.is_empty() {
            verify_server_name(&parsed, server_name)?;
            return Ok(ServerCertVerified::assertion());
        }
        if self.names.iter().any(|name| is_for(leaf, &parsed, name)) {
            Ok(ServerCertVerified::assertion())
        } else {
            Err(CertificateError::NotValidForName.into())
        }
    }

    tls::signatures_by_provider!();
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
            roots: Some(roots),
            names: names.to_vec(),
            depth: None,
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
    }

    #[test]
    fn an_authority_must_have_signed_it() {
        assert_eq!(
            judged(&[host("a.test")], false),
            Err(CertificateError::UnknownIssuer.into())
        );
    }

    /// A chain of a root, so many intermediate authorities, and an endpoint's
    /// certificate, which comes first; the root comes last.
    fn chain(intermediates: usize) -> Vec<CertificateDer<'static>> {
        let authority = |name: &str| {
            let mut parameters = rcgen::CertificateParams::new(Vec::new()).unwrap();
            parameters
                .distinguished_name
                .push(rcgen::DnType::CommonName, name);
            parameters.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
            (parameters, rcgen::KeyPair::generate().unwrap())
        };
        let (parameters, key) = authority("root");
        let mut made = vec![parameters.self_signed(&key).unwrap().der().clone()];
        let mut issuer = rcgen::Issuer::new(parameters, key);
        for number in 0..intermediates {
            let (parameters, key) = authority(&format!("intermediate {number}"));
            made.push(parameters.signed_by(&key, &issuer).unwrap().der().clone());
            issuer = rcgen::Issuer::new(parameters, key);
        }
        let key = rcgen::KeyPair::generate().unwrap();
        let parameters = rcgen::CertificateParams::new(["a.test".to_owned()]).unwrap();
        made.push(parameters.signed_by(&key, &issuer).unwrap().der().clone());
        made.reverse();
        made
    }

    #[test]
    fn a_chain_can_be_too_long() {
        let chain = chain(2);
        let [leaf, intermediates @ .., root] = &chain[..] else {
            panic!("a root and a leaf");
        };
        let judged = |depth, name: &'static str| {
            let mut roots = RootCertStore::empty();
            roots.add(root.clone()).unwrap();
            let verifier = Verifier {
                roots: Some(roots),
                names: Vec::new(),
                depth,
                provider: Arc::new(aws_lc_rs::default_provider()),
            };
            let name = ServerName::try_from(name).unwrap();
            let verdict = verifier.verify_server_cert(leaf, intermediates, &name, &[], UnixTime::now());
            verdict.is_ok()
        };
        assert!(judged(None, "a.test"));
        assert!(judged(Some(2), "a.test"));
        assert!(!judged(Some(1), "a.test"));
        assert!(!judged(None, "b.test"));
    }

    #[test]
    fn only_what_is_wanted_is_offered() {
        let spec = |limits| UpstreamTls {
            server_name: None,
            verify: None,
            alt_names: Vec::new(),
            client_certificate: None,
            limits,
        };
        assert!(OwnTls::new(&spec(None), false).is_none());
        let limits = HandshakeLimits {
            tls13: false,
            ciphers: vec![tidegate_snapshot::Cipher::EcdheRsaAes256],
            ..HandshakeLimits::default()
        };
        let made = config(&spec(Some(limits)), false).unwrap();
        let suites = made.crypto_provider().cipher_suites.iter();
        let old: Vec<_> = suites.filter(|suite| suite.tls13().is_none()).collect();
        assert_eq!(old.len(), 1);
        assert!(!made.enable_sni);
    }
}
