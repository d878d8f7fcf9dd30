use super::*;
use crate::manifest;
use crate::objects::{EndpointSlice, Object};

fn service(spec: &str) -> Service {
    let text = format!("apiVersion: v1\nkind: Service\nmetadata: {{name: s}}\nspec: {spec}\n");
    match manifest::parse("t", &text).objects.pop() {
        Some(Object::Service(service)) => Arc::unwrap_or_clone(service),
        other => panic!("{other:?}"),
    }
}

fn slice(body: &str) -> Arc<EndpointSlice> {
    let text = format!(
        "apiVersion: discovery.k8s.io/v1\nkind: EndpointSlice\nmetadata: {{name: s}}\naddressType: IPv4\n{body}\n"
    );
    match manifest::parse("t", &text).objects.pop() {
        Some(Object::EndpointSlice(slice)) => slice,
        other => panic!("{other:?}"),
    }
}

fn addresses(service: &Service, slices: &[Arc<EndpointSlice>], port: &str) -> Vec<String> {
    in_zone(service, slices, port, None)
}

fn in_zone(service: &Service, slices: &[Arc<EndpointSlice>], port: &str, zone: Option<&str>) -> Vec<String> {
    let port = port::find(service, port, Transport::Tcp).unwrap();
    let endpoints = endpoints::of_port(slices, port, zone);
    endpoints
        .iter()
        .map(|endpoint| endpoint.address.to_string())
        .collect()
}

#[test]
fn number_and_name_come_before_the_target_port() {
    let service =
        service("{ports: [{name: a, port: 8080, targetPort: 80}, {name: b, port: 80, targetPort: web}]}");
    let name = |wanted| port::find(&service, wanted, Transport::Tcp).and_then(|port| port.name.clone());
    assert_eq!(name("80").as_deref(), Some("b"));
    assert_eq!(name("a").as_deref(), Some("a"));
    assert_eq!(name("web").as_deref(), Some("b"));
    assert_eq!(name("81"), None);
}

#[test]
fn only_tcp_ports_count() {
    let service = service("{ports: [{name: dns, port: 53, protocol: UDP}, {name: tcp, port: 53}]}");
    assert_eq!(
        port::find(&service, "53", Transport::Tcp)
            .unwrap()
            .name
            .as_deref(),
        Some("tcp")
    );
    assert_eq!(port::find(&service, "dns", Transport::Tcp), None);
}

#[test]
fn a_named_port_takes_its_number_from_each_slice() {
    let service = service("{ports: [{name: web, port: 80, targetPort: http}]}");
    let slices = [
        slice(
            "ports: [{name: web, port: 8080}, {name: other, port: 1}]\nendpoints: [{addresses: [192.0.2.1]}]",
        ),
        slice("ports: [{name: web, port: 8081}]\nendpoints: [{addresses: [192.0.2.2]}]"),
        slice("ports: [{name: web, port: 53, protocol: UDP}]\nendpoints: [{addresses: [192.0.2.3]}]"),
    ];
    assert_eq!(
        addresses(&service, &slices, "80"),
        ["192.0.2.1:8080", "192.0.2.2:8081"]
    );
}

#[test]
fn addresses_are_sorted_and_once_and_of_both_families() {
    let service = service("{ports: [{port: 80}]}");
    let slices = [
        slice("ports: [{port: 8080}]\nendpoints: [{addresses: ['2001:db8::1']}, {addresses: [192.0.2.2]}]"),
        slice(
            "ports: [{port: 8080}]\nendpoints: [{addresses: [192.0.2.1, not-an-address]}, {addresses: [192.0.2.2]}]",
        ),
    ];
    assert_eq!(
        addresses(&service, &slices, "80"),
        ["192.0.2.1:8080", "192.0.2.2:8080", "[2001:db8::1]:8080"]
    );
}

#[test]
fn leaving_endpoints_serve_only_when_nothing_is_ready() {
    let service = service("{ports: [{port: 80}]}");
    let leaving = slice(
        "ports: [{port: 1}]
endpoints:
- {addresses: [192.0.2.1], conditions: {ready: false, serving: true, terminating: true}}
- {addresses: [192.0.2.2], conditions: {ready: false, serving: false, terminating: true}}
- {addresses: [192.0.2.3], conditions: {ready: false}}",
    );
    assert_eq!(
        addresses(&service, std::slice::from_ref(&leaving), "80"),
        ["192.0.2.1:1"]
    );
    let ready = slice("ports: [{port: 1}]\nendpoints: [{addresses: [192.0.2.9], conditions: {}}]");
    assert_eq!(addresses(&service, &[leaving, ready], "80"), ["192.0.2.9:1"]);
}

#[test]
fn slices_without_ports_use_a_numeric_target_port() {
    let slices = [slice("endpoints: [{addresses: [192.0.2.1]}]")];
    assert_eq!(
        addresses(&service("{ports: [{port: 80, targetPort: 81}]}"), &slices, "80"),
        ["192.0.2.1:81"]
    );
    assert!(addresses(&service("{ports: [{port: 80, targetPort: web}]}"), &slices, "80").is_empty());
}

#[test]
fn external_names() {
    let spec = |port: &str| Spec {
        port: port.into(),
        protocol: UpstreamProtocol::Http,
        load_balancing: LoadBalancing::RoundRobin,
        service_upstream: false,
        tls: None,
        transport: Transport::Tcp,
    };
    let discovery = |name: &str, ports: &str, port: &str| {
        let service = service(&format!(
            "{{type: ExternalName, externalName: '{name}', ports: {ports}}}"
        ));
        external(&service, &spec(port), &Options::default())
            .map(|(discovery, endpoints)| match discovery {
                Discovery::Dns { name, port, .. } => format!("{name} {port}"),
                Discovery::Snapshot => endpoints[0].address.to_string(),
            })
            .map_err(|refusal| refusal.reason)
    };
    assert_eq!(discovery("Example.com.", "[]", "80").unwrap(), "example.com. 80");
    assert_eq!(
        discovery("example.com", "[{port: 80, targetPort: 8443}]", "80").unwrap(),
        "example.com 8443"
    );
    assert_eq!(
        discovery("example.com", "[{name: web, port: 81}]", "web").unwrap(),
        "example.com 81"
    );
    assert_eq!(
        discovery("example.com", "[]", "web"),
        Err(reason::SERVICE_PORT_NOT_FOUND)
    );
    assert_eq!(discovery("192.0.2.7", "[]", "80").unwrap(), "192.0.2.7:80");
    for own in [
        "localhost",
        "LOCALHOST.",
        "a.localhost",
        "127.0.0.1",
        "::1",
        "::ffff:127.0.0.1",
        "0.0.0.0",
        "",
        "*",
        "a b",
    ] {
        assert_eq!(
            discovery(own, "[]", "80"),
            Err(reason::EXTERNAL_NAME_REFUSED),
            "{own}"
        );
    }
}

#[test]
fn hints_count_when_all_ready_endpoints_have_them() {
    let service = service("{ports: [{port: 80}]}");
    let of = |endpoints: &str| {
        let slice = slice(&format!("ports: [{{port: 80}}]\nendpoints: {endpoints}"));
        in_zone(&service, &[slice], "80", Some("a"))
    };
    let (near, far) = ("192.0.2.1:80", "192.0.2.2:80");
    let first = "{addresses: [192.0.2.1], hints: {forZones: [{name: b}, {name: a}]}}";
    for (second, expected) in [
        (
            "{addresses: [192.0.2.2], hints: {forZones: [{name: b}]}}",
            vec![near],
        ),
        ("{addresses: [192.0.2.2], hints: {forZones: []}}", vec![near, far]),
        ("{addresses: [192.0.2.2]}", vec![near, far]),
        ("{addresses: [192.0.2.2], conditions: {ready: false}}", vec![near]),
    ] {
        assert_eq!(of(&format!("[{first}, {second}]")), expected, "{second}");
    }
    // Nobody is meant for the zone: all serve it.
    assert_eq!(
        of("[{addresses: [192.0.2.2], hints: {forZones: [{name: b}]}}]"),
        [far]
    );
}
