//! Who answers in place of a route's targets: the default backend while there
//! is no endpoint (`default-backend`), and the Service that makes error pages
//! (`custom-http-errors`). Both are proxied like any other request, as
//! Pingora's next try, so that pages are streamed and clients keep their
//! connections.

use bytes::Bytes;
use http::header::{
    ACCEPT, CONNECTION, CONTENT_LENGTH, IF_MATCH, IF_MODIFIED_SINCE, IF_NONE_MATCH, IF_RANGE,
    IF_UNMODIFIED_SINCE, RANGE, TRAILER, TRANSFER_ENCODING, UPGRADE, WWW_AUTHENTICATE,
};
use http::{HeaderName, HeaderValue, StatusCode};
use pingora_core::{Error, ErrorType, Result};
use pingora_http::{RequestHeader, ResponseHeader};

use super::context::RequestContext;
use super::inbound;
use crate::policy::{Author, Reply};
use crate::router::Route;
use crate::upstream::Pick;

/// What stands in a request for an error page only for the sake of the
/// original answer. A page is made whole, whatever the client has of that.
const NOT_FOR_PAGES: [HeaderName; 11] = [
    CONNECTION,
    CONTENT_LENGTH,
    IF_MATCH,
    IF_MODIFIED_SINCE,
    IF_NONE_MATCH,
    IF_RANGE,
    IF_UNMODIFIED_SINCE,
    RANGE,
    TRAILER,
    TRANSFER_ENCODING,
    UPGRADE,
];

/// Who answers in place of the targets, by its place in [`Route::stand_ins`].
pub(super) enum StandIn {
    /// The default backend gets the request as it is.
    DefaultBackend(usize),
    /// It is asked for the page of an answer.
    Page(usize, Page),
}

/// The page of an answer.
pub(super) struct Page {
    answer: Reply,
    author: Author,
    /// Whether the current try has ended the request's body, which is empty.
    body_ended: bool,
}

impl Page {
    /// Another try begins.
    pub(super) fn rewind(&mut self) {
        self.body_ended = false;
    }

    /// Keeps the client's body from the upstream. To Pingora no piece is the
    /// end of the body, an empty one is not worth sending.
    pub(super) fn withhold(&mut self, body: &mut Option<Bytes>) {
        *body = std::mem::replace(&mut self.body_ended, true).then(Bytes::new);
    }
}

/// Sends a request without an endpoint to the route's own default backend; an
/// endpoint of that. Where the global default backend would have answered, the
/// built-in one does.
pub(super) fn fall_back(context: &mut RequestContext) -> Option<Pick> {
    if context.without_endpoint() != StatusCode::SERVICE_UNAVAILABLE {
        return None;
    }
    let route = context.route.as_ref()?;
    let at = route.default_backend()?;
    let pick = pick(route, at)?;
    context.stand_in = Some(StandIn::DefaultBackend(at));
    Some(pick)
}

/// Looks for a page in place of an answer, and makes the Service that has one
/// the request's next upstream.
///
/// # Errors
/// The answer that the client gets, where nobody is asked: `answer` itself if
/// the route has no page for it, and the built-in default backend's if that
/// makes the pages. A page that cannot be had has no page itself.
pub(super) fn ask(answer: Reply, author: Author, context: &mut RequestContext) -> Result<(), Reply> {
    let answer = match context.stand_in.take() {
        None => answer,
        Some(StandIn::Page(_, page)) if page.author == Author::Refusal => return Err(page.answer),
        Some(stand_in) => {
            context.stand_in = Some(stand_in);
            return Err(answer);
        }
    };
    let Some(route) = &context.route else {
        return Err(answer);
    };
    let pages = route.policies.error_pages.as_ref();
    if context.is_refused_by_host || !pages.is_some_and(|pages| pages.replaces(answer.status, author)) {
        return Err(answer);
    }
    let asked = route.error_backend().and_then(|at| Some((at, pick(route, at)?)));
    match asked {
        Some((at, pick)) => {
            context.tries.start_over(pick);
            let page = Page {
                answer,
                author,
                body_ended: false,
            };
            context.stand_in = Some(StandIn::Page(at, page));
            Ok(())
        }
        None if author == Author::Refusal => Err(answer),
        None => Err(Reply::status(StatusCode::NOT_FOUND)),
    }
}

fn pick(route: &Route, at: usize) -> Option<Pick> {
    route.stand_ins.get(at)?.cluster.as_deref()?.pick(0, &[])
}

/// Whether a page takes the place of a backend's answer.
pub(super) fn intercepts(status: StatusCode, context: &RequestContext) -> bool {
    let pages = context
        .policies()
        .and_then(|policies| policies.error_pages.as_ref());
    let replaces = || pages.is_some_and(|pages| pages.replaces(status, Author::Backend));
    context.stand_in.is_none() && replaces()
}

/// Gives a backend's answer up for a page: the error that makes Pingora do so.
pub(super) fn intercept(answer: &ResponseHeader, context: &mut RequestContext) -> Box<Error> {
    let mut reply = Reply::status(answer.status);
    // As nginx does: without it nobody can log in.
    for challenge in answer.headers.get_all(WWW_AUTHENTICATE) {
        reply = reply.with(Reply::CHALLENGE, challenge.clone());
    }
    context.is_intercepted = true;
    context.last_word = ask(reply, Author::Backend, context).err();
    let status = ErrorType::HTTPStatus(answer.status.as_u16());
    Error::explain(status, "a page takes the place of this answer").into_up()
}

/// Tells a stand-in why it is asked: ingress-nginx's fields. A request for a
/// page is about `/` with the client's query, has the client's method, and no
/// body.
///
/// # Errors
/// Only if a value taken from the request cannot be one, which parsing has
/// excluded.
pub(super) fn describe(
    head: &mut RequestHeader,
    client: &RequestHeader,
    has_body: bool,
    context: &RequestContext,
) -> Result<()> {
    let (Some(stand_in), Some(route)) = (&context.stand_in, &context.route) else {
        return Ok(());
    };
    let status = match stand_in {
        StandIn::DefaultBackend(_) => StatusCode::SERVICE_UNAVAILABLE,
        StandIn::Page(_, page) => page.answer.status,
    };
    set(head, "X-Code", status.as_str())?;
    match client.headers.get(ACCEPT) {
        Some(accept) => head.insert_header("X-Format", accept.clone())?,
        None => drop(head.remove_header("X-Format")),
    }
    // Unknown hosts and paths are nobody's.
    let origin = Some(&route.spec.origin).filter(|origin| *origin.kind == *"Ingress");
    let namespace = origin.map_or("", |origin| &origin.namespace);
    set(head, "X-Namespace", namespace)?;
    set(head, "X-Ingress-Name", origin.map_or("", |origin| &origin.name))?;
    let target = origin.and_then(|_| context.target());
    let (service, port) = target.map_or(("", ""), |target| target.service(namespace));
    set(head, "X-Service-Name", service)?;
    set(head, "X-Service-Port", port)?;
    if let StandIn::Page(..) = stand_in {
        set(head, "X-Original-URI", inbound::uri(client))?;
        for name in &NOT_FOR_PAGES {
            head.remove_header(name);
        }
        if has_body {
            head.insert_header("Content-Length", HeaderValue::from_static("0"))?;
        }
        let query = inbound::uri(client).split_once('?');
        let target = query.map_or_else(|| "/".to_owned(), |(_, query)| format!("/?{query}"));
        head.set_raw_path(target.as_bytes())?;
    }
    Ok(())
}

/// An empty value is no field, as in nginx; the client's own never passes.
fn set(head: &mut RequestHeader, name: &'static str, value: &str) -> Result<()> {
    if value.is_empty() {
        head.remove_header(name);
        return Ok(());
    }
    head.insert_header(name, value)
}

/// Makes the answer of the one that a page takes the place of: what a refusal
/// says stands, its status above all.
///
/// # Errors
/// Never: status and fields have been valid before.
pub(super) fn settle(response: &mut ResponseHeader, context: &RequestContext) -> Result<()> {
    let Some(StandIn::Page(_, page)) = &context.stand_in else {
        return Ok(());
    };
    if page.author == Author::Refusal {
        let headers = &response.headers;
        let is_framed = headers.contains_key(CONTENT_LENGTH) || headers.contains_key(TRANSFER_ENCODING);
        if !is_framed || matches!(response.status.as_u16(), 204 | 304) {
            // What has no body by its status has an empty one by this.
            response.remove_header(&TRANSFER_ENCODING);
            response.insert_header("Content-Length", HeaderValue::from_static("0"))?;
        }
        response.set_status(page.answer.status)?;
        response.set_reason_phrase(None)?;
    }
    for (name, value) in &page.answer.fields {
        response.append_header(name.spelling().clone(), value.clone())?;
    }
    Ok(())
}
