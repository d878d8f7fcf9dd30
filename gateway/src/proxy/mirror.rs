//! Copies of requests for another server (nginx `mirror`, Gateway API
//! `RequestMirror`). A copy never delays its original: it is sent by a task of its own, and left out where it would
//! take too much memory or too many are under way.

mod cluster;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::header::{CONNECTION, CONTENT_LENGTH, EXPECT, HOST, TE, TRANSFER_ENCODING, UPGRADE};
use http::{HeaderName, HeaderValue, Uri, Version};
use pingora_core::{Error, ErrorType, OrErr, Result};
use pingora_http::RequestHeader;
use tidegate_snapshot::policy::Timeouts;

use super::body::LARGEST;
use super::context::RequestContext;
use super::subrequest::{Origin, Subrequests};
use crate::template::{Values, filled};
use cluster::{Drawn, ToCluster};

/// Copies under way at a time.
const MAX_COPIES: usize = 512;
/// How much of an answer is read to keep the connection.
const MAX_ANSWER: usize = 64 * 1024;
/// For a whole copy, answer included.
const TIME: Duration = Duration::from_secs(60);
const TIMEOUTS: Timeouts = Timeouts::new(Duration::from_secs(5), TIME, TIME);

/// The copies of all requests.
#[derive(Default)]
pub(super) struct Mirrors {
    under_way: Arc<AtomicUsize>,
}

/// The copy of one request.
pub(super) struct Copy {
    /// `None`: no copy is sent, or it has been.
    body: Option<BytesMut>,
    /// Of copies for clusters (Gateway API): what the upstream gets, and whom
    /// the draws have chosen.
    drawn: Option<Drawn>,
}

impl Mirrors {
    /// To be called with the upstream's head: draws who gets a copy.
    pub(super) fn on_head(request: &RequestHeader, context: &mut RequestContext) {
        let mirrors = context.mirrors();
        // What goes to and fro in a tunnel is no request.
        let may = !mirrors.is_empty() && !request.headers.contains_key(UPGRADE);
        if !may || context.copy.is_some() || context.asks_for_page() {
            return;
        }
        let drawn = Drawn::of(request, mirrors);
        context.copy = Some(Copy {
            body: drawn.is_some().then(BytesMut::new),
            drawn,
        });
    }

    /// To be called with each piece of the body on its way to the upstream, and
    /// at its end. A request that is tried again is copied once.
    pub(super) fn on_body(
        &self,
        request: &RequestHeader,
        piece: Option<&Bytes>,
        end: bool,
        context: &mut RequestContext,
        subrequests: &Arc<Subrequests>,
    ) {
        let mirror = context.policies().and_then(|policies| policies.mirror.as_ref());
        if mirror.is_none() && context.copy.is_none() {
            return;
        }
        let by_url = mirror.is_some();
        let has_body = mirror.is_none_or(|mirror| mirror.body);
        let mut copy = context.copy.take().unwrap_or_else(|| Copy {
            body: Some(BytesMut::new()),
            drawn: None,
        });
        if let (Some(body), Some(piece), true) = (&mut copy.body, piece, has_body) {
            if body.len() + piece.len() > LARGEST {
                tracing::debug!("request too large to be mirrored");
                copy.body = None;
            } else {
                body.extend_from_slice(piece);
            }
        }
        if (end || !has_body)
            && let Some(body) = copy.body.take()
        {
            let body = body.freeze();
            for to_cluster in copy.drawn.take().into_iter().flat_map(Drawn::copies) {
                self.send(To::Cluster(to_cluster), body.clone(), subrequests);
            }
            if by_url {
                match Target::of(request, &body, context) {
                    Ok(target) => self.send(To::Url(target), body, subrequests),
                    Err(error) => tracing::debug!(%error, "request not mirrored"),
                }
            }
        }
        context.copy = Some(copy);
    }

    fn send(&self, copy: To, body: Bytes, subrequests: &Arc<Subrequests>) {
        let under_way = Arc::clone(&self.under_way);
        if under_way.fetch_add(1, Ordering::Relaxed) >= MAX_COPIES {
            under_way.fetch_sub(1, Ordering::Relaxed);
            tracing::debug!("request not mirrored: too many copies are under way");
            return;
        }
        let subrequests = Arc::clone(subrequests);
        tokio::spawn(async move {
            let sent = async {
                match copy {
                    To::Url(target) => target.send(&subrequests, body).await,
                    To::Cluster(copy) => copy.send(&subrequests, body).await,
                }
            };
            match tokio::time::timeout(TIME, sent).await {
                Ok(Ok(())) => {}
                Ok(Err(error)) => tracing::debug!(%error, "mirror failed"),
                Err(_) => tracing::debug!("mirror too slow"),
            }
            under_way.fetch_sub(1, Ordering::Relaxed);
        });
    }
}

/// Where a copy goes.
enum To {
    Url(Target),
    Cluster(ToCluster),
}

/// The URL that a copy goes to, and its head.
struct Target {
    tls: bool,
    host: String,
    port: u16,
    head: RequestHeader,
}

impl Target {
    fn of(request: &RequestHeader, body: &Bytes, context: &RequestContext) -> Result<Self> {
        let (Some(inbound), Some(route)) = (&context.inbound, &context.route) else {
            return Error::e_explain(ErrorType::InternalError, "nothing to mirror");
        };
        let Some(mirror) = &route.policies.mirror else {
            return Error::e_explain(ErrorType::InternalError, "nothing to mirror");
        };
        let view = inbound.view(request);
        let values = Values {
            request_id: context.request_id.as_ref().map_or(b"", |id| id.as_bytes()),
            route: Some((&route.spec.origin, &route.spec.path)),
            ..Values::of(&view)
        };
        let broken = || Error::explain(ErrorType::InvalidHTTPHeader, "the mirror's target is not a URL");
        let url = String::from_utf8(filled(&mirror.target, &values)).map_err(|_| broken())?;
        let url: Uri = url.parse().map_err(|_| broken())?;
        let tls = url.scheme_str() == Some("https");
        let authority = url.authority().ok_or_else(broken)?;
        let host = match &mirror.host {
            Some(host) => filled(host, &values),
            None => authority.as_str().as_bytes().to_vec(),
        };
        let path = url.path_and_query().map_or("/", |path| path.as_str());
        Ok(Self {
            tls,
            host: authority.host().trim_matches(['[', ']']).to_owned(),
            port: authority.port_u16().unwrap_or(if tls { 443 } else { 80 }),
            head: head(request, path, host, body, mirror.body)?,
        })
    }

    async fn send(self, subrequests: &Subrequests, body: Bytes) -> Result<()> {
        let origin = Origin {
            tls: self.tls,
            host: &self.host,
            port: self.port,
        };
        let peer = subrequests.peer(origin, &TIMEOUTS).await?;
        let exchange = subrequests.send_with(peer, &self.head, body).await?;
        exchange.finish(MAX_ANSWER).await;
        Ok(())
    }
}

/// The client's head, for another host.
fn head(
    request: &RequestHeader,
    path: &str,
    host: Vec<u8>,
    body: &Bytes,
    with_body: bool,
) -> Result<RequestHeader> {
    const OWN: [HeaderName; 7] = [
        HOST,
        CONNECTION,
        UPGRADE,
        TE,
        EXPECT,
        TRANSFER_ENCODING,
        CONTENT_LENGTH,
    ];
    let mut head = RequestHeader::build(request.method.clone(), path.as_bytes(), None)?;
    head.set_version(Version::HTTP_11);
    let host = HeaderValue::from_maybe_shared(Bytes::from(host));
    head.insert_header(
        "Host",
        host.or_err(ErrorType::InvalidHTTPHeader, "the mirror's host")?,
    )?;
    for (name, value) in request.headers.iter().filter(|(name, _)| !OWN.contains(name)) {
        head.append_header(name.clone(), value.clone())?;
    }
    if with_body && (!body.is_empty() || request.headers.contains_key(CONTENT_LENGTH)) {
        head.insert_header("Content-Length", HeaderValue::from(body.len()))?;
    }
    Ok(head)
}
