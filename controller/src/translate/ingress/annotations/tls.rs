//! `ssl-ciphers` and `ssl-prefer-server-ciphers` (annotations reference §4).

use tidegate_snapshot::{Cipher, Effect, TlsSettings};

use super::{Refusal, Settings, value};
use crate::translate::ciphers;

/// What an Ingress says of handshakes with its hosts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct HostTls {
    /// At least one.
    pub(crate) ciphers: Option<Vec<Cipher>>,
    pub(crate) server_order: Option<bool>,
}

impl HostTls {
    /// What is not said here as it is said there.
    pub(crate) fn or(self, other: &Self) -> Self {
        Self {
            ciphers: self.ciphers.or_else(|| other.ciphers.clone()),
            server_order: self.server_order.or(other.server_order),
        }
    }

    /// The settings with this; `None`: they are the same.
    pub(crate) fn over(self, settings: &TlsSettings) -> Option<TlsSettings> {
        let own = TlsSettings {
            ciphers: self.ciphers.unwrap_or_else(|| settings.ciphers.clone()),
            server_order: self.server_order.unwrap_or(settings.server_order),
            ..settings.clone()
        };
        (own != *settings).then_some(own)
    }
}

pub(super) fn ciphers(settings: &mut Settings, text: &str) -> Result<(), Refusal> {
    let levels = ["0", "1", "2", "3", "4", "5"];
    let plain = |part: &str| {
        let allowed = |c: char| c.is_ascii_alphanumeric() || "!+-_".contains(c);
        part.chars().all(allowed)
    };
    let special = |part: &str| {
        let level = part.strip_prefix("@SECLEVEL=");
        part == "@STRENGTH" || level.is_some_and(|level| levels.contains(&level))
    };
    if !text.split(':').all(|part| plain(part) || special(part)) {
        return Err(Refusal::rejected(
            format!("{} is no list of ciphers", value::shown(text)),
            "write OpenSSL's names with colons between",
        ));
    }
    let chosen = ciphers::parse(text);
    let fix = format!("the suites are {}", Cipher::ALL.map(Cipher::name).join(", "));
    if chosen.ciphers.is_empty() {
        return Err(Refusal::ignored(
            "none of these suites is served: as on other hosts",
            fix,
        ));
    }
    settings.tls.ciphers = Some(chosen.ciphers);
    if chosen.missing.is_empty() {
        return Ok(());
    }
    Err(Refusal {
        effect: Effect::Applied,
        ..Refusal::ignored(format!("not served: {}", chosen.missing.join(", ")), fix)
    })
}

pub(super) fn prefer_server(settings: &mut Settings, text: &str) -> Result<(), Refusal> {
    settings.tls.server_order = Some(value::bool(text)?);
    Ok(())
}
