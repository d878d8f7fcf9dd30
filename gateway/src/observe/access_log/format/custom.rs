//! nginx's `log_format` with ingress-nginx's variables, compiled.

use std::io::Write;

use http::HeaderName;
use http::header::{COOKIE, HOST, REFERER, USER_AGENT};
use tidegate_snapshot::access_log::{Escape, LogFormat, LogPiece, LogVariable};

use super::super::{Attempt, Record};
use super::{nginx, number, time, version};

/// A format, ready to write lines.
#[derive(Clone, Debug)]
pub struct Custom {
    format: LogFormat,
    /// What records must hold for it.
    pub(in super::super) wanted: Wanted,
}

/// What a format asks of records besides what they always hold.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Wanted {
    /// Fields of requests.
    pub request: Vec<HeaderName>,
    /// Fields of answers.
    pub sent: Vec<HeaderName>,
    /// Fields of backends' answers.
    pub upstream: Vec<HeaderName>,
    /// Where the client is.
    pub place: bool,
    /// Facts of the connection and the normalised path.
    pub connection: bool,
}

impl Custom {
    /// Compiles a format.
    pub fn new(format: &LogFormat) -> Self {
        let mut wanted = Wanted::default();
        for piece in &format.pieces {
            let LogPiece::Variable(variable) = piece else {
                continue;
            };
            let (list, name) = match variable {
                // These two are always there.
                LogVariable::Header(name) if *name == REFERER || *name == USER_AGENT => continue,
                LogVariable::Header(name) => (&mut wanted.request, name),
                LogVariable::Cookie(_) => (&mut wanted.request, &COOKIE),
                LogVariable::Sent(name) => (&mut wanted.sent, name),
                LogVariable::Upstream(name) => (&mut wanted.upstream, name),
                LogVariable::Geo(_) => {
                    wanted.place = true;
                    continue;
                }
                LogVariable::TlsProtocol
                | LogVariable::TlsCipher
                | LogVariable::TlsServerName
                | LogVariable::ServerPort
                | LogVariable::ServerName
                | LogVariable::ProxyProtocolAddress
                | LogVariable::UpstreamConnectTime
                | LogVariable::UpstreamHeaderTime
                | LogVariable::Path => {
                    wanted.connection = true;
                    continue;
                }
                _ => continue,
            };
            if !list.contains(name) {
                list.push(name.clone());
            }
        }
        Self {
            format: format.clone(),
            wanted,
        }
    }

    /// Appends a record's line, without the newline.
    pub(super) fn write(&self, record: &Record, line: &mut Vec<u8>) {
        let mut writer = Writer {
            escape: self.format.escape,
            wanted: &self.wanted,
            record,
            line,
        };
        for piece in &self.format.pieces {
            match piece {
                LogPiece::Literal(text) => writer.line.extend_from_slice(text.as_bytes()),
                LogPiece::Variable(variable) => writer.variable(variable),
            }
        }
    }
}

struct Writer<'a> {
    escape: Escape,
    wanted: &'a Wanted,
    record: &'a Record,
    line: &'a mut Vec<u8>,
}

impl Writer<'_> {
    fn variable(&mut self, variable: &LogVariable) {
        let record = self.record;
        let facts = record.facts.as_deref();
        let route = record.route.as_ref();
        match variable {
            LogVariable::ClientAddress => number::ip(self.line, record.client),
            LogVariable::User => self.text(record.user.as_deref()),
            LogVariable::TimeLocal => time::local(self.line, record.time),
            LogVariable::TimeIso8601 => time::iso8601(self.line, record.time),
            LogVariable::Milliseconds => time::since_epoch(self.line, record.time),
            LogVariable::Request => {
                self.line.extend_from_slice(record.method.as_str().as_bytes());
                self.line.push(b' ');
                self.text(Some(&record.uri));
                self.line.push(b' ');
                self.line.extend_from_slice(version(record).as_bytes());
            }
            LogVariable::Method => self.line.extend_from_slice(record.method.as_str().as_bytes()),
            LogVariable::RequestUri => self.text(Some(&record.uri)),
            LogVariable::Path => self.text(facts.map(|facts| &*facts.path)),
            LogVariable::Query => self.text(query(&record.uri)),
            LogVariable::Argument(name) => self.text(argument(&record.uri, name)),
            LogVariable::Status => number::integer(self.line, record.status),
            LogVariable::BodyBytesSent => number::integer(self.line, record.body_bytes_sent),
            LogVariable::BytesSent => number::integer(self.line, record.bytes_sent),
            LogVariable::RequestLength => number::integer(self.line, record.request_length),
            LogVariable::RequestTime => number::seconds(self.line, record.request_time),
            LogVariable::RequestId => self.text(record.request_id.as_ref().map(|id| id.as_bytes())),
            LogVariable::Host => self.text(Some(record.host.as_bytes())),
            LogVariable::Protocol => self.line.extend_from_slice(version(record).as_bytes()),
            LogVariable::Scheme => self.line.extend_from_slice(record.scheme.as_bytes()),
            LogVariable::UpstreamName => {
                self.text(record.upstream_name.as_ref().map(|key| key.0.as_bytes()));
            }
            LogVariable::AlternativeUpstreamName => {
                let name = record.alternative_upstream_name.as_ref();
                self.text(Some(name.map_or(b"", |key| key.0.as_bytes())));
            }
            LogVariable::UpstreamAddress => self.list(|line, attempt| number::socket(line, attempt.address)),
            LogVariable::UpstreamStatus => self.list(|line, attempt| number::integer(line, attempt.status)),
            LogVariable::UpstreamLength => {
                self.list(|line, attempt| number::integer(line, attempt.response_length));
            }
            LogVariable::UpstreamTime => self.list(|line, attempt| {
                number::seconds(line, attempt.response_time);
            }),
            LogVariable::UpstreamConnectTime => self.duration(facts.and_then(|facts| facts.connect)),
            LogVariable::UpstreamHeaderTime => self.duration(facts.and_then(|facts| facts.header)),
            LogVariable::Namespace => self.text(route.map(|route| route.namespace.as_bytes())),
            LogVariable::Ingress => self.text(route.map(|route| route.name.as_bytes())),
            LogVariable::Service => self.text(service(record).map(|(name, _)| name.as_bytes())),
            LogVariable::ServicePort => self.text(service(record).map(|(_, port)| port.as_bytes())),
            LogVariable::LocationPath => self.text(record.route_path.as_deref().map(str::as_bytes)),
            LogVariable::TraceId => self.optional(record.trace.map(|(trace, _)| trace)),
            LogVariable::SpanId => self.optional(record.trace.map(|(_, span)| span)),
            LogVariable::ServerName => self.text(facts.map(|facts| facts.server_name.as_bytes())),
            LogVariable::ServerPort => self.optional(facts.map(|facts| facts.port)),
            LogVariable::ProxyProtocolAddress => self.optional(facts.and_then(|facts| facts.announced)),
            LogVariable::TlsProtocol => self.text(facts.and_then(|facts| Some(facts.tls?.0.as_bytes()))),
            LogVariable::TlsCipher => self.text(facts.and_then(|facts| Some(facts.tls?.1.as_bytes()))),
            LogVariable::TlsServerName => {
                self.text(facts.and_then(|facts| Some(facts.tls_server_name.as_ref()?.as_bytes())));
            }
            LogVariable::Geo(field) => {
                let place = record.place.as_deref();
                let value = place.and_then(|place| place.value(*field));
                self.text(value.filter(|value| !value.is_empty()).map(str::as_bytes));
            }
            LogVariable::Header(name) => self.header(name),
            LogVariable::Cookie(name) => {
                let field = captured(&self.wanted.request, &record.captured.request, &COOKIE);
                let cookies = field.map(http::HeaderValue::as_bytes).unwrap_or_default();
                self.text(crate::request::cookie(cookies, name.as_bytes()));
            }
            LogVariable::Sent(name) => {
                let value = captured(&self.wanted.sent, &record.captured.sent, name);
                self.text(value.map(http::HeaderValue::as_bytes));
            }
            LogVariable::Upstream(name) => {
                let value = captured(&self.wanted.upstream, &record.captured.upstream, name);
                self.text(value.map(http::HeaderValue::as_bytes));
            }
            LogVariable::Absent => self.text(None),
        }
    }

    fn header(&mut self, name: &HeaderName) {
        let record = self.record;
        let value = if *name == REFERER {
            record.referer.as_ref()
        } else if *name == USER_AGENT {
            record.user_agent.as_ref()
        } else {
            captured(&self.wanted.request, &record.captured.request, name)
        };
        match value {
            // HTTP/2 has no such field.
            None if *name == HOST && !record.host.is_empty() => self.text(Some(record.host.as_bytes())),
            value => self.text(value.map(http::HeaderValue::as_bytes)),
        }
    }

    fn show(&mut self, value: &impl std::fmt::Display) {
        // Writing to a Vec cannot fail.
        let _ = write!(self.line, "{value}");
    }

    fn optional(&mut self, value: Option<impl std::fmt::Display>) {
        match value {
            Some(value) => self.show(&value),
            None => self.text(None),
        }
    }

    fn duration(&mut self, value: Option<std::time::Duration>) {
        match value {
            Some(value) => number::seconds(self.line, value),
            None => self.text(None),
        }
    }

    fn list(&mut self, one: impl Fn(&mut Vec<u8>, &Attempt)) {
        if self.record.attempts.is_empty() {
            return self.text(None);
        }
        nginx::list(self.line, &self.record.attempts, one);
    }

    fn text(&mut self, value: Option<&[u8]>) {
        escape(self.line, self.escape, value);
    }
}

/// Appends a value, made safe.
pub(super) fn escape(line: &mut Vec<u8>, escape: Escape, value: Option<&[u8]>) {
    match escape {
        Escape::Default => nginx::escape(line, value),
        Escape::Json => json(line, value.unwrap_or_default()),
        Escape::None => line.extend_from_slice(value.unwrap_or_default()),
    }
}

/// RFC 8259 section 7, as nginx does it. What is not UTF-8 becomes U+FFFD: a
/// line must stay JSON.
fn json(line: &mut Vec<u8>, value: &[u8]) {
    let text = String::from_utf8_lossy(value);
    for byte in text.bytes() {
        match byte {
            b'"' | b'\\' => line.extend_from_slice(&[b'\\', byte]),
            b'\n' => line.extend_from_slice(b"\\n"),
            b'\r' => line.extend_from_slice(b"\\r"),
            b'\t' => line.extend_from_slice(b"\\t"),
            0..0x20 => {
                let _ = write!(line, "\\u{byte:04X}");
            }
            byte => line.push(byte),
        }
    }
}

fn captured<'a>(
    names: &[HeaderName],
    values: &'a [Option<http::HeaderValue>],
    name: &HeaderName,
) -> Option<&'a http::HeaderValue> {
    let at = names.iter().position(|wanted| wanted == name)?;
    values.get(at)?.as_ref()
}

/// Name and port of the Service behind `namespace-service-port`.
fn service(record: &Record) -> Option<(&str, &str)> {
    let namespace = &record.route.as_ref()?.namespace;
    let name = record.upstream_name.as_ref()?.0.strip_prefix(&**namespace)?;
    name.strip_prefix('-')?.rsplit_once('-')
}

fn query(uri: &[u8]) -> Option<&[u8]> {
    let at = uri.iter().position(|byte| *byte == b'?')?;
    Some(&uri[at + 1..])
}

fn argument<'a>(uri: &'a [u8], name: &str) -> Option<&'a [u8]> {
    query(uri)?.split(|byte| *byte == b'&').find_map(|pair| {
        let at = pair.iter().position(|byte| *byte == b'=')?;
        pair[..at]
            .eq_ignore_ascii_case(name.as_bytes())
            .then(|| &pair[at + 1..])
    })
}
