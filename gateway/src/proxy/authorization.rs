//! Asking the Service of a route about a request (Gateway API `ExternalAuth`).

use std::time::Instant;

use bytes::Bytes;
use http::HeaderValue;
use pingora_core::upstreams::peer::HttpPeer;
use pingora_core::{Error, ErrorType, OrErr, Result};
use pingora_http::RequestHeader;
use tidegate_snapshot::UpstreamProtocol;

use super::context::RequestContext;
use super::inbound::{self, Inbound};
use super::subrequest::{Exchange, Subrequests, address_by_authority};
use crate::policy::{Authorization, Judgement, Reply};
use crate::router::Route;
use crate::upstream::{FailureKind, Pick};

/// More of an answer's body than this is not read to keep the connection.
const BODY_LIMIT: usize = 64 * 1024;
/// Endpoints that are tried where no connection comes about.
const TRIES: usize = 3;

/// Asks, if the route has a service for it. `None`: come in.
pub(super) async fn check(
    route: &Route,
    client: &RequestHeader,
    context: &mut RequestContext,
    subrequests: &Subrequests,
) -> Option<Reply> {
    let authorization = route.policies.authorization.as_deref()?;
    let head = context
        .inbound
        .as_ref()
        .map(|inbound| question(authorization, client, inbound));
    let judged = match head? {
        Ok(head) => ask(authorization, route, head, subrequests).await,
        Err(error) => Err(error),
    };
    match judged {
        Ok(Judgement::Granted(fields)) => {
            context.granted = fields;
            None
        }
        Ok(Judgement::Refused(reply)) => Some(reply),
        Err(error) => {
            tracing::debug!(route = ?route.spec.origin, %error, "external authorization failed");
            match Judgement::failed() {
                Judgement::Refused(reply) => Some(reply),
                Judgement::Granted(_) => None,
            }
        }
    }
}

/// "The following headers must always be sent: `Host`, `Method`, `Path`,
/// `Content-Length`, `Authorization`"; without the body "`Content-Length` must
/// be `0`".
fn question(
    authorization: &Authorization,
    client: &RequestHeader,
    inbound: &Inbound,
) -> Result<RequestHeader> {
    use crate::request::RequestView;
    let view = inbound.view(client);
    let target = authorization.target(&view);
    let mut head = RequestHeader::build(client.method.clone(), target.as_bytes(), None)?;
    let host = HeaderValue::from_bytes(view.authority()).or_err(ErrorType::InvalidHTTPHeader, "Host")?;
    head.insert_header("Host", host)?;
    head.insert_header("Content-Length", "0")?;
    for (name, value) in &client.headers {
        if authorization.tells(name) {
            head.append_header(name.clone(), value.clone())?;
        }
    }
    inbound::join_cookies(&mut head)?;
    Ok(head)
}

async fn ask(
    authorization: &Authorization,
    route: &Route,
    mut head: RequestHeader,
    subrequests: &Subrequests,
) -> Result<Judgement> {
    let Some(cluster) = route.authorizer.as_deref() else {
        return Error::e_explain(ErrorType::InternalError, "there is no such Service");
    };
    let is_h2 = matches!(
        cluster.spec.protocol,
        UpstreamProtocol::H2 | UpstreamProtocol::H2c
    );
    if is_h2 {
        address_by_authority(&mut head, cluster.speaks_tls())?;
    }
    let mut failed = Vec::new();
    let exchange = loop {
        let Some(pick) = cluster.pick(0, &failed) else {
            return Error::e_explain(ErrorType::ConnectNoRoute, "no endpoint to ask");
        };
        let peer = cluster.peer(&pick, false, &route.policies.timeouts);
        match send(*peer, &pick, &head, subrequests).await {
            Err(error) if was_unheard(&error) && failed.len() + 1 < TRIES => failed.push(pick.address()),
            outcome => break outcome?,
        }
    };
    let answer = exchange.head()?;
    let judged = authorization.judge(answer.status, &answer.headers);
    exchange.finish(BODY_LIMIT).await;
    Ok(judged)
}

async fn send<'a>(
    peer: HttpPeer,
    pick: &Pick,
    head: &RequestHeader,
    subrequests: &'a Subrequests,
) -> Result<Exchange<'a>> {
    let began = Instant::now();
    let outcome = subrequests.send_with(peer, head, Bytes::new()).await;
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

/// What the service said replaces what the client says.
pub(super) fn forward(head: &mut RequestHeader, context: &RequestContext) -> Result<()> {
    let policies = context.policies();
    let Some(authorization) = policies.and_then(|policies| policies.authorization.as_deref()) else {
        return Ok(());
    };
    for name in authorization.reserved() {
        head.remove_header(name);
    }
    for (name, _) in &context.granted {
        head.remove_header(name);
    }
    for (name, value) in &context.granted {
        head.append_header(name.clone(), value.clone())?;
    }
    Ok(())
}
