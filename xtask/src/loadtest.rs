//! `cargo xtask loadtest`: Tidegate beside the proxies that it is compared with,
//! on one core each in turn, while client and backend have another. Every round
//! measures each peer once, so that what the machine does meanwhile hits all.
//! `control-plane` is the benchmark of that name, whose output is kept as well.
//! What `loadtest/peers/` holds is what runs; `loadtest/README.md` says how to
//! read the results.

mod control_plane;
mod goals;
mod load;
mod peer;
mod plot;
mod provenance;
mod report;
mod scenario;
mod site;
mod template;

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

use crate::process;
use load::{Latency, Sample};
use peer::Peer;
use scenario::Scenario;
use site::Site;

/// The scenario that is no load on proxies but a benchmark of the control plane.
const CONTROL_PLANE: &str = "control-plane";

/// What to compare, and for how long.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Scenarios; all but `control-plane` by default, which needs an API server instead of peers.
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
    /// Requests a second when latency is measured; a part of it where requests are large or dear.
    #[arg(long, default_value_t = 3000)]
    rate: u32,
    /// The profile to build with.
    #[arg(long, default_value = "release")]
    profile: String,
    /// A built program instead of a new build.
    #[arg(long)]
    tidegate: Option<PathBuf>,
    /// How that program was built: results say so.
    #[arg(long, requires = "tidegate")]
    built: Option<String>,
    /// A built load generator (`tidegate-load`) instead of a new build.
    #[arg(long)]
    generator: Option<PathBuf>,
    /// Where to write tables and plots.
    #[arg(long, default_value = "loadtest/results")]
    output: PathBuf,
}

/// What a comparison runs.
struct Programs {
    tidegate: PathBuf,
    /// How it was built.
    built: String,
    /// That of `loadtest/generator`.
    generator: PathBuf,
}

/// All that was measured of one peer in one case of a scenario.
struct Measured {
    peer: &'static str,
    /// The case's name.
    case: &'static str,
    samples: Vec<Sample>,
    /// At a fixed rate, of each round.
    latencies: Vec<Latency>,
    resident_mib: f64,
}

impl Measured {
    /// What tables and plots call it.
    fn name(&self) -> String {
        match self.case {
            "" => self.peer.to_owned(),
            case => format!("{}, {case}", self.peer),
        }
    }
}

/// Runs the comparison and writes its results.
///
/// # Errors
/// A tool is missing, a peer does not start, or answers anything but success.
pub(crate) fn run(arguments: &Arguments) -> Result<()> {
    if arguments.rounds == 0 || arguments.seconds == 0 {
        bail!("--rounds and --seconds must be at least 1");
    }
    let names = arguments.scenarios.iter().cloned();
    let (control_plane, names): (Vec<String>, Vec<String>) = names.partition(|name| name == CONTROL_PLANE);
    let output = process::root()?.join(&arguments.output);
    fs::create_dir_all(&output).with_context(|| format!("cannot make {}", output.display()))?;
    if control_plane.is_empty() || !names.is_empty() {
        compare(&names, &output, arguments)?;
    }
    if !control_plane.is_empty() {
        control_plane::run(&output)?;
    }
    Ok(())
}

fn compare(names: &[String], output: &Path, arguments: &Arguments) -> Result<()> {
    let scenarios = scenario::choose(names)?;
    let peers = peer::choose(&arguments.peers)?;
    let programs = build(arguments)?;
    let taken_with = format!(
        "{} rounds of {} s\n{}",
        arguments.rounds,
        arguments.seconds,
        provenance::programs(&peers, &programs.tidegate, &programs.built)
    );
    let mut goals = Vec::new();
    for scenario in scenarios {
        let head = provenance::machine()? + &taken_with;
        let measured = measure(scenario, &peers, &programs, arguments)?;
        let table = report::table(scenario, &measured, arguments.rate);
        println!("\n{table}");
        let file = |ending: &str| output.join(format!("{}.{ending}", scenario.name));
        fs::write(file("txt"), format!("{head}\n{table}"))?;
        fs::write(file("svg"), plot::bars(scenario, &measured))?;
        goals.push((scenario.name, goals::of(scenario, &measured)));
        // Written each time: a run may be ended before its last scenario.
        let summary = format!("{head}\n{}", report::summary(&goals));
        fs::write(output.join("summary.txt"), summary)?;
    }
    Ok(())
}

fn build(arguments: &Arguments) -> Result<Programs> {
    let mut packages = Vec::new();
    if arguments.tidegate.is_none() {
        packages.extend(["--package=tidegate-gateway", "--bin=tidegate"]);
    }
    if arguments.generator.is_none() {
        packages.extend(["--package=tidegate-loadtest", "--bin=tidegate-load"]);
    }
    let profile = &arguments.profile;
    if !packages.is_empty() {
        process::run(
            process::cargo()?
                .args(["build", "--locked", "--profile", profile])
                .args(packages),
        )?;
    }
    let folder = provenance::folder(profile)?;
    let built = match (&arguments.tidegate, &arguments.built) {
        (None, _) => provenance::profile(profile)?,
        (Some(_), Some(built)) => built.clone(),
        (Some(_), None) => "given by --tidegate, and nobody said how it was built".to_owned(),
    };
    let or = |given: &Option<PathBuf>, name: &str| given.clone().unwrap_or_else(|| folder.join(name));
    Ok(Programs {
        tidegate: or(&arguments.tidegate, "tidegate"),
        built,
        generator: or(&arguments.generator, "tidegate-load"),
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
    for peer in peers {
        for (number, case) in scenario.cases().enumerate() {
            let measured = Measured {
                peer: peer.name,
                case: case.name,
                samples: Vec::new(),
                latencies: Vec::new(),
                resident_mib: 0.0,
            };
            let of = || format!("{} in scenario {}", measured.name(), scenario.name);
            let folder = format!("{}-{number}", peer.name);
            let started = site.peer(peer, case, &folder).with_context(of)?;
            site.load(&started, 1).with_context(of)?;
            running.push((started, measured));
        }
    }
    let rate = scenario.latency_rate(arguments.rate);
    for round in 0..arguments.rounds {
        eprintln!(
            "loadtest: {}: round {} of {}",
            scenario.name,
            round + 1,
            arguments.rounds
        );
        for (started, measured) in &mut running {
            let of = || format!("{} in scenario {}", measured.name(), scenario.name);
            let sample = site.load(started, arguments.seconds).with_context(of)?;
            let latency = site.latency(started, rate, arguments.seconds).with_context(of)?;
            measured.samples.push(sample);
            measured.latencies.push(latency);
            measured.resident_mib = started.resident_mib()?;
        }
    }
    Ok(running.into_iter().map(|(_, measured)| measured).collect())
}
