//! The certificate of the admission webhook where nobody else makes one: the
//! leader makes it, keeps it in a Secret, renews it in time, and tells the API
//! server (`caBundle`) whom to trust; every replica takes it from the Secret.
//!
//! A new authority is made known before the certificate that it signed is used,
//! and the one before stays known until it ends: no review fails meanwhile.

mod authority;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt;
use k8s_openapi::ByteString;
use k8s_openapi::api::admissionregistration::v1::{ValidatingWebhookConfiguration, WebhookClientConfig};
use k8s_openapi::api::core::v1::Secret;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::api::{Patch, PatchParams, PostParams};
use kube::runtime::{WatchStreamExt, watcher};
use kube::{Api, Client};
use serde_json::json;
use tokio::sync::watch;
use tracing::{info, warn};

use self::authority::{Pair, bundle, renewal};
use crate::objects::NamespacedName;

/// How often the leader looks whether everything is as it should be.
const CHECK: Duration = Duration::from_secs(60);
/// API servers need a moment to notice a new authority before the certificate
/// that it signed is served.
const NOTICE: Duration = Duration::from_secs(2);
/// The pause after a failure.
const PAUSE: Duration = Duration::from_secs(5);

/// Keys of the Secret, as ingress-nginx's jobs name them.
const AUTHORITY: &str = "ca";
const CERTIFICATE: &str = "cert";
const KEY: &str = "key";

/// Takes a certificate chain and its key, both PEM, whenever they change.
#[derive(Clone)]
pub struct TakeCertificate(pub Arc<Take>);

/// Called with the chain, then the key.
pub type Take = dyn Fn(&[u8], &[u8]) + Send + Sync;

impl std::fmt::Debug for TakeCertificate {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("TakeCertificate")
    }
}

/// Where the certificate is kept, and for whom it is made.
#[derive(Clone, Debug)]
pub struct CertificateConfig {
    /// The Secret with the keys `ca`, `cert` and `key`.
    pub secret: NamespacedName,
    /// The ValidatingWebhookConfiguration: its Services are the names in the
    /// certificate, its `caBundle` is kept right.
    pub webhook: String,
    /// How long a certificate is valid; it is renewed when a third is left.
    pub validity: Duration,
    /// Whoever serves with it.
    pub take: TakeCertificate,
}

/// What keeps the certificate from being made.
#[derive(Debug, thiserror::Error)]
enum KeepError {
    #[error("{0}")]
    Api(#[from] kube::Error),
    #[error("the ValidatingWebhookConfiguration {0} is not there")]
    NoWebhook(String),
    #[error("the ValidatingWebhookConfiguration {0} names neither a Service nor a URL")]
    NoName(String),
    #[error("the certificate could not be made: {0}")]
    Make(#[from] rcgen::Error),
}

/// Follows the Secret, and keeps it right while this replica leads. Never ends.
pub(crate) async fn run(client: Client, config: CertificateConfig, leader: watch::Receiver<bool>) {
    tokio::join!(follow(&client, &config), keep(&client, &config, leader));
}

/// Hands over what the Secret has, whenever that changes.
async fn follow(client: &Client, config: &CertificateConfig) {
    let secrets: Api<Secret> = Api::namespaced(client.clone(), &config.secret.namespace);
    let mut seen = watcher::watch_object(secrets, &config.secret.name)
        .default_backoff()
        .boxed();
    let mut known = None;
    while let Some(found) = seen.next().await {
        match found {
            Ok(Some(secret)) => {
                let Some(now) = pair(&secret) else { continue };
                if known.as_ref() != Some(&now) {
                    (config.take.0)(&now.0, &now.1);
                    known = Some(now);
                }
            }
            // The last one goes on being used.
            Ok(None) => {}
            Err(error) => warn!(secret = %config.secret, %error, "webhook certificate not followed"),
        }
    }
}

fn pair(secret: &Secret) -> Option<(Vec<u8>, Vec<u8>)> {
    let data = secret.data.as_ref()?;
    Some((data.get(CERTIFICATE)?.0.clone(), data.get(KEY)?.0.clone()))
}

async fn keep(client: &Client, config: &CertificateConfig, mut leader: watch::Receiver<bool>) {
    loop {
        if leader.wait_for(|leads| *leads).await.is_err() {
            // Nobody elects any more: the process ends.
            return std::future::pending().await;
        }
        let pause = match step(client, config).await {
            Ok(pause) => pause,
            Err(error) => {
                warn!(secret = %config.secret, %error, "webhook certificate not kept");
                PAUSE
            }
        };
        tokio::select! {
            () = tokio::time::sleep(pause) => {}
            _ = leader.wait_for(|leads| !*leads) => {}
        }
    }
}

/// Puts right what is not; returns when to look again.
async fn step(client: &Client, config: &CertificateConfig) -> Result<Duration, KeepError> {
    let webhooks: Api<ValidatingWebhookConfiguration> = Api::all(client.clone());
    let secrets: Api<Secret> = Api::namespaced(client.clone(), &config.secret.namespace);
    let webhook = webhooks.get_opt(&config.webhook).await?;
    let webhook = webhook.ok_or_else(|| KeepError::NoWebhook(config.webhook.clone()))?;
    let names = names(&webhook);
    if names.is_empty() {
        return Err(KeepError::NoName(config.webhook.clone()));
    }
    let secret = secrets.get_opt(&config.secret.name).await?;
    let known = secret.as_ref().and_then(|secret| secret.data.as_ref());
    let value = |key: &str| {
        known
            .and_then(|data| data.get(key))
            .map_or(&[][..], |value| &value.0)
    };
    let (authority, certificate, key) = (value(AUTHORITY), value(CERTIFICATE), value(KEY));
    let now = std::time::SystemTime::now();
    if let Some(left) = renewal(authority, certificate, key, &names, now) {
        trust(&webhooks, &webhook, authority).await?;
        return Ok(left.clamp(Duration::from_millis(100), CHECK));
    }
    let made = Pair::generate(&names, config.validity, now)?;
    let authorities = bundle(&made.authority, authority, now);
    trust(&webhooks, &webhook, &authorities).await?;
    if !certificate.is_empty() {
        tokio::time::sleep(NOTICE).await;
    }
    let data = [
        (AUTHORITY, authorities),
        (CERTIFICATE, made.certificate),
        (KEY, made.key),
    ];
    write(&secrets, &config.secret.name, secret, data).await?;
    info!(secret = %config.secret, ?names, "webhook certificate made");
    Ok(Duration::from_millis(100))
}

/// Names or addresses by which the API server asks: of Services, or of URLs.
fn names(webhook: &ValidatingWebhookConfiguration) -> BTreeSet<String> {
    let webhooks = webhook.webhooks.iter().flatten();
    let name = |client: &WebhookClientConfig| match &client.service {
        Some(service) => Some(format!("{}.{}.svc", service.name, service.namespace)),
        None => {
            let url: http::Uri = client.url.as_deref()?.parse().ok()?;
            Some(url.host()?.trim_matches(['[', ']']).to_owned())
        }
    };
    webhooks
        .filter_map(|webhook| name(&webhook.client_config))
        .collect()
}

/// Makes the authorities known to the API server, unless they are.
async fn trust(
    webhooks: &Api<ValidatingWebhookConfiguration>,
    webhook: &ValidatingWebhookConfiguration,
    authorities: &[u8],
) -> Result<(), KeepError> {
    let bundle = ByteString(authorities.to_vec());
    let all = webhook.webhooks.iter().flatten();
    let others = all.filter(|webhook| webhook.client_config.ca_bundle.as_ref() != Some(&bundle));
    let changes: Vec<_> = others
        .map(|webhook| json!({"name": webhook.name, "clientConfig": {"caBundle": bundle}}))
        .collect();
    if changes.is_empty() {
        return Ok(());
    }
    let name = webhook.metadata.name.as_deref().unwrap_or_default();
    // The list is merged by name: what is not written here stays.
    let patch = Patch::Strategic(json!({ "webhooks": changes }));
    webhooks.patch(name, &PatchParams::default(), &patch).await?;
    info!(webhook = name, "caBundle set");
    Ok(())
}

/// Writes the Secret; an error when somebody else did since it was read.
async fn write(
    secrets: &Api<Secret>,
    name: &str,
    found: Option<Secret>,
    data: [(&str, Vec<u8>); 3],
) -> Result<(), KeepError> {
    let data = data.map(|(key, value)| (key.to_owned(), ByteString(value)));
    let params = PostParams::default();
    match found {
        Some(mut secret) => {
            secret.data.get_or_insert_default().extend(data);
            // The resourceVersion in it makes two writers exclude each other.
            secrets.replace(name, &params, &secret).await?;
        }
        None => {
            let secret = Secret {
                metadata: ObjectMeta {
                    name: Some(name.to_owned()),
                    ..ObjectMeta::default()
                },
                data: Some(data.into()),
                ..Secret::default()
            };
            secrets.create(&params, &secret).await?;
        }
    }
    Ok(())
}
