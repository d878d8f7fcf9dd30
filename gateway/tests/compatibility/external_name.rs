//! `servicebackend/service_externalname.go` and `tcpudp/tcp.go` 2: Services that
//! are names. Loopback addresses are refused as answers, and resolv.conf is the
//! system's: each test runs in a namespace of its own that has both.

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::dns_server::DnsServer;
use crate::namespace;
use crate::program::free_ports;
use crate::site::{HOST, Site, config_map, ingress_of};
use crate::support::client::Answer;
use crate::support::upstream::Echo;
use crate::support::{PATIENCE, eventually};

const RESOLV_CONF: &str = "nameserver 10.77.0.53\nsearch shop.svc svc\noptions ndots:5\n";
const FIRST: &str = "10.77.0.1:0";
const SECOND: &str = "10.77.0.2:0";

/// Knows `web.svc` at the address of [`FIRST`], `other.svc` at that of [`SECOND`].
async fn names() -> DnsServer {
    let names = [("web.svc.", "10.77.0.1"), ("other.svc.", "10.77.0.2")];
    DnsServer::start("10.77.0.53:53", &names).await
}

fn external(name: &str, ports: &str) -> String {
    format!(
        "---\napiVersion: v1\nkind: Service\nmetadata: {{name: web}}\n\
         spec: {{type: ExternalName, externalName: {name:?}, ports: [{ports}]}}\n"
    )
}

/// An Ingress with that port of the Service.
fn ingress(port: &str) -> String {
    let yaml = ingress_of("web", HOST, &[], &[("/", "Prefix", "web")]);
    assert!(yaml.contains("number: 80"));
    yaml.replace("number: 80", port)
}

/// A name without its domain (3), a Service without the port (4), with it (5), with
/// it by name (7), and a name that ends with a dot (8), to which no domain is added.
#[tokio::test]
async fn servicebackend_3_to_5_7_and_8() {
    if !namespace::entered_with("external_name::servicebackend_3_to_5_7_and_8", RESOLV_CONF) {
        return;
    }
    let names = names().await;
    let echo = Echo::start_at("web", FIRST).await;
    let number = format!("number: {}", echo.address.port());
    let port = format!("{{name: http, port: {}}}", echo.address.port());
    for (name, ports, wanted) in [
        ("web", "", &*number),
        ("web", &*port, &number),
        ("web", &port, "name: http"),
        ("web.svc.", &port, &number),
    ] {
        let site = Site::with(&[], &(external(name, ports) + &ingress(wanted)), &[]).await;
        let answer = site.until(HOST, "/", |answer| answer.status == 200).await;
        assert_eq!(answer.json()["upstream"], "web", "{name} {ports} {wanted}");
    }
    names.questions();
    let site = Site::with(&[], &(external("web.", &port) + &ingress(&number)), &[]).await;
    let mut asked = Vec::new();
    eventually("the name is asked for", || {
        asked.extend(names.questions());
        !asked.is_empty()
    })
    .await;
    assert_eq!(asked[0], "web. A");
    assert_eq!(site.get("/").await.status, 503);
}

/// The Service gets another name: the address is the other's, and
/// `X-Forwarded-Host` still the Ingress's host.
#[tokio::test]
async fn servicebackend_9_another_name() {
    if !namespace::entered_with("external_name::servicebackend_9_another_name", RESOLV_CONF) {
        return;
    }
    let _names = names().await;
    let web = Echo::start_at("web", FIRST).await;
    let at_same_port = SECOND.replace(":0", &format!(":{}", web.address.port()));
    let other = Echo::start_at("other", &at_same_port).await;
    let port = format!("port: {}", web.address.port());
    let of = |name: &str| external(name, &format!("{{{port}}}"));
    let site = Site::with(&[], &ingress(&port.replace("port", "number")), &[]).await;
    for (name, echo) in [("web", &web), ("other", &other), ("web", &web)] {
        site.write("web.yaml", &of(name));
        let is_there = |answer: &Answer| answer.status == 200 && answer.json()["upstream"] == name;
        site.until(HOST, "/", is_there).await;
        assert_eq!(echo.last().header("x-forwarded-host"), Some(HOST));
    }
}

/// A TCP port of such a Service.
#[tokio::test]
async fn tcp_2_name() {
    if !namespace::entered_with("external_name::tcp_2_name", RESOLV_CONF) {
        return;
    }
    let _names = names().await;
    let echo = Echo::start_at("web", FIRST).await;
    let [listener] = free_ports();
    let port = echo.address.port();
    let map = [(&*listener.port().to_string(), &*format!("default/web:{port}"))];
    let yaml = external("web", &format!("{{port: {port}}}")) + &config_map("tcp", &map);
    let _site = Site::with(&[], &yaml, &["--tcp-services-configmap=default/tcp"]).await;
    let start = std::time::Instant::now();
    let mut answer = [0; 12];
    loop {
        let mut stream = TcpStream::connect(listener).await.unwrap();
        stream
            .write_all(b"GET / HTTP/1.1\r\nHost: any\r\n\r\n")
            .await
            .unwrap();
        // Until the name is resolved connections are closed.
        if stream.read_exact(&mut answer).await.is_ok() {
            break;
        }
        assert!(start.elapsed() < PATIENCE, "the name is not resolved");
    }
    assert_eq!(&answer, b"HTTP/1.1 200");
    assert_eq!(echo.last().header("host"), Some("any"));
}
