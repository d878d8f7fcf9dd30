//! etcd and a Kubernetes API server of the test's own, in a folder of its own.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use rcgen::{CertificateParams, KeyPair};
use serde_json::{Value, json};
use tempfile::TempDir;

use super::process::{Process, free_port};
use super::within;

const TOKEN: &str = "test-token";
/// A cold start on a busy machine.
const READY: Duration = Duration::from_secs(120);

/// A running API server with its store.
pub struct ApiServer {
    tools: PathBuf,
    etcd_port: u16,
    port: u16,
    pub kubeconfig: PathBuf,
    // Ended in this order: the API server before what it writes to.
    server: Option<Process>,
    _etcd: Process,
    folder: TempDir,
}

impl ApiServer {
    pub fn start() -> Self {
        let tools: PathBuf = std::env::var_os("TIDEGATE_TOOLS")
            .expect("TIDEGATE_TOOLS is set to a folder with etcd, kube-apiserver and kubectl: run `cargo xtask test`")
            .into();
        let folder = tempfile::tempdir().unwrap();
        let (etcd_port, port) = (free_port(), free_port());
        credentials(folder.path(), port);
        let mut server = Self {
            _etcd: start_etcd(&tools, folder.path(), etcd_port),
            tools,
            etcd_port,
            port,
            kubeconfig: folder.path().join("kubeconfig"),
            server: None,
            folder,
        };
        server.restart();
        server
    }

    /// Starts it (again) with what etcd has, and waits until it is ready.
    pub fn restart(&mut self) {
        let file = |name: &str| self.folder.path().join(name).display().to_string();
        let mut command = Command::new(self.tools.join("kube-apiserver"));
        command
            .arg(format!("--etcd-servers=http://127.0.0.1:{}", self.etcd_port))
            .args(["--bind-address=127.0.0.1", "--advertise-address=127.0.0.1"])
            .arg(format!("--secure-port={}", self.port))
            .args([
                "--endpoint-reconciler-type=none",
                "--disable-admission-plugins=ServiceAccount",
            ])
            .arg(format!("--tls-cert-file={}", file("server.crt")))
            .arg(format!("--tls-private-key-file={}", file("server.key")))
            .arg(format!("--token-auth-file={}", file("tokens.csv")))
            .arg("--service-account-issuer=https://kubernetes.default.svc")
            .arg(format!("--service-account-key-file={}", file("accounts.pub")))
            .arg(format!(
                "--service-account-signing-key-file={}",
                file("accounts.key")
            ))
            .args([
                "--service-cluster-ip-range=10.96.0.0/16,fd00:10:96::/112",
                "--authorization-mode=RBAC",
            ])
            .arg("--profiling=false");
        let mut process = Process::start(command, &self.folder.path().join("kube-apiserver.log"));
        within(READY, "the API server is ready", || {
            process.assert_running();
            self.try_kubectl(&["get", "--raw", "/readyz"], None).is_ok()
        });
        self.server = Some(process);
    }

    /// Ends it without warning.
    pub fn kill(&mut self) {
        self.server = None;
    }

    /// Runs kubectl and returns what it printed.
    pub fn kubectl(&self, arguments: &[&str]) -> String {
        self.try_kubectl(arguments, None)
            .unwrap_or_else(|error| panic!("kubectl {arguments:?}: {error}"))
    }

    pub fn apply(&self, object: &Value) {
        self.send(&["apply", "--server-side", "-f", "-"], object);
    }

    /// Faster than `apply` for many.
    pub fn create(&self, objects: &Value) {
        self.send(&["create", "-f", "-"], objects);
    }

    pub fn patch_lease(&self, name: &str, spec: &Value) {
        let patch = json!({ "spec": spec }).to_string();
        self.kubectl(&["patch", "lease", name, "--type=merge", "-p", &patch]);
    }

    /// How many Ingresses with this label have an address.
    pub fn with_address(&self, label: &str) -> usize {
        let path = "jsonpath={range .items[*]}{.status.loadBalancer.ingress[0].ip}{\"\\n\"}{end}";
        let listed = self.kubectl(&["get", "ingress", "-l", label, "-o", path]);
        listed.lines().filter(|line| !line.is_empty()).count()
    }

    fn send(&self, arguments: &[&str], object: &Value) {
        let text = object.to_string();
        if let Err(error) = self.try_kubectl(arguments, Some(&text)) {
            panic!(
                "kubectl {arguments:?}: {error}\n{}",
                text.chars().take(500).collect::<String>()
            );
        }
    }

    pub fn try_kubectl(&self, arguments: &[&str], input: Option<&str>) -> Result<String, String> {
        let mut child = Command::new(self.tools.join("kubectl"))
            .arg(format!("--kubeconfig={}", self.kubeconfig.display()))
            .arg(format!(
                "--cache-dir={}",
                self.folder.path().join("cache").display()
            ))
            .arg("--request-timeout=30s")
            .args(arguments)
            .stdin(if input.is_some() {
                Stdio::piped()
            } else {
                Stdio::null()
            })
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        if let (Some(input), Some(mut stdin)) = (input, child.stdin.take()) {
            stdin.write_all(input.as_bytes()).unwrap();
        }
        let output = child.wait_with_output().unwrap();
        if output.status.success() {
            Ok(String::from_utf8_lossy(&output.stdout).into_owned())
        } else {
            Err(String::from_utf8_lossy(&output.stderr).into_owned())
        }
    }
}

fn start_etcd(tools: &Path, folder: &Path, port: u16) -> Process {
    let (client, peer) = (
        format!("http://127.0.0.1:{port}"),
        format!("http://127.0.0.1:{}", free_port()),
    );
    let mut command = Command::new(tools.join("etcd"));
    command
        .args(["--name=test", "--unsafe-no-fsync", "--log-level=error"])
        .arg(format!("--data-dir={}", folder.join("etcd").display()))
        .arg(format!("--listen-client-urls={client}"))
        .arg(format!("--advertise-client-urls={client}"))
        .arg(format!("--listen-peer-urls={peer}"))
        .arg(format!("--initial-advertise-peer-urls={peer}"))
        .arg(format!("--initial-cluster=test={peer}"));
    Process::start(command, &folder.join("etcd.log"))
}

/// The server's certificate, the key of service account tokens, a token for
/// the administrator, and a kubeconfig that uses it.
fn credentials(folder: &Path, port: u16) {
    let write = |name: &str, text: &str| std::fs::write(folder.join(name), text).unwrap();
    let key = KeyPair::generate().unwrap();
    let names = vec!["localhost".to_owned(), "127.0.0.1".to_owned()];
    let certificate = CertificateParams::new(names).unwrap().self_signed(&key).unwrap();
    write("server.crt", &certificate.pem());
    write("server.key", &key.serialize_pem());
    let accounts = KeyPair::generate().unwrap();
    write("accounts.key", &accounts.serialize_pem());
    write("accounts.pub", &accounts.public_key_pem());
    write("tokens.csv", &format!("{TOKEN},admin,admin,\"system:masters\"\n"));
    let kubeconfig = json!({
        "apiVersion": "v1", "kind": "Config", "current-context": "test",
        "clusters": [{"name": "test", "cluster": {
            "server": format!("https://127.0.0.1:{port}"),
            "certificate-authority": folder.join("server.crt"),
        }}],
        "users": [{"name": "admin", "user": {"token": TOKEN}}],
        "contexts": [{"name": "test", "context": {"cluster": "test", "user": "admin"}}],
    });
    write("kubeconfig", &kubeconfig.to_string());
}
