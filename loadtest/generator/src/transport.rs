//! Connections with or without TLS.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use anyhow::Result;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use crate::tls;

/// Bytes both ways.
pub(crate) trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

/// Where connections go, and how.
#[derive(Clone)]
pub(crate) struct Endpoint {
    address: SocketAddr,
    tls: Option<(TlsConnector, ServerName<'static>)>,
}

impl Endpoint {
    /// Without TLS.
    pub(crate) fn plain(address: SocketAddr) -> Self {
        Self { address, tls: None }
    }

    /// With TLS 1.3 for this host and protocol.
    ///
    /// # Errors
    /// The host is not a name that TLS can ask for.
    pub(crate) fn tls(address: SocketAddr, host: &str, protocol: &str) -> Result<Self> {
        let connector = TlsConnector::from(Arc::new(tls::config(&[protocol])));
        Ok(Self {
            address,
            tls: Some((connector, tls::name(host)?)),
        })
    }

    pub(crate) async fn connect(&self) -> io::Result<Box<dyn Stream>> {
        let stream = TcpStream::connect(self.address).await?;
        stream.set_nodelay(true)?;
        Ok(match &self.tls {
            None => Box::new(stream),
            Some((connector, name)) => Box::new(connector.connect(name.clone(), stream).await?),
        })
    }
}
