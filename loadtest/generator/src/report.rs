//! What was counted, as a line of JSON with the names of `wrk/report.lua`.

use std::iter::Sum;
use std::time::Duration;

/// What one client or all of them saw.
#[derive(Default)]
pub(crate) struct Report {
    /// How long each answer took, in microseconds.
    pub(crate) micros: Vec<u32>,
    pub(crate) seconds: f64,
    /// Answers that were not the right ones, connections that broke, answers that never came.
    pub(crate) wrong: u64,
    pub(crate) broken: u64,
    pub(crate) late: u64,
    /// One of the failures, for the reader.
    pub(crate) failure: Option<String>,
    pub(crate) handshakes: Option<Handshakes>,
}

/// TLS handshakes of one client or all of them.
#[derive(Clone, Copy, Default)]
pub(crate) struct Handshakes {
    /// Clients that made any: the first of each cannot resume anything.
    pub(crate) clients: u64,
    pub(crate) all: u64,
    pub(crate) resumed: u64,
}

impl Sum for Handshakes {
    fn sum<I: Iterator<Item = Self>>(each: I) -> Self {
        each.fold(Self::default(), |sum, one| Self {
            clients: sum.clients + one.clients,
            all: sum.all + one.all,
            resumed: sum.resumed + one.resumed,
        })
    }
}

impl Handshakes {
    /// The part of those that could resume a session which did, if any could.
    fn share(self) -> Option<f64> {
        let able = self.all - self.clients;
        (able > 0).then(|| self.resumed as f64 / able as f64)
    }
}

impl Report {
    pub(crate) fn answered(&mut self, after: Duration) {
        self.micros
            .push(u32::try_from(after.as_micros()).unwrap_or(u32::MAX));
    }

    /// Adds what another client saw.
    pub(crate) fn add(&mut self, other: Self) {
        self.micros.extend(other.micros);
        self.wrong += other.wrong;
        self.broken += other.broken;
        self.late += other.late;
        self.failure = self.failure.take().or(other.failure);
    }

    /// Prints the line, and a failure as an explanation beside it.
    #[allow(clippy::print_stdout, clippy::print_stderr, reason = "a program's answer")]
    pub(crate) fn print(mut self) {
        if let Some(failure) = &self.failure {
            eprintln!("tidegate-load: the first failure: {failure}");
        }
        println!("{}", self.line());
    }

    fn line(&mut self) -> String {
        self.micros.sort_unstable();
        let requests = self.micros.len();
        let millis = |part: f64| {
            let at = (requests as f64 * part) as usize;
            let micros = self.micros.get(at).or(self.micros.last());
            f64::from(micros.copied().unwrap_or(0)) / 1000.0
        };
        let share = self.handshakes.and_then(Handshakes::share);
        let share = share.map_or_else(String::new, |share| format!(",\"resumed_share\":{share:.4}"));
        let handshakes = self.handshakes.map_or_else(String::new, |handshakes| {
            let Handshakes { all, resumed, .. } = handshakes;
            format!(",\"handshakes\":{all},\"resumed\":{resumed}{share}")
        });
        format!(
            "{{\"requests\":{requests},\"seconds\":{:.2},\"requests_per_second\":{:.1},\
             \"p50_ms\":{:.3},\"p90_ms\":{:.3},\"p99_ms\":{:.3},\"p999_ms\":{:.3},\"max_ms\":{:.3},\
             \"status_errors\":{},\"socket_errors\":{},\"timeouts\":{}{handshakes}}}",
            self.seconds,
            requests as f64 / self.seconds,
            millis(0.5),
            millis(0.9),
            millis(0.99),
            millis(0.999),
            millis(1.0),
            self.wrong,
            self.broken,
            self.late,
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_line_has_quantiles_errors_and_the_resumed_share() {
        let mut report = Report {
            micros: (1..=1000).rev().map(|number| number * 1000).collect(),
            seconds: 2.0,
            wrong: 3,
            handshakes: Some([(1, 11, 10), (1, 11, 5)].map(handshakes).into_iter().sum()),
            ..Report::default()
        };
        let line = report.line();
        for part in [
            "{\"requests\":1000,\"seconds\":2.00,\"requests_per_second\":500.0,",
            "\"p50_ms\":501.000,",
            "\"p99_ms\":991.000,",
            "\"p999_ms\":1000.000,\"max_ms\":1000.000,",
            "\"status_errors\":3,\"socket_errors\":0,",
            "\"handshakes\":22,\"resumed\":15,\"resumed_share\":0.7500}",
        ] {
            assert!(line.contains(part), "{part} in {line}");
        }
        // Each client's first alone says nothing.
        report.handshakes = Some(handshakes((2, 2, 0)));
        assert!(report.line().ends_with(",\"handshakes\":2,\"resumed\":0}"));
    }

    fn handshakes((clients, all, resumed): (u64, u64, u64)) -> Handshakes {
        Handshakes {
            clients,
            all,
            resumed,
        }
    }
}
