//! Asking the Services of a route, and of the backend that is chosen, about a
//! request (Gateway API `ExternalAuth`).

use std::net::SocketAddr;
use std::time::{Duration, Instant, SystemTime};

use bytes::Bytes;
use http::header::{CONTENT_LENGTH, CONTENT_TYPE};
use http::{HeaderMap, HeaderValue, Method};
use pingora_core::upstreams::peer::HttpPeer;
use pingora_core::{Error, ErrorType, OrErr, Result};
use pingora_http::{RequestHeader, ResponseHeader};
use pingora_proxy::Session;
use pingora_timeout::timeout;
use tidegate_snapshot::UpstreamProtocol;

use super::body::{self, Budget};
use super::context::RequestContext;
use super::deadline;
use super::fields::Head;
use super::inbound::{self, Inbound};
use super::subrequest::{Exchange, Subrequests, address_by_authority};
use super::{expect, head};
use crate::policy::{Authorization, Grant, Judgement, Question, Reply};
use crate::request::RequestView;
use crate::router::Route;
use crate::upstream::{Cluster, FailureKind, Pick};

/// More of an answer's body than this is not read to keep the connection.
const BODY_LIMIT: usize = 64 * 1024;
/// The longest message that is read; that of most gRPC clients.
const MESSAGE_LIMIT: usize = 4 * 1024 * 1024;
/// How long a service may take where the request has no limit of its own.
const PATIENCE: Duration = Duration::from_secs(60);
/// Endpoints that are tried where no connection comes about.
const TRIES: usize = 3;

/// Who is asked.
struct Asked<'a> {
    authorization: &'a Authorization,
    /// `None`: there is no such Service.
    cluster: Option<&'a Cluster>,
}

/// A question, as it goes over a connection.
struct Message {
    head: RequestHeader,
    body: Bytes,
}

/// Asks, if the route or the chosen backend has a service for it. `Ok(None)`:
/// come in.
///
/// # Errors
/// The body that the service is to be told did not come, or cannot be kept; or
/// the request's time is over.
pub(super) async fn check(
    route: &Route,
    session: &mut Session,
    context: &mut RequestContext,
    subrequests: &Subrequests,
    bodies: &Budget,
) -> Result<Option<Reply>> {
    let body = match asked(route, context)
        .map(|asked| asked.authorization.body())
        .max()
    {
        None => return Ok(None),
        Some(0) => Bytes::new(),
        Some(wanted) => read_body(session, context, bodies, wanted).await?,
    };
    let mut granted = Grant::default();
    for asked in asked(route, context) {
        let judging = asked.judge(route, session.req_header(), context, &body, subrequests);
        let left = deadline::left(context);
        let judged = timeout(left.unwrap_or(PATIENCE), judging).await;
        match judged.unwrap_or_else(|_| Error::e_explain(ErrorType::ReadTimedout, "no answer in time")) {
            Ok(Judgement::Granted(grant)) => granted.add(grant),
            Ok(Judgement::Refused(reply)) => return Ok(Some(reply)),
            Err(error) => {
                tracing::debug!(route = ?route.spec.origin, %error, "external authorization failed");
                if deadline::left(context).is_some_and(|left| left.is_zero()) {
                    return deadline::over();
                }
                return Ok(Some(Judgement::failed()));
            }
        }
    }
    context.granted = Some(Box::new(granted));
    Ok(None)
}

/// Those of the route first: its filters come before the backend's.
fn asked<'a>(route: &'a Route, context: &'a RequestContext) -> impl Iterator<Item = Asked<'a>> {
    let own = context.own();
    let places = [
        Some((&*route.policies, &route.authorizer)),
        own.map(|own| (&own.policies, &own.authorizer)),
    ];
    places.into_iter().flatten().filter_map(|(policies, cluster)| {
        Some(Asked {
            authorization: policies.authorization.as_deref()?,
            cluster: cluster.as_deref(),
        })
    })
}

async fn read_body(
    session: &mut Session,
    context: &mut RequestContext,
    bodies: &Budget,
    wanted: usize,
) -> Result<Bytes> {
    expect(session).await?;
    let inbound = context.inbound.as_ref();
    let patience = inbound.map(|inbound| inbound.http().body_timeout);
    context.ahead = body::read_first(session, bodies, patience.unwrap_or_default(), wanted).await?;
    Ok(context.ahead.read(session, wanted))
}

impl Asked<'_> {
    async fn judge(
        &self,
        route: &Route,
        client: &RequestHeader,
        context: &RequestContext,
        body: &Bytes,
        subrequests: &Subrequests,
    ) -> Result<Judgement> {
        let (Some(cluster), Some(inbound)) = (self.cluster, &context.inbound) else {
            return Error::e_explain(ErrorType::InternalError, "there is no such Service");
        };
        let body = body.slice(..body.len().min(self.authorization.body()));
        let mut message = if self.authorization.is_grpc() {
            self.grpc(client, context, inbound, &body)?
        } else {
            self.http(client, inbound, body)?
        };
        if self.authorization.is_grpc() || is_h2(cluster) {
            address_by_authority(&mut message.head, cluster.speaks_tls())?;
        }
        let exchange = ask(cluster, route, &message, subrequests).await?;
        if self.authorization.is_grpc() {
            return self.heed(exchange).await;
        }
        let answer = exchange.head()?;
        let judged = self.authorization.judge(answer.status, &answer.headers);
        exchange.finish(BODY_LIMIT).await;
        Ok(judged)
    }

    /// "The following headers must always be sent: `Host`, `Method`, `Path`,
    /// `Content-Length`, `Authorization`"; without the body "`Content-Length` must
    /// be `0`".
    fn http(&self, client: &RequestHeader, inbound: &Inbound, body: Bytes) -> Result<Message> {
        let view = inbound.view(client);
        let target = self.authorization.target(&view);
        let mut head = RequestHeader::build(client.method.clone(), target.as_bytes(), None)?;
        let host = HeaderValue::from_bytes(view.authority()).or_err(ErrorType::InvalidHTTPHeader, "Host")?;
        head.insert_header("Host", host)?;
        head.insert_header("Content-Length", HeaderValue::from(body.len()))?;
        for (name, value) in &client.headers {
            if self.authorization.tells(name) {
                head.append_header(name.clone(), value.clone())?;
            }
        }
        inbound::join_cookies(&mut head)?;
        Ok(Message { head, body })
    }

    /// A call of [`Authorization::CHECK`] (gRPC over HTTP/2, "Requests").
    fn grpc(
        &self,
        client: &RequestHeader,
        context: &RequestContext,
        inbound: &Inbound,
        body: &[u8],
    ) -> Result<Message> {
        let view = inbound.view(client);
        let connection = &inbound.connection;
        let port = match connection.client {
            known if known.ip() == inbound.client_ip => known.port(),
            _ => 0,
        };
        let length = client.headers.get(CONTENT_LENGTH);
        let length = length.and_then(|length| head::content_length(length.as_bytes()));
        let is_empty = length.is_none() && body.is_empty() && is_bodiless(client);
        let question = Question {
            request: &view,
            headers: &client.headers,
            version: client.version,
            id: context.request_id(),
            client: SocketAddr::new(inbound.client_ip, port),
            local: connection.local,
            server_name: connection.tls.as_ref().and_then(|tls| tls.server_name.as_deref()),
            received: SystemTime::now(),
            body,
            size: if is_empty { Some(0) } else { length },
        };
        let body = self.authorization.check_request(&question);
        let mut head = RequestHeader::build(Method::POST, Authorization::CHECK.as_bytes(), None)?;
        let host = HeaderValue::from_bytes(view.authority()).or_err(ErrorType::InvalidHTTPHeader, "Host")?;
        head.insert_header("Host", host)?;
        head.insert_header("Content-Type", "application/grpc")?;
        head.insert_header("TE", "trailers")?;
        Ok(Message { head, body })
    }

    /// What a service says over gRPC. "Status is sent in trailers", or at once.
    async fn heed(&self, exchange: Exchange<'_>) -> Result<Judgement> {
        let broken = |what: String| Error::explain(ErrorType::InvalidHTTPHeader, what);
        let answer = exchange.head()?;
        let (status, at_once) = (answer.status, grpc_status(&answer.headers).map(str::to_owned));
        let kind = answer.headers.get(CONTENT_TYPE);
        let is_grpc = kind.is_some_and(|kind| kind.as_bytes().starts_with(b"application/grpc"));
        if status != http::StatusCode::OK || !is_grpc {
            return Err(broken(format!("{status} and no answer of gRPC")));
        }
        let (body, trailers) = exchange.whole(MESSAGE_LIMIT).await?;
        let said = trailers.as_ref().and_then(grpc_status).or(at_once.as_deref());
        if said != Some("0") {
            return Err(broken(format!("gRPC status {said:?}")));
        }
        let judged = self.authorization.judge_message(&body);
        judged.ok_or_else(|| broken("an answer that cannot be read".to_owned()))
    }
}

fn grpc_status(fields: &HeaderMap) -> Option<&str> {
    fields.get("grpc-status")?.to_str().ok()
}

/// HTTP/1.1 has a body only where its fields say so (RFC 9112 §6.3).
fn is_bodiless(client: &RequestHeader) -> bool {
    client.version != http::Version::HTTP_2 && !client.headers.contains_key("transfer-encoding")
}

fn is_h2(cluster: &Cluster) -> bool {
    matches!(
        cluster.spec.protocol,
        UpstreamProtocol::H2 | UpstreamProtocol::H2c
    )
}

async fn ask<'a>(
    cluster: &Cluster,
    route: &Route,
    message: &Message,
    subrequests: &'a Subrequests,
) -> Result<Exchange<'a>> {
    let mut failed = Vec::new();
    loop {
        let Some(pick) = cluster.pick(0, &failed) else {
            return Error::e_explain(ErrorType::ConnectNoRoute, "no endpoint to ask");
        };
        let peer = cluster.peer(&pick, false, &route.policies.timeouts);
        match send(*peer, &pick, message, subrequests).await {
            Err(error) if was_unheard(&error) && failed.len() + 1 < TRIES => failed.push(pick.address()),
            outcome => return outcome,
        }
    }
}

async fn send<'a>(
    peer: HttpPeer,
    pick: &Pick,
    message: &Message,
    subrequests: &'a Subrequests,
) -> Result<Exchange<'a>> {
    let began = Instant::now();
    let body = message.body.clone();
    let outcome = subrequests.send_with(peer, &message.head, body).await;
    match &outcome {
        Ok(_) => pick.succeeded(began.elapsed()),
        Err(_) => pick.failed(FailureKind::Connect),
    }
    outcome
}

/// Whether there was no connection that the question could have gone over.
fn was_unheard(error: &Error) -> bool {
    use ErrorType::{ConnectError, ConnectNoRoute, ConnectRefused, ConnectTimedout};
    matches!(
        error.etype(),
        ConnectError | ConnectNoRoute | ConnectRefused | ConnectTimedout
    )
}

/// What the services said replaces what the client says.
pub(super) fn forward(head: &mut RequestHeader, context: &RequestContext) {
    for change in context.granted.iter().flat_map(|granted| &granted.request) {
        change.apply(&mut Head(head));
    }
}

/// The parameters that the services set or remove, in the target as it is sent.
///
/// # Errors
/// Only if the target cannot be one, which escaping has excluded.
pub(super) fn forward_query(head: &mut RequestHeader, context: &RequestContext) -> Result<()> {
    let target = |granted: &Grant| granted.target(inbound::uri(head));
    if let Some(target) = context.granted.as_deref().and_then(target) {
        head.set_raw_path(target.as_bytes())?;
    }
    Ok(())
}

/// What the services tell the client.
pub(super) fn tell(head: &mut ResponseHeader, context: &RequestContext) {
    for change in context.granted.iter().flat_map(|granted| &granted.answer) {
        change.apply(&mut Head(head));
    }
}
