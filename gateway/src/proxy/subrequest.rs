//! Requests that the gateway makes itself: external authentication, mirrors.
//! HTTP/1.1 over a pool of connections of its own.

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::header::HOST;
use http::uri::Authority;
use http::{HeaderMap, Uri};
use pingora_core::connectors::http::Connector;
use pingora_core::protocols::http::client::HttpSession;
use pingora_core::upstreams::peer::HttpPeer;
use pingora_core::{Error, ErrorType, OrErr, Result};
use pingora_http::{RequestHeader, ResponseHeader};
use tidegate_snapshot::policy::Timeouts;

use crate::upstream::UPSTREAM_KEEPALIVE_TIMEOUT;
use crate::upstream::dns::Lookups;

/// Sends them; one for a proxy.
pub(super) struct Subrequests {
    connector: Connector,
    lookups: Lookups,
}

/// Where a subrequest goes that is for no cluster.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Origin<'a> {
    /// https; the certificate is not verified, as in ingress-nginx.
    pub(super) tls: bool,
    /// A name or an address.
    pub(super) host: &'a str,
    pub(super) port: u16,
}

impl Subrequests {
    pub(super) fn new() -> Self {
        Self {
            connector: Connector::new(None),
            lookups: Lookups::default(),
        }
    }

    /// How to connect to `origin`.
    ///
    /// # Errors
    /// When its name has no address.
    pub(super) async fn peer(&self, origin: Origin<'_>, timeouts: &Timeouts) -> Result<HttpPeer> {
        let address = self
            .lookups
            .address(origin.host, origin.port)
            .await
            .or_err(ErrorType::ConnectNoRoute, "resolving the host of a subrequest")?;
        // An address is no server name (RFC 6066 §3); Pingora leaves it out.
        let mut peer = HttpPeer::new(address, origin.tls, origin.host.to_owned());
        let options = &mut peer.options;
        options.verify_cert = false;
        options.verify_hostname = false;
        options.connection_timeout = Some(timeouts.connect);
        options.total_connection_timeout = Some(timeouts.connect);
        options.read_timeout = Some(timeouts.read);
        options.write_timeout = Some(timeouts.send);
        options.idle_timeout = Some(UPSTREAM_KEEPALIVE_TIMEOUT);
        Ok(peer)
    }

    /// Sends a request without a body and waits for the head of the final
    /// answer. A pooled connection that turns out to be closed costs another
    /// try on a new one.
    ///
    /// # Errors
    /// No connection, or no answer, in the times that `peer` allows.
    pub(super) async fn send(&self, peer: HttpPeer, head: &RequestHeader) -> Result<Exchange<'_>> {
        self.send_with(peer, head, Bytes::new()).await
    }

    /// [`Subrequests::send`] with a body, whose `Content-Length` stands in
    /// `head`.
    ///
    /// # Errors
    /// As there.
    pub(super) async fn send_with(
        &self,
        peer: HttpPeer,
        head: &RequestHeader,
        body: Bytes,
    ) -> Result<Exchange<'_>> {
        // A connection of HTTP/2 stays in the pool when a stream of it fails.
        let mut another_stream = true;
        loop {
            let (session, reused) = self.connector.get_http_session(&peer).await?;
            let leaves_pool = !matches!(session, HttpSession::H2(_));
            match exchange(session, &peer, head, body.clone()).await {
                Ok(session) => {
                    return Ok(Exchange {
                        connector: &self.connector,
                        peer,
                        session,
                    });
                }
                Err(error)
                    if reused
                        && !is_timeout(&error)
                        && (leaves_pool || std::mem::take(&mut another_stream)) =>
                {
                    tracing::debug!(%error, "pooled connection failed");
                }
                Err(error) => return Err(error),
            }
        }
    }
}

/// Who was silent once may be so again: that is no sign of a closed connection.
fn is_timeout(error: &Error) -> bool {
    matches!(error.etype(), ErrorType::ReadTimedout | ErrorType::WriteTimedout)
}

/// HTTP/2 has the host in the URI (RFC 9113 §8.3.1).
///
/// # Errors
/// `head` has no host, or makes no URI.
pub(super) fn address_by_authority(head: &mut RequestHeader, tls: bool) -> Result<()> {
    let broken = || Error::explain(ErrorType::InvalidHTTPHeader, "no authority for a subrequest");
    let host = head.remove_header(&HOST).ok_or_else(broken)?;
    let uri = Uri::builder()
        .scheme(if tls { "https" } else { "http" })
        .authority(Authority::try_from(host.as_bytes()).map_err(|_| broken())?)
        .path_and_query(head.uri.path_and_query().map_or("/", |path| path.as_str()))
        .build()
        .or_err(ErrorType::InvalidHTTPHeader, "the URI of a subrequest")?;
    head.set_uri(uri);
    Ok(())
}

async fn exchange(
    mut session: HttpSession,
    peer: &HttpPeer,
    head: &RequestHeader,
    body: Bytes,
) -> Result<HttpSession> {
    session.set_read_timeout(peer.options.read_timeout);
    session.set_write_timeout(peer.options.write_timeout);
    session.write_request_header(Box::new(head.clone())).await?;
    if !body.is_empty() {
        session.write_request_body(body, true).await?;
    }
    session.finish_request_body().await?;
    loop {
        session.read_response_header().await?;
        let Some(answer) = session.response_header() else {
            return Error::e_explain(ErrorType::InvalidHTTPHeader, "no head in an answer");
        };
        if !answer.status.is_informational() {
            return Ok(session);
        }
    }
}

/// A subrequest whose answer has begun. Dropped, it closes its connection.
pub(super) struct Exchange<'a> {
    connector: &'a Connector,
    peer: HttpPeer,
    session: HttpSession,
}

impl Exchange<'_> {
    /// The answer's head.
    ///
    /// # Errors
    /// Never: there is one since [`Subrequests::send`].
    pub(super) fn head(&self) -> Result<&ResponseHeader> {
        let head = self.session.response_header();
        head.ok_or_else(|| Error::explain(ErrorType::InternalError, "a subrequest without an answer"))
    }

    /// The whole body and, of HTTP/2, the trailers behind it; keeps the connection
    /// for others.
    ///
    /// # Errors
    /// The body is longer than `limit` bytes, or does not come.
    pub(super) async fn whole(mut self, limit: usize) -> Result<(Bytes, Option<HeaderMap>)> {
        let mut body = BytesMut::new();
        while let Some(bytes) = self.session.read_response_body().await? {
            if body.len() + bytes.len() > limit {
                return Error::e_explain(ErrorType::InvalidHTTPHeader, "the answer is too long");
            }
            body.extend_from_slice(&bytes);
        }
        let trailers = match &mut self.session {
            HttpSession::H2(session) => session.read_trailers().await?,
            _ => None,
        };
        self.release().await;
        Ok((body.freeze(), trailers))
    }

    /// Reads what is left of the body, if that is at most `limit` bytes and
    /// comes within a second, and keeps the connection for others. Returns how
    /// many bytes were read.
    pub(super) async fn finish(mut self, limit: usize) -> u64 {
        let mut read = 0;
        let rest = async {
            let mut left = limit;
            while let Some(bytes) = self.session.read_response_body().await.ok()? {
                read += bytes.len() as u64;
                left = left.checked_sub(bytes.len())?;
            }
            Some(())
        };
        if let Ok(Some(())) = tokio::time::timeout(Duration::from_secs(1), rest).await {
            self.release().await;
        }
        read
    }

    async fn release(mut self) {
        if let HttpSession::H1(session) = &mut self.session {
            session.respect_keepalive();
        }
        let idle = self.peer.options.idle_timeout;
        self.connector
            .release_http_session(self.session, &self.peer, idle)
            .await;
    }
}
