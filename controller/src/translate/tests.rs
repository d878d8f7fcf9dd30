//! What the memory of a translator must never change: the answer.

use proptest::prelude::*;

use super::*;
use crate::manifest;
use crate::objects::{Change, Kind, NamespacedName, Object};

const NAMESPACES: [&str; 2] = ["a", "a-b"];
const HOSTS: [&str; 4] = ["", "x.example", "*.example", "y.example"];
const PATHS: [&str; 5] = ["/", "/foo", "/foo/", "/foo/bar", "/healthz"];
const SERVICES: [&str; 3] = ["c", "b-c", "web"];
const SECRETS: [&str; 2] = ["cert", "other"];

pub(super) fn read(text: &str) -> Object {
    let manifest = manifest::parse("test", text);
    assert_eq!(manifest.errors, [], "{text}");
    manifest.objects.into_iter().next().unwrap()
}

#[derive(Clone, Debug)]
pub(super) struct Rules {
    namespace: usize,
    name: usize,
    created: usize,
    host: usize,
    paths: Vec<(usize, usize, bool)>,
    annotation: usize,
    tls: usize,
    default_backend: bool,
    class: usize,
}

impl Rules {
    fn object(&self) -> Object {
        let annotations = [
            "{}",
            "{nginx.ingress.kubernetes.io/backend-protocol: HTTPS}",
            "{nginx.ingress.kubernetes.io/load-balance: ewma}",
            "{nginx.ingress.kubernetes.io/service-upstream: 'true'}",
            "{nginx.ingress.kubernetes.io/auth-url: 'http://a'}",
            "{nginx.ingress.kubernetes.io/load-balance: bad}",
            "{nginx.ingress.kubernetes.io/canary: 'true'}",
            "{nginx.ingress.kubernetes.io/proxy-read-timeout: '5'}",
            "{nginx.ingress.kubernetes.io/server-alias: 'x.example,z.example'}",
            "{nginx.ingress.kubernetes.io/from-to-www-redirect: 'true'}",
            "{nginx.ingress.kubernetes.io/auth-type: basic, nginx.ingress.kubernetes.io/auth-secret: cert}",
        ];
        let host = HOSTS[self.host];
        let tls = match self.tls {
            0 => String::new(),
            1 => "  tls: [{secretName: cert}]\n".to_owned(),
            2 => format!("  tls: [{{hosts: ['{host}'], secretName: cert}}]\n"),
            3 => format!("  tls: [{{hosts: ['{host}'], secretName: other}}, {{secretName: cert}}]\n"),
            4 => "  tls: [{secretName: cert}, {secretName: other}]\n".to_owned(),
            _ => format!("  tls: [{{hosts: ['{host}']}}]\n"),
        };
        let mut text = format!(
            "apiVersion: networking.k8s.io/v1
kind: Ingress
metadata:
  name: i{}
  namespace: {}
  creationTimestamp: '2024-01-01T00:00:0{}Z'
  annotations: {}
spec:
  ingressClassName: {}
{tls}",
            self.name,
            NAMESPACES[self.namespace],
            self.created,
            annotations[self.annotation % annotations.len()],
            ["nginx", "nginx", "other"][self.class],
        );
        if self.default_backend {
            text += "  defaultBackend: {service: {name: web, port: {number: 80}}}\n";
        }
        if !self.paths.is_empty() {
            text += &format!("  rules:\n  - host: '{host}'\n    http:\n      paths:\n");
        }
        for (path, service, exact) in &self.paths {
            text += &format!(
                "      - {{path: {}, pathType: {}, backend: {{service: {{name: {}, port: {{number: 80}}}}}}}}\n",
                PATHS[*path],
                if *exact { "Exact" } else { "Prefix" },
                SERVICES[*service],
            );
        }
        read(&text)
    }
}

fn service(namespace: usize, service: usize, variant: usize) -> Object {
    let spec = [
        "{clusterIP: 192.0.2.100, ports: [{port: 80, targetPort: 8080}]}",
        "{ports: [{port: 81}]}",
        "{type: ExternalName, externalName: example.com}",
    ][variant];
    read(&format!(
        "apiVersion: v1\nkind: Service\nmetadata: {{name: {}, namespace: {}}}\nspec: {spec}\n",
        SERVICES[service], NAMESPACES[namespace],
    ))
}

fn slice(namespace: usize, service: usize, addresses: usize) -> Object {
    let endpoints: Vec<_> = (0..addresses)
        .map(|index| format!("{{addresses: [192.0.2.{index}]}}"))
        .collect();
    read(&format!(
        "apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {{name: s-{0}, namespace: {1}, labels: {{kubernetes.io/service-name: {0}}}}}
addressType: IPv4
ports: [{{port: 8080}}]
endpoints: [{2}]
",
        SERVICES[service],
        NAMESPACES[namespace],
        endpoints.join(", "),
    ))
}

fn class(name: &str, ours: bool) -> Object {
    let controller = if ours {
        crate::options::CONTROLLER_CLASS
    } else {
        "x"
    };
    read(&format!(
        "apiVersion: networking.k8s.io/v1\nkind: IngressClass\nmetadata: {{name: {name}}}\nspec: {{controller: {controller}}}\n"
    ))
}

fn pem(name: &str) -> (String, String) {
    let key = rcgen::KeyPair::generate().unwrap();
    let params = rcgen::CertificateParams::new(vec![name.to_owned()]).unwrap();
    (params.self_signed(&key).unwrap().pem(), key.serialize_pem())
}

fn secret(namespace: usize, name: usize, variant: usize) -> Object {
    static PAIRS: std::sync::OnceLock<[(String, String); 2]> = std::sync::OnceLock::new();
    let pairs = PAIRS.get_or_init(|| [pem("*.example"), pem("x.example")]);
    let (certificate, key) = match variant {
        0 | 1 => (&pairs[variant].0, &pairs[variant].1),
        _ => (&pairs[0].0, &pairs[1].1),
    };
    let indent = |text: &str| text.replace('\n', "\n    ");
    read(&format!(
        "apiVersion: v1\nkind: Secret\ntype: kubernetes.io/tls\nmetadata: {{name: {}, namespace: {}}}\nstringData:\n  tls.crt: |\n    {}\n  tls.key: |\n    {}\n",
        SECRETS[name],
        NAMESPACES[namespace],
        indent(certificate),
        indent(key),
    ))
}

#[derive(Clone, Debug)]
pub(super) enum Edit {
    Apply(Box<Rules>),
    DeleteIngress(usize, usize),
    Service(usize, usize, usize),
    DeleteService(usize, usize),
    Slice(usize, usize, usize),
    DeleteSlice(usize, usize),
    Secret(usize, usize, usize),
    DeleteSecret(usize, usize),
    Class(usize, bool),
}

impl Edit {
    pub(super) fn apply(&self, objects: &mut Objects) -> Change {
        let classes = ["nginx", "other"];
        match self {
            Self::Apply(rules) => objects.apply(rules.object()),
            Self::DeleteIngress(namespace, name) => {
                objects.delete(Kind::Ingress, NAMESPACES[*namespace], &format!("i{name}"))
            }
            Self::Service(namespace, name, variant) => objects.apply(service(*namespace, *name, *variant)),
            Self::DeleteService(namespace, name) => {
                objects.delete(Kind::Service, NAMESPACES[*namespace], SERVICES[*name])
            }
            Self::Slice(namespace, service, count) => objects.apply(slice(*namespace, *service, *count)),
            Self::DeleteSlice(namespace, service) => {
                let name = format!("s-{}", SERVICES[*service]);
                objects.delete(Kind::EndpointSlice, NAMESPACES[*namespace], &name)
            }
            Self::Secret(namespace, name, variant) => objects.apply(secret(*namespace, *name, *variant)),
            Self::DeleteSecret(namespace, name) => {
                objects.delete(Kind::Secret, NAMESPACES[*namespace], SECRETS[*name])
            }
            Self::Class(name, ours) => objects.apply(class(classes[*name], *ours)),
        }
    }
}

fn rules() -> impl Strategy<Value = Rules> {
    let path = (0..PATHS.len(), 0..SERVICES.len(), any::<bool>());
    let paths = proptest::collection::vec(path, 0..3);
    let identity = (0..2usize, 0..4usize, 0..3usize, 0..HOSTS.len());
    (identity, paths, 0..20usize, 0..6usize, any::<bool>(), 0..3usize).prop_map(
        |((namespace, name, created, host), paths, annotation, tls, default_backend, class)| Rules {
            namespace,
            name,
            created,
            host,
            paths,
            // More than there are variants: half have none.
            annotation: if annotation > 10 { 0 } else { annotation },
            tls,
            default_backend,
            class,
        },
    )
}

pub(super) fn edit() -> impl Strategy<Value = Edit> {
    prop_oneof![
        8 => rules().prop_map(|rules| Edit::Apply(Box::new(rules))),
        3 => (0..2usize, 0..4usize).prop_map(|(a, b)| Edit::DeleteIngress(a, b)),
        4 => (0..2usize, 0..3usize, 0..3usize).prop_map(|(a, b, c)| Edit::Service(a, b, c)),
        1 => (0..2usize, 0..3usize).prop_map(|(a, b)| Edit::DeleteService(a, b)),
        4 => (0..2usize, 0..3usize, 0..3usize).prop_map(|(a, b, c)| Edit::Slice(a, b, c)),
        1 => (0..2usize, 0..3usize).prop_map(|(a, b)| Edit::DeleteSlice(a, b)),
        2 => (0..2usize, 0..2usize, 0..3usize).prop_map(|(a, b, c)| Edit::Secret(a, b, c)),
        1 => (0..2usize, 0..2usize).prop_map(|(a, b)| Edit::DeleteSecret(a, b)),
        1 => (0..2usize, any::<bool>()).prop_map(|(a, b)| Edit::Class(a, b)),
    ]
}

fn options(default_backend: bool) -> Options {
    Options {
        default_backend_service: default_backend.then(|| NamespacedName::new("a", "web")),
        ..Options::default()
    }
}

/// Ingresses with TLS that come, change and go while Secrets mostly stay.
fn tls_edit() -> impl Strategy<Value = Edit> {
    let with_tls = (rules(), 0..7usize).prop_map(|(rules, tls)| {
        Edit::Apply(Box::new(Rules {
            // Canaries among them; other names of hosts now and then.
            annotation: match rules.annotation {
                annotation @ (0 | 6) => annotation,
                8 if tls == 6 => 8,
                _ => 0,
            },
            class: 0,
            tls,
            ..rules
        }))
    });
    prop_oneof![
        12 => with_tls,
        4 => (0..2usize, 0..4usize).prop_map(|(a, b)| Edit::DeleteIngress(a, b)),
        1 => (0..2usize, 0..2usize, 0..3usize).prop_map(|(a, b, c)| Edit::Secret(a, b, c)),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn memory_never_changes_the_answer(
        edits in proptest::collection::vec((edit(), any::<bool>()), 1..40),
        default_backend in any::<bool>(),
    ) {
        let options = options(default_backend);
        let mut objects = Objects::new();
        objects.apply(class("nginx", true));
        let mut translator = Translator::new(options.clone());
        let mut accepted = Arc::new(Vec::new());
        for (edit, look) in edits {
            match edit.apply(&mut objects) {
                Change::None => {}
                Change::Endpoints { namespace, service } => {
                    translator.endpoints(&objects, &namespace, &service);
                }
                Change::Status | Change::Everything => {}
            }
            if !look {
                continue;
            }
            let remembered = translator.translate(&objects);
            let fresh = translate(&objects, &options);
            prop_assert_eq!(&remembered.problems, &fresh.problems);
            prop_assert_eq!(&remembered.accepted, &fresh.accepted);
            let mut newly_accepted = remembered.accepted.to_vec();
            newly_accepted.retain(|object| !accepted.contains(object));
            prop_assert_eq!(&remembered.newly_accepted, &newly_accepted);
            accepted = remembered.accepted;
            prop_assert_eq!(&*remembered.snapshot, &*fresh.snapshot);
            prop_assert!(Arc::ptr_eq(&remembered.snapshot, &translator.translate(&objects).snapshot));
        }
    }

    #[test]
    fn certificates_are_those_of_a_choice_from_nothing(
        secrets in proptest::collection::vec(0..3usize, 4),
        edits in proptest::collection::vec((tls_edit(), any::<bool>()), 1..40),
        default in any::<bool>(),
    ) {
        let options = Options {
            default_ssl_certificate: default.then(|| NamespacedName::new("a", "cert")),
            ..Options::default()
        };
        let mut objects = Objects::new();
        objects.apply(class("nginx", true));
        for (number, variant) in secrets.into_iter().enumerate() {
            objects.apply(secret(number / 2, number % 2, variant));
        }
        let mut translator = Translator::new(options.clone());
        translator.translate(&objects);
        for (edit, look) in edits {
            edit.apply(&mut objects);
            if !look {
                continue;
            }
            let remembered = translator.translate(&objects);
            let fresh = translate(&objects, &options);
            let table = |translation: &Translation| translation.snapshot.tables[TABLE].clone();
            prop_assert_eq!(&table(&remembered).certificates, &table(&fresh).certificates);
            prop_assert_eq!(&remembered.problems, &fresh.problems);
            prop_assert_eq!(&remembered.snapshot, &fresh.snapshot);
        }
    }

    #[test]
    fn the_fast_path_gives_the_endpoints_of_a_full_translation(
        rules in proptest::collection::vec(rules(), 1..6),
        slices in proptest::collection::vec((0..2usize, 0..3usize, 0..3usize), 1..10),
    ) {
        let options = Options::default();
        let mut objects = Objects::new();
        objects.apply(class("nginx", true));
        for namespace in 0..2 {
            for name in 0..3 {
                objects.apply(service(namespace, name, 0));
            }
        }
        for rules in rules {
            objects.apply(rules.object());
        }
        let mut translator = Translator::new(options.clone());
        let mut endpoints = (*translator.translate(&objects).snapshot.endpoints).clone();
        for (namespace, service, count) in slices {
            let change = objects.apply(slice(namespace, service, count));
            if let Change::Endpoints { namespace, service } = change {
                endpoints.extend(translator.endpoints(&objects, &namespace, &service));
            }
        }
        let endpoints = endpoints.iter().filter(|(_, endpoints)| !endpoints.is_empty());
        let endpoints: tidegate_snapshot::SharedMap<_, _> = endpoints
            .map(|(key, endpoints)| (key.clone(), endpoints.clone()))
            .collect();
        prop_assert_eq!(&endpoints, &*translate(&objects, &options).snapshot.endpoints);
        prop_assert_eq!(&endpoints, &*translator.translate(&objects).snapshot.endpoints);
    }
}

fn simple(name: usize, host: usize, service: usize) -> Rules {
    Rules {
        namespace: 0,
        name,
        created: 0,
        host,
        paths: vec![(0, service, false)],
        annotation: 0,
        tls: 0,
        default_backend: false,
        class: 0,
    }
}

#[test]
fn what_has_not_changed_is_the_same_pointer() {
    let mut objects = Objects::new();
    objects.apply(class("nginx", true));
    for name in 0..3 {
        objects.apply(service(0, name, 0));
    }
    objects.apply(simple(0, 1, 0).object());
    objects.apply(simple(1, 3, 1).object());
    let mut translator = Translator::new(Options::default());
    let before = translator.translate(&objects).snapshot;
    objects.apply(simple(1, 3, 2).object());
    let after = translator.translate(&objects).snapshot;
    let host =
        |snapshot: &Snapshot, name| snapshot.tables[TABLE].hosts[&Hostname::parse(name).unwrap()].clone();
    let cluster = |snapshot: &Snapshot, name: &str| snapshot.clusters[&ClusterKey(name.into())].clone();
    assert!(Arc::ptr_eq(
        &host(&before, "x.example"),
        &host(&after, "x.example")
    ));
    assert!(Arc::ptr_eq(&host(&before, ""), &host(&after, "")));
    assert!(!Arc::ptr_eq(
        &host(&before, "y.example"),
        &host(&after, "y.example")
    ));
    assert!(Arc::ptr_eq(
        &cluster(&before, "a-c-80"),
        &cluster(&after, "a-c-80")
    ));
    assert!(!after.clusters.contains_key(&ClusterKey("a-b-c-80".into())));
}

#[test]
fn services_whose_names_run_together_are_kept_apart() {
    let mut objects = Objects::new();
    objects.apply(class("nginx", true));
    let one = simple(0, 1, 1);
    let other = Rules {
        namespace: 1,
        host: 3,
        ..simple(0, 1, 0)
    };
    for (rules, service_name) in [(&one, 1), (&other, 0)] {
        objects.apply(rules.object());
        objects.apply(service(rules.namespace, service_name, 0));
        objects.apply(slice(rules.namespace, service_name, 1 + rules.namespace));
    }
    let snapshot = translate(&objects, &Options::default()).snapshot;
    assert_eq!(snapshot.clusters.len(), 2, "a/b-c and a-b/c are both a-b-c-80");
    for (key, cluster) in &*snapshot.clusters {
        let addresses = snapshot.endpoints[key].len();
        assert_eq!(addresses, if &*cluster.origin.namespace == "a" { 1 } else { 2 });
    }
    for host in snapshot.tables[TABLE].hosts.values() {
        for route in &host.routes {
            if let tidegate_snapshot::Action::Forward(to) = &route.action {
                let cluster = &snapshot.clusters[&to[0].cluster];
                assert_eq!(cluster.origin.namespace, route.origin.namespace);
            }
        }
    }
}
