//! Request heads that are refused before anything else looks at them, with
//! nginx's statuses, and fields that are dropped as nginx drops them. What
//! cannot be parsed at all Pingora has refused already (400).

use http::header::{CONTENT_LENGTH, TRANSFER_ENCODING};
use http::{HeaderMap, HeaderName, Method, StatusCode, Version};
use pingora_core::protocols::http::authority::raw_target_authority;
use pingora_http::RequestHeader;
use tidegate_snapshot::HttpSettings;

/// Two spaces, `HTTP/1.1` and the line's end.
pub(super) const REQUEST_LINE_OVERHEAD: usize = 12;
/// `: ` and the line's end.
pub(super) const FIELD_OVERHEAD: usize = 4;

/// A head that passed.
#[derive(Debug)]
pub(super) struct Checked {
    /// Its length in bytes.
    pub(super) length: usize,
    /// Whether [`drop_fields`] has something to do.
    pub(super) drops: bool,
}

/// Checks a head.
///
/// `raw` is the head as received, where there is one (HTTP/1).
///
/// # Errors
/// The status of the answer: 400, 405, 414 or 501.
pub(super) fn check(
    head: &RequestHeader,
    raw: impl FnOnce() -> Option<bytes::Bytes>,
    http: &HttpSettings,
) -> Result<Checked, StatusCode> {
    check_method(&head.method)?;
    check_target(head)?;
    let line = head.method.as_str().len() + head.raw_path().len() + REQUEST_LINE_OVERHEAD;
    if line > http.max_header_line {
        return Err(StatusCode::URI_TOO_LONG);
    }
    let mut length = line + 2;
    let mut drops = false;
    for (name, value) in &head.headers {
        let field = name.as_str().len() + value.len() + FIELD_OVERHEAD;
        if field > http.max_header_line {
            return Err(StatusCode::BAD_REQUEST);
        }
        length += field;
        drops |= is_dropped(name, http);
    }
    if length > http.max_header_total {
        return Err(StatusCode::BAD_REQUEST);
    }
    check_framing(&head.headers, head.version, raw)?;
    Ok(Checked { length, drops })
}

/// TRACE and CONNECT are not served (405); a method that is not upper case is
/// malformed (nginx takes `A-Z`, `_` and `-`).
fn check_method(method: &Method) -> Result<(), StatusCode> {
    match *method {
        Method::GET | Method::POST | Method::HEAD | Method::PUT => Ok(()),
        Method::TRACE | Method::CONNECT => Err(StatusCode::METHOD_NOT_ALLOWED),
        _ => {
            let fine = |byte: u8| byte.is_ascii_uppercase() || matches!(byte, b'_' | b'-');
            if method.as_str().bytes().all(fine) {
                Ok(())
            } else {
                Err(StatusCode::BAD_REQUEST)
            }
        }
    }
}

/// A path or an absolute URL; nginx takes no `*` and nothing else.
fn check_target(head: &RequestHeader) -> Result<(), StatusCode> {
    let target = head.raw_path();
    if target.starts_with(b"/") || raw_target_authority(target).authority().is_some() {
        return Ok(());
    }
    Err(StatusCode::BAD_REQUEST)
}

/// One length, or one `chunked`, never both: anything else is how requests are
/// smuggled (RFC 9112 §6.3).
fn check_framing(
    headers: &HeaderMap,
    version: Version,
    raw: impl FnOnce() -> Option<bytes::Bytes>,
) -> Result<(), StatusCode> {
    let mut codings = headers.get_all(TRANSFER_ENCODING).iter();
    if let Some(coding) = codings.next() {
        if codings.next().is_some() || version != Version::HTTP_11 {
            return Err(StatusCode::BAD_REQUEST);
        }
        if !coding.as_bytes().eq_ignore_ascii_case(b"chunked") {
            return Err(StatusCode::NOT_IMPLEMENTED);
        }
        // Pingora has removed a Content-Length from beside it.
        if headers.contains_key(CONTENT_LENGTH) || raw().is_none_or(|raw| names_length(&raw)) {
            return Err(StatusCode::BAD_REQUEST);
        }
        return Ok(());
    }
    let mut lengths = headers.get_all(CONTENT_LENGTH).iter();
    match (lengths.next(), lengths.next()) {
        (None, _) => Ok(()),
        (Some(length), None) if content_length(length.as_bytes()).is_some() => Ok(()),
        _ => Err(StatusCode::BAD_REQUEST),
    }
}

/// Whether a raw head has a `Content-Length` field.
fn names_length(raw: &[u8]) -> bool {
    const NAME: &[u8] = b"content-length";
    raw.split(|&byte| byte == b'\n')
        .filter_map(|line| line.get(..NAME.len()))
        .any(|start| start.eq_ignore_ascii_case(NAME))
}

/// A length: digits only.
pub(super) fn content_length(value: &[u8]) -> Option<u64> {
    if !value.iter().all(u8::is_ascii_digit) {
        return None;
    }
    std::str::from_utf8(value).ok()?.parse().ok()
}

/// nginx passes letters, digits and `-`; `_` if told to; other fields it drops
/// (`ignore_invalid_headers`, `underscores_in_headers`).
fn is_dropped(name: &HeaderName, http: &HttpSettings) -> bool {
    let kept = |byte: u8| {
        byte.is_ascii_lowercase()
            || byte == b'-'
            || byte.is_ascii_digit()
            || (byte == b'_' && !http.drop_underscores)
    };
    http.drop_invalid && !name.as_str().bytes().all(kept)
}

/// Removes the fields that nginx drops silently.
#[cold]
pub(super) fn drop_fields(head: &mut RequestHeader, http: &HttpSettings) {
    let names: Vec<HeaderName> = head
        .headers
        .keys()
        .filter(|name| is_dropped(name, http))
        .cloned()
        .collect();
    for name in &names {
        head.remove_header(name);
    }
}

#[cfg(test)]
mod tests;
