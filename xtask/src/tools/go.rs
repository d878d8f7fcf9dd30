//! The Go toolchain: is it there and new enough, and one build with it.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use crate::process;

/// How often a build that says nothing shows that it lives.
const HEARTBEAT: Duration = Duration::from_secs(60);

/// A Go toolchain that can build the pinned modules.
pub(super) struct Go {
    modules: PathBuf,
}

impl Go {
    /// Looks for `go` on the PATH, in the version that the `go.mod` of a folder asks for or a newer one.
    pub(super) fn find(folder: &str, go_mod: &str) -> Result<Go> {
        let modules = process::root()?.join("xtask/tools").join(folder);
        let needed = line_after(go_mod, "go ").context("go.mod has no `go` line")?;
        let found = process::output(
            Command::new("go")
                .args(["env", "GOVERSION"])
                .current_dir(&modules),
        )?;
        check(needed, found.as_deref())?;
        Ok(Go { modules })
    }

    /// Builds one package into a file, from exactly the modules in `go.sum`.
    pub(super) fn build(&self, name: &str, package: &str, arguments: &[String], into: &Path) -> Result<()> {
        let mut command = Command::new("go");
        command
            .current_dir(&self.modules)
            .env("CGO_ENABLED", "0")
            .env("GOWORK", "off")
            .env_remove("GOFLAGS");
        command
            .arg("build")
            .args(arguments)
            .arg("-o")
            .arg(into)
            .arg(package);
        let what = process::shown(&command);
        let mut child = command
            .stdin(Stdio::null())
            .spawn()
            .with_context(|| format!("cannot run `{what}`"))?;
        let (start, mut shown) = (Instant::now(), Duration::ZERO);
        let status = loop {
            if let Some(status) = child
                .try_wait()
                .with_context(|| format!("cannot wait for `{what}`"))?
            {
                break status;
            }
            if start.elapsed() >= shown + HEARTBEAT {
                shown += HEARTBEAT;
                println!("tools: {name}: {} s", shown.as_secs());
            }
            thread::sleep(Duration::from_millis(100));
        };
        if !status.success() {
            bail!("`{what}` failed: {status}");
        }
        Ok(())
    }
}

/// The same program from the same sources wherever it is built, small, and with
/// the variables that its linker sets.
pub(super) fn build_arguments(variables: &[(&str, String)]) -> Vec<String> {
    let mut flags = "-s -w".to_owned();
    for (name, value) in variables {
        flags.push_str(&format!(" -X {name}={value}"));
    }
    ["-mod=readonly", "-trimpath", "-ldflags", &flags]
        .map(str::to_owned)
        .to_vec()
}

/// The version that a `go.mod` requires of a module.
pub(crate) fn version_of<'a>(go_mod: &'a str, module: &str) -> Result<&'a str> {
    let version = line_after(go_mod, &format!("{module} ")).and_then(|rest| rest.split_whitespace().next());
    version.with_context(|| format!("go.mod does not require {module}"))
}

fn line_after<'a>(go_mod: &'a str, start: &str) -> Option<&'a str> {
    go_mod
        .lines()
        .find_map(|line| line.trim_start().strip_prefix(start))
}

fn check(needed: &str, found: Option<&str>) -> Result<()> {
    let what = format!("Go {needed} or newer builds the programs that the tests run");
    let how = "install it (distributions often have an older one: see Go's own download page) and put it on the PATH";
    match found {
        None => bail!("there is no `go` on the PATH: {what}; {how}"),
        Some(found) if numbers(found) < numbers(needed) => bail!("`go` is {found}: {what}; {how}"),
        Some(_) => Ok(()),
    }
}

/// The numbers of a version such as `go1.26.8` or `1.26.0`, to compare.
fn numbers(version: &str) -> Vec<u32> {
    let plain = version
        .trim_start_matches("go")
        .split([' ', '-'])
        .next()
        .unwrap_or_default();
    plain.split('.').map_while(|part| part.parse().ok()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_old_or_missing_go_says_what_is_needed() {
        check("1.26.0", Some("go1.26.0")).unwrap();
        check("1.26.0", Some("go1.27.1 X:something")).unwrap();
        check("1.9.0", Some("go1.26.8")).unwrap();
        for found in [None, Some("go1.19.8"), Some("go1.25.9")] {
            let error = check("1.26.0", found).unwrap_err().to_string();
            assert!(
                error.contains("Go 1.26.0 or newer") && error.contains("install"),
                "{error}"
            );
        }
    }

    #[test]
    fn versions_come_from_the_require_lines() {
        let text = "go 1.26.0\nrequire (\n\tk8s.io/kubernetes v1.36.3 // indirect\n)\n";
        assert_eq!(version_of(text, "k8s.io/kubernetes").unwrap(), "v1.36.3");
        assert!(version_of(text, "go.etcd.io/etcd").is_err());
    }
}
