//! A program of Tidegate, started and ended as a pod is.

use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};

use super::common::Client;
use super::ports;

/// Seconds that it goes on after SIGTERM, until balancers know: the chart has 10.
pub const DELAY: u64 = 2;
/// The longest that anything takes.
const SOON: Duration = Duration::from_secs(60);

/// Killed when dropped.
pub struct Replica {
    child: Child,
    pub http: SocketAddr,
    pub admin: SocketAddr,
}

impl Drop for Replica {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Replica {
    /// Starts one, and waits until it is ready.
    pub async fn start(objects: &Path) -> Result<Self> {
        let [http, https, admin] = [(); 3].map(|()| SocketAddr::from(([127, 0, 0, 1], ports::free_port())));
        let child = Command::new(env!("CARGO_BIN_EXE_tidegate"))
            .args([
                "run",
                "--controller-class=k8s.io/ingress-nginx",
                "--access-log=off",
            ])
            .arg(format!("--provider-directory={}", objects.display()))
            .arg(format!("--shutdown-grace-period={DELAY}"))
            .arg(format!("--http-port={}", http.port()))
            .arg(format!("--https-port={}", https.port()))
            .arg(format!("--healthz-port={}", admin.port()))
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .context("starting tidegate")?;
        let replica = Self { child, http, admin };
        let start = Instant::now();
        while !is_ready(admin).await {
            ensure!(start.elapsed() < SOON, "a program that is never ready");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        Ok(replica)
    }

    /// Asks it to end by SIGTERM, and waits until it has; how long that took.
    pub async fn end(mut self) -> Result<Duration> {
        let start = Instant::now();
        let mut kill = Command::new("kill");
        ensure!(
            kill.arg(self.child.id().to_string()).status()?.success(),
            "it had ended before"
        );
        loop {
            if let Some(status) = self.child.try_wait()? {
                ensure!(status.success(), "it ended with {status}");
                return Ok(start.elapsed());
            }
            ensure!(start.elapsed() < SOON, "it does not end");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}

/// What a kubelet asks.
pub async fn is_ready(admin: SocketAddr) -> bool {
    let asked = async {
        let mut client = Client::connect(admin, "admin", "/readyz").await.ok()?;
        let (status, _) = client.exchange().await.ok()?;
        Some(status == 200)
    };
    asked.await.unwrap_or(false)
}
