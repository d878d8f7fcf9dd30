//! Tables for people.

use std::fmt::Write;
use std::process::Command;

use anyhow::{Context, Result};

use super::load::Sample;
use super::peer::Peer;
use super::scenario::Scenario;
use super::{Arguments, Measured};
use crate::process;

/// Below this part of its core a proxy was not at its limit.
const SATURATED: f64 = 0.9;

/// The peer that ratios refer to.
const BASE: &str = "nginx";

/// One scenario's results; latency was measured at `rate`, or the scenario's part of it.
pub(super) fn table(scenario: &Scenario, measured: &[Measured], rate: u32) -> String {
    let mut out = format!(
        "\n{}: {}; {} hosts",
        scenario.name, scenario.about, scenario.hosts
    );
    match scenario.latency_rate(rate) {
        Some(rate) => {
            let _ = writeln!(out, "; latency at {rate} a second");
        }
        None => out.push('\n'),
    }
    let _ = writeln!(
        out,
        "{:<10} {:>9} {:>8} {:>17} {:>7} {:>8} {:>8} {:>8} {:>8}",
        "", "req/s", "CPU µs", "(min–max)", "×nginx", "p50 ms", "p99 ms", "p99.9", "MiB"
    );
    let base = measured.iter().find(|one| one.peer == BASE).map(cpu);
    for one in measured {
        let all: Vec<f64> = one.samples.iter().map(|sample| sample.cpu_micros).collect();
        let (least, most) = all.iter().fold((f64::MAX, 0.0_f64), |(least, most), value| {
            (least.min(*value), most.max(*value))
        });
        let rate = median(one.samples.iter().map(|sample| sample.rate));
        let busy = median(one.samples.iter().map(|sample| sample.busy));
        let limited = if busy < SATURATED { "*" } else { "" };
        let ratio = base.map_or_else(|| "–".to_owned(), |base| format!("{:.2}", cpu(one) / base));
        let _ = write!(
            out,
            "{:<10} {:>9} {:>8.1} {:>17} {ratio:>7}",
            one.peer,
            format!("{rate:.0}{limited}"),
            cpu(one),
            format!("({least:.1}–{most:.1})"),
        );
        for at in 0..3 {
            let cell = match one.latencies.is_empty() {
                true => "–".to_owned(),
                false => format!("{:.2}", median(one.latencies.iter().map(|latency| latency[at]))),
            };
            let _ = write!(out, " {cell:>8}");
        }
        let _ = writeln!(out, " {:>8.1}", one.resident_mib);
    }
    if measured
        .iter()
        .any(|one| median(one.samples.iter().map(|sample| sample.busy)) < SATURATED)
    {
        out.push_str("* the load generator was the limit: only CPU per request can be compared\n");
    }
    out + &resumed(measured)
}

/// How many of the handshakes that could resume a session did, where that was counted.
fn resumed(measured: &[Measured]) -> String {
    let each = measured.iter().filter_map(|one| {
        let shares = one.samples.iter().filter_map(|sample| sample.resumed);
        let least = shares.reduce(f64::min)?;
        Some(format!("{} {:.1} %", one.peer, least * 100.0))
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

fn median(values: impl Iterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}

/// What the figures were taken on and with.
pub(super) fn machine(peers: &[&Peer], arguments: &Arguments) -> Result<String> {
    let cpuinfo = std::fs::read_to_string("/proc/cpuinfo").context("cannot read /proc/cpuinfo")?;
    let model = cpuinfo
        .lines()
        .find_map(|line| line.strip_prefix("model name\t: "));
    let cores = std::thread::available_parallelism()?;
    let kernel = process::output(Command::new("uname").arg("-sr"))?.unwrap_or_default();
    let mut out = format!(
        "{}, {cores} cores, {kernel}\n{} rounds of {} s\n",
        model.unwrap_or("unknown processor"),
        arguments.rounds,
        arguments.seconds,
    );
    for peer in peers {
        if let Some(version) = peer.described() {
            let _ = writeln!(out, "{}: {version}", peer.name);
        }
    }
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::loadtest::scenario;

    fn measured(peer: &'static str, resumed: Option<f64>) -> Measured {
        let sample = |resumed| Sample {
            rate: 100.0,
            cpu_micros: 10.0,
            busy: 1.0,
            resumed,
        };
        Measured {
            peer,
            samples: vec![sample(resumed), sample(resumed.map(|_| 0.995))],
            latencies: vec![[1.0, 2.0, 3.0]],
            resident_mib: 5.0,
        }
    }

    #[test]
    fn a_table_says_at_which_rate_and_how_many_were_resumed() {
        let scenario = scenario::choose(&["resumed".to_owned()]).unwrap()[0];
        let all = [measured("tidegate", Some(1.0)), measured("nginx", Some(1.0))];
        let table = table(scenario, &all, 5000);
        assert!(table.contains("; latency at 500 a second\n"), "{table}");
        assert!(
            table.ends_with("resumed at least: tidegate 99.5 %, nginx 99.5 %\n"),
            "{table}"
        );
        assert_eq!(resumed(&[measured("tidegate", None)]), "");
    }

    #[test]
    fn medians_are_of_the_sorted() {
        assert_eq!(median([3.0, 1.0, 2.0].into_iter()), 2.0);
        assert!(median(std::iter::empty()).is_nan());
    }
}
