//! How the record of a stream becomes a line.

use std::time::Duration;

use serde::Serialize;
use tidegate_snapshot::access_log::{Escape, LogFormat, LogPiece, STREAM_FORMAT, StreamVariable};

use super::super::syslog::host_name;
use super::super::{StreamAttempt, StreamRecord};
use super::{Format, custom, json, number, time};

/// The form of a stream's line.
#[derive(Clone, Debug)]
pub enum StreamFormat {
    /// One JSON object a line; the keys are nginx's variable names.
    Json,
    /// As nginx's `log_format` describes it.
    Custom(LogFormat<StreamVariable>),
}

impl StreamFormat {
    /// The one that goes with a format of requests: JSON with JSON, else
    /// ingress-nginx's default.
    pub(in super::super) fn beside(format: &Format) -> Self {
        if matches!(format, Format::Json) {
            return Self::Json;
        }
        let (format, _) =
            LogFormat::parse(STREAM_FORMAT, Escape::Default).expect("a test parses the default format");
        Self::Custom(format)
    }

    /// Appends a record's line, newline included.
    pub(in super::super) fn write(&self, record: &StreamRecord, line: &mut Vec<u8>) {
        match self {
            // Writing to a Vec cannot fail, and every key is a text.
            Self::Json => drop(serde_json::to_writer(&mut *line, &Line::new(record))),
            Self::Custom(format) => {
                for piece in &format.pieces {
                    match piece {
                        LogPiece::Literal(text) => line.extend_from_slice(text.as_bytes()),
                        LogPiece::Variable(variable) => write(*variable, format.escape, record, line),
                    }
                }
            }
        }
        line.push(b'\n');
    }
}

fn write(variable: StreamVariable, escape: Escape, record: &StreamRecord, line: &mut Vec<u8>) {
    use StreamVariable as V;
    let attempts = &record.attempts;
    // Both are there, or none.
    let (client, server) = record.announced.unzip();
    let name = |line: &mut Vec<u8>, text: Option<&str>| custom::escape(line, escape, text.map(str::as_bytes));
    match variable {
        V::ClientAddress => number::ip(line, record.client.ip()),
        V::ClientPort => number::integer(line, record.client.port()),
        V::PeerAddress => number::ip(line, record.peer.ip()),
        V::PeerPort => number::integer(line, record.peer.port()),
        V::ServerAddress => number::ip(line, record.local.ip()),
        V::ServerPort => number::integer(line, record.local.port()),
        V::ProxyProtocolAddress => or_absent(line, escape, client, |line, at| number::ip(line, at.ip())),
        V::ProxyProtocolPort => or_absent(line, escape, client, |line, at| number::integer(line, at.port())),
        V::ProxyProtocolServerAddress => {
            or_absent(line, escape, server, |line, at| number::ip(line, at.ip()))
        }
        V::ProxyProtocolServerPort => {
            or_absent(line, escape, server, |line, at| number::integer(line, at.port()));
        }
        V::TimeLocal => time::local(line, record.time),
        V::TimeIso8601 => time::iso8601(line, record.time),
        V::Milliseconds => time::since_epoch(line, record.time),
        V::Protocol => line.extend_from_slice(record.protocol.as_bytes()),
        V::Status => number::integer(line, record.status),
        V::BytesSent => number::integer(line, record.bytes_sent),
        V::BytesReceived => number::integer(line, record.bytes_received),
        V::SessionTime => number::seconds(line, record.session_time),
        V::UpstreamName => name(line, record.upstream_name.as_ref().map(|key| &*key.0)),
        V::UpstreamAddress => list(line, escape, attempts, |line, attempt| {
            number::socket(line, attempt.address);
        }),
        V::UpstreamBytesSent => list(line, escape, attempts, |line, attempt| {
            number::integer(line, attempt.bytes_sent);
        }),
        V::UpstreamBytesReceived => list(line, escape, attempts, |line, attempt| {
            number::integer(line, attempt.bytes_received);
        }),
        V::UpstreamConnectTime => list(line, escape, attempts, |line, attempt| {
            duration(line, attempt.connect_time);
        }),
        V::UpstreamFirstByteTime => list(line, escape, attempts, |line, attempt| {
            duration(line, attempt.first_byte_time);
        }),
        V::UpstreamSessionTime => list(line, escape, attempts, |line, attempt| {
            number::seconds(line, attempt.session_time);
        }),
        V::TlsServerName => name(line, record.server_name.as_deref()),
        V::Hostname => name(line, Some(host_name())),
        V::ProcessId => number::integer(line, std::process::id()),
        V::Absent => custom::escape(line, escape, None),
    }
}

fn or_absent<T>(line: &mut Vec<u8>, escape: Escape, value: Option<T>, show: impl FnOnce(&mut Vec<u8>, T)) {
    match value {
        Some(value) => show(line, value),
        None => custom::escape(line, escape, None),
    }
}

fn list(
    line: &mut Vec<u8>,
    escape: Escape,
    attempts: &[StreamAttempt],
    one: impl Fn(&mut Vec<u8>, &StreamAttempt),
) {
    if attempts.is_empty() {
        custom::escape(line, escape, None);
    }
    for (index, attempt) in attempts.iter().enumerate() {
        if index > 0 {
            line.extend_from_slice(b", ");
        }
        one(line, attempt);
    }
}

/// nginx writes `-` within lists, whatever the escaping.
fn duration(line: &mut Vec<u8>, duration: Option<Duration>) {
    match duration {
        Some(duration) => number::seconds(line, duration),
        None => line.push(b'-'),
    }
}

#[derive(Serialize)]
struct Line<'a> {
    time: String,
    remote_addr: std::net::IpAddr,
    remote_port: u16,
    server_addr: std::net::IpAddr,
    server_port: u16,
    #[serde(skip_serializing_if = "Option::is_none")]
    proxy_protocol_addr: Option<std::net::IpAddr>,
    #[serde(skip_serializing_if = "Option::is_none")]
    ssl_preread_server_name: Option<&'a str>,
    protocol: &'a str,
    status: u16,
    bytes_sent: u64,
    bytes_received: u64,
    session_time: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    proxy_upstream_name: Option<&'a str>,
    upstreams: Vec<Upstream>,
}

#[derive(Serialize)]
struct Upstream {
    addr: std::net::SocketAddr,
    bytes_sent: u64,
    bytes_received: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    connect_time: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    first_byte_time: Option<f64>,
    session_time: f64,
}

impl<'a> Line<'a> {
    fn new(record: &'a StreamRecord) -> Self {
        let upstreams = record.attempts.iter().map(|attempt| Upstream {
            addr: attempt.address,
            bytes_sent: attempt.bytes_sent,
            bytes_received: attempt.bytes_received,
            connect_time: attempt.connect_time.map(json::seconds),
            first_byte_time: attempt.first_byte_time.map(json::seconds),
            session_time: json::seconds(attempt.session_time),
        });
        Self {
            time: time::instant(record.time),
            remote_addr: record.client.ip(),
            remote_port: record.client.port(),
            server_addr: record.local.ip(),
            server_port: record.local.port(),
            proxy_protocol_addr: record.announced.map(|(client, _)| client.ip()),
            ssl_preread_server_name: record.server_name.as_deref(),
            protocol: record.protocol,
            status: record.status,
            bytes_sent: record.bytes_sent,
            bytes_received: record.bytes_received,
            session_time: json::seconds(record.session_time),
            proxy_upstream_name: record.upstream_name.as_ref().map(|key| &*key.0),
            upstreams: upstreams.collect(),
        }
    }
}
