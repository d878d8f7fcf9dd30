//! How many requests each connection of Pingora's pool has served
//! (`upstream-keepalive-requests`), which Pingora does not count.

use std::collections::HashMap;
use std::os::unix::io::RawFd;
use std::time::SystemTime;

use parking_lot::Mutex;

/// Descriptors beyond this many share locks.
const LOCKS: usize = 64;

/// Requests by connection. What is known of a closed one stays until its
/// descriptor is another's: there are never more entries than open files.
pub(super) struct Served([Mutex<HashMap<RawFd, Count>>; LOCKS]);

struct Count {
    /// Tells connections apart that have had the same descriptor.
    made: SystemTime,
    requests: u32,
}

impl Served {
    pub(super) fn new() -> Self {
        Self(std::array::from_fn(|_| Mutex::default()))
    }

    /// Counts a request; how many it is with that.
    pub(super) fn count(&self, descriptor: RawFd, made: SystemTime) -> u32 {
        let shard = descriptor.unsigned_abs() as usize % LOCKS;
        let mut counts = self.0[shard].lock();
        let count = counts.entry(descriptor).or_insert(Count { made, requests: 0 });
        if count.made != made {
            *count = Count { made, requests: 0 };
        }
        count.requests = count.requests.saturating_add(1);
        count.requests
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_descriptor_that_is_another_connections_begins_anew() {
        let served = Served::new();
        let made = SystemTime::UNIX_EPOCH;
        assert_eq!([1, 2, 3].map(|_| served.count(7, made)), [1, 2, 3]);
        assert_eq!(served.count(7 + LOCKS as RawFd, made), 1);
        let later = made + Duration::from_secs(1);
        assert_eq!([1, 2].map(|_| served.count(7, later)), [1, 2]);
    }
}
