//! Request path normalisation: the form that rules are compared with.
//!
//! What nginx does before it looks for a location (`$uri`,
//! `ngx_http_parse_complex_uri`): percent escapes decoded, `%2F` too; runs of
//! slashes merged (`merge_slashes`); `.` and `..` resolved; anything from `?`
//! or `#` on left out. Upstreams still get what the client wrote.

use std::borrow::Cow;

/// Why a path is refused; the answer is 400, as nginx's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PathError {
    /// It is not empty and does not begin with `/`.
    #[error("the path does not begin with a slash")]
    Relative,
    /// A `%` without two hexadecimal digits.
    #[error("invalid percent escape")]
    Escape,
    /// A NUL, raw or escaped.
    #[error("the path holds a NUL")]
    Nul,
    /// A `..` that leads above the root.
    #[error("`..` leads above the root")]
    AboveRoot,
}

/// The code point that stands for byte 0; bytes 0x80 to 0xFF are used.
const BYTE_BASE: u32 = 0x10_FF00;

/// Normalises the path of a request target; nothing is allocated when it is
/// normal already. An empty path is `/`.
///
/// Rules are text, requests are bytes: a byte that is not part of UTF-8 becomes
/// the private-use character U+10FF00 + byte, and so does each byte of those
/// characters' own encodings. Thus different bytes stay different texts, no
/// rule matches them by mistake, and a regular expression's `.` takes each for
/// one character, as nginx's does.
///
/// # Errors
/// A [`PathError`] where nginx answers 400.
pub fn normalise(raw: &str) -> Result<Cow<'_, str>, PathError> {
    if is_normal(raw.as_bytes()) {
        return Ok(Cow::Borrowed(raw));
    }
    normalise_bytes(raw.as_bytes()).map(Cow::Owned)
}

/// [`normalise`] for a target that need not be UTF-8.
///
/// # Errors
/// A [`PathError`] where nginx answers 400.
pub fn normalise_bytes(raw: &[u8]) -> Result<String, PathError> {
    let raw = &raw[..raw
        .iter()
        .position(|b| matches!(b, b'?' | b'#'))
        .unwrap_or(raw.len())];
    if raw.is_empty() {
        return Ok("/".to_owned());
    }
    let decoded = decode(raw)?;
    resolve(&decoded).map(into_text)
}

/// Whether normalisation would return this path as it is. May say no too often
/// (`/.well-known`), never yes.
fn is_normal(path: &[u8]) -> bool {
    let mut before = 0;
    for &byte in path {
        match byte {
            b'%' | b'?' | b'#' | 0 | 0xF4.. => return false,
            b'/' | b'.' if before == b'/' => return false,
            _ => before = byte,
        }
    }
    path.first() == Some(&b'/')
}

fn decode(raw: &[u8]) -> Result<Vec<u8>, PathError> {
    if raw[0] != b'/' {
        return Err(PathError::Relative);
    }
    let mut decoded = Vec::with_capacity(raw.len());
    let mut bytes = raw.iter().copied();
    while let Some(byte) = bytes.next() {
        let byte = match byte {
            b'%' => hex(bytes.next())? << 4 | hex(bytes.next())?,
            byte => byte,
        };
        if byte == 0 {
            return Err(PathError::Nul);
        }
        decoded.push(byte);
    }
    Ok(decoded)
}

fn hex(digit: Option<u8>) -> Result<u8, PathError> {
    let value = digit.and_then(|digit| char::from(digit).to_digit(16));
    value
        .and_then(|value| u8::try_from(value).ok())
        .ok_or(PathError::Escape)
}

/// Merges slashes and resolves dot segments; `decoded` begins with a slash.
fn resolve(decoded: &[u8]) -> Result<Vec<u8>, PathError> {
    // Always ends in a slash before a segment is looked at.
    let mut path = Vec::with_capacity(decoded.len());
    path.push(b'/');
    let mut segments = decoded[1..].split(|&byte| byte == b'/').peekable();
    while let Some(segment) = segments.next() {
        match segment {
            b"" | b"." => {}
            b".." => {
                path.pop();
                let parent = path
                    .iter()
                    .rposition(|&byte| byte == b'/')
                    .ok_or(PathError::AboveRoot)?;
                path.truncate(parent + 1);
            }
            _ => {
                path.extend_from_slice(segment);
                if segments.peek().is_some() {
                    path.push(b'/');
                }
            }
        }
    }
    Ok(path)
}

fn into_text(path: Vec<u8>) -> String {
    match String::from_utf8(path) {
        Ok(path) if !path.chars().any(stands_for_byte) => path,
        Ok(path) => escape_bytes(path.as_bytes()),
        Err(error) => escape_bytes(error.as_bytes()),
    }
}

fn escape_bytes(path: &[u8]) -> String {
    let mut text = String::with_capacity(path.len() * 2);
    for chunk in path.utf8_chunks() {
        for c in chunk.valid().chars() {
            if stands_for_byte(c) {
                text.extend(c.encode_utf8(&mut [0; 4]).bytes().map(stand_in));
            } else {
                text.push(c);
            }
        }
        text.extend(chunk.invalid().iter().copied().map(stand_in));
    }
    text
}

fn stands_for_byte(c: char) -> bool {
    u32::from(c) >= BYTE_BASE + 0x80
}

fn stand_in(byte: u8) -> char {
    char::from_u32(BYTE_BASE + u32::from(byte)).expect("U+10FF00 to U+10FFFF are characters")
}

/// Appends a normalised path as a URL has it, with what nginx escapes when it
/// proxies a URI that it changed (`NGX_ESCAPE_URI`).
pub fn escape(path: &str, url: &mut String) {
    for c in path.chars() {
        match c {
            ' ' | '"' | '#' | '%' | '?' | '<' | '>' | '\\' | '^' | '`' | '{' | '|' | '}' => {
                escape_byte(c as u8, url)
            }
            '!'..='~' => url.push(c),
            c if stands_for_byte(c) => escape_byte((u32::from(c) - BYTE_BASE) as u8, url),
            c => {
                for byte in c.encode_utf8(&mut [0; 4]).bytes() {
                    escape_byte(byte, url);
                }
            }
        }
    }
}

fn escape_byte(byte: u8, url: &mut String) {
    const DIGITS: &[u8; 16] = b"0123456789ABCDEF";
    url.push('%');
    url.push(DIGITS[usize::from(byte >> 4)].into());
    url.push(DIGITS[usize::from(byte & 0xF)].into());
}

#[cfg(test)]
mod tests;
