//! Gateways with Services of their own: the Services say which ports are bound, and
//! clients see those of the listeners.

use crate::program::free_ports;
use crate::support::client::get;
use crate::{Site, name};

const YAML: &str = include_str!("services.yaml");

#[tokio::test]
async fn gateways_share_no_port_and_show_the_ones_that_clients_use() {
    let [one, other, two, three] = free_ports();
    let mut yaml = YAML.to_owned();
    for (place, socket) in [
        ("ONE-OTHER", other),
        ("ONE-80", one),
        ("TWO-80", two),
        ("THREE-80", three),
    ] {
        yaml = yaml.replace(
            &format!("targetPort: {place}"),
            &format!("targetPort: {}", socket.port()),
        );
    }
    let folder = tempfile::tempdir().unwrap();
    let settings = folder.path().join("gateway.yaml");
    std::fs::write(
        &settings,
        "gatewayApi: {services: {ports: 1024-32767, addresses: [127.0.0.1]}}\n",
    )
    .unwrap();
    let site = Site::of_with(&yaml, &["--config", settings.to_str().unwrap()]).await;

    assert_eq!(name(&get(one, "same.test", "/").await), "first");
    let seen = site.first.last();
    assert_eq!(seen.header("x-forwarded-port"), Some("80"));
    assert_eq!(name(&get(two, "same.test", "/").await), "second");
    assert_eq!(name(&get(other, "same.test", "/").await), "first");
    assert_eq!(site.first.last().header("x-forwarded-port"), Some("8080"));

    // Redirects name what clients use, and no port where the scheme says it.
    let location = |answer: crate::support::client::Answer| {
        (
            answer.status,
            answer.header("location").unwrap_or_default().to_owned(),
        )
    };
    assert_eq!(
        location(get(one, "same.test", "/moved").await),
        (302, "http://same.test/new".to_owned())
    );
    assert_eq!(
        location(get(other, "same.test:8080", "/moved").await),
        (302, "http://same.test:8080/new".to_owned())
    );

    // Ingresses have their ports for themselves, and Gateways theirs.
    assert_eq!(site.answering("same.test", "/").await, "404");
    assert_eq!(site.answering("ingress.test", "/").await, "second");
    assert_eq!(name(&get(two, "ingress.test", "/").await), "404");
    assert!(tokio::net::TcpStream::connect(three).await.is_err());
}
