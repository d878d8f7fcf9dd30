//! The access log as ingress-nginx's ConfigMap describes it. It may differ from
//! what the process was started with, and change at any time.

mod streams;

use std::fmt::Debug;
use std::path::PathBuf;

use http::HeaderName;
use serde::{Serialize, Serializer};

use crate::text::{self, TextError};
use crate::{GeoField, Pattern};

pub use streams::{STREAM_FORMAT, StreamLog, StreamVariable};

/// What is logged, how, and where to. Where it says nothing the process's own
/// settings hold.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct AccessLog {
    /// No lines of requests (`disable-access-log`, `disable-http-access-log`).
    pub off: bool,
    /// The form of a line (`log-format-upstream`).
    pub format: Option<LogFormat>,
    /// Where lines go (`access-log-path`, `http-access-log-path`).
    pub output: Option<LogOutput>,
    /// Request URIs that are not logged (`skip-access-log-urls`).
    pub skip: Vec<Pattern>,
    /// Also log requests that no rule fits
    /// (`enable-access-log-for-default-backend`).
    pub default_backend: bool,
    /// Also log questions to authentication services of `auth-url`
    /// (`enable-auth-access-log`).
    pub questions: bool,
    /// Lines of connections that nothing looks into.
    pub streams: StreamLog,
}

/// Where lines go.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub enum LogOutput {
    /// Standard output.
    Stdout,
    /// Standard error.
    Stderr,
    /// Appended to a file.
    File(PathBuf),
    /// Datagrams to a syslog server (`enable-syslog`).
    Syslog {
        /// Its name or address (`syslog-host`).
        host: String,
        /// Its UDP port (`syslog-port`).
        port: u16,
    },
}

/// nginx's `log_format`: literal text and variables, of requests or of streams.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogFormat<V = LogVariable> {
    /// Its parts in order.
    pub pieces: Vec<LogPiece<V>>,
    /// How values are made safe.
    pub escape: Escape,
}

/// A part of a [`LogFormat`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LogPiece<V = LogVariable> {
    /// Itself.
    Literal(Box<str>),
    /// What a request or a stream has in its place.
    Variable(V),
}

/// What a format may hold besides text.
pub trait Variable: Sized {
    /// One that never has a value.
    const ABSENT: Self;

    /// The variable of this name (without `$`).
    fn parse(name: &str) -> Option<Self>;
}

/// How values are made safe (nginx `log_format`, parameter `escape`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Escape {
    /// `"`, `\` and what is not printable as `\xXX`; absent values as `-`.
    #[default]
    Default,
    /// As in a JSON string (`log-format-escape-json`); absent values are empty.
    Json,
    /// Not at all (`log-format-escape-none`); absent values are empty.
    None,
}

macro_rules! variables {
    ($($name:literal $variant:ident $doc:literal,)*) => {
        /// A variable of nginx or of ingress-nginx that lines may hold.
        #[derive(Clone, Debug, PartialEq, Eq)]
        pub enum LogVariable {
            $(#[doc = $doc] $variant,)*
            /// `$geoip2_…`: where the client's address is.
            Geo(GeoField),
            /// `$http_NAME`: a field of the request.
            Header(HeaderName),
            /// `$sent_http_NAME`: a field of the answer.
            Sent(HeaderName),
            /// `$upstream_http_NAME`: a field of the backend's answer.
            Upstream(HeaderName),
            /// `$cookie_NAME`.
            Cookie(Box<str>),
            /// `$arg_NAME`.
            Argument(Box<str>),
            /// One that has never a value here.
            Absent,
        }

        impl LogVariable {
            fn fixed(name: &str) -> Option<Self> {
                Some(match name {
                    $($name => Self::$variant,)*
                    _ => return None,
                })
            }
        }
    };
}

variables! {
    "remote_addr" ClientAddress "The client's address after the trust rules.",
    "remote_user" User "The user of HTTP authentication.",
    "time_local" TimeLocal "The end of the request, as in `10/Oct/2000:13:55:36 +0000`.",
    "time_iso8601" TimeIso8601 "The same, as in `2000-10-10T13:55:36+00:00`.",
    "msec" Milliseconds "The same, as seconds since 1970 with milliseconds.",
    "request" Request "The request line.",
    "request_method" Method "The method.",
    "request_uri" RequestUri "Path and query as the client wrote them.",
    "uri" Path "The normalised path.",
    "args" Query "The query.",
    "status" Status "The status sent.",
    "body_bytes_sent" BodyBytesSent "Bytes of the answer's body.",
    "bytes_sent" BytesSent "Bytes of the answer.",
    "request_length" RequestLength "Bytes of the request.",
    "request_time" RequestTime "Seconds with milliseconds.",
    "request_id" RequestId "The request's ID.",
    "host" Host "The host without port.",
    "server_name" ServerName "The host of the rule.",
    "server_port" ServerPort "The port that the client connected to.",
    "server_protocol" Protocol "As in `HTTP/1.1`.",
    "scheme" Scheme "`http` or `https`.",
    "ssl_protocol" TlsProtocol "As in `TLSv1.3`.",
    "ssl_cipher" TlsCipher "As OpenSSL writes it.",
    "ssl_server_name" TlsServerName "The name that the client asked for.",
    "proxy_upstream_name" UpstreamName "The cluster: `namespace-service-port`.",
    "proxy_alternative_upstream_name" AlternativeUpstreamName "The canary's cluster.",
    "upstream_addr" UpstreamAddress "The endpoint of each try.",
    "upstream_status" UpstreamStatus "The status of each try.",
    "upstream_response_length" UpstreamLength "Bytes of the body of each try.",
    "upstream_response_time" UpstreamTime "Seconds of each try.",
    "upstream_connect_time" UpstreamConnectTime "Seconds until the last try was connected.",
    "upstream_header_time" UpstreamHeaderTime "Seconds until the last try's head was there.",
    "namespace" Namespace "The Ingress's.",
    "ingress_name" Ingress "The Ingress's name.",
    "service_name" Service "The Service of the cluster.",
    "service_port" ServicePort "Its port.",
    "location_path" LocationPath "The path as the Ingress wrote it.",
    "opentelemetry_trace_id" TraceId "The trace of the request.",
    "opentelemetry_span_id" SpanId "Its span.",
    "proxy_protocol_addr" ProxyProtocolAddress "The client's address in the PROXY header.",
}

impl Variable for LogVariable {
    const ABSENT: Self = Self::Absent;

    fn parse(name: &str) -> Option<Self> {
        let name = match name {
            "req_id" => "request_id",
            "the_real_ip" => "remote_addr",
            "document_uri" => "uri",
            "query_string" => "args",
            "pass_access_scheme" => "scheme",
            "pass_server_port" | "pass_port" => "server_port",
            "upstream_bytes_received" => "upstream_response_length",
            name => name,
        };
        let geo = || GeoField::parse(name).map(Self::Geo);
        Self::fixed(name).or_else(geo).or_else(|| Self::family(name))
    }
}

impl LogVariable {
    fn family(name: &str) -> Option<Self> {
        let field = |member: &str| {
            let field = member.to_ascii_lowercase().replace('_', "-");
            HeaderName::try_from(field).ok()
        };
        if let Some(member) = name.strip_prefix("sent_http_") {
            return field(member).map(Self::Sent);
        }
        if let Some(member) = name.strip_prefix("upstream_http_") {
            return field(member).map(Self::Upstream);
        }
        let absent = ["opentelemetry_", "connection", "pipe", "proxy_add_x_"];
        if absent.iter().any(|prefix| name.starts_with(prefix)) {
            return Some(Self::Absent);
        }
        let (family, member) = name.split_once('_')?;
        match family {
            "http" => field(member).map(Self::Header),
            "cookie" => Some(Self::Cookie(member.into())),
            "arg" => Some(Self::Argument(member.into())),
            _ => None,
        }
    }
}

impl<V: Variable> LogFormat<V> {
    /// Parses a format, and names the variables that nobody knows: these never
    /// have a value.
    ///
    /// # Errors
    /// A `$` without a name.
    pub fn parse(text: &str, escape: Escape) -> Result<(Self, Vec<String>), TextError> {
        let mut pieces = Vec::new();
        let mut unknown = Vec::new();
        let mut rest = text;
        let literal = |pieces: &mut Vec<LogPiece<V>>, text: &str| {
            if !text.is_empty() {
                pieces.push(LogPiece::Literal(text.into()));
            }
        };
        while let Some(at) = rest.find('$') {
            literal(&mut pieces, &rest[..at]);
            let (name, after) = text::name(&rest[at + 1..])?;
            let variable = V::parse(name).unwrap_or_else(|| {
                unknown.push(name.to_owned());
                V::ABSENT
            });
            pieces.push(LogPiece::Variable(variable));
            rest = after;
        }
        literal(&mut pieces, rest);
        Ok((Self { pieces, escape }, unknown))
    }
}

/// As parsed: for dumps and goldens.
impl<V: Debug> Serialize for LogFormat<V> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&format_args!("{self:?}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_format_is_literals_and_variables() {
        let (format, unknown) = LogFormat::<LogVariable>::parse(
            r#"{"a":"$remote_addr","b":"${http_x_b}$sent_http_server","c":"$nonsense"}"#,
            Escape::Json,
        )
        .unwrap();
        assert_eq!(unknown, ["nonsense"]);
        let variables: Vec<_> = format
            .pieces
            .iter()
            .filter_map(|piece| match piece {
                LogPiece::Variable(variable) => Some(variable.clone()),
                LogPiece::Literal(_) => None,
            })
            .collect();
        assert_eq!(
            variables,
            [
                LogVariable::ClientAddress,
                LogVariable::Header(HeaderName::from_static("x-b")),
                LogVariable::Sent(http::header::SERVER),
                LogVariable::Absent,
            ]
        );
        assert!(LogFormat::<LogVariable>::parse("a $ b", Escape::Default).is_err());
    }

    /// The names that users' formats hold (ingress-nginx-behaviour §20).
    #[test]
    fn every_variable_in_use_is_known() {
        const NAMES: &str = "remote_addr remote_user time_local time_iso8601 msec request request_method \
            request_uri uri args query_string status body_bytes_sent bytes_sent http_x sent_http_x \
            upstream_http_x cookie_x request_length request_time request_id req_id host http_host \
            server_name server_port server_protocol scheme ssl_protocol ssl_cipher ssl_server_name \
            proxy_upstream_name proxy_alternative_upstream_name upstream_addr upstream_status \
            upstream_response_length upstream_response_time upstream_connect_time upstream_header_time \
            upstream_bytes_received namespace ingress_name service_name service_port location_path \
            proxy_protocol_addr proxy_add_x_forwarded_for the_real_ip connection connection_requests pipe \
            geoip2_city opentelemetry_trace_id opentelemetry_span_id";
        for name in NAMES.split_ascii_whitespace() {
            assert!(LogVariable::parse(name).is_some(), "${name}");
        }
    }
}
