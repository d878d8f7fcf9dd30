//! Limits on whole requests and whole tries (Gateway API `timeouts`), and the
//! time between tries.
//!
//! Pingora limits single reads and writes. What is left of a limit bounds those
//! of each try, and every piece of the answer is looked at.

use std::time::{Duration, Instant};

use pingora_core::upstreams::peer::HttpPeer;
use pingora_core::{Error, ErrorType, Result};

use super::context::RequestContext;

/// Waits before a further try as long as the route's policy says, at most until
/// the request's time is over.
pub(super) async fn pause(context: &RequestContext) {
    let policies = context.policies();
    let pause = policies.and_then(|policies| policies.retry.pause(context.tries.counted()));
    if let Some(pause) = pause {
        tokio::time::sleep(left(context).map_or(pause, |left| pause.min(left))).await;
    }
}

/// What is left of the request's time; `None`: it has no limit.
pub(super) fn left(context: &RequestContext) -> Option<Duration> {
    of_request(context).map(|end| end.saturating_duration_since(Instant::now()))
}

/// When the request must be over.
fn of_request(context: &RequestContext) -> Option<Instant> {
    let limit = context.policies()?.timeouts.request?;
    Some(context.started + limit)
}

/// A try begins: bounds its reads and writes by what is left.
///
/// # Errors
/// A timeout when nothing is.
pub(super) fn begin(peer: &mut HttpPeer, context: &mut RequestContext) -> Result<()> {
    let attempt = context.policies().and_then(|policies| policies.timeouts.attempt);
    let now = Instant::now();
    let attempt = attempt.map(|limit| now + limit);
    let ends = [of_request(context), attempt];
    context.tries.end = ends.into_iter().flatten().min();
    let Some(end) = context.tries.end else {
        return Ok(());
    };
    let left = end.saturating_duration_since(now);
    if left.is_zero() {
        return over();
    }
    let options = &mut peer.options;
    for limit in [
        &mut options.connection_timeout,
        &mut options.total_connection_timeout,
        &mut options.read_timeout,
        &mut options.write_timeout,
    ] {
        *limit = Some(limit.map_or(left, |limit| limit.min(left)));
    }
    Ok(())
}

/// A piece of the answer has come.
///
/// # Errors
/// A timeout when it came too late.
pub(super) fn check(context: &RequestContext) -> Result<()> {
    match context.tries.end {
        Some(end) if Instant::now() >= end => over(),
        _ => Ok(()),
    }
}

/// The error of a request whose time is over.
///
/// # Errors
/// That one, always.
pub(super) fn over<T>() -> Result<T> {
    Err(Error::explain(ErrorType::ReadTimedout, "the time for the request is over").into_up())
}
