//! What a client writes into `Authorization` (RFC 7616 §3.4).

/// Longer credentials are refused unseen.
const LONGEST: usize = 4096;
const SCHEME: &str = "digest ";

/// The proof of a password.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Credentials {
    pub(super) username: String,
    pub(super) realm: String,
    pub(super) nonce: String,
    pub(super) uri: String,
    pub(super) response: String,
    pub(super) nc: String,
    pub(super) cnonce: String,
}

impl Credentials {
    /// `None`: not of this scheme, incomplete, said twice, or of a kind that
    /// nobody has offered.
    pub(super) fn parse(value: &[u8]) -> Option<Self> {
        if value.len() > LONGEST {
            return None;
        }
        let text = std::str::from_utf8(value).ok()?;
        let (scheme, mut rest) = text.split_at_checked(SCHEME.len())?;
        if !scheme.eq_ignore_ascii_case(SCHEME) {
            return None;
        }
        let mut given = Self::default();
        let mut qop = String::new();
        let mut algorithm = String::new();
        let mut ignored = String::new();
        loop {
            rest = rest.trim_start_matches([' ', '\t', ',']);
            if rest.is_empty() {
                break;
            }
            let (name, after) = rest.split_once('=')?;
            let (value, after) = value_of(after)?;
            rest = after;
            let place = match name.trim().to_ascii_lowercase().as_str() {
                "username" => &mut given.username,
                "realm" => &mut given.realm,
                "nonce" => &mut given.nonce,
                "uri" => &mut given.uri,
                "response" => &mut given.response,
                "nc" => &mut given.nc,
                "cnonce" => &mut given.cnonce,
                "qop" => &mut qop,
                "algorithm" => &mut algorithm,
                _ => {
                    ignored.clear();
                    &mut ignored
                }
            };
            if !place.is_empty() {
                return None;
            }
            *place = value;
        }
        let offered = qop == "auth" && (algorithm.is_empty() || algorithm.eq_ignore_ascii_case("MD5"));
        let counted = given.nc.len() == 8 && given.nc.bytes().all(|byte| byte.is_ascii_hexdigit());
        let whole = [&given.nonce, &given.uri, &given.response, &given.cnonce];
        let is_whole = whole.iter().all(|value| !value.is_empty());
        (offered && counted && is_whole).then_some(given)
    }
}

/// A token or a quoted string, and what follows it.
fn value_of(text: &str) -> Option<(String, &str)> {
    let text = text.trim_start_matches([' ', '\t']);
    let Some(quoted) = text.strip_prefix('"') else {
        let end = text.find([',', ' ', '\t']).unwrap_or(text.len());
        return Some((text[..end].to_owned(), &text[end..]));
    };
    let mut value = String::new();
    let mut characters = quoted.char_indices();
    while let Some((at, character)) = characters.next() {
        match character {
            '"' => return Some((value, &quoted[at + 1..])),
            '\\' => value.push(characters.next()?.1),
            _ => value.push(character),
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    const RIGHT: &str = "Digest username=\"a \\\"b\\\"\", realm=\"r\", nonce=\"n\", uri=\"/x?y=1,2\", \
        qop=auth, nc=00000001,cnonce=\"c\", response=\"00\", opaque=\"o\", algorithm=MD5";

    #[test]
    fn tokens_and_quoted_strings() {
        let given = Credentials::parse(RIGHT.as_bytes()).unwrap();
        assert_eq!(given.username, "a \"b\"");
        assert_eq!(given.uri, "/x?y=1,2");
        assert_eq!(given.nc, "00000001");
        assert_eq!(given.response, "00");
    }

    #[test]
    fn what_nobody_has_offered_is_no_proof() {
        for (what, instead) in [
            ("Digest", "Basic"),
            ("qop=auth", "qop=auth-int"),
            ("qop=auth, ", ""),
            ("MD5", "SHA-256"),
            ("nc=00000001", "nc=1"),
            ("cnonce=\"c\", ", ""),
            ("opaque", "username"),
            ("\"o\"", "\"o"),
            ("nonce=\"n\"", "nonce"),
        ] {
            let text = RIGHT.replacen(what, instead, 1);
            assert_eq!(Credentials::parse(text.as_bytes()), None, "{text}");
        }
        assert_eq!(Credentials::parse(&[b'a'; 5000]), None);
        assert_eq!(Credentials::parse(b"Digest"), None);
        assert_eq!(Credentials::parse(b"Digest \xff"), None);
    }
}
