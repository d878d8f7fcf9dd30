//! When to translate: at once, but never for more than a third of the time.
//! Changes that come while it rests are translated together.

use std::time::Duration;

use tokio::time::Instant;

/// How many times as long as it took it rests.
const REST: u32 = 2;
/// A burst of changes to a few objects is one.
const LEAST: Duration = Duration::from_millis(5);
/// No change waits longer than this.
const CEILING: Duration = Duration::from_millis(500);

/// The state of one debounced action.
#[derive(Debug, Default)]
pub(super) struct Debounce {
    /// Until when it rests.
    rests: Option<Instant>,
    /// A change that waits.
    pending: Option<Pending>,
}

#[derive(Debug)]
struct Pending {
    due: Instant,
    /// The oldest change's arrival in the process.
    arrived: std::time::Instant,
}

impl Debounce {
    /// Something changed now; it arrived in the process at `arrived`.
    pub(super) fn touch(&mut self, arrived: std::time::Instant, now: Instant) {
        let due = self.rests.map_or(now, |rests| rests.max(now));
        let pending = self.pending.get_or_insert(Pending { due, arrived });
        pending.arrived = pending.arrived.min(arrived);
    }

    /// Makes it due now.
    pub(super) fn force(&mut self, arrived: std::time::Instant, now: Instant) {
        let pending = self.pending.get_or_insert(Pending { due: now, arrived });
        pending.due = now;
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

    /// It was done, and took so long.
    pub(super) fn done(&mut self, took: Duration, now: Instant) {
        self.rests = Some(now + (REST * took).clamp(LEAST, CEILING));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TOOK: Duration = Duration::from_millis(10);

    /// A debounce whose action was done at the returned time.
    fn after(took: Duration) -> (Debounce, Instant) {
        let mut debounce = Debounce::default();
        let now = Instant::now();
        touch(&mut debounce, now);
        debounce.take();
        debounce.done(took, now);
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
    fn the_next_waits_until_it_has_rested() {
        let (mut debounce, now) = after(TOOK);
        touch(&mut debounce, now);
        touch(&mut debounce, now + TOOK);
        assert!(!debounce.is_due(now + TOOK));
        assert!(debounce.is_due(now + REST * TOOK));
    }

    #[test]
    fn the_rest_has_bounds() {
        for (took, rest) in [(Duration::ZERO, LEAST), (CEILING, CEILING)] {
            let (mut debounce, now) = after(took);
            touch(&mut debounce, now);
            assert!(!debounce.is_due(now + rest - Duration::from_millis(1)));
            assert!(debounce.is_due(now + rest));
        }
    }

    #[test]
    fn rested_it_is_at_once_again() {
        let (mut debounce, now) = after(TOOK);
        touch(&mut debounce, now + REST * TOOK);
        assert!(debounce.is_due(now + REST * TOOK));
    }

    #[test]
    fn what_is_forced_is_due_without_a_change() {
        let (mut debounce, now) = after(TOOK);
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
