//! What follows a failed try: another one, a request for an error page in place
//! of the failure's answer, or that answer.

use pingora_core::Error;
use pingora_proxy::Session;

use super::context::RequestContext;
use super::failure::Failure;
use super::{answer, error_page, inbound};
use crate::policy::{Author, Reply};

/// Marks an error as worth another try, or not.
pub(super) fn decide(session: &Session, context: &mut RequestContext, error: &mut Error) {
    if std::mem::take(&mut context.is_intercepted) {
        error.set_retry(context.last_word.is_none());
        return;
    }
    let Some(route) = context.route.clone() else {
        return;
    };
    let failure = Failure::of(error);
    let method = &session.req_header().method;
    let target = context
        .upstream()
        .map_or(&route.metrics, |target| &target.metrics)
        .clone();
    let another = context
        .tries
        .failed_with(failure, method, &route.policies.retry, &target);
    // A body beyond Pingora's buffer cannot be sent again.
    let replayable = !session.as_ref().retry_buffer_truncated() || context.asks_for_page();
    let again = (another && replayable) || ask_for_page(session, context, failure, error);
    error.set_retry(again && !answer::is_written(session));
}

/// After the last try: whether a page is asked for in place of the failure's
/// answer. Not after failures that leave nothing to read from the client.
fn ask_for_page(session: &Session, context: &mut RequestContext, failure: Failure, error: &Error) -> bool {
    let author = match failure {
        Failure::Upstream(_) => Author::Failure,
        Failure::BodyTooLarge => Author::Refusal,
        _ => return false,
    };
    let Some(status) = failure.answer().filter(|_| !answer::is_written(session)) else {
        return false;
    };
    let failed = upstream_name(context).to_owned();
    match error_page::ask(Reply::status(status), author, context) {
        Ok(()) => {
            context.failure = Some(failure);
            tell(session, &failed, failure, error);
            true
        }
        Err(answer) => {
            context.last_word = Some(answer);
            false
        }
    }
}

/// The key of the cluster that the request goes to.
pub(super) fn upstream_name(context: &RequestContext) -> &str {
    context
        .upstream()
        .map(|target| &*target.key.0)
        .unwrap_or_default()
}

/// Logs a failure: the upstream's and our own for operators, clients' only for
/// debugging.
pub(super) fn tell(session: &Session, upstream: &str, failure: Failure, error: &Error) {
    let uri = inbound::uri(session.req_header());
    match failure {
        Failure::Upstream(_) => {
            tracing::warn!(upstream, uri, reason = failure.reason(), %error, "upstream failed");
        }
        Failure::Internal => tracing::error!(upstream, uri, %error, "request failed inside the gateway"),
        _ => tracing::debug!(uri, reason = failure.reason(), %error, "request failed"),
    }
}
