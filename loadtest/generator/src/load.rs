//! Clients side by side: each makes one exchange after the other, as fast as they
//! are answered or at a fixed rate, until the time is over.

use std::fmt::Display;
use std::io;
use std::time::Duration;

use anyhow::Result;
use tokio::time::{Instant, timeout};

use crate::report::Report;
use crate::timer::Timer;

/// How long an answer is waited for.
const PATIENCE: Duration = Duration::from_secs(10);

/// Something that asks and is answered.
pub(crate) trait Client: Send + 'static {
    /// Asks once, and reads the whole answer.
    fn exchange(&mut self) -> impl Future<Output = Result<(), Failure>> + Send;
}

/// Why an exchange failed.
#[derive(Debug)]
pub(crate) enum Failure {
    /// An answer, but not the right one.
    Answer(String),
    /// No whole answer.
    Socket(io::Error),
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        Self::Socket(error)
    }
}

/// How long, and how often.
#[derive(Clone, Copy)]
pub(crate) struct Pace {
    pub(crate) duration: Duration,
    /// Between two exchanges of one client; `None`: as soon as it is answered.
    pub(crate) interval: Option<Duration>,
}

/// Runs all clients; they come back with what they counted themselves.
pub(crate) async fn run<C: Client>(clients: Vec<C>, pace: Pace) -> Result<(Report, Vec<C>)> {
    let count = u32::try_from(clients.len())?;
    let start = Instant::now();
    let tasks: Vec<_> = (0..)
        .zip(clients)
        .map(|(number, mut client)| {
            // Not all at the same moment.
            let first = start + pace.interval.unwrap_or_default() * number / count;
            tokio::spawn(async move {
                let report = one(&mut client, first, start + pace.duration, pace.interval).await;
                (report, client)
            })
        })
        .collect();
    let (mut report, mut clients) = (Report::default(), Vec::new());
    for task in tasks {
        let (part, client) = task.await?;
        report.add(part?);
        clients.push(client);
    }
    report.seconds = start.elapsed().as_secs_f64();
    Ok((report, clients))
}

/// One client until the end, or until its first failure. At a fixed rate an exchange
/// begins when it was due, whatever kept it waiting: what an answer delays is late too.
async fn one(
    client: &mut impl Client,
    first: Instant,
    end: Instant,
    interval: Option<Duration>,
) -> io::Result<Report> {
    let (mut report, mut due, timer) = (Report::default(), first, Timer::new()?);
    loop {
        let start = match interval {
            Some(interval) => {
                timer.until(due.min(end)).await?;
                let start = due;
                due += interval;
                start
            }
            None => Instant::now(),
        };
        if start >= end {
            return Ok(report);
        }
        let failure = match timeout(PATIENCE, client.exchange()).await {
            Ok(Ok(())) => {
                report.answered(start.elapsed());
                continue;
            }
            Ok(Err(Failure::Answer(text))) => failed(report, |report| &mut report.wrong, &text),
            Ok(Err(Failure::Socket(error))) => failed(report, |report| &mut report.broken, &error),
            Err(error) => failed(report, |report| &mut report.late, &error),
        };
        return Ok(failure);
    }
}

fn failed(mut report: Report, counter: impl Fn(&mut Report) -> &mut u64, why: &dyn Display) -> Report {
    *counter(&mut report) += 1;
    report.failure = Some(why.to_string());
    report
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Answers at once, or after a while the first time, and fails the last time.
    struct Fake {
        slow: Option<Duration>,
        left: u32,
    }

    impl Client for Fake {
        async fn exchange(&mut self) -> Result<(), Failure> {
            if let Some(slow) = self.slow.take() {
                tokio::time::sleep(slow).await;
            }
            self.left = self
                .left
                .checked_sub(1)
                .ok_or_else(|| Failure::Answer("no".to_owned()))?;
            // What costs no time would never end.
            tokio::time::sleep(Duration::from_millis(1)).await;
            Ok(())
        }
    }

    fn pace(interval: Option<u64>) -> Pace {
        Pace {
            duration: Duration::from_secs(1),
            interval: interval.map(Duration::from_millis),
        }
    }

    fn fake(slow: Option<u64>, left: u32) -> Fake {
        Fake {
            slow: slow.map(Duration::from_millis),
            left,
        }
    }

    // In real time, for the kernel's timers know no other.
    #[tokio::test]
    async fn a_rate_is_kept_and_lateness_counts_against_what_waited() {
        let (mut report, _) = run(vec![fake(None, 1000), fake(None, 1000)], pace(Some(100)))
            .await
            .unwrap();
        assert_eq!(report.micros.len(), 20);
        report.micros.sort_unstable();
        assert!(report.micros[10] < 50_000, "{:?}", report.micros);
        let (report, _) = run(vec![fake(Some(350), 1000)], pace(Some(100))).await.unwrap();
        assert_eq!(report.micros.len(), 10);
        let late = report.micros.iter().filter(|micros| **micros > 49_000).count();
        assert!(
            late >= 4,
            "those due at 0, 100, 200 and 300 ms: {:?}",
            report.micros
        );
    }

    #[tokio::test(start_paused = true)]
    async fn failures_are_counted_and_end_a_client() {
        let (report, clients) = run(vec![fake(None, 3), fake(Some(20_000), 3)], pace(None))
            .await
            .unwrap();
        assert_eq!((report.micros.len(), report.wrong, report.late), (3, 1, 1));
        assert!(report.failure.is_some());
        assert_eq!(clients.len(), 2);
    }
}
