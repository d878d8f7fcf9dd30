//! A cluster on loopback: Services with an echo each, and the program that
//! serves what the test's YAML says.

#![allow(dead_code, reason = "modules use what they need")]

use std::collections::BTreeMap;
use std::fmt::Write;

use bytes::Bytes;
use h2::client::SendRequest;

use crate::program::Program;
use crate::support::client::{self, Answer, Client};
use crate::support::upstream::Echo;

/// The host of [`ingress`] and [`Site::get`].
pub(crate) const HOST: &str = "foo";

/// A class, Services and the program; it ends when dropped.
///
/// Every Service has port 80 (named `http`) and one endpoint, an [`Echo`] that
/// answers JSON with what it saw: `upstream` is the Service's name.
pub(crate) struct Site {
    pub(crate) program: Program,
    echoes: BTreeMap<String, Echo>,
}

impl Site {
    /// A site with the Service `echo`.
    pub(crate) async fn start(yaml: &str) -> Self {
        Self::with(&["echo"], yaml, &[]).await
    }

    /// A site with these Services and more flags.
    pub(crate) async fn with(services: &[&str], yaml: &str, flags: &[&str]) -> Self {
        Self::within(services, yaml, flags, &[]).await
    }

    /// The same with variables of the environment.
    pub(crate) async fn within(
        services: &[&str],
        yaml: &str,
        flags: &[&str],
        environment: &[(&str, &str)],
    ) -> Self {
        let mut objects = String::from(CLASS);
        let mut echoes = BTreeMap::new();
        for name in services {
            let echo = Echo::start(name).await;
            objects += &service(name, &[echo.address.port()]);
            echoes.insert((*name).to_owned(), echo);
        }
        objects += yaml;
        let program = Program::start_in(&objects, flags, environment).await;
        Self { program, echoes }
    }

    /// `GET` of [`HOST`] over plain HTTP.
    pub(crate) async fn get(&self, path: &str) -> Answer {
        client::get(self.program.http, HOST, path).await
    }

    /// The same with more fields, each with its line end.
    pub(crate) async fn ask_with(&self, path: &str, fields: &str) -> Answer {
        self.request(&format!(
            "GET {path} HTTP/1.1\r\nHost: {HOST}\r\n{fields}Connection: close\r\n\r\n"
        ))
        .await
    }

    /// `GET` of any host.
    pub(crate) async fn ask_host(&self, host: &str, path: &str) -> Answer {
        client::get(self.program.http, host, path).await
    }

    /// A whole request as it stands, over plain HTTP.
    pub(crate) async fn request(&self, bytes: &str) -> Answer {
        let mut client = Client::connect(self.program.http).await;
        client.request(bytes).await
    }

    /// A TLS connection for this server name.
    pub(crate) async fn tls(&self, server_name: &str) -> Client {
        Client::tls(self.program.https, server_name, &["http/1.1"]).await
    }

    /// HTTP/2 over TLS for this server name.
    pub(crate) async fn http2(&self, server_name: &str) -> SendRequest<Bytes> {
        let client = Client::tls(self.program.https, server_name, &["h2"]).await;
        let (send, connection) = h2::client::handshake(client.into_stream()).await.unwrap();
        tokio::spawn(connection);
        send.ready().await.unwrap()
    }

    /// The endpoint of a Service.
    pub(crate) fn echo(&self, service: &str) -> &Echo {
        &self.echoes[service]
    }

    /// Writes (or replaces) one file of the directory; the program follows
    /// shortly after: wait with [`Site::until`].
    pub(crate) fn write(&self, file: &str, yaml: &str) {
        std::fs::write(self.program.folder().join(file), yaml).unwrap();
    }

    /// The first file with other objects beside the class and the Services.
    pub(crate) fn objects(&self, yaml: &str) -> String {
        let services = self.echoes.iter();
        let services = services.map(|(name, echo)| service(name, &[echo.address.port()]));
        String::from(CLASS) + &services.collect::<String>() + yaml
    }

    /// The Problems, as soon as one of them concerns this field: they are shown
    /// a moment after what they are about is served.
    pub(crate) async fn problems(&self, field: &str) -> String {
        let start = std::time::Instant::now();
        loop {
            let problems = client::get(self.program.admin, "admin", "/problems").await.text();
            if problems.contains(field) {
                return problems;
            }
            assert!(start.elapsed() < crate::support::PATIENCE, "{problems}");
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
    }

    /// Asks again until the answer is as expected.
    pub(crate) async fn until(&self, host: &str, path: &str, expected: impl Fn(&Answer) -> bool) -> Answer {
        let start = std::time::Instant::now();
        loop {
            let answer = self.ask_host(host, path).await;
            if expected(&answer) {
                return answer;
            }
            assert!(
                start.elapsed() < crate::support::PATIENCE,
                "still {}",
                answer.head
            );
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
    }
}

const CLASS: &str = "apiVersion: networking.k8s.io/v1\nkind: IngressClass\nmetadata: {name: nginx}\n\
    spec: {controller: k8s.io/ingress-nginx}\n";

/// A Service with port 80 and an EndpointSlice on loopback for each port.
pub(crate) fn service(name: &str, ports: &[u16]) -> String {
    let mut yaml = format!(
        "---\napiVersion: v1\nkind: Service\nmetadata: {{name: {name}}}\n\
         spec: {{ports: [{{name: http, port: 80}}]}}\n"
    );
    for port in ports {
        write!(
            yaml,
            "---\napiVersion: discovery.k8s.io/v1\nkind: EndpointSlice\n\
             metadata: {{name: {name}-{port}, labels: {{kubernetes.io/service-name: {name}}}}}\n\
             addressType: IPv4\nports: [{{name: http, port: {port}}}]\n\
             endpoints: [{{addresses: [127.0.0.1], conditions: {{ready: true}}}}]\n"
        )
        .unwrap();
    }
    yaml
}

/// An Ingress `name` of [`HOST`] with `/` to the Service `echo`.
pub(crate) fn ingress(name: &str, annotations: &[(&str, &str)]) -> String {
    ingress_of(name, HOST, annotations, &[("/", "Prefix", "echo")])
}

/// An Ingress with paths `(path, pathType, Service)`. Annotations are named
/// without their prefix. An empty host makes a rule without one.
pub(crate) fn ingress_of(
    name: &str,
    host: &str,
    annotations: &[(&str, &str)],
    paths: &[(&str, &str, &str)],
) -> String {
    let mut yaml = format!(
        "---\napiVersion: networking.k8s.io/v1\nkind: Ingress\nmetadata:\n  name: {name}\n  annotations:\n"
    );
    for (annotation, value) in annotations {
        writeln!(yaml, "    nginx.ingress.kubernetes.io/{annotation}: {value:?}").unwrap();
    }
    if annotations.is_empty() {
        yaml += "    {}\n";
    }
    let host = if host.is_empty() {
        String::new()
    } else {
        format!("host: {host:?}, ")
    };
    write!(
        yaml,
        "spec:\n  ingressClassName: nginx\n  rules:\n  - {{{host}http: {{paths: ["
    )
    .unwrap();
    for (path, kind, service) in paths {
        write!(
            yaml,
            "{{path: {path:?}, pathType: {kind}, backend: {{service: {{name: {service}, port: {{number: 80}}}}}}}}, "
        )
        .unwrap();
    }
    yaml + "]}}\n"
}

/// A ConfigMap in the namespace `default`.
pub(crate) fn config_map(name: &str, data: &[(&str, &str)]) -> String {
    let mut yaml = format!("---\napiVersion: v1\nkind: ConfigMap\nmetadata: {{name: {name}}}\ndata:\n");
    for (key, value) in data {
        writeln!(yaml, "  {key}: {value:?}").unwrap();
    }
    yaml
}
