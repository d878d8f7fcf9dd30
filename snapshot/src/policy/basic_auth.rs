use std::collections::BTreeMap;
use std::fmt;

use serde::{Serialize, Serializer};

/// Basic authentication (RFC 7617).
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct BasicAuth {
    /// `auth-realm`.
    pub realm: Box<str>,
    /// Who may come in.
    pub users: Users,
}

/// Password hashes by user name, in the forms of htpasswd files. Shows only how
/// many there are.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Users(BTreeMap<Box<str>, Box<str>>);

impl Users {
    /// Reads an htpasswd file: `user:hash` lines; others, comments and empty
    /// lines do not count. Of two lines for a user the first holds, as in nginx.
    pub fn parse(file: &str) -> Self {
        let mut users = BTreeMap::new();
        for line in file.lines() {
            let line = line.trim_end();
            if line.starts_with('#') {
                continue;
            }
            let Some((user, rest)) = line.split_once(':') else {
                continue;
            };
            // A third field is a comment.
            let hash = rest.split(':').next().unwrap_or(rest);
            users.entry(user.into()).or_insert_with(|| hash.into());
        }
        Self(users)
    }

    /// One user more; a user who is there already stays.
    pub fn insert(&mut self, user: &str, hash: &str) {
        self.0
            .entry(user.into())
            .or_insert_with(|| hash.trim_end().into());
    }

    /// The hash of a user's password.
    pub fn hash(&self, user: &str) -> Option<&str> {
        self.0.get(user).map(|hash| &**hash)
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.0.len()
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

impl fmt::Debug for Users {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Users({} redacted)", self.0.len())
    }
}

impl Serialize for Users {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&format_args!("{self:?}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_htpasswd_lines_and_shows_none() {
        let users = Users::parse("# team\nfoo:$apr1$x$y\n\nbad line\nbar:{SHA}abc=:comment\nfoo:second\r\n");
        assert_eq!(users.hash("foo"), Some("$apr1$x$y"));
        assert_eq!(users.hash("bar"), Some("{SHA}abc="));
        assert_eq!(users.len(), 2);
        assert_eq!(format!("{users:?}"), "Users(2 redacted)");
    }
}
