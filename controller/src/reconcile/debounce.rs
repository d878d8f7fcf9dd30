//! When to translate: at once after quiet, else after 50 ms of quiet, and after
//! 500 ms whatever happens.

use std::time::Duration;

use tokio::time::Instant;

/// A burst has ended when nothing has changed for this long.
const QUIET: Duration = Duration::from_millis(50);
/// No change waits longer than this.
const CEILING: Duration = Duration::from_millis(500);

/// The state of one debounced action.
#[derive(Debug, Default)]
pub(super) struct Debounce {
    /// The last change, done or not.
    last: Option<Instant>,
    /// A change that waits.
    pending: Option<Pending>,
}

#[derive(Debug)]
struct Pending {
    /// When it is done if nothing more comes.
    due: Instant,
    /// When it is done whatever comes.
    ceiling: Instant,
    /// The oldest change's arrival in the process.
    arrived: std::time::Instant,
}

impl Debounce {
    /// Something changed now; it arrived in the process at `arrived`.
    pub(super) fn touch(&mut self, arrived: std::time::Instant, now: Instant) {
        let calm = self.last.is_none_or(|last| now >= last + QUIET);
        self.last = Some(now);
        match &mut self.pending {
            Some(pending) => {
                pending.arrived = pending.arrived.min(arrived);
                // A first change that is due at once stays so.
                if pending.due > now {
                    pending.due = (now + QUIET).min(pending.ceiling);
                }
            }
            None => {
                self.pending = Some(Pending {
                    due: if calm { now } else { now + QUIET },
                    ceiling: now + CEILING,
                    arrived,
                });
            }
        }
    }

    /// Makes it due now.
    pub(super) fn force(&mut self, arrived: std::time::Instant, now: Instant) {
        let pending = self.pending.get_or_insert(Pending {
            due: now,
            ceiling: now,
            arrived,
        });
        pending.due = now;
        self.last = Some(now);
    }

    pub(super) fn is_due(&self, now: Instant) -> bool {
        self.pending.as_ref().is_some_and(|pending| pending.due <= now)
    }

    /// Ends when it is time; never while nothing waits.
    pub(super) async fn due(&self) {
        match &self.pending {
            Some(pending) => tokio::time::sleep_until(pending.due).await,
            None => std::future::pending().await,
        }
    }

    /// Takes what waits: the arrival of its oldest change.
    pub(super) fn take(&mut self) -> Option<std::time::Instant> {
        self.pending.take().map(|pending| pending.arrived)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A debounce with one change done at the returned time.
    fn after_a_change() -> (Debounce, Instant) {
        let mut debounce = Debounce::default();
        let now = Instant::now();
        touch(&mut debounce, now);
        debounce.take();
        (debounce, now)
    }

    fn touch(debounce: &mut Debounce, now: Instant) {
        debounce.touch(std::time::Instant::now(), now);
    }

    #[test]
    fn the_first_change_is_due_at_once() {
        let mut debounce = Debounce::default();
        let now = Instant::now();
        assert!(!debounce.is_due(now));
        touch(&mut debounce, now);
        touch(&mut debounce, now);
        assert!(debounce.is_due(now));
    }

    #[test]
    fn the_second_waits_for_quiet() {
        let (mut debounce, now) = after_a_change();
        touch(&mut debounce, now);
        assert!(!debounce.is_due(now));
        touch(&mut debounce, now + QUIET / 2);
        assert!(!debounce.is_due(now + QUIET));
        assert!(debounce.is_due(now + QUIET / 2 + QUIET));
    }

    #[test]
    fn a_burst_ends_at_the_ceiling() {
        let (mut debounce, start) = after_a_change();
        let mut now = start;
        touch(&mut debounce, now);
        while !debounce.is_due(now) {
            now += Duration::from_millis(20);
            touch(&mut debounce, now);
        }
        assert_eq!(now - start, CEILING);
    }

    #[test]
    fn after_quiet_it_is_at_once_again() {
        let (mut debounce, now) = after_a_change();
        touch(&mut debounce, now + QUIET);
        assert!(debounce.is_due(now + QUIET));
    }

    #[test]
    fn what_is_forced_is_due_without_a_change() {
        let (mut debounce, now) = after_a_change();
        debounce.force(std::time::Instant::now(), now);
        assert!(debounce.is_due(now));
    }

    #[test]
    fn the_oldest_arrival_counts() {
        let mut debounce = Debounce::default();
        let (old, now) = (std::time::Instant::now(), Instant::now());
        debounce.touch(old + Duration::from_secs(1), now);
        debounce.touch(old, now);
        assert_eq!(debounce.take(), Some(old));
        assert_eq!(debounce.take(), None);
    }
}
