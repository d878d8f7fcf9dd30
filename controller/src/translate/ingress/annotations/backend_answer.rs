//! Cookies and redirects of backends in other words (annotations reference §11).

use tidegate_snapshot::policy::{BackendAnswer, Replacement};

use super::{Refusal, Scope, Settings, value};

/// `proxy-redirect-from` and `proxy-redirect-to`, as written.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Draft {
    from: Option<Box<str>>,
    to: Option<Box<str>>,
}

fn answer(settings: &mut Settings) -> &mut BackendAnswer {
    settings.policies.backend_answer.get_or_insert_default()
}

pub(super) fn cookie_domain(settings: &mut Settings, text: &str) -> Result<(), Refusal> {
    answer(settings).cookie_domain = replacement(value::basic(text)?)?;
    Ok(())
}

pub(super) fn cookie_path(settings: &mut Settings, text: &str) -> Result<(), Refusal> {
    answer(settings).cookie_path = replacement(value::url(text)?)?;
    Ok(())
}

/// `off`, or two words.
fn replacement(text: &str) -> Result<Option<Replacement>, Refusal> {
    let mut words = text.split_ascii_whitespace();
    match (words.next(), words.next(), words.next()) {
        (Some("off"), None, None) => Ok(None),
        (Some(from), Some(to), None) => Ok(Some(Replacement {
            from: from.into(),
            to: to.into(),
        })),
        _ => Err(Refusal::ignored(
            format!("{} does not say what to replace by what", value::shown(text)),
            "write `off`, or two words: what is looked for and what takes its place",
        )),
    }
}

pub(super) fn redirect_from(settings: &mut Settings, text: &str) -> Result<(), Refusal> {
    settings.backend_answer.from = Some(value::url(text)?.into());
    Ok(())
}

pub(super) fn redirect_to(settings: &mut Settings, text: &str) -> Result<(), Refusal> {
    settings.backend_answer.to = Some(value::url(text)?.into());
    Ok(())
}

/// nginx's `default` replaces the address that it was told to proxy to, which
/// in ingress-nginx no backend ever names.
pub(super) fn finish(settings: &mut Settings, _: &Scope<'_>) -> Result<(), Refusal> {
    let draft = std::mem::take(&mut settings.backend_answer);
    let (Some(from), Some(to)) = (draft.from, draft.to) else {
        return Ok(());
    };
    if !matches!(&*from, "off" | "default") && *to != *"off" {
        answer(settings).location = Some(Replacement { from, to });
    }
    if settings.policies.backend_answer.as_deref() == Some(&BackendAnswer::default()) {
        settings.policies.backend_answer = None;
    }
    Ok(())
}
