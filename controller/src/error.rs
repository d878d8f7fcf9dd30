//! Why a controller cannot start. After the start nothing ends it: what goes
//! wrong then is reported and retried.

use std::path::PathBuf;

/// Why a controller cannot start.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The kubeconfig does not exist, is broken, or lacks what was asked for.
    #[error("kubeconfig {}", path.display())]
    Kubeconfig {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        source: Box<kube::config::KubeconfigError>,
    },
    /// No kubeconfig was given, and this is no pod of a cluster.
    #[error("not in a pod of a cluster (give --kubeconfig or --apiserver-host)")]
    InCluster {
        /// What is missing.
        source: Box<kube::config::InClusterError>,
    },
    /// The API server's address is no URL.
    #[error("--apiserver-host {host}: not a URL like https://10.0.0.1:6443")]
    ApiServerHost {
        /// As it was given.
        host: String,
    },
    /// The file with the API server's certificate authority is not usable.
    #[error("--certificate-authority {}: {reason}", path.display())]
    CertificateAuthority {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// The client's certificate, key or other settings are not usable.
    #[error("API client")]
    Client {
        /// What is wrong.
        source: Box<kube::Error>,
    },
    /// The directory of YAML does not exist or cannot be read.
    #[error("configuration directory {}", path.display())]
    Directory {
        /// The directory or file.
        path: PathBuf,
        /// What is wrong.
        source: std::io::Error,
    },
}
