//! The program itself, run on a directory of YAML.

#![allow(dead_code, unreachable_pub, reason = "each test program uses a part of it")]

#[path = "ports.rs"]
mod ports;

use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Instant;

pub use ports::free_ports;

use crate::support::{PATIENCE, client, secret};

/// `tidegate run` on a directory of its own; it is killed when dropped.
pub struct Program {
    /// The plain listener.
    pub http: SocketAddr,
    /// The TLS listener.
    pub https: SocketAddr,
    /// The admin port.
    pub admin: SocketAddr,
    folder: tempfile::TempDir,
    child: Child,
}

impl Program {
    /// Starts it with one file of YAML, class `nginx` adopted, and waits until
    /// it is ready.
    ///
    /// # Panics
    /// When it is not within [`PATIENCE`].
    pub async fn start(yaml: &str) -> Self {
        Self::start_with(yaml, &[]).await
    }

    /// [`Program::start`] with more arguments.
    pub async fn start_with(yaml: &str, more: &[&str]) -> Self {
        Self::start_in(yaml, more, &[]).await
    }

    /// [`Program::start_with`] with variables of the environment.
    pub async fn start_in(yaml: &str, more: &[&str], environment: &[(&str, &str)]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("objects.yaml"), yaml).unwrap();
        let [http, https, admin] = free_ports();
        let child = Command::new(env!("CARGO_BIN_EXE_tidegate"))
            .arg("run")
            .arg("--provider-directory")
            .arg(folder.path())
            .args(["--controller-class=k8s.io/ingress-nginx", "--access-log=off"])
            .arg(format!("--http-port={}", http.port()))
            .arg(format!("--https-port={}", https.port()))
            .arg(format!("--healthz-port={}", admin.port()))
            .args(more)
            .envs(environment.iter().copied())
            .stdin(Stdio::null())
            .spawn()
            .unwrap();
        let mut program = Self {
            http,
            https,
            admin,
            folder,
            child,
        };
        program.ready().await;
        program
    }

    /// Where its objects are; files may be changed at any time.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    async fn ready(&mut self) {
        let start = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                panic!("the program ended: {status}");
            }
            if tokio::net::TcpStream::connect(self.admin).await.is_ok()
                && client::get(self.admin, "admin", "/readyz").await.status == 200
            {
                return;
            }
            assert!(start.elapsed() < PATIENCE, "not ready within {PATIENCE:?}");
            tokio::time::sleep(std::time::Duration::from_millis(10)).await;
        }
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// [`secret::certificate_secret`] for hosts that can be in a certificate.
pub fn certificate_secret(name: &str, hosts: &[&str]) -> String {
    secret::certificate_secret(name, hosts).unwrap()
}
