//! A certificate authority, and backends and clients with its certificates.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair, KeyUsagePurpose, SanType};
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::server::TlsStream;

use crate::support::client::{Client, tls_config};
use crate::support::tls;

pub(crate) struct Authority(CertifiedIssuer<'static, KeyPair>);

/// A certificate and its key.
pub(crate) struct Identity {
    certificate: rcgen::Certificate,
    key: KeyPair,
}

impl Authority {
    pub(crate) fn new() -> Self {
        let mut parameters = CertificateParams::new(Vec::new()).unwrap();
        parameters.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        parameters.key_usages = vec![KeyUsagePurpose::KeyCertSign];
        Self(CertifiedIssuer::self_signed(parameters, KeyPair::generate().unwrap()).unwrap())
    }

    /// A certificate for host names and URIs.
    pub(crate) fn sign(&self, names: &[&str]) -> Identity {
        let (uris, hosts): (Vec<&str>, Vec<&str>) = names.iter().partition(|name| name.contains("://"));
        let hosts: Vec<String> = hosts.into_iter().map(str::to_owned).collect();
        let mut parameters = CertificateParams::new(hosts).unwrap();
        for uri in uris {
            parameters
                .subject_alt_names
                .push(SanType::URI(uri.try_into().unwrap()));
        }
        let key = KeyPair::generate().unwrap();
        let certificate = parameters.signed_by(&key, &self.0).unwrap();
        Identity { certificate, key }
    }

    /// A ConfigMap with its certificate.
    pub(crate) fn config_map(&self, name: &str) -> String {
        format!(
            "---\napiVersion: v1\nkind: ConfigMap\nmetadata: {{name: {name}}}\ndata:\n  ca.crt: |\n    {}\n",
            indent(&self.0.pem())
        )
    }

    /// A backend that tells the server name that it was asked for, the protocol,
    /// and whether it was shown a certificate of this authority.
    pub(crate) async fn backend(&self, identity: &Identity) -> u16 {
        let config = tls::asking_config(self.0.der().clone(), identity.chain(), identity.key());
        tls::backend(config, answer).await
    }
}

async fn answer(mut stream: TlsStream<TcpStream>) -> Option<()> {
    let session = stream.get_ref().1;
    let shown = match session.peer_certificates() {
        Some(_) => "shown",
        None => "nothing",
    };
    let body = format!("{} {shown}", session.server_name().unwrap_or_default());
    let mut buffer = [0; 4096];
    while stream.read(&mut buffer).await.ok()? > 0 {
        let answer = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{body}", body.len());
        stream.write_all(answer.as_bytes()).await.ok()?;
        stream.flush().await.ok()?;
    }
    Some(())
}

impl Identity {
    fn chain(&self) -> Vec<CertificateDer<'static>> {
        vec![self.certificate.der().clone()]
    }

    fn key(&self) -> PrivateKeyDer<'static> {
        PrivateKeyDer::try_from(self.key.serialize_der()).unwrap()
    }

    /// A Secret with it.
    pub(crate) fn secret(&self, name: &str) -> String {
        format!(
            "---\napiVersion: v1\nkind: Secret\nmetadata: {{name: {name}}}\ntype: kubernetes.io/tls\nstringData:\n  \
             tls.crt: |\n    {}\n  tls.key: |\n    {}\n",
            indent(&self.certificate.pem()),
            indent(&self.key.serialize_pem())
        )
    }
}

/// A connection with a certificate or without. TLS 1.3 tells a client that its
/// certificate is refused only when it reads: so it reads the answer to a request.
pub(crate) async fn get(
    address: SocketAddr,
    host: &str,
    identity: Option<&Identity>,
) -> io::Result<crate::support::client::Answer> {
    let mut config = tls_config(&["http/1.1"]);
    if let Some(identity) = identity {
        let provider = aws_lc_rs::default_provider();
        let certified = CertifiedKey::from_der(identity.chain(), identity.key(), &provider).unwrap();
        config.client_auth_cert_resolver = Arc::new(SingleCertAndKey::from(certified));
    }
    let tcp = TcpStream::connect(address).await?;
    let name = ServerName::try_from(host.to_owned()).unwrap();
    let mut stream = TlsConnector::from(Arc::new(config)).connect(name, tcp).await?;
    let request = format!("GET / HTTP/1.1\r\nHost: {host}\r\n\r\n");
    stream.write_all(request.as_bytes()).await?;
    stream.flush().await?;
    let mut first = [0];
    stream.read_exact(&mut first).await?;
    let first = io::Cursor::new(first);
    let (read, write) = tokio::io::split(stream);
    Ok(Client::over(tokio::io::join(first.chain(read), write))
        .answer()
        .await)
}

/// A Service with one endpoint on this machine.
pub(crate) fn service(name: &str, port: u16) -> String {
    format!(
        "---\napiVersion: v1\nkind: Service\nmetadata: {{name: {name}}}\n\
         spec: {{ports: [{{name: main, port: 443}}]}}\n---\n\
         apiVersion: discovery.k8s.io/v1\nkind: EndpointSlice\n\
         metadata: {{name: {name}-1, labels: {{kubernetes.io/service-name: {name}}}}}\n\
         addressType: IPv4\nports: [{{name: main, port: {port}}}]\n\
         endpoints: [{{addresses: [127.0.0.1], conditions: {{ready: true}}}}]\n"
    )
}

fn indent(pem: &str) -> String {
    pem.trim_end().replace('\n', "\n    ")
}
