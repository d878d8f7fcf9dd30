//! Sending a request whose answer may come before its end.

use std::io::ErrorKind::WouldBlock;
use std::time::Duration;

use bytes::BytesMut;
use pingora_timeout::timeout;
use tokio::io::Interest;
use tokio::net::TcpStream;

use super::exchange::FIRST_READ;
use crate::observe::metrics::UpstreamError;
use crate::proxy::failure::Failure;

/// A request on its way to an upstream.
pub(super) struct Sending<'a> {
    rest: &'a [u8],
    /// The upstream does not read any more.
    broken: bool,
}

impl<'a> Sending<'a> {
    pub(super) fn of(request: &'a [u8]) -> Self {
        Self {
            rest: request,
            broken: false,
        }
    }

    /// Whether the upstream has got all of it: else its connection is no good for
    /// another request.
    pub(super) fn is_whole(&self) -> bool {
        self.rest.is_empty() && !self.broken
    }

    /// Sends what is left. `true`: the upstream has said something before it had
    /// everything, which is in `answer`; should that be no final head, call again.
    /// `patience` is for a single write (nginx `proxy_send_timeout`).
    ///
    /// # Errors
    /// The upstream takes nothing, or has closed without a word.
    pub(super) async fn go_on(
        &mut self,
        upstream: &TcpStream,
        answer: &mut BytesMut,
        patience: Duration,
    ) -> Result<bool, Failure> {
        const CLOSED: Failure = Failure::Upstream(UpstreamError::Closed);
        while !self.rest.is_empty() {
            match upstream.try_write(self.rest) {
                Ok(sent) => {
                    self.rest = &self.rest[sent..];
                    continue;
                }
                Err(error) if error.kind() == WouldBlock => {}
                Err(_) => {
                    // The answer may have come before it stopped reading.
                    self.rest = &[];
                    self.broken = true;
                    return Ok(false);
                }
            }
            let ready = upstream.ready(Interest::READABLE | Interest::WRITABLE);
            let ready = match timeout(patience, ready).await {
                Ok(ready) => ready.map_err(|_| CLOSED)?,
                Err(_) => return Err(Failure::Upstream(UpstreamError::WriteTimeout)),
            };
            if ready.is_readable() {
                answer.reserve(FIRST_READ);
                match upstream.try_read_buf(answer) {
                    Ok(0) => return Err(CLOSED),
                    Ok(_) => return Ok(true),
                    // Readiness may be of an earlier answer.
                    Err(error) if error.kind() == WouldBlock => {}
                    Err(_) => return Err(CLOSED),
                }
            }
        }
        Ok(false)
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::{TcpListener, TcpSocket};

    use super::*;

    /// Much more than the sockets hold.
    const LENGTH: usize = 4 * 1024 * 1024;
    const PATIENCE: Duration = Duration::from_secs(10);

    /// Both ends of a connection that holds little.
    async fn pair() -> (TcpStream, TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let socket = TcpSocket::new_v4().unwrap();
        socket.set_send_buffer_size(4096).unwrap();
        let ours = socket.connect(listener.local_addr().unwrap()).await.unwrap();
        (ours, listener.accept().await.unwrap().0)
    }

    #[tokio::test]
    async fn an_early_answer_ends_the_sending() {
        let (ours, mut theirs) = pair().await;
        theirs.write_all(b"HTTP/1.1 413 No\r\n\r\n").await.unwrap();
        let request = vec![b'x'; LENGTH];
        let (mut sending, mut answer) = (Sending::of(&request), BytesMut::new());
        assert!(sending.go_on(&ours, &mut answer, PATIENCE).await.unwrap());
        assert_eq!(&answer[..], b"HTTP/1.1 413 No\r\n\r\n");
        assert!(!sending.is_whole());
    }

    #[tokio::test]
    async fn it_goes_on_after_other_words() {
        let (ours, mut theirs) = pair().await;
        theirs.write_all(b"HTTP/1.1 103 Hints\r\n\r\n").await.unwrap();
        let request = vec![b'x'; LENGTH];
        let (mut sending, mut answer) = (Sending::of(&request), BytesMut::new());
        assert!(sending.go_on(&ours, &mut answer, PATIENCE).await.unwrap());
        let reading = tokio::spawn(async move {
            let mut read = vec![0; LENGTH];
            theirs.read_exact(&mut read).await.unwrap();
            theirs
        });
        assert!(!sending.go_on(&ours, &mut answer, PATIENCE).await.unwrap());
        assert!(sending.is_whole());
        reading.await.unwrap();
    }

    #[tokio::test]
    async fn silence_and_a_closed_connection_are_told_apart() {
        let (ours, theirs) = pair().await;
        let request = vec![b'x'; LENGTH];
        let mut sending = Sending::of(&request);
        let mut answer = BytesMut::new();
        let silent = sending.go_on(&ours, &mut answer, Duration::from_millis(50)).await;
        assert_eq!(silent, Err(Failure::Upstream(UpstreamError::WriteTimeout)));
        drop(theirs);
        let closed = sending.go_on(&ours, &mut answer, PATIENCE).await;
        assert!(closed != Ok(true) && !sending.is_whole(), "{closed:?}");
    }
}
