//! The admission webhook as the program runs it: HTTPS on a thread of its own,
//! the controller on another.

use std::net::SocketAddr;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use http::StatusCode;
use serde_json::{Value, json};
use tidegate_controller::admission::Desk;
use tidegate_controller::objects::Object;
use tidegate_controller::options::Options;
use tidegate_controller::provider::{ObjectChange, ProviderEvent, Update};
use tidegate_controller::{Metrics, State};
use tidegate_gateway::webhook::{Answer, CertificateFiles, serve};
use tokio::runtime::{Builder, Runtime};
use tokio::sync::{mpsc, watch};

use crate::support::client::Client;
use crate::support::eventually;

/// An issue's promise, for a program that is optimised: 10 ms. This one is not,
/// and shares the machine with other tests.
const BOUND: Duration = Duration::from_millis(250);

const INGRESSES: usize = 10_000;
/// At least; and for as long as so many translations take.
const REVIEWS: usize = 300;
const TRANSLATIONS: u64 = 8;

struct Reviews(Desk);

#[async_trait]
impl Answer for Reviews {
    async fn answer(&self, body: Vec<u8>) -> Result<Vec<u8>, (StatusCode, String)> {
        let answer = self.0.review(&body);
        answer.map_err(|error| (StatusCode::SERVICE_UNAVAILABLE, error.to_string()))
    }
}

fn ingress(number: usize, path: &str) -> Value {
    json!({
        "apiVersion": "networking.k8s.io/v1", "kind": "Ingress",
        "metadata": {"name": format!("ingress-{number}"), "namespace": "default", "annotations": {
            "nginx.ingress.kubernetes.io/proxy-body-size": "8m",
        }},
        "spec": {"rules": [{"host": format!("host-{number}.example.com"), "http": {"paths": [{
            "path": path, "pathType": "Prefix",
            "backend": {"service": {"name": "web", "port": {"number": 80}}},
        }]}}]},
    })
}

fn applied(numbers: impl Iterator<Item = usize>, path: &str) -> ProviderEvent {
    let objects = numbers.map(|number| {
        let ingress = serde_json::from_value(ingress(number, path)).unwrap();
        ObjectChange::Apply(Object::Ingress(Arc::new(ingress)))
    });
    ProviderEvent::now(Update::Changes(objects.collect()))
}

fn runtime() -> Runtime {
    Builder::new_current_thread().enable_all().build().unwrap()
}

fn controller(state: Arc<State>, stop: watch::Receiver<bool>) -> mpsc::Sender<ProviderEvent> {
    let (events, received) = mpsc::channel(1024);
    let options = Options {
        watch_ingress_without_class: true,
        ..Options::default()
    };
    let metrics = Metrics::new(&prometheus::Registry::new()).unwrap();
    thread::spawn(move || {
        let publish = Box::new(|_| ());
        runtime().block_on(tidegate_controller::run_events(
            options, metrics, received, publish, state, stop,
        ));
    });
    events
}

fn webhook(desk: Desk, stop: watch::Receiver<bool>) -> SocketAddr {
    let folder = tempfile::tempdir().unwrap();
    let pair = rcgen::generate_simple_self_signed(["webhook".to_owned()]).unwrap();
    let (certificate, key) = (folder.path().join("cert.pem"), folder.path().join("key.pem"));
    std::fs::write(&certificate, pair.cert.pem()).unwrap();
    std::fs::write(&key, pair.signing_key.serialize_pem()).unwrap();
    let files = CertificateFiles::read(&certificate, &key).unwrap();
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    listener.set_nonblocking(true).unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || {
        runtime().block_on(async move {
            let listener = tokio::net::TcpListener::from_std(listener).unwrap();
            serve(listener, Arc::new(files), Arc::new(Reviews(desk)), stop).await;
        });
        drop(folder);
    });
    address
}

fn review(object: &Value) -> String {
    let review = json!({
        "apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview",
        "request": {
            "uid": "7", "operation": "CREATE", "object": object,
            "kind": {"group": "networking.k8s.io", "version": "v1", "kind": "Ingress"},
        },
    })
    .to_string();
    format!(
        "POST /networking/v1/ingresses HTTP/1.1\r\nHost: webhook\r\nContent-Length: {}\r\n\r\n{review}",
        review.len()
    )
}

/// Reviews do not wait for translations: at ten thousand Ingresses, of which some
/// change all the time, the slowest of a hundred is answered in time.
#[tokio::test]
#[allow(clippy::print_stderr, reason = "the figure is wanted")]
async fn reviews_are_quick_while_ten_thousand_ingresses_change() {
    tidegate_gateway::tls::install_provider();
    let (state, (stop, stopping)) = (State::new(), watch::channel(false));
    let events = controller(state.clone(), stopping.clone());
    events.send(applied(0..INGRESSES, "/")).await.unwrap();
    events.send(ProviderEvent::now(Update::Synced)).await.unwrap();
    let start = Instant::now();
    while state.generation() == 0 {
        assert!(start.elapsed() < Duration::from_secs(120), "no translation");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let first = start.elapsed();
    let address = webhook(Desk::new(state.clone()), stopping.clone());
    let changing = events.clone();
    let churn = tokio::spawn(async move {
        for round in 0_usize.. {
            let some = (0..10).map(|number| (round * 10 + number) % (INGRESSES - 1));
            let path = format!("/{round}");
            if changing.send(applied(some, &path)).await.is_err() {
                return;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    });
    let before = state.generation();
    eventually("Ingresses change", || state.generation() > before + 2).await;

    let mut client = Client::tls(address, "webhook", &["http/1.1"]).await;
    let (new, changed) = (review(&ingress(INGRESSES, "/")), review(&ingress(5, "/x")));
    let taken = review(&{
        let mut taken = ingress(INGRESSES - 1, "/");
        taken["metadata"]["name"] = json!("another");
        taken
    });
    let mut times = Vec::with_capacity(REVIEWS);
    let (before, began) = (state.generation(), Instant::now());
    for number in 0.. {
        if number >= REVIEWS && state.generation() >= before + TRANSLATIONS {
            break;
        }
        assert!(began.elapsed() < Duration::from_secs(60), "no more translations");
        let (request, allowed) = [(&new, true), (&changed, true), (&taken, false)][number % 3];
        let start = Instant::now();
        let answer = client.request(request).await;
        times.push(start.elapsed());
        assert_eq!(answer.status, 200);
        assert_eq!(answer.json()["response"]["allowed"], allowed, "{}", answer.text());
    }
    churn.abort();
    let translations = state.generation() - before;
    times.sort();
    let count = times.len();
    let [half, p99, last] = [count / 2, count * 99 / 100, count - 1].map(|at| times[at]);
    eprintln!(
        "{INGRESSES} Ingresses, first translated in {first:?}; {count} reviews over {translations} translations: \
         p50 {half:?}, p99 {p99:?}, max {last:?}"
    );
    assert!(p99 < BOUND, "p50 {half:?}, p99 {p99:?}, max {last:?}");
    stop.send_replace(true);
}
