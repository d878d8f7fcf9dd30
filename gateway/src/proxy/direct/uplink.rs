//! The body of a request on its way to an upstream that speaks HTTP/2, piece by
//! piece: at most one is held here, so that each side is as fast as the other.

use std::future::poll_fn;
use std::time::Duration;

use bytes::Bytes;
use futures::FutureExt;
use h2::SendStream;
use pingora_core::protocols::http::v2::server::HttpSession;
use pingora_timeout::timeout;
use smallvec::SmallVec;

use crate::observe::metrics::UpstreamError;
use crate::policy::Body;
use crate::proxy::failure::Failure;

/// What is kept of a body for another try: as much as Pingora's proxy does.
const KEPT: usize = 64 * 1024;
/// In at most so many pieces: tiny ones cost much more than their bytes.
const PIECES: usize = 16;

/// What has come of a body so far.
pub(super) struct Uplink<'a> {
    limit: &'a Body,
    /// For a single piece (nginx `grpc_send_timeout`).
    patience: Duration,
    /// Read, but not sent.
    piece: Bytes,
    /// There is nothing more to read.
    read_all: bool,
    /// The upstream knows the end, or wants no more.
    over: bool,
    /// All that was read, for another try.
    kept: SmallVec<[Bytes; 2]>,
    /// How many of them the current try has taken.
    again: usize,
    length: usize,
    /// Something of it is lost.
    forgotten: bool,
}

/// Whether the client is watched as well: before there is an answer nobody else
/// does it.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Watch {
    Client,
    Nobody,
}

impl<'a> Uplink<'a> {
    pub(super) fn new(limit: &'a Body, patience: Duration) -> Self {
        Self {
            limit,
            patience,
            piece: Bytes::new(),
            read_all: false,
            over: false,
            kept: SmallVec::new(),
            again: 0,
            length: 0,
            forgotten: false,
        }
    }

    /// A try begins. Returns whether it has no body at all.
    pub(super) fn begin(&mut self, session: &mut HttpSession) -> bool {
        self.piece = Bytes::new();
        self.again = 0;
        self.read_all = self.read_all || has_ended(session);
        self.over = self.read_all && self.kept.is_empty();
        self.over
    }

    /// Whether what was read is still known.
    pub(super) fn is_repeatable(&self) -> bool {
        !self.forgotten
    }

    /// There will be no other try.
    pub(super) fn forget(&mut self) {
        self.forgotten = true;
        if self.again == self.kept.len() {
            self.kept = SmallVec::new();
            self.again = 0;
        }
    }

    /// Bytes read.
    pub(super) fn length(&self) -> u64 {
        self.length as u64
    }

    /// Sends until the upstream has all of it or wants no more: why, its answer
    /// says. May be dropped and called again.
    ///
    /// # Errors
    /// The client left or sent too much, or the upstream takes nothing.
    pub(super) async fn go_on(
        &mut self,
        session: &mut HttpSession,
        to: &mut SendStream<Bytes>,
        watch: Watch,
    ) -> Result<(), Failure> {
        while !self.over {
            if !self.piece.is_empty() {
                self.send(session, to, watch).await?;
            } else if let Some(piece) = self.kept.get(self.again) {
                self.piece = piece.clone();
                self.again += 1;
            } else if self.read_all {
                // What fails now the answer will tell.
                let _ = to.send_data(Bytes::new(), true);
                self.over = true;
            } else {
                self.read(session).await?;
            }
        }
        Ok(())
    }

    /// No deadline: a stream may be silent for as long as the other direction is
    /// not (see [`super::duplex`]).
    async fn read(&mut self, session: &mut HttpSession) -> Result<(), Failure> {
        let Some(piece) = session
            .read_body_bytes()
            .await
            .map_err(|_| Failure::ClientClosed)?
        else {
            self.read_all = true;
            return Ok(());
        };
        self.length += piece.len();
        if self.limit.is_exceeded(self.length as u64) {
            return Err(Failure::BodyTooLarge);
        }
        self.read_all = has_ended(session);
        if self.length > KEPT || self.kept.len() == PIECES {
            self.forget();
        }
        if !self.forgotten && !piece.is_empty() {
            self.kept.push(piece.clone());
            self.again = self.kept.len();
        }
        self.piece = piece;
        Ok(())
    }

    async fn send(
        &mut self,
        session: &mut HttpSession,
        to: &mut SendStream<Bytes>,
        watch: Watch,
    ) -> Result<(), Failure> {
        let room = timeout(self.patience, room(to, self.piece.len()));
        let room = tokio::select! {
            biased;
            room = room => room.map_err(|_| Failure::Upstream(UpstreamError::WriteTimeout))?,
            _ = session.idle(), if watch == Watch::Client => return Err(Failure::ClientClosed),
        };
        let Some(room) = room else {
            self.over = true;
            return Ok(());
        };
        let piece = self.piece.split_to(room.min(self.piece.len()));
        let is_last = self.piece.is_empty() && self.read_all && self.again == self.kept.len();
        self.over = to.send_data(piece, is_last).is_err() || is_last;
        Ok(())
    }
}

/// Whether a body has ended, without waiting. An end that is only that of the
/// stream by a reset would make a part of a body look whole: therefore the look at
/// what comes next.
fn has_ended(session: &mut HttpSession) -> bool {
    session.is_body_done() && matches!(session.read_body_bytes().now_or_never(), Some(Ok(None)))
}

/// Waits until a stream takes some of `wanted` bytes; `None`: it takes no more.
pub(super) async fn room(to: &mut SendStream<Bytes>, wanted: usize) -> Option<usize> {
    to.reserve_capacity(wanted);
    match to.capacity() {
        0 => poll_fn(|cx| to.poll_capacity(cx)).await?.ok(),
        room => Some(room),
    }
}
