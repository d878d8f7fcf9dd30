//! The cases of the older Ingress conformance suite (archived 2021) as wire
//! tests: YAML in a directory, the real program, requests over loopback.

#![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]

#[path = "support/program.rs"]
mod program;
#[path = "support/support.rs"]
mod support;

use std::collections::BTreeMap;
use std::fmt::Write;

use program::{Program, certificate_secret};
use support::client::{Answer, Client};
use support::upstream::Echo;

const RULES: &str = include_str!("ingress_conformance/cases.yaml");
const DEFAULT_BACKEND: &str = include_str!("ingress_conformance/default-backend.yaml");

/// Services with their port and how many endpoints each has.
const SERVICES: &[(&str, usize)] = &[
    ("default-backend", 10),
    ("wildcard-foo-com", 1),
    ("foo-bar-com", 1),
    ("exact-foo", 1),
    ("prefix-foo", 1),
    ("aaa", 1),
    ("aaa-bbb", 1),
];

struct Cluster {
    program: Program,
    echoes: BTreeMap<&'static str, Vec<Echo>>,
}

impl Cluster {
    async fn start(ingresses: &str) -> Self {
        let mut yaml = ingresses.to_owned();
        let mut echoes = BTreeMap::new();
        for (service, count) in SERVICES {
            write!(
                yaml,
                "---\napiVersion: v1\nkind: Service\nmetadata: {{name: {service}}}\n\
                 spec: {{ports: [{{name: http, port: 8080}}]}}\n"
            )
            .unwrap();
            let mut all = Vec::new();
            for index in 0..*count {
                let echo = Echo::start(&format!("{service}-{index}")).await;
                write!(
                    yaml,
                    "---\napiVersion: discovery.k8s.io/v1\nkind: EndpointSlice\n\
                     metadata: {{name: {service}-{index}, labels: {{kubernetes.io/service-name: {service}}}}}\n\
                     addressType: IPv4\nports: [{{name: http, port: {}}}]\n\
                     endpoints: [{{addresses: [127.0.0.1], conditions: {{ready: true}}}}]\n",
                    echo.address.port()
                )
                .unwrap();
                all.push(echo);
            }
            echoes.insert(*service, all);
        }
        yaml += &certificate_secret("foo-bar-com", &["foo.bar.com", "redirected.com"]);
        let program = Program::start(&yaml).await;
        Self { program, echoes }
    }

    async fn get(&self, host: &str, path: &str) -> Answer {
        support::client::get(self.program.http, host, path).await
    }

    /// The Service that answered, or the status.
    async fn answering(&self, host: &str, path: &str) -> String {
        let answer = self.get(host, path).await;
        if answer.status != 200 {
            return answer.status.to_string();
        }
        let name = answer.json()["upstream"].as_str().unwrap().to_owned();
        name.rsplit_once('-').unwrap().0.to_owned()
    }
}

/// One cluster for all rules: the cases only read.
#[tokio::test]
async fn rules() {
    let cluster = Cluster::start(RULES).await;
    host_rules(&cluster).await;
    path_rules(&cluster).await;
    trailing_slashes(&cluster).await;
}

#[tokio::test]
async fn default_backend() {
    let cluster = Cluster::start(&format!("{RULES}{DEFAULT_BACKEND}")).await;
    default_backend_answers_every_method(&cluster).await;
    load_is_spread_over_all_endpoints(&cluster).await;
    assert_eq!(cluster.answering("foo.bar.com", "/").await, "foo-bar-com");
    assert_eq!(cluster.answering("other-class.com", "/").await, "default-backend");
}

async fn default_backend_answers_every_method(cluster: &Cluster) {
    let requests = [
        ("GET", "foo", "/"),
        ("GET", "foo", "/sub/path"),
        ("POST", "foo", "/"),
        ("PUT", "127.0.0.1", "/path"),
        ("DELETE", "foo", "/path"),
        ("PATCH", "foo", "/path"),
    ];
    for (method, host, path) in requests {
        let mut client = Client::connect(cluster.program.http).await;
        let request = format!(
            "{method} {path} HTTP/1.1\r\nHost: {host}\r\nUser-Agent: suite/1\r\nContent-Length: 0\r\n\r\n"
        );
        let answer = client.request(request).await;
        assert_eq!(answer.status, 200, "{method} {host} {path}: {}", answer.head);
        assert!(answer.head.starts_with("HTTP/1.1 200"), "{}", answer.head);
        for field in ["content-length", "content-type", "date"] {
            assert!(answer.header(field).is_some(), "{field} missing: {}", answer.head);
        }
        let seen = answer.json();
        assert_eq!(seen["method"], method);
        assert_eq!(seen["uri"], path);
        let agent = seen["headers"]
            .as_array()
            .unwrap()
            .iter()
            .find(|pair| pair[0].as_str().unwrap().eq_ignore_ascii_case("user-agent"));
        assert_eq!(agent.unwrap()[1], "suite/1");
        assert!(cluster.echoes["default-backend"].iter().any(|echo| {
            echo.seen()
                .last()
                .is_some_and(|last| last.head.contains(" HTTP/1.1\r\n"))
        }));
    }
}

async fn host_rules(cluster: &Cluster) {
    let mut client = Client::tls(cluster.program.https, "foo.bar.com", &["http/1.1"]).await;
    let answer = client.get("foo.bar.com", "/").await;
    assert_eq!(answer.status, 200);
    assert_eq!(answer.json()["upstream"], "foo-bar-com-0");
    let (_, leaf) = x509_parser::parse_x509_certificate(client.certificate.as_ref().unwrap()).unwrap();
    let names = leaf.subject_alternative_name().unwrap().unwrap();
    assert!(format!("{names:?}").contains("foo.bar.com"), "{names:?}");
    let host = cluster.echoes["foo-bar-com"][0].last();
    assert_eq!(host.header("host"), Some("foo.bar.com"));

    assert_eq!(cluster.answering("foo.bar.com", "/").await, "foo-bar-com");
    let redirect = cluster.get("redirected.com", "/a?b").await;
    assert_eq!(redirect.status, 308, "ingress-nginx redirects a host with TLS");
    assert_eq!(redirect.header("location"), Some("https://redirected.com/a?b"));

    assert_eq!(cluster.answering("bar.foo.com", "/").await, "wildcard-foo-com");
    let host = cluster.echoes["wildcard-foo-com"][0].last();
    assert_eq!(host.header("host"), Some("bar.foo.com"));

    // In no rule, below a wildcard's label, a wildcard's own suffix, and a host
    // of a class that nobody serves.
    for host in [
        "subdomain.bar.com",
        "baz.bar.foo.com",
        "foo.com",
        "other-class.com",
    ] {
        assert_eq!(cluster.answering(host, "/").await, "404", "{host}");
    }
}

async fn load_is_spread_over_all_endpoints(cluster: &Cluster) {
    let mut names = std::collections::BTreeSet::new();
    for _ in 0..100 {
        let answer = cluster.get("anything", "/").await;
        assert_eq!(answer.status, 200);
        names.insert(answer.json()["upstream"].as_str().unwrap().to_owned());
    }
    assert_eq!(names.len(), 10, "{names:?}");
}

async fn path_rules(cluster: &Cluster) {
    let cases = [
        ("exact-path", "/foo", "exact-foo"),
        ("exact-path", "/foo/", "404"),
        ("exact-path", "/FOO", "404"),
        ("exact-path", "/bar", "404"),
        ("prefix-path", "/foo", "prefix-foo"),
        ("prefix-path", "/foo/", "prefix-foo"),
        ("prefix-path", "/FOO", "404"),
        ("longest-path", "/aaa/bbb", "aaa-bbb"),
        ("longest-path", "/aaa/bbb/ccc", "aaa-bbb"),
        ("longest-path", "/aaa/ccc", "aaa"),
        ("longest-path", "/aaaccc", "404"),
        ("mixed-path", "/foo", "exact-foo"),
        ("mixed-path", "/foo/", "prefix-foo"),
        ("trailing-slash-exact", "/foo/", "exact-foo"),
    ];
    for (host, path, expected) in cases {
        assert_eq!(cluster.answering(host, path).await, expected, "{host}{path}");
    }
}

/// The suite expects the Prefix `/aaa/bbb/` to match `/aaa/bbb`, and the Exact
/// `/foo/` to leave `/foo` alone. nginx sends the client on by 301 in both
/// cases, and so do we (docs/differences.md).
async fn trailing_slashes(cluster: &Cluster) {
    assert_eq!(
        cluster.answering("trailing-slash-prefix", "/aaa/bbb/").await,
        "aaa-bbb"
    );
    for (host, path) in [
        ("trailing-slash-prefix", "/aaa/bbb"),
        ("trailing-slash-exact", "/foo"),
    ] {
        let redirect = cluster.get(host, path).await;
        assert_eq!(redirect.status, 301, "{host}{path}");
        let location = format!("http://{host}{path}/");
        assert_eq!(redirect.header("location"), Some(location.as_str()));
    }
}
