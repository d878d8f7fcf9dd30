//! Passwords that were verified a moment ago: a client that sends its own with
//! every request must not cost a bcrypt each time.

use std::collections::HashMap;

use aws_lc_rs::hmac;
use aws_lc_rs::rand::SystemRandom;
use parking_lot::Mutex;

use super::Verification;

/// Pairs of hash and password in each of the two generations.
const CAPACITY: usize = 4096;
const SHARDS: usize = 8;

/// Outcomes of verifications, wrong passwords too. Holds no password, only
/// digests under a key of this process.
pub struct Verified {
    key: hmac::Key,
    shards: [Mutex<Generations>; SHARDS],
}

/// Entries that are not used while the newer generation fills are forgotten.
#[derive(Default)]
struct Generations {
    new: HashMap<[u8; 32], bool>,
    old: HashMap<[u8; 32], bool>,
}

/// A verification's place in [`Verified`].
#[derive(Clone, Copy)]
pub struct Ticket([u8; 32]);

impl Verified {
    /// Empty. `None` when the system has no randomness.
    pub fn new() -> Option<Self> {
        Some(Self {
            key: hmac::Key::generate(hmac::HMAC_SHA256, &SystemRandom::new()).ok()?,
            shards: Default::default(),
        })
    }

    /// Where a verification's outcome is, or goes.
    pub fn ticket(&self, verification: &Verification) -> Ticket {
        let mut context = hmac::Context::with_key(&self.key);
        let identity = verification.hash.identity();
        context.update(&(identity.len() as u64).to_le_bytes());
        context.update(identity);
        context.update(&verification.password);
        let mut digest = [0; 32];
        digest.copy_from_slice(context.sign().as_ref());
        Ticket(digest)
    }

    /// What came out of it, if that is known.
    pub fn outcome(&self, ticket: Ticket) -> Option<bool> {
        let mut shard = self.shard(ticket).lock();
        if let Some(outcome) = shard.new.get(&ticket.0) {
            return Some(*outcome);
        }
        let outcome = shard.old.remove(&ticket.0)?;
        shard.insert(ticket, outcome);
        Some(outcome)
    }

    /// Remembers what came out.
    pub fn remember(&self, ticket: Ticket, outcome: bool) {
        self.shard(ticket).lock().insert(ticket, outcome);
    }

    fn shard(&self, ticket: Ticket) -> &Mutex<Generations> {
        &self.shards[usize::from(ticket.0[0]) % SHARDS]
    }
}

impl Generations {
    fn insert(&mut self, ticket: Ticket, outcome: bool) {
        if self.new.len() >= CAPACITY / SHARDS {
            self.old = std::mem::take(&mut self.new);
        }
        self.new.insert(ticket.0, outcome);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::super::hash::Hash;
    use super::*;

    fn verification(password: &str) -> Verification {
        Verification {
            hash: Arc::new(Hash::parse("{PLAIN}a")),
            password: password.into(),
        }
    }

    #[test]
    fn outcomes_are_remembered_and_memory_is_bounded() {
        let verified = Verified::new().unwrap();
        let ticket = verified.ticket(&verification("a"));
        assert_eq!(verified.outcome(ticket), None);
        verified.remember(ticket, true);
        assert_eq!(verified.outcome(ticket), Some(true));
        assert_eq!(verified.outcome(verified.ticket(&verification("b"))), None);
        for number in 0..10 * CAPACITY {
            let other = verified.ticket(&verification(&number.to_string()));
            verified.remember(other, false);
            // In use, it stays.
            assert_eq!(verified.outcome(ticket), Some(true));
        }
        let held = verified.shards.iter().map(|shard| {
            let shard = shard.lock();
            shard.new.len() + shard.old.len()
        });
        assert!(held.sum::<usize>() <= 2 * CAPACITY);
    }
}
