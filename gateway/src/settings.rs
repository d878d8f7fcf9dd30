//! Settings of the process, read from one YAML file (`conf/gateway.yaml` shows
//! every key with its default). Flags of `tidegate run` are applied on top.
//! What belongs to single Ingresses stands in annotations, never here.

mod access_log;
mod admin;
mod document;
mod forwarding;
mod gateway_api;
mod geoip;
mod http;
mod ingress;
mod listen;
mod log;
mod metrics;
mod provider;
mod shutdown;
mod span;
mod status;
mod webhook;

use std::path::{Path, PathBuf};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use access_log::{AccessLog, AccessLogFormat};
pub use admin::Admin;
pub use document::{Key, keys};
pub use forwarding::Forwarding;
pub use gateway_api::{ExternalTrafficPolicy, GatewayApi, GatewayServiceType, GatewayServices};
pub use geoip::GeoIp;
pub use http::Http;
pub use ingress::{Hsts, Ingress, LoadBalancing};
pub use listen::{Listen, ProxyProtocol};
pub use log::{Log, LogFormat};
pub use metrics::{Buckets, Metrics, MetricsCompat};
pub use provider::{Kubernetes, Provider};
pub use shutdown::Shutdown;
pub use span::Span;
pub use status::{LeaderElection, Status};
pub use webhook::Webhook;

/// All settings. [`Settings::default`] is an ingress-nginx without flags and
/// ConfigMap, but for the controller class.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields, rename_all = "camelCase")]
pub struct Settings {
    /// Where objects come from.
    pub provider: Provider,
    /// Which Ingresses are served, and what holds for all of them.
    pub ingress: Ingress,
    /// Gateway API.
    pub gateway_api: GatewayApi,
    /// The addresses written into Ingress statuses.
    pub status: Status,
    /// Which replica writes statuses.
    pub leader_election: LeaderElection,
    /// The ports for traffic.
    pub listen: Listen,
    /// PROXY protocol on both ports.
    pub proxy_protocol: ProxyProtocol,
    /// Limits on client connections and requests.
    pub client: Http,
    /// Forwarded headers: whose are believed, which are sent.
    pub forwarding: Forwarding,
    /// GeoIP databases.
    #[serde(rename = "geoip")]
    pub geoip: GeoIp,
    /// Threads that serve traffic. `null`: as many as the CPU limit of the
    /// container, rounded up, or as the machine has.
    #[schemars(range(min = 1, max = 1024))]
    pub threads: Option<u16>,
    /// The port for probes, metrics and dumps.
    pub admin: Admin,
    /// Metrics of requests.
    pub metrics: Metrics,
    /// The admission webhook.
    pub webhook: Webhook,
    /// One line for each request, and for each connection of TCP and UDP services.
    pub access_log: AccessLog,
    /// Messages of the program itself.
    pub log: Log,
    /// What happens on SIGTERM.
    pub shutdown: Shutdown,
}

/// Why a file of settings is of no use. Names the file and, where known, the
/// line.
#[derive(Debug, thiserror::Error)]
pub enum SettingsError {
    /// It cannot be read.
    #[error("{}: {error}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why not.
        error: std::io::Error,
    },
    /// It is not YAML, or not of this shape.
    #[error("{}: {message}", path.display())]
    Parse {
        /// The file.
        path: PathBuf,
        /// Line, key and reason, with the offending line.
        message: String,
    },
    /// Values that do not go together.
    #[error("{}: {field}: {reason}", path.display())]
    Invalid {
        /// The file.
        path: PathBuf,
        /// The key, as a path.
        field: &'static str,
        /// What is wrong, and what to do.
        reason: String,
    },
}

impl Settings {
    /// Reads a file.
    ///
    /// # Errors
    /// A [`SettingsError`] with the file's name, the line and the key.
    pub fn read(path: &Path) -> Result<Self, SettingsError> {
        let text = std::fs::read_to_string(path).map_err(|error| SettingsError::Read {
            path: path.to_owned(),
            error,
        })?;
        Self::parse(&text, path)
    }

    /// Parses the text of a file; `path` is for messages.
    ///
    /// # Errors
    /// As [`Settings::read`].
    pub fn parse(text: &str, path: &Path) -> Result<Self, SettingsError> {
        // A file of comments alone is a file of defaults.
        let settings: Option<Self> = serde_saphyr::from_str(text).map_err(|error| SettingsError::Parse {
            path: path.to_owned(),
            message: error.to_string(),
        })?;
        let settings = settings.unwrap_or_default();
        match settings.check() {
            Ok(()) => Ok(settings),
            Err((field, reason)) => Err(SettingsError::Invalid {
                path: path.to_owned(),
                field,
                reason,
            }),
        }
    }

    /// Finds values that do not go together; the error is the key's path and
    /// the reason.
    ///
    /// # Errors
    /// The first such value.
    pub fn check(&self) -> Result<(), (&'static str, String)> {
        let error = |field, reason: &str| Err((field, reason.to_owned()));
        if self.threads == Some(0) {
            return error(
                "threads",
                "at least one thread is needed; leave it out for the CPU limit",
            );
        }
        if self.status.publish_service.is_some() && !self.status.publish_addresses.is_empty() {
            return error(
                "status.publishAddresses",
                "excludes status.publishService: the addresses come from one place",
            );
        }
        if let Some(services) = &self.gateway_api.services {
            if !self.gateway_api.addresses.is_empty() {
                return error(
                    "gatewayApi.services",
                    "excludes gatewayApi.addresses: a Gateway is reached in one way",
                );
            }
            services.check()?;
        }
        let kubernetes = &self.provider.kubernetes;
        if kubernetes.namespace.is_some() && kubernetes.namespace_selector.is_some() {
            return error(
                "provider.kubernetes.namespaceSelector",
                "excludes provider.kubernetes.namespace: use one of them",
            );
        }
        match (self.listen.http_port, self.listen.https_port) {
            (None, None) => {
                return error(
                    "listen.httpsPort",
                    "nothing to serve: listen.httpPort is null, too",
                );
            }
            (Some(http), Some(https)) if http == https && http != 0 => {
                return Err(("listen.httpsPort", format!("{https} is taken by listen.httpPort")));
            }
            _ => {}
        }
        if self.proxy_protocol.enabled && self.proxy_protocol.trusted.is_empty() {
            return error(
                "proxyProtocol.trusted",
                "must name the load balancer's networks, for example 10.0.0.0/8: \
                 from anybody else no PROXY header is believed",
            );
        }
        let webhook = &self.webhook;
        if webhook.secret.is_some() != webhook.configuration.is_some() {
            return error(
                "webhook.secret",
                "needs webhook.configuration, and the other way round: the certificate is made for its Services",
            );
        }
        if webhook.secret.is_some() && (webhook.certificate.is_some() || webhook.key.is_some()) {
            return error(
                "webhook.secret",
                "excludes webhook.certificate and webhook.key: the certificate comes from one place",
            );
        }
        if self.metrics.series_cap < Metrics::LEAST_CAP {
            return Err((
                "metrics.seriesCap",
                format!(
                    "{} is too few: what has no room needs some series, too; at least {}",
                    self.metrics.series_cap,
                    Metrics::LEAST_CAP
                ),
            ));
        }
        if self.client.max_header_line > self.client.max_header_total {
            return error("client.maxHeaderLine", "is more than client.maxHeaderTotal");
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
