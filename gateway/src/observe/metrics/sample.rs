//! What is counted of a request.

use std::time::Duration;

use http::Method;

/// What is counted of one finished request.
#[derive(Clone, Copy, Debug, Default)]
pub struct Sample {
    /// The status sent to the client; 499 when it went away first.
    pub status: u16,
    /// The request's method.
    pub verb: Verb,
    /// From the request's first byte to its end.
    pub duration: Duration,
    /// Bytes of the request, head included.
    pub received: u64,
    /// Bytes of the answer, head included.
    pub sent: u64,
    /// Time to connect to the endpoint, TLS included; `None` on a reused
    /// connection.
    pub connect: Option<Duration>,
    /// From the start of the last attempt to the answer's head.
    pub header: Option<Duration>,
    /// From the start of the last attempt to the end of the answer; `None`
    /// without an answer from an endpoint.
    pub response: Option<Duration>,
}

/// A method as a label's value: clients may invent others, which must not make
/// series.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Verb {
    /// `GET`.
    Get,
    /// `HEAD`.
    Head,
    /// `POST`.
    Post,
    /// `PUT`.
    Put,
    /// `DELETE`.
    Delete,
    /// `PATCH`.
    Patch,
    /// `OPTIONS`.
    Options,
    /// Any other, and what is no request at all.
    #[default]
    Other,
}

impl Verb {
    pub(super) fn label(self) -> &'static str {
        match self {
            Self::Get => "GET",
            Self::Head => "HEAD",
            Self::Post => "POST",
            Self::Put => "PUT",
            Self::Delete => "DELETE",
            Self::Patch => "PATCH",
            Self::Options => "OPTIONS",
            Self::Other => "other",
        }
    }
}

impl From<&Method> for Verb {
    fn from(method: &Method) -> Self {
        match *method {
            Method::GET => Self::Get,
            Method::HEAD => Self::Head,
            Method::POST => Self::Post,
            Method::PUT => Self::Put,
            Method::DELETE => Self::Delete,
            Method::PATCH => Self::Patch,
            Method::OPTIONS => Self::Options,
            _ => Self::Other,
        }
    }
}

/// Why an attempt to get an answer from an endpoint failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum UpstreamError {
    /// Nothing to connect to.
    NoEndpoint,
    /// The connection was refused or could not be made.
    Connect,
    /// The connection was not made in time.
    ConnectTimeout,
    /// The TLS handshake failed.
    Tls,
    /// The connection broke before the answer was complete.
    Closed,
    /// No answer, or no more of it, in time.
    ReadTimeout,
    /// The request could not be written in time.
    WriteTimeout,
    /// The answer is not HTTP.
    Protocol,
    /// Anything else.
    Other,
}

impl UpstreamError {
    pub(super) const ALL: [Self; 9] = [
        Self::NoEndpoint,
        Self::Connect,
        Self::ConnectTimeout,
        Self::Tls,
        Self::Closed,
        Self::ReadTimeout,
        Self::WriteTimeout,
        Self::Protocol,
        Self::Other,
    ];

    /// The `reason` label.
    pub fn label(self) -> &'static str {
        match self {
            Self::NoEndpoint => "no_endpoint",
            Self::Connect => "connect",
            Self::ConnectTimeout => "connect_timeout",
            Self::Tls => "tls",
            Self::Closed => "closed",
            Self::ReadTimeout => "read_timeout",
            Self::WriteTimeout => "write_timeout",
            Self::Protocol => "protocol",
            Self::Other => "other",
        }
    }
}
