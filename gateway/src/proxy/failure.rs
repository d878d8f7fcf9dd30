//! Why a request could not be answered by its upstream: one mapping from
//! Pingora's errors to a status and to words for logs and metrics.

use http::StatusCode;
use pingora_core::{Error, ErrorSource, ErrorType};

use tidegate_snapshot::policy::snippet::Return;

use crate::observe::metrics::UpstreamError;
use crate::policy::Failed;
use crate::upstream::FailureKind;

/// Why a request failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Failure {
    /// The request breaks HTTP (400).
    #[error("malformed request")]
    BadRequest,
    /// The client took too long to send its body (408).
    #[error("client timed out")]
    ClientTimeout,
    /// The client went away before the answer; never sent, only logged (499).
    #[error("client went away")]
    ClientClosed,
    /// The body grew over the limit (413).
    #[error("request body too large")]
    BodyTooLarge,
    /// No endpoint to send it to, or all tries failed (502, 503, 504).
    #[error("upstream failed: {}", .0.label())]
    Upstream(UpstreamError),
    /// The configuration says to close the connection (444, never sent).
    #[error("closed without an answer")]
    Closed,
    /// Our own fault (500).
    #[error("internal error")]
    Internal,
}

impl Failure {
    /// nginx's status for a client that closed the connection.
    pub const CLIENT_CLOSED: u16 = 499;

    /// Classifies an error.
    pub fn of(error: &Error) -> Self {
        if let ErrorType::HTTPStatus(status) = error.etype() {
            return match *status {
                413 => Self::BodyTooLarge,
                503 => Self::Upstream(UpstreamError::NoEndpoint),
                400..500 => Self::BadRequest,
                502 => Self::Upstream(UpstreamError::Other),
                _ => Self::Internal,
            };
        }
        match error.esource() {
            ErrorSource::Upstream => Self::Upstream(upstream_error(error.etype())),
            ErrorSource::Downstream => client_failure(error.etype()),
            ErrorSource::Internal | ErrorSource::Unset => Self::Internal,
        }
    }

    /// Classifies why a service could not be asked about a request.
    pub(super) fn asking(error: &Error) -> Self {
        match error.etype() {
            ErrorType::InternalError => Self::Internal,
            kind => Self::Upstream(upstream_error(kind)),
        }
    }

    /// The status of the answer.
    pub fn status(self) -> u16 {
        use UpstreamError as U;
        match self {
            Self::BadRequest => 400,
            Self::ClientTimeout => 408,
            Self::ClientClosed => Self::CLIENT_CLOSED,
            Self::BodyTooLarge => 413,
            Self::Closed => Return::CLOSE,
            Self::Upstream(U::NoEndpoint) => 503,
            Self::Upstream(U::ConnectTimeout | U::ReadTimeout | U::WriteTimeout) => 504,
            Self::Upstream(_) => 502,
            Self::Internal => 500,
        }
    }

    /// The status, if there is anybody to send it to.
    pub(super) fn answer(self) -> Option<StatusCode> {
        match self {
            Self::ClientClosed | Self::Closed => None,
            _ => StatusCode::from_u16(self.status()).ok(),
        }
    }

    /// One of a few fixed words.
    pub fn reason(self) -> &'static str {
        match self {
            Self::BadRequest => "bad_request",
            Self::ClientTimeout => "client_timeout",
            Self::ClientClosed => "client_closed",
            Self::BodyTooLarge => "body_too_large",
            Self::Closed => "closed",
            Self::Upstream(error) => error.label(),
            Self::Internal => "internal",
        }
    }

    /// The upstream's part, if it was the upstream that failed.
    pub(super) fn upstream(self) -> Option<UpstreamError> {
        match self {
            Self::Upstream(error) => Some(error),
            _ => None,
        }
    }
}

/// For the retry policy.
pub(super) fn failed(error: UpstreamError) -> Failed {
    use UpstreamError as U;
    match error {
        U::ConnectTimeout | U::ReadTimeout | U::WriteTimeout => Failed::Timeout,
        _ => Failed::Error,
    }
}

/// For the endpoint's record.
pub(super) fn kind(error: UpstreamError, connected: bool) -> FailureKind {
    match failed(error) {
        _ if !connected => FailureKind::Connect,
        Failed::Timeout => FailureKind::Timeout,
        _ => FailureKind::Broken,
    }
}

fn upstream_error(error: &ErrorType) -> UpstreamError {
    use ErrorType as E;
    match error {
        E::ConnectTimedout | E::TLSHandshakeTimedout => UpstreamError::ConnectTimeout,
        E::ConnectRefused | E::ConnectNoRoute | E::ConnectError | E::SocketError | E::BindError => {
            UpstreamError::Connect
        }
        E::TLSHandshakeFailure | E::InvalidCert | E::HandshakeError | E::TLSWantX509Lookup => {
            UpstreamError::Tls
        }
        E::ReadTimedout => UpstreamError::ReadTimeout,
        E::WriteTimedout => UpstreamError::WriteTimeout,
        E::ReadError | E::WriteError | E::ConnectionClosed => UpstreamError::Closed,
        E::InvalidHTTPHeader | E::H1Error | E::H2Error | E::InvalidH2 | E::H2Downgrade => {
            UpstreamError::Protocol
        }
        _ => UpstreamError::Other,
    }
}

fn client_failure(error: &ErrorType) -> Failure {
    use ErrorType as E;
    match error {
        E::ReadTimedout => Failure::ClientTimeout,
        E::ReadError | E::WriteError | E::WriteTimedout | E::ConnectionClosed | E::H2Error => {
            Failure::ClientClosed
        }
        _ => Failure::BadRequest,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn status(error: ErrorType, source: ErrorSource) -> u16 {
        let mut error = Error::new(error);
        error.esource = source;
        Failure::of(&error).status()
    }

    #[test]
    fn statuses_are_nginxs() {
        use ErrorSource::{Downstream, Internal, Upstream};
        assert_eq!(status(ErrorType::ConnectRefused, Upstream), 502);
        assert_eq!(status(ErrorType::ConnectTimedout, Upstream), 504);
        assert_eq!(status(ErrorType::ReadTimedout, Upstream), 504);
        assert_eq!(status(ErrorType::ConnectionClosed, Upstream), 502);
        assert_eq!(status(ErrorType::InvalidHTTPHeader, Upstream), 502);
        assert_eq!(status(ErrorType::InvalidCert, Upstream), 502);
        assert_eq!(status(ErrorType::HTTPStatus(503), Internal), 503);
        assert_eq!(status(ErrorType::HTTPStatus(413), Downstream), 413);
        assert_eq!(status(ErrorType::ReadTimedout, Downstream), 408);
        assert_eq!(status(ErrorType::ConnectionClosed, Downstream), 499);
        assert_eq!(status(ErrorType::InvalidHTTPHeader, Downstream), 400);
        assert_eq!(status(ErrorType::InternalError, Internal), 500);
    }
}
