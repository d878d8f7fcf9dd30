//! How to reach the backend and choose an endpoint (annotations reference
//! §13 and §15).

use http::HeaderName;
use tidegate_snapshot::{Effect, HashKey, LoadBalancing, Text, UpstreamProtocol};

use super::{Refusal, Settings, value};

pub(super) fn backend_protocol(settings: &mut Settings, text: &str) -> Result<(), Refusal> {
    settings.protocol = match text.to_ascii_uppercase().as_str() {
        "HTTP" => UpstreamProtocol::Http,
        "HTTPS" => UpstreamProtocol::Https,
        "GRPC" => UpstreamProtocol::H2c,
        "GRPCS" => UpstreamProtocol::H2,
        "AUTO_HTTP" => UpstreamProtocol::Auto,
        "FCGI" => {
            return Err(Refusal::not_supported(
                Effect::RouteDisabled,
                "FastCGI is not supported",
                "put an HTTP server in front of the FastCGI one",
            ));
        }
        _ => {
            return Err(Refusal::ignored(
                format!("{} is not a protocol", value::shown(text)),
                "write HTTP, HTTPS, AUTO_HTTP, GRPC or GRPCS",
            ));
        }
    };
    Ok(())
}

pub(super) fn service_upstream(settings: &mut Settings, text: &str) -> Result<(), Refusal> {
    settings.service_upstream = value::bool(text)?;
    Ok(())
}

pub(super) fn ssl_passthrough(settings: &mut Settings, text: &str) -> Result<(), Refusal> {
    settings.passthrough = value::bool(text).map_err(Refusal::into_rejected)?;
    Ok(())
}

pub(super) fn load_balance(settings: &mut Settings, text: &str) -> Result<(), Refusal> {
    settings.load_balancing = Some(match text {
        "round_robin" => LoadBalancing::RoundRobin,
        "ewma" => LoadBalancing::Ewma,
        "least_request" => LoadBalancing::LeastRequest,
        _ => {
            return Err(Refusal::rejected(
                format!("{} is not a way to balance load", value::shown(text)),
                "write round_robin, ewma or least_request",
            ));
        }
    });
    Ok(())
}

pub(super) fn upstream_hash_by(settings: &mut Settings, text: &str) -> Result<(), Refusal> {
    let allowed = |c: char| c.is_ascii_alphanumeric() || "$_-{}".contains(c);
    if !text.chars().all(allowed) {
        return Err(Refusal::rejected(
            format!("{} holds a character that is not allowed", value::shown(text)),
            "use letters, digits and `$ _ - { }`",
        ));
    }
    // `$http_x_user` may name any field, but not one without a name.
    let parsed = Text::parse(text).map_err(|error| {
        Refusal::rejected(
            error.to_string(),
            "use nginx's variables, such as $request_uri or $http_NAME",
        )
    })?;
    settings.hash = Some(hash_key(text).unwrap_or(HashKey::Text(parsed)));
    Ok(())
}

/// `upstream-hash-by-subset*`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct HashSubset {
    enabled: bool,
    size: u32,
}

impl Default for HashSubset {
    fn default() -> Self {
        Self {
            enabled: false,
            size: 3,
        }
    }
}

pub(super) fn hash_by_subset(settings: &mut Settings, text: &str) -> Result<(), Refusal> {
    settings.hash_subset.enabled = value::bool(text).map_err(Refusal::into_rejected)?;
    Ok(())
}

pub(super) fn hash_by_subset_size(settings: &mut Settings, text: &str) -> Result<(), Refusal> {
    settings.hash_subset.size = value::count(text).map_err(Refusal::into_rejected)?.max(1);
    Ok(())
}

impl Settings {
    /// Load balancing by hash, if that is wanted.
    pub(crate) fn hashing(&self) -> Option<LoadBalancing> {
        let key = self.hash.clone()?;
        Some(match &self.hash_subset {
            HashSubset { enabled: true, size } => LoadBalancing::HashSubset { key, size: *size },
            HashSubset { .. } => LoadBalancing::ConsistentHash(key),
        })
    }
}

/// One whole nginx variable, with or without braces.
fn hash_key(text: &str) -> Option<HashKey> {
    let name = text.strip_prefix('$')?;
    let name = match name.strip_prefix('{') {
        Some(braced) => braced.strip_suffix('}')?,
        None => name,
    };
    match name {
        "remote_addr" | "binary_remote_addr" => return Some(HashKey::ClientAddress),
        "request_uri" => return Some(HashKey::RequestUri),
        "host" | "http_host" => return Some(HashKey::Host),
        _ => {}
    }
    let word = |rest: &str| {
        let word = |b: u8| b.is_ascii_alphanumeric() || b == b'_';
        !rest.is_empty() && rest.bytes().all(word)
    };
    if let Some(header) = name.strip_prefix("http_").filter(|rest| word(rest)) {
        let header = HeaderName::from_bytes(header.replace('_', "-").as_bytes()).ok()?;
        return Some(HashKey::Header(header));
    }
    let cookie = name.strip_prefix("cookie_").filter(|rest| word(rest))?;
    Some(HashKey::Cookie(cookie.into()))
}
