//! The control plane from a real API server: the benchmark of that name, with its
//! output kept beside the tables of the other scenarios.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::Stdio;

use anyhow::{Context, Result, bail};

use super::provenance;
use crate::{bench, process};

/// Runs the benchmark, shows what it says as it comes, and writes it down.
///
/// # Errors
/// A tool is missing, or the benchmark fails; what it said until then is written.
pub(super) fn run(output: &Path) -> Result<()> {
    let mut command = bench::command(bench::WITH_API_SERVER)?;
    let file = output.join("control-plane.txt");
    let mut out = fs::File::create(&file).with_context(|| format!("cannot write {}", file.display()))?;
    write!(
        out,
        "{}tidegate: {}\n\n",
        provenance::machine()?,
        provenance::profile("bench")?
    )?;
    command.stdin(Stdio::null()).stdout(Stdio::piped());
    let spawned = command.spawn();
    let mut child = spawned.with_context(|| format!("cannot run `{}`", process::shown(&command)))?;
    let stdout = child.stdout.take().context("its output was asked for")?;
    for line in BufReader::new(stdout).lines() {
        let line = line?;
        println!("{line}");
        writeln!(out, "{line}")?;
    }
    let status = child.wait()?;
    if !status.success() {
        writeln!(out, "the benchmark failed: {status}")?;
        bail!("`{}` failed: {status}", process::shown(&command));
    }
    Ok(())
}
