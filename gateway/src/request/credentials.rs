//! User and password of HTTP basic authentication (RFC 7617), read as nginx does.

use base64::Engine;
use base64::alphabet::STANDARD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};

/// Longer credentials are refused unseen.
const LONGEST: usize = 4096;

/// nginx stops at the first `=` and does not ask for one.
const LENIENT: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new()
        .with_decode_padding_mode(DecodePaddingMode::RequireNone)
        .with_decode_allow_trailing_bits(true),
);

/// User and password of an `Authorization` field, not verified. `None`: another
/// scheme, or what nginx takes for no credentials either, such as an empty name.
pub fn basic(authorization: &[u8]) -> Option<(Vec<u8>, Vec<u8>)> {
    if authorization.len() > LONGEST {
        return None;
    }
    let (scheme, encoded) = authorization.split_at_checked(6)?;
    if !scheme.eq_ignore_ascii_case(b"basic ") {
        return None;
    }
    let encoded = encoded.trim_ascii().split(|byte| *byte == b'=').next()?;
    let mut user = LENIENT.decode(encoded).ok()?;
    let colon = user.iter().position(|byte| *byte == b':').filter(|at| *at > 0)?;
    let password = user.split_off(colon + 1);
    user.truncate(colon);
    Some((user, password))
}

/// The user alone, for the log.
pub fn user(authorization: Option<&[u8]>) -> Option<Box<[u8]>> {
    authorization.and_then(basic).map(|(user, _)| user.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(authorization: &str) -> Option<(String, String)> {
        let (user, password) = basic(authorization.as_bytes())?;
        Some((
            String::from_utf8(user).unwrap(),
            String::from_utf8(password).unwrap(),
        ))
    }

    #[test]
    fn users_and_passwords_are_told_apart() {
        let joe = Some(("joe".to_owned(), "a:b".to_owned()));
        // joe:a:b
        for value in ["Basic am9lOmE6Yg==", "bAsIc   am9lOmE6Yg", "BASIC am9lOmE6Yg=x"] {
            assert_eq!(read(value), joe, "{value}");
        }
        assert_eq!(read("Basic am9lOg=="), Some(("joe".to_owned(), String::new())));
    }

    #[test]
    fn anything_else_is_nobody() {
        for value in [
            "",
            "Basic",
            "Basic ",
            "Bearer am9lOmE6Yg==",
            "Basic !!!",
            "Basic a",
            // joe
            "Basic am9l",
            // :secret
            "Basic OnNlY3JldA==",
        ] {
            assert_eq!(read(value), None, "{value}");
        }
        assert_eq!(read(&format!("Basic {}", "A".repeat(LONGEST))), None);
    }
}
