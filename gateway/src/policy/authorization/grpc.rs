//! The question and the answer of Envoy's ext_authz protocol over gRPC.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::time::{SystemTime, UNIX_EPOCH};

use bytes::{BufMut, Bytes, BytesMut};
use http::header::{CONTENT_TYPE, COOKIE};
use http::{HeaderMap, HeaderValue, StatusCode, Version};
use prost::Message;
use tidegate_snapshot::FieldName;

use super::messages::{
    Address, AttributeContext, CheckRequest, CheckResponse, DeniedHttpResponse, HeaderValueOption,
    HttpRequest, HttpResponse, OkHttpResponse, Peer, Request, SocketAddress, Timestamp, TlsSession,
};
use super::{Authorization, Change, Grant, Judgement, is_framing};
use crate::policy::{Reply, ReplyBody};
use crate::request::RequestView;

/// Before a message: a byte of flags and the message's length ("Length-Prefixed-Message"
/// of gRPC over HTTP/2).
const PREFIX: usize = 5;

/// What is told of a request besides its fields.
pub struct Question<'a> {
    /// The request.
    pub request: &'a dyn RequestView,
    /// Its fields.
    pub headers: &'a HeaderMap,
    /// The client's protocol.
    pub version: Version,
    /// The request's ID; empty without one.
    pub id: &'a [u8],
    /// The client, after the trust rules.
    pub client: SocketAddr,
    /// What it connected to.
    pub local: SocketAddr,
    /// The server name of its TLS session.
    pub server_name: Option<&'a str>,
    /// When its head had come.
    pub received: SystemTime,
    /// The body, as far as it is told.
    pub body: &'a [u8],
    /// The length of the whole body where it is known.
    pub size: Option<u64>,
}

impl Authorization {
    /// The path of the method.
    pub const CHECK: &'static str = "/envoy.service.auth.v3.Authorization/Check";

    /// The body of the question.
    pub fn check_request(&self, question: &Question<'_>) -> Bytes {
        let message = CheckRequest {
            attributes: Some(AttributeContext {
                source: peer(question.client),
                destination: peer(question.local),
                request: Some(Request {
                    time: question.received.duration_since(UNIX_EPOCH).ok().map(timestamp),
                    http: Some(self.http_request(question)),
                }),
                tls_session: question
                    .server_name
                    .map(|name| TlsSession { sni: name.to_owned() }),
            }),
        };
        let length = message.encoded_len();
        let mut bytes = BytesMut::with_capacity(PREFIX + length);
        bytes.put_u8(0);
        bytes.put_u32(u32::try_from(length).unwrap_or(u32::MAX));
        bytes.put_slice(&message.encode_to_vec());
        bytes.freeze()
    }

    fn http_request(&self, question: &Question<'_>) -> HttpRequest {
        let request = question.request;
        let (body, raw_body) = match std::str::from_utf8(question.body) {
            Ok(body) => (body.to_owned(), Vec::new()),
            Err(_) => (String::new(), question.body.to_vec()),
        };
        HttpRequest {
            id: text(question.id),
            method: request.method().to_string(),
            headers: self.told(question),
            path: request.uri().to_owned(),
            host: text(request.authority()),
            scheme: request.scheme().to_owned(),
            size: question
                .size
                .map_or(-1, |size| i64::try_from(size).unwrap_or(i64::MAX)),
            protocol: format!("{:?}", question.version).replace("2.0", "2"),
            body,
            raw_body,
        }
    }

    /// "If multiple headers share the same key, they must be merged according to
    /// the HTTP spec." Services that were written for Envoy look for the
    /// pseudo-headers too, which it has among the fields.
    fn told(&self, question: &Question<'_>) -> HashMap<String, String> {
        let mut told = HashMap::new();
        if self.spec.request_headers.is_empty() {
            let request = question.request;
            told.insert(":method".to_owned(), request.method().to_string());
            told.insert(":path".to_owned(), request.uri().to_owned());
            told.insert(":authority".to_owned(), text(request.authority()));
            told.insert(":scheme".to_owned(), request.scheme().to_owned());
        }
        for name in question.headers.keys().filter(|name| self.tells(name)) {
            let separator = if *name == COOKIE { "; " } else { "," };
            let values = question.headers.get_all(name).iter();
            let values: Vec<String> = values.map(|value| text(value.as_bytes())).collect();
            told.insert(name.as_str().to_owned(), values.join(separator));
        }
        told
    }

    /// What an answer of status 0 says; `None` when it cannot be read. An empty
    /// message is no answer: it might be anybody's.
    pub fn judge_message(&self, body: &[u8]) -> Option<Judgement> {
        let (prefix, message) = body.split_at_checked(PREFIX)?;
        let length = usize::try_from(u32::from_be_bytes(prefix[1..].try_into().ok()?)).ok()?;
        if prefix[0] != 0 || length != message.len() {
            return None;
        }
        let answer = CheckResponse::decode(message).ok()?;
        let is_ok = answer.status.as_ref().map(|status| status.code == 0);
        match (is_ok, answer.http_response) {
            (_, Some(HttpResponse::Error(error))) => {
                refusal(error, StatusCode::INTERNAL_SERVER_ERROR).map(Judgement::Refused)
            }
            (_, Some(HttpResponse::Denied(denied))) => {
                refusal(denied, StatusCode::FORBIDDEN).map(Judgement::Refused)
            }
            (None | Some(true), Some(HttpResponse::Ok(ok))) => grant(ok).map(Judgement::Granted),
            (Some(true), None) => Some(Judgement::Granted(Grant::default())),
            (Some(false), _) => Some(Judgement::Refused(Reply::status(StatusCode::FORBIDDEN))),
            (None, None) => None,
        }
    }
}

fn peer(address: SocketAddr) -> Option<Peer> {
    Some(Peer {
        address: Some(Address {
            socket_address: Some(SocketAddress {
                address: address.ip().to_canonical().to_string(),
                port_value: address.port().into(),
            }),
        }),
    })
}

fn timestamp(since: std::time::Duration) -> Timestamp {
    Timestamp {
        seconds: i64::try_from(since.as_secs()).unwrap_or(i64::MAX),
        nanos: i32::try_from(since.subsec_nanos()).unwrap_or_default(),
    }
}

/// "Non-UTF-8 characters will be replaced by `!`."
fn text(bytes: &[u8]) -> String {
    match std::str::from_utf8(bytes) {
        Ok(text) => text.to_owned(),
        Err(_) => String::from_utf8_lossy(bytes).replace(char::REPLACEMENT_CHARACTER, "!"),
    }
}

fn grant(ok: OkHttpResponse) -> Option<Grant> {
    let removed = ok.headers_to_remove.iter();
    let removed = removed.filter_map(|name| FieldName::parse(name));
    let removed = removed.filter(|name| !is_framing(name.name()));
    let mut request: Vec<Change> = removed.map(|name| Change::Remove(name.name().clone())).collect();
    request.extend(changes(ok.headers)?);
    let set = ok.query_parameters_to_set.into_iter();
    let set = set.map(|parameter| (parameter.key, Some(parameter.value)));
    let removed = ok.query_parameters_to_remove.into_iter();
    Some(Grant {
        request,
        answer: changes(ok.response_headers_to_add)?,
        query: set.chain(removed.map(|name| (name, None))).collect(),
    })
}

/// "By leaving `append` as false, the filter will either add a new header, or
/// override an existing one if there is a match": its successor `append_action`
/// counts where it is not its default.
fn changes(options: Vec<HeaderValueOption>) -> Option<Vec<Change>> {
    let mut changes = Vec::with_capacity(options.len());
    for option in options {
        let (appends, action) = (appends(&option), option.append_action);
        let Some((name, value)) = field(option)? else {
            continue;
        };
        changes.push(match action {
            _ if appends => Change::Append(name, value),
            1 => Change::Default(name, value),
            3 => Change::Replace(name, value),
            _ => Change::Set(name, value),
        });
    }
    Some(changes)
}

fn appends(option: &HeaderValueOption) -> bool {
    option.append.as_ref().is_some_and(|append| append.value)
}

/// `Some(None)`: it is not the service's to say. `None`: no field can have this
/// value; passed over, it would leave the client's own in its place.
fn field(option: HeaderValueOption) -> Option<Option<(FieldName, HeaderValue)>> {
    let header = option.header?;
    let Some(name) = FieldName::parse(&header.key).filter(|name| !is_framing(name.name())) else {
        return Some(None);
    };
    let value = match header.raw_value {
        raw if raw.is_empty() => HeaderValue::from_str(&header.value),
        raw => HeaderValue::from_bytes(&raw),
    };
    Some(Some((name, value.ok()?)))
}

/// An answer of the service's own making.
fn refusal(denied: DeniedHttpResponse, otherwise: StatusCode) -> Option<Reply> {
    let status = denied.status.and_then(|status| u16::try_from(status.code).ok());
    let status = status.filter(|status| (200..600).contains(status));
    let status = status.and_then(|status| StatusCode::from_u16(status).ok());
    let mut reply = Reply::status(status.unwrap_or(otherwise));
    let mut content_type = HeaderValue::from_static("text/plain");
    for option in denied.headers {
        let appends = appends(&option);
        let Some((name, value)) = field(option)? else {
            continue;
        };
        if *name.name() == CONTENT_TYPE {
            content_type = value;
            continue;
        }
        if !appends {
            reply.fields.retain(|(other, _)| other.name() != name.name());
        }
        reply = reply.with(name, value);
    }
    let has_body = !matches!(reply.status, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED);
    reply.body = Some(ReplyBody {
        content_type,
        bytes: if has_body {
            denied.body.into()
        } else {
            Bytes::new()
        },
    });
    Some(reply)
}

#[cfg(test)]
mod tests;
