//! `affinity` and `session-cookie-*` (annotations reference §12).

use tidegate_snapshot::policy::{Affinity, AffinityCookie, AffinityMode, SameSite};

use super::{Refusal, Scope, Settings, value};

/// What the annotations say; of no effect unless `enabled`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Draft {
    enabled: bool,
    persistent: bool,
    change_on_failure: bool,
    cookie: AffinityCookie,
}

impl Draft {
    /// The policy, if affinity is wanted.
    fn policy(&self) -> Option<Affinity> {
        self.enabled.then(|| Affinity {
            mode: match self.persistent {
                true => AffinityMode::Persistent,
                false => AffinityMode::Balanced,
            },
            cookie: self.cookie.clone(),
            change_on_failure: self.change_on_failure,
            lifetime: None,
            header: None,
        })
    }
}

pub(super) fn finish(settings: &mut Settings, _: &Scope<'_>) -> Result<(), Refusal> {
    settings.policies.affinity = settings.affinity.policy().map(Box::new);
    Ok(())
}

pub(super) fn affinity(settings: &mut Settings, text: &str) -> Result<(), Refusal> {
    if text != "cookie" {
        return Err(Refusal::ignored(
            format!("{} is not a kind of affinity", value::shown(text)),
            "write cookie",
        ));
    }
    settings.affinity.enabled = true;
    Ok(())
}

pub(super) fn mode(settings: &mut Settings, text: &str) -> Result<(), Refusal> {
    settings.affinity.persistent = match text {
        "balanced" => false,
        "persistent" => true,
        _ => {
            return Err(Refusal::ignored(
                format!("{} is not a mode of affinity", value::shown(text)),
                "write balanced or persistent",
            ));
        }
    };
    Ok(())
}

pub(super) fn change_on_failure(settings: &mut Settings, text: &str) -> Result<(), Refusal> {
    settings.affinity.change_on_failure = value::bool(text)?;
    Ok(())
}

pub(super) fn name(settings: &mut Settings, text: &str) -> Result<(), Refusal> {
    let name = value::word(text)?;
    if name.contains(['/', ':']) {
        return Err(Refusal::ignored(
            format!("{} cannot be the name of a cookie", value::shown(text)),
            "use letters, digits and `- . _ ~`",
        ));
    }
    settings.affinity.cookie.name = name.into();
    Ok(())
}

pub(super) fn path(settings: &mut Settings, text: &str) -> Result<(), Refusal> {
    settings.affinity.cookie.path = Some(value::url(text)?.into());
    Ok(())
}

pub(super) fn domain(settings: &mut Settings, text: &str) -> Result<(), Refusal> {
    settings.affinity.cookie.domain = Some(value::word(text)?.into());
    Ok(())
}

pub(super) fn secure(settings: &mut Settings, text: &str) -> Result<(), Refusal> {
    settings.affinity.cookie.secure = value::bool(text)?;
    Ok(())
}

pub(super) fn expires(settings: &mut Settings, text: &str) -> Result<(), Refusal> {
    settings.affinity.cookie.expires = Some(value::count(text)?);
    Ok(())
}

pub(super) fn max_age(settings: &mut Settings, text: &str) -> Result<(), Refusal> {
    settings.affinity.cookie.max_age = Some(value::count(text)?);
    Ok(())
}

pub(super) fn same_site(settings: &mut Settings, text: &str) -> Result<(), Refusal> {
    settings.affinity.cookie.same_site = Some(match text {
        "None" => SameSite::None,
        "Lax" => SameSite::Lax,
        "Strict" => SameSite::Strict,
        _ => {
            // ingress-nginx takes every spelling, and sends just these three
            // (ingress-nginx-behaviour §25.6).
            let known = ["none", "lax", "strict"].contains(&text.to_ascii_lowercase().as_str());
            let why = if known {
                "has no effect in this spelling"
            } else {
                "is not a SameSite attribute"
            };
            return Err(Refusal::ignored(
                format!("{} {why}", value::shown(text)),
                "write None, Lax or Strict",
            ));
        }
    });
    Ok(())
}

pub(super) fn conditional_same_site_none(settings: &mut Settings, text: &str) -> Result<(), Refusal> {
    settings.affinity.cookie.conditional_same_site_none = value::bool(text)?;
    Ok(())
}
