//! What is queued for the API server, and what becomes of it there.

mod server;

use std::time::Duration;

use serde_json::{Value, json};

use super::*;
use crate::manifest;
use crate::objects::{EndpointSlice, Object};
use crate::translate::Translator;
use server::Server;

const CONTROLLER: &str = "tidegate.dev/gateway";

/// A store, its translation, and what is to be written.
struct Scene {
    objects: Objects,
    translator: Translator,
    infrastructure: Infrastructure,
    queue: Arc<Queue>,
    leader: watch::Sender<bool>,
}

impl Scene {
    fn new(services: Option<GatewayServices>) -> Self {
        let options = Options {
            gateway_services: services,
            ..Options::default()
        };
        let (leader, following) = watch::channel(true);
        let queue = Arc::<Queue>::default();
        let infrastructure = Infrastructure::new(&options, following, queue.clone(), Arc::default());
        let mut scene = Self {
            objects: Objects::new(),
            translator: Translator::new(options),
            infrastructure,
            queue,
            leader,
        };
        scene.apply(&class(CONTROLLER));
        scene.apply(&gateway(json!({"team": "web"})));
        scene
    }

    fn apply(&mut self, object: &Value) {
        let manifest = manifest::parse("test.yaml", &object.to_string());
        assert_eq!(manifest.errors, []);
        for object in manifest.objects {
            self.change(object);
        }
    }

    fn change(&mut self, object: Object) {
        self.infrastructure
            .touch(object.kind(), &object.namespaced_name());
        self.objects.apply(object);
    }

    /// What waits after a translation.
    fn queued(&mut self) -> Vec<String> {
        let translation = self.translator.translate(&self.objects);
        self.infrastructure.translated(translation.infrastructure);
        self.infrastructure.review_touched(&self.objects);
        self.queue.names()
    }

    /// Does what waits, as an API server would.
    async fn written(&mut self) -> Vec<Task> {
        let mut done = Vec::new();
        while !self.queue.names().is_empty() {
            let (target, task) = self.queue.next().await;
            self.queue.finish(target.clone(), None);
            match &task.work {
                Work::Apply { body, .. } => {
                    let mut body = body.clone();
                    body["metadata"]["uid"] = format!("uid of {}", target.1.name).into();
                    self.apply(&body);
                }
                Work::Delete { .. } => {
                    self.objects.delete(target.0, &target.1.namespace, &target.1.name);
                }
            }
            done.push(task);
        }
        done
    }
}

fn class(controller: &str) -> Value {
    json!({
        "apiVersion": "gateway.networking.k8s.io/v1", "kind": "GatewayClass",
        "metadata": {"name": "tidegate"}, "spec": {"controllerName": controller},
    })
}

fn gateway(labels: Value) -> Value {
    json!({
        "apiVersion": "gateway.networking.k8s.io/v1", "kind": "Gateway",
        "metadata": {"name": "edge", "namespace": "shop", "uid": "7"},
        "spec": {
            "gatewayClassName": "tidegate",
            "infrastructure": {"labels": labels},
            "listeners": [{"name": "http", "port": 80, "protocol": "HTTP"}],
        },
    })
}

const SERVICE: &str = "shop/edge-tidegate";

#[tokio::test]
async fn what_is_there_as_wanted_is_left_alone() {
    let mut scene = Scene::new(Some(GatewayServices::fixture(&["10.0.0.1", "fd00::1"])));
    assert_eq!(scene.queued(), [SERVICE]);
    let first = scene.written().await;
    let Work::Apply { body, uid: None } = &first[0].work else {
        panic!("{first:?}")
    };
    assert_eq!(body["kind"], "Service");
    assert_eq!(body["metadata"]["labels"]["team"], "web");
    assert_eq!(body["spec"]["ports"][0]["targetPort"], 20000);
    assert_eq!(body["spec"].get("selector"), None);
    // Slices lead to what the Service says, so they come after it.
    assert_eq!(
        scene.queued(),
        ["shop/edge-tidegate-ipv4", "shop/edge-tidegate-ipv6"]
    );
    let slices = scene.written().await;
    let Work::Apply { body, .. } = &slices[1].work else {
        panic!("{slices:?}")
    };
    assert_eq!(body["addressType"], "IPv6");
    assert_eq!(body["endpoints"][0]["addresses"], json!(["fd00::1"]));
    assert_eq!(
        body["ports"][0],
        json!({"name": "tcp-80", "port": 20000, "protocol": "TCP"})
    );
    let labels = &body["metadata"]["labels"];
    assert_eq!(labels["kubernetes.io/service-name"], "edge-tidegate");
    assert_eq!(labels["endpointslice.kubernetes.io/managed-by"], "tidegate.dev");
    assert_eq!(scene.queued(), [""; 0]);
    scene.infrastructure.review(&scene.objects);
    assert_eq!(scene.queue.names(), [""; 0]);

    // A label that is wanted no more goes, too.
    scene.apply(&gateway(json!({})));
    assert_eq!(
        scene.queued(),
        [SERVICE, "shop/edge-tidegate-ipv4", "shop/edge-tidegate-ipv6"]
    );
    let again = scene.written().await;
    let Work::Apply { body, uid } = &again[0].work else {
        panic!("{again:?}")
    };
    assert_eq!(uid.as_deref(), Some("uid of edge-tidegate"));
    assert_eq!(body["metadata"]["labels"].get("team"), None);
    assert_eq!(scene.queued(), [""; 0]);
}

#[tokio::test]
async fn what_others_change_is_brought_back_and_what_they_add_stays() {
    let mut scene = Scene::new(Some(GatewayServices::fixture(&["10.0.0.1"])));
    scene.queued();
    scene.written().await;
    scene.queued();
    scene.written().await;
    let name = NamespacedName::new("shop", "edge-tidegate");
    let service = scene
        .objects
        .service(&name.namespace, &name.name)
        .unwrap()
        .clone();
    let changed = |change: fn(&mut Service)| {
        let mut service = Service::clone(&service);
        change(&mut service);
        Object::from(service)
    };
    scene.change(changed(|service| {
        let annotations = service.metadata.annotations.as_mut().unwrap();
        annotations.insert("cloud.test/id".to_owned(), "1".to_owned());
        service.spec.as_mut().unwrap().cluster_ip = Some("10.96.0.7".to_owned());
        service.spec.as_mut().unwrap().ports.as_mut().unwrap()[0].node_port = Some(30000);
    }));
    assert_eq!(scene.queued(), [""; 0]);
    scene.change(changed(|service| {
        service.metadata.labels.as_mut().unwrap().remove("team");
    }));
    assert_eq!(scene.queued(), [SERVICE]);
    scene.written().await;
    scene.change(changed(|service| {
        service.spec.as_mut().unwrap().type_ = Some("ClusterIP".to_owned());
    }));
    assert_eq!(scene.queued(), [SERVICE]);
    scene.written().await;
    let slice = scene.objects.backend(&name.namespace, &name.name).unwrap().slices[0].clone();
    let mut slice = EndpointSlice::clone(&slice);
    slice.endpoints = Box::default();
    scene.change(slice.into());
    assert_eq!(scene.queued(), ["shop/edge-tidegate-ipv4"]);
}

#[tokio::test]
async fn replicas_are_the_pods_that_run() {
    let mut scene = Scene::new(Some(GatewayServices::fixture(&[])));
    let pod = |name: &str, ip: &str, phase: &str, ready: &str, ends: bool| {
        let mut pod = json!({
            "apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "namespace": "edge"},
            "spec": {"nodeName": "n1", "containers": []},
            "status": {
                "phase": phase, "podIP": ip, "podIPs": [{"ip": ip}],
                "conditions": [{"type": "Ready", "status": ready}],
            },
        });
        if ends {
            pod["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z".into();
        }
        Object::read(Kind::Pod, pod).unwrap()
    };
    scene.queued();
    scene.written().await;
    assert_eq!(scene.queued(), [""; 0], "no replica, no slice");
    scene.change(pod("a", "10.0.0.1", "Running", "True", false));
    scene.change(pod("b", "10.0.0.2", "Running", "False", false));
    scene.change(pod("c", "10.0.0.3", "Running", "True", true));
    scene.change(pod("d", "10.0.0.4", "Failed", "True", false));
    assert_eq!(scene.queued(), ["shop/edge-tidegate-ipv4"]);
    let written = scene.written().await;
    let Work::Apply { body, .. } = &written[0].work else {
        panic!("{written:?}")
    };
    let shown: Vec<Value> = body["endpoints"]
        .as_array()
        .unwrap()
        .iter()
        .map(|endpoint| {
            let conditions = &endpoint["conditions"];
            let all = ["ready", "serving", "terminating"].map(|name| conditions[name].as_bool().unwrap());
            json!([endpoint["addresses"][0], endpoint["nodeName"], all])
        })
        .collect();
    assert_eq!(
        json!(shown),
        json!([
            ["10.0.0.1", "n1", [true, true, false]],
            ["10.0.0.2", "n1", [false, false, false]],
            ["10.0.0.3", "n1", [false, true, true]],
        ])
    );
    assert_eq!(scene.queued(), [""; 0]);
    // The last one ends: a slice without endpoints, not an old one.
    for (name, change) in [("a", "edge"), ("b", "edge"), ("c", "edge")] {
        let name = NamespacedName::new(change, name);
        scene.infrastructure.touch(Kind::Pod, &name);
        scene.objects.delete(Kind::Pod, &name.namespace, &name.name);
    }
    assert_eq!(scene.queued(), ["shop/edge-tidegate-ipv4"]);
}

#[tokio::test]
async fn the_leader_alone_writes() {
    let mut scene = Scene::new(Some(GatewayServices::fixture(&["10.0.0.1"])));
    scene.leader.send_replace(false);
    assert_eq!(scene.queued(), [""; 0]);
    scene.leader.send_replace(true);
    scene.infrastructure.review(&scene.objects);
    assert_eq!(scene.queue.names(), [SERVICE]);
    scene.leader.send_replace(false);
    scene.infrastructure.review(&scene.objects);
    assert_eq!(scene.queue.names(), [""; 0]);
}

#[tokio::test]
async fn what_waits_for_a_gateway_that_is_gone_is_forgotten() {
    let mut scene = Scene::new(Some(GatewayServices::fixture(&["10.0.0.1"])));
    assert_eq!(scene.queued(), [SERVICE]);
    scene.objects.delete(Kind::Gateway, "shop", "edge");
    assert_eq!(scene.queued(), [""; 0]);
}

/// What the scene would delete, after its class or its settings have changed.
async fn left_over(change: impl FnOnce(&mut Scene)) -> Vec<String> {
    let mut scene = Scene::new(Some(GatewayServices::fixture(&["10.0.0.1"])));
    scene.queued();
    scene.written().await;
    scene.queued();
    scene.written().await;
    change(&mut scene);
    let waiting = scene.queued();
    for task in scene.written().await {
        assert!(matches!(task.work, Work::Delete { .. }), "{task:?}");
    }
    waiting
}

#[tokio::test]
async fn a_service_without_purpose_is_deleted_and_what_is_not_known_is_kept() {
    let none: [&str; 0] = [];
    assert_eq!(left_over(|_| {}).await, none);
    let other = |scene: &mut Scene| scene.apply(&class("other.test/gateway"));
    assert_eq!(left_over(other).await, [SERVICE]);
    // Its class is known later than that it has it.
    let late = |scene: &mut Scene| {
        let mut moved = gateway(json!({}));
        moved["spec"]["gatewayClassName"] = "foreign".into();
        scene.apply(&moved);
        assert_eq!(scene.queued(), none);
        let mut foreign = class("other.test/gateway");
        foreign["metadata"]["name"] = "foreign".into();
        scene.apply(&foreign);
    };
    assert_eq!(left_over(late).await, [SERVICE]);
    let off = |scene: &mut Scene| {
        scene.infrastructure.services = None;
        scene.infrastructure.touched = true;
    };
    assert_eq!(left_over(off).await, [SERVICE]);
    let classless = |scene: &mut Scene| drop(scene.objects.delete(Kind::GatewayClass, "", "tidegate"));
    assert_eq!(left_over(classless).await, none);
    // Kubernetes deletes what a Gateway that is gone had.
    let gone = |scene: &mut Scene| drop(scene.objects.delete(Kind::Gateway, "shop", "edge"));
    assert_eq!(left_over(gone).await, none);
    // Another release's.
    let foreign = |scene: &mut Scene| {
        scene.infrastructure.services = None;
        scene.infrastructure.touched = true;
        scene.infrastructure.controller = "tidegate.dev/other".to_owned();
    };
    assert_eq!(left_over(foreign).await, none);
}

/// Lets the writer do one task; the requests, and what is refused then.
async fn sent(server: &Server, work: Work, leads: bool) -> (Vec<String>, Vec<String>) {
    let (queue, refusals) = (Arc::<Queue>::default(), Arc::<Refusals>::default());
    let (_leader, following) = watch::channel(leads);
    let target = (Kind::Service, NamespacedName::new("shop", "edge-tidegate"));
    let gateway = NamespacedName::new("shop", "edge");
    queue.put(target, Task { gateway, work });
    let writer = writer::run(server.client(), queue.clone(), refusals.clone(), following);
    tokio::select! {
        () = writer => {}
        () = queue.drained() => {}
        () = tokio::time::sleep(Duration::from_secs(30)) => panic!("not written"),
    }
    let refused = refusals.take_changed().unwrap_or_default();
    let problems = refused.into_iter().map(|refused| problem(refused).to_string());
    (server.taken(), problems.collect())
}

fn wanted(uid: Option<&str>) -> Work {
    Work::Apply {
        body: json!({
            "apiVersion": "v1", "kind": "Service",
            "metadata": {"name": "edge-tidegate", "namespace": "shop", "ownerReferences": [{"uid": "7"}]},
        }),
        uid: uid.map(str::to_owned),
    }
}

const PATH: &str = "/api/v1/namespaces/shop/services/edge-tidegate";

fn found(owner: &str) -> Value {
    json!({
        "apiVersion": "v1", "kind": "Service",
        "metadata": {
            "name": "edge-tidegate", "uid": "s",
            "ownerReferences": [{"apiVersion": "v1", "kind": "Gateway", "name": "edge", "uid": owner}],
        },
    })
}

fn status(code: u16, reason: &str, message: &str) -> (u16, Value) {
    let status = json!({
        "kind": "Status", "apiVersion": "v1", "status": "Failure", "code": code,
        "message": message, "reason": reason,
    });
    (code, status)
}

#[tokio::test]
async fn what_is_new_is_made_and_what_is_there_is_applied_to() {
    let server = Server::start().await;
    server.answers(&[status(404, "NotFound", "no"), (201, found("7"))]);
    let (requests, refused) = sent(&server, wanted(None), true).await;
    assert_eq!(
        requests,
        [
            format!("GET {PATH}"),
            format!("PATCH {PATH}?&fieldManager=tidegate")
        ]
    );
    assert_eq!(refused, [""; 0]);
    server.answers(&[(200, found("7"))]);
    let (requests, _) = sent(&server, wanted(Some("s")), true).await;
    assert_eq!(
        requests,
        [format!("PATCH {PATH}?&force=true&fieldManager=tidegate")]
    );
    assert_eq!(server.body()["metadata"]["uid"], "s");
}

#[tokio::test]
async fn nobody_elses_object_is_touched() {
    let server = Server::start().await;
    server.answers(&[(200, found("8"))]);
    let (requests, _) = sent(&server, wanted(None), true).await;
    assert_eq!(requests, [format!("GET {PATH}")]);
    let (requests, _) = sent(&server, wanted(None), false).await;
    assert_eq!(requests, [""; 0], "a follower asks nothing");
    server.answers(&[(200, json!({"kind": "Status"}))]);
    let delete = Work::Delete { uid: "s".to_owned() };
    let (requests, _) = sent(&server, delete, true).await;
    assert_eq!(requests, [format!("DELETE {PATH}?")]);
    assert_eq!(server.body()["preconditions"]["uid"], "s");
}

#[tokio::test]
async fn what_is_forbidden_is_told_with_the_right_that_is_missing() {
    let server = Server::start().await;
    let message = "services is forbidden: User \"a\" cannot patch resource \"services\"";
    server.answers(&[status(403, "Forbidden", message)]);
    let (_, refused) = sent(&server, wanted(Some("s")), true).await;
    assert_eq!(refused.len(), 1);
    for part in ["shop/edge", message, "get, create, patch and delete on services"] {
        assert!(refused[0].contains(part), "{part} in {}", refused[0]);
    }
    server.answers(&[status(500, "InternalError", "later"), (200, found("7"))]);
    let (requests, refused) = sent(&server, wanted(Some("s")), true).await;
    assert_eq!((requests.len(), refused.len()), (2, 0), "tried again");
}
