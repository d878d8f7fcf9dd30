//! The CORS filter.

use http::HeaderValue;
use tidegate_snapshot::policy::{Cors, CorsOrigin, CorsOrigins, CorsStyle};

use super::unsupported;
use crate::gateway_api::FilterCors;
use crate::translate::gateway::status::Failure;

/// "The default value of `Access-Control-Max-Age` response header is 5 (seconds)."
const DEFAULT_MAX_AGE: u64 = 5;

/// With credentials browsers take `*` literally: then answers repeat what is
/// asked for, as the specification has it for each of the fields; exposed
/// headers, which nobody asks for, are told without the `*`.
pub(super) fn cors(settings: &FilterCors) -> Result<Cors, Failure> {
    let credentials = settings.allow_credentials.unwrap_or_default();
    let has_star = |values: &[String]| values.iter().any(|value| value == "*");
    let repeats = |values: &[String]| credentials && has_star(values);
    let origins = match (has_star(&settings.allow_origins), credentials) {
        (true, true) => CorsOrigins::Every,
        (true, false) => CorsOrigins::Any,
        (false, _) => CorsOrigins::List(
            settings
                .allow_origins
                .iter()
                .map(|text| origin(text))
                .collect::<Result<_, _>>()?,
        ),
    };
    let list = |values: &[String]| {
        let told = values.iter().filter(|value| !credentials || *value != "*");
        let text = told.map(String::as_str).collect::<Vec<_>>().join(", ");
        match HeaderValue::from_str(&text) {
            Ok(_) => Ok(text.into_boxed_str()),
            Err(_) => Err(unsupported(format!("{text:?} is not a list of names"))),
        }
    };
    let expose = list(&settings.expose_headers)?;
    Ok(Cors {
        origins,
        methods: list(&settings.allow_methods)?,
        headers: list(&settings.allow_headers)?,
        credentials,
        expose: (!expose.is_empty()).then_some(expose),
        max_age: settings
            .max_age
            .and_then(|age| u64::try_from(age).ok())
            .unwrap_or(DEFAULT_MAX_AGE),
        style: CorsStyle::Fetch {
            repeat_method: repeats(&settings.allow_methods),
            repeat_headers: repeats(&settings.allow_headers),
        },
    })
}

/// "`*` is a greedy match to the left, including any number of DNS labels ... A
/// wildcard by itself matches all hosts."
fn origin(text: &str) -> Result<CorsOrigin, Failure> {
    let broken = || unsupported(format!("{text:?} is not an origin"));
    let (scheme, rest) = text.split_once("://").ok_or_else(broken)?;
    let rest = match scheme {
        "http" => rest.strip_suffix(":80").unwrap_or(rest),
        "https" => rest.strip_suffix(":443").unwrap_or(rest),
        _ => return Err(broken()),
    };
    match rest.strip_prefix('*') {
        Some(suffix) if suffix.contains('*') => Err(broken()),
        Some(suffix) => Ok(CorsOrigin::Subdomains {
            scheme: format!("{scheme}://").into(),
            suffix: suffix.into(),
        }),
        None if rest.is_empty() || rest.contains('*') => Err(broken()),
        None => Ok(CorsOrigin::Exact(format!("{scheme}://{rest}").into())),
    }
}
