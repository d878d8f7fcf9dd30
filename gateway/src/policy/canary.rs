//! Who gets to see a canary: ingress-nginx's rules, in its order (header, then
//! cookie, then chance).

use http::HeaderName;
use regex::bytes::Regex;
use tidegate_snapshot::route;
use tidegate_snapshot::route::CanaryValue;

use crate::cookie;
use crate::request::RequestView;

const ALWAYS: &[u8] = b"always";
const NEVER: &[u8] = b"never";

/// The rules of one canary.
pub struct Canary {
    header: Option<(HeaderName, Value)>,
    cookie: Option<Box<[u8]>>,
    weight: u32,
    total: u32,
    /// Whether affinity binds clients to the canary.
    pub sticky: bool,
}

enum Value {
    Words,
    Equals(Box<[u8]>),
    Matches(Regex),
    Main,
}

impl Canary {
    /// Compiles the rules.
    pub fn new(spec: &route::Canary) -> Self {
        let header = spec.header.as_ref().map(|header| {
            let value = match &header.value {
                CanaryValue::Words => Value::Words,
                CanaryValue::Equals(text) => Value::Equals(text.as_bytes().into()),
                // The same source compiled as text before: over bytes it can
                // only fail by its size, and then nothing reaches the canary.
                CanaryValue::Matches(pattern) => {
                    Regex::new(pattern.source()).map_or(Value::Main, Value::Matches)
                }
                CanaryValue::Main => Value::Main,
            };
            (header.name.clone(), value)
        });
        Self {
            header,
            cookie: spec.cookie.as_ref().map(|name| name.as_bytes().into()),
            weight: spec.weight,
            total: spec.total.max(1),
            sticky: spec.sticky,
        }
    }

    /// Whether a request goes to the canary; `random` is uniform over `u32`.
    pub fn takes(&self, request: &(impl RequestView + ?Sized), random: u32) -> bool {
        self.by_header(request)
            .or_else(|| self.by_cookie(request))
            .unwrap_or_else(|| {
                let drawn = (u64::from(random) * u64::from(self.total)) >> u32::BITS;
                drawn < u64::from(self.weight)
            })
    }

    fn by_header(&self, request: &(impl RequestView + ?Sized)) -> Option<bool> {
        let (name, value) = self.header.as_ref()?;
        let sent = request.header(name)?;
        match value {
            Value::Words => word(sent),
            Value::Equals(text) => (sent == &**text).then_some(true),
            Value::Matches(pattern) => pattern.is_match(sent).then_some(true),
            Value::Main => Some(false),
        }
    }

    fn by_cookie(&self, request: &(impl RequestView + ?Sized)) -> Option<bool> {
        word(cookie::value(request, self.cookie.as_ref()?)?)
    }
}

fn word(value: &[u8]) -> Option<bool> {
    match value {
        ALWAYS => Some(true),
        NEVER => Some(false),
        _ => None,
    }
}

#[cfg(test)]
mod tests;
