//! The program with the chart's arguments and the rights of its ServiceAccount:
//! it can do all that it wants to, and is refused nothing.

use std::net::SocketAddr;
use std::process::Command;
use std::time::Duration;

use serde_json::{Value, json};

use super::api_server::ApiServer;
use super::helm::{self, NAMESPACE, Objects, RELEASE, release_command, values};
use super::install::install;
use super::process::{Process, free_port};
use super::{gateway_api, http, within};

pub const ADDRESS: &str = "203.0.113.9";
pub const SOON: Duration = Duration::from_secs(30);

/// Values, the namespace of an Ingress that they serve, and what the program may
/// be refused.
const CASES: [(&str, &str, &[&str]); 3] = [
    ("made-certificate", "shop", &[]),
    // No right in the whole cluster: classes cannot be read, their name is enough.
    (
        "one-namespace",
        NAMESPACE,
        &["GatewayClass", "IngressClass", "Namespace"],
    ),
    ("labelled-namespaces", "shop", &[]),
];

pub fn they_suffice(api: &ApiServer) {
    api.kubectl(&["label", "namespace", "shop", "blog", "team=web"]);
    for (name, namespace, refused) in CASES {
        let mut arguments = values(name);
        let address = format!("controller.extraArgs.publish-status-address={ADDRESS}");
        arguments.extend(helm::set(&[&address]));
        if !refused.contains(&"GatewayClass") {
            arguments.extend(helm::set(&[gateway_api::CLASS]));
        }
        install(&api.kubeconfig, "install", &arguments).unwrap();
        let objects = Objects(helm::objects(&helm::template(&arguments).unwrap()));
        served(api, name, namespace, &objects, refused);
        release_command(&["uninstall", RELEASE, "--wait"], &api.kubeconfig).unwrap();
    }
}

fn served(api: &ApiServer, name: &str, namespace: &str, objects: &Objects, refused: &[&str]) {
    let [http, https, admin] = [free_port(), free_port(), free_port()];
    let folder = tempfile::tempdir().unwrap();
    let kubeconfig = folder.path().join("kubeconfig");
    std::fs::write(&kubeconfig, of_service_account(api).to_string()).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_tidegate"));
    let webhook = SocketAddr::from(([127, 0, 0, 1], free_port()));
    let reviews = !objects.of_kind("ValidatingWebhookConfiguration").is_empty();
    command
        .args(objects.args())
        .args(reviews.then(|| format!("--validating-webhook={webhook}")))
        .args([
            format!("--kubeconfig={}", kubeconfig.display()),
            format!("--http-port={http}"),
            format!("--https-port={https}"),
            format!("--healthz-port={admin}"),
        ])
        .env("POD_NAME", "gateway")
        .env("POD_NAMESPACE", NAMESPACE);
    let log = folder.path().join("tidegate.log");
    let mut process = Process::start(command, &log);
    let admin = SocketAddr::from(([127, 0, 0, 1], admin));
    within(SOON, "the gateway is ready", || {
        process.assert_running();
        http::get(admin, "admin", "/readyz").is_some_and(|answer| answer.status == 200)
    });
    let ingress = ingress(name, namespace, objects);
    api.apply(&ingress);
    let target = [
        "--namespace",
        namespace,
        "--output",
        "jsonpath={.status.loadBalancer.ingress[0].ip}",
    ];
    within(SOON, "the address is in the status", || {
        api.kubectl(&[&["get", "ingress", name], &target[..]].concat()) == ADDRESS
    });
    let event = [
        "--field-selector",
        "reason=Sync",
        "--output",
        "jsonpath={.items[*].involvedObject.name}",
    ];
    within(SOON, "an Event", || {
        api.kubectl(&[&["get", "events", "--namespace", namespace], &event[..]].concat())
            .contains(name)
    });
    if reviews {
        let secret = "jsonpath={.data.ca}";
        let bundle = "jsonpath={.webhooks[0].clientConfig.caBundle}";
        let name = "edge-tidegate-admission";
        within(SOON, "the webhook has a certificate that is trusted", || {
            let secret = api.kubectl(&["get", "secret", name, "--namespace", NAMESPACE, "-o", secret]);
            let trusted =
                api.kubectl(&["get", "validatingwebhookconfiguration", name, "-o", bundle]) == secret;
            trusted && !secret.is_empty() && http::certificate(webhook, "webhook").is_some()
        });
    }
    if !objects.of_kind("GatewayClass").is_empty() {
        let http = SocketAddr::from(([127, 0, 0, 1], http));
        gateway_api::served(api, name, namespace, http);
    }
    let metrics = http::get(admin, "admin", "/metrics").unwrap().body;
    let failed: Vec<&str> = metrics
        .lines()
        .filter_map(|line| line.strip_prefix("tidegate_controller_watch_errors_total{kind=\""))
        .filter_map(|rest| rest.split('"').next())
        .collect();
    assert_eq!(failed, refused, "{name}: watches that failed");
    assert!(process.terminate(SOON).success());
    let log = std::fs::read_to_string(log).unwrap();
    let forbidden = log.lines().filter(|line| line.contains("forbidden"));
    let concerns = |line: &str, kind: &str| {
        let kind = kind.to_lowercase();
        let plural = if kind.ends_with("class") {
            kind + "es"
        } else {
            kind + "s"
        };
        line.contains(&format!("{plural}.")) || line.contains(&format!("{plural} is forbidden"))
    };
    let unexpected: Vec<&str> = forbidden
        .filter(|line| refused.iter().all(|kind| !concerns(line, kind)))
        .collect();
    assert!(unexpected.is_empty(), "{name}: {unexpected:#?}");
    println!("{name}: served with the rights of its ServiceAccount");
}

/// A kubeconfig with a token of the release's ServiceAccount.
fn of_service_account(api: &ApiServer) -> Value {
    let text = std::fs::read_to_string(&api.kubeconfig).unwrap();
    let mut kubeconfig: Value = serde_json::from_str(&text).unwrap();
    let token = api.kubectl(&["create", "token", "edge-tidegate", "--namespace", NAMESPACE]);
    kubeconfig["users"][0]["user"] = json!({"token": token.trim()});
    kubeconfig
}

/// An Ingress of the class that the values serve.
fn ingress(name: &str, namespace: &str, objects: &Objects) -> Value {
    let class = objects
        .args()
        .into_iter()
        .find_map(|arg| arg.strip_prefix("--ingress-class="))
        .unwrap();
    let mut annotations = json!({});
    let mut spec = json!({"rules": [{"host": format!("{name}.example"), "http": {"paths": [{
        "path": "/", "pathType": "Prefix",
        "backend": {"service": {"name": "web", "port": {"number": 80}}},
    }]}}]});
    // Where classes cannot be read, the annotation names one.
    if objects.of_kind("IngressClass").is_empty() {
        annotations["kubernetes.io/ingress.class"] = json!(class);
    } else {
        spec["ingressClassName"] = json!(class);
    }
    json!({
        "apiVersion": "networking.k8s.io/v1", "kind": "Ingress", "spec": spec,
        "metadata": {"name": name, "namespace": namespace, "annotations": annotations},
    })
}
