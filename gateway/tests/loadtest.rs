//! The load tests of `loadtest/`, each for a moment, against the real program:
//! they run, they pass when all is well, and they fail when it is not.

#![allow(
    dead_code,
    unreachable_pub,
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "tests"
)]

#[path = "loadtest/backend.rs"]
mod backend;
#[path = "support/program.rs"]
mod program;
#[path = "support/support.rs"]
mod support;

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::process::{Command, Output};

use program::{Program, certificate_secret};
use serde_json::Value;

/// The host that scripts ask for unless told otherwise.
const HOST: &str = "hello.nginx.com";

/// Each script with what makes it short.
const SCRIPTS: &[(&str, &[(&str, &str)])] = &[
    ("smoke", &[("ITERATIONS", "2")]),
    ("steady", &[("RATE", "20"), ("DURATION", "1s")]),
    (
        "ramp",
        &[("RATE", "20"), ("STEP", "500ms"), ("STEPS", "2"), ("TLS", "true")],
    ),
    (
        "spike",
        &[
            ("LOW", "2"),
            ("RATE", "20"),
            ("REST", "500ms"),
            ("DURATION", "500ms"),
        ],
    ),
    ("soak", &[("RATE", "10"), ("DURATION", "1s")]),
    ("upload", &[("VUS", "2"), ("SIZE", "100000"), ("DURATION", "1s")]),
    (
        "tls",
        &[("VUS", "2"), ("DURATION", "1s"), ("TLS_VERSION", "tls1.2")],
    ),
    (
        "websocket",
        &[
            ("VUS", "3"),
            ("MESSAGES", "20"),
            ("DURATION", "1s"),
            ("REQUEST_PATH", "/socket"),
        ],
    ),
    ("grpc", &[("VUS", "2"), ("DURATION", "1s")]),
];

fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../loadtest")
}

/// Objects for all scripts: one host, and a path for each kind of backend.
fn objects(plain: u16, grpc: u16) -> String {
    let service = |name: &str, port: u16| {
        format!(
            "---\napiVersion: v1\nkind: Service\nmetadata: {{name: {name}}}\nspec: {{ports: [{{port: 80, targetPort: {port}}}]}}\n\
             ---\napiVersion: discovery.k8s.io/v1\nkind: EndpointSlice\n\
             metadata: {{name: {name}, labels: {{kubernetes.io/service-name: {name}}}}}\naddressType: IPv4\n\
             ports: [{{port: {port}, protocol: TCP}}]\nendpoints: [{{addresses: [127.0.0.1]}}]\n"
        )
    };
    let ingress = |name: &str, path: &str, annotations: &str| {
        format!(
            "---\napiVersion: networking.k8s.io/v1\nkind: Ingress\n\
             metadata: {{name: {name}, annotations: {{{annotations}}}}}\n\
             spec:\n  ingressClassName: nginx\n  tls: [{{hosts: [{HOST}], secretName: certificate}}]\n  rules:\n  \
             - host: {HOST}\n    http: {{paths: [{{path: {path}, pathType: Prefix, \
             backend: {{service: {{name: {name}, port: {{number: 80}}}}}}}}]}}\n"
        )
    };
    let prefix = "nginx.ingress.kubernetes.io";
    [
        "apiVersion: networking.k8s.io/v1\nkind: IngressClass\nmetadata: {name: nginx}\n\
         spec: {controller: k8s.io/ingress-nginx}\n"
            .to_owned(),
        certificate_secret("certificate", &[HOST]),
        service("plain", plain),
        ingress("plain", "/", &format!("{prefix}/ssl-redirect: 'false'")),
        service("grpc", grpc),
        ingress(
            "grpc",
            "/grpc.health.v1.Health",
            &format!("{prefix}/backend-protocol: GRPC"),
        ),
    ]
    .concat()
}

fn k6(program: &Program, script: &str, variables: &[(&str, &str)]) -> Output {
    let tools = std::env::var_os("TIDEGATE_TOOLS").expect("run `cargo xtask test`");
    let mut command = Command::new(PathBuf::from(tools).join("k6"));
    command
        .args(["run", "--quiet", "--no-color", "--no-usage-report", "--address="])
        .arg(folder().join(format!("k6/{script}.js")))
        .env("ADDRESS", program.http.to_string())
        .env("TLS_ADDRESS", program.https.to_string())
        // A machine that compiles meanwhile answers late.
        .env("MAX_P99", "5000")
        .env("MAX_HANDSHAKE_P99", "5000");
    for (name, value) in variables {
        command.env(name, value);
    }
    command
        .output()
        .unwrap_or_else(|error| panic!("{command:?}: {error}"))
}

fn text(output: &Output) -> String {
    format!(
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    )
}

#[test]
fn every_script_is_tried() {
    let files = std::fs::read_dir(folder().join("k6")).unwrap();
    let names = files.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let scripts: BTreeSet<String> = names
        .filter_map(|name| Some(name.strip_suffix(".js")?.to_owned()))
        .collect();
    let tried: BTreeSet<String> = SCRIPTS.iter().map(|(name, _)| (*name).to_owned()).collect();
    assert_eq!(scripts, tried);
}

#[tokio::test(flavor = "multi_thread")]
async fn scripts_pass_when_all_is_well_and_fail_when_not() {
    let (plain, grpc) = (backend::plain(), backend::grpc().await);
    let program = Program::start(&objects(plain, grpc)).await;
    let folder = tempfile::tempdir().unwrap();
    for (script, variables) in SCRIPTS {
        let summary = folder.path().join(format!("{script}.json"));
        let mut variables = variables.to_vec();
        variables.push(("SUMMARY", summary.to_str().unwrap()));
        let output = tokio::task::block_in_place(|| k6(&program, script, &variables));
        assert!(output.status.success(), "{script}: {}", text(&output));
        assert!(
            text(&output).contains(&format!("\n{script}: passed, ")),
            "{}",
            text(&output)
        );
        let summary: Value = serde_json::from_str(&std::fs::read_to_string(summary).unwrap()).unwrap();
        let passes = summary["metrics"]["checks"]["values"]["passes"].as_u64().unwrap();
        println!("{script}: {passes} checks passed");
        assert!(passes > 1, "{script}: {summary}");
    }
    for (script, broken) in [
        ("steady", ("STATUS", "201")),
        ("steady", ("HOST", "nobody.invalid")),
        ("upload", ("SIZE", "2000000")),
        ("websocket", ("REQUEST_PATH", "/")),
        ("grpc", ("METHOD", "grpc.health.v1.Health/Watch")),
    ] {
        let (_, variables) = SCRIPTS.iter().find(|(name, _)| *name == script).unwrap();
        let mut variables = variables.to_vec();
        variables.push(broken);
        let output = tokio::task::block_in_place(|| k6(&program, script, &variables));
        assert!(
            !output.status.success(),
            "{script} with {broken:?}: {}",
            text(&output)
        );
    }
}
