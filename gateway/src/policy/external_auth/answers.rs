//! Answers of authentication services that are remembered.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use aws_lc_rs::digest::{Context, SHA256};
use parking_lot::Mutex;

use super::Heard;

/// Answers in each of the two generations.
const CAPACITY: usize = 8192;
const SHARDS: usize = 8;

/// All remembered answers of a process.
#[derive(Default)]
pub struct Answers {
    shards: [Mutex<Generations>; SHARDS],
}

/// What is not used while the newer generation fills is forgotten.
#[derive(Default)]
struct Generations {
    new: HashMap<[u8; 32], Entry>,
    old: HashMap<[u8; 32], Entry>,
}

#[derive(Clone)]
struct Entry {
    heard: Arc<Heard>,
    until: Instant,
}

/// The place of an answer: equal for requests that need not be asked about
/// twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ticket([u8; 32]);

impl Ticket {
    pub(super) fn new(parts: &[&[u8]]) -> Self {
        let mut context = Context::new(&SHA256);
        for part in parts {
            // With lengths, or two lists of parts could be the same bytes.
            context.update(&(part.len() as u64).to_le_bytes());
            context.update(part);
        }
        let mut digest = [0; 32];
        digest.copy_from_slice(context.finish().as_ref());
        Self(digest)
    }
}

impl Answers {
    /// The answer, while it holds.
    pub fn recall(&self, ticket: Ticket) -> Option<Arc<Heard>> {
        let mut shard = self.shard(ticket).lock();
        let (entry, is_old) = match shard.new.get(&ticket.0) {
            Some(entry) => (entry.clone(), false),
            None => (shard.old.remove(&ticket.0)?, true),
        };
        if entry.until <= Instant::now() {
            shard.new.remove(&ticket.0);
            return None;
        }
        if is_old {
            shard.insert(ticket, entry.clone());
        }
        Some(entry.heard)
    }

    /// Remembers an answer for some time.
    pub fn remember(&self, ticket: Ticket, heard: Arc<Heard>, lifetime: Duration) {
        let Some(until) = Instant::now().checked_add(lifetime) else {
            return;
        };
        self.shard(ticket).lock().insert(ticket, Entry { heard, until });
    }

    fn shard(&self, ticket: Ticket) -> &Mutex<Generations> {
        &self.shards[usize::from(ticket.0[0]) % SHARDS]
    }
}

impl Generations {
    fn insert(&mut self, ticket: Ticket, entry: Entry) {
        if self.new.len() >= CAPACITY / SHARDS {
            self.old = std::mem::take(&mut self.new);
        }
        self.new.insert(ticket.0, entry);
    }
}
