//! The tries of one request to get an answer from its cluster.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use http::Method;

use super::failure::{self, Failure};
use crate::observe::access_log;
use crate::observe::metrics::{RouteMetrics, UpstreamError};
use crate::policy::{Attempt, Failed, Retry};
use crate::upstream::{FailureKind, Pick};

/// The tries so far.
#[derive(Default)]
pub(super) struct Tries {
    /// Chosen, but not asked for by Pingora yet.
    pub(super) next: Option<Pick>,
    current: Option<Try>,
    /// When the current try must be over.
    pub(super) end: Option<Instant>,
    /// Failed tries that count.
    counted: u32,
    /// Addresses that failed.
    failed: Vec<SocketAddr>,
    first: Option<Instant>,
    /// Time to connect, unless the connection was reused.
    pub(super) connect: Option<Duration>,
    /// Time to the answer's head.
    pub(super) header: Option<Duration>,
    /// For the access log: filled only while that is on.
    pub(super) log: Option<Vec<access_log::Attempt>>,
    /// The status that the current try failed with, if the retry policy names it.
    status: Option<u16>,
}

struct Try {
    pick: Pick,
    started: Instant,
    connected: bool,
    reused: bool,
    /// The upstream has certainly not looked at the request.
    unprocessed: bool,
    answered: Option<u16>,
}

impl Tries {
    /// How many have failed.
    pub(super) fn counted(&self) -> u32 {
        self.counted
    }

    /// Addresses that failed: another is preferred.
    pub(super) fn failed(&self) -> &[SocketAddr] {
        &self.failed
    }

    /// The request goes to another cluster, whose tries count anew.
    pub(super) fn start_over(&mut self, first: Pick) {
        self.finish(0, 0);
        self.counted = 0;
        self.failed.clear();
        self.first = None;
        self.next = Some(first);
    }

    /// A try begins.
    pub(super) fn begin(&mut self, pick: Pick) {
        let started = Instant::now();
        self.first.get_or_insert(started);
        self.status = None;
        self.current = Some(Try {
            pick,
            started,
            connected: false,
            reused: false,
            unprocessed: false,
            answered: None,
        });
    }

    pub(super) fn connected(&mut self, reused: bool) {
        if let Some(current) = &mut self.current {
            current.connected = true;
            current.reused = reused;
            self.connect = (!reused).then(|| current.started.elapsed());
        }
    }

    /// The upstream has not looked at the request and will not (RFC 9113 §8.7): it
    /// may go to another whatever its method.
    pub(super) fn unprocessed(&mut self) {
        if let Some(current) = &mut self.current {
            current.unprocessed = true;
        }
    }

    /// The head of an answer has come.
    pub(super) fn answered(&mut self, status: u16) {
        if let Some(current) = &mut self.current {
            let header = current.started.elapsed();
            current.pick.succeeded(header);
            current.answered = Some(status);
            self.header = Some(header);
        }
    }

    /// From the start of the current try to the end of the request, if it got an
    /// answer.
    pub(super) fn response(&self, began: Instant, duration: Duration) -> Option<Duration> {
        let current = self.current.as_ref()?;
        let response = (began + duration).saturating_duration_since(current.started);
        current.answered.map(|_| response)
    }

    /// Whether an answer of this status is given up for another try.
    pub(super) fn gives_up_on(&mut self, status: u16, method: &Method, retry: &Retry) -> bool {
        let another =
            retry.looks_at(status) && self.allowed(Failed::Status(status), method, true, true, retry);
        if another {
            self.status = Some(status);
        }
        another
    }

    /// The current try failed. Returns whether there may be another.
    pub(super) fn failed_with(
        &mut self,
        failure: Failure,
        method: &Method,
        retry: &Retry,
        metrics: &RouteMetrics,
    ) -> bool {
        let status = self.status;
        let error = match status {
            Some(_) => UpstreamError::Other,
            None => match failure.upstream() {
                Some(error) => error,
                None => return false,
            },
        };
        let Some(current) = &self.current else {
            return false;
        };
        if current.answered.is_some() {
            metrics.upstream_error(error);
            return false;
        }
        let (connected, reused) = (current.connected, current.reused);
        let failed = match status {
            Some(status) => Failed::Status(status),
            None => failure::failed(error),
        };
        // The server may close an idle connection at any moment: not a sign of
        // a bad endpoint, and not a try (nginx, ngx_http_upstream_next).
        let counts = !(reused && failed == Failed::Error);
        let sent = connected && !current.unprocessed;
        let another = self.allowed(failed, method, sent, counts, retry);
        self.record(
            status.unwrap_or(failure.status()),
            counts,
            connected,
            status,
            error,
        );
        metrics.upstream_error(error);
        another
    }

    fn allowed(&self, failed: Failed, method: &Method, sent: bool, counts: bool, retry: &Retry) -> bool {
        retry.allows(&Attempt {
            failed,
            method,
            sent,
            tries: self.counted + u32::from(counts),
            elapsed: self.first.map(|first| first.elapsed()).unwrap_or_default(),
        })
    }

    fn record(&mut self, log: u16, counts: bool, connected: bool, status: Option<u16>, error: UpstreamError) {
        let Some(current) = self.current.take() else {
            return;
        };
        if counts {
            self.counted += 1;
            self.failed.push(current.pick.address());
            current.pick.failed(match status {
                Some(_) => FailureKind::Status,
                None => failure::kind(error, connected),
            });
        }
        self.log_try(&current, log, 0);
    }

    /// The request is over.
    pub(super) fn finish(&mut self, received: u64, status: u16) {
        if let Some(current) = self.current.take() {
            let status = current.answered.unwrap_or(status);
            self.log_try(&current, status, received);
        }
    }

    fn log_try(&mut self, finished: &Try, status: u16, received: u64) {
        if let Some(log) = &mut self.log {
            log.push(access_log::Attempt {
                address: finished.pick.address(),
                response_length: received,
                response_time: finished.started.elapsed(),
                status,
            });
        }
    }
}
