use std::collections::BTreeMap;
use std::fmt;

use serde::{Serialize, Serializer};

/// Digest authentication (RFC 7616 with MD5, nginx `auth_digest`).
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct DigestAuth {
    /// `auth-realm`.
    pub realm: Box<str>,
    /// Who may come in.
    pub users: DigestUsers,
    /// What replicas share and clients do not know, so that all of them take
    /// each other's nonces. `None`: each has a secret of its own.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub seed: Option<Seed>,
}

/// The users of one realm: MD5 of `user:realm:password` by name, in lower-case
/// hexadecimal digits. Shows only how many there are.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct DigestUsers(BTreeMap<Box<str>, Box<str>>);

impl DigestUsers {
    /// Reads an htdigest file: `user:realm:hash` lines; those of other realms,
    /// others, comments and empty lines do not count. Of two lines for a user
    /// the first holds.
    pub fn parse(file: &str, realm: &str) -> Self {
        let mut users = Self::default();
        for line in file.lines().filter(|line| !line.starts_with('#')) {
            if let Some((user, rest)) = line.split_once(':') {
                users.insert(user, rest, realm);
            }
        }
        users
    }

    /// One user more, with `realm:hash`; not one of another realm, and a user
    /// who is there already stays.
    pub fn insert(&mut self, user: &str, rest: &str, realm: &str) {
        // A realm may hold colons, a hash never.
        let Some((of, hash)) = rest.trim_end().rsplit_once(':') else {
            return;
        };
        let is_hash = hash.len() == 32 && hash.bytes().all(|byte| byte.is_ascii_hexdigit());
        if of == realm && is_hash {
            let hash = hash.to_ascii_lowercase();
            self.0.entry(user.into()).or_insert_with(|| hash.into());
        }
    }

    /// The hash of a user.
    pub fn hash(&self, user: &str) -> Option<&str> {
        self.0.get(user).map(|hash| &**hash)
    }

    /// Whether there are none, and nobody can come in.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// User names and hashes, sorted.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(user, hash)| (&**user, &**hash))
    }
}

impl fmt::Debug for DigestUsers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "DigestUsers({} redacted)", self.0.len())
    }
}

impl Serialize for DigestUsers {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&format_args!("{self:?}"))
    }
}

/// A text that nobody outside of the cluster knows; never shown.
#[derive(Clone, PartialEq, Eq)]
pub struct Seed(pub Box<str>);

impl fmt::Debug for Seed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("redacted")
    }
}

impl Serialize for Seed {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&format_args!("{self:?}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HASH: &str = "939e7578ed9e3c518a452acee763bce9";

    #[test]
    fn reads_htdigest_lines_of_one_realm_and_shows_none() {
        let file = format!(
            "# team\njoe:area:{}\nann:other:{HASH}\n\nbob:area:short\njoe:area:{}\neve:a:b:{HASH}\r\n",
            HASH.to_ascii_uppercase(),
            "0".repeat(32)
        );
        let users = DigestUsers::parse(&file, "area");
        assert_eq!(users.hash("joe"), Some(HASH));
        assert_eq!(users.iter().count(), 1);
        assert_eq!(format!("{users:?}"), "DigestUsers(1 redacted)");
        assert_eq!(DigestUsers::parse(&file, "a:b").hash("eve"), Some(HASH));
        assert!(DigestUsers::parse(&file, "").is_empty());
    }
}
