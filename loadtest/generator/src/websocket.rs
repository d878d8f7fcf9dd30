//! A client that sends a message and waits for its echo.

use std::net::SocketAddr;

use anyhow::{Context, Result, ensure};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::load::{self, Failure};
use crate::{frame, head};

/// RFC 6455, section 1.3: a key, and what a server makes of it. Who attacks caches
/// must not foresee keys; a load test attacks nobody.
const KEY: &str = "dGhlIHNhbXBsZSBub25jZQ==";
const ACCEPT: &str = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=";

/// An open WebSocket.
pub(crate) struct Client {
    stream: TcpStream,
    message: Vec<u8>,
    echo: Vec<u8>,
    buffer: Vec<u8>,
}

impl Client {
    /// Opens a WebSocket for messages of `size` bytes.
    ///
    /// # Errors
    /// Nobody listens, or the answer is not an upgrade.
    pub(crate) async fn connect(address: SocketAddr, host: &str, path: &str, size: usize) -> Result<Self> {
        let connected = TcpStream::connect(address).await;
        let mut stream = connected.with_context(|| format!("cannot connect to {address}"))?;
        stream.set_nodelay(true)?;
        let request = format!(
            "GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
             Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {KEY}\r\n\r\n"
        );
        stream.write_all(request.as_bytes()).await?;
        let mut buffer = Vec::with_capacity(4096);
        let end = head::read(&mut stream, &mut buffer).await?;
        let head = &buffer[..end.context("closed instead of answered")?];
        let status = head::status(head);
        ensure!(status == Some(101), "{address} answered {status:?}, not 101");
        let accept = head::field(head, "sec-websocket-accept");
        ensure!(accept == Some(ACCEPT), "a wrong Sec-WebSocket-Accept: {accept:?}");

        let text: Vec<u8> = (b' '..=b'~').cycle().take(size).collect();
        let (mut message, mut echo) = (Vec::new(), Vec::new());
        frame::write_masked(&mut message, frame::TEXT, &text);
        frame::write(&mut echo, frame::TEXT, &text);
        buffer.resize(echo.len(), 0);
        Ok(Self {
            stream,
            message,
            echo,
            buffer,
        })
    }
}

impl load::Client for Client {
    async fn exchange(&mut self) -> Result<(), Failure> {
        self.stream.write_all(&self.message).await?;
        self.stream.read_exact(&mut self.buffer).await?;
        match self.buffer == self.echo {
            true => Ok(()),
            false => Err(Failure::Answer("not the message that was sent".to_owned())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::echo;
    use load::Client as _;

    async fn server() -> SocketAddr {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(echo::serve(listener));
        address
    }

    #[tokio::test]
    async fn messages_of_every_size_are_echoed() {
        let address = server().await;
        for size in [0, 1, 125, 126, 1024, 65_535] {
            let mut client = Client::connect(address, "a.example", "/", size).await.unwrap();
            for _ in 0..3 {
                client.exchange().await.unwrap();
            }
        }
    }

    #[tokio::test]
    async fn another_answer_is_a_failure() {
        let mut client = Client::connect(server().await, "a.example", "/", 10)
            .await
            .unwrap();
        client.message[8] ^= 1;
        let failure = client.exchange().await.unwrap_err();
        assert!(matches!(failure, Failure::Answer(_)), "{failure:?}");
    }

    #[tokio::test]
    async fn no_upgrade_is_an_error() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut request = Vec::new();
            head::read(&mut stream, &mut request).await.unwrap();
            stream.write_all(b"HTTP/1.1 404 Not Found\r\n\r\n").await.unwrap();
        });
        let error = Client::connect(address, "a.example", "/", 10)
            .await
            .err()
            .unwrap();
        assert!(error.to_string().contains("404"), "{error}");
    }
}
