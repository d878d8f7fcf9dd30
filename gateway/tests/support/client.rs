//! A raw HTTP/1.1 client over TCP or TLS: sends exactly the bytes that it is
//! given and shows exactly the bytes that come back.

use std::future::Future;
use std::net::SocketAddr;
use std::sync::Arc;

use rustls::ClientConfig;
use rustls::pki_types::{CertificateDer, ServerName};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use super::PATIENCE;
use super::trust_all::client_config;

/// A byte stream of any kind.
pub trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}
impl<S: AsyncRead + AsyncWrite + Send + Unpin> Stream for S {}

/// One connection; requests on it reuse it.
pub struct Client {
    stream: Box<dyn Stream>,
    buffer: Vec<u8>,
    /// The server's leaf certificate, over TLS.
    pub certificate: Option<CertificateDer<'static>>,
    /// What ALPN chose, over TLS.
    pub alpn: Option<Vec<u8>>,
}

/// An answer.
#[derive(Clone, Debug)]
pub struct Answer {
    /// Status line and fields exactly as received, with the empty line.
    pub head: String,
    /// The status.
    pub status: u16,
    /// The fields as received.
    pub headers: Vec<(String, String)>,
    /// The body, without chunk framing.
    pub body: Vec<u8>,
}

impl Answer {
    /// The first field of this name.
    pub fn header(&self, name: &str) -> Option<&str> {
        let found = self
            .headers
            .iter()
            .find(|(field, _)| field.eq_ignore_ascii_case(name));
        found.map(|(_, value)| value.as_str())
    }

    /// The body as text.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The body of an [`super::upstream::Echo`].
    ///
    /// # Panics
    /// When it is not JSON.
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|_| panic!("not JSON: {self:?}"))
    }
}

/// The answer to one GET on a connection of its own.
pub async fn get(address: SocketAddr, host: &str, path: &str) -> Answer {
    Client::connect(address).await.get(host, path).await
}

async fn patiently<T>(what: &str, future: impl Future<Output = T>) -> T {
    let result = tokio::time::timeout(PATIENCE, future).await;
    result.unwrap_or_else(|_| panic!("nothing happened for {PATIENCE:?}: {what}"))
}

impl Client {
    /// Connects without TLS.
    ///
    /// # Panics
    /// When that fails, as every function here.
    pub async fn connect(address: SocketAddr) -> Self {
        let stream = patiently("connect", TcpStream::connect(address)).await.unwrap();
        stream.set_nodelay(true).unwrap();
        Self::over(stream)
    }

    /// Speaks over a stream that exists.
    pub fn over(stream: impl Stream + 'static) -> Self {
        Self {
            stream: Box::new(stream),
            buffer: Vec::new(),
            certificate: None,
            alpn: None,
        }
    }

    /// Connects with TLS, asks for `server_name` (empty: asks for none),
    /// offers `alpn` and accepts any certificate.
    pub async fn tls(address: SocketAddr, server_name: &str, alpn: &[&str]) -> Self {
        Self::try_tls(address, server_name, alpn).await.unwrap()
    }

    /// [`Client::tls`], for handshakes that should fail.
    ///
    /// # Errors
    /// The handshake's.
    pub async fn try_tls(address: SocketAddr, server_name: &str, alpn: &[&str]) -> std::io::Result<Self> {
        let stream = patiently("connect", TcpStream::connect(address)).await?;
        stream.set_nodelay(true)?;
        Self::tls_over(stream, server_name, alpn).await
    }

    /// [`Client::try_tls`] over a stream that exists.
    ///
    /// # Errors
    /// The handshake's.
    pub async fn tls_over(
        stream: impl Stream + 'static,
        server_name: &str,
        alpn: &[&str],
    ) -> std::io::Result<Self> {
        // A name that is an address is not sent as SNI.
        let name = if server_name.is_empty() {
            "127.0.0.1"
        } else {
            server_name
        };
        let name = ServerName::try_from(name.to_owned()).unwrap();
        let connector = TlsConnector::from(Arc::new(tls_config(alpn)));
        let stream = patiently("TLS handshake", connector.connect(name, stream)).await?;
        let (_, session) = stream.get_ref();
        let certificate = session
            .peer_certificates()
            .and_then(|chain| chain.first())
            .cloned();
        let alpn = session.alpn_protocol().map(<[u8]>::to_vec);
        Ok(Self {
            certificate: certificate.map(CertificateDer::into_owned),
            alpn,
            ..Self::over(stream)
        })
    }

    /// Takes the stream, for a client of another protocol.
    pub fn into_stream(self) -> Box<dyn Stream> {
        self.stream
    }

    /// Sends bytes as they are.
    pub async fn send(&mut self, bytes: impl AsRef<[u8]>) {
        patiently("send", async {
            self.stream.write_all(bytes.as_ref()).await.unwrap();
            self.stream.flush().await.unwrap();
        })
        .await;
    }

    /// GET with only a `Host` field.
    pub async fn get(&mut self, host: &str, path: &str) -> Answer {
        self.send(format!("GET {path} HTTP/1.1\r\nHost: {host}\r\n\r\n"))
            .await;
        self.answer().await
    }

    /// Sends a whole request, reads its answer.
    pub async fn request(&mut self, bytes: impl AsRef<[u8]>) -> Answer {
        let head = bytes.as_ref().starts_with(b"HEAD ");
        self.send(bytes).await;
        self.read(head).await
    }

    /// Reads an answer (not to HEAD); 1xx ones but 101 are passed over.
    pub async fn answer(&mut self) -> Answer {
        self.read(false).await
    }

    async fn read(&mut self, to_head: bool) -> Answer {
        patiently("answer", async {
            loop {
                let answer = self.one(to_head).await;
                if answer.status >= 200 || answer.status == 101 {
                    return answer;
                }
            }
        })
        .await
    }

    /// Everything up to the end of the connection, as it comes.
    pub async fn rest(&mut self) -> Vec<u8> {
        patiently("end of connection", async {
            // A reset is an end too.
            while self.fill().await {}
        })
        .await;
        std::mem::take(&mut self.buffer)
    }

    /// Exactly this many bytes.
    pub async fn take(&mut self, length: usize) -> Vec<u8> {
        patiently("bytes", async {
            while self.buffer.len() < length {
                assert!(self.fill().await, "closed after {} bytes", self.buffer.len());
            }
        })
        .await;
        self.buffer.drain(..length).collect()
    }

    async fn fill(&mut self) -> bool {
        self.stream
            .read_buf(&mut self.buffer)
            .await
            .is_ok_and(|count| count > 0)
    }

    async fn until(&mut self, end: &[u8]) -> Vec<u8> {
        loop {
            if let Some(at) = self.buffer.windows(end.len()).position(|window| window == end) {
                return self.buffer.drain(..at + end.len()).collect();
            }
            let open = self.fill().await;
            assert!(
                open,
                "closed in the middle: {:?}",
                String::from_utf8_lossy(&self.buffer)
            );
        }
    }

    async fn one(&mut self, to_head: bool) -> Answer {
        let head = String::from_utf8_lossy(&self.until(b"\r\n\r\n").await).into_owned();
        let status = head.split(' ').nth(1).and_then(|status| status.parse().ok());
        let headers = head.trim_end().split("\r\n").skip(1);
        let headers = headers.filter_map(|line| line.split_once(':'));
        let mut answer = Answer {
            status: status.unwrap_or_else(|| panic!("no status: {head:?}")),
            headers: headers
                .map(|(name, value)| (name.to_owned(), value.trim().to_owned()))
                .collect(),
            head,
            body: Vec::new(),
        };
        if to_head || answer.status < 200 || matches!(answer.status, 204 | 304) {
            return answer;
        }
        answer.body = if answer.header("transfer-encoding").is_some() {
            self.chunks().await
        } else if let Some(length) = answer.header("content-length") {
            self.take(length.parse().unwrap()).await
        } else {
            self.rest().await
        };
        answer
    }

    async fn chunks(&mut self) -> Vec<u8> {
        let mut body = Vec::new();
        loop {
            let line = String::from_utf8(self.until(b"\r\n").await).unwrap();
            let size = usize::from_str_radix(line.trim().split(';').next().unwrap(), 16).unwrap();
            body.extend(self.take(size).await);
            self.until(b"\r\n").await;
            if size == 0 {
                return body;
            }
        }
    }
}

/// A client configuration that takes any certificate.
pub fn tls_config(alpn: &[&str]) -> ClientConfig {
    client_config(rustls::DEFAULT_VERSIONS, alpn)
}
