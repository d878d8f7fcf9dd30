//! The gateway's own answers on the wire.

use std::time::Duration;

use bytes::Bytes;
use http::header::SERVER;
use http::{HeaderValue, Method, StatusCode, Version};
use pingora_core::Result;
use pingora_http::ResponseHeader;
use pingora_proxy::Session;
use tidegate_snapshot::ServerHeader;

use super::context::RequestContext;
use super::fields::Head;
use super::page;
use super::snippet::Known;
use super::{access, authorization};
use crate::policy::{Answer, Reply};

/// Time in which an unwanted body must have come for the connection to be kept.
const DRAIN_TIME: Duration = Duration::from_secs(5);

/// Writes an answer. Does nothing when one is under way already.
///
/// # Errors
/// The client's connection broke.
pub(super) async fn write(session: &mut Session, context: &RequestContext, reply: &Reply) -> Result<()> {
    if is_written(session) {
        return Ok(());
    }
    prepare(session, reply.status);
    let (title, page) = page::of(reply.status);
    let (content_type, body) = match &reply.body {
        Some(body) => (body.content_type.clone(), body.bytes.clone()),
        None => (HeaderValue::from_static("text/html"), page),
    };
    let has_body = !body.is_empty() && session.req_header().method != Method::HEAD;
    let mut head = head(reply, title, content_type, &body)?;
    set_server(&mut head, context)?;
    add_policies(&mut head, session, context, true);
    session.write_response_header(Box::new(head), !has_body).await?;
    if has_body {
        session.write_response_body(Some(body), true).await?;
    }
    session.finish_body().await?;
    linger(session, context);
    Ok(())
}

/// Has the listener read on for a while what a client still sends to a
/// connection that ends with this answer: a reset could overtake the answer.
pub(super) fn linger(session: &mut Session, context: &RequestContext) {
    if session.get_keepalive().is_none()
        && !session.is_body_done()
        && let Some(connection) = &context.connection
    {
        connection.linger();
    }
}

/// Makes the client's connection ready for an answer that does not wait for
/// the request's body.
pub(super) fn prepare(session: &mut Session, status: StatusCode) {
    if closes(status) {
        session.set_keepalive(None);
    }
    discard_body(session);
}

/// Whether the head of a final answer has been sent.
pub(super) fn is_written(session: &Session) -> bool {
    session
        .response_written()
        .is_some_and(|head| !head.status.is_informational() || head.status == StatusCode::SWITCHING_PROTOCOLS)
}

fn head(reply: &Reply, title: &str, content_type: HeaderValue, body: &Bytes) -> Result<ResponseHeader> {
    let mut head = ResponseHeader::build(reply.status, Some(6))?;
    head.set_reason_phrase(Some(title))?;
    if !body.is_empty() || reply.body.is_some() {
        head.insert_header("Content-Type", content_type)?;
    }
    let bodiless = matches!(reply.status, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED);
    if !bodiless && !reply.status.is_informational() {
        head.insert_header("Content-Length", HeaderValue::from(body.len()))?;
    }
    for (name, value) in &reply.fields {
        head.append_header(name.spelling().clone(), value.clone())?;
    }
    Ok(head)
}

/// The `Server` field: none unless the ConfigMap asks for one (`server-tokens`).
pub(super) fn set_server(head: &mut ResponseHeader, context: &RequestContext) -> Result<()> {
    let wanted = context
        .inbound
        .as_ref()
        .map(|inbound| inbound.http().server_header);
    match wanted.unwrap_or_default() {
        ServerHeader::Backend if head.headers.contains_key(SERVER) => {}
        ServerHeader::Own | ServerHeader::Backend => {
            head.insert_header("Server", HeaderValue::from_static("tidegate"))?;
        }
        ServerHeader::None => drop(head.remove_header(&SERVER)),
    }
    Ok(())
}

/// Applies the route's policies to the head of a final answer.
pub(super) fn add_policies(
    head: &mut ResponseHeader,
    session: &Session,
    context: &RequestContext,
    is_own: bool,
) {
    let (Some(policies), Some(inbound)) = (context.policies(), &context.inbound) else {
        return;
    };
    access::add_cookies(head, context);
    authorization::tell(head, context);
    // A field is made of the port, which only snippets need.
    let known = policies.snippets.is_some().then(|| Known::new(inbound));
    let answer = Answer {
        request: &inbound.view(session.req_header()),
        request_id: context.request_id(),
        status: head.status,
        is_own,
        surroundings: known
            .as_ref()
            .map(|known| known.surroundings(context))
            .unwrap_or_default(),
    };
    policies.on_response(&answer, &mut Head(head));
}

/// After these nginx closes the connection (`ngx_http_special_response_handler`).
fn closes(status: StatusCode) -> bool {
    matches!(status.as_u16(), 400 | 408 | 413 | 414 | 500 | 501)
}

/// Lets a connection live on although the request's body was not read: it is
/// read and thrown away after the answer. Not when the client waits for `100
/// Continue` before it sends any.
fn discard_body(session: &mut Session) {
    let waits = session.req_header().headers.contains_key(http::header::EXPECT);
    if !waits && session.req_header().version != Version::HTTP_2 {
        session.set_close_on_response_before_downstream_finish(false);
        session.set_total_drain_timeout(Some(DRAIN_TIME));
    }
}
