//! The programs that tests run: etcd, kube-apiserver, kubectl, helm and k6, built
//! from their Go modules as `go.mod` and `go.sum` in folders of `xtask/tools` pin them.
//! Nobody publishes them in a form that every platform's package registry has,
//! and a build from pinned sources is the same everywhere. Built once per version
//! into the cache folder; the folder of the programs comes back.

mod go;
mod stamp;

use std::fs::{self, File, TryLockError};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

use anyhow::{Context, Result};

pub(crate) use self::go::version_of;

use self::go::Go;

/// A program, the Go package that it is built from and the module whose version it has.
struct Tool {
    name: &'static str,
    package: &'static str,
    module: &'static str,
    pins: &'static Pins,
}

/// Where versions stand.
struct Pins {
    /// In `xtask/tools`.
    folder: &'static str,
    go_mod: &'static str,
    go_sum: &'static str,
    /// Variables that the linker sets, for a version of Kubernetes.
    variables: fn(&str) -> Vec<(&'static str, String)>,
}

static KUBERNETES: Pins = Pins {
    folder: "kubernetes",
    go_mod: include_str!("../tools/kubernetes/go.mod"),
    go_sum: include_str!("../tools/kubernetes/go.sum"),
    // What clients ask the API server for.
    variables: |kubernetes| {
        vec![
            ("k8s.io/component-base/version.gitVersion", kubernetes.to_owned()),
            ("k8s.io/component-base/version.gitTreeState", "clean".to_owned()),
        ]
    },
};

static HELM: Pins = Pins {
    folder: "helm",
    go_mod: include_str!("../tools/helm/go.mod"),
    go_sum: include_str!("../tools/helm/go.sum"),
    // Which Kubernetes `helm template` and `helm lint` take for granted.
    variables: |kubernetes| {
        let numbers = kubernetes.trim_start_matches('v').split('.').map(str::to_owned);
        let variables = [
            "helm.sh/helm/v3/pkg/chartutil.k8sVersionMajor",
            "helm.sh/helm/v3/pkg/chartutil.k8sVersionMinor",
        ];
        variables.into_iter().zip(numbers).collect()
    },
};

static K6: Pins = Pins {
    folder: "k6",
    go_mod: include_str!("../tools/k6/go.mod"),
    go_sum: include_str!("../tools/k6/go.sum"),
    variables: |_| Vec::new(),
};

const TOOLS: &[Tool] = &[
    Tool {
        name: "etcd",
        package: "go.etcd.io/etcd/server/v3",
        module: "go.etcd.io/etcd/server/v3",
        pins: &KUBERNETES,
    },
    Tool {
        name: "kubectl",
        package: "k8s.io/kubernetes/cmd/kubectl",
        module: "k8s.io/kubernetes",
        pins: &KUBERNETES,
    },
    Tool {
        name: "kube-apiserver",
        package: "k8s.io/kubernetes/cmd/kube-apiserver",
        module: "k8s.io/kubernetes",
        pins: &KUBERNETES,
    },
    Tool {
        name: "helm",
        package: "helm.sh/helm/v3/cmd/helm",
        module: "helm.sh/helm/v3",
        pins: &HELM,
    },
    Tool {
        name: "k6",
        package: "go.k6.io/k6",
        module: "go.k6.io/k6",
        pins: &K6,
    },
];

/// The folder of a Go module, which it is loaded into if need be; `pins` is the
/// folder in `xtask/tools` whose `go.sum` it must agree with.
pub(crate) fn module_folder(pins: &str, module: &str) -> Result<PathBuf> {
    let go = |arguments: &[&str]| -> Result<Command> {
        let mut command = Command::new("go");
        command
            .current_dir(crate::process::root()?.join("xtask/tools").join(pins))
            .env("GOWORK", "off")
            .args(arguments);
        Ok(command)
    };
    crate::process::run(&mut go(&["mod", "download", module])?)?;
    let folder = crate::process::output(&mut go(&["list", "-m", "-f", "{{.Dir}}", module])?)?;
    let folder = folder.with_context(|| format!("Go knows no folder of {module}"))?;
    Ok(PathBuf::from(folder.trim()))
}

/// Builds what is not there yet in its pinned version.
pub(crate) fn install() -> Result<PathBuf> {
    let kubernetes = go::version_of(KUBERNETES.go_mod, "k8s.io/kubernetes")?;
    let etcd = go::version_of(KUBERNETES.go_mod, "go.etcd.io/etcd/server/v3")?;
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
    for (tool, stamp) in &stale {
        build(tool, kubernetes, &bin.join(tool.name), stamp)?;
    }
    println!("tools: all {} there: {}", TOOLS.len(), bin.display());
    Ok(bin)
}

/// What a program was made from: with any of it changed, it is made again.
fn stamp_of(tool: &Tool, kubernetes: &str) -> Result<String> {
    let version = go::version_of(tool.pins.go_mod, tool.module)?;
    let arguments = arguments(tool, kubernetes).join("\n");
    let inputs = [tool.pins.go_mod, tool.pins.go_sum, &arguments];
    Ok(format!(
        "{} {version} {:016x}\n",
        tool.package,
        stamp::digest(&inputs)
    ))
}

fn arguments(tool: &Tool, kubernetes: &str) -> Vec<String> {
    go::build_arguments(&(tool.pins.variables)(kubernetes))
}

fn build(tool: &Tool, kubernetes: &str, program: &Path, stamp: &str) -> Result<()> {
    let go = Go::find(tool.pins.folder, tool.pins.go_mod)?;
    let version = go::version_of(tool.pins.go_mod, tool.module)?;
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
    go.build(tool.name, tool.package, &arguments(tool, kubernetes), &unfinished)?;
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
            go::version_of(tool.pins.go_mod, tool.module).unwrap();
            let lines = tool.pins.go_mod.lines();
            assert!(
                lines
                    .map(|line| line.trim().trim_start_matches("tool "))
                    .any(|line| line == tool.package),
                "no `tool` line for {}",
                tool.package
            );
        }
    }

    #[test]
    fn the_linker_is_told_the_version_of_kubernetes() {
        let flags = |name: &str| {
            let tool = TOOLS.iter().find(|tool| tool.name == name).unwrap();
            arguments(tool, "v1.36.3").pop().unwrap()
        };
        assert_eq!(
            flags("etcd"),
            "-s -w -X k8s.io/component-base/version.gitVersion=v1.36.3 \
             -X k8s.io/component-base/version.gitTreeState=clean"
        );
        assert_eq!(
            flags("helm"),
            "-s -w -X helm.sh/helm/v3/pkg/chartutil.k8sVersionMajor=1 \
             -X helm.sh/helm/v3/pkg/chartutil.k8sVersionMinor=36"
        );
        assert_eq!(flags("k6"), "-s -w");
    }

    #[test]
    fn the_stamp_tells_tools_and_versions_apart() {
        let etcd = stamp_of(&TOOLS[0], "v1.36.3").unwrap();
        assert_ne!(etcd, stamp_of(&TOOLS[1], "v1.36.3").unwrap());
        assert_ne!(etcd, stamp_of(&TOOLS[0], "v1.36.4").unwrap());
    }
}
