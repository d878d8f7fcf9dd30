//! The client's side over HTTP/1.

use std::io::Write;
use std::time::Duration;

use bytes::{Buf, BufMut, BytesMut};
use http::{Method, StatusCode, Version};
use pingora_timeout::timeout;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::downstream::{Downstream, Sent, taken};
use super::fields::{AnswerFields, Edited};
use super::response::{self, Framing, Head};
use crate::copy::{Copied, Ends, Side, both_ways};
use crate::listener::Stream;
use crate::observe::metrics::UpstreamError;
use crate::proxy::failure::Failure;

/// What a client may send ahead while its request is served.
const READ_AHEAD: usize = 16 * 1024;
/// Room for the head of an answer and a small body.
const FIRST_WRITE: usize = 4096;

/// A connection with a request on it.
pub(super) struct Http1<'a> {
    stream: &'a mut Stream,
    /// What the client sends ahead.
    pub(super) more: BytesMut,
    /// Not sent yet.
    out: Vec<u8>,
    /// The answer is the last.
    close: bool,
}

impl<'a> Http1<'a> {
    pub(super) fn new(stream: &'a mut Stream) -> Self {
        Self {
            stream,
            more: BytesMut::new(),
            out: Vec::new(),
            close: false,
        }
    }

    async fn send(&mut self, bytes: &[u8]) -> Result<(), Failure> {
        self.send_both(bytes, &[], false).await
    }

    /// The stream joins a short `first` with `rest` into one write. `is_end`: the end
    /// of the connection follows, and takes with it what the stream holds.
    async fn send_both(&mut self, first: &[u8], rest: &[u8], is_end: bool) -> Result<(), Failure> {
        taken(async {
            self.stream.write_all(first).await?;
            self.stream.write_all(rest).await?;
            match is_end {
                true => Ok(()),
                false => self.stream.flush().await,
            }
        })
        .await
    }
}

impl Downstream for Http1<'_> {
    const VERSION: Version = Version::HTTP_11;

    async fn read_body(
        &mut self,
        mut rest: usize,
        patience: Duration,
        out: &mut Vec<u8>,
    ) -> Result<(), Failure> {
        while rest > 0 {
            let mut place = (&mut *out).limit(rest);
            match timeout(patience, self.stream.read_buf(&mut place)).await {
                Ok(Ok(0) | Err(_)) => return Err(Failure::ClientClosed),
                Ok(Ok(count)) => rest -= count,
                Err(_) => return Err(Failure::ClientTimeout),
            }
        }
        Ok(())
    }

    async fn gone(&mut self) {
        while self.more.len() < READ_AHEAD {
            self.more.reserve(512);
            match self.stream.read_buf(&mut self.more).await {
                Ok(0) | Err(_) => return,
                Ok(_) => {}
            }
        }
        std::future::pending().await
    }

    async fn own(
        &mut self,
        status: StatusCode,
        method: &Method,
        fields: AnswerFields<'_>,
        close: bool,
    ) -> Result<Sent, Failure> {
        let (out, head) = response::own(status, method, &fields, close);
        self.send(&out).await?;
        Ok(Sent {
            head,
            body: (out.len() - head) as u64,
        })
    }

    fn begin(
        &mut self,
        head: &Head,
        fields: Edited,
        answer: &mut BytesMut,
        close: bool,
    ) -> Result<usize, Failure> {
        self.out = Vec::with_capacity(FIRST_WRITE);
        self.close = close;
        head.write(&fields.of(answer), close, &mut self.out);
        answer.advance(head.length);
        Ok(self.out.len())
    }

    async fn pass(&mut self, framing: &mut Framing, answer: &mut BytesMut) -> Result<u64, Failure> {
        let mine = framing
            .take(answer, |_| {})
            .map_err(|_| Failure::Upstream(UpstreamError::Protocol))?;
        let mut out = std::mem::take(&mut self.out);
        let mut piece = &answer[..mine];
        if matches!(framing, Framing::Close) {
            chunk(piece, &mut out);
            piece = &[];
        } else if out.len() + mine <= FIRST_WRITE {
            out.extend_from_slice(piece);
            piece = &[];
        }
        if !out.is_empty() || !piece.is_empty() {
            self.send_both(&out, piece, self.close && framing.is_done())
                .await?;
            out.clear();
        }
        answer.advance(mine);
        self.out = out;
        Ok(mine as u64)
    }

    fn plain(&self) -> Option<&TcpStream> {
        self.stream.plain().filter(|_| self.out.is_empty())
    }

    async fn tunnel(&mut self, upstream: TcpStream, answer: &[u8], silence: Duration) -> u64 {
        let mut first = std::mem::take(&mut self.out);
        let head = first.len() as u64;
        first.extend_from_slice(answer);
        let upstream = Side {
            stream: upstream,
            first: std::mem::take(&mut self.more).into(),
        };
        let client = Side {
            stream: &mut *self.stream,
            first,
        };
        let mut copied = Copied::default();
        both_ways(client, upstream, Ends::Together, silence, &mut copied).await;
        copied.back.saturating_sub(head)
    }

    async fn end(&mut self) -> Result<(), Failure> {
        self.send(b"0\r\n\r\n").await
    }

    fn abort(&mut self) {}
}

/// Appends one chunk.
fn chunk(bytes: &[u8], out: &mut Vec<u8>) {
    if bytes.is_empty() {
        return;
    }
    // Writing into memory cannot fail.
    let _ = write!(out, "{:x}\r\n", bytes.len());
    out.extend_from_slice(bytes);
    out.extend_from_slice(b"\r\n");
}
