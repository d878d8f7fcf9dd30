//! The published conformance suite of Gateway API against whatever serves a
//! GatewayClass of a cluster: `cargo xtask conformance --kubeconfig FILE`.
//!
//! The suite is a Go test, pinned in `xtask/tools/conformance`. It takes the
//! features to test from the class's `status.supportedFeatures`, and creates and
//! deletes namespaces of its own (`gateway-conformance-…`); the cluster must have
//! the CRDs, nodes that run its pods, and a route from here to the addresses of
//! the Gateways.

use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result};
use clap::Args;

use crate::process;

/// For the whole suite; each test has limits of its own.
const TIMEOUT: &str = "60m";

/// What `conformance` takes.
#[derive(Args)]
pub(crate) struct Arguments {
    /// The cluster; by default what kubectl takes.
    #[arg(long)]
    kubeconfig: Option<PathBuf>,
    /// The GatewayClass to test.
    #[arg(long, default_value = "tidegate")]
    class: String,
    /// Profiles of the suite.
    #[arg(
        long,
        default_value = "GATEWAY-HTTP,GATEWAY-GRPC,GATEWAY-TLS,GATEWAY-TCP,GATEWAY-UDP"
    )]
    profiles: String,
    /// Where the report is written.
    #[arg(long, default_value = "target/conformance.yaml")]
    report: PathBuf,
    /// More flags of the suite.
    #[arg(last = true)]
    flags: Vec<String>,
}

/// Runs the suite.
pub(crate) fn run(arguments: &Arguments) -> Result<()> {
    let root = process::root()?;
    let absolute = |path: &PathBuf| std::path::absolute(path).with_context(|| path.display().to_string());
    let mut command = Command::new("go");
    command
        .current_dir(root.join("xtask/tools/conformance"))
        .env("CGO_ENABLED", "0")
        .env("GOWORK", "off")
        .args(["test", "-mod=readonly", "-count=1", "-v", "-timeout", TIMEOUT])
        .args(["-run", "TestConformance", ".", "-args"])
        .args(["-gateway-class", &arguments.class])
        .args(["-conformance-profiles", &arguments.profiles])
        .args(["-organization", "tidegate", "-project", "tidegate"])
        .args([
            "-url",
            "https://github.com/tidegate/tidegate",
            "-contact",
            "@tidegate/maintainers",
        ])
        .args(["-version", env!("CARGO_PKG_VERSION")])
        .arg("-report-output")
        .arg(absolute(&arguments.report)?)
        .args(&arguments.flags);
    if let Some(kubeconfig) = &arguments.kubeconfig {
        command.env("KUBECONFIG", absolute(kubeconfig)?);
    }
    process::run(&mut command)
}
