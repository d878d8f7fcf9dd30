//! Types of values that several annotations share (annotations reference §1).

use std::ops::RangeInclusive;
use std::sync::Arc;
use std::time::Duration;

use super::{Refusal, Scope};

/// Values longer than this are not worth repeating in a message.
const SHOWN: usize = 80;

/// Go's `ParseBool`, which ingress-nginx uses.
pub(in crate::translate) fn bool(value: &str) -> Result<bool, Refusal> {
    match value {
        "1" | "t" | "T" | "TRUE" | "true" | "True" => Ok(true),
        "0" | "f" | "F" | "FALSE" | "false" | "False" => Ok(false),
        _ => Err(Refusal::ignored(
            format!("{} is not a boolean", shown(value)),
            "write \"true\" or \"false\"",
        )),
    }
}

/// Whether the value says no.
pub(super) fn is_false(value: &str) -> bool {
    bool(value) == Ok(false)
}

/// A whole number, not negative.
pub(in crate::translate) fn count(value: &str) -> Result<u32, Refusal> {
    value.parse().map_err(|_| {
        Refusal::ignored(
            format!("{} is not a whole number", shown(value)),
            "write digits only",
        )
    })
}

/// A number of seconds, at least one: nginx takes 0 and then fails at once.
pub(super) fn seconds(value: &str) -> Result<Duration, Refusal> {
    match count(value) {
        Ok(0) | Err(_) => Err(Refusal::ignored(
            format!("{} is not a number of seconds", shown(value)),
            "write whole seconds without a unit, at least 1",
        )),
        Ok(seconds) => Ok(Duration::from_secs(seconds.into())),
    }
}

/// nginx's time: `90`, `30s`, `1h30m`.
pub(in crate::translate) fn time(text: &str) -> Option<Duration> {
    let mut total = Duration::ZERO;
    let mut rest = text;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
        let number: u32 = rest.get(..digits)?.parse().ok()?;
        let unit = rest.get(digits..)?;
        let end = unit.find(|c: char| c.is_ascii_digit()).unwrap_or(unit.len());
        let seconds = match &unit[..end] {
            "" | "s" => 1,
            "m" => 60,
            "h" => 3600,
            "d" => 86_400,
            "w" => 604_800,
            "M" => 30 * 86_400,
            "y" => 365 * 86_400,
            "ms" => {
                total += Duration::from_millis(number.into());
                rest = &unit[end..];
                continue;
            }
            _ => return None,
        };
        total += Duration::from_secs(u64::from(number) * seconds);
        rest = &unit[end..];
    }
    (!text.is_empty()).then_some(total)
}

/// nginx's size: digits and one of `k`, `m`, `g` in any case.
pub(in crate::translate) fn size(value: &str) -> Result<u64, Refusal> {
    let digits = value.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let factor = match &value[digits.len()..] {
        "" => Some(1),
        "k" | "K" => Some(1 << 10),
        "m" | "M" => Some(1 << 20),
        "g" | "G" => Some(1 << 30),
        _ => None,
    };
    let all_digits = !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit());
    factor
        .filter(|_| all_digits)
        .and_then(|factor: u64| digits.parse::<u64>().ok()?.checked_mul(factor))
        .ok_or_else(|| {
            Refusal::ignored(
                format!("{} is not a size", shown(value)),
                "write bytes, or a number with k, m or g, as in \"8m\"",
            )
        })
}

/// ingress-nginx's character class "basic": letters, digits, `- . _ ~ / :`.
/// Spaces are passed over.
pub(super) fn basic(value: &str) -> Result<&str, Refusal> {
    of_class(value, "-._~/: ")
}

/// The same without any space: for what becomes a part of a header field.
pub(super) fn word(value: &str) -> Result<&str, Refusal> {
    of_class(value, "-._~/:")
}

/// Its class "url": also `, ? & =`.
pub(super) fn url(value: &str) -> Result<&str, Refusal> {
    of_class(value, "-._~/: ,?&=")
}

fn of_class<'a>(value: &'a str, others: &str) -> Result<&'a str, Refusal> {
    let allowed = |c: char| c.is_ascii_alphanumeric() || others.contains(c);
    match value.chars().find(|c| !allowed(*c)) {
        None => Ok(value),
        Some(c) => Err(Refusal::ignored(
            format!("{} holds {c:?}", shown(value)),
            format!("use letters, digits and `{}`", others.trim_end()),
        )),
    }
}

/// Whether it holds nothing but letters, digits and `- . _ ~ / :`.
fn is_basic(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-._~/:".contains(&byte)
}

/// Class "path+capture": an absolute or relative path with groups.
pub(super) fn is_path(value: &str) -> bool {
    value.bytes().all(|byte| is_basic(byte) || byte == b'$')
}

/// Class "url": a URL with a query, without a fragment.
pub(super) fn is_url(value: &str) -> bool {
    value
        .bytes()
        .all(|byte| is_basic(byte) || b",:?&=".contains(&byte))
}

/// Class "regex": a regular expression of modest means.
pub(super) fn is_regex(value: &str) -> bool {
    let allowed = |byte| is_basic(byte) || b"^$[](){}*+?|&=\\".contains(&byte);
    value.bytes().all(allowed)
}

/// nginx's flag.
pub(in crate::translate) fn on_off(text: &str) -> Result<bool, Refusal> {
    match text {
        "on" => Ok(true),
        "off" => Ok(false),
        _ => Err(Refusal::ignored(
            format!("{} is neither on nor off", shown(text)),
            "write on or off",
        )),
    }
}

/// Namespace and name of an object that a value names, as `name` or
/// `namespace/name`. Another namespace's closes the routes unless the ConfigMap
/// allows it (`allow-cross-namespace-resources`).
pub(super) fn object<'a>(value: &'a str, scope: &Scope<'a>) -> Result<(&'a str, &'a str), Refusal> {
    let (namespace, name) = match value.split_once('/') {
        Some(pair) => pair,
        None => (&*scope.object.namespace, value),
    };
    if namespace.is_empty() || name.is_empty() || name.contains('/') {
        return Err(Refusal::disabled(
            format!("{} names no object", shown(value)),
            "write name or namespace/name",
        ));
    }
    if *namespace != *scope.object.namespace && !scope.options.allow_cross_namespace_resources {
        return Err(Refusal::disabled(
            format!("{} is in another namespace", shown(value)),
            "copy it, or set `allow-cross-namespace-resources` in the controller's ConfigMap",
        ));
    }
    Ok((namespace, name))
}

/// A list of statuses, sorted, and the first of its parts that is none.
pub(in crate::translate) fn statuses(text: &str, range: RangeInclusive<u16>) -> (Arc<[u16]>, Option<&str>) {
    let mut statuses = Vec::new();
    let mut wrong = None;
    for part in text.split(',').map(str::trim).filter(|part| !part.is_empty()) {
        match part.parse() {
            Ok(status) if range.contains(&status) => statuses.push(status),
            _ => drop(wrong.get_or_insert(part)),
        }
    }
    statuses.sort_unstable();
    statuses.dedup();
    (statuses.into(), wrong)
}

/// A value as messages show it: quoted, not too long.
pub(in crate::translate) fn shown(value: &str) -> String {
    match value.char_indices().nth(SHOWN) {
        None => format!("{value:?}"),
        Some((end, _)) => format!("{:?}…", &value[..end]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_nginxs_times() {
        let seconds = |text| time(text).map(|time| time.as_secs());
        assert_eq!(seconds("30"), Some(30));
        assert_eq!(seconds("1h30m"), Some(5400));
        assert_eq!(seconds("5m"), Some(300));
        assert_eq!(time("250ms"), Some(Duration::from_millis(250)));
        for text in ["", "m", "5x", "5 m", "-1"] {
            assert_eq!(seconds(text), None, "{text}");
        }
    }
}
