//! The rustls configuration that settings ask for.

use std::sync::{Arc, LazyLock};

use rustls::crypto::{CryptoProvider, SupportedKxGroup, aws_lc_rs};
use rustls::server::{NoServerSessionStorage, ProducesTickets};
use rustls::version::{TLS12, TLS13};
use rustls::{CipherSuite, ServerConfig, SupportedCipherSuite, SupportedProtocolVersion};
use tidegate_snapshot::{Cipher, KeyExchange, Tickets, TlsSettings};
use tracing::warn;

use super::ticketer::Shared;
use super::{Authority, Names, provider, sessions};

/// Bytes of requests that a client may send before its handshake has ended
/// (nginx's `ssl_early_data` takes as many).
const EARLY_DATA: u32 = 16 * 1024;

/// Sessions are shared by all that ask for no certificates; each that does has
/// its own.
pub(super) fn server_config(
    names: Arc<Names>,
    authority: Option<Arc<Authority>>,
    settings: &TlsSettings,
) -> ServerConfig {
    let builder = ServerConfig::builder_with_provider(restricted(settings))
        .with_protocol_versions(&versions(settings))
        .unwrap_or_else(|error| {
            // Translation leaves something to offer; a default is better than no TLS at all.
            warn!(%error, "TLS settings leave nothing to offer, the defaults are used");
            ServerConfig::builder_with_provider(provider())
                .with_protocol_versions(&[&TLS13, &TLS12])
                .expect("the provider has suites for both versions")
        });
    let is_own = authority.is_some();
    let builder = match authority {
        None => builder.with_no_client_auth(),
        Some(authority) => builder.with_client_cert_verifier(authority),
    };
    let mut config = builder.with_cert_resolver(names);
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    config.ignore_client_order = settings.server_order;
    config.session_storage = match settings.session_cache {
        false => Arc::new(NoServerSessionStorage {}),
        true => sessions::storage(is_own, settings.session_cache_size, settings.session_timeout),
    };
    // Never where certificates are asked for: who sends must be known first.
    // rustls takes it only from sessions that it keeps itself.
    if settings.early_data && settings.session_cache && settings.tls13 && !is_own {
        config.max_early_data_size = EARLY_DATA;
        // Each takes a place among the sessions that are kept.
        config.send_tls13_tickets = 1;
        // The answer must not wait for the end of the handshake either.
        config.send_half_rtt_data = true;
        return config;
    }
    let ticketer = match &settings.tickets {
        Tickets::Off => return config,
        Tickets::Own if !is_own => ticketer(),
        Tickets::Shared(key) if !is_own => Some(Arc::new(Shared::new(key)) as Arc<dyn ProducesTickets>),
        Tickets::Own | Tickets::Shared(_) => aws_lc_rs::Ticketer::new().ok(),
    };
    match ticketer {
        Some(ticketer) => config.ticketer = sessions::tickets(ticketer, settings.session_timeout),
        None => config.session_storage = Arc::new(NoServerSessionStorage {}),
    }
    config
}

/// The same for a listener that speaks HTTP/1.1 alone.
pub(crate) fn without_http2(config: &ServerConfig) -> Arc<ServerConfig> {
    let mut config = config.clone();
    config.alpn_protocols.retain(|protocol| protocol != b"h2");
    Arc::new(config)
}

/// The same for connections whose protocol is not known here: no client may be
/// refused for the ones that it names.
pub(crate) fn without_alpn(config: &ServerConfig) -> Arc<ServerConfig> {
    let mut config = config.clone();
    config.alpn_protocols.clear();
    // Nobody could tell the backend what came early.
    config.max_early_data_size = 0;
    Arc::new(config)
}

fn versions(settings: &TlsSettings) -> Vec<&'static SupportedProtocolVersion> {
    let both = [(settings.tls13, &TLS13), (settings.tls12, &TLS12)];
    let wanted = both.into_iter().filter(|(wanted, _)| *wanted);
    wanted.map(|(_, version)| version).collect()
}

/// The provider with the suites and groups that are wanted, in their order.
fn restricted(settings: &TlsSettings) -> Arc<CryptoProvider> {
    let mut provider = CryptoProvider::clone(&provider());
    provider.cipher_suites = suites(&provider, &settings.ciphers);
    provider.kx_groups = settings.groups.iter().map(|wanted| group(*wanted)).collect();
    Arc::new(provider)
}

/// A provider's suites of TLS 1.3, and of TLS 1.2 these, in their order.
///
/// Those of SHA-256 come first, as in ingress-nginx's list for TLS 1.2: processors
/// have instructions for it and none for SHA-384, which is a sixth of a handshake.
pub(crate) fn suites(provider: &CryptoProvider, ciphers: &[Cipher]) -> Vec<SupportedCipherSuite> {
    let newest = |suite: &SupportedCipherSuite| suite.tls13().is_some();
    let mut suites: Vec<_> = provider.cipher_suites.iter().copied().filter(newest).collect();
    suites.sort_by_key(|suite| match suite.suite() {
        CipherSuite::TLS13_AES_128_GCM_SHA256 => 0,
        CipherSuite::TLS13_CHACHA20_POLY1305_SHA256 => 1,
        _ => 2,
    });
    let find = |cipher: &Cipher| {
        let wanted = suite(*cipher);
        let mut known = provider.cipher_suites.iter();
        known.find(|suite| suite.suite() == wanted).copied()
    };
    suites.extend(ciphers.iter().filter_map(find));
    suites
}

fn suite(cipher: Cipher) -> CipherSuite {
    match cipher {
        Cipher::EcdheEcdsaAes128 => CipherSuite::TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256,
        Cipher::EcdheRsaAes128 => CipherSuite::TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256,
        Cipher::EcdheEcdsaAes256 => CipherSuite::TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384,
        Cipher::EcdheRsaAes256 => CipherSuite::TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384,
        Cipher::EcdheEcdsaChaCha20 => CipherSuite::TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256,
        Cipher::EcdheRsaChaCha20 => CipherSuite::TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256,
    }
}

fn group(wanted: KeyExchange) -> &'static dyn SupportedKxGroup {
    match wanted {
        KeyExchange::X25519MlKem768 => aws_lc_rs::kx_group::X25519MLKEM768,
        KeyExchange::X25519 => aws_lc_rs::kx_group::X25519,
        KeyExchange::P256 => aws_lc_rs::kx_group::SECP256R1,
        KeyExchange::P384 => aws_lc_rs::kx_group::SECP384R1,
    }
}

/// One ticket key for the process, which rustls rotates every six hours. `None`
/// when the system has no randomness to make one.
fn ticketer() -> Option<Arc<dyn ProducesTickets>> {
    static TICKETER: LazyLock<Option<Arc<dyn ProducesTickets>>> = LazyLock::new(|| {
        aws_lc_rs::Ticketer::new()
            .inspect_err(|error| warn!(%error, "no TLS session tickets"))
            .ok()
    });
    TICKETER.clone()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn offered(settings: &TlsSettings) -> Vec<String> {
        let provider = restricted(settings);
        let old = provider
            .cipher_suites
            .iter()
            .filter(|suite| suite.tls13().is_none());
        old.map(|suite| super::super::names::openssl_name(suite.suite()).to_owned())
            .collect()
    }

    #[test]
    fn every_cipher_and_group_is_the_librarys() {
        let names: Vec<_> = Cipher::ALL.iter().map(|cipher| cipher.name()).collect();
        assert_eq!(offered(&TlsSettings::default()), names);
        let known: Vec<_> = provider().kx_groups.iter().map(|group| group.name()).collect();
        let ours: Vec<_> = KeyExchange::ALL.map(|wanted| group(wanted).name()).into();
        assert_eq!(ours, known);
    }

    #[test]
    fn only_what_is_wanted_is_offered() {
        let settings = TlsSettings {
            tls13: false,
            ciphers: vec![Cipher::EcdheRsaAes256],
            groups: vec![KeyExchange::P384],
            server_order: false,
            session_cache: false,
            tickets: Tickets::Off,
            ..TlsSettings::default()
        };
        assert_eq!(offered(&settings), ["ECDHE-RSA-AES256-GCM-SHA384"]);
        let config = server_config(Arc::default(), None, &settings);
        assert!(!config.ticketer.enabled());
        assert!(!config.session_storage.can_cache());
        assert!(!config.ignore_client_order);
        assert_eq!(config.crypto_provider().kx_groups.len(), 1);
    }

    #[test]
    fn suites_of_tls_13_with_hardware_for_their_hash_come_first() {
        let provider = restricted(&TlsSettings::default());
        let names = provider.cipher_suites.iter().take(3);
        let names: Vec<_> = names
            .map(|suite| super::super::names::openssl_name(suite.suite()))
            .collect();
        let wanted = [
            "TLS_AES_128_GCM_SHA256",
            "TLS_CHACHA20_POLY1305_SHA256",
            "TLS_AES_256_GCM_SHA384",
        ];
        assert_eq!(names, wanted);
    }

    #[test]
    fn settings_without_anything_to_offer_mean_the_defaults() {
        let nothing = TlsSettings {
            tls13: false,
            ciphers: Vec::new(),
            ..TlsSettings::default()
        };
        let config = server_config(Arc::default(), None, &nothing);
        assert!(config.crypto_provider().cipher_suites.len() > 3);
    }
}
