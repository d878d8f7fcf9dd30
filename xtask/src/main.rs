//! The project's own chores, run as `cargo xtask COMMAND`: everything that a
//! fresh clone needs before its tests run, the tests, the rules that no compiler
//! knows, and the benchmarks. It depends on little, so that it builds in seconds.
#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a command-line program talks to its user"
)]

mod bench;
mod conformance;
mod definitions;
mod lint;
mod loadtest;
mod packages;
mod process;
mod test;
mod tools;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// The chores of the Tidegate repository.
#[derive(Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask", version)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Install what the tests need, run every test, then the repository rules.
    ///
    /// Arguments after `--` go to `cargo test`: `cargo xtask test -- -p tidegate-gateway tls`.
    Test {
        /// Arguments for `cargo test`.
        #[arg(last = true)]
        arguments: Vec<String>,
    },
    /// Install what building and testing need: system packages, and etcd,
    /// kube-apiserver, kubectl, helm and k6 built from source into the cache folder.
    Setup {
        /// The system packages only, which is all that a build needs.
        #[arg(long)]
        packages_only: bool,
    },
    /// Check the rules of the repository: layering, file sizes, names, links.
    Lint,
    /// Run Gateway API's conformance suite against a cluster.
    Conformance(conformance::Arguments),
    /// Compare Tidegate with other proxies under load: CPU, rate, latency, memory.
    Loadtest(loadtest::Arguments),
    /// Run benchmarks of the gateway in release mode; all of them by default.
    Bench {
        /// Names of files in gateway/benches, without the ending.
        names: Vec<String>,
        /// Arguments for each benchmark.
        #[arg(last = true)]
        arguments: Vec<String>,
    },
}

fn main() -> ExitCode {
    let outcome = match Arguments::parse().command {
        Command::Test { arguments } => test::run(&arguments),
        Command::Setup { packages_only: true } => packages::install(),
        Command::Setup { packages_only: false } => test::prepare().map(drop),
        Command::Lint => lint::run(),
        Command::Conformance(arguments) => conformance::run(&arguments),
        Command::Loadtest(arguments) => loadtest::run(&arguments),
        Command::Bench { names, arguments } => bench::run(&names, &arguments),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("xtask: {error:#}");
            ExitCode::FAILURE
        }
    }
}
