//! The programs that tests run: etcd, kube-apiserver and kubectl, built from
//! their Go modules as `xtask/tools/kubernetes/go.mod` and `go.sum` pin them.
//! Nobody publishes them in a form that every platform's package registry has,
//! and a build from pinned sources is the same everywhere. Built once per version
//! into the cache folder; the folder of the programs comes back.

mod go;
mod stamp;

use std::fs::{self, File, TryLockError};
use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::{Context, Result};

use self::go::Go;

/// A program, the Go package that it is built from and the module whose version it has.
struct Tool {
    name: &'static str,
    package: &'static str,
    module: &'static str,
}

const TOOLS: &[Tool] = &[
    Tool {
        name: "etcd",
        package: "go.etcd.io/etcd/server/v3",
        module: "go.etcd.io/etcd/server/v3",
    },
    Tool {
        name: "kubectl",
        package: "k8s.io/kubernetes/cmd/kubectl",
        module: "k8s.io/kubernetes",
    },
    Tool {
        name: "kube-apiserver",
        package: "k8s.io/kubernetes/cmd/kube-apiserver",
        module: "k8s.io/kubernetes",
    },
];

const GO_MOD: &str = include_str!("../tools/kubernetes/go.mod");
const GO_SUM: &str = include_str!("../tools/kubernetes/go.sum");

/// Builds what is not there yet in its pinned version.
pub(crate) fn install() -> Result<PathBuf> {
    let kubernetes = go::version_of(GO_MOD, "k8s.io/kubernetes")?;
    let etcd = go::version_of(GO_MOD, "go.etcd.io/etcd/server/v3")?;
    let folder = crate::process::cache()?
        .join("tools")
        .join(format!("kubernetes-{kubernetes}-etcd-{etcd}"));
    let bin = folder.join("bin");
    fs::create_dir_all(&bin).with_context(|| format!("cannot make {}", bin.display()))?;
    let _lock = lock(&folder.join("lock"))?;

    let mut stale = Vec::new();
    for tool in TOOLS {
        let stamp = stamp_of(tool, kubernetes)?;
        if !stamp::is_current(&bin.join(tool.name), &stamp) {
            stale.push((tool, stamp));
        }
    }
    if !stale.is_empty() {
        let go = Go::find(GO_MOD)?;
        for (tool, stamp) in &stale {
            build(&go, tool, kubernetes, &bin.join(tool.name), stamp)?;
        }
    }
    println!("tools: all {} there: {}", TOOLS.len(), bin.display());
    Ok(bin)
}

/// What a program was made from: with any of it changed, it is made again.
fn stamp_of(tool: &Tool, kubernetes: &str) -> Result<String> {
    let version = go::version_of(GO_MOD, tool.module)?;
    let inputs = [GO_MOD, GO_SUM, &go::build_arguments(kubernetes).join("\n")];
    Ok(format!(
        "{} {version} {:016x}\n",
        tool.package,
        stamp::digest(&inputs)
    ))
}

fn build(go: &Go, tool: &Tool, kubernetes: &str, program: &Path, stamp: &str) -> Result<()> {
    let version = go::version_of(GO_MOD, tool.module)?;
    println!(
        "tools: {} {version}: building (minutes, when Go's cache is empty)",
        tool.name
    );
    let start = Instant::now();
    // Renamed when whole: who looks while it is being built never sees half a program.
    let unfinished = program.with_extension("unfinished");
    // What an interrupted build left; Go would refuse to write over it.
    if unfinished.exists() {
        fs::remove_file(&unfinished).with_context(|| format!("cannot remove {}", unfinished.display()))?;
    }
    go.build(tool.name, tool.package, kubernetes, &unfinished)?;
    let size = fs::metadata(&unfinished)
        .with_context(|| format!("go built no {}", unfinished.display()))?
        .len();
    fs::rename(&unfinished, program).with_context(|| format!("cannot put {} in place", program.display()))?;
    stamp::write(program, stamp)?;
    println!(
        "tools: {} {version}: built in {} s, {} MiB",
        tool.name,
        start.elapsed().as_secs(),
        size >> 20
    );
    Ok(())
}

/// Held until dropped: two clones that test at once build each program once.
fn lock(path: &Path) -> Result<File> {
    let file = File::create(path).with_context(|| format!("cannot create {}", path.display()))?;
    if let Err(TryLockError::WouldBlock) = file.try_lock() {
        println!("tools: waiting for another build ({})", path.display());
        file.lock()
            .with_context(|| format!("cannot lock {}", path.display()))?;
    }
    Ok(file)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_tool_is_pinned_and_declared() {
        for tool in TOOLS {
            go::version_of(GO_MOD, tool.module).unwrap();
            assert!(
                GO_MOD.lines().any(|line| line.trim() == tool.package),
                "no `tool` line for {}",
                tool.package
            );
        }
    }

    #[test]
    fn the_stamp_tells_tools_and_versions_apart() {
        let etcd = stamp_of(&TOOLS[0], "v1.36.3").unwrap();
        assert_ne!(etcd, stamp_of(&TOOLS[1], "v1.36.3").unwrap());
        assert_ne!(etcd, stamp_of(&TOOLS[0], "v1.36.4").unwrap());
    }
}
