//! Goldens: `tests/translate/FEATURE/CASE.yaml` holds objects, `CASE.snap`
//! beside it what they translate to. `INSTA_UPDATE=always` writes the latter.
//!
//! Two kinds of documents are the tests' own: `Options` (flags, as far as cases
//! need them) and `TestCertificate` (becomes a TLS Secret with a new key).
//! Unless a case says otherwise, Ingresses need no class. A ConfigMap with the
//! name of ingress-nginx's own is that of `--configmap`, and so are `tcp-services`
//! and `udp-services`; an example may name `--enable-ssl-passthrough`.

#![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]

use std::path::{Path, PathBuf};

use serde::Deserialize;
use serde_json::{Value, json};
use tidegate_controller::manifest;
use tidegate_controller::objects::{NamespacedName, Object, Objects};
use tidegate_controller::options::{GatewayServices, Options, ServiceKind};
use tidegate_controller::translate::gateway::status::{Condition, GatewayStatus};
use tidegate_controller::translate::{TABLE, Translation, translate};
use tidegate_snapshot::policy::Hsts;
use tidegate_snapshot::{AccessLog, Certificate, Policies, RouteTable};

const CASES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/translate");
const EXAMPLES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../conf/examples");

#[test]
fn every_case_translates_as_recorded() {
    let cases = yaml_files(Path::new(CASES));
    assert!(cases.len() >= 30, "only {} cases found", cases.len());
    let failed: Vec<_> = cases
        .iter()
        .filter(|case| std::panic::catch_unwind(|| check(case, case.parent().unwrap())).is_err())
        .collect();
    assert!(failed.is_empty(), "{} cases differ: {failed:#?}", failed.len());
}

#[test]
fn every_example_translates_without_a_problem() {
    let examples = yaml_files(Path::new(EXAMPLES));
    assert!(!examples.is_empty());
    for example in examples {
        let snapshots = Path::new(CASES).join("examples");
        check(&example, &snapshots);
        let case = Case::read(&example);
        assert_eq!(case.translate().problems, [], "{}", example.display());
    }
}

/// Documents that are the tests' own.
#[derive(Deserialize)]
#[serde(tag = "kind", deny_unknown_fields)]
#[allow(clippy::large_enum_variant, reason = "a few live, one at a time")]
enum Own {
    #[serde(rename_all = "camelCase")]
    Options {
        ingress_class: Option<String>,
        controller_classes: Option<Vec<String>>,
        #[serde(default)]
        ingress_class_by_name: bool,
        #[serde(default)]
        needs_class: bool,
        annotations_prefix: Option<String>,
        default_ssl_certificate: Option<String>,
        default_backend_service: Option<String>,
        #[serde(default)]
        disable_catch_all: bool,
        #[serde(default)]
        disable_svc_external_name: bool,
        no_hsts: Option<bool>,
        ssl_redirect: Option<bool>,
        #[serde(default)]
        global_allowed_response_headers: Vec<String>,
        tcp_services: Option<String>,
        udp_services: Option<String>,
        #[serde(default)]
        reserved_ports: Vec<u16>,
        #[serde(default)]
        tls_passthrough: bool,
        zone: Option<Box<str>>,
        #[serde(default)]
        gateway_addresses: Vec<String>,
        gateway_services: Option<OwnServices>,
        /// Show listeners too.
        #[serde(default)]
        listeners: bool,
    },
    #[serde(rename_all = "camelCase")]
    TestCertificate {
        namespace: String,
        name: String,
        hosts: Vec<String>,
        /// Give it a key that is not its own.
        #[serde(default)]
        other_key: bool,
        /// Common name alone, without alternative names.
        common_name: Option<String>,
    },
}

/// `gatewayApi.services`.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
struct OwnServices {
    #[serde(rename = "type")]
    kind: String,
    last_port: u16,
    external_traffic_policy_local: bool,
    external_addresses: Vec<String>,
}

impl Default for OwnServices {
    fn default() -> Self {
        Self {
            kind: "LoadBalancer".to_owned(),
            last_port: 20999,
            external_traffic_policy_local: false,
            external_addresses: Vec::new(),
        }
    }
}

impl OwnServices {
    fn options(&self) -> GatewayServices {
        let kinds = [
            ServiceKind::LoadBalancer,
            ServiceKind::NodePort,
            ServiceKind::ClusterIP,
        ];
        GatewayServices {
            kind: kinds.into_iter().find(|kind| kind.as_str() == self.kind).unwrap(),
            ports: 20000..=self.last_port,
            external_traffic_policy: self.external_traffic_policy_local.then_some("Local"),
            load_balancer_class: None,
            external_addresses: networks(&self.external_addresses),
            addresses: Vec::new(),
        }
    }
}

fn networks(texts: &[String]) -> Vec<ipnet::IpNet> {
    texts.iter().map(|text| text.parse().unwrap()).collect()
}

struct Case {
    options: Options,
    objects: Objects,
    show_listeners: bool,
}

impl Case {
    fn read(path: &Path) -> Self {
        let text = std::fs::read_to_string(path).unwrap();
        let named = |name: &str| {
            let named = text.contains(&format!("name: {name}"));
            named.then(|| NamespacedName::new("ingress-nginx", name))
        };
        let mut case = Self {
            options: Options {
                watch_ingress_without_class: true,
                config_map: named("ingress-nginx-controller"),
                tcp_services: named("tcp-services"),
                udp_services: named("udp-services"),
                tls_passthrough: text.contains("--enable-ssl-passthrough"),
                // The example says that it needs them.
                gateway_services: text
                    .contains("gatewayApi.services")
                    .then(|| OwnServices::default().options()),
                ..Options::default()
            },
            objects: Objects::new(),
            show_listeners: false,
        };
        for document in format!("\n{text}").split("\n---\n") {
            if document.contains("kind: Options") || document.contains("kind: TestCertificate") {
                case.own(
                    serde_saphyr::from_str(document).unwrap_or_else(|error| panic!("{path:?}: {error}")),
                );
                continue;
            }
            let manifest = manifest::parse("case", document);
            assert_eq!(
                (&manifest.errors, &manifest.skipped),
                (&vec![], &vec![]),
                "{path:?}"
            );
            for object in manifest.objects {
                case.objects.apply(object);
            }
        }
        case
    }

    fn own(&mut self, own: Own) {
        match own {
            Own::Options {
                ingress_class,
                controller_classes,
                ingress_class_by_name,
                needs_class,
                annotations_prefix,
                default_ssl_certificate,
                default_backend_service,
                disable_catch_all,
                disable_svc_external_name,
                no_hsts,
                ssl_redirect,
                global_allowed_response_headers,
                tcp_services,
                udp_services,
                reserved_ports,
                tls_passthrough,
                zone,
                gateway_addresses,
                gateway_services,
                listeners,
            } => {
                let name = |text: Option<String>| text.map(|text| NamespacedName::parse(&text).unwrap());
                let defaults = Options::default();
                self.show_listeners = listeners;
                self.options = Options {
                    ingress_class: ingress_class.unwrap_or(defaults.ingress_class),
                    controller_classes: controller_classes.unwrap_or(defaults.controller_classes),
                    ingress_class_by_name,
                    watch_ingress_without_class: !needs_class,
                    annotations_prefix: annotations_prefix.unwrap_or(defaults.annotations_prefix),
                    default_ssl_certificate: name(default_ssl_certificate),
                    default_backend_service: name(default_backend_service),
                    disable_catch_all,
                    disable_svc_external_name,
                    tcp_services: name(tcp_services),
                    udp_services: name(udp_services),
                    reserved_ports,
                    tls_passthrough,
                    zone,
                    hsts: if no_hsts == Some(true) {
                        None
                    } else {
                        defaults.hsts
                    },
                    ssl_redirect: ssl_redirect.unwrap_or(true),
                    global_allowed_response_headers,
                    gateway_addresses: networks(&gateway_addresses),
                    gateway_services: gateway_services.map(|services| services.options()),
                    ..Options::default()
                };
            }
            Own::TestCertificate {
                namespace,
                name,
                hosts,
                other_key,
                common_name,
            } => {
                self.objects
                    .apply(certificate(&namespace, &name, hosts, other_key, common_name));
            }
        }
    }

    fn translate(&self) -> Translation {
        translate(&self.objects, &self.options)
    }
}

fn certificate(
    namespace: &str,
    name: &str,
    hosts: Vec<String>,
    other_key: bool,
    common_name: Option<String>,
) -> Object {
    let key = rcgen::KeyPair::generate().unwrap();
    let mut params = rcgen::CertificateParams::new(hosts).unwrap();
    if let Some(common_name) = common_name {
        params
            .distinguished_name
            .push(rcgen::DnType::CommonName, common_name);
    }
    let certificate = params.self_signed(&key).unwrap();
    let key = if other_key {
        rcgen::KeyPair::generate().unwrap()
    } else {
        key
    };
    let indent = |text: &str| text.replace('\n', "\n    ");
    let text = format!(
        "apiVersion: v1\nkind: Secret\ntype: kubernetes.io/tls\nmetadata: {{name: {name}, namespace: {namespace}}}\nstringData:\n  tls.crt: |\n    {}\n  tls.key: |\n    {}\n",
        indent(&certificate.pem()),
        indent(&key.serialize_pem()),
    );
    manifest::parse("certificate", &text).objects.pop().unwrap()
}

fn check(case: &Path, snapshots: &Path) {
    let mut settings = insta::Settings::new();
    settings.set_snapshot_path(snapshots);
    settings.set_prepend_module_to_snapshot(false);
    settings.set_omit_expression(true);
    let read = Case::read(case);
    let shown = show(&read, &read.translate());
    settings.bind(|| insta::assert_yaml_snapshot!(case.file_stem().unwrap().to_str().unwrap(), shown));
}

/// The translation without what is the same in every case.
fn show(case: &Case, translation: &Translation) -> Value {
    let snapshot = &translation.snapshot;
    let table = &snapshot.tables[TABLE];
    let mut shown = json!({
        "hosts": hosts(table),
        "clusters": snapshot.clusters,
        "endpoints": snapshot.endpoints.iter().map(|(key, endpoints)| {
            let addresses: Vec<_> = endpoints.iter().map(|endpoint| endpoint.address.to_string()).collect();
            (key.to_string(), addresses)
        }).collect::<std::collections::BTreeMap<_, _>>(),
        "accepted": translation.accepted.iter().map(ToString::to_string).collect::<Vec<_>>(),
    });
    let streams: std::collections::BTreeMap<_, _> = snapshot
        .tables
        .iter()
        .filter(|(_, table)| !table.streams.is_empty())
        .map(|(name, table)| (name, &table.streams))
        .collect();
    if !streams.is_empty() {
        shown["streams"] = json!(streams);
    }
    for cluster in shown["clusters"].as_object_mut().unwrap().values_mut() {
        // New in every run.
        if let Some(certificate) = cluster.pointer_mut("/tls/client_certificate") {
            *certificate = certificate["names"].take();
        }
        let origin = &cluster["origin"];
        cluster["origin"] = object(origin);
    }
    let client_auth = table.hosts.iter().filter_map(|(name, host)| {
        let mut demanded = serde_json::to_value(host.client_auth.as_ref()?).unwrap();
        demanded["origin"] = object(&demanded["origin"]);
        Some((name.to_string(), demanded))
    });
    let client_auth: serde_json::Map<_, _> = client_auth.collect();
    if !client_auth.is_empty() {
        shown["client_auth"] = client_auth.into();
    }
    let tls = table.hosts.iter().filter_map(|(name, host)| {
        let settings = serde_json::to_value(host.tls.as_ref()?).unwrap();
        Some((name.to_string(), settings))
    });
    let tls: serde_json::Map<_, _> = tls.collect();
    if !tls.is_empty() {
        shown["tls"] = tls.into();
    }
    if !translation.problems.is_empty() {
        let problems = translation
            .problems
            .iter()
            .map(|problem| json!({"reason": problem.reason, "text": problem.to_string()}));
        shown["problems"] = problems.collect();
    }
    if !table.certificates.is_empty() || table.default_certificate.is_some() {
        let name = |certificate: &Certificate| format!("{} {:?}", certificate.origin, certificate.names);
        shown["certificates"] = table
            .certificates
            .iter()
            .map(|(host, certificate)| (host.to_string(), json!(name(certificate))))
            .collect();
        shown["default_certificate"] = json!(table.default_certificate.as_deref().map(name));
    }
    if snapshot.tables.len() > 1 || !translation.gateway_api.classes.is_empty() {
        gateway_api(&mut shown, translation);
    }
    if let Some(ocsp) = &snapshot.ocsp {
        shown["ocsp"] = json!(ocsp);
    }
    if *snapshot.access_log != AccessLog::default() {
        shown["access_log"] = json!(snapshot.access_log);
    }
    if case.show_listeners {
        shown["listeners"] = serde_json::to_value(&snapshot.listeners).unwrap();
    }
    shown
}

/// What there is besides Ingresses.
fn gateway_api(shown: &mut Value, translation: &Translation) {
    fn conditions(conditions: &[Condition]) -> Vec<String> {
        let text = |condition: &Condition| {
            let text = format!("{} {} {}", condition.kind, condition.status, condition.reason);
            match condition.message.as_str() {
                "" => text,
                message => format!("{text}: {message}"),
            }
        };
        conditions.iter().map(text).collect()
    }
    fn gateway(status: &GatewayStatus) -> Value {
        let listeners = status.listeners.iter().map(|listener| {
            let kinds: Vec<_> = listener.kinds.iter().map(|kind| kind.kind.as_str()).collect();
            json!({
                "name": listener.name,
                "kinds": kinds,
                "attached": listener.attached,
                "conditions": conditions(&listener.conditions),
                "served_by": match listener.served_by.as_slice() {
                    [] => Value::Null,
                    [only] => json!(only),
                    several => json!(several),
                },
            })
        });
        let mut value = json!({
            "conditions": conditions(&status.conditions),
            "address": format!("{:?}", status.address),
            "listeners": listeners.collect::<Vec<_>>(),
        });
        if status.attached_sets > 0 {
            value["listener_sets"] = json!(status.attached_sets);
        }
        if let Some(failure) = &status.unprogrammable {
            value["unprogrammable"] = json!(format!("{}: {}", failure.reason, failure.message));
        }
        value
    }
    let snapshot = &translation.snapshot;
    let statuses = &translation.gateway_api;
    let tables = snapshot.tables.iter().filter(|(name, _)| ***name != *TABLE);
    shown["tables"] = tables
        .map(|(name, table)| {
            let certificates = table
                .certificates
                .iter()
                .map(|(host, certificate)| (host.to_string(), json!(certificate.origin.to_string())));
            let certificates: serde_json::Map<_, _> = certificates.collect();
            let mut value = json!({ "hosts": hosts(table) });
            if !certificates.is_empty() {
                value["certificates"] = certificates.into();
            }
            (name.to_string(), value)
        })
        .collect();
    shown["bound"] = snapshot
        .listeners
        .iter()
        .map(|(key, listener)| {
            let text = format!(
                "{:?} {} table {}",
                listener.protocol, listener.address, listener.table
            );
            (key.to_string(), json!(text))
        })
        .collect();
    let services = translation.infrastructure.services.iter();
    let services: serde_json::Map<_, _> = services
        .map(|(name, service)| (name.to_string(), json!(service)))
        .collect();
    if !services.is_empty() {
        shown["services"] = services.into();
    }
    let classes = statuses.classes.iter();
    let classes =
        classes.map(|(name, status)| (name.name.to_string(), json!(conditions(&status.conditions))));
    let gateways = statuses.gateways.iter();
    let gateways = gateways.map(|(name, status)| (format!("Gateway {name}"), gateway(status)));
    let sets = statuses.listener_sets.iter();
    let sets = sets.map(|(name, status)| (format!("ListenerSet {name}"), gateway(status)));
    let routes = statuses.routes.iter().map(|((kind, name), status)| {
        let parents = status.parents.iter().map(|(parent, all)| {
            let section = parent.section_name.as_deref().unwrap_or_default();
            json!({ "parent": format!("{} {section}", parent.name).trim_end(), "conditions": conditions(all) })
        });
        (format!("{kind} {name}"), parents.collect::<Value>())
    });
    let policies = statuses.policies.iter();
    let policies = policies.map(|(name, status)| {
        (
            format!("BackendTLSPolicy {name}"),
            json!(conditions(&status.conditions)),
        )
    });
    let all = classes.chain(gateways).chain(sets).chain(routes).chain(policies);
    shown["statuses"] = all.collect();
    for part in ["hosts", "clusters", "endpoints", "accepted", "tables"] {
        let empty = |value: &Value| match value {
            Value::Object(fields) => fields.is_empty(),
            Value::Array(items) => items.is_empty(),
            _ => false,
        };
        if empty(&shown[part]) {
            shown.as_object_mut().unwrap().remove(part);
        }
    }
    // The clusters of plain Services say nothing new.
    for cluster in shown["clusters"]
        .as_object_mut()
        .into_iter()
        .flat_map(serde_json::Map::values_mut)
    {
        *cluster = json!(format!(
            "{} {}",
            cluster["origin"].as_str().unwrap_or_default(),
            cluster["protocol"]
        ));
    }
}

fn object(origin: &Value) -> Value {
    let part = |name: &str| origin[name].as_str().unwrap();
    match part("namespace") {
        "" => json!(format!("{} {}", part("kind"), part("name"))),
        namespace => json!(format!("{} {namespace}/{}", part("kind"), part("name"))),
    }
}

fn hosts(table: &RouteTable) -> Value {
    let usual = serde_json::to_value(Policies {
        hsts: Some(Hsts::default()),
        ..Policies::default()
    })
    .unwrap();
    let route = |route: &tidegate_snapshot::Route| {
        let mut value = serde_json::to_value(route).unwrap();
        let fields = value.as_object_mut().unwrap();
        let path = fields["match"]["path"].take();
        let more = fields["match"].as_object_mut().unwrap();
        more.retain(|_, part| !part.is_null());
        if !more.is_empty() {
            let more = more.clone();
            fields.insert("when".to_owned(), more.into());
        }
        fields.insert("match".to_owned(), path);
        let origin = object(&fields["origin"]);
        fields.insert("origin".to_owned(), origin);
        let policies = fields["policies"].as_object_mut().unwrap();
        policies.retain(|name, policy| usual.get(name) != Some(policy));
        if policies.is_empty() {
            fields.remove("policies");
        }
        value
    };
    table
        .hosts
        .iter()
        .map(|(name, host)| {
            if *name != host.hostname {
                return (name.to_string(), json!(format!("alias of {}", host.hostname)));
            }
            let routes: Vec<_> = host.routes.iter().map(|shared| route(shared)).collect();
            (name.to_string(), Value::from(routes))
        })
        .collect()
}

fn yaml_files(directory: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files.extend(yaml_files(&path));
        } else if path.extension().is_some_and(|extension| extension == "yaml") {
            files.push(path);
        }
    }
    files.sort();
    files
}
