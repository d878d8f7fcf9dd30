//! `enable-cors` and `cors-*` (annotations reference §10).

use tidegate_snapshot::policy::{Cors, CorsOrigin, CorsOrigins};

use super::{Refusal, Scope, Settings, value};

/// What the annotations say.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Draft {
    enabled: bool,
    cors: Cors,
}

pub(super) fn enable(settings: &mut Settings, text: &str) -> Result<(), Refusal> {
    settings.cors.enabled = value::bool(text)?;
    Ok(())
}

/// An invalid list allows nobody: ingress-nginx then allows everybody.
pub(super) fn allow_origin(settings: &mut Settings, text: &str) -> Result<(), Refusal> {
    let origins = &mut settings.cors.cors.origins;
    let entries: Vec<_> = text
        .split(',')
        .map(str::trim)
        .filter(|entry| !entry.is_empty())
        .collect();
    if entries.is_empty() {
        return Ok(());
    }
    if entries.contains(&"*") {
        *origins = CorsOrigins::Any;
        return Ok(());
    }
    let parsed: Vec<_> = entries.iter().map(|entry| origin(entry)).collect();
    *origins = CorsOrigins::List(parsed.iter().flatten().cloned().collect());
    match parsed.iter().position(Option::is_none) {
        Some(at) => Err(Refusal::ignored(
            format!(
                "{} is not an origin: it gets no CORS headers",
                value::shown(entries[at])
            ),
            "write scheme and host, and a port if it is not the scheme's, as in \"https://example.com\"",
        )),
        None => Ok(()),
    }
}

/// `scheme://host[:port]`, with `*.` in front of the host for one more label.
fn origin(text: &str) -> Option<CorsOrigin> {
    if text == "null" {
        return Some(CorsOrigin::Exact(text.into()));
    }
    let (scheme, authority) = text.split_once("://")?;
    let starts_with_letter = scheme.starts_with(|c: char| c.is_ascii_alphabetic());
    let in_scheme = |c: char| c.is_ascii_alphanumeric() || "+.-".contains(c);
    let (host, port) = match authority.split_once(':') {
        Some((host, port)) => (host, Some(port)),
        None => (authority, None),
    };
    let port_is_number = port.is_none_or(|port| !port.is_empty() && port.bytes().all(|b| b.is_ascii_digit()));
    let (is_wildcard, name) = match host.strip_prefix("*.") {
        Some(name) => (true, name),
        None => (false, host),
    };
    let in_host = |c: char| c.is_ascii_alphanumeric() || "-._".contains(c);
    let fine = starts_with_letter
        && scheme.chars().all(in_scheme)
        && !name.is_empty()
        && name.chars().all(in_host)
        && port_is_number;
    if !fine {
        return None;
    }
    Some(if is_wildcard {
        CorsOrigin::Wildcard {
            scheme: format!("{scheme}://").into(),
            suffix: authority[1..].into(),
        }
    } else {
        CorsOrigin::Exact(text.into())
    })
}

pub(super) fn allow_methods(settings: &mut Settings, text: &str) -> Result<(), Refusal> {
    settings.cors.cors.methods = list(text, "")?;
    Ok(())
}

pub(super) fn allow_headers(settings: &mut Settings, text: &str) -> Result<(), Refusal> {
    settings.cors.cors.headers = list(text, "-_0123456789")?;
    Ok(())
}

pub(super) fn expose_headers(settings: &mut Settings, text: &str) -> Result<(), Refusal> {
    settings.cors.cors.expose = Some(list(text, "-_0123456789*")?);
    Ok(())
}

/// Words with commas or spaces between, as they are sent.
fn list(text: &str, more: &str) -> Result<Box<str>, Refusal> {
    let allowed = |c: char| c.is_ascii_alphabetic() || ", ".contains(c) || more.contains(c);
    if text.chars().all(allowed) {
        return Ok(text.into());
    }
    Err(Refusal::ignored(
        format!("{} is not a list of names", value::shown(text)),
        "write names with commas between",
    ))
}

pub(super) fn allow_credentials(settings: &mut Settings, text: &str) -> Result<(), Refusal> {
    settings.cors.cors.credentials = value::bool(text)?;
    Ok(())
}

pub(super) fn max_age(settings: &mut Settings, text: &str) -> Result<(), Refusal> {
    settings.cors.cors.max_age = value::count(text)?.into();
    Ok(())
}

pub(super) fn finish(settings: &mut Settings, _: &Scope<'_>) -> Result<(), Refusal> {
    let draft = std::mem::take(&mut settings.cors);
    settings.policies.cors = draft.enabled.then(|| Box::new(draft.cors));
    Ok(())
}
