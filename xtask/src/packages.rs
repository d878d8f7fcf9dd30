//! System packages that building and testing need, with the reason for each.
//! What is missing is installed where that can be done without asking (root on a
//! Debian-like system); elsewhere the command to run is the error.

use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::process;

/// One program that must be on the PATH, and the Debian package that has it.
struct Package {
    program: &'static str,
    debian: &'static str,
    reason: &'static str,
}

const PACKAGES: &[Package] = &[
    Package {
        program: "cc",
        debian: "gcc",
        reason: "compiles the C of aws-lc, jemalloc and zstd, and links",
    },
    Package {
        program: "make",
        debian: "make",
        reason: "jemalloc's build script runs it",
    },
    Package {
        program: "cmake",
        debian: "cmake",
        reason: "aws-lc and zlib-ng are configured with it",
    },
    Package {
        program: "prometheus",
        debian: "prometheus",
        reason: "a test evaluates the queries of dashboards and alerts with it",
    },
    Package {
        program: "valgrind",
        debian: "valgrind",
        reason: "counts instructions, which must not grow unnoticed",
    },
];

/// Installs what is missing, or fails with the command that would.
pub(crate) fn install() -> Result<()> {
    let missing: Vec<&Package> = PACKAGES
        .iter()
        .filter(|package| !process::on_path(package.program))
        .collect();
    if missing.is_empty() {
        println!("packages: all {} there", PACKAGES.len());
        return Ok(());
    }
    for package in &missing {
        println!("packages: {} is missing: {}", package.program, package.reason);
    }
    let names: Vec<&str> = missing.iter().map(|package| package.debian).collect();
    if !process::on_path("apt-get") || !is_root()? {
        bail!("{}", instructions(&missing));
    }
    // A machine whose package lists are fresh is spared the update.
    if apt(&["install"], &names).is_err() {
        apt(&["update"], &[])?;
        apt(&["install"], &names)?;
    }
    match missing.iter().find(|package| !process::on_path(package.program)) {
        Some(package) => bail!(
            "package {} is installed, but {} is not on the PATH",
            package.debian,
            package.program
        ),
        None => Ok(()),
    }
}

/// What a person has to do where this program cannot.
fn instructions(missing: &[&Package]) -> String {
    let programs: Vec<&str> = missing.iter().map(|package| package.program).collect();
    let names: Vec<&str> = missing.iter().map(|package| package.debian).collect();
    let names = names.join(" ");
    format!(
        "not on the PATH: {}; on Debian or Ubuntu run `sudo apt-get install {names}`",
        programs.join(", ")
    )
}

fn apt(action: &[&str], names: &[&str]) -> Result<()> {
    let mut command = Command::new("apt-get");
    command
        .env("DEBIAN_FRONTEND", "noninteractive")
        // Services that come with a package are not started.
        .env("RUNLEVEL", "1")
        .args(["-y", "-qq"])
        .args(action);
    if !names.is_empty() {
        command.arg("--no-install-recommends").args(names);
    }
    process::run(&mut command)
}

fn is_root() -> Result<bool> {
    let user = process::output(Command::new("id").arg("-u"))?.context("there is no `id` program")?;
    Ok(user == "0")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_instructions_name_program_and_package() {
        let text = instructions(&[&PACKAGES[0], &PACKAGES[2]]);
        assert!(
            text.contains("cc, cmake") && text.contains("apt-get install gcc cmake"),
            "{text}"
        );
    }

    #[test]
    fn every_package_has_its_reason() {
        assert!(PACKAGES.iter().all(|package| !package.reason.is_empty()));
    }
}
