//! The manifests of the cluster: applications of forty teams, each with one to
//! three Ingresses.

use serde_json::{Value, json};

const NAMESPACES: usize = 40;

/// What teams write, most frequent first (annotations reference §24).
/// `NAMESPACE` and `NAME` stand for the application's.
const PROFILES: [&[(&str, &str)]; 32] = [
    &[],
    &[],
    &[("ssl-redirect", "true"), ("proxy-body-size", "50m")],
    &[("force-ssl-redirect", "true")],
    &[("proxy-read-timeout", "3600"), ("proxy-send-timeout", "3600")],
    &[("rewrite-target", "/$1"), ("use-regex", "true")],
    &[("whitelist-source-range", "10.0.0.0/8, 192.168.0.0/16")],
    &[
        ("enable-cors", "true"),
        (
            "cors-allow-origin",
            "https://app.example.com, https://*.example.org",
        ),
    ],
    &[
        ("affinity", "cookie"),
        ("session-cookie-name", "route"),
        ("session-cookie-max-age", "3600"),
        ("session-cookie-samesite", "Lax"),
    ],
    &[("backend-protocol", "HTTPS"), ("proxy-ssl-verify", "off")],
    &[("backend-protocol", "GRPC"), ("proxy-read-timeout", "600")],
    &[
        ("limit-rps", "50"),
        ("limit-connections", "20"),
        ("limit-whitelist", "10.0.0.0/8"),
    ],
    &[("app-root", "/ui")],
    &[("permanent-redirect", "https://www.example.com")],
    &[("proxy-buffering", "on"), ("proxy-buffer-size", "16k")],
    &[("enable-access-log", "false"), ("load-balance", "ewma")],
    &[
        ("auth-type", "basic"),
        ("auth-secret", "users"),
        ("auth-realm", "Staff only"),
    ],
    &[
        (
            "auth-url",
            "http://oauth2-proxy.auth.svc.cluster.local/oauth2/auth",
        ),
        (
            "auth-signin",
            "https://$host/oauth2/start?rd=$escaped_request_uri",
        ),
        ("auth-response-headers", "X-Auth-Request-User, Authorization"),
        ("auth-cache-key", "$cookie__oauth2_proxy"),
        ("auth-cache-duration", "200 202 1m, 401 10s"),
    ],
    &[
        ("auth-tls-secret", "NAMESPACE/clients"),
        ("auth-tls-verify-depth", "2"),
        ("auth-tls-pass-certificate-to-upstream", "true"),
    ],
    &[
        ("custom-http-errors", "404,500,503"),
        ("default-backend", "errors"),
    ],
    &[(
        "configuration-snippet",
        "more_set_headers \"X-Frame-Options: DENY\";\nif ($http_x_scanner) { return 403; }\n",
    )],
    &[(
        "server-snippet",
        "location ~ ^/(metrics|actuator) { deny all; }\n",
    )],
    &[("custom-headers", "NAMESPACE/fields")],
    &[
        ("auth-url", "https://auth.example.com/verify"),
        ("auth-proxy-set-headers", "NAMESPACE/fields"),
        (
            "auth-snippet",
            "proxy_set_header X-Forwarded-Access $http_x_forwarded_access;\n",
        ),
    ],
    &[
        ("backend-protocol", "HTTPS"),
        ("proxy-ssl-secret", "NAMESPACE/clients"),
        ("proxy-ssl-verify", "on"),
        ("proxy-ssl-name", "NAME.internal"),
        ("proxy-ssl-server-name", "on"),
    ],
    &[
        ("upstream-hash-by", "$request_uri"),
        ("service-upstream", "false"),
    ],
    &[
        ("upstream-vhost", "NAME.internal"),
        ("x-forwarded-prefix", "/NAME"),
        ("client-body-buffer-size", "1m"),
    ],
    &[
        ("satisfy", "any"),
        ("auth-type", "basic"),
        ("auth-secret", "users"),
        ("whitelist-source-range", "10.0.0.0/8"),
    ],
    &[
        ("proxy-next-upstream", "error timeout http_502"),
        ("proxy-next-upstream-tries", "2"),
        ("proxy-request-buffering", "off"),
        ("proxy-body-size", "0"),
    ],
    &[
        ("proxy-cookie-path", "/ /NAME/"),
        ("proxy-redirect-from", "http://NAME.internal/"),
        ("proxy-redirect-to", "https://NAME.example.org/"),
    ],
    &[("mirror-target", "https://shadow.example.com$request_uri")],
    &[
        ("enable-opentelemetry", "true"),
        ("denylist-source-range", "203.0.113.0/24"),
    ],
];

/// Everything of one application.
pub(crate) struct App {
    number: usize,
    namespace: String,
    name: String,
}

impl App {
    pub(crate) fn new(number: usize) -> Self {
        Self {
            number,
            namespace: format!("team-{}", number % NAMESPACES),
            name: format!("app-{number}"),
        }
    }

    fn host(&self) -> String {
        format!("{}.{}.example.com", self.name, self.namespace)
    }

    fn profile(&self) -> &'static [(&'static str, &'static str)] {
        // Not in step with the teams: each has some of every kind.
        PROFILES[(self.number + self.number / NAMESPACES) % PROFILES.len()]
    }

    /// Its paths are regular expressions: other Ingresses of the host would hear of it.
    fn is_regex(&self) -> bool {
        self.profile().iter().any(|(key, _)| *key == "use-regex")
    }

    /// The main Ingress; some with TLS, several paths, another name.
    pub(crate) fn ingress(&self) -> Value {
        let mut annotations = self.profile().to_vec();
        let alias = format!("{}.example.org", self.name);
        if self.number % 20 == 7 {
            annotations.push(("server-alias", &alias));
        }
        let paths: &[(&str, &str)] = match (self.is_regex(), self.number % 4) {
            (true, _) => &[("/api/(.*)", "ImplementationSpecific")],
            (false, 1) => &[("/", "Prefix"), ("/api", "Prefix"), ("/status", "Exact")],
            (false, _) => &[("/", "Prefix")],
        };
        let mut ingress = self.object(&self.name, &annotations, paths, &self.name);
        if !self.number.is_multiple_of(3) {
            ingress["spec"]["tls"] = json!([{"hosts": [self.host()], "secretName": "wildcard"}]);
        }
        ingress
    }

    /// More Ingresses of the host.
    fn others(&self) -> Vec<Value> {
        let mut others = Vec::new();
        if self.is_regex() {
            return others;
        }
        if self.number.is_multiple_of(5) {
            let name = format!("{}-static", self.name);
            let own = [("proxy-buffering", "on"), ("enable-access-log", "false")];
            others.push(self.object(&name, &own, &[("/static", "Prefix")], &self.name));
        }
        if self.number % 10 == 3 {
            let name = format!("{}-next", self.name);
            let weight = [("canary", "true"), ("canary-weight", "10")];
            let header = [
                ("canary", "true"),
                ("canary-by-header", "X-Next"),
                ("canary-by-cookie", "next"),
            ];
            let rules = if self.number % 20 == 3 {
                &weight[..]
            } else {
                &header
            };
            others.push(self.object(&name, rules, &[("/", "Prefix")], &name));
        }
        others
    }

    fn object(
        &self,
        name: &str,
        annotations: &[(&str, &str)],
        paths: &[(&str, &str)],
        service: &str,
    ) -> Value {
        let own = |text: &str| {
            text.replace("NAMESPACE", &self.namespace)
                .replace("NAME", &self.name)
        };
        let annotations: serde_json::Map<_, _> = annotations
            .iter()
            .map(|(key, value)| (format!("nginx.ingress.kubernetes.io/{key}"), json!(own(value))))
            .collect();
        let backend = json!({"service": {"name": service, "port": {"number": 80}}});
        let paths: Vec<Value> = paths
            .iter()
            .map(|(path, kind)| json!({"path": path, "pathType": kind, "backend": backend}))
            .collect();
        json!({
            "apiVersion": "networking.k8s.io/v1", "kind": "Ingress",
            "metadata": {"name": name, "namespace": self.namespace, "annotations": annotations},
            "spec": {
                "ingressClassName": "nginx",
                "rules": [{"host": self.host(), "http": {"paths": paths}}],
            },
        })
    }
}

/// A cluster with so many Ingresses.
pub(crate) fn cluster(ingresses: usize) -> String {
    let mut documents = vec![
        json!({
            "apiVersion": "networking.k8s.io/v1", "kind": "IngressClass", "metadata": {"name": "nginx"},
            "spec": {"controller": "tidegate.dev/ingress"},
        }),
        config_map(),
    ];
    for number in 0..NAMESPACES {
        documents.extend(team(&format!("team-{number}"), number));
    }
    let mut count = 0;
    for number in 0.. {
        let app = App::new(number);
        let all = std::iter::once(app.ingress()).chain(app.others());
        let all: Vec<Value> = all.take(ingresses - count).collect();
        count += all.len();
        for name in [app.name.clone(), format!("{}-next", app.name)] {
            if name == app.name || number % 10 == 3 {
                documents.extend(service(&app.namespace, &name, number));
            }
        }
        documents.extend(all);
        if count == ingresses {
            break;
        }
    }
    let documents: Vec<String> = documents.iter().map(Value::to_string).collect();
    documents.join("\n---\n")
}

fn config_map() -> Value {
    json!({
        "apiVersion": "v1", "kind": "ConfigMap",
        "metadata": {"name": "controller", "namespace": "ingress-nginx"},
        "data": {
            "use-forwarded-headers": "true", "proxy-real-ip-cidr": "10.0.0.0/8", "proxy-body-size": "8m",
            "worker-processes": "auto", "use-gzip": "true", "hsts-max-age": "86400",
            "log-format-escape-json": "true", "log-format-upstream": "{\"status\":$status}",
            "allow-snippet-annotations": "true", "annotations-risk-level": "Critical",
            "global-allowed-response-headers": "X-Team,Cache-Control",
            "block-user-agents": "~*^(?!.*Googlebot).*bot", "enable-brotli": "true",
        },
    })
}

/// What the applications of a team share.
fn team(namespace: &str, number: usize) -> Vec<Value> {
    let key = rcgen::KeyPair::generate().unwrap();
    let names = [format!("*.{namespace}.example.com")];
    let params = rcgen::CertificateParams::new(names).unwrap();
    let certificate = params.self_signed(&key).unwrap().pem();
    let secret = |name: &str, data: Value| {
        json!({
            "apiVersion": "v1", "kind": "Secret", "stringData": data,
            "metadata": {"name": name, "namespace": namespace},
        })
    };
    let key = key.serialize_pem();
    let mut objects = vec![
        secret("wildcard", json!({"tls.crt": certificate, "tls.key": key})),
        secret(
            "clients",
            json!({"ca.crt": certificate, "tls.crt": certificate, "tls.key": key}),
        ),
        secret(
            "users",
            json!({"auth": "foo:$apr1$abcdefgh$h9FWgUz3n9YxylKLlR5SQ/"}),
        ),
        json!({
            "apiVersion": "v1", "kind": "ConfigMap", "data": {"X-Team": namespace},
            "metadata": {"name": "fields", "namespace": namespace},
        }),
    ];
    objects.extend(service(namespace, "errors", 60_000 + number));
    objects
}

fn service(namespace: &str, name: &str, number: usize) -> [Value; 2] {
    let address = format!("10.{}.{}.{}", number / 65536, number / 256 % 256, number % 256);
    [
        json!({
            "apiVersion": "v1", "kind": "Service",
            "metadata": {"name": name, "namespace": namespace},
            "spec": {"ports": [{"name": "http", "port": 80, "targetPort": 8080}]},
        }),
        json!({
            "apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice",
            "metadata": {
                "name": format!("{name}-1"), "namespace": namespace,
                "labels": {"kubernetes.io/service-name": name},
            },
            "addressType": "IPv4",
            "ports": [{"name": "http", "port": 8080}],
            "endpoints": [{"addresses": [address], "conditions": {"ready": true}}],
        }),
    ]
}
