//! Types of values that keys share, beyond those of annotations.

use std::time::Duration;

use http::HeaderName;
use ipnet::IpNet;
use std::net::IpAddr;

use super::Refusal;
use crate::translate::ingress::annotations::value;
pub(super) use value::{bool, count, shown, size, statuses};

/// Whether a value asks for nothing: the default, or a plain no.
pub(super) fn is_off(value: &str, default: &str) -> bool {
    value == default
        || value == "0"
        || matches!(value, "false" | "False" | "FALSE" | "f" | "F" | "off" | "\"\"")
}

/// The parts of a list, which commas separate.
pub(super) fn list(text: &str) -> impl Iterator<Item = &str> {
    text.split(',').map(str::trim).filter(|part| !part.is_empty())
}

/// Networks, or single addresses, separated by commas.
pub(super) fn networks(text: &str) -> Result<Vec<IpNet>, Refusal> {
    list(text).map(network).collect()
}

fn network(text: &str) -> Result<IpNet, Refusal> {
    text.parse::<IpNet>()
        .map(|network| network.trunc())
        .or_else(|_| text.parse::<IpAddr>().map(IpNet::from))
        .map_err(|_| {
            Refusal::ignored(
                format!("{} is not an address or network", shown(text)),
                "write networks separated by commas, as in \"10.0.0.0/8, 192.0.2.1\"",
            )
        })
}

/// Whole seconds, 0 too.
pub(super) fn seconds(text: &str) -> Result<Duration, Refusal> {
    count(text).map(|seconds| Duration::from_secs(seconds.into()))
}

/// nginx's time: a number with `ms`, `s`, `m`, `h` or `d`, or several of them;
/// without a unit seconds.
pub(super) fn time(text: &str) -> Result<Duration, Refusal> {
    let refused = || {
        Refusal::ignored(
            format!("{} is not a time", shown(text)),
            "write a number with a unit, as in \"5s\", \"10m\" or \"1h30m\"",
        )
    };
    let mut total = Duration::ZERO;
    let mut rest = text;
    while !rest.is_empty() {
        let digits = rest.len() - rest.trim_start_matches(|c: char| c.is_ascii_digit()).len();
        let number: u64 = rest[..digits].parse().map_err(|_| refused())?;
        rest = &rest[digits..];
        let letters = rest.len() - rest.trim_start_matches(|c: char| c.is_ascii_alphabetic()).len();
        let seconds = match &rest[..letters] {
            "ms" => {
                total += Duration::from_millis(number);
                0
            }
            "" | "s" => 1,
            "m" => 60,
            "h" => 60 * 60,
            "d" => 24 * 60 * 60,
            _ => return Err(refused()),
        };
        let part = number.checked_mul(seconds).map(Duration::from_secs);
        total = part
            .and_then(|part| total.checked_add(part))
            .ok_or_else(refused)?;
        rest = rest[letters..].trim_start();
    }
    Ok(total)
}

/// The name of a header field.
pub(super) fn header_name(text: &str) -> Result<HeaderName, Refusal> {
    HeaderName::from_bytes(text.as_bytes()).map_err(|_| {
        Refusal::ignored(
            format!("{} is not the name of a header field", shown(text)),
            "use letters, digits and `-`",
        )
    })
}

/// A number within bounds.
pub(super) fn within(text: &str, least: u32, most: u32) -> Result<u32, Refusal> {
    count(text)
        .ok()
        .filter(|number| (least..=most).contains(number))
        .ok_or_else(|| {
            Refusal::ignored(
                format!("{} is not a number from {least} to {most}", shown(text)),
                "write digits only",
            )
        })
}
