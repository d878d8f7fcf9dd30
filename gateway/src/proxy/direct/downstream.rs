//! The client's side of an exchange, HTTP/1 or HTTP/2.

use std::future::Future;
use std::time::Duration;

use bytes::BytesMut;
use http::{Method, StatusCode, Version};
use pingora_timeout::timeout;
use tokio::net::TcpStream;

use super::fields::{AnswerFields, Edited};
use super::response::{Framing, Head};
use crate::proxy::SEND_TIMEOUT;
use crate::proxy::failure::Failure;

/// A client that waits for an answer.
pub(super) trait Downstream: Send {
    /// What it speaks.
    const VERSION: Version;

    /// Reads the next `rest` bytes of the request's body to the end of `out`.
    ///
    /// # Errors
    /// The client left, or was silent for as long as `patience`.
    fn read_body(
        &mut self,
        rest: usize,
        patience: Duration,
        out: &mut Vec<u8>,
    ) -> impl Future<Output = Result<(), Failure>> + Send;

    /// Resolves when the client has left (nginx logs 499).
    fn gone(&mut self) -> impl Future<Output = ()> + Send;

    /// Sends an answer of our own, the usual page of its status.
    ///
    /// # Errors
    /// The client left.
    fn own(
        &mut self,
        status: StatusCode,
        method: &Method,
        fields: AnswerFields<'_>,
        close: bool,
    ) -> impl Future<Output = Result<Sent, Failure>> + Send;

    /// Begins an answer. Its head is taken off `answer`. Returns the length of
    /// the head that the client gets.
    ///
    /// # Errors
    /// The client left.
    fn begin(
        &mut self,
        head: &Head,
        fields: Edited,
        answer: &mut BytesMut,
        close: bool,
    ) -> Result<usize, Failure>;

    /// Sends what `answer` holds of the body, and takes it off there. Returns its
    /// length.
    ///
    /// # Errors
    /// The client left, or the upstream broke its framing.
    fn pass(
        &mut self,
        framing: &mut Framing,
        answer: &mut BytesMut,
    ) -> impl Future<Output = Result<u64, Failure>> + Send;

    /// The client's connection, if what is written to it goes out as it is and all
    /// before has left.
    fn plain(&self) -> Option<&TcpStream>;

    /// Copies between the client and `upstream` until one of them ends, or both have
    /// been silent for so long. The head that has begun goes first, then `answer`.
    /// Returns how much the client got after its head.
    fn tunnel(
        &mut self,
        upstream: TcpStream,
        answer: &[u8],
        silence: Duration,
    ) -> impl Future<Output = u64> + Send;

    /// Ends a body whose end is that of the upstream's connection.
    ///
    /// # Errors
    /// The client left.
    fn end(&mut self) -> impl Future<Output = Result<(), Failure>> + Send;

    /// There is no answer, or it ends in the middle.
    fn abort(&mut self);
}

/// Waits for a client to take what it is sent.
///
/// # Errors
/// It left, or takes nothing.
pub(super) async fn taken<E>(work: impl Future<Output = Result<(), E>>) -> Result<(), Failure> {
    match timeout(SEND_TIMEOUT, work).await {
        Ok(Ok(())) => Ok(()),
        _ => Err(Failure::ClientClosed),
    }
}

/// What the client got.
pub(super) struct Sent {
    /// Bytes of the head.
    pub(super) head: usize,
    /// Bytes of the body.
    pub(super) body: u64,
}
