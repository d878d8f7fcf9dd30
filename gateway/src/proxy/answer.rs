//! The gateway's own answers on the wire.

use std::time::Duration;

use http::{HeaderValue, Method, StatusCode, Version};
use pingora_core::Result;
use pingora_http::ResponseHeader;
use pingora_proxy::Session;

use super::context::RequestContext;
use super::page;
use crate::policy::Reply;

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
    if closes(reply.status) {
        session.set_keepalive(None);
    }
    discard_body(session);
    let (title, body) = page::of(reply.status);
    let has_body = !body.is_empty() && session.req_header().method != Method::HEAD;
    let head = head(context, reply, title, body.len())?;
    session.write_response_header(Box::new(head), !has_body).await?;
    if has_body {
        session.write_response_body(Some(body), true).await?;
    }
    session.finish_body().await?;
    if session.get_keepalive().is_none()
        && !session.is_body_done()
        && let Some(connection) = &context.connection
    {
        connection.linger();
    }
    Ok(())
}

/// Whether the head of a final answer has been sent.
pub(super) fn is_written(session: &Session) -> bool {
    session
        .response_written()
        .is_some_and(|head| !head.status.is_informational() || head.status == StatusCode::SWITCHING_PROTOCOLS)
}

fn head(context: &RequestContext, reply: &Reply, title: &str, length: usize) -> Result<ResponseHeader> {
    let mut head = ResponseHeader::build(reply.status, Some(6))?;
    head.set_reason_phrase(Some(title))?;
    if length > 0 {
        head.insert_header("Content-Type", HeaderValue::from_static("text/html"))?;
    }
    let bodiless = matches!(reply.status, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED);
    if !bodiless && !reply.status.is_informational() {
        head.insert_header("Content-Length", HeaderValue::from(length))?;
    }
    if let Some(location) = &reply.location {
        head.insert_header("Location", location.as_str())?;
    }
    add_hsts(&mut head, context)?;
    Ok(head)
}

/// `Strict-Transport-Security` where the route has it, instead of whatever the
/// upstream said.
pub(super) fn add_hsts(head: &mut ResponseHeader, context: &RequestContext) -> Result<()> {
    let hsts = context.policies().and_then(|policies| policies.hsts.as_ref());
    match hsts.and_then(|hsts| hsts.on_response(context.is_tls())) {
        Some(value) => head.insert_header("Strict-Transport-Security", value.clone()),
        None => Ok(()),
    }
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
