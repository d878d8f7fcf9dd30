//! What figures were taken on and with: at the head of every file of results, for a
//! later run may be of another machine, program or length.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

use super::peer::Peer;
use crate::process;

/// Date, commit and machine.
pub(super) fn machine() -> Result<String> {
    let cpuinfo = std::fs::read_to_string("/proc/cpuinfo").context("cannot read /proc/cpuinfo")?;
    let model = cpuinfo
        .lines()
        .find_map(|line| line.strip_prefix("model name\t: "));
    let cores = std::thread::available_parallelism()?;
    let kernel = process::output(Command::new("uname").arg("-sr"))?.unwrap_or_default();
    let date = process::output(Command::new("date").args(["-u", "+%Y-%m-%d %H:%M UTC"]))?;
    Ok(format!(
        "{}, commit {}\n{}, {cores} cores, {kernel}\n",
        date.unwrap_or_default(),
        commit()?,
        model.unwrap_or("unknown processor"),
    ))
}

/// The commit, and whether files differ from it.
fn commit() -> Result<String> {
    let mut git = Command::new("git");
    git.current_dir(process::root()?)
        .args(["describe", "--always", "--dirty=, with changes"]);
    // A copy without history has none to name.
    let described = process::output(&mut git).ok().flatten();
    Ok(described.unwrap_or_else(|| "unknown".to_owned()))
}

/// The proxies: what each says of itself, and how Tidegate was built.
pub(super) fn programs(peers: &[&Peer], tidegate: &Path, built: &str) -> String {
    let mut out = String::new();
    for peer in peers {
        let version = peer.described(tidegate);
        let built = match peer.name {
            "tidegate" => format!("; {built}"),
            _ => String::new(),
        };
        let version = version.unwrap_or_else(|| "unknown version".to_owned());
        let _ = writeln!(out, "{}: {version}{built}", peer.name);
    }
    out
}

/// What the workspace says of a profile: whether there is link-time optimisation
/// makes other figures.
///
/// # Errors
/// There is no such profile, or it inherits from one that there is not.
pub(super) fn profile(name: &str) -> Result<String> {
    let manifest = std::fs::read_to_string(process::root()?.join("Cargo.toml"))?;
    let settings = settings(&manifest, name)?;
    let each: Vec<String> = settings
        .iter()
        .map(|(key, value)| format!("{key} = {value}"))
        .collect();
    Ok(format!("profile {name} ({})", each.join(", ")))
}

/// What a profile sets, and what it inherits and does not set.
fn settings<'a>(manifest: &'a str, name: &str) -> Result<BTreeMap<&'a str, &'a str>> {
    let header = format!("[profile.{name}]");
    let mut lines = manifest.lines().skip_while(|line| line.trim() != header);
    lines
        .next()
        .with_context(|| format!("Cargo.toml has no profile {name:?}"))?;
    let own = lines.take_while(|line| !line.starts_with('['));
    let own = own.filter_map(|line| line.split('#').next()?.split_once('='));
    let mut own: BTreeMap<&str, &str> = own.map(|(key, value)| (key.trim(), value.trim())).collect();
    if let Some(other) = own.remove("inherits") {
        let mut inherited = settings(manifest, other.trim_matches('"'))?;
        inherited.append(&mut own);
        return Ok(inherited);
    }
    Ok(own)
}

/// Where cargo puts the programs of a profile.
pub(super) fn folder(profile: &str) -> Result<PathBuf> {
    let target = std::env::var_os("CARGO_TARGET_DIR").map_or_else(
        || process::root().map(|root| root.join("target")),
        |folder| Ok(folder.into()),
    )?;
    Ok(target.join(match profile {
        "release" | "bench" => "release",
        "dev" | "test" => "debug",
        other => other,
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_profile_says_what_it_sets_and_inherits() {
        let manifest = "[profile.release]\nlto = \"thin\"\ndebug = false # small\n\n\
                        [profile.bench]\ninherits = \"release\"\nlto = \"off\"\n\n[lints]\na = 1\n";
        let of = |name: &str| settings(manifest, name).unwrap();
        assert_eq!(
            of("release"),
            BTreeMap::from([("lto", "\"thin\""), ("debug", "false")])
        );
        assert_eq!(
            of("bench"),
            BTreeMap::from([("lto", "\"off\""), ("debug", "false")])
        );
        assert!(settings(manifest, "fast").is_err());
        assert!(profile("release").unwrap().contains("lto"));
    }
}
