//! The program under test.

use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use super::process::{Process, free_port};
use super::{SOON, http, within};

/// The pod that the program takes itself for, in the namespace `default`.
pub const POD: &str = "edge-7";

/// A running `tidegate run`.
pub struct Program {
    process: Process,
    pub http: SocketAddr,
    pub https: SocketAddr,
    pub admin: SocketAddr,
}

impl Program {
    /// Starts it as an ingress-nginx would be started, and waits until it is
    /// ready.
    pub fn start(kubeconfig: &Path, address: &str, more: &[String]) -> Self {
        let local = |port: u16| SocketAddr::from(([127, 0, 0, 1], port));
        let (http, https, admin) = (local(free_port()), local(free_port()), local(free_port()));
        let mut command = Command::new(env!("CARGO_BIN_EXE_tidegate"));
        command
            .arg("run")
            .arg(format!("--kubeconfig={}", kubeconfig.display()))
            .args(["--ingress-class=nginx", "--controller-class=k8s.io/ingress-nginx"])
            .arg(format!("--publish-status-address={address}"))
            .arg("--election-ttl=4s")
            .arg(format!("--http-port={}", http.port()))
            .arg(format!("--https-port={}", https.port()))
            .args([
                "--healthz-host=127.0.0.1".to_owned(),
                format!("--healthz-port={}", admin.port()),
            ])
            .args(more)
            // As the chart sets them; metrics name them.
            .envs([("POD_NAME", POD), ("POD_NAMESPACE", "default")]);
        let log = kubeconfig.with_file_name("tidegate.log");
        let mut program = Self {
            process: Process::start(command, &log),
            http,
            https,
            admin,
        };
        let took = within(SOON, "the gateway is ready", || {
            program.process.assert_running();
            http::get(program.admin, "admin", "/readyz").is_some_and(|answer| answer.status == 200)
        });
        println!("gateway ready after {took:?}");
        program
    }

    /// The value of a metric without labels.
    pub fn metric(&self, name: &str) -> f64 {
        let mut answer = None;
        // With thousands of objects on a busy machine the page can come late.
        within(SOON, "the metrics are answered", || {
            answer = http::get(self.admin, "admin", "/metrics");
            answer.is_some()
        });
        let line = answer
            .as_ref()
            .unwrap()
            .body
            .lines()
            .find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        line.unwrap_or_else(|| panic!("no metric {name}"))
            .parse()
            .unwrap()
    }

    /// Ends it by SIGTERM, and expects success.
    pub fn terminate(&mut self, limit: Duration) -> Duration {
        let start = Instant::now();
        let status = self.process.terminate(limit);
        assert!(status.success(), "{status}");
        start.elapsed()
    }
}
