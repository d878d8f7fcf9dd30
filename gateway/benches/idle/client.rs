//! A connection that asks when it is told to, with TLS or without.

use std::net::SocketAddr;

use anyhow::{Context, Result, ensure};
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

trait Stream: AsyncRead + AsyncWrite + Unpin {}

impl<T: AsyncRead + AsyncWrite + Unpin> Stream for T {}

/// Nothing but its connection: there are thousands.
pub struct Client {
    stream: Box<dyn Stream>,
    host: &'static str,
}

impl Client {
    /// Connects, over TLS with a connector.
    pub async fn connect(
        address: SocketAddr,
        host: &'static str,
        tls: Option<&TlsConnector>,
    ) -> Result<Self> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        let stream: Box<dyn Stream> = match tls {
            None => Box::new(stream),
            Some(tls) => Box::new(tls.connect(ServerName::try_from(host)?, stream).await?),
        };
        Ok(Self { stream, host })
    }

    /// One GET, whose answer must be 200 with a body of known length.
    pub async fn ask(&mut self) -> Result<()> {
        let request = format!("GET / HTTP/1.1\r\nhost: {}\r\n\r\n", self.host);
        self.stream.write_all(request.as_bytes()).await?;
        let mut answer = Vec::with_capacity(4096);
        let head = loop {
            ensure!(
                self.stream.read_buf(&mut answer).await? > 0,
                "closed instead of answered"
            );
            let end = answer.windows(4).position(|bytes| bytes == b"\r\n\r\n");
            if let Some(end) = end {
                break end + 4;
            }
        };
        let text = std::str::from_utf8(&answer[..head])?.to_ascii_lowercase();
        ensure!(text.starts_with("http/1.1 200"), "{text}");
        let length = text.lines().find_map(|line| line.strip_prefix("content-length:"));
        let length: usize = length.context("no content-length")?.trim().parse()?;
        while answer.len() < head + length {
            ensure!(self.stream.read_buf(&mut answer).await? > 0, "half an answer");
        }
        Ok(())
    }
}
