//! A client that keeps its HTTP/1.1 connection.

use std::io;
use std::sync::Arc;

use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::head;
use crate::load::{self, Failure};
use crate::transport::{Endpoint, Stream};

/// What of a body is read at one time.
const PART: usize = 64 * 1024;

/// Requests in turn on one connection at a time.
pub(crate) struct Client {
    endpoint: Endpoint,
    requests: Arc<[Vec<u8>]>,
    at: usize,
    stream: Option<Box<dyn Stream>>,
    buffer: Vec<u8>,
    part: Vec<u8>,
}

/// A whole request; a body makes it a POST.
pub(crate) fn request(host: &str, path: &str, origin: Option<&str>, body: usize) -> Vec<u8> {
    let method = if body > 0 { "POST" } else { "GET" };
    let mut text = format!("{method} {path} HTTP/1.1\r\nHost: {host}\r\n");
    if let Some(origin) = origin {
        text += &format!("Origin: {origin}\r\n");
    }
    if body > 0 {
        text += &format!("Content-Type: application/octet-stream\r\nContent-Length: {body}\r\n");
    }
    text += "\r\n";
    let mut request = text.into_bytes();
    request.resize(request.len() + body, b'a');
    request
}

impl Client {
    /// Begins with the request of this number.
    pub(crate) fn new(endpoint: Endpoint, requests: Arc<[Vec<u8>]>, first: usize) -> Self {
        Self {
            endpoint,
            at: first % requests.len(),
            requests,
            stream: None,
            buffer: Vec::with_capacity(16 * 1024),
            part: vec![0; PART],
        }
    }

    /// One exchange on this connection, and whether it stays; `None`: it was closed
    /// before the first byte of an answer.
    async fn ask(&mut self, stream: &mut Box<dyn Stream>) -> Result<Option<bool>, Failure> {
        self.buffer.clear();
        // Who has closed may have done so before all of it was written.
        let written = stream.write_all(&self.requests[self.at]).await;
        let end = match head::read(stream, &mut self.buffer).await {
            Ok(Some(end)) => end,
            Ok(None) => return Ok(None),
            Err(error) if is_closed(&error) && self.buffer.is_empty() => return Ok(None),
            Err(error) => return Err(error.into()),
        };
        written?;
        let head = &self.buffer[..end];
        let length = head::good_length(head)?;
        let stays = head::field(head, "connection").is_none_or(|value| !value.eq_ignore_ascii_case("close"));
        let mut left = (end + length).saturating_sub(self.buffer.len());
        while left > 0 {
            let most = left.min(PART);
            match stream.read(&mut self.part[..most]).await? {
                0 => return Err(Failure::Answer("half an answer".to_owned())),
                count => left -= count,
            }
        }
        Ok(Some(stays))
    }
}

fn is_closed(error: &io::Error) -> bool {
    use io::ErrorKind::{BrokenPipe, ConnectionReset, UnexpectedEof};
    matches!(error.kind(), BrokenPipe | ConnectionReset | UnexpectedEof)
}

impl load::Client for Client {
    async fn exchange(&mut self) -> Result<(), Failure> {
        // A kept connection may end between two requests, which no client takes for a failure.
        let kept = self.stream.take();
        let mut answered = None;
        if let Some(mut stream) = kept {
            answered = self.ask(&mut stream).await?.map(|stays| (stream, stays));
        }
        if answered.is_none() {
            let mut stream = self.endpoint.connect().await?;
            answered = self.ask(&mut stream).await?.map(|stays| (stream, stays));
        }
        let closed = || Failure::Answer("closed instead of answered".to_owned());
        let (stream, stays) = answered.ok_or_else(closed)?;
        self.stream = stays.then_some(stream);
        self.at = (self.at + 1) % self.requests.len();
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use load::Client as _;
    use tokio::net::TcpListener;

    /// Answers on each connection in turn what is written there, then closes it.
    async fn server(connections: &'static [&'static [&'static str]]) -> Endpoint {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move {
            for answers in connections {
                let (mut stream, _) = listener.accept().await.unwrap();
                for answer in *answers {
                    head::read(&mut stream, &mut Vec::new()).await.unwrap();
                    stream.write_all(answer.as_bytes()).await.unwrap();
                }
            }
        });
        Endpoint::plain(address)
    }

    fn client(endpoint: Endpoint) -> Client {
        Client::new(endpoint, [request("a.example", "/", None, 0)].into(), 0)
    }

    const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
    const LAST: &str = "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok";

    #[tokio::test]
    async fn connections_are_kept_and_opened_again_when_they_end() {
        let mut client = client(server(&[&[OK, OK], &[OK, LAST], &[OK]]).await);
        for _ in 0..5 {
            client.exchange().await.unwrap();
        }
    }

    #[tokio::test]
    async fn error_pages_and_no_answer_are_failures() {
        let mut refused = client(server(&[&["HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\n\r\n"]]).await);
        assert!(matches!(refused.exchange().await, Err(Failure::Answer(text)) if text.contains("502")));
        let mut half = client(server(&[&["HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nok"]]).await);
        assert!(matches!(half.exchange().await, Err(Failure::Answer(text)) if text.contains("half")));
        let mut silent = client(server(&[&[]]).await);
        assert!(silent.exchange().await.is_err());
    }

    #[test]
    fn a_request_has_what_was_asked_for() {
        let text = |request: Vec<u8>| String::from_utf8(request).unwrap();
        assert_eq!(
            text(request("a", "/b", Some("https://c"), 0)),
            "GET /b HTTP/1.1\r\nHost: a\r\nOrigin: https://c\r\n\r\n"
        );
        assert!(text(request("a", "/", None, 3)).ends_with("Content-Length: 3\r\n\r\naaa"));
    }
}
