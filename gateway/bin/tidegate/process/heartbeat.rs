//! Whether a thread still does something: a task on its runtime says so every
//! second, and cannot while the thread hangs.

use std::convert::Infallible;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// Between two beats.
const PERIOD: Duration = Duration::from_secs(1);

/// Silence that counts as death: well beyond the longest translation.
const DEAD: Duration = Duration::from_secs(60);

/// The last sign of life.
pub(super) struct Heartbeat {
    start: Instant,
    /// Milliseconds after `start`.
    last: AtomicU64,
}

impl Heartbeat {
    pub(super) fn new() -> Self {
        Self {
            start: Instant::now(),
            last: AtomicU64::new(0),
        }
    }

    /// Beats for as long as it is polled.
    pub(super) async fn run(&self) -> Infallible {
        loop {
            self.last.store(self.now(), Ordering::Relaxed);
            tokio::time::sleep(PERIOD).await;
        }
    }

    /// # Errors
    /// For how long nothing was heard.
    pub(super) fn check(&self) -> Result<(), String> {
        self.check_at(self.now())
    }

    fn check_at(&self, now: u64) -> Result<(), String> {
        let silence = Duration::from_millis(now.saturating_sub(self.last.load(Ordering::Relaxed)));
        if silence < DEAD {
            return Ok(());
        }
        Err(format!(
            "the controller has done nothing for {} s",
            silence.as_secs()
        ))
    }

    fn now(&self) -> u64 {
        u64::try_from(self.start.elapsed().as_millis()).unwrap_or(u64::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn silence_is_noticed() {
        let heart = Heartbeat::new();
        assert_eq!(heart.check_at(59_999), Ok(()));
        assert!(heart.check_at(60_000).unwrap_err().contains("60 s"));
        heart.last.store(50_000, Ordering::Relaxed);
        assert_eq!(heart.check_at(60_000), Ok(()));
    }

    #[tokio::test(start_paused = true)]
    async fn it_beats_while_it_is_polled() {
        let heart = Heartbeat {
            start: Instant::now().checked_sub(Duration::from_secs(300)).unwrap(),
            last: AtomicU64::new(0),
        };
        assert!(heart.check().is_err());
        let _ = tokio::time::timeout(PERIOD, heart.run()).await;
        assert_eq!(heart.check(), Ok(()));
    }
}
