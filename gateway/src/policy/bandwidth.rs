//! How fast answers are sent (nginx `limit_rate`).

use std::time::Duration;

use tidegate_snapshot::policy;

/// A limit on the speed of an answer.
pub struct Bandwidth(policy::Bandwidth);

impl Bandwidth {
    pub(super) fn new(spec: &policy::Bandwidth) -> Self {
        Self(*spec)
    }

    /// How long to wait before more is sent, after so many bytes of the body in
    /// this time.
    pub fn pause(&self, sent: u64, elapsed: Duration) -> Option<Duration> {
        let counted = sent.saturating_sub(self.0.after);
        let due = u128::from(counted) * 1_000_000 / u128::from(self.0.rate.max(1));
        let due = Duration::from_micros(u64::try_from(due).unwrap_or(u64::MAX));
        due.checked_sub(elapsed).filter(|pause| !pause.is_zero())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_for_what_was_sent_too_early() {
        let bandwidth = Bandwidth::new(&policy::Bandwidth {
            rate: 1000,
            after: 500,
        });
        assert_eq!(bandwidth.pause(500, Duration::ZERO), None);
        assert_eq!(
            bandwidth.pause(1500, Duration::ZERO),
            Some(Duration::from_secs(1))
        );
        assert_eq!(
            bandwidth.pause(1500, Duration::from_millis(400)),
            Some(Duration::from_millis(600))
        );
        assert_eq!(bandwidth.pause(1500, Duration::from_secs(2)), None);
    }
}
