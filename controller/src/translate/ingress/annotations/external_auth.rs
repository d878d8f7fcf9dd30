//! `auth-url` and what belongs to it, also as `global-auth-*` of the ConfigMap
//! (annotations reference §7). Whatever is wrong with one of them closes the
//! routes: ingress-nginx drops the authentication for some.

mod cache;

use http::{Method, Uri};
use tidegate_snapshot::policy::{AuthCache, ExternalAuth, HeaderText, Signin};
use tidegate_snapshot::{FieldName, Text};

use super::{Refusal, Scope, Settings, value};
use crate::options::ExternalAuthTexts;
use crate::translate::ingress::snippet::parse_auth;

/// What the annotations say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Draft {
    texts: ExternalAuthTexts,
    use_global: bool,
}

impl Default for Draft {
    fn default() -> Self {
        Self {
            texts: ExternalAuthTexts::default(),
            use_global: true,
        }
    }
}

pub(super) fn url(settings: &mut Settings, text: &str) -> Result<(), Refusal> {
    if !text.chars().all(|c| in_url(c) || " $".contains(c)) {
        return Err(Refusal::rejected(
            format!("{} holds a character that is not allowed", value::shown(text)),
            "use letters, digits and `- . _ ~ / : , ? & = $`",
        ));
    }
    settings.external_auth.texts.url = text.to_owned();
    Ok(())
}

fn in_url(c: char) -> bool {
    c.is_ascii_alphanumeric() || "-._~/:,?&=".contains(c)
}

pub(super) fn method(settings: &mut Settings, text: &str) -> Result<(), Refusal> {
    settings.external_auth.texts.method = Some(text.to_owned());
    Ok(())
}

/// Without it clients are told 401.
pub(super) fn signin(settings: &mut Settings, text: &str) -> Result<(), Refusal> {
    let fine = text.chars().all(|c| in_url(c) || " $".contains(c)) && Text::parse(text).is_ok();
    if !fine {
        return Err(Refusal::ignored(
            format!("{} is not a URL", value::shown(text)),
            "write a URL, with nginx's variables if need be",
        ));
    }
    settings.external_auth.texts.signin = Some(text.to_owned());
    Ok(())
}

pub(super) fn signin_redirect_param(settings: &mut Settings, text: &str) -> Result<(), Refusal> {
    if !text.chars().all(in_url) {
        return Err(Refusal::ignored(
            format!("{} is not the name of a parameter", value::shown(text)),
            "use letters and digits",
        ));
    }
    settings.external_auth.texts.signin_redirect_param = Some(text.to_owned());
    Ok(())
}

pub(super) fn response_headers(settings: &mut Settings, text: &str) -> Result<(), Refusal> {
    settings.external_auth.texts.response_headers = text.to_owned();
    Ok(())
}

pub(super) fn proxy_set_headers(settings: &mut Settings, text: &str) -> Result<(), Refusal> {
    settings.external_auth.texts.proxy_set_headers = Some(text.to_owned());
    Ok(())
}

pub(super) fn snippet(settings: &mut Settings, text: &str) -> Result<(), Refusal> {
    settings.external_auth.texts.snippet = Some(text.to_owned());
    Ok(())
}

pub(super) fn request_redirect(settings: &mut Settings, text: &str) -> Result<(), Refusal> {
    settings.external_auth.texts.request_redirect = Some(text.to_owned());
    Ok(())
}

/// Without it nothing is remembered.
pub(super) fn cache_key(settings: &mut Settings, text: &str) -> Result<(), Refusal> {
    let allowed = |c: char| c.is_ascii_alphanumeric() || "-_${}".contains(c);
    if !text.chars().all(allowed) || Text::parse(text).is_err() {
        return Err(Refusal::ignored(
            format!("{} is not a text with variables", value::shown(text)),
            "use letters, digits, `- _` and nginx's variables",
        ));
    }
    settings.external_auth.texts.cache_key = Some(text.to_owned());
    Ok(())
}

pub(super) fn cache_duration(settings: &mut Settings, text: &str) -> Result<(), Refusal> {
    settings.external_auth.texts.cache_duration = Some(text.to_owned());
    Ok(())
}

/// Connections are always kept.
pub(super) fn keepalive(_: &mut Settings, text: &str) -> Result<(), Refusal> {
    value::count(text).map(drop)
}

pub(super) fn always_set_cookie(settings: &mut Settings, text: &str) -> Result<(), Refusal> {
    match value::bool(text) {
        Ok(always) => settings.external_auth.texts.always_set_cookie = always,
        Err(refusal) => return Err(Refusal::disabled(refusal.message, refusal.fix)),
    }
    Ok(())
}

pub(super) fn enable_global(settings: &mut Settings, text: &str) -> Result<(), Refusal> {
    settings.external_auth.use_global = value::bool(text)?;
    Ok(())
}

/// The Ingress's own service, or the ConfigMap's.
pub(super) fn finish(settings: &mut Settings, scope: &Scope<'_>) -> Result<(), Refusal> {
    let draft = std::mem::take(&mut settings.external_auth);
    let global = scope.options.global_auth.as_ref().filter(|_| draft.use_global);
    let built = if draft.texts.url.is_empty() {
        global.map(|texts| build(texts, scope).map_err(of_config_map))
    } else {
        Some(build(&draft.texts, scope))
    };
    settings.policies.external_auth = built.transpose()?.map(Box::new);
    Ok(())
}

/// A refusal that nothing in the Ingress is to blame for.
fn of_config_map(refusal: Refusal) -> Refusal {
    Refusal {
        message: format!("`global-auth-*` of the ConfigMap: {}", refusal.message),
        fix: format!("in the ConfigMap: {}", refusal.fix),
        ..refusal
    }
}

fn build(texts: &ExternalAuthTexts, scope: &Scope<'_>) -> Result<ExternalAuth, Refusal> {
    Ok(ExternalAuth {
        url: target(&texts.url)?,
        method: texts.method.as_deref().map(parse_method).transpose()?,
        signin: texts
            .signin
            .as_deref()
            .map(|url| sign_in(url, texts.signin_redirect_param.as_deref().unwrap_or("rd")))
            .transpose()?,
        response_headers: names(&texts.response_headers)?,
        request_redirect: texts
            .request_redirect
            .as_deref()
            .map(|url| text("auth-request-redirect", url))
            .transpose()?,
        cache: match &texts.cache_key {
            Some(key) => Some(AuthCache {
                key: text("auth-cache-key", key)?,
                durations: cache::durations(texts.cache_duration.as_deref())?,
            }),
            None => None,
        },
        always_set_cookie: texts.always_set_cookie,
        // Last: the admission webhook takes nothing in after a look at a ConfigMap.
        headers: all_headers(texts, scope)?,
    })
}

fn text(name: &str, text: &str) -> Result<Text, Refusal> {
    Text::parse(text).map_err(|error| {
        Refusal::disabled(
            format!("{name} {}: {error}", value::shown(text)),
            "use nginx's variables of requests only",
        )
    })
}

fn target(url: &str) -> Result<Text, Refusal> {
    let refused = |why: &str| {
        Refusal::disabled(
            format!("{} {why}", value::shown(url)),
            "write a URL with scheme and host, as in \"http://auth.team.svc.cluster.local/verify\"",
        )
    };
    let parsed = text("auth-url", url)?;
    let rest = url
        .strip_prefix("http://")
        .or_else(|| url.strip_prefix("https://"))
        .ok_or_else(|| refused("begins neither with http:// nor with https://"))?;
    let host = rest.split(['/', '?']).next().unwrap_or(rest);
    if host.is_empty() || host.starts_with(':') || host.contains("..") || host.contains([' ', ',', '&', '='])
    {
        return Err(refused("has no host"));
    }
    if let Some(literal) = parsed.as_literal()
        && Uri::try_from(literal.replace(' ', "%20")).is_err()
    {
        return Err(refused("is not a URL"));
    }
    Ok(parsed)
}

fn parse_method(text: &str) -> Result<Method, Refusal> {
    const METHODS: [&str; 9] = [
        "GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "CONNECT", "OPTIONS", "TRACE",
    ];
    let known = METHODS
        .contains(&text)
        .then(|| Method::from_bytes(text.as_bytes()).ok());
    known.flatten().ok_or_else(|| {
        Refusal::disabled(
            format!("auth-method {} is not a method", value::shown(text)),
            "write one of GET, HEAD, POST, PUT, PATCH, DELETE, CONNECT, OPTIONS, TRACE",
        )
    })
}

/// The URL that was asked for is appended unless the page's URL has the
/// parameter already.
fn sign_in(url: &str, parameter: &str) -> Result<Signin, Refusal> {
    let query = url.split_once('?').map_or("", |(_, query)| query);
    let given = query
        .split('&')
        .filter_map(|pair| pair.split_once('='))
        .any(|(name, value)| name == parameter && !value.is_empty());
    let whole = match (given, query) {
        (true, _) => url.to_owned(),
        (false, "") => format!("{}?{parameter}=", url.trim_end_matches('?')),
        (false, _) => format!("{url}&{parameter}="),
    };
    Ok(Signin {
        url: text("auth-signin", &whole)?,
        append_target: !given,
    })
}

fn names(list: &str) -> Result<Vec<FieldName>, Refusal> {
    let entries = list.split(',').map(str::trim).filter(|entry| !entry.is_empty());
    entries.map(name).collect()
}

fn name(text: &str) -> Result<FieldName, Refusal> {
    let allowed = |c: char| c.is_ascii_alphanumeric() || "-_".contains(c);
    text.chars()
        .all(allowed)
        .then(|| FieldName::parse(text))
        .flatten()
        .ok_or_else(|| {
            Refusal::disabled(
                format!("{} is not the name of a header", value::shown(text)),
                "use letters, digits, `-` and `_`",
            )
        })
}

/// Those of the ConfigMap that is named, then those of the snippet.
fn all_headers(texts: &ExternalAuthTexts, scope: &Scope<'_>) -> Result<Vec<HeaderText>, Refusal> {
    // The ConfigMap last, likewise.
    let of_snippet = match &texts.snippet {
        Some(text) => parse_auth(text).map_err(|fault| {
            let refusal = super::snippet::refusal(&fault);
            Refusal {
                message: format!("auth-snippet, {}", refusal.message),
                ..refusal
            }
        })?,
        None => Vec::new(),
    };
    let mut all = match &texts.proxy_set_headers {
        Some(name) => headers(name, scope)?,
        None => Vec::new(),
    };
    all.extend(of_snippet);
    Ok(all)
}

/// The fields of a ConfigMap.
fn headers(config_map: &str, scope: &Scope<'_>) -> Result<Vec<HeaderText>, Refusal> {
    if !config_map.contains('/') {
        return Err(Refusal::disabled(
            format!(
                "auth-proxy-set-headers {} names no namespace",
                value::shown(config_map)
            ),
            "write namespace/name",
        ));
    }
    let (namespace, own_name) = value::object(config_map, scope)?;
    let Some(config_map) = scope.lookup.config_map(namespace, own_name) else {
        return Err(Refusal::disabled(
            format!("ConfigMap {namespace}/{own_name} does not exist"),
            "create it",
        ));
    };
    let fields = config_map.data.iter().flatten();
    fields
        .map(|(field, value)| {
            Ok(HeaderText {
                name: name(field)?,
                value: text(field, value)?,
            })
        })
        .collect()
}
