//! Digest authentication (RFC 7616 with MD5 and `qop=auth`; nginx's module
//! `auth_digest`).

mod credentials;
mod nonce;

use std::collections::HashMap;
use std::time::SystemTime;

use aws_lc_rs::constant_time::verify_slices_are_equal;
use http::header::AUTHORIZATION;
use http::{HeaderValue, StatusCode};
use md5::{Digest, Md5};
use tidegate_snapshot::policy;

use super::Reply;
use super::access::Verdict;
use crate::request::RequestView;
use credentials::Credentials;
use nonce::Nonces;

/// The users of a route, and the nonces that it hands out.
pub struct DigestAuth {
    realm: Box<str>,
    users: HashMap<Box<str>, Box<str>>,
    nonces: Nonces,
}

impl DigestAuth {
    pub(super) fn new(spec: &policy::DigestAuth) -> Self {
        let users = spec.users.iter();
        Self {
            realm: spec.realm.clone(),
            users: users.map(|(user, hash)| (user.into(), hash.into())).collect(),
            nonces: Nonces::new(spec),
        }
    }

    /// 401 with a challenge unless the request proves a password with one of
    /// our nonces. A right proof with another one is told to try again without
    /// asking its user (`stale=true`).
    pub fn check(&self, request: &dyn RequestView, now: SystemTime) -> Verdict {
        let given = request.header(&AUTHORIZATION).and_then(Credentials::parse);
        match given {
            Some(given) if self.proves(&given, request) => {
                if self.nonces.is_fresh(&given.nonce, now) {
                    Verdict::Granted
                } else {
                    self.challenge(now, true)
                }
            }
            _ => self.challenge(now, false),
        }
    }

    fn challenge(&self, now: SystemTime, stale: bool) -> Verdict {
        let value = format!(
            "Digest realm=\"{}\", qop=\"auth\", algorithm=MD5, nonce=\"{}\"{}",
            self.realm,
            self.nonces.make(now),
            if stale { ", stale=true" } else { "" }
        );
        // The realm holds neither quotes nor control characters.
        let value = HeaderValue::try_from(value).unwrap_or(HeaderValue::from_static("Digest"));
        Verdict::Refused(Reply::status(StatusCode::UNAUTHORIZED).with(Reply::CHALLENGE, value))
    }

    /// RFC 7616 §3.4.1.
    fn proves(&self, given: &Credentials, request: &dyn RequestView) -> bool {
        if given.realm != *self.realm || given.uri != request.uri() {
            return false;
        }
        let Some(user) = self.users.get(given.username.as_str()) else {
            return false;
        };
        let action = md5(&[request.method().as_str(), &given.uri]);
        let wanted = md5(&[user, &given.nonce, &given.nc, &given.cnonce, "auth", &action]);
        let response = given.response.to_ascii_lowercase();
        verify_slices_are_equal(wanted.as_bytes(), response.as_bytes()).is_ok()
    }
}

/// The hash of texts with colons between, in hexadecimal digits.
fn md5(texts: &[&str]) -> String {
    let mut hash = Md5::new();
    for (number, text) in texts.iter().enumerate() {
        if number > 0 {
            hash.update(b":");
        }
        hash.update(text);
    }
    hexadecimal(&hash.finalize())
}

fn hexadecimal(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let digits = bytes
        .iter()
        .flat_map(|byte| [DIGITS[usize::from(byte >> 4)], DIGITS[usize::from(byte & 0xF)]]);
    digits.map(char::from).collect()
}

#[cfg(test)]
mod tests;
