//! A certificate in two files that may change at any time.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

use parking_lot::Mutex;
use rustls::crypto::CryptoProvider;
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use tracing::{info, warn};

/// A certificate chain and its key in PEM files. Every handshake looks whether
/// they have changed; while they cannot be used the last good pair stays.
#[derive(Debug)]
pub struct CertificateFiles {
    certificate: PathBuf,
    key: PathBuf,
    loaded: Mutex<Loaded>,
}

#[derive(Debug)]
struct Loaded {
    pair: Arc<CertifiedKey>,
    /// Of both files when they were read last, good or not.
    modified: [Option<SystemTime>; 2],
}

/// Why two files are no certificate and key.
#[derive(Debug, thiserror::Error)]
pub enum FilesError {
    /// A file cannot be read, or holds nothing of use.
    #[error("{}: {error}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// Why not.
        error: rustls_pki_types::pem::Error,
    },
    /// They do not belong together, or the TLS library cannot use them.
    #[error("{}: {error}", path.display())]
    Pair {
        /// The key's file.
        path: PathBuf,
        /// Why not.
        error: rustls::Error,
    },
}

impl CertificateFiles {
    /// Reads both files.
    ///
    /// # Errors
    /// When they cannot be used; the error names the file.
    pub fn read(certificate: &Path, key: &Path) -> Result<Self, FilesError> {
        crate::tls::install_provider();
        Ok(Self {
            loaded: Mutex::new(Loaded {
                modified: modified(certificate, key),
                pair: Arc::new(pair(certificate, key)?),
            }),
            certificate: certificate.to_owned(),
            key: key.to_owned(),
        })
    }

    fn current(&self) -> Arc<CertifiedKey> {
        let mut loaded = self.loaded.lock();
        let now = modified(&self.certificate, &self.key);
        if now != loaded.modified {
            loaded.modified = now;
            match pair(&self.certificate, &self.key) {
                Ok(pair) => {
                    info!(certificate = %self.certificate.display(), "webhook certificate read again");
                    loaded.pair = Arc::new(pair);
                }
                Err(error) => warn!(%error, "webhook certificate not usable, the last one stays"),
            }
        }
        loaded.pair.clone()
    }
}

impl ResolvesServerCert for CertificateFiles {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.current())
    }
}

fn modified(certificate: &Path, key: &Path) -> [Option<SystemTime>; 2] {
    [certificate, key].map(|path| std::fs::metadata(path).and_then(|data| data.modified()).ok())
}

fn pair(certificate: &Path, key: &Path) -> Result<CertifiedKey, FilesError> {
    let file = |path: &Path, error| FilesError::File {
        path: path.to_owned(),
        error,
    };
    let chain = CertificateDer::pem_file_iter(certificate)
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .map_err(|error| file(certificate, error))?;
    let der = PrivateKeyDer::from_pem_file(key).map_err(|error| file(key, error))?;
    let provider = CryptoProvider::get_default().expect("installed before");
    CertifiedKey::from_der(chain, der, provider).map_err(|error| FilesError::Pair {
        path: key.to_owned(),
        error,
    })
}
