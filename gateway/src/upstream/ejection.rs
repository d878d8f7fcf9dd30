//! Passive ejection: an endpoint that refuses connections again and again is
//! left out for a while.
//!
//! ingress-nginx has none (it sets `max_fails=0`): a dead pod keeps costing its
//! share of requests a failed connection, or five seconds of waiting, until
//! Kubernetes notices. Ours differs only where it is safe: only connections
//! that never came about count (no request was sent, and a slow or broken
//! application is none of it), one success forgets everything, and when every
//! endpoint is ejected all are used as if none were.

use std::sync::atomic::Ordering::Relaxed;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64};
use std::time::Duration;

/// Failed connections in a row that eject: more than the three tries of one
/// request, so that one unlucky client cannot eject alone.
pub(super) const CONSECUTIVE_FAILURES: u32 = 5;

/// The first ejection; each further one without a success between takes twice
/// as long.
pub(super) const FIRST_EJECTION: Duration = Duration::from_secs(2);

/// The longest ejection, so that a pod that comes back is found soon.
pub(super) const LONGEST_EJECTION: Duration = Duration::from_secs(30);

/// The passive verdict on one endpoint.
#[derive(Default)]
pub(super) struct Ejection {
    /// Failed connections since the last success.
    failures: AtomicU32,
    /// Ejections since the last success.
    ejections: AtomicU32,
    /// Millisecond of the clock at which a probe may go; 0: not ejected.
    until: AtomicU64,
    /// Whether a probe is under way.
    probing: AtomicBool,
}

impl Ejection {
    /// Whether a request may go: not ejected, or time for a probe. `now` is
    /// asked only of an ejected endpoint.
    pub(super) fn allows(&self, now: impl Fn() -> u64) -> bool {
        match self.until.load(Relaxed) {
            0 => true,
            until => now() >= until,
        }
    }

    /// Claims what [`Ejection::allows`] allowed. When an ejection has run out,
    /// one caller is the probe; the others stay out for the same time again,
    /// which also covers a probe that never reports.
    pub(super) fn admit(&self, now: impl Fn() -> u64) -> bool {
        let until = self.until.load(Relaxed);
        if until == 0 {
            return true;
        }
        let now = now();
        let next = now + millis(duration(self.ejections.load(Relaxed)));
        if now < until
            || self
                .until
                .compare_exchange(until, next, Relaxed, Relaxed)
                .is_err()
        {
            return false;
        }
        self.probing.store(true, Relaxed);
        true
    }

    /// Counts a connection that did not come about. `Some`: the endpoint is out
    /// for this long from now.
    pub(super) fn connect_failed(&self, now: u64) -> Option<Duration> {
        let failures = self.failures.fetch_add(1, Relaxed) + 1;
        let until = self.until.load(Relaxed);
        // While ejected only a probe tells something new; the rest were under
        // way when it began, or had nowhere else to go.
        let news = if until == 0 {
            failures >= CONSECUTIVE_FAILURES
        } else {
            self.probing.swap(false, Relaxed)
        };
        if !news {
            return None;
        }
        let time = duration(self.ejections.load(Relaxed) + 1);
        self.until
            .compare_exchange(until, now + millis(time), Relaxed, Relaxed)
            .ok()?;
        self.ejections.fetch_add(1, Relaxed);
        Some(time)
    }

    /// Forgets everything; `true` if the endpoint was ejected.
    pub(super) fn succeeded(&self) -> bool {
        // The common case reads only: a store would bounce the cache line
        // between the threads that use this endpoint.
        if self.failures.load(Relaxed) == 0 && self.until.load(Relaxed) == 0 {
            return false;
        }
        self.failures.store(0, Relaxed);
        self.ejections.store(0, Relaxed);
        self.probing.store(false, Relaxed);
        self.until.swap(0, Relaxed) != 0
    }

    /// Time until a probe may go; `None` if not ejected.
    pub(super) fn remaining(&self, now: u64) -> Option<Duration> {
        match self.until.load(Relaxed) {
            0 => None,
            until => Some(Duration::from_millis(until.saturating_sub(now))),
        }
    }

    /// Failed connections since the last success.
    pub(super) fn failures(&self) -> u32 {
        self.failures.load(Relaxed)
    }
}

/// How long the nth ejection in a row lasts.
fn duration(nth: u32) -> Duration {
    let doublings = nth.saturating_sub(1).min(16);
    (FIRST_EJECTION * (1 << doublings)).min(LONGEST_EJECTION)
}

fn millis(time: Duration) -> u64 {
    time.as_millis() as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ejected_at(now: u64) -> Ejection {
        let ejection = Ejection::default();
        for _ in 1..CONSECUTIVE_FAILURES {
            assert_eq!(ejection.connect_failed(now), None);
        }
        assert_eq!(ejection.connect_failed(now), Some(FIRST_EJECTION));
        ejection
    }

    #[test]
    fn only_failures_in_a_row_eject() {
        let ejection = Ejection::default();
        for _ in 0..3 {
            for _ in 1..CONSECUTIVE_FAILURES {
                assert_eq!(ejection.connect_failed(1), None);
            }
            assert!(!ejection.succeeded());
        }
        assert!(ejection.allows(|| 1));
    }

    #[test]
    fn one_probe_passes_when_the_time_is_over() {
        let ejection = ejected_at(1000);
        assert!(!ejection.allows(|| 2999));
        assert!(!ejection.admit(|| 2999));
        assert!(ejection.allows(|| 3000));
        assert!(ejection.admit(|| 3000));
        assert!(!ejection.admit(|| 3000), "a second request is no probe");
        assert!(!ejection.allows(|| 4999));
        assert!(
            ejection.allows(|| 5000),
            "a probe that never reports must not end probing"
        );
    }

    #[test]
    fn each_ejection_is_twice_as_long_up_to_the_longest() {
        let ejection = ejected_at(1);
        let mut now = 1;
        for expected in [4, 8, 16, 30, 30] {
            now += 60_000;
            assert!(ejection.admit(|| now));
            assert_eq!(ejection.connect_failed(now), Some(Duration::from_secs(expected)));
        }
    }

    #[test]
    fn failures_under_way_when_ejected_change_nothing() {
        let ejection = ejected_at(1000);
        for _ in 0..20 {
            assert_eq!(ejection.connect_failed(1500), None);
        }
        assert!(ejection.allows(|| 3000));
    }

    #[test]
    fn a_success_readmits_and_forgets() {
        let ejection = ejected_at(1000);
        assert!(ejection.succeeded());
        assert!(ejection.allows(|| 1001));
        assert_eq!(ejection.connect_failed(1002), None);
        assert_eq!(ejected_at(1).remaining(1001), Some(Duration::from_secs(1)));
    }
}
