//! Tables for people.

use std::fmt::Write;

use super::Measured;
use super::goals::{self, Goal, Ratio};
use super::load::Sample;
use super::scenario::Scenario;

/// Below this part of its core a proxy was not at its limit.
const SATURATED: f64 = 0.9;

/// Below this part of the rate a proxy did not keep up with it.
const KEPT: f64 = 0.95;

/// The peer that ratios refer to.
const BASE: &str = "nginx";

/// One scenario's results; latency was measured at the scenario's part of `rate`.
pub(super) fn table(scenario: &Scenario, measured: &[Measured], rate: u32) -> String {
    let mut out = format!(
        "{}: {}; {} hosts; latency at {} a second\n",
        scenario.name,
        scenario.about,
        scenario.case.hosts,
        scenario.latency_rate(rate)
    );
    let _ = writeln!(
        out,
        "{:<20} {:>9} {:>8} {:>17} {:>7} {:>9} {:>8} {:>8} {:>8}",
        "", "req/s", "CPU µs", "(min–max)", "×nginx", "p50 ms", "p99 ms", "p99.9", "MiB"
    );
    let base = measured
        .iter()
        .find(|one| one.peer == BASE && one.case.is_empty());
    for one in measured {
        row(&mut out, one, base.and_then(|base| Ratio::of(one, base)));
    }
    if measured.iter().any(|one| !is_saturated(one)) {
        out.push_str("* the load generator was the limit: only CPU per request can be compared\n");
    }
    if measured.iter().any(|one| !keeps_up(one)) {
        out.push_str("! it did not keep up with the rate: what waited counts as late\n");
    }
    out + &resumed(measured) + &goals::block(&goals::of(scenario, measured))
}

fn row(out: &mut String, one: &Measured, ratio: Option<Ratio>) {
    let all = || one.samples.iter().map(|sample| sample.cpu_micros);
    let (least, most) = (all().fold(f64::MAX, f64::min), all().fold(0.0, f64::max));
    let rate = median(one.samples.iter().map(|sample| sample.rate));
    let limited = if is_saturated(one) { "" } else { "*" };
    let ratio = ratio.map_or_else(|| "–".to_owned(), |ratio| format!("{:.2}", ratio.median));
    let _ = write!(
        out,
        "{:<20} {:>9} {:>8.1} {:>17} {ratio:>7} ",
        one.name(),
        format!("{rate:.0}{limited}"),
        cpu(one),
        format!("({least:.1}–{most:.1})"),
    );
    for at in 0..3 {
        let cell = match one.latencies.is_empty() {
            true => "–".to_owned(),
            false => {
                let value = median(one.latencies.iter().map(|latency| latency.quantiles[at]));
                let late = if at == 0 && !keeps_up(one) { "!" } else { "" };
                format!("{value:.2}{late}")
            }
        };
        let _ = write!(out, " {cell:>8}");
    }
    let _ = writeln!(out, " {:>8.1}", one.resident_mib);
}

fn is_saturated(one: &Measured) -> bool {
    median(one.samples.iter().map(|sample| sample.busy)) >= SATURATED
}

fn keeps_up(one: &Measured) -> bool {
    one.latencies.is_empty() || median(one.latencies.iter().map(|latency| latency.kept)) >= KEPT
}

/// The goals of all scenarios of a run, and which were missed.
pub(super) fn summary(scenarios: &[(&str, Vec<Goal>)]) -> String {
    let mut out = String::new();
    for (name, goals) in scenarios {
        let _ = writeln!(out, "{name}\n{}", goals::block(goals));
    }
    let judged = || {
        scenarios.iter().flat_map(|(name, goals)| {
            let judged =
                move |goal: &Goal| Some((format!("{name} against {}", goal.against()), goal.reached()?));
            goals.iter().filter_map(judged)
        })
    };
    let missed: Vec<String> = judged()
        .filter_map(|(name, is_reached)| (!is_reached).then_some(name))
        .collect();
    let all = judged().count();
    let _ = writeln!(out, "{} of {all} goals reached", all - missed.len());
    if !missed.is_empty() {
        let _ = writeln!(out, "missed: {}", missed.join("; "));
    }
    out
}

/// How many of the handshakes that could resume a session did, where that was counted.
fn resumed(measured: &[Measured]) -> String {
    let each = measured.iter().filter_map(|one| {
        let shares = one.samples.iter().filter_map(|sample| sample.resumed);
        let least = shares.reduce(f64::min)?;
        Some(format!("{} {:.1} %", one.name(), least * 100.0))
    });
    let each: Vec<String> = each.collect();
    match each.is_empty() {
        true => String::new(),
        false => format!("resumed at least: {}\n", each.join(", ")),
    }
}

/// The median CPU time of a request in microseconds.
pub(super) fn cpu(measured: &Measured) -> f64 {
    median(measured.samples.iter().map(|sample: &Sample| sample.cpu_micros))
}

pub(super) fn median(values: impl Iterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::loadtest::load::Latency;
    use crate::loadtest::scenario;

    fn measured(peer: &'static str, resumed: Option<f64>) -> Measured {
        let sample = |resumed| Sample {
            rate: 100.0,
            cpu_micros: 10.0,
            busy: 1.0,
            resumed,
        };
        let latency = Latency {
            quantiles: [1.0, 2.0, 3.0],
            kept: if peer == "tidegate" { 1.0 } else { 0.5 },
        };
        Measured {
            peer,
            case: "",
            samples: vec![sample(resumed), sample(resumed.map(|_| 0.995))],
            latencies: vec![latency],
            resident_mib: 5.0,
        }
    }

    #[test]
    fn a_table_says_at_which_rate_and_how_many_were_resumed() {
        let scenario = scenario::choose(&["resumed".to_owned()]).unwrap()[0];
        let all = [measured("tidegate", Some(1.0)), measured("nginx", Some(1.0))];
        let table = table(scenario, &all, 5000);
        for part in [
            "; latency at 500 a second\n",
            "resumed at least: tidegate 99.5 %, nginx 99.5 %\n",
            "     1.00!     2.00",
            "! it did not keep up",
            "  nginx                1.00 (1.00–1.00)\n",
        ] {
            assert!(table.contains(part), "{part} in {table}");
        }
        assert_eq!(resumed(&[measured("tidegate", None)]), "");
    }

    #[test]
    fn a_summary_names_what_was_missed() {
        let scenario = scenario::choose(&["h1".to_owned()]).unwrap()[0];
        let all = ["tidegate", "nginx-lua", "envoy"].map(|peer| measured(peer, None));
        let text = summary(&[("h1", goals::of(scenario, &all))]);
        assert!(
            text.ends_with("1 of 2 goals reached\nmissed: h1 against envoy\n"),
            "{text}"
        );
    }

    #[test]
    fn medians_are_of_the_sorted() {
        assert_eq!(median([3.0, 1.0, 2.0].into_iter()), 2.0);
        assert!(median(std::iter::empty()).is_nan());
    }
}
