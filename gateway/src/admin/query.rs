//! Query strings of the admin port.

use std::borrow::Cow;

/// The parameters in order, decoded; `+` is a space, as forms send it.
pub(super) fn parameters(query: &str) -> impl Iterator<Item = (Cow<'_, str>, Cow<'_, str>)> {
    let pairs = query.split('&').filter(|pair| !pair.is_empty());
    pairs.map(|pair| {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        (decode(name), decode(value))
    })
}

/// Percent-decoding; what is no escape stays as it is.
fn decode(text: &str) -> Cow<'_, str> {
    if !text.contains(['%', '+']) {
        return Cow::Borrowed(text);
    }
    let bytes = text.as_bytes();
    let mut decoded = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        let escape = bytes
            .get(at + 1..at + 3)
            .filter(|_| bytes[at] == b'%')
            .and_then(hexadecimal);
        match escape {
            Some(byte) => {
                decoded.push(byte);
                at += 3;
            }
            None => {
                decoded.push(if bytes[at] == b'+' { b' ' } else { bytes[at] });
                at += 1;
            }
        }
    }
    Cow::Owned(String::from_utf8_lossy(&decoded).into_owned())
}

fn hexadecimal(digits: &[u8]) -> Option<u8> {
    let digit = |byte: u8| char::from(byte).to_digit(16);
    u8::try_from(digit(digits[0])? * 16 + digit(digits[1])?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_are_decoded() {
        let query = "url=http%3A%2F%2Fa%2Fb%3Fc%3D1&header=x:+1&header=y%zz&empty&=v&%";
        let found: Vec<_> = parameters(query).collect();
        let expected = [
            ("url", "http://a/b?c=1"),
            ("header", "x: 1"),
            ("header", "y%zz"),
            ("empty", ""),
            ("", "v"),
            ("%", ""),
        ];
        assert_eq!(found.len(), expected.len());
        for ((name, value), wanted) in found.iter().zip(expected) {
            assert_eq!((&**name, &**value), wanted);
        }
    }
}
