//! The hash of a request for consistent hashing.

use std::net::IpAddr;

use tidegate_snapshot::HashKey;

use crate::cookie;
use crate::request::RequestView;
use crate::template::{self, Values};

/// The hash of what `key` names in `request`, the same in every process and
/// release: replicas must agree on it, also halfway through an upgrade. A
/// header field or a cookie that is absent counts as empty.
pub fn key(key: &HashKey, request: &impl RequestView) -> u64 {
    match key {
        HashKey::ClientAddress => match request.client_ip() {
            IpAddr::V4(address) => fnv1a(&address.octets()),
            IpAddr::V6(address) => fnv1a(&address.octets()),
        },
        HashKey::RequestUri => fnv1a(request.uri().as_bytes()),
        HashKey::Host => fnv1a(request.host().as_bytes()),
        HashKey::Header(name) => fnv1a(request.header(name).unwrap_or_default()),
        HashKey::Text(text) => fnv1a(&template::filled(text, &Values::of(request))),
        HashKey::Cookie(name) => fnv1a(cookie::value(request, name.as_bytes()).unwrap_or_default()),
    }
}

/// The hash of a text, by the same rule: a key of affinity.
pub fn text(bytes: &[u8]) -> u64 {
    fnv1a(bytes)
}

/// FNV-1a, 64 bits: fixed for ever, unlike the standard library's hashers. The
/// ring mixes it once more.
fn fnv1a(bytes: &[u8]) -> u64 {
    const OFFSET_BASIS: u64 = 0xcbf2_9ce4_8422_2325;
    const PRIME: u64 = 0x0000_0100_0000_01b3;
    bytes.iter().fold(OFFSET_BASIS, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(PRIME)
    })
}

#[cfg(test)]
mod tests;
