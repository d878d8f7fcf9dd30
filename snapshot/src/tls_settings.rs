//! How handshakes with clients go.

use std::fmt;
use std::time::Duration;

use serde::{Serialize, Serializer};

/// Versions, suites and sessions of TLS. [`TlsSettings::default`] is what
/// ingress-nginx 1.15 does without a ConfigMap, but for tickets, which are on.
///
/// There is always something to offer: a suite of TLS 1.2 or TLS 1.3, and a
/// group.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct TlsSettings {
    /// `ssl-protocols`.
    pub tls12: bool,
    /// `ssl-protocols`.
    pub tls13: bool,
    /// Of TLS 1.2, the best first (`ssl-ciphers`). Those of TLS 1.3 are not
    /// chosen.
    pub ciphers: Vec<Cipher>,
    /// Groups for the key exchange, the best first (`ssl-ecdh-curve`).
    pub groups: Vec<KeyExchange>,
    /// Our order of suites wins over the client's (`ssl-prefer-server-ciphers`).
    pub server_order: bool,
    /// Sessions are kept here (`ssl-session-cache`).
    pub session_cache: bool,
    /// Bytes for them (`ssl-session-cache-size`); `None`: room for 8,192.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub session_cache_size: Option<u64>,
    /// How long sessions hold, kept here or by clients (`ssl-session-timeout`).
    /// `None`: tickets for 12 hours, sessions here as long as there is room.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub session_timeout: Option<Duration>,
    /// Sessions are kept by clients.
    pub tickets: Tickets,
    /// Requests may come before a resumed handshake has ended (RFC 8446 section
    /// 2.3, `ssl-early-data`). Each session is then kept here, and taken once: so
    /// nobody else can send such a request again.
    pub early_data: bool,
}

impl Default for TlsSettings {
    fn default() -> Self {
        Self {
            tls12: true,
            tls13: true,
            ciphers: Cipher::ALL.to_vec(),
            groups: KeyExchange::ALL.to_vec(),
            server_order: true,
            session_cache: true,
            session_cache_size: None,
            session_timeout: None,
            tickets: Tickets::Own,
            early_data: false,
        }
    }
}

/// A suite of TLS 1.2 that the TLS library has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[allow(missing_docs, reason = "each is its own name")]
pub enum Cipher {
    EcdheEcdsaAes128,
    EcdheRsaAes128,
    EcdheEcdsaAes256,
    EcdheRsaAes256,
    EcdheEcdsaChaCha20,
    EcdheRsaChaCha20,
}

impl Cipher {
    /// In the order of ingress-nginx's default of `ssl-ciphers`.
    pub const ALL: [Self; 6] = [
        Self::EcdheEcdsaAes128,
        Self::EcdheRsaAes128,
        Self::EcdheEcdsaAes256,
        Self::EcdheRsaAes256,
        Self::EcdheEcdsaChaCha20,
        Self::EcdheRsaChaCha20,
    ];

    /// OpenSSL's name (ciphers(1)).
    pub fn name(self) -> &'static str {
        match self {
            Self::EcdheEcdsaAes128 => "ECDHE-ECDSA-AES128-GCM-SHA256",
            Self::EcdheRsaAes128 => "ECDHE-RSA-AES128-GCM-SHA256",
            Self::EcdheEcdsaAes256 => "ECDHE-ECDSA-AES256-GCM-SHA384",
            Self::EcdheRsaAes256 => "ECDHE-RSA-AES256-GCM-SHA384",
            Self::EcdheEcdsaChaCha20 => "ECDHE-ECDSA-CHACHA20-POLY1305",
            Self::EcdheRsaChaCha20 => "ECDHE-RSA-CHACHA20-POLY1305",
        }
    }
}

/// A group for the key exchange that the TLS library has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
pub enum KeyExchange {
    /// Post-quantum, with X25519 beside it.
    X25519MlKem768,
    /// RFC 7748.
    X25519,
    /// `prime256v1`.
    P256,
    /// `secp384r1`.
    P384,
}

impl KeyExchange {
    /// The best first.
    pub const ALL: [Self; 4] = [Self::X25519MlKem768, Self::X25519, Self::P256, Self::P384];
}

/// Sessions that clients keep, sealed (RFC 5077; nginx `ssl_session_tickets`).
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub enum Tickets {
    /// None.
    Off,
    /// Under keys that each process makes and changes.
    Own,
    /// Under a key that all replicas share (`ssl-session-ticket-key`).
    Shared(TicketKey),
}

/// Secret bytes; never shown.
#[derive(Clone, PartialEq, Eq)]
pub struct TicketKey(pub Box<[u8]>);

impl fmt::Debug for TicketKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("redacted")
    }
}

impl Serialize for TicketKey {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&format_args!("{self:?}"))
    }
}
