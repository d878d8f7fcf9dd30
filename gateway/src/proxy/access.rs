//! Whether a request with a route and an endpoint may go on: limits, then the
//! ways to be let in.

use std::time::{Instant, SystemTime};

use http::StatusCode;
use http::header::AUTHORIZATION;
use pingora_core::Result;
use pingora_http::{RequestHeader, ResponseHeader};

use super::context::RequestContext;
use super::external_auth::{Asked, Question};
use super::fields::Head;
use super::forwarded;
use super::inbound::Inbound;
use super::logging;
use super::passwords::Passwords;
use super::subrequest::Subrequests;
use crate::observe::access_log::AccessLog;
use crate::policy::{Access, Answers, Check, Reply, Tally, client_auth};
use crate::request::RequestView;
use crate::router::Route;
use crate::template::Values;

/// What letting requests in takes; one for a proxy.
pub(super) struct Gatekeeper {
    passwords: Passwords,
    answers: Answers,
}

/// Counts the request. What it counts as under way ends with the request.
pub(super) fn limit(
    client: &RequestHeader,
    inbound: &Inbound,
    context: &mut RequestContext,
) -> Option<Reply> {
    let route = context.route.as_ref()?;
    let limits = route.policies.limits.as_ref()?;
    let view = inbound.view(client);
    let port = forwarded::port(inbound);
    let values = Values {
        request_id: context.request_id(),
        port: port.as_bytes(),
        route: Some((&route.spec.origin, &route.spec.path)),
        ..Values::of(&view)
    };
    match limits.take(&values) {
        Ok(permit) => {
            context.permit = permit;
            None
        }
        Err(reply) => Some(reply),
    }
}

impl Gatekeeper {
    pub(super) fn new() -> Self {
        Self {
            passwords: Passwords::new(),
            answers: Answers::default(),
        }
    }

    /// Asks every way to be let in, until one settles it. `None`: come in.
    pub(super) async fn check(
        &self,
        access: &Access,
        route: &Route,
        client: &RequestHeader,
        context: &mut RequestContext,
        subrequests: &Subrequests,
        log: &AccessLog,
    ) -> Option<Reply> {
        let inbound = context.inbound.as_ref()?;
        let view = inbound.view(client);
        let port = forwarded::port(inbound);
        let values = Values {
            request_id: context.request_id.as_ref().map_or(b"", |id| id.as_bytes()),
            port: port.as_bytes(),
            route: Some((&route.spec.origin, &route.spec.path)),
            ..Values::of(&view)
        };
        let mut tally = access.tally();
        if let Some(source_range) = &access.source_range
            && let Some(verdict) = source_range.check(inbound.client_ip)
            && tally.count(verdict)
        {
            return settle(tally, access, &values);
        }
        if let Some(basic) = &access.basic_auth {
            let verdict = match basic.check(view.header(&AUTHORIZATION)) {
                Check::Done(verdict) => verdict,
                Check::Verify(verification) => basic.verdict(self.passwords.verify(verification).await),
            };
            if tally.count(verdict) {
                return settle(tally, access, &values);
            }
        }
        if let Some(digest) = &access.digest_auth
            && tally.count(digest.check(&view, SystemTime::now()))
        {
            return settle(tally, access, &values);
        }
        if let Some(auth) = &access.external_auth {
            let question = Question {
                auth,
                client,
                inbound,
                values: &values,
                timeouts: &route.policies.timeouts,
                route,
                span: context.span.as_deref(),
            };
            let (began, mut asked) = (Instant::now(), Asked::default());
            let (verdict, heard) = question.ask(subrequests, &self.answers, &mut asked).await;
            if log.takes_questions()
                && logging::takes(log, client, context)
                && let Some(record) = logging::question(log, client, context, asked, began.elapsed())
            {
                log.log(&record);
            }
            tally.count(verdict);
            let reply = settle(tally, access, &values);
            context.heard = heard;
            return reply;
        }
        settle(tally, access, &values)
    }
}

/// Says what is known of the client's certificate, and nothing that the client
/// says of it.
pub(super) fn tell_certificate(head: &mut RequestHeader, route: &Route, inbound: &Inbound) {
    let client = inbound
        .connection
        .tls
        .as_ref()
        .and_then(|tls| tls.client.as_ref());
    client_auth::tell(route.client_auth.as_deref(), client, &mut Head(head));
}

/// nginx maps 401 to the sign-in page wherever on the location it comes from.
fn settle(tally: Tally, access: &Access, values: &Values<'_>) -> Option<Reply> {
    let refusal = tally.refusal()?;
    if refusal.status == StatusCode::UNAUTHORIZED
        && let Some(auth) = &access.external_auth
        && let Some(reply) = auth.signin(values)
    {
        return Some(reply);
    }
    Some(refusal)
}

/// What having been let in changes of the request to the backend: passwords
/// stay here, and what the service says of the client replaces what the client
/// says of itself.
pub(super) fn forward(head: &mut RequestHeader, context: &RequestContext) -> Result<()> {
    if let (Some(route), Some(inbound)) = (&context.route, &context.inbound) {
        tell_certificate(head, route, inbound);
    }
    let Some(access) = context.policies().and_then(|policies| policies.access.as_ref()) else {
        return Ok(());
    };
    if access.basic_auth.is_some() || access.digest_auth.is_some() {
        head.remove_header(&AUTHORIZATION);
    }
    if let Some(auth) = &access.external_auth {
        for (name, value) in auth.forwarded(context.heard.as_deref()) {
            match value {
                Some(value) => head.insert_header(name.spelling().clone(), value.clone())?,
                None => drop(head.remove_header(name.name())),
            }
        }
    }
    Ok(())
}

/// The service's cookies go to the client too.
pub(super) fn add_cookies(head: &mut ResponseHeader, context: &RequestContext) {
    let auth = context
        .policies()
        .and_then(|policies| policies.access.as_ref()?.external_auth.as_ref());
    if let (Some(auth), Some(heard)) = (auth, &context.heard) {
        for cookie in auth.cookies(heard, head.status) {
            // It fails only on names and values that these types exclude.
            let _ = head.append_header("Set-Cookie", cookie.clone());
        }
    }
}
