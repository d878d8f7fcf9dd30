//! Basic authentication (RFC 7617; nginx `auth_basic`).

mod hash;
mod verified;

use std::collections::HashMap;
use std::sync::Arc;

use http::{HeaderValue, StatusCode};
use tidegate_snapshot::policy;

use super::Reply;
use super::access::Verdict;
use crate::request::credentials;
use hash::Hash;
pub use verified::Verified;

/// The users of a route.
pub struct BasicAuth {
    challenge: HeaderValue,
    users: HashMap<Box<str>, Arc<Hash>>,
}

/// What is known of a request's credentials at once.
pub enum Check {
    /// This is the verdict.
    Done(Verdict),
    /// [`Verification::run`] will tell, which takes long.
    Verify(Verification),
}

/// A password and the hash that it must have.
pub struct Verification {
    hash: Arc<Hash>,
    password: Vec<u8>,
}

impl BasicAuth {
    pub(super) fn new(spec: &policy::BasicAuth) -> Self {
        let challenge = format!("Basic realm=\"{}\"", spec.realm);
        let users = spec.users.iter();
        Self {
            challenge: HeaderValue::try_from(challenge)
                .unwrap_or(HeaderValue::from_static("Basic realm=\"\"")),
            users: users
                .map(|(user, hash)| (user.into(), Arc::new(Hash::parse(hash))))
                .collect(),
        }
    }

    /// Looks at the value of `Authorization`.
    pub fn check(&self, authorization: Option<&[u8]>) -> Check {
        let Some((user, password)) = authorization.and_then(credentials::basic) else {
            return Check::Done(self.verdict(false));
        };
        let Some(hash) = str::from_utf8(&user).ok().and_then(|user| self.users.get(user)) else {
            return Check::Done(self.verdict(false));
        };
        let verification = Verification {
            hash: hash.clone(),
            password,
        };
        if hash.is_slow() {
            Check::Verify(verification)
        } else {
            Check::Done(self.verdict(verification.run()))
        }
    }

    /// 401 with a challenge unless the credentials are right.
    pub fn verdict(&self, right: bool) -> Verdict {
        if right {
            return Verdict::Granted;
        }
        let reply = Reply::status(StatusCode::UNAUTHORIZED);
        Verdict::Refused(reply.with(Reply::CHALLENGE, self.challenge.clone()))
    }
}

impl Verification {
    /// Hashes the password: up to a second of work, not for the event loop.
    pub fn run(&self) -> bool {
        self.hash.matches(&self.password)
    }
}

#[cfg(test)]
mod tests {
    use base64::Engine;
    use base64::engine::general_purpose::STANDARD;
    use tidegate_snapshot::policy::Users;

    use super::*;

    fn auth() -> BasicAuth {
        BasicAuth::new(&policy::BasicAuth {
            realm: "Team area".into(),
            users: Users::parse("joe:{SHA}pv2GBvjxKnVBICqTPkoqmG/ZwaE=\nann:$2y$04$zz"),
        })
    }

    fn granted(credentials: &str) -> bool {
        let value = format!("Basic {}", STANDARD.encode(credentials));
        match auth().check(Some(value.as_bytes())) {
            Check::Done(verdict) => verdict == Verdict::Granted,
            Check::Verify(verification) => verification.run(),
        }
    }

    #[test]
    fn right_credentials_come_in() {
        assert!(granted("joe:se:cret"));
        assert!(!granted("joe:secret"));
        assert!(!granted("Joe:se:cret"));
        assert!(!granted("joe"));
        assert!(!granted("ann:"), "a broken hash matches nothing");
    }

    #[test]
    fn anything_else_is_challenged() {
        let basic = STANDARD.encode("joe:se:cret");
        assert!(matches!(
            auth().check(Some(format!("bAsIc {basic}").as_bytes())),
            Check::Done(Verdict::Granted)
        ));
        for value in [
            None,
            Some(format!("Bearer {basic}")),
            Some("Basic".to_owned()),
            Some("Basic !!!".to_owned()),
            Some(format!("Basic {}", "A".repeat(5000))),
        ] {
            let Check::Done(Verdict::Refused(reply)) = auth().check(value.as_ref().map(String::as_bytes))
            else {
                panic!("{value:?}");
            };
            assert_eq!(reply.status, StatusCode::UNAUTHORIZED);
            assert_eq!(reply.fields[0].1, "Basic realm=\"Team area\"");
        }
    }
}
