//! External authentication for all Ingresses (configmap reference §9).

use super::{Draft, Lookup, Refusal, annotations, value};
use crate::options::ExternalAuthTexts;
use crate::translate::ingress::annotations::snippet_refusal;
use crate::translate::ingress::snippet;

pub(super) fn no_auth_locations(draft: &mut Draft, text: &str) -> Result<(), Refusal> {
    draft.options.no_auth_locations = value::list(text).map(Box::from).collect::<Vec<_>>().into();
    Ok(())
}

fn global(draft: &mut Draft) -> &mut ExternalAuthTexts {
    draft.options.global_auth.get_or_insert_default()
}

pub(super) fn auth_url(draft: &mut Draft, text: &str) -> Result<(), Refusal> {
    global(draft).url = text.to_owned();
    Ok(())
}

pub(super) fn auth_method(draft: &mut Draft, text: &str) -> Result<(), Refusal> {
    global(draft).method = Some(text.to_owned());
    Ok(())
}

pub(super) fn auth_signin(draft: &mut Draft, text: &str) -> Result<(), Refusal> {
    annotations::check("auth-signin", text, &draft.options)?;
    global(draft).signin = Some(text.to_owned());
    Ok(())
}

pub(super) fn auth_signin_redirect_param(draft: &mut Draft, text: &str) -> Result<(), Refusal> {
    annotations::check("auth-signin-redirect-param", text, &draft.options)?;
    global(draft).signin_redirect_param = Some(text.to_owned());
    Ok(())
}

pub(super) fn auth_response_headers(draft: &mut Draft, text: &str) -> Result<(), Refusal> {
    global(draft).response_headers = text.to_owned();
    Ok(())
}

pub(super) fn auth_request_redirect(draft: &mut Draft, text: &str) -> Result<(), Refusal> {
    global(draft).request_redirect = Some(text.to_owned());
    Ok(())
}

pub(super) fn auth_snippet(draft: &mut Draft, text: &str) -> Result<(), Refusal> {
    snippet::parse_auth(text).map_err(|fault| snippet_refusal(&fault))?;
    global(draft).snippet = Some(text.to_owned());
    Ok(())
}

pub(super) fn auth_cache_key(draft: &mut Draft, text: &str) -> Result<(), Refusal> {
    annotations::check("auth-cache-key", text, &draft.options)?;
    global(draft).cache_key = Some(text.to_owned());
    Ok(())
}

pub(super) fn auth_cache_duration(draft: &mut Draft, text: &str) -> Result<(), Refusal> {
    global(draft).cache_duration = Some(text.to_owned());
    Ok(())
}

/// What is neither yes nor no closes everything, as it does for an Ingress.
pub(super) fn auth_always_set_cookie(draft: &mut Draft, text: &str) -> Result<(), Refusal> {
    global(draft).always_set_cookie =
        value::bool(text).map_err(|refusal| Refusal::disabled(refusal.message, refusal.fix))?;
    Ok(())
}

/// Without `global-auth-url` the others do nothing. The rest is checked for each
/// Ingress, whose routes a broken key closes.
pub(super) fn finish_global(draft: &mut Draft, _: &Lookup<'_>) -> Result<(), Refusal> {
    if draft
        .options
        .global_auth
        .as_ref()
        .is_some_and(|auth| auth.url.is_empty())
    {
        draft.options.global_auth = None;
    }
    Ok(())
}
