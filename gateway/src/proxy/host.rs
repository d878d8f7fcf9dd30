//! Host names in requests, by nginx's rules (`ngx_http_validate_host`).

use std::net::Ipv6Addr;

use http::{HeaderValue, StatusCode, Version};

use super::inbound::Text;

/// The host of a request without its port: lower case, no trailing dot.
/// Without one HTTP/1.0 clients get the default host (the empty text).
///
/// # Errors
/// 400 where nginx answers it.
pub(super) fn normalise(raw: Option<&[u8]>, version: Version) -> Result<Text, StatusCode> {
    let Some(raw) = raw else {
        let old = matches!(version, Version::HTTP_10 | Version::HTTP_09);
        return if old {
            Ok(Text::Prefix(0))
        } else {
            Err(StatusCode::BAD_REQUEST)
        };
    };
    let host = std::str::from_utf8(raw)
        .ok()
        .and_then(validate)
        .ok_or(StatusCode::BAD_REQUEST)?;
    if host.bytes().any(|byte| byte.is_ascii_uppercase()) {
        return Ok(Text::Owned(host.to_ascii_lowercase().into()));
    }
    Ok(Text::Prefix(host.len()))
}

/// The name in a `Host` value, without port and trailing dot; `None` if it
/// cannot be one.
fn validate(raw: &str) -> Option<&str> {
    let (name, port) = if raw.starts_with('[') {
        let end = raw.find(']')?;
        raw[1..end].parse::<Ipv6Addr>().ok()?;
        raw.split_at(end + 1)
    } else {
        raw.split_at(raw.find(':').unwrap_or(raw.len()))
    };
    let port_is_number = port.strip_prefix(':').map_or(port.is_empty(), |digits| {
        digits.bytes().all(|byte| byte.is_ascii_digit())
    });
    let forbidden = |byte: u8| byte <= b' ' || matches!(byte, b'/' | b'\\' | b'?' | b'#' | b'@' | 0x7F);
    let name = name.strip_suffix('.').unwrap_or(name);
    let fine = port_is_number
        && !name.is_empty()
        && !name.ends_with('.')
        && !name.contains("..")
        && !name.bytes().any(forbidden);
    fine.then_some(name)
}

/// The first of a list of hosts (`X-Forwarded-Host`), if it is a host.
pub(super) fn first_of_list(list: HeaderValue) -> Option<HeaderValue> {
    let text = list.to_str().ok()?;
    let first = text.split(',').next().unwrap_or(text).trim();
    validate(first)?;
    if first.len() == text.len() {
        Some(list)
    } else {
        HeaderValue::from_str(first).ok()
    }
}

/// A host without its port, lower case.
pub(super) fn without_port(raw: &HeaderValue) -> Option<String> {
    validate(raw.to_str().ok()?).map(str::to_ascii_lowercase)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn host(raw: &str) -> Option<String> {
        let text = normalise(Some(raw.as_bytes()), Version::HTTP_11).ok()?;
        Some(match text {
            Text::Prefix(length) => raw[..length].to_owned(),
            Text::Owned(owned) => owned.into(),
        })
    }

    #[test]
    fn normalises_case_port_and_trailing_dot() {
        for raw in [
            "foo.bar",
            "FOO.bar",
            "foo.bar.",
            "foo.bar:80",
            "foo.bar.:8080",
            "foo.bar:",
        ] {
            assert_eq!(host(raw).as_deref(), Some("foo.bar"), "{raw}");
        }
        assert_eq!(host("[::1]:80").as_deref(), Some("[::1]"));
        assert_eq!(host("10.0.0.1:80").as_deref(), Some("10.0.0.1"));
    }

    #[test]
    fn refuses_what_is_no_host() {
        for raw in [
            "",
            ".",
            ":80",
            "foo..bar",
            "foo.bar..",
            "foo/bar",
            "foo bar",
            "foo\tbar",
            "foo:bar",
            "foo@bar",
            "[::1",
            "[x]",
            "[::1]x",
            "foo\\bar",
            "a,b:c",
        ] {
            assert_eq!(host(raw), None, "{raw}");
        }
        assert!(normalise(Some(b"\xff"), Version::HTTP_11).is_err());
    }

    #[test]
    fn only_old_clients_may_leave_it_out() {
        assert!(normalise(None, Version::HTTP_11).is_err());
        assert!(normalise(None, Version::HTTP_2).is_err());
        assert!(matches!(normalise(None, Version::HTTP_10), Ok(Text::Prefix(0))));
    }
}
