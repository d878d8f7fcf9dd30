//! `cargo xtask test`: install, test, check the repository.
//!
//! The contract with the tests: they run with `TIDEGATE_TOOLS` set to a folder
//! that holds `etcd`, `kube-apiserver`, `kubectl`, `helm` and `k6` of the versions
//! pinned by the `go.mod` files in `xtask/tools`, and `GATEWAY_API_CRDS` to a folder
//! with Gateway API's definitions for the API server, `FOREIGN_CRDS` to folders with
//! those of what the chart makes objects of. A test that needs a Kubernetes API starts
//! these on loopback ports of its own, in a folder of its own, and ends them. It
//! fails with "run `cargo xtask test`" when a variable is not set: a test that
//! skips itself looks like one that passed.

use std::path::PathBuf;
use std::time::Instant;

use anyhow::Result;

use crate::{bench, definitions, lint, packages, process, tools};

/// Where tests find the programs; part of the contract above.
pub(crate) const TOOLS_VARIABLE: &str = "TIDEGATE_TOOLS";
/// Where tests find the definitions of Gateway API; part of the contract above.
pub(crate) const DEFINITIONS_VARIABLE: &str = "GATEWAY_API_CRDS";
/// Where tests find those of other projects; part of the contract above.
const FOREIGN_VARIABLE: &str = "FOREIGN_CRDS";

/// Runs every test of the workspace and compares instruction counts with their
/// baseline, or what the arguments for `cargo test` select, and the rules of the
/// repository whatever the tests said.
pub(crate) fn run(arguments: &[String]) -> Result<()> {
    let tools = prepare()?;
    let start = Instant::now();
    let mut command = process::cargo()?;
    command
        .env(TOOLS_VARIABLE, tools)
        .env(DEFINITIONS_VARIABLE, definitions::gateway_api()?)
        .env(FOREIGN_VARIABLE, definitions::foreign()?)
        .args(selection(arguments));
    println!("test: {}", process::shown(&command));
    let tests = process::run(&mut command);
    println!("test: {} s", start.elapsed().as_secs());
    let counts = match arguments {
        [] => bench::run(&["instructions".to_owned()], &[]),
        _ => Ok(()),
    };
    let rules = lint::run();
    tests.and(counts).and(rules)
}

/// Installs packages and tools; the folder of the tools.
pub(crate) fn prepare() -> Result<PathBuf> {
    packages::install()?;
    tools::install()
}

/// The whole workspace, unless the caller chose packages. Not `--all-targets`:
/// that would leave out the documentation's tests and run the benchmarks.
fn selection(arguments: &[String]) -> Vec<&str> {
    let own = arguments
        .iter()
        .map(String::as_str)
        .take_while(|argument| *argument != "--");
    let chosen = own
        .into_iter()
        .any(|argument| argument.starts_with("-p") || argument.starts_with("--package"));
    let start: &[&str] = match arguments {
        // Whoever runs all wants to know all that fails, not the first program of tests.
        [] => &["test", "--workspace", "--no-fail-fast"],
        _ if chosen => &["test"],
        _ => &["test", "--workspace"],
    };
    start
        .iter()
        .copied()
        .chain(arguments.iter().map(String::as_str))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn selected(arguments: &[&str]) -> String {
        let arguments: Vec<String> = arguments.iter().map(|argument| (*argument).to_owned()).collect();
        selection(&arguments).join(" ")
    }

    #[test]
    fn the_whole_workspace_unless_packages_are_chosen() {
        assert_eq!(selected(&[]), "test --workspace --no-fail-fast");
        assert_eq!(selected(&["tls"]), "test --workspace tls");
        assert_eq!(selected(&["-p", "xtask"]), "test -p xtask");
        assert_eq!(selected(&["--package=xtask"]), "test --package=xtask");
        assert_eq!(selected(&["tls", "--", "-p"]), "test --workspace tls -- -p");
    }
}
