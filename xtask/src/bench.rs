//! `cargo xtask bench`: the gateway's benchmarks, in release mode. Each prints
//! its own table; all run one after the other, for they measure the machine.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::{definitions, process, test, tools};

/// The benchmark that starts an API server, with Gateway API's resources.
pub(crate) const WITH_API_SERVER: &str = "control_plane";

/// Runs the named benchmarks, or all, with the same arguments.
pub(crate) fn run(names: &[String], arguments: &[String]) -> Result<()> {
    let found = find(&process::root()?.join("gateway/benches"))?;
    for name in choose(names, &found)? {
        println!("bench: {name}");
        let mut command = command(name)?;
        if !arguments.is_empty() {
            command.arg("--").args(arguments);
        }
        process::run(&mut command)?;
    }
    Ok(())
}

/// What runs one, with all that it needs.
pub(crate) fn command(name: &str) -> Result<Command> {
    let mut command = process::cargo()?;
    command.args(["bench", "--package", "tidegate-gateway", "--bench", name]);
    if name == WITH_API_SERVER {
        command
            .env(test::TOOLS_VARIABLE, tools::install()?)
            .env(test::DEFINITIONS_VARIABLE, definitions::gateway_api()?);
    }
    Ok(command)
}

/// The names of all benchmarks: the folder's `.rs` files.
fn find(folder: &Path) -> Result<BTreeSet<String>> {
    let mut found = BTreeSet::new();
    for entry in fs::read_dir(folder).with_context(|| format!("cannot list {}", folder.display()))? {
        let path = entry
            .with_context(|| format!("cannot list {}", folder.display()))?
            .path();
        if path.extension().is_some_and(|ending| ending == "rs") {
            found.extend(path.file_stem().map(|stem| stem.to_string_lossy().into_owned()));
        }
    }
    Ok(found)
}

fn choose<'a>(names: &'a [String], found: &'a BTreeSet<String>) -> Result<Vec<&'a str>> {
    if found.is_empty() {
        bail!("gateway/benches has no benchmark");
    }
    if let Some(unknown) = names.iter().find(|name| !found.contains(*name)) {
        let known: Vec<&str> = found.iter().map(String::as_str).collect();
        bail!(
            "no benchmark {unknown:?} in gateway/benches: there are {}",
            known.join(", ")
        );
    }
    let chosen = if names.is_empty() {
        found.iter().collect::<Vec<_>>()
    } else {
        names.iter().collect()
    };
    Ok(chosen.into_iter().map(String::as_str).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_by_default_and_unknown_names_are_errors() {
        let found = BTreeSet::from(["proxy".to_owned(), "scale".to_owned()]);
        assert_eq!(choose(&[], &found).unwrap(), ["proxy", "scale"]);
        assert_eq!(choose(&["scale".to_owned()], &found).unwrap(), ["scale"]);
        let error = choose(&["speed".to_owned()], &found).unwrap_err().to_string();
        assert!(error.contains("proxy, scale"), "{error}");
        assert!(choose(&[], &BTreeSet::new()).is_err());
    }

    #[test]
    fn benchmarks_are_the_rs_files() {
        let sources = find(Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/src"))).unwrap();
        assert!(sources.contains("bench") && !sources.contains("lint/"));
    }
}
