//! The quick way to the upstream's head, for nearly all requests of HTTP/1:
//! what is the same for every request of a connection is made once, with room
//! for the rest, and copied; the client's fields follow. Editing a copy of the
//! client's head, field by field, costs several times as much, because its
//! maps have to grow again and again.

use http::header::HOST;
use http::{HeaderName, Version};
use pingora_core::Result;
use pingora_http::RequestHeader;

use super::{address, port};
use crate::proxy::client::X_FORWARDED_FOR;
use crate::proxy::context::RequestContext;
use crate::proxy::inbound::{Inbound, X_FORWARDED_HOST};

/// Fields that find room without growth.
const ROOM: usize = 24;

/// What becomes of a client's field.
#[derive(Debug, PartialEq, Eq)]
enum Fate {
    Passes,
    /// It concerns the client's connection only, or ours takes its place.
    Dropped,
    /// Only [`super::edit`] knows.
    Difficult,
}

fn fate(name: &HeaderName) -> Fate {
    match name.as_str() {
        "upgrade" | "x-forwarded-for" | "x-forwarded-host" => Fate::Difficult,
        "connection" | "te" | "keep-alive" | "expect" | "proxy" => Fate::Dropped,
        "x-request-id"
        | "x-real-ip"
        | "x-forwarded-port"
        | "x-forwarded-proto"
        | "x-forwarded-scheme"
        | "x-scheme"
        | "x-original-forwarded-for"
        | "x-original-forwarded-host" => Fate::Dropped,
        _ => Fate::Passes,
    }
}

/// The same head as [`super::edit`] makes, in another order (ours before the
/// client's, as nginx writes them); `None` for requests that need more than
/// this knows.
pub(super) fn head(
    upstream: &RequestHeader,
    client: &RequestHeader,
    inbound: &Inbound,
    context: &RequestContext,
) -> Result<Option<RequestHeader>> {
    let real_ip = &inbound.http().real_ip;
    let plain = client.has_case()
        && upstream.version == Version::HTTP_11
        && client.raw_path_is_utf8()
        && client.raw_path().starts_with(b"/")
        && !real_ip.use_forwarded_headers
        && !real_ip.enable_real_ip
        && real_ip.header == X_FORWARDED_FOR
        && real_ip.host_header == X_FORWARDED_HOST
        && !inbound.connection.is_early();
    let (true, Some(host), Some(id)) = (plain, client.headers.get(HOST), &context.request_id) else {
        return Ok(None);
    };
    if client.headers.keys().any(|name| fate(name) == Fate::Difficult) {
        return Ok(None);
    }
    let Some(template) = template(inbound) else {
        return Ok(None);
    };
    let mut head = template.clone();
    head.set_method(client.method.clone());
    head.set_uri(client.uri.clone());
    head.set_version(upstream.version);
    head.append_header("X-Request-ID", id.clone())?;
    head.append_header("X-Forwarded-Host", host.clone())?;
    // Both iterate in the same order.
    for (name, (spelling, value)) in client.headers.iter().zip(client.case_header_iter()) {
        if fate(name.0) == Fate::Passes {
            head.append_header(spelling.clone(), value.clone())?;
        }
    }
    Ok(Some(head))
}

/// The connection's template; `None` when its listener has changed since that
/// was made, or it cannot be made.
fn template(inbound: &Inbound) -> Option<&RequestHeader> {
    let (listener, head) = inbound
        .connection
        .forwarded
        .get_or_init(|| Some((inbound.listener.clone(), Box::new(make(inbound).ok()?))))
        .as_ref()?;
    std::sync::Arc::ptr_eq(listener, &inbound.listener).then_some(&**head)
}

fn make(inbound: &Inbound) -> Result<RequestHeader> {
    let mut head = RequestHeader::build("GET", b"/", Some(ROOM))?;
    let client = address(inbound.client_ip);
    head.append_header("X-Real-IP", client.clone())?;
    head.append_header("X-Forwarded-For", client)?;
    head.append_header("X-Forwarded-Port", port(inbound))?;
    let scheme = inbound.scheme.value();
    head.append_header("X-Forwarded-Proto", scheme.clone())?;
    head.append_header("X-Forwarded-Scheme", scheme.clone())?;
    head.append_header("X-Scheme", scheme)?;
    // A copy has room for hashes, but none for fields: an idle connection
    // should not hold that.
    Ok(head.clone())
}

#[cfg(test)]
mod tests;
