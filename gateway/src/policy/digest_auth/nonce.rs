//! Nonces without memory: a time and a random number under a keyed hash, so
//! that every replica that has the key takes what another one has made.

use std::sync::LazyLock;
use std::time::{SystemTime, UNIX_EPOCH};

use aws_lc_rs::constant_time::verify_slices_are_equal;
use aws_lc_rs::hmac;
use tidegate_snapshot::policy;

use super::hexadecimal;

/// Seconds from making a nonce to its last use (`auth_digest_timeout`).
const LIFE: u64 = 60;
/// Digits of the time and the random number, and of the whole nonce: half of
/// the hash is enough.
const STAMP: usize = 32;
const LENGTH: usize = 64;

/// Makes nonces and knows its own.
pub(super) struct Nonces {
    key: hmac::Key,
}

impl Nonces {
    /// The key depends on the users, so that a changed password ends nonces,
    /// too. It never depends on them alone: with nothing in it that clients
    /// cannot know, a nonce would tell anybody whether a guessed password is
    /// right.
    pub(super) fn new(spec: &policy::DigestAuth) -> Self {
        static OWN: LazyLock<[u8; 32]> = LazyLock::new(rand::random);
        let secret = match &spec.seed {
            Some(seed) => seed.0.as_bytes(),
            None => &OWN[..],
        };
        let mut context = hmac::Context::with_key(&hmac::Key::new(hmac::HMAC_SHA256, secret));
        let mut add = |text: &str| {
            context.update(&(text.len() as u64).to_le_bytes());
            context.update(text.as_bytes());
        };
        add("digest nonce");
        add(&spec.realm);
        for (user, hash) in spec.users.iter() {
            add(user);
            add(hash);
        }
        let key = context.sign();
        Self {
            key: hmac::Key::new(hmac::HMAC_SHA256, key.as_ref()),
        }
    }

    pub(super) fn make(&self, now: SystemTime) -> String {
        let mut nonce = format!("{:016x}{:016x}", seconds(now), rand::random::<u64>());
        nonce += &self.seal(&nonce);
        nonce
    }

    /// Whether it is one of ours, and not too old.
    pub(super) fn is_fresh(&self, nonce: &str, now: SystemTime) -> bool {
        if nonce.len() != LENGTH || !nonce.is_ascii() {
            return false;
        }
        let (stamp, seal) = nonce.split_at(STAMP);
        let is_ours = verify_slices_are_equal(self.seal(stamp).as_bytes(), seal.as_bytes()).is_ok();
        let made = u64::from_str_radix(&stamp[..STAMP / 2], 16).unwrap_or_default();
        // Clocks of replicas differ.
        is_ours && seconds(now).abs_diff(made) <= LIFE
    }

    fn seal(&self, stamp: &str) -> String {
        let tag = hmac::sign(&self.key, stamp.as_bytes());
        hexadecimal(&tag.as_ref()[..(LENGTH - STAMP) / 2])
    }
}

fn seconds(time: SystemTime) -> u64 {
    time.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs()
}
