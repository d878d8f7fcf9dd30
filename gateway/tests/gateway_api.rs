//! Gateway API on the wire: YAML in a directory, the real program, requests
//! over loopback. What the specification says where nobody sees it on the wire
//! is in the goldens of translation.

#![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]

#[path = "gateway_api/authority.rs"]
mod authority;
#[path = "gateway_api/backend_tls.rs"]
mod backend_tls;
#[path = "gateway_api/ext_authz.rs"]
mod ext_authz;
#[path = "gateway_api/external_auth.rs"]
mod external_auth;
#[path = "gateway_api/external_auth_grpc.rs"]
mod external_auth_grpc;
#[path = "gateway_api/filters.rs"]
mod filters;
#[path = "gateway_api/frontend.rs"]
mod frontend;
#[path = "gateway_api/kinds.rs"]
mod kinds;
#[path = "support/program.rs"]
mod program;
#[path = "gateway_api/services.rs"]
mod services;
#[path = "gateway_api/sessions.rs"]
mod sessions;
#[path = "gateway_api/streams.rs"]
mod streams;
#[path = "support/support.rs"]
mod support;
#[path = "gateway_api/tries.rs"]
mod tries;

use std::fmt::Write;

use program::{Program, certificate_secret, free_ports};
use support::client::{Answer, Client, get};
use support::upstream::Echo;

const ROUTES: &str = include_str!("gateway_api/routes.yaml");

struct Site {
    program: Program,
    /// A port that a listener of its own has.
    own: std::net::SocketAddr,
    first: Echo,
    second: Echo,
}

impl Site {
    async fn start() -> Self {
        Self::of(ROUTES).await
    }

    async fn of(yaml: &str) -> Self {
        Self::of_with(yaml, &[]).await
    }

    async fn of_with(yaml: &str, more: &[&str]) -> Self {
        let [own] = free_ports();
        let mut yaml = yaml.replace("OWN-PORT", &own.port().to_string());
        let (first, second) = (Echo::start("first").await, Echo::start("second").await);
        for (name, echo) in [("first", &first), ("second", &second)] {
            let port = echo.address.port();
            write!(
                yaml,
                "---\napiVersion: v1\nkind: Service\nmetadata: {{name: {name}}}\n\
                 spec: {{ports: [{{name: http, port: 80}}]}}\n---\n\
                 apiVersion: discovery.k8s.io/v1\nkind: EndpointSlice\n\
                 metadata: {{name: {name}-1, labels: {{kubernetes.io/service-name: {name}}}}}\n\
                 addressType: IPv4\nports: [{{name: http, port: {port}}}]\n\
                 endpoints: [{{addresses: [127.0.0.1], conditions: {{ready: true}}}}]\n"
            )
            .unwrap();
        }
        yaml += &certificate_secret("secure", &["secure.test"]);
        Self {
            program: Program::start_with(&yaml, more).await,
            own,
            first,
            second,
        }
    }

    async fn get(&self, host: &str, path: &str) -> Answer {
        get(self.program.http, host, path).await
    }

    /// The Service that answered, or the status.
    async fn answering(&self, host: &str, path: &str) -> String {
        name(&self.get(host, path).await)
    }

    async fn location(&self, host: &str, path: &str) -> (u16, String) {
        let answer = self.get(host, path).await;
        (
            answer.status,
            answer.header("location").unwrap_or_default().to_owned(),
        )
    }
}

fn name(answer: &Answer) -> String {
    match answer.status {
        200 => answer.json()["upstream"].as_str().unwrap().to_owned(),
        status => status.to_string(),
    }
}

#[tokio::test]
async fn routes_are_found_as_specified() {
    let site = Site::start().await;
    // "Exact" before the longest prefix, that before shorter ones.
    assert_eq!(site.answering("match.test", "/a").await, "second");
    assert_eq!(site.answering("match.test", "/a/x").await, "first");
    assert_eq!(site.answering("match.test", "/a/b/x").await, "second");
    // A wildcard stands for one label or several, never for none.
    assert_eq!(site.answering("x.wild.test", "/").await, "first");
    assert_eq!(site.answering("x.y.wild.test", "/").await, "first");
    assert_eq!(site.answering("wild.test", "/").await, "404");
    // Where no rule of the more specific host matches, the wider one is asked.
    assert_eq!(site.answering("deep.wild.test", "/only").await, "second");
    assert_eq!(site.answering("deep.wild.test", "/else").await, "first");
    // A host that an Ingress names is the Ingress's.
    assert_eq!(site.answering("ingress.test", "/").await, "second");

    let mut client = Client::connect(site.program.http).await;
    let asked = client
        .request("GET /a/b/x HTTP/1.1\r\nHost: match.test\r\nX-Version: two\r\n\r\n")
        .await;
    assert_eq!(name(&asked), "first");
}

#[tokio::test]
async fn what_leads_nowhere_answers_500_and_404() {
    let site = Site::start().await;
    assert_eq!(site.answering("broken.test", "/missing").await, "500");
    assert_eq!(site.answering("broken.test", "/foreign").await, "500");
    assert_eq!(site.answering("broken.test", "/empty").await, "500");
    assert_eq!(site.answering("broken.test", "/no-endpoint").await, "503");
    assert_eq!(site.answering("unsupported.test", "/").await, "404");
    let mut answers = std::collections::BTreeSet::new();
    for _ in 0..60 {
        answers.insert(site.answering("broken.test", "/half").await);
    }
    assert_eq!(answers.into_iter().collect::<Vec<_>>(), ["500", "first"]);
}

#[tokio::test]
async fn filters_change_requests_and_answers() {
    let site = Site::start().await;
    site.first
        .set(|echo| echo.headers = "X-Backend: yes\r\nX-Gone: yes\r\n".to_owned());
    let mut client = Client::connect(site.program.http).await;
    let answer = client
        .request(
            "GET /app/x%20y?q=1 HTTP/1.1\r\nHost: filter.test\r\nX-Add: a\r\nX-Remove: b\r\nX-Set: c\r\n\r\n",
        )
        .await;
    let seen = site.first.last();
    assert_eq!(seen.uri, "/new/x%20y?q=1");
    assert_eq!(seen.header("host"), Some("inside.test"));
    assert_eq!(seen.header("x-set"), Some("set"));
    assert_eq!(seen.header("x-remove"), None);
    let added: Vec<_> = seen
        .headers
        .iter()
        .filter(|(name, _)| name.eq_ignore_ascii_case("x-add"))
        .collect();
    assert_eq!(added.len(), 2, "{added:?}");
    assert_eq!(answer.header("x-gone"), None);
    assert_eq!(answer.header("x-backend"), Some("yes"));
    assert_eq!(answer.header("x-added"), Some("answer"));

    assert_eq!(
        site.location("filter.test", "/prefix/a?b=c").await,
        (302, "http://filter.test/other/a?b=c".to_owned())
    );
    assert_eq!(
        site.location("filter.test", "/secure").await,
        (301, "https://new.test/secure".to_owned())
    );
    assert_eq!(
        site.location("filter.test", "/port").await,
        (302, "http://filter.test:8080/full".to_owned())
    );
    let slow = site.get("filter.test", "/timeout").await;
    assert_eq!(slow.status, 200);
    site.second
        .set(|echo| echo.delay = std::time::Duration::from_secs(5));
    assert_eq!(site.get("filter.test", "/timeout").await.status, 504);
}

#[tokio::test]
async fn listeners_have_ports_hosts_and_certificates_of_their_own() {
    let site = Site::start().await;
    let own = |host: &'static str, path: &'static str| async move { name(&get(site.own, host, path).await) };
    assert_eq!(own("narrow.own.test", "/narrow").await, "second");
    // The wider listener's route is not seen where the narrower one has the host.
    assert_eq!(own("narrow.own.test", "/wide").await, "404");
    assert_eq!(own("other.own.test", "/wide").await, "first");
    assert_eq!(own("elsewhere.test", "/wide").await, "404");

    let mut client = Client::tls(site.program.https, "secure.test", &["http/1.1"]).await;
    assert_eq!(name(&client.get("secure.test", "/").await), "first");
}
