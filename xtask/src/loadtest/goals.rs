//! What Tidegate's CPU time for a request may be, against others' and its own in the
//! same rounds.

use std::fmt::Write;

use super::Measured;
use super::report::median;
use super::scenario::Scenario;

/// Who is measured against others.
const OURS: &str = "tidegate";

/// Peers to compare with, and how many times their CPU time may be used, if that is
/// a goal in every scenario.
const PEERS: [(&str, Option<f64>); 4] = [
    ("nginx", None),
    ("nginx-lua", Some(1.0)),
    ("haproxy", None),
    ("envoy", Some(0.6)),
];

/// CPU time of one against that of another, round by round: what the machine does
/// meanwhile hits both.
#[derive(Clone, Copy)]
pub(super) struct Ratio {
    pub(super) median: f64,
    least: f64,
    most: f64,
}

impl Ratio {
    /// `None` without a round.
    pub(super) fn of(one: &Measured, other: &Measured) -> Option<Self> {
        let rounds = one.samples.iter().zip(&other.samples);
        let ratios: Vec<f64> = rounds
            .map(|(one, other)| one.cpu_micros / other.cpu_micros)
            .collect();
        let least = ratios.iter().copied().reduce(f64::min)?;
        let most = ratios.iter().copied().reduce(f64::max)?;
        Some(Self {
            median: median(ratios.into_iter()),
            least,
            most,
        })
    }
}

/// A ratio, with its limit if it has one.
pub(super) struct Goal {
    against: String,
    ratio: Option<Ratio>,
    most: Option<f64>,
}

impl Goal {
    /// `None`: nothing was measured, or nothing is wanted.
    pub(super) fn reached(&self) -> Option<bool> {
        Some(self.ratio?.median <= self.most?)
    }

    pub(super) fn against(&self) -> &str {
        &self.against
    }
}

/// All ratios of a scenario. A peer that was left out stays where it is a goal.
pub(super) fn of(scenario: &Scenario, measured: &[Measured]) -> Vec<Goal> {
    let row = |peer: &str, case: &str| measured.iter().find(|one| one.peer == peer && one.case == case);
    let Some(ours) = row(OURS, "") else {
        return Vec::new();
    };
    let mut goals = Vec::new();
    for (peer, most) in PEERS {
        let ratio = row(peer, "").and_then(|theirs| Ratio::of(ours, theirs));
        if ratio.is_some() || most.is_some() {
            goals.push(Goal {
                against: peer.to_owned(),
                ratio,
                most,
            });
        }
    }
    if let Some(base) = &scenario.base {
        goals.push(Goal {
            against: format!("{OURS}, {}", base.case.name),
            ratio: row(OURS, base.case.name).and_then(|bare| Ratio::of(ours, bare)),
            most: Some(base.most),
        });
    }
    goals
}

/// The goals as lines for a table.
pub(super) fn block(goals: &[Goal]) -> String {
    let mut out = "goals: CPU of tidegate against that of, round by round\n".to_owned();
    for goal in goals {
        let ratio = goal.ratio.map_or_else(
            || "not measured".to_owned(),
            |ratio| format!("{:.2} ({:.2}–{:.2})", ratio.median, ratio.least, ratio.most),
        );
        let limit = goal
            .most
            .map_or_else(String::new, |most| format!("at most {most:.2}"));
        let verdict = match goal.reached() {
            Some(true) => ": reached",
            Some(false) => ": MISSED",
            None => "",
        };
        let line = format!("  {:<20} {ratio:<20} {limit}{verdict}", goal.against);
        let _ = writeln!(out, "{}", line.trim_end());
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::loadtest::load::Sample;
    use crate::loadtest::scenario;

    fn measured(peer: &'static str, case: &'static str, cpu: [f64; 3]) -> Measured {
        let sample = |cpu_micros| Sample {
            rate: 100.0,
            cpu_micros,
            busy: 1.0,
            resumed: None,
        };
        Measured {
            peer,
            case,
            samples: cpu.map(sample).to_vec(),
            latencies: Vec::new(),
            resident_mib: 5.0,
        }
    }

    #[test]
    fn rounds_are_compared_one_by_one_and_limits_are_judged() {
        let scenario = scenario::choose(&["policies".to_owned()]).unwrap()[0];
        let all = [
            // A machine that got slower all the time.
            measured("tidegate", "", [12.0, 24.0, 48.0]),
            measured("tidegate", "bare", [10.0, 20.0, 40.0]),
            measured("nginx", "", [10.0, 20.0, 40.0]),
            measured("nginx-lua", "", [10.0, 25.0, 40.0]),
        ];
        let goals = of(scenario, &all);
        let verdicts: Vec<_> = goals
            .iter()
            .map(|goal| (goal.against(), goal.reached()))
            .collect();
        assert_eq!(
            verdicts,
            [
                ("nginx", None),
                ("nginx-lua", Some(false)),
                ("envoy", None),
                ("tidegate, bare", Some(true))
            ]
        );
        let text = block(&goals);
        for line in [
            "  nginx                1.20 (1.20–1.20)\n",
            "  nginx-lua            1.20 (0.96–1.20)     at most 1.00: MISSED\n",
            "  envoy                not measured         at most 0.60\n",
            "  tidegate, bare       1.20 (1.20–1.20)     at most 1.30: reached\n",
        ] {
            assert!(text.contains(line), "{line} in {text}");
        }
    }
}
