//! An answer on its way to the client: its head, then its body.

use std::future::Future;
use std::io::{self, ErrorKind::Unsupported, ErrorKind::WouldBlock};
use std::net::SocketAddr;
use std::time::Duration;

use bytes::BytesMut;
use http::StatusCode;
use pingora_timeout::timeout;
use tokio::io::AsyncReadExt;
use tokio::task::coop;

use super::Plan;
use super::downstream::{Downstream, taken};
use super::exchange::{Exchange, Outcome};
use super::pipe::Pipe;
use super::pool::Upstream;
use super::response::{Framing, Head};
use crate::observe::metrics::UpstreamError;
use crate::proxy::failure::Failure;
use crate::proxy::tries::Tries;

/// Room for reads of a longer body.
const BODY_READ: usize = 64 * 1024;
/// As much of a body has to be left for a pipe to be worth its system calls.
const SPLICED: u64 = 256 * 1024;

/// Waits for a word of the upstream, as long as the client is there.
///
/// # Errors
/// One of them has left, or the upstream was silent for as long as `patience`.
pub(super) async fn hear<T>(
    word: impl Future<Output = io::Result<T>>,
    client: &mut impl Downstream,
    patience: Duration,
) -> Result<T, Failure> {
    let either = async {
        tokio::select! {
            biased;
            word = word => word.map_err(|_| Failure::Upstream(UpstreamError::Closed)),
            () = client.gone() => Err(Failure::ClientClosed),
        }
    };
    timeout(patience, either)
        .await
        .unwrap_or(Err(Failure::Upstream(UpstreamError::ReadTimeout)))
}

/// An answer whose head has been read.
pub(super) struct Relay<'a> {
    pub(super) exchange: &'a Exchange<'a>,
    pub(super) plan: &'a Plan,
    pub(super) upstream: Upstream,
    pub(super) head: Head,
    /// What has come: the head, and maybe more.
    pub(super) answer: BytesMut,
}

impl Relay<'_> {
    pub(super) async fn run(
        mut self,
        address: SocketAddr,
        client: &mut impl Downstream,
        tries: &mut Tries,
    ) -> Outcome {
        let exchange = self.exchange;
        let mut outcome = Outcome {
            close: exchange.closes(),
            status: self.head.status.as_u16(),
            ..Outcome::default()
        };
        let mut fields = self.head.fields(&self.answer);
        exchange.apply_policies(self.plan, self.head.status, false, &mut fields);
        let fields = fields.edited();
        let result = match client.begin(&self.head, fields, &mut self.answer, outcome.close) {
            Ok(length) => {
                outcome.head = length;
                if self.head.status == StatusCode::SWITCHING_PROTOCOLS {
                    return Box::pin(self.tunnel(client, outcome)).await;
                }
                self.body(client, &mut outcome).await
            }
            Err(failure) => Err(failure),
        };
        match result {
            Ok(()) if self.head.keep_alive && self.answer.is_empty() => {
                let keep_alive = &exchange.serving.spec.http.upstream_keep_alive;
                exchange.direct.pool.put(address, self.upstream, keep_alive);
            }
            Ok(()) => {}
            Err(failure) => {
                client.abort();
                self.broken(failure, &mut outcome, tries);
            }
        }
        outcome
    }

    /// Passes on what both sides say from now on. Whoever ends it, and be it by
    /// silence (nginx `proxy_read_timeout`): the endpoint has not failed.
    async fn tunnel(self, client: &mut impl Downstream, mut outcome: Outcome) -> Outcome {
        let silence = self.plan.route.policies.timeouts.read;
        outcome.close = true;
        outcome.body = client.tunnel(self.upstream.stream, &self.answer, silence).await;
        outcome
    }

    /// An answer that has begun cannot be taken back: the connection closes.
    fn broken(&self, failure: Failure, outcome: &mut Outcome, tries: &mut Tries) {
        outcome.close = true;
        outcome.failure = Some(failure);
        let method = &self.exchange.request.head.method;
        let retry = &self.plan.route.policies.retry;
        tries.failed_with(failure, method, retry, &self.plan.target().metrics);
    }

    /// Sends the body: what has come of it, then the rest.
    async fn body(&mut self, client: &mut impl Downstream, outcome: &mut Outcome) -> Result<(), Failure> {
        let patience = self.plan.route.policies.timeouts.read;
        loop {
            outcome.body += client.pass(&mut self.head.framing, &mut self.answer).await?;
            if self.head.framing.is_done() {
                return Ok(());
            }
            if let Some((left, pipe)) = self.spliced(client)
                && Box::pin(self.splice(left, pipe, client, outcome)).await?
            {
                return Ok(());
            }
            self.answer.reserve(BODY_READ);
            if hear(self.upstream.stream.read_buf(&mut self.answer), client, patience).await? == 0 {
                return match self.head.framing {
                    Framing::Close => client.end().await,
                    _ => Err(Failure::Upstream(UpstreamError::Closed)),
                };
            }
        }
    }

    /// How much is left of a body that nobody has to look into, between two plain
    /// connections, and what it can go through.
    fn spliced(&self, client: &impl Downstream) -> Option<(u64, Pipe)> {
        match self.head.framing {
            Framing::Length(left) if left >= SPLICED && client.plain().is_some() => {
                Some((left, self.exchange.direct.pipes.take()?))
            }
            _ => None,
        }
    }

    /// Moves the next `left` bytes without reading them. Everything before has left
    /// for the client. `false`: not one of them was moved, the kernel does not do that.
    async fn splice(
        &mut self,
        mut left: u64,
        mut pipe: Pipe,
        client: &mut impl Downstream,
        outcome: &mut Outcome,
    ) -> Result<bool, Failure> {
        let upstream = &self.upstream.stream;
        let patience = self.plan.route.policies.timeouts.read;
        let whole = left;
        while left > 0 {
            match pipe.fill(upstream, left) {
                Ok(0) => return Err(Failure::Upstream(UpstreamError::Closed)),
                Ok(came) => left -= came as u64,
                Err(error) if error.kind() == WouldBlock => {
                    hear(upstream.readable(), client, patience).await?;
                    continue;
                }
                Err(error) if error.kind() == Unsupported && left == whole => return Ok(false),
                Err(_) => return Err(Failure::Upstream(UpstreamError::Closed)),
            }
            let to = client.plain().ok_or(Failure::Internal)?;
            while !pipe.is_empty() {
                match pipe.drain(to) {
                    Ok(taken) => outcome.body += taken as u64,
                    Err(error) if error.kind() == WouldBlock => taken(to.writable()).await?,
                    Err(_) => return Err(Failure::ClientClosed),
                }
            }
            // Two fast sides would keep this thread for themselves.
            coop::consume_budget().await;
        }
        Ok(true)
    }
}
