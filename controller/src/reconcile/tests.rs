//! The loop from events to publications, with a real translator.

use std::time::Duration;

use prometheus::Registry;
use tidegate_snapshot::{Effect, Hostname, ObjectRef, Problem};
use tokio::task::JoinHandle;

use super::*;
use crate::manifest;
use crate::options::Options;
use crate::provider;

/// A reconciler on its own task, and both of its ends.
struct Running {
    events: mpsc::Sender<ProviderEvent>,
    published: mpsc::UnboundedReceiver<Publication>,
    state: Arc<State>,
    shutdown: watch::Sender<bool>,
    task: JoinHandle<()>,
}

impl Running {
    fn start() -> Self {
        let (events, receiver) = mpsc::channel(provider::QUEUE);
        let (sender, published) = mpsc::unbounded_channel();
        let (shutdown, stop) = watch::channel(false);
        let state = State::new();
        let metrics = Metrics::new(&Registry::new()).unwrap();
        let options = Options {
            watch_ingress_without_class: true,
            ..Options::default()
        };
        let reconciler = Reconciler::new(
            Translator::new(options),
            Box::new(move |publication| sender.send(publication).unwrap()),
            Report::new(metrics.clone(), state.clone(), None, None, None),
            metrics,
            state.clone(),
        );
        Self {
            events,
            published,
            state,
            shutdown,
            task: tokio::spawn(reconciler.run(receiver, stop)),
        }
    }

    /// One that is in sync with these manifests.
    async fn synced(text: &str) -> (Self, Publication) {
        let mut running = Self::start();
        running.apply(text).await;
        running.send(Update::Synced).await;
        let first = running.next().await;
        // So that the next change is the first after quiet.
        tokio::time::sleep(Duration::from_millis(100)).await;
        (running, first)
    }

    async fn send(&self, update: Update) -> Instant {
        let event = ProviderEvent::now(update);
        let arrived = event.arrived;
        self.events.send(event).await.unwrap();
        arrived
    }

    async fn apply(&self, text: &str) -> Instant {
        let changes = objects(text).into_iter().map(ObjectChange::Apply).collect();
        self.send(Update::Changes(changes)).await
    }

    async fn next(&mut self) -> Publication {
        tokio::time::timeout(Duration::from_secs(60), self.published.recv())
            .await
            .expect("a publication in time")
            .unwrap()
    }

    /// What is published while nothing more is sent.
    async fn rest(&mut self) -> Vec<Publication> {
        tokio::time::sleep(Duration::from_millis(700)).await;
        std::iter::from_fn(|| self.published.try_recv().ok()).collect()
    }
}

fn objects(text: &str) -> Vec<Object> {
    let manifest = manifest::parse("test.yaml", text);
    assert_eq!(manifest.errors, []);
    manifest.objects
}

fn ingress(name: &str, host: &str) -> String {
    format!(
        "
---
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata: {{name: {name}, namespace: shop}}
spec:
  rules:
  - host: {host}
    http:
      paths:
      - path: /
        pathType: Prefix
        backend: {{service: {{name: web, port: {{number: 80}}}}}}
"
    )
}

const SERVICE: &str = "
---
apiVersion: v1
kind: Service
metadata: {name: web, namespace: shop}
spec: {clusterIP: 10.96.0.1, ports: [{port: 80, targetPort: 8080}]}
";

fn slice(addresses: &str) -> String {
    format!(
        "
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {{name: web-1, namespace: shop, labels: {{kubernetes.io/service-name: web}}}}
addressType: IPv4
ports: [{{port: 8080}}]
endpoints: [{{addresses: [{addresses}]}}]
"
    )
}

fn hosts(publication: &Publication) -> Vec<String> {
    let tables = publication.snapshot.tables.values();
    let hosts = tables.flat_map(|table| table.hosts.keys());
    hosts
        .filter(|host| matches!(host, Hostname::Exact(_)))
        .map(ToString::to_string)
        .collect()
}

fn addresses(publication: &Publication) -> Vec<String> {
    let lists = publication.snapshot.endpoints.values();
    lists
        .flat_map(|list| list.iter())
        .map(|endpoint| endpoint.address.to_string())
        .collect()
}

#[tokio::test]
async fn nothing_is_published_before_sync() {
    let mut running = Running::start();
    running.apply(&ingress("a", "a.example")).await;
    running.apply(SERVICE).await;
    assert_eq!(running.rest().await.len(), 0);
    assert!(!running.state.synced());
    running.send(Update::Synced).await;
    let first = running.next().await;
    assert_eq!(
        (first.generation, hosts(&first)),
        (1, vec!["a.example".to_owned()])
    );
    assert!(running.state.synced());
    assert_eq!(running.state.generation(), 1);
}

#[tokio::test]
async fn an_empty_store_is_published_too() {
    let mut running = Running::start();
    running.send(Update::Synced).await;
    assert_eq!(hosts(&running.next().await).len(), 0);
}

#[tokio::test]
async fn new_endpoints_do_not_wait_and_touch_nothing_else() {
    let text = format!("{SERVICE}{}{}", slice("10.0.0.1"), ingress("a", "a.example"));
    let (mut running, first) = Running::synced(&text).await;
    assert_eq!(addresses(&first), ["10.0.0.1:8080"]);
    let arrived = running.apply(&slice("10.0.0.2")).await;
    let second = running.next().await;
    assert_eq!(second.event, arrived);
    assert_eq!(addresses(&second), ["10.0.0.2:8080"]);
    assert_eq!(second.generation, 2);
    let key = first.snapshot.clusters.keys().next().unwrap().clone();
    assert_eq!(second.changed, Changed::Endpoints(vec![key]));
    assert!(Arc::ptr_eq(&first.snapshot.clusters, &second.snapshot.clusters));
}

#[tokio::test]
async fn endpoints_overtake_a_change_that_waits() {
    let text = format!("{SERVICE}{}{}", slice("10.0.0.1"), ingress("a", "a.example"));
    let (mut running, _) = Running::synced(&text).await;
    // A machine that stalls for 50 ms has nothing left to overtake: try again.
    for round in 0..10 {
        running.apply(&ingress("b", &format!("b{round}.example"))).await;
        running.next().await;
        running.apply(&ingress("c", &format!("c{round}.example"))).await;
        running.apply(&slice(&format!("10.0.1.{round}"))).await;
        let published = running.rest().await;
        let [endpoints, everything] = published.as_slice() else {
            continue;
        };
        assert!(matches!(endpoints.changed, Changed::Endpoints(_)));
        assert_eq!(everything.changed, Changed::Everything);
        assert_eq!(addresses(endpoints), [format!("10.0.1.{round}:8080")]);
        assert_eq!(addresses(everything), addresses(endpoints));
        assert!(hosts(everything).contains(&format!("c{round}.example")));
        return;
    }
    panic!("endpoints waited every time");
}

#[tokio::test]
async fn a_burst_is_published_together_and_loses_nothing() {
    let (mut running, _) = Running::synced(SERVICE).await;
    running.apply(&ingress("i0", "h0.example")).await;
    running.next().await;
    let first = running.apply(&ingress("i1", "h1.example")).await;
    for index in 2..10 {
        running
            .apply(&ingress(&format!("i{index}"), &format!("h{index}.example")))
            .await;
    }
    // How many there are depends on how fast the machine is.
    let published = running.rest().await;
    assert_eq!(published[0].event, first, "propagation counts from the oldest");
    let last = published.last().unwrap();
    assert_eq!(hosts(last).len(), 10);
}

#[tokio::test]
async fn a_list_removes_what_it_lacks_within_its_scope() {
    let text = format!("{}{}", ingress("a", "a.example"), ingress("b", "b.example"));
    let (mut running, _) = Running::synced(&text).await;
    let relist = |namespace: &str, text: &str| Update::Relist {
        kind: Kind::Ingress,
        scope: Scope::Namespace(namespace.into()),
        objects: objects(text),
    };
    running.send(relist("elsewhere", "")).await;
    running.send(relist("shop", &text)).await;
    assert_eq!(running.rest().await.len(), 0, "nothing has changed");
    running.send(relist("shop", &ingress("b", "b.example"))).await;
    assert_eq!(hosts(&running.next().await), ["b.example"]);
}

#[tokio::test]
async fn problems_are_there_to_be_read() {
    let (running, _) = Running::synced("").await;
    let problem = Problem {
        object: ObjectRef::new("File", "", "a.yaml"),
        field: "line 3".to_owned(),
        reason: "InvalidManifest",
        message: "no".to_owned(),
        effect: Effect::ObjectRejected,
        fix: String::new(),
    };
    running.send(Update::Problems(vec![problem.clone()])).await;
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert_eq!(*running.state.problems(), [Arc::new(problem)]);
    running.send(Update::Problems(Vec::new())).await;
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert!(running.state.problems().is_empty());
}

#[tokio::test]
async fn shutdown_ends_it() {
    let running = Running::start();
    running.shutdown.send_replace(true);
    running.task.await.unwrap();
}
