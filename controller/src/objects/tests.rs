use super::*;
use crate::manifest;

fn read(text: &str) -> Object {
    let manifest = manifest::parse("test", text);
    assert_eq!(manifest.errors, []);
    manifest.objects.into_iter().next().unwrap()
}

fn ingress(extra: &str) -> Object {
    read(&format!(
        "apiVersion: networking.k8s.io/v1\nkind: Ingress\nmetadata:\n  name: a\n  {extra}\nspec: {{}}\n"
    ))
}

fn slice(name: &str, service: &str, address: &str) -> Object {
    read(&format!(
        "apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {{name: {name}, labels: {{kubernetes.io/service-name: {service}}}}}
addressType: IPv4
endpoints: [{{addresses: [{address}]}}]
"
    ))
}

fn endpoints(service: &str) -> Change {
    NamespacedName::new("default", service).into_endpoints()
}

#[test]
fn an_equal_value_is_no_change_and_keeps_its_pointer() {
    let mut objects = Objects::new();
    assert_eq!(objects.apply(ingress("resourceVersion: '1'")), Change::Everything);
    let before = objects.ingress("default", "a").unwrap().clone();
    assert_eq!(objects.apply(ingress("resourceVersion: '2'")), Change::None);
    assert!(Arc::ptr_eq(&before, objects.ingress("default", "a").unwrap()));
    assert_eq!(objects.apply(ingress("labels: {a: b}")), Change::None);
    assert_eq!(objects.apply(ingress("annotations: {a: b}")), Change::Everything);
}

#[test]
fn bookkeeping_of_others_is_cut_off() {
    let mut objects = Objects::new();
    let noisy = "annotations: {kubectl.kubernetes.io/last-applied-configuration: x}
  managedFields: [{manager: m}]";
    objects.apply(ingress(noisy));
    let metadata = &objects.ingress("default", "a").unwrap().metadata;
    assert_eq!((&metadata.annotations, &metadata.managed_fields), (&None, &None));
}

#[test]
fn our_own_status_writes_do_not_translate() {
    let mut objects = Objects::new();
    objects.apply(ingress(""));
    let with_status = "apiVersion: networking.k8s.io/v1
kind: Ingress
metadata: {name: a}
spec: {}
status: {loadBalancer: {ingress: [{ip: 192.0.2.1}]}}";
    assert_eq!(objects.apply(read(with_status)), Change::Status);
    assert!(objects.load_balancer("default", "a").is_some());
    assert_eq!(objects.apply(ingress("")), Change::Status);
    assert_eq!(objects.load_balancer("default", "a"), None);
}

#[test]
fn slices_are_found_by_service() {
    let mut objects = Objects::new();
    assert_eq!(objects.apply(slice("s1", "a", "192.0.2.1")), endpoints("a"));
    assert_eq!(objects.apply(slice("s1", "a", "192.0.2.1")), Change::None);
    assert_eq!(objects.apply(slice("s0", "a", "192.0.2.2")), endpoints("a"));
    assert_eq!(objects.backend("default", "a").unwrap().slices.len(), 2);
    assert_eq!(
        objects.delete(Kind::EndpointSlice, "default", "s1"),
        endpoints("a")
    );
    assert_eq!(objects.delete(Kind::EndpointSlice, "default", "s1"), Change::None);
    objects.delete(Kind::EndpointSlice, "default", "s0");
    assert_eq!(objects.backend("default", "a"), None);
}

#[test]
fn a_slice_that_moves_to_another_service_leaves_the_first() {
    let mut objects = Objects::new();
    objects.apply(slice("s", "a", "192.0.2.1"));
    assert_eq!(objects.apply(slice("s", "b", "192.0.2.1")), Change::Everything);
    assert_eq!(objects.backend("default", "a"), None);
    assert_eq!(objects.backend("default", "b").unwrap().slices.len(), 1);
}

#[test]
fn a_service_matters_by_spec_and_annotations() {
    let service = |extra: &str, port: u16| {
        read(&format!(
            "apiVersion: v1\nkind: Service\nmetadata: {{name: a, {extra}}}\nspec: {{ports: [{{port: {port}}}]}}\n"
        ))
    };
    let mut objects = Objects::new();
    assert_eq!(objects.apply(service("", 80)), Change::Everything);
    assert_eq!(objects.apply(service("labels: {a: b}", 80)), Change::None);
    assert_eq!(objects.apply(service("finalizers: [a]", 80)), Change::Status);
    assert_eq!(
        objects.apply(service("annotations: {a: b}", 80)),
        Change::Everything
    );
    assert_eq!(
        objects.apply(service("annotations: {a: b}", 81)),
        Change::Everything
    );
    assert_eq!(objects.delete(Kind::Service, "default", "a"), Change::Everything);
    assert_eq!(objects.delete(Kind::Service, "default", "a"), Change::None);
}

#[test]
fn only_secrets_that_options_read_are_kept() {
    let secret = |kind: &str, key: &str| {
        read(&format!(
            "apiVersion: v1\nkind: Secret\nmetadata: {{name: a}}\ntype: {kind}\nstringData: {{{key}: x, other: y}}\n"
        ))
    };
    let mut objects = Objects::new();
    assert_eq!(
        objects.apply(secret("helm.sh/release.v1", "release")),
        Change::None
    );
    assert_eq!(objects.apply(secret("Opaque", "password")), Change::None);
    assert_eq!(objects.apply(secret("Opaque", "ca.crt")), Change::Everything);
    let data = objects.secret("default", "a").unwrap().data.clone().unwrap();
    assert_eq!(data.keys().collect::<Vec<_>>(), ["ca.crt"]);
    assert_eq!(objects.apply(secret("Opaque", "password")), Change::Everything);
    assert_eq!(objects.secret("default", "a"), None);
}

#[test]
fn a_relist_removes_what_is_gone_and_keeps_what_is_equal() {
    let mut objects = Objects::new();
    objects.apply(slice("s1", "a", "192.0.2.1"));
    objects.apply(slice("s2", "b", "192.0.2.1"));
    let relist = vec![slice("s1", "a", "192.0.2.1")];
    assert_eq!(
        objects.replace(Kind::EndpointSlice, relist.clone()),
        endpoints("b")
    );
    assert_eq!(objects.replace(Kind::EndpointSlice, relist), Change::None);
    assert_eq!(objects.names(Kind::EndpointSlice).len(), 1);
    assert_eq!(objects.replace(Kind::Ingress, Vec::new()), Change::None);
}

#[test]
fn changes_add_up() {
    assert_eq!(Change::None.and(Change::Status), Change::Status);
    assert_eq!(endpoints("a").and(Change::Status), endpoints("a"));
    assert_eq!(endpoints("a").and(endpoints("a")), endpoints("a"));
    assert_eq!(endpoints("a").and(endpoints("b")), Change::Everything);
}
