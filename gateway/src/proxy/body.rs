//! Request bodies that are read before the upstream is contacted (nginx
//! `proxy_request_buffering on`): a slow client then holds no upstream
//! connection, and a request can be tried again with its body.
//!
//! Pingora reads the body itself while it proxies, and keeps what was read
//! before only up to 64 KiB. So the last piece, which fits, is left to it, and
//! what came earlier is put in front when the body is first sent in a try.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::header::UPGRADE;
use pingora_core::{Error, ErrorType, Result};
use pingora_http::RequestHeader;
use pingora_proxy::Session;
use pingora_timeout::timeout;

use super::head;

/// Bodies up to this are read first; larger ones are streamed. ingress-nginx's
/// default limit on bodies.
pub(super) const LARGEST: usize = 1024 * 1024;
/// What all bodies that wait together may take; beyond it bodies are streamed.
const BUDGET: usize = 128 * 1024 * 1024;
/// What Pingora keeps, and the most that it reads at a time.
const KEPT: usize = 64 * 1024;

/// Memory that waiting bodies take; clones share it.
#[derive(Clone, Default)]
pub(super) struct Budget(Arc<AtomicUsize>);

/// What was read of a body ahead of Pingora's own buffer.
#[derive(Default)]
pub(super) struct Ahead {
    bytes: Bytes,
    /// What was to be read first has been.
    done: bool,
    /// Whether the current try has sent it.
    sent: bool,
    /// What it takes of the budget, kept parts included.
    _held: Option<Held>,
}

impl Ahead {
    /// Whether reading is over.
    pub(super) fn is_done(&self) -> bool {
        self.done
    }

    /// What was read, from the start of the body, `most` bytes of it.
    pub(super) fn read(&self, session: &Session, most: usize) -> Bytes {
        if self.bytes.len() >= most {
            return self.bytes.slice(..most);
        }
        let kept = session.as_ref().get_retry_buffer().unwrap_or_default();
        let kept = kept.slice(..kept.len().min(most - self.bytes.len()));
        if self.bytes.is_empty() {
            return kept;
        }
        [self.bytes.as_ref(), &kept].concat().into()
    }

    /// A new try begins.
    pub(super) fn rewind(&mut self) {
        self.sent = false;
    }

    /// Puts itself in front of the first piece of a try.
    pub(super) fn prepend(&mut self, body: &mut Option<Bytes>) {
        if self.bytes.is_empty() || std::mem::replace(&mut self.sent, true) {
            return;
        }
        let rest = body.take().unwrap_or_default();
        let mut whole = BytesMut::with_capacity(self.bytes.len() + rest.len());
        whole.extend_from_slice(&self.bytes);
        whole.extend_from_slice(&rest);
        *body = Some(whole.freeze());
    }
}

/// Reads the body as far as it is to be read first. Bodies of unknown length,
/// and requests that ask for a tunnel, are left alone. The client may be silent
/// for as long as `patience` (`client-body-timeout`).
///
/// # Errors
/// The client's connection broke or was silent for too long.
pub(super) async fn read_ahead(session: &mut Session, budget: &Budget, patience: Duration) -> Result<Ahead> {
    let mut ahead = Ahead::default();
    let request = session.req_header();
    let Some(length) = length(request) else {
        return Ok(ahead);
    };
    if length == 0 || length > LARGEST || request.headers.contains_key(UPGRADE) {
        return Ok(ahead);
    }
    let Some(held) = budget.hold(length) else {
        return Ok(ahead);
    };
    let mut read = BytesMut::new();
    // A read takes at most what Pingora keeps: it cannot reach the body's end.
    while length - read.len() > KEPT {
        match read_piece(session, patience).await? {
            Some(bytes) => read.extend_from_slice(&bytes),
            None => break,
        }
    }
    session.as_downstream_mut().enable_retry_buffering();
    while !session.as_downstream_mut().is_body_done() {
        if read_piece(session, patience).await?.is_none() {
            break;
        }
    }
    ahead.bytes = read.freeze();
    ahead.done = true;
    ahead._held = Some(held);
    Ok(ahead)
}

/// Reads at least `wanted` bytes of the body, or all of it: for who is asked about
/// the request before it may go on. `wanted` is less than Pingora keeps.
///
/// # Errors
/// As [`read_ahead`]; or 503 when waiting bodies take too much memory.
pub(super) async fn read_first(
    session: &mut Session,
    budget: &Budget,
    patience: Duration,
    wanted: usize,
) -> Result<Ahead> {
    if session.is_body_empty() {
        return Ok(Ahead::default());
    }
    let request = session.req_header();
    let is_short = length(request).is_some_and(|length| length <= LARGEST);
    if is_short && !request.headers.contains_key(UPGRADE) {
        let ahead = read_ahead(session, budget, patience).await?;
        return if ahead.done { Ok(ahead) } else { too_many() };
    }
    let Some(held) = budget.hold(wanted + KEPT) else {
        return too_many();
    };
    session.as_downstream_mut().enable_retry_buffering();
    let mut read = BytesMut::new();
    while read.len() < wanted && !session.as_downstream_mut().is_body_done() {
        let Some(bytes) = read_piece(session, patience).await? else {
            break;
        };
        read.extend_from_slice(&bytes);
    }
    let mut ahead = Ahead {
        done: true,
        _held: Some(held),
        ..Ahead::default()
    };
    if read.len() > KEPT {
        if session.as_downstream_mut().is_body_done() {
            // Pingora would wait for a piece to put this in front of.
            let why = "a body of unannounced length is too long to ask about";
            return Err(Error::explain(ErrorType::HTTPStatus(413), why).into_down());
        }
        ahead.bytes = read.freeze();
    }
    Ok(ahead)
}

fn too_many<T>() -> Result<T> {
    Error::e_explain(
        ErrorType::HTTPStatus(503),
        "bodies that wait take too much memory",
    )
}

fn length(request: &RequestHeader) -> Option<usize> {
    let length = request.headers.get(http::header::CONTENT_LENGTH)?;
    usize::try_from(head::content_length(length.as_bytes())?).ok()
}

/// Pingora times reads of HTTP/1, but not of HTTP/2.
async fn read_piece(session: &mut Session, patience: Duration) -> Result<Option<Bytes>> {
    let read = session.as_downstream_mut().read_request_body();
    match timeout(patience, read).await {
        Ok(read) => read.map_err(|error| error.into_down()),
        Err(_) => Err(Error::explain(ErrorType::ReadTimedout, "the body stopped coming").into_down()),
    }
}

impl Budget {
    /// Takes `bytes` until the answer is dropped; `None` when there is no more.
    pub(super) fn hold(&self, bytes: usize) -> Option<Held> {
        let before = self.0.fetch_add(bytes, Ordering::Relaxed);
        let held = Held(self.0.clone(), bytes);
        (before + bytes <= BUDGET).then_some(held)
    }
}

/// A part of the budget, until it is dropped.
pub(super) struct Held(Arc<AtomicUsize>, usize);

impl Drop for Held {
    fn drop(&mut self) {
        self.0.fetch_sub(self.1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_budget_is_given_back() {
        let budget = Budget::default();
        let most = budget.hold(BUDGET);
        assert!(most.is_some());
        assert!(budget.hold(1).is_none());
        drop(most);
        assert!(budget.hold(BUDGET).is_some());
    }

    #[test]
    fn what_was_read_first_goes_in_front_once_in_each_try() {
        let mut ahead = Ahead {
            bytes: Bytes::from_static(b"ab"),
            ..Ahead::default()
        };
        for _ in 0..2 {
            let mut body = Some(Bytes::from_static(b"cd"));
            ahead.prepend(&mut body);
            assert_eq!(body.as_deref(), Some(&b"abcd"[..]));
            let mut body = Some(Bytes::from_static(b"e"));
            ahead.prepend(&mut body);
            assert_eq!(body.as_deref(), Some(&b"e"[..]));
            ahead.rewind();
        }
    }
}
