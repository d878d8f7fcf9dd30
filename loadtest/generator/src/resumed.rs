//! A client with a new TLS 1.3 connection for each request. It keeps the tickets
//! that it gets, and only its first handshake is a full one; or it forgets them.

use std::net::SocketAddr;
use std::sync::Arc;

use anyhow::Result;
use rustls::HandshakeKind;
use rustls::client::Resumption;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use crate::head;
use crate::load::{self, Failure};
use crate::report::Handshakes;
use crate::tls;

/// A client with tickets of its own.
pub(crate) struct Client {
    address: SocketAddr,
    name: ServerName<'static>,
    connector: TlsConnector,
    request: Vec<u8>,
    buffer: Vec<u8>,
    pub(crate) handshakes: Handshakes,
}

impl Client {
    /// Without any ticket yet; keeps those to come, or none.
    ///
    /// # Errors
    /// The host is not a name that TLS can ask for.
    pub(crate) fn new(address: SocketAddr, host: &str, path: &str, keeps_tickets: bool) -> Result<Self> {
        let mut config = tls::config(&[]);
        config.resumption = match keeps_tickets {
            true => Resumption::in_memory_sessions(1),
            false => Resumption::disabled(),
        };
        Ok(Self {
            address,
            name: tls::name(host)?,
            connector: TlsConnector::from(Arc::new(config)),
            request: format!("GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n").into_bytes(),
            buffer: Vec::with_capacity(16 * 1024),
            handshakes: Handshakes::default(),
        })
    }
}

impl load::Client for Client {
    async fn exchange(&mut self) -> Result<(), Failure> {
        let tcp = TcpStream::connect(self.address).await?;
        tcp.set_nodelay(true)?;
        let mut stream = self.connector.connect(self.name.clone(), tcp).await?;
        self.handshakes.clients = 1;
        self.handshakes.all += 1;
        let kind = stream.get_ref().1.handshake_kind();
        self.handshakes.resumed += u64::from(kind == Some(HandshakeKind::Resumed));

        stream.write_all(&self.request).await?;
        self.buffer.clear();
        let end = head::read(&mut stream, &mut self.buffer).await?;
        let end = end.ok_or_else(|| Failure::Answer("closed instead of answered".to_owned()))?;
        let head = &self.buffer[..end];
        let length = head::good_length(head)?;
        while self.buffer.len() < end + length {
            if stream.read_buf(&mut self.buffer).await? == 0 {
                return Err(Failure::Answer("half an answer".to_owned()));
            }
        }
        // The gateway may have closed already.
        let _ = stream.shutdown().await;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use load::Client as _;
    use rustls::ServerConfig;
    use rustls::crypto::aws_lc_rs;
    use rustls::pki_types::PrivateKeyDer;
    use tokio::net::TcpListener;
    use tokio_rustls::TlsAcceptor;

    /// Answers one request on each connection.
    async fn server(answer: &'static [u8], tickets: usize) -> SocketAddr {
        let certified = rcgen::generate_simple_self_signed(["a.example".to_owned()]).unwrap();
        let key = PrivateKeyDer::try_from(certified.signing_key.serialize_der()).unwrap();
        let mut config = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![certified.cert.der().clone()], key)
            .unwrap();
        config.send_tls13_tickets = tickets;
        config.ticketer = aws_lc_rs::Ticketer::new().unwrap();
        let acceptor = TlsAcceptor::from(Arc::new(config));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move {
            while let Ok((tcp, _)) = listener.accept().await {
                let mut stream = acceptor.accept(tcp).await.unwrap();
                head::read(&mut stream, &mut Vec::new()).await.unwrap();
                stream.write_all(answer).await.unwrap();
                let _ = stream.shutdown().await;
            }
        });
        address
    }

    async fn handshakes(tickets: usize, keeps_tickets: bool) -> (u64, u64) {
        let answer = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
        let address = server(answer, tickets).await;
        let mut client = Client::new(address, "a.example", "/", keeps_tickets).unwrap();
        for _ in 0..5 {
            client.exchange().await.unwrap();
        }
        (client.handshakes.all, client.handshakes.resumed)
    }

    #[tokio::test]
    async fn all_but_the_first_are_resumed_where_there_are_tickets() {
        assert_eq!(handshakes(1, true).await, (5, 4));
        assert_eq!(handshakes(0, true).await, (5, 0));
        assert_eq!(handshakes(1, false).await, (5, 0));
    }

    #[tokio::test]
    async fn an_error_page_is_a_failure() {
        let answer = b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n";
        let mut client = Client::new(server(answer, 1).await, "a.example", "/", true).unwrap();
        let failure = client.exchange().await.unwrap_err();
        assert!(
            matches!(&failure, Failure::Answer(text) if text.contains("503")),
            "{failure:?}"
        );
    }
}
