//! An API server, a client of it, two backends that tell themselves apart, and
//! the gateway.

use std::time::{Duration, Instant};

use futures::StreamExt;
use kube::config::{KubeConfigOptions, Kubeconfig};
use serde_json::Value;

use super::api_server::ApiServer;
use super::backend::PORT;
use super::common::{self, Client};
use super::objects;
use super::program::Program;

/// Requests to the API server at one time.
const PARALLEL: usize = 16;

/// The metric of written statuses.
pub const WRITES: &str = "tidegate_controller_status_writes_total{result=\"written\"}";

/// What every part needs.
pub struct World {
    pub api: ApiServer,
    pub client: kube::Client,
}

impl World {
    /// Without any object.
    pub async fn new() -> Self {
        let api = ApiServer::start();
        let kubeconfig = Kubeconfig::read_from(&api.kubeconfig).unwrap();
        let options = KubeConfigOptions::default();
        let config = kube::Config::from_custom_kubeconfig(kubeconfig, &options)
            .await
            .unwrap();
        let client = kube::Client::try_from(config).unwrap();
        Self { api, client }
    }

    /// Creates all, many at a time.
    pub async fn create(&self, objects: Vec<Value>) {
        let each = futures::stream::iter(objects);
        each.for_each_concurrent(PARALLEL, |object| async move {
            self.send("POST", &objects::collection(&object), &object).await;
        })
        .await;
    }

    /// Changes one object by a merge patch.
    pub async fn patch(&self, object: &Value) {
        let name = object["metadata"]["name"].as_str().unwrap();
        let path = format!("{}/{name}", objects::collection(object));
        self.send("PATCH", &path, object).await;
    }

    /// Deletes whatever is in the collection that an object belongs to.
    pub async fn delete_all(&self, object: &Value) {
        self.send("DELETE", &objects::collection(object), &Value::Null)
            .await;
    }

    /// Deletes all one by one, many at a time. The API server takes a collection
    /// in one go with one worker, which for thousands is longer than a request may last.
    pub async fn delete(&self, objects: Vec<Value>) {
        let each = futures::stream::iter(objects);
        each.for_each_concurrent(PARALLEL, |object| async move {
            let name = object["metadata"]["name"].as_str().unwrap();
            let path = format!("{}/{name}", objects::collection(&object));
            self.send("DELETE", &path, &Value::Null).await;
        })
        .await;
    }

    /// What there is at a path.
    pub async fn read(&self, path: &str) -> Value {
        self.send("GET", path, &Value::Null).await
    }

    /// Statuses of a kind that were written so far, by the count of the API server:
    /// nobody but the gateway writes any.
    pub fn status_writes(&self, plural: &str) -> u64 {
        let page = self.api.kubectl(&["get", "--raw", "/metrics"]);
        let is_write = |line: &&str| {
            line.starts_with("apiserver_request_total{")
                && line.contains("code=\"200\"")
                && line.contains(&format!("resource=\"{plural}\""))
                && line.contains("subresource=\"status\"")
                && !line.contains("verb=\"GET\"")
        };
        let counts = page.lines().filter(is_write);
        let count = |line: &str| line.rsplit_once(' ')?.1.parse::<f64>().ok();
        counts.filter_map(count).sum::<f64>() as u64
    }

    async fn send(&self, method: &str, path: &str, body: &Value) -> Value {
        let kind = match method {
            "PATCH" => "application/merge-patch+json",
            _ => "application/json",
        };
        let bytes = if body.is_null() {
            Vec::new()
        } else {
            body.to_string().into_bytes()
        };
        let request = ::http::Request::builder()
            .method(method)
            .uri(path)
            .header("content-type", kind)
            .body(bytes)
            .unwrap();
        match self.client.request::<Value>(request).await {
            Ok(answer) => answer,
            // A client repeats what a busy server was too late for, which may be done by then.
            Err(kube::Error::Api(status))
                if matches!((method, status.code), ("POST", 409) | ("DELETE", 404)) =>
            {
                Value::Null
            }
            Err(error) => panic!("{method} {path}: {error}"),
        }
    }

    /// Starts the gateway, as it would run where ingress-nginx did.
    pub fn gateway(&self) -> Program {
        let flags = ["--access-log=off".to_owned()];
        Program::start(&self.api.kubeconfig, "203.0.113.7", &flags)
    }
}

/// Backends at these addresses, each answering with its letter.
pub async fn backends() {
    for (letter, address) in (b'a'..).zip(objects::BACKENDS) {
        let listener = tokio::net::TcpListener::bind((address, PORT)).await.unwrap();
        tokio::spawn(common::backend(listener, vec![letter].into()));
    }
}

/// Asks until a host answers with this letter. Milliseconds since `start`, and
/// how many answers were neither 200 nor `before`.
pub async fn until(client: &mut Client, letter: u8, before: u16, start: Instant) -> (f64, usize) {
    let mut bad = 0;
    loop {
        let (status, body) = client.exchange().await.unwrap();
        if status == 200 && body == [letter] {
            return (start.elapsed().as_secs_f64() * 1e3, bad);
        }
        bad += usize::from(status != 200 && status != before);
        assert!(
            start.elapsed() < Duration::from_secs(60),
            "status {status} for a minute"
        );
        tokio::time::sleep(Duration::from_micros(500)).await;
    }
}

/// p50 and p99.
pub fn quantiles(samples: &mut [f64]) -> [f64; 2] {
    [500, 990].map(|permille| common::percentile(samples, permille))
}

/// `p50 / p99` of milliseconds.
pub fn pair([half, most]: [f64; 2]) -> String {
    format!("{half:.1} / {most:.1}")
}

/// The gateway's resident memory in MiB.
pub fn resident(gateway: &Program) -> f64 {
    gateway.metric("process_resident_memory_bytes") / 1_048_576.0
}
