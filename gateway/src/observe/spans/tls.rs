//! TLS to a collector, as OpenTelemetry's variables want it: whom to trust
//! (`OTEL_EXPORTER_OTLP_CERTIFICATE`, or else the system's authorities), and who
//! we are (`OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE`, `OTEL_EXPORTER_OTLP_CLIENT_KEY`).

use std::sync::Arc;
use std::time::Duration;

use hyper_rustls::{ConfigBuilderExt, HttpsConnectorBuilder};
use opentelemetry_http::HttpClient;
use opentelemetry_http::hyper::HyperClient;
use opentelemetry_otlp::tonic_types::transport::{Certificate, ClientTlsConfig, Identity};
use rustls::crypto::aws_lc_rs;
use rustls::{ClientConfig, RootCertStore};
use rustls_pki_types::pem::{self, PemObject};
use rustls_pki_types::{CertificateDer, PrivateKeyDer};

/// Files in PEM; they are read when export begins.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Files {
    /// `None`: the system's.
    pub(super) authorities: Option<String>,
    /// Certificates and their key.
    pub(super) identity: Option<(String, String)>,
}

/// Why there is no TLS to the collector.
#[derive(Debug, thiserror::Error)]
pub(super) enum TlsError {
    #[error("{0}: {1}")]
    Read(String, std::io::Error),
    #[error("{0}: not PEM: {1}")]
    Pem(String, pem::Error),
    #[error("{0}: no certificate")]
    Empty(String),
    #[error("the system's authorities: {0}")]
    System(std::io::Error),
    #[error(transparent)]
    Tls(#[from] rustls::Error),
}

impl Files {
    /// For OTLP over gRPC.
    pub(super) fn grpc(&self) -> Result<ClientTlsConfig, TlsError> {
        let config = ClientTlsConfig::new();
        let config = match &self.authorities {
            Some(file) => {
                certificates(file)?;
                config.ca_certificate(Certificate::from_pem(read(file)?))
            }
            None => config.with_native_roots(),
        };
        Ok(match &self.identity {
            Some((chain, key)) => config.identity(Identity::from_pem(read(chain)?, read(key)?)),
            None => config,
        })
    }

    /// For OTLP over HTTP.
    pub(super) fn http(&self, timeout: Duration) -> Result<impl HttpClient + 'static, TlsError> {
        let provider = Arc::new(aws_lc_rs::default_provider());
        let config = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions()?;
        let config = match &self.authorities {
            Some(file) => {
                let mut roots = RootCertStore::empty();
                roots.add_parsable_certificates(certificates(file)?);
                config.with_root_certificates(roots)
            }
            None => config.with_native_roots().map_err(TlsError::System)?,
        };
        let config = match &self.identity {
            Some((chain, file)) => {
                let key = PrivateKeyDer::from_pem_slice(&read(file)?);
                let key = key.map_err(|error| TlsError::Pem(file.clone(), error))?;
                config.with_client_auth_cert(certificates(chain)?, key)?
            }
            None => config.with_no_client_auth(),
        };
        let connector = HttpsConnectorBuilder::new()
            .with_tls_config(config)
            .https_or_http()
            .enable_http1()
            .build();
        Ok(HyperClient::new(connector, timeout, None))
    }
}

fn read(file: &str) -> Result<Vec<u8>, TlsError> {
    std::fs::read(file).map_err(|error| TlsError::Read(file.to_owned(), error))
}

fn certificates(file: &str) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let all: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&read(file)?).collect();
    let all = all.map_err(|error| TlsError::Pem(file.to_owned(), error))?;
    match all.is_empty() {
        true => Err(TlsError::Empty(file.to_owned())),
        false => Ok(all),
    }
}
