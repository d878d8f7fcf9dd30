//! A client for the API server, from what the flags say.

use std::path::Path;
use std::time::Duration;

use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Client, Config};
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject;

use super::KubernetesConfig;
use crate::Error;

/// An API server that does not accept a connection in this time is away.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// Makes a client; connects to nothing yet.
pub(crate) async fn connect(settings: &KubernetesConfig) -> Result<Client, Error> {
    let mut config = base(settings).await?;
    if let Some(host) = &settings.apiserver_host {
        config.cluster_url = url(host)?;
    }
    if let Some(path) = &settings.certificate_authority {
        config.root_cert = Some(authorities(path)?);
    }
    config.connect_timeout = Some(CONNECT_TIMEOUT);
    Client::try_from(config).map_err(|source| Error::Client {
        source: Box::new(source),
    })
}

async fn base(settings: &KubernetesConfig) -> Result<Config, Error> {
    let Some(path) = &settings.kubeconfig else {
        return match &settings.apiserver_host {
            Some(host) => Ok(Config::new(url(host)?)),
            None => Config::incluster().map_err(|source| Error::InCluster {
                source: Box::new(source),
            }),
        };
    };
    let error = |source| Error::Kubeconfig {
        path: path.clone(),
        source: Box::new(source),
    };
    let kubeconfig = Kubeconfig::read_from(path).map_err(error)?;
    let options = KubeConfigOptions {
        context: settings.context.clone(),
        ..KubeConfigOptions::default()
    };
    Config::from_custom_kubeconfig(kubeconfig, &options)
        .await
        .map_err(error)
}

fn url(host: &str) -> Result<http::Uri, Error> {
    host.parse().map_err(|_| Error::ApiServerHost {
        host: host.to_owned(),
    })
}

fn authorities(path: &Path) -> Result<Vec<Vec<u8>>, Error> {
    let error = |reason: String| Error::CertificateAuthority {
        path: path.to_owned(),
        reason,
    };
    let text = std::fs::read(path).map_err(|source| error(source.to_string()))?;
    let certificates: Vec<Vec<u8>> = CertificateDer::pem_slice_iter(&text)
        .map(|certificate| certificate.map(|certificate| certificate.to_vec()))
        .collect::<Result<_, _>>()
        .map_err(|source| error(source.to_string()))?;
    if certificates.is_empty() {
        return Err(error("no PEM certificate in it".to_owned()));
    }
    Ok(certificates)
}
