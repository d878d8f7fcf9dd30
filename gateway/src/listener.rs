//! Run-time listeners: bind, accept, PROXY protocol, TLS by SNI, then Pingora.
//!
//! [`Listeners`] holds the ports of one gateway. Each accepted connection gets a
//! task of its own that sets it up (`serve`), hands the stream to a Pingora
//! [`ServerApp`](pingora_core::apps::ServerApp) and watches its deadlines
//! (`activity`). Requests find the facts of their connection with
//! [`Connection::of`].

mod accept;
mod activity;
mod cork;
mod counters;
mod datagrams;
mod drain;
mod limits;
mod plain_http;
pub mod proxy_protocol;
mod reconcile;
mod serve;
mod server_tls;
mod session;
mod socket;
mod stream;
#[cfg(test)]
mod tests;
mod tunnel;

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use arc_swap::ArcSwap;
use pingora_http::RequestHeader;
use tidegate_snapshot::{Listener, ListenerKey};

use crate::runtime::Table;
use activity::Activity;
pub(crate) use cork::Cork;
use drain::DrainSignal;

pub use activity::InFlight;
pub use counters::{
    Counters, HandshakeFailures, Handshakes, ProxyProtocolErrors, StreamBytes, Streams, Timeouts,
};
pub use drain::Drain;
pub use limits::Limits;
pub use reconcile::Listeners;
pub(crate) use stream::Stream;

/// What a bound listener serves at the moment; replaced as a whole.
pub struct Serving {
    /// The wanted value that it was made from.
    pub spec: Arc<Listener>,
    /// Its compiled routing table.
    pub table: Arc<Table>,
}

/// A bound listener as its connections see it. It outlives rebinding, so that
/// a keep-alive connection always routes by the newest table.
pub struct Live {
    /// Its name in the snapshot.
    pub key: ListenerKey,
    /// What it serves now.
    pub serving: ArcSwap<Serving>,
    drain: DrainSignal,
}

impl Live {
    /// A listener without a socket; [`Listeners`] makes them, tests may.
    pub fn new(key: ListenerKey, serving: Serving) -> Arc<Self> {
        Arc::new(Self {
            key,
            serving: ArcSwap::from_pointee(serving),
            drain: DrainSignal::new(),
        })
    }

    /// Whether its connections should end soon: answers of HTTP/1 then carry
    /// `Connection: close`. Pingora looks only when it has read a request's
    /// head, so the proxy looks again before it writes an answer's.
    pub fn draining(&self) -> bool {
        self.drain.draining()
    }
}

/// What to write to a client whose request's head is not HTTP; called once for
/// each such head.
pub type Refusal = Arc<dyn Fn(&Connection) -> Vec<u8> + Send + Sync>;

/// Facts of one client connection, shared by all its requests.
pub struct Connection {
    /// The listener that accepted it.
    pub listener: Arc<Live>,
    /// The peer of the TCP connection.
    pub peer: SocketAddr,
    /// The client: the peer, or what a trusted PROXY header announced.
    pub client: SocketAddr,
    /// The address that the client connected to, by the same rule.
    pub local: SocketAddr,
    /// Whether `client` and `local` come from a PROXY header.
    pub proxied: bool,
    /// Facts of the TLS session; `None` on plain connections.
    pub tls: Option<TlsSession>,
    /// For the proxy: the fields that every request of this connection has when
    /// it is forwarded, and the settings that they were made for.
    pub forwarded: OnceLock<Option<(Arc<Listener>, Box<RequestHeader>)>>,
    /// See [`Self::is_early`].
    early: AtomicBool,
    /// Whether answers of HTTP/2 are held back, to leave together.
    pub(crate) cork: Cork,
    activity: Arc<Activity>,
}

impl Connection {
    /// A plain connection from `peer` to `local` that has no socket, for tests
    /// of what stands on top.
    pub fn new(listener: Arc<Live>, peer: SocketAddr, local: SocketAddr) -> Self {
        let activity = Arc::new(Activity::new(
            &listener.serving.load().spec.http,
            Duration::MAX,
            Arc::default(),
        ));
        Self::accepted(listener, peer, local, activity)
    }

    fn accepted(listener: Arc<Live>, peer: SocketAddr, local: SocketAddr, activity: Arc<Activity>) -> Self {
        Self {
            listener,
            peer,
            client: peer,
            local,
            proxied: false,
            tls: None,
            forwarded: OnceLock::new(),
            early: AtomicBool::new(false),
            cork: Cork::default(),
            activity,
        }
    }

    /// The connection that a request came on. `None` for sessions that did not
    /// come from [`Listeners`], such as subrequests.
    pub fn of(session: &pingora_proxy::Session) -> Option<&Arc<Self>> {
        session
            .digest()?
            .proxy_digest
            .as_ref()?
            .user_data
            .as_ref()?
            .downcast_ref()
    }

    /// To be called once for every request, as soon as its head has been read
    /// (`early_request_filter`): it ends the deadline for the head. The proxy
    /// keeps the answer in the request's context; when it is dropped, the idle
    /// time of the connection begins (for HTTP/2: after the last request).
    ///
    /// While a request is in flight this side sets no deadline: body and
    /// upstream timeouts are the proxy's.
    #[must_use = "the request counts as finished when this is dropped"]
    pub fn request_started(&self) -> InFlight {
        InFlight::new(&self.activity)
    }

    /// To be called when an answer ends the connection though the client may
    /// still be sending the request's body (413, for example): the rest is then
    /// read and dropped for some time, because closing at once would reset the
    /// connection and the client might never see the answer (nginx
    /// `lingering_close`).
    pub fn linger(&self) {
        self.activity.linger();
    }

    /// Whether what was read until now came before the handshake has ended, and
    /// may be what somebody else sends again (RFC 8446 section 8).
    pub fn is_early(&self) -> bool {
        self.early.load(Ordering::Relaxed)
    }

    /// Whether the listener or the process drains; see [`Live::draining`].
    pub fn draining(&self) -> bool {
        self.listener.draining()
    }
}

/// Facts of a finished TLS handshake.
pub struct TlsSession {
    /// The server name that the client asked for, lower case.
    pub server_name: Option<Arc<str>>,
    /// As nginx writes it in `$ssl_protocol`: `TLSv1.3`.
    pub protocol: &'static str,
    /// As OpenSSL writes it in `$ssl_cipher`.
    pub cipher: &'static str,
    /// What the client showed, where it was asked for a certificate.
    pub client: Option<crate::tls::Client>,
}
