//! One check of one endpoint.
//!
//! TCP is Pingora's `TcpHealthCheck`. For HTTP its `HttpHealthCheck` does not
//! fit: each brings a connector of its own with a copy of the system's
//! certificates, and its `Host` is fixed where ours may be the endpoint's
//! address. [`HttpProbe`] implements the same trait on one connector for all.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use http::header::{CONNECTION, HOST, USER_AGENT};
use http::{StatusCode, Version};
use pingora_core::connectors::http::Connector;
use pingora_core::protocols::l4::socket::SocketAddr as BackendAddress;
use pingora_core::{Error, ErrorType};
use pingora_http::RequestHeader;
use pingora_load_balancing::Backend;
use pingora_load_balancing::health_check::{HealthCheck as Check, TcpHealthCheck};
use tidegate_snapshot::policy::Timeouts;
use tidegate_snapshot::{HealthCheck, HealthCheckKind, UpstreamProtocol};

use crate::upstream::Cluster;
use crate::upstream::peer::Connect;

/// Why a check failed.
#[derive(Debug, thiserror::Error)]
pub(super) enum CheckError {
    #[error("no answer within {0:?}")]
    Timeout(Duration),
    #[error("{0}")]
    Failed(#[from] Box<Error>),
}

/// What checks connect with.
pub(super) struct Probes {
    tcp: TcpHealthCheck,
    http: Connector,
}

impl Default for Probes {
    fn default() -> Self {
        let mut tcp = TcpHealthCheck::default();
        // The deadline of `check` holds.
        tcp.peer_template.options.connection_timeout = None;
        Self {
            tcp,
            http: Connector::new(None),
        }
    }
}

impl Probes {
    /// Checks `address` once, within the check's timeout.
    pub(super) async fn check(
        &self,
        cluster: &Cluster,
        check: &HealthCheck,
        address: SocketAddr,
    ) -> Result<(), CheckError> {
        let backend = Backend {
            addr: BackendAddress::Inet(address),
            weight: 1,
            ext: Default::default(),
        };
        let result = async {
            match &check.kind {
                HealthCheckKind::Tcp => self.tcp.check(&backend).await,
                HealthCheckKind::Http { path, host } => {
                    let probe = HttpProbe {
                        connector: &self.http,
                        protocol: cluster.spec.protocol,
                        connect: cluster.connect(),
                        path,
                        host: host.as_deref(),
                    };
                    probe.check(&backend).await
                }
            }
        };
        match tokio::time::timeout(check.timeout, result).await {
            Ok(result) => Ok(result?),
            Err(_) => Err(CheckError::Timeout(check.timeout)),
        }
    }
}

/// A `GET` on a connection of its own that must be answered 200.
struct HttpProbe<'a> {
    connector: &'a Connector,
    protocol: UpstreamProtocol,
    connect: &'a Connect,
    path: &'a Arc<str>,
    host: Option<&'a str>,
}

#[async_trait]
impl Check for HttpProbe<'_> {
    async fn check(&self, target: &Backend) -> pingora_core::Result<()> {
        let Some(address) = target.addr.as_inet() else {
            return Error::e_explain(ErrorType::InternalError, "only IP endpoints are checked");
        };
        let mut peer = self.connect.peer(*address, false, &Timeouts::default());
        // The deadline of `check` holds, which says that it was one.
        peer.options.connection_timeout = None;
        peer.options.total_connection_timeout = None;
        peer.options.read_timeout = None;
        peer.options.write_timeout = None;
        let (mut session, _) = self.connector.get_http_session(&*peer).await?;
        session
            .write_request_header(Box::new(self.request(*address)?))
            .await?;
        session.finish_request_body().await?;
        session.read_response_header().await?;
        // The connection is dropped, not pooled: a check must not pass on one
        // that the endpoint accepted long ago.
        match session.response_header().map(|head| head.status) {
            Some(StatusCode::OK) => Ok(()),
            Some(status) => Error::e_explain(ErrorType::HTTPStatus(status.as_u16()), "health check"),
            None => Error::e_explain(ErrorType::InvalidHTTPHeader, "health check"),
        }
    }

    fn health_threshold(&self, _success: bool) -> usize {
        1
    }
}

impl HttpProbe<'_> {
    fn request(&self, address: SocketAddr) -> pingora_core::Result<RequestHeader> {
        let address = address.to_string();
        let host = self.host.unwrap_or(&address);
        let mut request = RequestHeader::build("GET", self.path.as_bytes(), Some(3))?;
        if matches!(self.protocol, UpstreamProtocol::H2c | UpstreamProtocol::H2) {
            let scheme = if self.protocol == UpstreamProtocol::H2 {
                "https"
            } else {
                "http"
            };
            let uri = http::Uri::builder()
                .scheme(scheme)
                .authority(host)
                .path_and_query(&**self.path)
                .build();
            match uri {
                Ok(uri) => request.set_uri(uri),
                Err(error) => return Error::e_because(ErrorType::InvalidHTTPHeader, "health check", error),
            }
            request.set_version(Version::HTTP_2);
        } else {
            request.insert_header(HOST, host)?;
            request.insert_header(CONNECTION, "close")?;
        }
        request.insert_header(USER_AGENT, "tidegate-health-check")?;
        Ok(request)
    }
}
