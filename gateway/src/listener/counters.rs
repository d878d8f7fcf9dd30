//! Numbers about connections, as plain atomics; `observe` exports them.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

/// A group of counters that differ in one label.
macro_rules! labelled {
    ($(#[$doc:meta])* $name:ident { $($(#[$field_doc:meta])* $field:ident = $label:literal,)* }) => {
        $(#[$doc])*
        #[derive(Debug, Default)]
        pub struct $name {
            $($(#[$field_doc])* pub $field: AtomicU64,)*
        }

        impl $name {
            /// The label's value and the count, for each.
            pub fn samples(&self) -> impl Iterator<Item = (&'static str, u64)> {
                [$(($label, self.$field.load(Ordering::Relaxed)),)*].into_iter()
            }
        }
    };
}

labelled! {
    /// Finished TLS handshakes.
    Handshakes {
        /// TLS 1.2 with a certificate.
        tls12_full = "TLSv1.2",
        /// TLS 1.2 by session id or ticket.
        tls12_resumed = "TLSv1.2 resumed",
        /// TLS 1.3 with a certificate.
        tls13_full = "TLSv1.3",
        /// TLS 1.3 by ticket.
        tls13_resumed = "TLSv1.3 resumed",
    }
}

labelled! {
    /// TLS handshakes that failed, by reason; those that took too long are in
    /// [`Timeouts`].
    HandshakeFailures {
        /// The client sent plain HTTP.
        plain_http = "plain_http",
        /// There is no certificate for the server name.
        no_certificate = "no_certificate",
        /// The client went away; probes of open ports are here.
        closed = "closed",
        /// Anything else: no common version or suite, bad messages, alerts.
        protocol = "protocol",
    }
}

labelled! {
    /// Connections refused because of the PROXY protocol, by reason.
    ProxyProtocolErrors {
        /// A peer that is not trusted, where a header is required or was sent.
        untrusted = "untrusted",
        /// No header where one is required.
        missing = "missing",
        /// A header that is broken.
        invalid = "invalid",
    }
}

labelled! {
    /// Connections closed because the client took too long, by phase.
    Timeouts {
        /// Reading a PROXY protocol header.
        proxy_header = "proxy_header",
        /// Reading a ClientHello, or in the TLS handshake.
        handshake = "handshake",
        /// Nothing was sent on a new connection.
        first_byte = "first_byte",
        /// In the middle of a request's head.
        request_head = "request_head",
        /// HTTP/2 without a request.
        first_h2_request = "first_h2_request",
        /// Between requests: the ordinary end of keep-alive.
        idle = "idle",
    }
}

labelled! {
    /// Connections and UDP sessions that nothing looks into, by what became of
    /// them.
    Streams {
        /// Begun.
        opened = "opened",
        /// Nowhere to go.
        no_endpoint = "no_endpoint",
        /// Tries to connect that failed.
        connect_failures = "connect_failed",
        /// Ended because nobody said anything.
        idle_timeouts = "idle",
        /// UDP clients beyond the limit of a port.
        over_limit = "over_limit",
    }
}

labelled! {
    /// Bytes of such connections and sessions that have ended.
    StreamBytes {
        /// From clients.
        received = "received",
        /// To clients.
        sent = "sent",
    }
}

/// Counters of all listeners of one gateway.
#[derive(Debug, Default)]
pub struct Counters {
    /// Connections taken from the kernel, refused ones included.
    pub accepted: AtomicU64,
    /// Connections open now (a gauge).
    pub active: AtomicUsize,
    /// Requests whose head has been read.
    pub requests_started: AtomicU64,
    /// Those of them that are over.
    pub requests_finished: AtomicU64,
    /// Connections closed because of [`super::Limits::max_connections`].
    pub over_limit: AtomicU64,
    /// Failures of `accept` itself, such as too many open files.
    pub accept_errors: AtomicU64,
    /// Connections cut off at the end of a drain.
    pub cut_off: AtomicU64,
    /// Finished TLS handshakes.
    pub handshakes: Handshakes,
    /// Failed TLS handshakes.
    pub handshake_failures: HandshakeFailures,
    /// Refusals by the PROXY protocol.
    pub proxy_protocol_errors: ProxyProtocolErrors,
    /// Clients that took too long.
    pub timeouts: Timeouts,
    /// TCP and UDP services, TLS passthrough.
    pub streams: Streams,
    /// Their bytes.
    pub stream_bytes: StreamBytes,
}

impl Counters {
    /// Requests under way.
    pub fn requests_in_flight(&self) -> u64 {
        // In this order: never fewer than none.
        let finished = self.requests_finished.load(Ordering::Relaxed);
        self.requests_started
            .load(Ordering::Relaxed)
            .saturating_sub(finished)
    }
}

pub(super) fn count(counter: &AtomicU64) {
    counter.fetch_add(1, Ordering::Relaxed);
}
