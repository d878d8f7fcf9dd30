//! TLS as every scenario has it.

use anyhow::{Context, Result};
use rustls::ClientConfig;
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::pki_types::ServerName;

use crate::trust_all;

/// TLS 1.3 that takes every certificate, as wrk and h2load do.
pub(crate) fn config(alpn: &[&str]) -> ClientConfig {
    // The same group for every gateway: not all have the post-quantum one, which costs more.
    let provider = CryptoProvider {
        kx_groups: vec![aws_lc_rs::kx_group::X25519],
        ..aws_lc_rs::default_provider()
    };
    trust_all::client_config_by(provider, &[&rustls::version::TLS13], alpn)
}

/// What the handshake asks for.
///
/// # Errors
/// The host is not a name that TLS can ask for.
pub(crate) fn name(host: &str) -> Result<ServerName<'static>> {
    ServerName::try_from(host.to_owned()).with_context(|| format!("HOST {host:?}"))
}
