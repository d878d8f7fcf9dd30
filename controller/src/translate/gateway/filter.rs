//! Filters of a rule to policies.

mod authorization;
mod cors;

use std::time::Duration;

use http::{HeaderName, HeaderValue};
use tidegate_snapshot::policy::{HeaderModifier, PathRewrite, RequestMirror, RequestRedirect, UrlRewrite};
use tidegate_snapshot::{ClusterKey, FieldName, Hostname, Policies};

use super::status::Failure;
use crate::gateway_api::{
    BackendRef, Filter, FilterHeaders, FilterMirror, FilterRedirect, FilterRewrite, HTTPHeader, HTTPRetry,
    HTTPTimeouts, PathModifier,
};

/// Without a limit of ours: a day.
const UNLIMITED: Duration = Duration::from_secs(24 * 60 * 60);

/// What the filters of a rule or of one of its backends come to, without what
/// they refer to.
#[derive(Debug)]
pub(super) struct Filters {
    /// `ReplacePrefixMatch` is completed for each match, with its prefix.
    pub(super) policies: Policies,
    /// With the number of the filter.
    pub(super) mirrors: Vec<(usize, Mirror)>,
    /// Who is asked where `policies` have an authorization, likewise.
    pub(super) authorizer: Option<(usize, BackendRef)>,
}

/// A RequestMirror filter.
#[derive(Clone, Debug)]
pub(super) struct Mirror {
    pub(super) backend: BackendRef,
    numerator: u32,
    denominator: u32,
}

impl Mirror {
    pub(super) fn to(&self, cluster: ClusterKey) -> RequestMirror {
        RequestMirror {
            cluster,
            numerator: self.numerator,
            denominator: self.denominator,
        }
    }
}

/// Reads the filters of a rule or of a backend.
pub(super) fn filters(filters: &[Filter]) -> Result<Filters, Failure> {
    let mut policies = Policies::clone(Policies::without_filters());
    let mut mirrors = Vec::new();
    let mut authorizer = None;
    for (index, filter) in filters.iter().enumerate() {
        let missing = || unsupported(format!("filter {:?} has no settings", filter.kind));
        let twice = match filter.kind.as_str() {
            "RequestHeaderModifier" => {
                let settings = filter.request_header_modifier.as_ref().ok_or_else(missing)?;
                policies
                    .request_headers
                    .replace(headers(settings)?.into())
                    .is_some()
            }
            "ResponseHeaderModifier" => {
                let settings = filter.response_header_modifier.as_ref().ok_or_else(missing)?;
                policies
                    .response_headers
                    .replace(headers(settings)?.into())
                    .is_some()
            }
            "RequestRedirect" => {
                let settings = filter.request_redirect.as_ref().ok_or_else(missing)?;
                policies
                    .request_redirect
                    .replace(redirect(settings)?.into())
                    .is_some()
            }
            "URLRewrite" => {
                let settings = filter.url_rewrite.as_ref().ok_or_else(missing)?;
                policies.url_rewrite.replace(rewrite(settings)?.into()).is_some()
            }
            "CORS" => {
                let settings = filter.cors.as_ref().ok_or_else(missing)?;
                policies.cors.replace(cors::cors(settings)?.into()).is_some()
            }
            "ExternalAuth" => {
                let settings = filter.external_auth.as_ref().ok_or_else(missing)?;
                let authorization = authorization::authorization(settings)?;
                policies.authorization = Some(Box::new(authorization));
                authorizer
                    .replace((index, settings.backend_ref.clone()))
                    .is_some()
            }
            "RequestMirror" => {
                let settings = filter.request_mirror.as_ref().ok_or_else(missing)?;
                mirrors.push((index, mirror(settings)?));
                false
            }
            other => return Err(unsupported(format!("filter {other:?} is not supported"))),
        };
        if twice {
            return Err(Failure::new(
                "IncompatibleFilters",
                format!("filter {:?} occurs twice in a rule", filter.kind),
            ));
        }
    }
    if policies.request_redirect.is_some() && policies.url_rewrite.is_some() {
        return Err(Failure::new(
            "IncompatibleFilters",
            "RequestRedirect and URLRewrite exclude each other",
        ));
    }
    Ok(Filters {
        policies,
        mirrors,
        authorizer,
    })
}

/// The policies of requests for one backend: its own filters come after the
/// rule's on the way there, before them on the way back.
pub(super) fn merged(rule: &Policies, own: &Policies) -> Policies {
    let then =
        |first: &Option<Box<HeaderModifier>>, second: &Option<Box<HeaderModifier>>| match (first, second) {
            (Some(first), Some(second)) => Some(Box::new(HeaderModifier::clone(first).then(second))),
            (first, second) => first.as_ref().or(second.as_ref()).cloned(),
        };
    let rewrite = |policies: &Policies| policies.url_rewrite.clone().unwrap_or_default();
    let (outer, inner) = (rewrite(rule), rewrite(own));
    Policies {
        request_headers: then(&rule.request_headers, &own.request_headers),
        response_headers: then(&own.response_headers, &rule.response_headers),
        url_rewrite: (rule.url_rewrite.is_some() || own.url_rewrite.is_some()).then(|| {
            Box::new(UrlRewrite {
                host: inner.host.or(outer.host),
                path: inner.path.or(outer.path),
            })
        }),
        request_redirect: own.request_redirect.clone(),
        cors: own.cors.as_ref().or(rule.cors.as_ref()).cloned(),
        // Not instead of the rule's, which has been asked by then.
        authorization: own.authorization.clone(),
        ..rule.clone()
    }
}

/// "Only one of Fraction or Percent may be specified. If neither field is
/// specified, 100% of requests will be mirrored."
fn mirror(settings: &FilterMirror) -> Result<Mirror, Failure> {
    let (numerator, denominator) = match (settings.percent, &settings.fraction) {
        (None, None) => (1, 1),
        (Some(percent), None) => (percent, 100),
        (None, Some(fraction)) => (fraction.numerator, fraction.denominator.unwrap_or(100)),
        (Some(_), Some(_)) => {
            return Err(unsupported(
                "`percent` and `fraction` exclude each other".to_owned(),
            ));
        }
    };
    match (u32::try_from(numerator), u32::try_from(denominator)) {
        (Ok(numerator), Ok(denominator)) if denominator > 0 && numerator <= denominator => Ok(Mirror {
            backend: settings.backend_ref.clone(),
            numerator,
            denominator,
        }),
        _ => Err(unsupported(format!(
            "{numerator}/{denominator} is not a share of requests"
        ))),
    }
}

/// `timeouts` of a rule. Within the limits no single read is limited further;
/// a timeout of zero is none at all.
pub(super) fn timeouts(policies: &mut Policies, timeouts: &HTTPTimeouts) -> Result<(), Failure> {
    let parse = |text: &Option<String>| match text.as_deref().map(duration) {
        Some(None) => Err(unsupported(format!("{text:?} is not a duration"))),
        found => Ok(found.flatten()),
    };
    let limits = [parse(&timeouts.request)?, parse(&timeouts.backend_request)?];
    let [request, attempt] = limits.map(|limit| limit.filter(|limit| !limit.is_zero()));
    policies.timeouts.request = request;
    policies.timeouts.attempt = attempt;
    policies.retry.timeout = request;
    if let Some(limit) = request.into_iter().chain(attempt).min() {
        policies.timeouts.read = limit;
        policies.timeouts.connect = policies.timeouts.connect.min(limit);
    } else if limits.iter().any(Option::is_some) {
        policies.timeouts.read = UNLIMITED;
    }
    Ok(())
}

/// `retry` of a rule: "Implementations SHOULD retry on connection errors
/// (disconnect, reset, timeout, TCP failure) if a retry stanza is configured."
pub(super) fn retry(policies: &mut Policies, retry: &HTTPRetry) -> Result<(), Failure> {
    let status = |code: &i64| match u16::try_from(*code) {
        Ok(status @ 400..=599) => Ok(status),
        _ => Err(unsupported(format!(
            "`retry.codes`: {code} is not from 400 to 599"
        ))),
    };
    let own = &mut policies.retry;
    own.on.timeout = true;
    own.on.statuses = retry.codes.iter().map(status).collect::<Result<_, _>>()?;
    own.on.statuses_of_any_method = true;
    if let Some(attempts) = retry.attempts {
        let attempts = u32::try_from(attempts)
            .ok()
            .filter(|attempts| (1..=60).contains(attempts));
        let attempts =
            attempts.ok_or_else(|| unsupported("`retry.attempts` must be from 1 to 60".to_owned()))?;
        own.tries = attempts + 1;
    }
    if let Some(text) = retry.backoff.as_deref() {
        let backoff = duration(text).ok_or_else(|| unsupported(format!("{text:?} is not a duration")))?;
        own.backoff = Some(backoff).filter(|backoff| !backoff.is_zero());
    }
    Ok(())
}

/// gRPC streams are silent as long as they like.
pub(super) fn stream(policies: &mut Policies) {
    policies.timeouts.read = UNLIMITED;
    policies.timeouts.send = UNLIMITED;
}

/// The policies for one match: `prefix` is what it matched, where it is one.
pub(super) fn for_match(policies: &Policies, prefix: Option<&str>) -> Result<Policies, Failure> {
    let mut policies = policies.clone();
    let redirect = policies
        .request_redirect
        .as_mut()
        .and_then(|redirect| redirect.path.as_mut());
    let rewrite = policies
        .url_rewrite
        .as_mut()
        .and_then(|rewrite| rewrite.path.as_mut());
    for path in redirect.into_iter().chain(rewrite) {
        if let PathRewrite::Prefix { prefix: place, .. } = path {
            let prefix = prefix.ok_or_else(|| {
                Failure::new(
                    "IncompatibleFilters",
                    "ReplacePrefixMatch needs a match of type PathPrefix",
                )
            })?;
            *place = prefix.into();
        }
    }
    Ok(policies)
}

pub(super) fn unsupported(message: String) -> Failure {
    Failure::new("UnsupportedValue", message)
}

fn headers(settings: &FilterHeaders) -> Result<HeaderModifier, Failure> {
    let pairs = |headers: &[HTTPHeader]| -> Result<Vec<_>, Failure> {
        headers
            .iter()
            .map(|header| Ok((field_name(&header.name)?, field_value(&header.value)?)))
            .collect()
    };
    Ok(HeaderModifier {
        set: pairs(&settings.set)?,
        add: pairs(&settings.add)?,
        remove: settings
            .remove
            .iter()
            .map(|name| {
                HeaderName::from_bytes(name.as_bytes())
                    .map_err(|_| unsupported(format!("{name:?} is not a field name")))
            })
            .collect::<Result<_, _>>()?,
    })
}

fn field_name(text: &str) -> Result<FieldName, Failure> {
    FieldName::parse(text).ok_or_else(|| unsupported(format!("{text:?} is not a field name")))
}

fn field_value(text: &str) -> Result<HeaderValue, Failure> {
    HeaderValue::from_str(text).map_err(|_| unsupported(format!("{text:?} is not a field value")))
}

fn host(text: Option<&str>) -> Result<Option<Box<str>>, Failure> {
    let Some(text) = text else { return Ok(None) };
    match Hostname::parse(text) {
        Ok(Hostname::Exact(name)) => Ok(Some((*name).into())),
        _ => Err(unsupported(format!("{text:?} is not a host name"))),
    }
}

fn path(modifier: Option<&PathModifier>) -> Result<Option<PathRewrite>, Failure> {
    let Some(modifier) = modifier else { return Ok(None) };
    let text = match modifier.kind.as_str() {
        "ReplaceFullPath" => &modifier.replace_full_path,
        "ReplacePrefixMatch" => &modifier.replace_prefix_match,
        other => return Err(unsupported(format!("path modifier {other:?} is not supported"))),
    };
    let text = text.as_deref().unwrap_or_default();
    let valid = text
        .bytes()
        .all(|byte| byte.is_ascii_graphic() && !b"?#".contains(&byte));
    if !valid || !(text.is_empty() || text.starts_with('/')) {
        return Err(unsupported(format!("{text:?} is not a path")));
    }
    Ok(Some(match modifier.kind.as_str() {
        "ReplaceFullPath" => PathRewrite::Full(if text.is_empty() { "/" } else { text }.into()),
        _ => PathRewrite::Prefix {
            prefix: "".into(),
            replacement: text.into(),
        },
    }))
}

fn redirect(settings: &FilterRedirect) -> Result<RequestRedirect, Failure> {
    let status = settings.status_code.unwrap_or(302);
    let scheme = settings.scheme.as_deref();
    Ok(RequestRedirect {
        scheme: match scheme {
            None | Some("http" | "https") => scheme.map(Into::into),
            Some(other) => return Err(unsupported(format!("scheme {other:?} is not supported"))),
        },
        host: host(settings.hostname.as_deref())?,
        port: match settings.port.map(u16::try_from) {
            None => None,
            Some(Ok(port @ 1..)) => Some(port),
            Some(_) => return Err(unsupported("`port` is not a port".to_owned())),
        },
        path: path(settings.path.as_ref())?,
        status: match status {
            301 | 302 | 303 | 307 | 308 => u16::try_from(status).unwrap_or_default(),
            other => return Err(unsupported(format!("status code {other} is not supported"))),
        },
    })
}

fn rewrite(settings: &FilterRewrite) -> Result<UrlRewrite, Failure> {
    Ok(UrlRewrite {
        host: host(settings.hostname.as_deref())?,
        path: path(settings.path.as_ref())?,
    })
}

/// A duration of GEP-2257: up to four numbers, each with `h`, `m`, `s` or `ms`.
pub(super) fn duration(text: &str) -> Option<Duration> {
    let mut total = Duration::ZERO;
    let mut rest = text;
    if rest.is_empty() {
        return None;
    }
    while !rest.is_empty() {
        let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
        let number: u64 = rest
            .get(..digits)
            .filter(|digits| digits.len() <= 5)?
            .parse()
            .ok()?;
        rest = &rest[digits..];
        let letters = rest.bytes().take_while(u8::is_ascii_alphabetic).count();
        total += match &rest[..letters] {
            "h" => Duration::from_secs(number * 3600),
            "m" => Duration::from_secs(number * 60),
            "s" => Duration::from_secs(number),
            "ms" => Duration::from_millis(number),
            _ => return None,
        };
        rest = &rest[letters..];
    }
    Some(total)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_as_in_gep_2257() {
        assert_eq!(duration("1h2m3s4ms"), Some(Duration::from_millis(3_723_004)));
        assert_eq!(duration("0s"), Some(Duration::ZERO));
        for wrong in ["", "1", "s", "1.5s", "-1s", "100000s", "1d"] {
            assert_eq!(duration(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn what_is_not_known_is_refused() {
        let filter = Filter {
            kind: "ExtensionRef".to_owned(),
            ..Filter::default()
        };
        assert_eq!(filters(&[filter]).unwrap_err().reason, "UnsupportedValue");
    }
}
