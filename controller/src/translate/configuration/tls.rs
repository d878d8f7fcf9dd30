//! Handshakes with clients (configmap reference §4).

use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use ipnet::IpNet;
use tidegate_snapshot::{Cipher, Effect, KeyExchange, Networks, Ocsp, TicketKey, Tickets, TlsSettings};

use super::{Draft, Lookup, Refusal, value};
use crate::translate::{ciphers, reason};

/// Keys that depend on each other.
#[derive(Clone, Debug, Default)]
pub(super) struct Keys {
    ciphers: Option<ciphers::Chosen>,
    tickets: Option<bool>,
    ticket_key: Option<TicketKey>,
    ocsp: bool,
    ocsp_responders: Vec<IpNet>,
}

/// A value of which only a part is served.
fn partly(message: String, fix: &str) -> Refusal {
    let refusal = Refusal {
        effect: Effect::Applied,
        ..Refusal::ignored(message, fix)
    };
    refusal.because(reason::KEY_NOT_SUPPORTED)
}

pub(super) fn protocols(draft: &mut Draft, text: &str) -> Result<(), Refusal> {
    let named = |version| text.split_ascii_whitespace().any(|word| word == version);
    let others: Vec<_> = text
        .split_ascii_whitespace()
        .filter(|word| !matches!(*word, "TLSv1.2" | "TLSv1.3"))
        .collect();
    let (tls12, tls13) = (named("TLSv1.2"), named("TLSv1.3"));
    let fix = "write TLSv1.2, TLSv1.3 or both";
    if !tls12 && !tls13 {
        return Err(Refusal::ignored(
            format!("{} names no version that is served", value::shown(text)),
            fix,
        ));
    }
    (draft.tls.tls12, draft.tls.tls13) = (tls12, tls13);
    match others.is_empty() {
        true => Ok(()),
        false => Err(partly(format!("{} is not served", others.join(" ")), fix)),
    }
}

pub(super) fn ciphers(draft: &mut Draft, text: &str) -> Result<(), Refusal> {
    draft.tls_keys.ciphers = Some(ciphers::parse(text));
    Ok(())
}

pub(super) fn curve(draft: &mut Draft, text: &str) -> Result<(), Refusal> {
    if text == "auto" {
        return Ok(());
    }
    let mut groups = Vec::new();
    let mut others = Vec::new();
    for name in text.split(':').map(str::trim).filter(|name| !name.is_empty()) {
        match group(name) {
            Some(group) => groups.push(group),
            None => others.push(name),
        }
    }
    let fix = "write X25519MLKEM768, X25519, prime256v1 or secp384r1, with colons between";
    if groups.is_empty() {
        return Err(Refusal::ignored(
            format!("{} names no curve that is served", value::shown(text)),
            fix,
        ));
    }
    draft.tls.groups = groups;
    match others.is_empty() {
        true => Ok(()),
        false => Err(partly(format!("{} is not served", others.join(":")), fix)),
    }
}

fn group(name: &str) -> Option<KeyExchange> {
    Some(match name {
        "X25519MLKEM768" => KeyExchange::X25519MlKem768,
        "X25519" | "x25519" => KeyExchange::X25519,
        "prime256v1" | "secp256r1" | "P-256" => KeyExchange::P256,
        "secp384r1" | "P-384" => KeyExchange::P384,
        _ => return None,
    })
}

pub(super) fn session_cache(draft: &mut Draft, text: &str) -> Result<(), Refusal> {
    draft.tls.session_cache = value::bool(text)?;
    Ok(())
}

/// nginx takes no time of 0 either.
pub(super) fn session_timeout(draft: &mut Draft, text: &str) -> Result<(), Refusal> {
    let timeout = value::time(text)?;
    if timeout.as_secs() == 0 {
        return Err(Refusal::ignored(
            format!("{} is less than a second", value::shown(text)),
            "write a time, as in \"10m\", or switch ssl-session-cache and ssl-session-tickets off",
        ));
    }
    draft.tls.session_timeout = Some(timeout);
    Ok(())
}

/// The most is for a million sessions: room is taken when the cache is made.
pub(super) fn session_cache_size(draft: &mut Draft, text: &str) -> Result<(), Refusal> {
    const MOST: u64 = 256 << 20;
    let size = value::size(text)?;
    if !(1..=MOST).contains(&size) {
        return Err(Refusal::ignored(
            format!("{} is not a size from 1 to 256m", value::shown(text)),
            "write a size, as in \"10m\"",
        ));
    }
    draft.tls.session_cache_size = Some(size);
    Ok(())
}

pub(super) fn session_tickets(draft: &mut Draft, text: &str) -> Result<(), Refusal> {
    draft.tls_keys.tickets = Some(value::bool(text)?);
    Ok(())
}

pub(super) fn early_data(draft: &mut Draft, text: &str) -> Result<(), Refusal> {
    draft.tls.early_data = value::bool(text)?;
    Ok(())
}

pub(super) fn ticket_key(draft: &mut Draft, text: &str) -> Result<(), Refusal> {
    let key = STANDARD.decode(text).ok();
    let Some(key) = key.filter(|key| matches!(key.len(), 48 | 80)) else {
        // The value is a secret: it is not shown.
        return Err(Refusal::ignored(
            "the value is not base64 of 48 or 80 bytes: each replica makes its own keys",
            "write what `openssl rand -base64 80 | tr -d '\\n'` says",
        ));
    };
    draft.tls_keys.ticket_key = Some(TicketKey(key.into()));
    Ok(())
}

pub(super) fn ocsp(draft: &mut Draft, text: &str) -> Result<(), Refusal> {
    draft.tls_keys.ocsp = value::bool(text)?;
    Ok(())
}

pub(super) fn ocsp_responders(draft: &mut Draft, text: &str) -> Result<(), Refusal> {
    draft.tls_keys.ocsp_responders = value::networks(text)?;
    Ok(())
}

pub(super) fn reject_handshake(draft: &mut Draft, text: &str) -> Result<(), Refusal> {
    draft.options.reject_unknown_names = value::bool(text)?;
    Ok(())
}

/// Puts the settings together. Whatever is asked for, something is offered.
pub(super) fn finish(draft: &mut Draft, _: &Lookup<'_>) -> Result<(), Refusal> {
    let Keys {
        ciphers,
        tickets,
        ticket_key,
        ocsp,
        ocsp_responders,
    } = std::mem::take(&mut draft.tls_keys);
    draft.tls.tickets = match (tickets, ticket_key) {
        (Some(false), _) => Tickets::Off,
        (_, Some(key)) => Tickets::Shared(key),
        (_, None) => Tickets::Own,
    };
    draft.options.ocsp = ocsp.then(|| {
        let responders = Networks::new(ocsp_responders);
        Arc::new(Ocsp { responders })
    });
    let told = match ciphers {
        Some(chosen) => choose(&mut draft.tls, chosen),
        None => Ok(()),
    };
    if draft.tls != TlsSettings::default() {
        draft.options.tls = Arc::new(draft.tls.clone());
    }
    told
}

fn choose(tls: &mut TlsSettings, chosen: ciphers::Chosen) -> Result<(), Refusal> {
    let fix = format!("the suites are {}", Cipher::ALL.map(Cipher::name).join(", "));
    if !chosen.ciphers.is_empty() {
        tls.ciphers = chosen.ciphers;
        return match chosen.missing.is_empty() {
            true => Ok(()),
            false => Err(partly(format!("not served: {}", chosen.missing.join(", ")), &fix)),
        };
    }
    if tls.tls13 {
        // Nothing is offered that was not asked for.
        tls.ciphers = Vec::new();
        tls.tls12 = false;
        return Err(partly(
            "none of these suites is served: TLS 1.2 is not offered, TLS 1.3 alone".to_owned(),
            &fix,
        ));
    }
    Err(Refusal::ignored("none of these suites is served", fix))
}
