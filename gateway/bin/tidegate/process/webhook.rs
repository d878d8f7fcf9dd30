//! The admission webhook on its thread: HTTPS on one side, the controller on
//! the other.

use std::net::SocketAddr;
use std::sync::Arc;
use std::thread;

use anyhow::Context;
use async_trait::async_trait;
use http::StatusCode;
use rustls::server::ResolvesServerCert;
use tidegate_controller::admission::{CertificateConfig, Desk, ReviewError, TakeCertificate};
use tidegate_gateway::settings::Webhook;
use tidegate_gateway::webhook::{Answer, CertificateFiles, CertificateSlot, serve};
use tokio::sync::watch;
use tracing::info;

use crate::{options, ports};

/// What the webhook serves with.
pub(super) enum Certificate {
    /// Two files.
    Files(Arc<CertificateFiles>),
    /// What the controller finds in a Secret.
    Kept(Arc<CertificateSlot>),
}

impl Certificate {
    /// The one that settings ask for; `None` without a webhook.
    pub(super) fn of(settings: &Webhook) -> anyhow::Result<Option<Self>> {
        if settings.address.is_none() {
            return Ok(None);
        }
        if settings.secret.is_some() {
            return Ok(Some(Self::Kept(Arc::default())));
        }
        let (Some(certificate), Some(key)) = (&settings.certificate, &settings.key) else {
            anyhow::bail!(
                "--validating-webhook needs --validating-webhook-certificate and --validating-webhook-key, \
                 or --validating-webhook-secret and --validating-webhook-configuration"
            );
        };
        let files = CertificateFiles::read(certificate, key).context("--validating-webhook-certificate")?;
        Ok(Some(Self::Files(Arc::new(files))))
    }

    /// What the controller is to do for it.
    pub(super) fn kept(&self, settings: &Webhook) -> anyhow::Result<Option<CertificateConfig>> {
        let Self::Kept(slot) = self else { return Ok(None) };
        let secret = options::object(settings.secret.as_deref()).context("setting webhook.secret")?;
        let (Some(secret), Some(webhook)) = (secret, settings.configuration.clone()) else {
            anyhow::bail!("--validating-webhook-secret needs --validating-webhook-configuration");
        };
        let slot = slot.clone();
        Ok(Some(CertificateConfig {
            secret,
            webhook,
            validity: settings.validity.0,
            take: TakeCertificate(Arc::new(move |certificate, key| {
                if let Err(error) = slot.set(certificate, key) {
                    tracing::warn!(%error, "webhook certificate not usable, the last one stays");
                }
            })),
        }))
    }
}

/// Starts it, if it is wanted; it ends when the returned sender is dropped.
pub(super) fn start(
    settings: &Webhook,
    certificate: Option<Certificate>,
    desk: Desk,
) -> anyhow::Result<Option<watch::Sender<bool>>> {
    let (Some(address), Some(certificate)) = (&settings.address, certificate) else {
        return Ok(None);
    };
    let certificate: Arc<dyn ResolvesServerCert> = match certificate {
        Certificate::Files(files) => files,
        Certificate::Kept(slot) => slot,
    };
    let address = parse(address)?;
    let listener = ports::bind(address, "--validating-webhook")?;
    listener.set_nonblocking(true).context("webhook port")?;
    info!(%address, "webhook port bound");
    let runtime = super::on_a_runtime()?;
    let (stop, stopping) = watch::channel(false);
    let work = move || {
        runtime.block_on(async move {
            match tokio::net::TcpListener::from_std(listener) {
                Ok(listener) => serve(listener, certificate, Arc::new(Reviews(desk)), stopping).await,
                Err(error) => tracing::error!(%error, "webhook not served"),
            }
        });
    };
    thread::Builder::new()
        .name("webhook".to_owned())
        .spawn(work)
        .context("no thread for the webhook")?;
    Ok(Some(stop))
}

/// `:8443` means all addresses, as in Go.
fn parse(text: &str) -> anyhow::Result<SocketAddr> {
    let address = match text.strip_prefix(':') {
        Some(port) => port
            .parse()
            .ok()
            .map(|port| SocketAddr::new(ports::any_address(), port)),
        None => text.parse().ok(),
    };
    address.with_context(|| {
        format!("--validating-webhook: {text:?} is not an address with a port, as in \":8443\"")
    })
}

struct Reviews(Desk);

#[async_trait]
impl Answer for Reviews {
    async fn answer(&self, body: Vec<u8>) -> Result<Vec<u8>, (StatusCode, String)> {
        self.0.review(&body).map_err(|error| {
            let status = match error {
                ReviewError::Malformed(_) => StatusCode::BAD_REQUEST,
                ReviewError::Unavailable(_) => StatusCode::SERVICE_UNAVAILABLE,
            };
            (status, error.to_string())
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_those_of_go() {
        assert_eq!(parse(":8443").unwrap().port(), 8443);
        assert_eq!(parse("127.0.0.1:1").unwrap(), ([127, 0, 0, 1], 1).into());
        for text in ["8443", ":x", "localhost:1"] {
            assert!(parse(text).is_err(), "{text}");
        }
    }
}
