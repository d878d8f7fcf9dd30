//! Password hashes of htpasswd files (nginx `ngx_crypt`, crypt(3)).

use aws_lc_rs::constant_time::verify_slices_are_equal;
use aws_lc_rs::digest::{SHA1_FOR_LEGACY_USE_ONLY, digest};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use md5::{Digest, Md5};

/// A hash of greater cost (2 to the power of this) would keep a thread busy for
/// many seconds.
const HIGHEST_BCRYPT_COST: u32 = 15;
/// See [`HIGHEST_BCRYPT_COST`].
const MOST_SHA_ROUNDS: u32 = 1_000_000;

/// A hash, parsed.
pub(super) enum Hash {
    /// `$2a$`, `$2b$`, `$2y$`.
    Bcrypt(Box<str>),
    /// `$apr1$` (Apache) and `$1$`: 1000 rounds of MD5.
    Md5Crypt {
        magic: &'static str,
        salt: Box<str>,
        hash: Box<str>,
    },
    /// `$5$` and `$6$`.
    ShaCrypt(Box<str>),
    /// `{SHA}` and `{SSHA}`: SHA-1, with salt or without.
    Sha1 { digest: Box<[u8]>, salt: Box<[u8]> },
    /// `{PLAIN}`.
    Plain(Box<str>),
    /// Of no known kind, or too costly: no password has it.
    Unknown,
}

impl Hash {
    pub(super) fn parse(text: &str) -> Self {
        Self::parse_known(text).unwrap_or(Self::Unknown)
    }

    fn parse_known(text: &str) -> Option<Self> {
        if let Some(password) = text.strip_prefix("{PLAIN}") {
            return Some(Self::Plain(password.into()));
        }
        if let Some(encoded) = text.strip_prefix("{SHA}").or_else(|| text.strip_prefix("{SSHA}")) {
            let decoded = STANDARD.decode(encoded).ok()?;
            let (digest, salt) = decoded.split_at_checked(20)?;
            return Some(Self::Sha1 {
                digest: digest.into(),
                salt: salt.into(),
            });
        }
        let (kind, rest) = text.strip_prefix('$')?.split_once('$')?;
        match kind {
            "2a" | "2b" | "2x" | "2y" => {
                let cost: u32 = rest.split_once('$')?.0.parse().ok()?;
                (cost <= HIGHEST_BCRYPT_COST).then(|| Self::Bcrypt(text.into()))
            }
            "apr1" | "1" => {
                let (salt, hash) = rest.split_once('$')?;
                Some(Self::Md5Crypt {
                    magic: if kind == "1" { "$1$" } else { "$apr1$" },
                    salt: salt.get(..salt.len().min(8))?.into(),
                    hash: hash.into(),
                })
            }
            "5" | "6" => {
                let rounds = rest
                    .strip_prefix("rounds=")
                    .and_then(|rounds| rounds.split_once('$'));
                let bearable = match rounds {
                    Some((rounds, _)) => rounds.parse::<u32>().ok()? <= MOST_SHA_ROUNDS,
                    None => true,
                };
                bearable.then(|| Self::ShaCrypt(text.into()))
            }
            _ => None,
        }
    }

    /// Whether comparing takes long enough to be done elsewhere.
    pub(super) fn is_slow(&self) -> bool {
        matches!(self, Self::Bcrypt(_) | Self::Md5Crypt { .. } | Self::ShaCrypt(_))
    }

    /// Whether `password` has this hash.
    pub(super) fn matches(&self, password: &[u8]) -> bool {
        match self {
            Self::Bcrypt(hash) => bcrypt::verify(password, hash).unwrap_or(false),
            Self::Md5Crypt { magic, salt, hash } => {
                let computed = md5_crypt(password, salt.as_bytes(), magic.as_bytes());
                is_equal(computed.as_bytes(), hash.as_bytes())
            }
            Self::ShaCrypt(hash) => {
                let Ok(password) = std::str::from_utf8(password) else {
                    return false;
                };
                if hash.starts_with("$5$") {
                    sha_crypt::sha256_check(password, hash).is_ok()
                } else {
                    sha_crypt::sha512_check(password, hash).is_ok()
                }
            }
            Self::Sha1 { digest: wanted, salt } => {
                let salted = [password, salt].concat();
                is_equal(digest(&SHA1_FOR_LEGACY_USE_ONLY, &salted).as_ref(), wanted)
            }
            Self::Plain(wanted) => is_equal(password, wanted.as_bytes()),
            Self::Unknown => false,
        }
    }

    /// Tells hashes apart.
    pub(super) fn identity(&self) -> &[u8] {
        match self {
            Self::Bcrypt(text) | Self::ShaCrypt(text) | Self::Plain(text) => text.as_bytes(),
            Self::Md5Crypt { hash, .. } => hash.as_bytes(),
            Self::Sha1 { digest, .. } => digest,
            Self::Unknown => b"",
        }
    }
}

fn is_equal(a: &[u8], b: &[u8]) -> bool {
    verify_slices_are_equal(a, b).is_ok()
}

/// Poul-Henning Kamp's MD5 crypt; Apache's variant has another `magic`.
fn md5_crypt(password: &[u8], salt: &[u8], magic: &[u8]) -> String {
    let mut mixed = Md5::digest([password, salt, password].concat());
    let mut first = Md5::new();
    first.update(password);
    first.update(magic);
    first.update(salt);
    let mut left = password.len();
    while left > 0 {
        first.update(&mixed[..left.min(16)]);
        left = left.saturating_sub(16);
    }
    let mut bits = password.len();
    while bits > 0 {
        match password.first() {
            Some(byte) if bits & 1 == 0 => first.update([*byte]),
            _ => first.update([0]),
        }
        bits >>= 1;
    }
    mixed = first.finalize();
    for round in 0..1000 {
        let mut next = Md5::new();
        let odd = round % 2 == 1;
        next.update(if odd { password } else { &mixed });
        if round % 3 != 0 {
            next.update(salt);
        }
        if round % 7 != 0 {
            next.update(password);
        }
        next.update(if odd { &mixed } else { password });
        mixed = next.finalize();
    }
    encode(&mixed)
}

/// The order of bytes and the alphabet of MD5 crypt.
fn encode(digest: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"./0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
    let mut text = String::with_capacity(22);
    let mut push = |mut bits: u32, count| {
        for _ in 0..count {
            text.push(DIGITS[(bits & 0x3F) as usize].into());
            bits >>= 6;
        }
    };
    let byte = |at: usize| u32::from(digest[at]);
    for (a, b, c) in [(0, 6, 12), (1, 7, 13), (2, 8, 14), (3, 9, 15), (4, 10, 5)] {
        push(byte(a) << 16 | byte(b) << 8 | byte(c), 4);
    }
    push(byte(11), 2);
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `htpasswd` and `openssl passwd` made these.
    #[test]
    fn knows_the_kinds_of_htpasswd() {
        for (hash, password) in [
            ("$apr1$abcdefgh$h9FWgUz3n9YxylKLlR5SQ/", "secret"),
            (
                "$apr1$ab$ZgbyBttfAvWjwKDroS41O1",
                "a much longer password than sixteen bytes",
            ),
            ("$1$xy$mkJt1Ht8AivD6sawHd.Cf1", "secret"),
            (
                "$5$saltsalt$0IyaXrmV7.sGNS6tirgqHLqX/G.FBvgkYA.lpPdS5sA",
                "secret",
            ),
            (
                "$6$saltsalt$rVIyJtXnL0mXUCLepstXWqeOv9JVyd7nOH8wn0BvOU5lCiAviUJLxXZ5CkPgq6XNTHV22yG4mV0IO9gqPL5WQ.",
                "p\u{e4}ssword",
            ),
            (
                "$2b$04$abcdefghijklmnopqrstuu2r9OfJnfCsdneAXAGHnS4UpFFP8WIrW",
                "secret",
            ),
            (
                "$2y$04$abcdefghijklmnopqrstuu2r9OfJnfCsdneAXAGHnS4UpFFP8WIrW",
                "secret",
            ),
            ("{SHA}5en6G6MezRroT3XKqkdPOmY/BfQ=", "secret"),
            ("{SSHA}gVK8WC9YyFT1gMsQHTGCgT3sSv5zYWx0", "secret"),
            ("{PLAIN}secret", "secret"),
        ] {
            let parsed = Hash::parse(hash);
            assert!(parsed.matches(password.as_bytes()), "{hash}");
            assert!(!parsed.matches(b"wrong"), "{hash}");
            assert!(!parsed.matches(b""), "{hash}");
        }
    }

    #[test]
    fn nothing_matches_what_is_unknown_or_too_costly() {
        for hash in [
            "",
            "secret",
            "rl0uE0BnTK8jw",
            "$2y$31$abcdefghijklmnopqrstuuIs2Jm5mNOQpRSTUVWXYZabcdefghijk",
            "$2y$10$short",
            "$6$rounds=999999999$salt$x",
            "$apr1$salt",
            "{SHA}short",
            "$9$x$y",
        ] {
            let parsed = Hash::parse(hash);
            for password in ["", "secret", hash] {
                assert!(!parsed.matches(password.as_bytes()), "{hash}");
            }
        }
    }
}
