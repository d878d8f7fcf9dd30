//! Redirects (annotations reference §3).

use tidegate_snapshot::policy::Redirect;

use super::{Refusal, Scope, Settings, value};

/// `permanent-redirect` and `temporal-redirect`, as written.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Draft {
    permanent: Option<Box<str>>,
    permanent_code: Option<u16>,
    temporal: Option<Box<str>>,
    temporal_code: Option<u16>,
}

pub(super) fn ssl_redirect(settings: &mut Settings, text: &str) -> Result<(), Refusal> {
    settings.ssl_redirect = value::bool(text)?;
    Ok(())
}

pub(super) fn force_ssl_redirect(settings: &mut Settings, text: &str) -> Result<(), Refusal> {
    settings.force_ssl_redirect = value::bool(text)?;
    Ok(())
}

pub(super) fn preserve_trailing_slash(settings: &mut Settings, text: &str) -> Result<(), Refusal> {
    settings.https_redirect.keep_slash = value::bool(text)?;
    Ok(())
}

pub(super) fn use_port(settings: &mut Settings, text: &str) -> Result<(), Refusal> {
    let port = value::bool(text)?;
    settings.https_redirect.name_port = port;
    settings.policies.location.name_port = port;
    Ok(())
}

pub(super) fn relative(settings: &mut Settings, text: &str) -> Result<(), Refusal> {
    settings.policies.location.relative = value::bool(text).map_err(Refusal::into_rejected)?;
    Ok(())
}

pub(super) fn permanent(settings: &mut Settings, text: &str) -> Result<(), Refusal> {
    settings.redirect.permanent = Some(url(text)?);
    Ok(())
}

pub(super) fn permanent_code(settings: &mut Settings, text: &str) -> Result<(), Refusal> {
    settings.redirect.permanent_code = code(text, 308)?;
    Ok(())
}

pub(super) fn temporal(settings: &mut Settings, text: &str) -> Result<(), Refusal> {
    settings.redirect.temporal = Some(url(text)?);
    Ok(())
}

pub(super) fn temporal_code(settings: &mut Settings, text: &str) -> Result<(), Refusal> {
    settings.redirect.temporal_code = code(text, 307)?;
    Ok(())
}

pub(super) fn app_root(settings: &mut Settings, text: &str) -> Result<(), Refusal> {
    if !value::is_path(text) || !text.starts_with('/') || text.starts_with("//") {
        return Err(Refusal::ignored(
            format!("{} is not an absolute path", value::shown(text)),
            "write a path that begins with one `/`",
        ));
    }
    settings.app_root = Some(text.into());
    Ok(())
}

pub(super) fn from_to_www(settings: &mut Settings, text: &str) -> Result<(), Refusal> {
    settings.from_to_www = value::bool(text).map_err(Refusal::into_rejected)?;
    Ok(())
}

/// A temporal redirect wins. One that leads nowhere switches both off, as in
/// ingress-nginx: traffic reaches the backend.
pub(super) fn finish(settings: &mut Settings, _: &Scope<'_>) -> Result<(), Refusal> {
    let draft = std::mem::take(&mut settings.redirect);
    settings.policies.redirect = match (draft.temporal, draft.permanent) {
        (Some(location), _) if !location.starts_with("http") => {
            return Err(Refusal::ignored(
                format!("{} is not an http URL", value::shown(&location)),
                "begin it with http:// or https://",
            ));
        }
        (Some(location), _) => Some(Redirect {
            status: draft.temporal_code.unwrap_or(Redirect::TEMPORAL),
            location,
        }),
        (None, Some(location)) => Some(Redirect {
            status: draft.permanent_code.unwrap_or(Redirect::PERMANENT),
            location,
        }),
        (None, None) => None,
    };
    Ok(())
}

fn url(text: &str) -> Result<Box<str>, Refusal> {
    if value::is_url(text) {
        return Ok(text.into());
    }
    Err(Refusal::rejected(
        format!("{} is not a URL", value::shown(text)),
        "use letters, digits and `- . _ ~ / : , ? & =`",
    ))
}

/// Statuses from 300 to `last`; for other numbers the usual one stands.
fn code(text: &str, last: u16) -> Result<Option<u16>, Refusal> {
    let number: i64 = text.parse().map_err(|_| {
        Refusal::rejected(
            format!("{} is not a status", value::shown(text)),
            "write digits only",
        )
    })?;
    Ok(u16::try_from(number)
        .ok()
        .filter(|status| (300..=last).contains(status)))
}
