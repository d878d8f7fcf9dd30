//! `cargo xtask loadtest`: Tidegate beside the proxies that it is compared with,
//! on one core each in turn, while client and backend have another. Every round
//! measures each peer once, so that what the machine does meanwhile hits all.
//! What `loadtest/peers/` holds is what runs; `loadtest/README.md` says how to
//! read the results.

mod load;
mod peer;
mod plot;
mod report;
mod scenario;
mod site;
mod template;

use std::fs;
use std::path::PathBuf;

use anyhow::{Context, Result, bail};

use crate::process;
use load::Sample;
use peer::Peer;
use scenario::Scenario;
use site::Site;

/// What to compare, and for how long.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Scenarios; all by default.
    scenarios: Vec<String>,
    /// What to compare Tidegate with; whatever is installed by default.
    #[arg(long, value_delimiter = ',')]
    peers: Vec<String>,
    /// Rounds in which every peer is measured once.
    #[arg(long, default_value_t = 5)]
    rounds: usize,
    /// Seconds of each measurement.
    #[arg(long, default_value_t = 5)]
    seconds: u32,
    /// Requests a second when latency is measured, where a scenario has it; a tenth for `resumed`.
    #[arg(long, default_value_t = 5000)]
    rate: u32,
    /// A built program instead of a new build.
    #[arg(long)]
    tidegate: Option<PathBuf>,
    /// Where to write tables and plots.
    #[arg(long, default_value = "loadtest/results")]
    output: PathBuf,
}

/// What is built for a comparison.
struct Programs {
    tidegate: PathBuf,
    /// That of `loadtest/generator`, built only when a scenario needs it.
    generator: PathBuf,
}

/// All that was measured of one peer in one scenario.
struct Measured {
    peer: &'static str,
    samples: Vec<Sample>,
    /// At a fixed rate: (p50, p99, p99.9) of each round, in milliseconds.
    latencies: Vec<[f64; 3]>,
    resident_mib: f64,
}

/// Runs the comparison and writes its results.
///
/// # Errors
/// A tool is missing, a peer does not start, or answers anything but success.
pub(crate) fn run(arguments: &Arguments) -> Result<()> {
    let scenarios = scenario::choose(&arguments.scenarios)?;
    let peers = peer::choose(&arguments.peers)?;
    if arguments.rounds == 0 || arguments.seconds == 0 {
        bail!("--rounds and --seconds must be at least 1");
    }
    let has_generator = scenarios.iter().any(|scenario| scenario.is_generated());
    let programs = build(arguments.tidegate.as_ref(), has_generator)?;
    let output = process::root()?.join(&arguments.output);
    fs::create_dir_all(&output).with_context(|| format!("cannot make {}", output.display()))?;
    fs::write(output.join("machine.txt"), report::machine(&peers, arguments)?)?;
    for scenario in scenarios {
        let measured = measure(scenario, &peers, &programs, arguments)?;
        let table = report::table(scenario, &measured, arguments.rate);
        print!("{table}");
        fs::write(output.join(format!("{}.txt", scenario.name)), table)?;
        fs::write(
            output.join(format!("{}.svg", scenario.name)),
            plot::bars(scenario, &measured),
        )?;
    }
    Ok(())
}

fn build(tidegate: Option<&PathBuf>, has_generator: bool) -> Result<Programs> {
    let mut packages = Vec::new();
    if tidegate.is_none() {
        packages.extend(["--package=tidegate-gateway", "--bin=tidegate"]);
    }
    if has_generator {
        packages.extend(["--package=tidegate-loadtest", "--bin=tidegate-load"]);
    }
    if !packages.is_empty() {
        process::run(
            process::cargo()?
                .args(["build", "--release", "--locked"])
                .args(packages),
        )?;
    }
    let target = std::env::var_os("CARGO_TARGET_DIR").map_or_else(
        || process::root().map(|root| root.join("target")),
        |folder| Ok(folder.into()),
    )?;
    Ok(Programs {
        tidegate: tidegate.map_or_else(|| target.join("release/tidegate"), PathBuf::clone),
        generator: target.join("release/tidegate-load"),
    })
}

fn measure(
    scenario: &'static Scenario,
    peers: &[&'static Peer],
    programs: &Programs,
    arguments: &Arguments,
) -> Result<Vec<Measured>> {
    let site = Site::start(scenario, programs)?;
    let mut running = Vec::new();
    for peer in peers.iter().filter(|peer| scenario.runs(peer.name)) {
        let started = site.peer(peer)?;
        let warm = site.load(&started, 1);
        warm.with_context(|| format!("{} in scenario {}", peer.name, scenario.name))?;
        running.push((
            started,
            Measured {
                peer: peer.name,
                samples: Vec::new(),
                latencies: Vec::new(),
                resident_mib: 0.0,
            },
        ));
    }
    for round in 0..arguments.rounds {
        eprintln!(
            "loadtest: {}: round {} of {}",
            scenario.name,
            round + 1,
            arguments.rounds
        );
        for (started, measured) in &mut running {
            let of = || format!("{} in scenario {}", measured.peer, scenario.name);
            let sample = site.load(started, arguments.seconds).with_context(of)?;
            measured.samples.push(sample);
            if let Some(rate) = scenario.latency_rate(arguments.rate) {
                let latency = site.latency(started, rate, arguments.seconds);
                measured.latencies.push(latency.with_context(of)?);
            }
            measured.resident_mib = started.resident_mib()?;
        }
    }
    Ok(running.into_iter().map(|(_, measured)| measured).collect())
}
