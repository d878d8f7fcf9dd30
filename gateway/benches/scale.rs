//! How the program bears size: time from start to serving, resident memory,
//! and memory after everything was deleted, with objects from a directory.
//!
//! `TIDEGATE` names another program than the one built for benchmarks: a release is
//! smaller, and a file that has just been written takes more memory than one that is
//! read from disk.

#![allow(clippy::print_stdout, reason = "a benchmark's product is its table")]

#[path = "common/common.rs"]
mod common;
#[path = "common/objects.rs"]
mod objects;
#[path = "../tests/support/ports.rs"]
mod ports;

use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

/// Objects to a file: a directory is many files, not one.
const INGRESSES_A_FILE: usize = 100;

struct Goal {
    ingresses: usize,
    serving_seconds: f64,
    resident_mib: f64,
}

const GOALS: &[Goal] = &[
    Goal {
        ingresses: 100,
        serving_seconds: 1.0,
        resident_mib: 50.0,
    },
    Goal {
        ingresses: 1_000,
        serving_seconds: 1.0,
        resident_mib: 40.0,
    },
    Goal {
        ingresses: 10_000,
        serving_seconds: 3.0,
        resident_mib: 200.0,
    },
];

fn main() -> Result<()> {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?
        .block_on(measure())
}

async fn measure() -> Result<()> {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
    let port = listener.local_addr()?.port();
    tokio::spawn(common::backend(listener, vec![b'x'; 64].into()));

    println!("an Ingress has 3 paths, its Service 3 endpoints; objects come from YAML files");
    println!(
        "{:>10}{:>12}{:>8}{:>14}{:>8}{:>18}",
        "ingresses", "serving s", "goal", "resident MiB", "goal", "after delete MiB"
    );
    let mut empty = 0.0;
    for goal in [&Goal {
        ingresses: 0,
        serving_seconds: 1.0,
        resident_mib: 50.0,
    }]
    .into_iter()
    .chain(GOALS)
    {
        let folder = tempfile::tempdir()?;
        write_objects(folder.path(), goal.ingresses, port)?;
        let start = Instant::now();
        let program = Program::start(folder.path())?;
        program.serving(goal.ingresses).await?;
        let serving = start.elapsed().as_secs_f64();
        tokio::time::sleep(common::SETTLED).await;
        let resident = common::resident_mib(program.child.id())?;
        if goal.ingresses == 0 {
            empty = resident;
        }
        let after = program.deleted(folder.path(), goal.ingresses).await?;
        println!(
            "{:>10}{serving:>12.2}{:>8}{resident:>14.1}{:>8}{after:>11.1} ({:.2}×)",
            goal.ingresses,
            goal.serving_seconds,
            goal.resident_mib,
            after / empty
        );
    }
    println!("goal after deletion: under 1.5 × the empty process");
    Ok(())
}

struct Program {
    child: Child,
    http: SocketAddr,
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Program {
    fn start(folder: &Path) -> Result<Self> {
        let ports = [(); 3].map(|()| ports::free_port());
        let built = || env!("CARGO_BIN_EXE_tidegate").into();
        let child = Command::new(std::env::var_os("TIDEGATE").unwrap_or_else(built))
            .arg("run")
            .arg("--provider-directory")
            .arg(folder)
            .args(["--controller-class=k8s.io/ingress-nginx", "--access-log=off"])
            .arg(format!("--http-port={}", ports[0]))
            .arg(format!("--https-port={}", ports[1]))
            .arg(format!("--healthz-port={}", ports[2]))
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .context("starting tidegate")?;
        Ok(Self {
            child,
            http: SocketAddr::from(([127, 0, 0, 1], ports[0])),
        })
    }

    /// Waits until the last Ingress answers (an empty directory: anything).
    async fn serving(&self, ingresses: usize) -> Result<()> {
        let (host, wanted) = match ingresses {
            0 => ("nobody.test".to_owned(), 404),
            count => (format!("host-{}.test", count - 1), 200),
        };
        self.answers(&host, wanted).await
    }

    async fn answers(&self, host: &str, wanted: u16) -> Result<()> {
        let start = Instant::now();
        while start.elapsed() < Duration::from_secs(60) {
            if let Ok(mut client) = common::Client::connect(self.http, host, "/").await
                && client.exchange().await.is_ok_and(|(status, _)| status == wanted)
            {
                return Ok(());
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        bail!("{host} did not answer {wanted} within 60 s")
    }

    /// Memory after every object was removed and some time has passed.
    async fn deleted(&self, folder: &Path, ingresses: usize) -> Result<f64> {
        for entry in std::fs::read_dir(folder)? {
            std::fs::remove_file(entry?.path())?;
        }
        if ingresses > 0 {
            self.answers(&format!("host-{}.test", ingresses - 1), 404).await?;
        }
        tokio::time::sleep(Duration::from_secs(15)).await;
        Ok(common::resident_mib(self.child.id())?)
    }
}

fn write_objects(folder: &Path, ingresses: usize, port: u16) -> Result<()> {
    std::fs::write(folder.join("class.yaml"), objects::CLASS)?;
    for file in 0..ingresses.div_ceil(INGRESSES_A_FILE) {
        let mut text = String::new();
        for index in file * INGRESSES_A_FILE..((file + 1) * INGRESSES_A_FILE).min(ingresses) {
            write_ingress(&mut text, index, index + 1 == ingresses, port);
        }
        std::fs::write(folder.join(format!("{file:05}.yaml")), text)?;
    }
    Ok(())
}

/// One Ingress with its Service and EndpointSlice. Only the last one's
/// endpoints are alive; the others are never asked.
fn write_ingress(text: &mut String, index: usize, alive: bool, port: u16) {
    let address = |replica| {
        if alive {
            "127.0.0.1".to_owned()
        } else {
            format!("127.{}.{}.{}", 1 + replica, index / 250, 1 + index % 250)
        }
    };
    let addresses: Vec<String> = (0..3).map(address).collect();
    let endpoints: Vec<(&str, bool)> = addresses.iter().map(|address| (&**address, true)).collect();
    text.push_str(&objects::ingress(index, index));
    text.push_str(&objects::service(index));
    text.push_str(&objects::slice(index, "1", port, &endpoints));
}
