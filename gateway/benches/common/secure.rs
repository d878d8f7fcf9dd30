//! TLS for benchmarks: a Secret with a new certificate, and a client.

#![allow(dead_code, unreachable_pub, reason = "each benchmark uses its own part")]

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use anyhow::Result;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use secret::certificate_secret;
use trust_all::client_config;

#[path = "../../tests/support/secret.rs"]
mod secret;
#[path = "../../tests/support/trust_all.rs"]
mod trust_all;

/// An Ingress with TLS for `host` to Service `svc-0`.
pub fn ingress(host: &str) -> String {
    format!(
        "---\napiVersion: networking.k8s.io/v1\nkind: Ingress\nmetadata: {{name: secure}}\nspec:\n  \
         ingressClassName: nginx\n  tls: [{{hosts: [{host}], secretName: secure}}]\n  rules:\n  - host: {host}\n    \
         http: {{paths: [{{path: /, pathType: Prefix, backend: {{service: {{name: svc-0, port: {{number: 80}}}}}}}}]}}\n"
    )
}

/// Its Secret, with a certificate made now.
pub fn secret(host: &str) -> Result<String> {
    Ok(certificate_secret("secure", &[host])?)
}

/// A certificate made now and its key, in PEM.
pub fn pair(host: &str) -> Result<(String, String)> {
    let pair = rcgen::generate_simple_self_signed([host.to_owned()])?;
    Ok((pair.cert.pem(), pair.signing_key.serialize_pem()))
}

/// What makes TLS connections that take any certificate.
pub fn connector() -> tokio_rustls::TlsConnector {
    Arc::new(client_config(rustls::DEFAULT_VERSIONS, &[])).into()
}

/// The status of one GET on a TLS connection of its own.
pub async fn request(address: SocketAddr, host: &str) -> io::Result<u16> {
    let stream = tokio::net::TcpStream::connect(address).await?;
    let name = ServerName::try_from(host.to_owned()).map_err(io::Error::other)?;
    let mut stream = connector().connect(name, stream).await?;
    let request = format!("GET / HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await?;
    let text = String::from_utf8_lossy(&answer);
    text.get(9..12)
        .and_then(|code| code.parse().ok())
        .ok_or_else(|| io::ErrorKind::InvalidData.into())
}
