//! The head of the request that the upstream gets: ingress-nginx's header set
//! (`proxy_set_header` in its template), in its spelling.

use std::io::Write;
use std::net::IpAddr;

use http::header::{CONNECTION, EXPECT, HOST, TE, TRANSFER_ENCODING, UPGRADE};
use http::{HeaderName, HeaderValue, Version};
use pingora_core::Result;
use pingora_http::RequestHeader;

use super::client::X_FORWARDED_FOR;
use super::context::RequestContext;
use super::fields::Head;
use super::inbound::{self, Inbound};
use crate::template::Values;

mod template;

pub(super) const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
const X_ORIGINAL_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-original-forwarded-for");
const X_ORIGINAL_FORWARDED_HOST: HeaderName = HeaderName::from_static("x-original-forwarded-host");
const PROXY: HeaderName = HeaderName::from_static("proxy");
const KEEP_ALIVE: HeaderName = HeaderName::from_static("keep-alive");
/// The host of a request without one (nginx's name of the default server).
const NO_HOST: HeaderValue = HeaderValue::from_static("_");

/// The request's ID: the client's, or a new one of 32 random hexadecimal
/// digits if one is wanted (`generate-request-id`).
pub(super) fn request_id(head: &RequestHeader, generate: bool) -> Option<HeaderValue> {
    match head.headers.get(X_REQUEST_ID) {
        Some(id) if !id.is_empty() => Some(id.clone()),
        _ => generate.then(random_id),
    }
}

/// 32 random hexadecimal digits.
pub(super) fn random_id() -> HeaderValue {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let mut random: u128 = rand::random();
    let mut text = [0; 32];
    for digit in &mut text {
        *digit = DIGITS[(random & 0xF) as usize];
        random >>= 4;
    }
    HeaderValue::from_bytes(&text).expect("hexadecimal digits make a header value")
}

/// Makes the upstream's head of a copy of the client's. `head.version` is the
/// upstream's already.
///
/// # Errors
/// Only if a value taken from the request cannot be one, which parsing has
/// excluded.
pub(super) fn set(
    head: &mut RequestHeader,
    client: &RequestHeader,
    inbound: &Inbound,
    context: &RequestContext,
) -> Result<()> {
    match template::head(head, client, inbound, context)? {
        Some(made) => *head = made,
        None => edit(head, client, inbound, context)?,
    }
    if context.asks_for_page() {
        // What else a route changes is for its backend.
        return Ok(());
    }
    if let Some(target) = &context.rewritten {
        head.set_raw_path(target.as_bytes())?;
        let rewrite = context.policies().and_then(|policies| policies.rewrite.as_ref());
        if let Some(prefix) = rewrite.and_then(|rewrite| rewrite.forwarded_prefix.as_ref()) {
            head.insert_header("X-Forwarded-Prefix", prefix.clone())?;
        }
    } else if !client.raw_path().starts_with(b"/") && client.version != Version::HTTP_2 {
        // nginx sends the origin form, whatever the client used.
        head.set_raw_path(inbound::uri(client).as_bytes())?;
    }
    if inbound.http().original_uri_header {
        head.insert_header("X-Original-URI", client.raw_path())?;
    }
    custom(head, client, inbound, context);
    Ok(())
}

/// The fields of any request, by editing a copy of the client's.
fn edit(
    head: &mut RequestHeader,
    client: &RequestHeader,
    inbound: &Inbound,
    context: &RequestContext,
) -> Result<()> {
    hop_by_hop(head, client.version)?;
    let host = set_host(head, client, inbound)?;
    if let Some(id) = &context.request_id {
        head.insert_header("X-Request-ID", id.clone())?;
    }
    forwarded_for(head, inbound)?;
    preserve(
        head,
        &inbound.http().real_ip.host_header,
        X_ORIGINAL_FORWARDED_HOST,
        "X-Original-Forwarded-Host",
    )?;
    head.insert_header("X-Forwarded-Host", host)?;
    head.insert_header("X-Forwarded-Port", port(inbound))?;
    let scheme = inbound.scheme.value();
    head.insert_header("X-Forwarded-Proto", scheme.clone())?;
    head.insert_header("X-Forwarded-Scheme", scheme.clone())?;
    head.insert_header("X-Scheme", scheme)?;
    if inbound.connection.is_early() {
        // RFC 8470 section 5.1
        head.insert_header("Early-Data", HeaderValue::from_static("1"))?;
    }
    // https://httpoxy.org
    head.remove_header(&PROXY);
    Ok(())
}

/// What the route has its backend sent instead.
fn custom(head: &mut RequestHeader, client: &RequestHeader, inbound: &Inbound, context: &RequestContext) {
    let Some(route) = &context.route else { return };
    let headers = route.policies.upstream_head.as_ref();
    let snippets = route.policies.snippets.as_ref();
    let snippets = snippets.filter(|snippets| snippets.edits_upstream());
    if headers.is_none() && snippets.is_none() {
        return;
    }
    let cluster = context.target().and_then(|target| target.cluster.as_deref());
    let port = port(inbound);
    let view = inbound.view(client);
    let values = Values {
        request_id: context.request_id(),
        port: port.as_bytes(),
        route: Some((&route.spec.origin, &route.spec.path)),
        service: cluster.map(|cluster| (&*cluster.spec.origin.name, &*cluster.spec.port)),
        ..Values::of(&view)
    };
    if let Some(headers) = headers {
        headers.on_upstream_request(&values, &mut Head(head));
    }
    if let Some(snippets) = snippets {
        snippets.on_upstream_request(context.progress.as_deref(), &values, &mut Head(head));
    }
    if head.version == Version::HTTP_2 {
        // RFC 9113 §8.2.2
        head.remove_header(&CONNECTION);
    }
    if headers.is_some_and(|headers| headers.http10) {
        downgrade(head);
    }
}

/// Speaks HTTP/1.0, which has no chunks and no upgrades.
fn downgrade(head: &mut RequestHeader) {
    if head.version == Version::HTTP_11 && !head.headers.contains_key(TRANSFER_ENCODING) {
        head.set_version(Version::HTTP_10);
        // What a new head says of the connection: only that it is to be upgraded.
        if head.remove_header(&UPGRADE).is_some() {
            head.remove_header(&CONNECTION);
        }
    }
}

/// Removes what concerns the client's connection only. Fields that `Connection`
/// names pass, as in nginx: a client must not be able to remove ours.
fn hop_by_hop(head: &mut RequestHeader, client: Version) -> Result<()> {
    if client == Version::HTTP_11 && upgrades(head) {
        head.insert_header("Connection", HeaderValue::from_static("upgrade"))?;
    } else {
        head.remove_header(&CONNECTION);
        head.remove_header(&UPGRADE);
    }
    // gRPC servers insist on `te: trailers`, which says nothing else.
    let trailers = head.version == Version::HTTP_2
        && head
            .headers
            .get(TE)
            .is_some_and(|te| te.as_bytes().eq_ignore_ascii_case(b"trailers"));
    if !trailers {
        head.remove_header(&TE);
    }
    head.remove_header(&KEEP_ALIVE);
    head.remove_header(&EXPECT);
    Ok(())
}

/// Whether a tunnel is asked for that may pass: any, as in nginx, but h2c. In
/// one of those requests would reach the upstream past every policy; servers
/// may ignore the wish (RFC 9110 §7.8), and RFC 9113 has dropped it.
pub(super) fn upgrades(head: &RequestHeader) -> bool {
    if head.version != Version::HTTP_11 {
        return false;
    }
    let Some(wish) = head.headers.get(UPGRADE).map(HeaderValue::as_bytes) else {
        return false;
    };
    let h2c = |token: &[u8]| token.trim_ascii().eq_ignore_ascii_case(b"h2c");
    !wish.is_empty() && !wish.split(|&byte| byte == b',').any(h2c)
}

/// Sets `Host` where it is not the client's own, and returns it.
fn set_host(head: &mut RequestHeader, client: &RequestHeader, inbound: &Inbound) -> Result<HeaderValue> {
    let replaced = inbound
        .forwarded_host
        .clone()
        .or_else(|| match inbound::raw_host(client) {
            None => Some(NO_HOST),
            Some(raw) if head.headers.get(HOST).is_none_or(|host| host.as_bytes() != raw) => {
                HeaderValue::from_bytes(raw).ok()
            }
            Some(_) => None,
        });
    if let Some(host) = replaced {
        head.insert_header("Host", host.clone())?;
        return Ok(host);
    }
    Ok(head.headers.get(HOST).cloned().unwrap_or(NO_HOST))
}

/// `X-Real-IP`, `X-Forwarded-For` and what it was before. The list is replaced
/// by the client's address; only with `compute-full-forwarded-for` the peer is
/// appended to it.
pub(super) fn forwarded_for(head: &mut RequestHeader, inbound: &Inbound) -> Result<()> {
    let client = address(inbound.client_ip);
    let real_ip = &inbound.http().real_ip;
    let list = joined(head, &X_FORWARDED_FOR);
    let value = match &list {
        Some(list) if real_ip.use_forwarded_headers && real_ip.compute_full_forwarded_for => {
            let peer = address(inbound.connection.client.ip().to_canonical());
            let full = [list.as_bytes(), peer.as_bytes()].join(&b", "[..]);
            HeaderValue::from_maybe_shared(bytes::Bytes::from(full)).unwrap_or_else(|_| client.clone())
        }
        _ => client.clone(),
    };
    let original = if real_ip.header == X_FORWARDED_FOR {
        list
    } else {
        joined(head, &real_ip.header)
    };
    match original {
        Some(list) => head.insert_header("X-Original-Forwarded-For", list)?,
        None => drop(head.remove_header(&X_ORIGINAL_FORWARDED_FOR)),
    }
    head.insert_header("X-Real-IP", client)?;
    head.insert_header("X-Forwarded-For", value)
}

/// Keeps what the client sent under another name; without it, that name is not
/// the client's to use either.
fn preserve(
    head: &mut RequestHeader,
    name: &HeaderName,
    original: HeaderName,
    spelling: &'static str,
) -> Result<()> {
    match joined(head, name) {
        Some(value) => head.insert_header(spelling, value),
        None => {
            head.remove_header(&original);
            Ok(())
        }
    }
}

/// All fields of a name as one list.
fn joined(head: &RequestHeader, name: &HeaderName) -> Option<HeaderValue> {
    let mut values = head.headers.get_all(name).iter();
    let first = values.next()?;
    let Some(second) = values.next() else {
        return (!first.is_empty()).then(|| first.clone());
    };
    let mut list = first.as_bytes().to_vec();
    for value in std::iter::once(second).chain(values) {
        list.extend_from_slice(b", ");
        list.extend_from_slice(value.as_bytes());
    }
    HeaderValue::from_maybe_shared(bytes::Bytes::from(list)).ok()
}

/// The port that the client connected to, after the trust rules.
pub(super) fn port(inbound: &Inbound) -> HeaderValue {
    if let Some(port) = &inbound.forwarded_port {
        return port.clone();
    }
    port_value(inbound.port())
}

pub(super) fn port_value(port: u16) -> HeaderValue {
    match port {
        80 => HeaderValue::from_static("80"),
        443 => HeaderValue::from_static("443"),
        port => HeaderValue::from(port),
    }
}

/// An address as a value, made on the stack.
pub(super) fn address(ip: IpAddr) -> HeaderValue {
    let mut text = [0; 46];
    let mut rest = &mut text[..];
    // The longest address has 45 characters.
    let _ = write!(rest, "{ip}");
    let length = 46 - rest.len();
    HeaderValue::from_bytes(&text[..length]).expect("an address makes a header value")
}
