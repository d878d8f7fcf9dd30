//! Which addresses statuses show, and which statuses are written.

use super::*;
use crate::manifest;

fn objects(text: &str) -> Objects {
    let mut objects = Objects::new();
    let manifest = manifest::parse("test.yaml", text);
    assert_eq!(manifest.errors, []);
    for object in manifest.objects {
        objects.apply(object);
    }
    objects
}

fn config(source: AddressSource) -> StatusConfig {
    StatusConfig {
        source,
        clear_on_shutdown: true,
    }
}

fn show(objects: &Objects, source: AddressSource) -> Option<Vec<String>> {
    let entries = desired(objects, &config(source))?;
    Some(
        entries
            .into_iter()
            .map(|entry| match (entry.ip, entry.hostname) {
                (Some(ip), None) => format!("ip {ip}"),
                (None, Some(hostname)) => format!("hostname {hostname}"),
                other => panic!("one of both: {other:?}"),
            })
            .collect(),
    )
}

fn service(spec: &str) -> Option<Vec<String>> {
    let text = format!("apiVersion: v1\nkind: Service\nmetadata: {{name: lb, namespace: edge}}\n{spec}\n");
    show(
        &objects(&text),
        AddressSource::Service(NamespacedName::new("edge", "lb")),
    )
}

fn strings<const N: usize>(list: [&str; N]) -> Option<Vec<String>> {
    Some(list.map(str::to_owned).to_vec())
}

#[test]
fn given_addresses_are_sorted_into_ips_and_host_names() {
    let source = AddressSource::Addresses(
        ["lb.example", "203.0.113.7", "2001:db8::1"]
            .map(str::to_owned)
            .to_vec(),
    );
    assert_eq!(
        show(&Objects::new(), source),
        strings(["ip 2001:db8::1", "ip 203.0.113.7", "hostname lb.example"])
    );
}

#[test]
fn a_load_balancer_shows_its_status_and_external_ips() {
    let spec = "spec: {type: LoadBalancer, clusterIP: 10.0.0.1, externalIPs: [198.51.100.1]}\n\
                status: {loadBalancer: {ingress: [{ip: 203.0.113.7}, {hostname: lb.example}]}}";
    assert_eq!(
        service(spec),
        strings(["ip 198.51.100.1", "ip 203.0.113.7", "hostname lb.example"])
    );
}

#[test]
fn a_load_balancer_without_address_shows_none() {
    assert_eq!(
        service("spec: {type: LoadBalancer, clusterIP: 10.0.0.1}"),
        strings([])
    );
}

#[test]
fn a_node_port_shows_external_ips_or_its_cluster_ip() {
    assert_eq!(
        service("spec: {type: NodePort, clusterIP: 10.0.0.1}"),
        strings(["ip 10.0.0.1"])
    );
    assert_eq!(
        service("spec: {type: NodePort, clusterIP: 10.0.0.1, externalIPs: [198.51.100.1]}"),
        strings(["ip 198.51.100.1"])
    );
}

#[test]
fn a_cluster_ip_shows_itself() {
    assert_eq!(service("spec: {clusterIP: 10.0.0.1}"), strings(["ip 10.0.0.1"]));
    assert_eq!(service("spec: {clusterIP: None}"), strings([]));
}

#[test]
fn an_external_name_shows_that_name() {
    assert_eq!(
        service("spec: {type: ExternalName, externalName: lb.example}"),
        strings(["hostname lb.example"])
    );
}

#[test]
fn a_service_that_is_missing_says_nothing() {
    assert_eq!(
        show(
            &Objects::new(),
            AddressSource::Service(NamespacedName::new("edge", "lb"))
        ),
        None
    );
}

fn node(name: &str, addresses: &str) -> String {
    format!(
        "---\napiVersion: v1\nkind: Node\nmetadata: {{name: {name}}}\nstatus: {{addresses: [{addresses}]}}\n"
    )
}

fn pod(name: &str, node: &str, ready: &str) -> String {
    format!(
        "---\napiVersion: v1\nkind: Pod\nmetadata: {{name: {name}, namespace: edge}}\nspec: {{nodeName: {node}, containers: []}}\n\
         status: {{conditions: [{{type: Ready, status: '{ready}'}}]}}\n"
    )
}

#[test]
fn nodes_of_ready_pods_show_external_addresses_first() {
    let internal = "{type: InternalIP, address: 10.0.0.1}";
    let objects = [
        node(
            "n1",
            &format!("{internal}, {{type: ExternalIP, address: 203.0.113.1}}"),
        ),
        node("n2", "{type: InternalIP, address: 10.0.0.2}"),
        node("n3", "{type: InternalIP, address: 10.0.0.3}"),
        node("n4", "{type: InternalIP, address: 10.0.0.4}"),
        pod("a", "n1", "True"),
        pod("b", "n2", "True"),
        pod("c", "n2", "True"),
        pod("d", "n3", "False"),
    ]
    .concat();
    let objects = self::objects(&objects);
    assert_eq!(
        show(&objects, AddressSource::Nodes { internal: false }),
        strings(["ip 10.0.0.2", "ip 203.0.113.1"])
    );
    assert_eq!(
        show(&objects, AddressSource::Nodes { internal: true }),
        strings(["ip 10.0.0.1", "ip 10.0.0.2"])
    );
}

#[test]
fn without_a_ready_pod_nothing_is_said() {
    let objects = objects(&node("n1", "{type: InternalIP, address: 10.0.0.1}"));
    assert_eq!(show(&objects, AddressSource::Nodes { internal: false }), None);
}

#[test]
fn order_does_not_make_a_difference_but_addresses_do() {
    let status = |ips: &[&str]| IngressLoadBalancerStatus {
        ingress: Some(ips.iter().map(|ip| entry((*ip).to_owned())).collect()),
    };
    let wanted = [entry("10.0.0.1".to_owned()), entry("10.0.0.2".to_owned())];
    assert!(!differs(Some(&status(&["10.0.0.2", "10.0.0.1"])), &wanted));
    assert!(differs(Some(&status(&["10.0.0.2"])), &wanted));
    assert!(differs(None, &wanted));
    assert!(!differs(None, &[]));
    assert!(differs(Some(&status(&["10.0.0.2"])), &[]));
}

/// Statuses with one address, and the queue that they fill.
fn statuses(leads: bool) -> (Statuses, Arc<Queue>, watch::Sender<bool>) {
    let (leader, following) = watch::channel(leads);
    let queue = Arc::<Queue>::default();
    let source = AddressSource::Addresses(vec!["203.0.113.7".to_owned()]);
    (
        Statuses::new(config(source), following, queue.clone(), None, gateways()),
        queue,
        leader,
    )
}

const INGRESSES: &str = "
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata: {name: new, namespace: shop}
---
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata: {name: done, namespace: shop}
status: {loadBalancer: {ingress: [{ip: 203.0.113.7}]}}
---
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata: {name: foreign, namespace: shop}
";

fn accepted() -> Vec<ObjectRef> {
    ["done", "new"]
        .map(|name| ObjectRef::new("Ingress", "shop", name))
        .to_vec()
}

#[test]
fn the_leader_writes_what_differs_and_what_is_accepted() {
    let (mut statuses, queue, _leader) = statuses(true);
    statuses.review(&objects(INGRESSES), &accepted());
    assert_eq!(queue.names(), ["shop/new"]);
}

#[test]
fn a_follower_writes_nothing_until_it_leads() {
    let (mut statuses, queue, leader) = statuses(false);
    let objects = objects(INGRESSES);
    statuses.review(&objects, &accepted());
    statuses.touch(Kind::Ingress, &NamespacedName::new("shop", "new"));
    statuses.review_touched(&objects, &accepted());
    assert!(queue.names().is_empty());
    leader.send_replace(true);
    statuses.review(&objects, &accepted());
    assert_eq!(queue.names(), ["shop/new"]);
    leader.send_replace(false);
    statuses.review(&objects, &accepted());
    assert!(queue.names().is_empty());
}

#[test]
fn an_ingress_whose_status_somebody_changed_is_reviewed() {
    let (mut statuses, queue, _leader) = statuses(true);
    let mut objects = objects(INGRESSES);
    statuses.review(
        &objects,
        &["done"].map(|name| ObjectRef::new("Ingress", "shop", name)),
    );
    assert!(queue.names().is_empty());
    let changed = INGRESSES.replace("203.0.113.7", "192.0.2.1");
    for object in manifest::parse("test.yaml", &changed).objects {
        objects.apply(object);
    }
    statuses.touch(Kind::Ingress, &NamespacedName::new("shop", "done"));
    statuses.touch(Kind::Ingress, &NamespacedName::new("shop", "foreign"));
    statuses.review_touched(&objects, &accepted());
    assert_eq!(queue.names(), ["shop/done"]);
}

#[tokio::test]
async fn the_last_leader_clears_its_address() {
    let (mut statuses, queue, _leader) = statuses(true);
    let objects = objects(INGRESSES);
    statuses.review(&objects, &accepted());
    // Nobody writes here: the farewell would wait for its limit.
    let accepted = accepted();
    let farewell = statuses.goodbye(&objects, &accepted);
    let waited = tokio::time::timeout(std::time::Duration::from_millis(50), farewell);
    assert!(waited.await.is_err());
    assert_eq!(queue.names(), ["shop/done"]);
}

fn gateways() -> Gateways {
    Gateways::new(&crate::options::Options::default(), Arc::new(Bound::new))
}
