//! The webhook's certificate, which may change at any time: in two files, or
//! given by whoever keeps it.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

use arc_swap::ArcSwapOption;
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

/// A certificate that is exchanged from outside; handshakes fail before there is
/// one.
#[derive(Debug, Default)]
pub struct CertificateSlot(ArcSwapOption<CertifiedKey>);

/// Why two texts are no certificate and key.
#[derive(Debug, thiserror::Error)]
pub enum PairError {
    /// One cannot be read, or holds nothing of use.
    #[error("{part}: {error}")]
    Text {
        /// The file, or which of the two.
        part: String,
        /// Why not.
        error: rustls_pki_types::pem::Error,
    },
    /// They do not belong together, or the TLS library cannot use them.
    #[error("{part}: {error}")]
    Pair {
        /// The key's file, or the key.
        part: String,
        /// Why not.
        error: rustls::Error,
    },
}

impl CertificateSlot {
    /// Uses this certificate chain and key, both PEM, from the next handshake on.
    ///
    /// # Errors
    /// When they are no use; the one before stays.
    pub fn set(&self, certificate: &[u8], key: &[u8]) -> Result<(), PairError> {
        crate::tls::install_provider();
        let text = |part: &str, error| PairError::Text {
            part: part.to_owned(),
            error,
        };
        let chain = CertificateDer::pem_slice_iter(certificate).collect::<Result<Vec<_>, _>>();
        let chain = chain.map_err(|error| text("certificate", error))?;
        let der = PrivateKeyDer::from_pem_slice(key).map_err(|error| text("key", error))?;
        let pair = certified(chain, der).map_err(|error| PairError::Pair {
            part: "key".to_owned(),
            error,
        })?;
        self.0.store(Some(Arc::new(pair)));
        info!("webhook certificate taken");
        Ok(())
    }
}

impl ResolvesServerCert for CertificateSlot {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        self.0.load_full()
    }
}

impl CertificateFiles {
    /// Reads both files.
    ///
    /// # Errors
    /// When they cannot be used; the error names the file.
    pub fn read(certificate: &Path, key: &Path) -> Result<Self, PairError> {
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

fn pair(certificate: &Path, key: &Path) -> Result<CertifiedKey, PairError> {
    let text = |path: &Path, error| PairError::Text {
        part: path.display().to_string(),
        error,
    };
    let chain = CertificateDer::pem_file_iter(certificate)
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .map_err(|error| text(certificate, error))?;
    let der = PrivateKeyDer::from_pem_file(key).map_err(|error| text(key, error))?;
    certified(chain, der).map_err(|error| PairError::Pair {
        part: key.display().to_string(),
        error,
    })
}

fn certified(
    chain: Vec<CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
) -> Result<CertifiedKey, rustls::Error> {
    let provider = CryptoProvider::get_default().expect("installed before");
    CertifiedKey::from_der(chain, key, provider)
}
