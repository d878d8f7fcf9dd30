//! The client's side over HTTP/2: one stream of a connection.

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::header::{CONTENT_LENGTH, CONTENT_TYPE};
use http::{HeaderMap, HeaderValue, Method, Response, StatusCode, Version};
use pingora_core::protocols::http::v2::server::HttpSession;
use pingora_timeout::timeout;
use tokio::net::TcpStream;

use super::downstream::{Downstream, Sent, taken};
use super::fields::{AnswerFields, Edited};
use super::response::{Framing, Head};
use crate::observe::metrics::UpstreamError;
use crate::proxy::failure::Failure;
use crate::proxy::{logging, page};

/// A stream with its request. Pingora's type, because that is how a request can
/// still be handed over after its head was looked at: none can be made of a bare
/// stream.
pub(super) struct Http2<'a>(pub(super) &'a mut HttpSession);

impl Http2<'_> {
    /// Sends a head; returns its length as HTTP/1 would have it.
    fn head(&mut self, status: StatusCode, fields: HeaderMap, end: bool) -> Result<usize, Failure> {
        let mut head = Response::new(()).into_parts().0;
        head.status = status;
        head.headers = fields;
        self.0
            .write_response_header(Box::new(head.into()), end)
            .map_err(|_| Failure::ClientClosed)?;
        Ok(self.0.response_written().map_or(0, logging::head_length))
    }

    /// Sends as fast as the client takes it.
    async fn data(&mut self, data: Bytes, end: bool) -> Result<(), Failure> {
        taken(self.0.write_body(data, end)).await
    }
}

impl Downstream for Http2<'_> {
    const VERSION: Version = Version::HTTP_2;

    async fn read_body(
        &mut self,
        mut rest: usize,
        patience: Duration,
        out: &mut Vec<u8>,
    ) -> Result<(), Failure> {
        // Until the end of the stream, which comes after a body of this length
        // or not at all: h2 sees to that.
        loop {
            match timeout(patience, self.0.read_body_bytes()).await {
                Ok(Ok(Some(data))) => {
                    rest = rest.checked_sub(data.len()).ok_or(Failure::BadRequest)?;
                    out.extend_from_slice(&data);
                }
                Ok(Ok(None)) if rest == 0 => return Ok(()),
                Ok(Ok(None)) => return Err(Failure::BadRequest),
                Ok(Err(_)) => return Err(Failure::ClientClosed),
                Err(_) => return Err(Failure::ClientTimeout),
            }
        }
    }

    async fn gone(&mut self) {
        // A reset, or the end of the connection.
        let _ = self.0.idle().await;
    }

    async fn own(
        &mut self,
        status: StatusCode,
        method: &Method,
        fields: AnswerFields<'_>,
        _close: bool,
    ) -> Result<Sent, Failure> {
        let page = page::of(status).1;
        let mut map = HeaderMap::new();
        map.insert(CONTENT_TYPE, HeaderValue::from_static("text/html"));
        map.insert(CONTENT_LENGTH, page.len().into());
        for (name, value) in fields.added() {
            map.append(name.clone(), value.clone());
        }
        let bodiless = *method == Method::HEAD || page.is_empty();
        let head = self.head(status, map, bodiless)?;
        let body = if bodiless { 0 } else { page.len() as u64 };
        if !bodiless {
            self.data(page, true).await?;
        }
        Ok(Sent { head, body })
    }

    fn begin(
        &mut self,
        head: &Head,
        fields: Edited,
        answer: &mut BytesMut,
        _close: bool,
    ) -> Result<usize, Failure> {
        let read = answer.split_to(head.length).freeze();
        self.head(head.status, fields.into_map(&read), head.framing.is_done())
    }

    async fn pass(&mut self, framing: &mut Framing, answer: &mut BytesMut) -> Result<u64, Failure> {
        const PROTOCOL: Failure = Failure::Upstream(UpstreamError::Protocol);
        if let Framing::Chunked(_) = framing {
            let mut data = BytesMut::new();
            let mine = framing.take(answer, |piece| data.extend_from_slice(piece));
            let _ = answer.split_to(mine.map_err(|_| PROTOCOL)?);
            let length = data.len() as u64;
            if length > 0 || framing.is_done() {
                self.data(data.freeze(), framing.is_done()).await?;
            }
            return Ok(length);
        }
        let mine = framing.take(answer, |_| {}).map_err(|_| PROTOCOL)?;
        if mine > 0 {
            self.data(answer.split_to(mine).freeze(), framing.is_done())
                .await?;
        }
        Ok(mine as u64)
    }

    /// Streams share it, in frames.
    fn plain(&self) -> Option<&TcpStream> {
        None
    }

    /// HTTP/2 has no upgrades (RFC 9113 §8.6): no request of it wants one.
    async fn tunnel(&mut self, _: TcpStream, _: &[u8], _: Duration) -> u64 {
        0
    }

    async fn end(&mut self) -> Result<(), Failure> {
        self.data(Bytes::new(), true).await
    }

    fn abort(&mut self) {
        // A reset overtakes what is queued. Where an answer has begun, dropping
        // the stream without its end resets it after that.
        if self.0.response_written().is_none() {
            self.0.shutdown();
        }
    }
}
