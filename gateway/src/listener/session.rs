//! A connection that nothing looks into, until it ends: then its bytes are
//! counted and its line is logged, also when it is cut off half-way.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::SystemTime;

use tidegate_snapshot::{ClusterKey, RealIp};
use tokio::time::Instant;

use super::Connection;
use super::counters::Counters;
use crate::copy::Copied;
use crate::observe::access_log::{AccessLog, StreamAttempt, StreamRecord};

/// Ends when it is dropped.
pub(super) struct Session<'a> {
    pub(super) counters: &'a Counters,
    /// What has gone which way.
    pub(super) copied: Copied,
    log: &'a AccessLog,
    /// `None`: it leaves no line.
    line: Option<Box<Line>>,
}

/// What a line is made of.
struct Line {
    record: StreamRecord,
    started: Instant,
    /// When the last try began.
    tried: Instant,
    /// Bytes that were read from the client before anything was copied.
    read: u64,
    /// Bytes of ours among those that go to the endpoint.
    ours: u64,
}

impl<'a> Session<'a> {
    /// Of a TCP connection; `started` is when it was accepted.
    pub(super) fn begin(
        counters: &'a Counters,
        log: &'a AccessLog,
        started: Instant,
        peer: SocketAddr,
        local: SocketAddr,
    ) -> Self {
        let line = log.takes_streams().then(|| {
            Box::new(Line {
                record: StreamRecord::new("TCP", peer, local),
                started,
                tried: started,
                read: 0,
                ours: 0,
            })
        });
        Self {
            counters,
            copied: Copied::default(),
            log,
            line,
        }
    }

    fn note(&mut self, change: impl FnOnce(&mut Line)) {
        if let Some(line) = &mut self.line {
            change(line);
        }
    }

    /// What the PROXY header says, if there was one. nginx's realip module
    /// believes it where `enable-real-ip` is on and the peer is trusted.
    pub(super) fn announced(&mut self, connection: &Connection, real_ip: &RealIp) {
        self.note(|line| {
            if !connection.proxied {
                return;
            }
            line.record.announced = Some((connection.client, connection.local));
            let peer = connection.peer.ip();
            if real_ip.enable_real_ip && real_ip.trusted.iter().any(|net| net.contains(&peer)) {
                line.record.client = connection.client;
            }
        });
    }

    /// The name that the client asked for.
    pub(super) fn server_name(&mut self, name: Option<&Arc<str>>) {
        self.note(|line| line.record.server_name = name.cloned());
    }

    /// What becomes of it; 200 until something else is said.
    pub(super) fn status(&mut self, status: u16) {
        self.note(|line| line.record.status = status);
    }

    /// Where it is meant to go, with so many bytes read already.
    pub(super) fn meant_for(&mut self, cluster: &ClusterKey, read: usize) {
        self.note(|line| {
            line.record.upstream_name = Some(cluster.clone());
            line.read = read as u64;
        });
    }

    /// A try begins.
    pub(super) fn try_begins(&mut self, endpoint: SocketAddr) {
        self.note(|line| {
            line.tried = Instant::now();
            line.record.attempts.push(StreamAttempt {
                address: endpoint,
                bytes_sent: 0,
                bytes_received: 0,
                connect_time: None,
                first_byte_time: None,
                session_time: std::time::Duration::ZERO,
            });
        });
    }

    /// The last try has failed.
    pub(super) fn try_failed(&mut self) {
        self.note(|line| {
            let elapsed = line.tried.elapsed();
            if let Some(attempt) = line.record.attempts.last_mut() {
                attempt.session_time = elapsed;
            }
        });
    }

    /// The last try has reached its endpoint, which is sent so many bytes of ours.
    pub(super) fn connected(&mut self, ours: usize) {
        self.note(|line| {
            line.ours = ours as u64;
            let elapsed = line.tried.elapsed();
            if let Some(attempt) = line.record.attempts.last_mut() {
                attempt.connect_time = Some(elapsed);
            }
        });
    }
}

impl Line {
    fn finished(mut self, copied: &Copied) -> StreamRecord {
        let record = &mut self.record;
        record.time = SystemTime::now();
        record.session_time = self.started.elapsed();
        record.bytes_received = copied.there.saturating_sub(self.ours).max(self.read);
        record.bytes_sent = copied.back;
        let reached = record.attempts.last_mut();
        if let Some(attempt) = reached.filter(|attempt| attempt.connect_time.is_some()) {
            attempt.bytes_sent = copied.there;
            attempt.bytes_received = copied.back;
            attempt.first_byte_time = copied
                .answered
                .map(|answered| answered.saturating_duration_since(self.tried));
            attempt.session_time = self.tried.elapsed();
        }
        self.record
    }
}

impl Drop for Session<'_> {
    fn drop(&mut self) {
        let bytes = &self.counters.stream_bytes;
        bytes.received.fetch_add(self.copied.there, Ordering::Relaxed);
        bytes.sent.fetch_add(self.copied.back, Ordering::Relaxed);
        if let Some(line) = self.line.take() {
            self.log.log_stream(&line.finished(&self.copied));
        }
    }
}
