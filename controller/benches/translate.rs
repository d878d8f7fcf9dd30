//! What translation costs: `cargo bench -p tidegate-controller [INGRESSES]`.
//! Prints CPU time, which a busy machine spares; asserts nothing, because
//! machines differ.

#![expect(clippy::print_stdout, reason = "it is what a benchmark is for")]

use std::time::Duration;

use tidegate_controller::manifest;
use tidegate_controller::objects::{Change, Object, Objects};
use tidegate_controller::options::Options;
use tidegate_controller::translate::{Translator, translate};

const DEFAULT_INGRESSES: usize = 10_000;
const ROUNDS: usize = 20;

fn main() {
    let count = std::env::args().find_map(|argument| argument.parse().ok());
    let count: usize = count.unwrap_or(DEFAULT_INGRESSES);
    let before = resident();
    let objects = timed("read YAML", || objects(count));
    println!("objects                 {:>8} KiB", resident() - before);
    let options = Options {
        watch_ingress_without_class: true,
        ..Options::default()
    };
    let mut objects = objects;
    for _ in 0..3 {
        timed("translate, fresh", || translate(&objects, &options));
    }
    let before = resident();
    let mut translator = Translator::new(options);
    let mut latest = translator.translate(&objects);
    println!("snapshot and memory     {:>8} KiB", resident() - before);
    timed("translate, nothing new", || translator.translate(&objects));
    let changed = (0..ROUNDS).map(|round| {
        objects.apply(ingress(count / 2, &format!("/changed-{round}")));
        let start = cpu();
        latest = translator.translate(&objects);
        cpu() - start
    });
    report("one Ingress changed", changed.collect());
    let endpoints = (0..ROUNDS).map(|round| {
        let start = cpu();
        let change = objects.apply(slice(round, 4));
        if let Change::Endpoints { namespace, service } = change {
            assert_eq!(translator.endpoints(&objects, &namespace, &service).len(), 1);
        }
        cpu() - start
    });
    report("endpoints of one Service", endpoints.collect());
    timed("drop the snapshot", || drop(latest));
}

fn report(what: &str, mut times: Vec<Duration>) {
    times.sort();
    let (median, last) = (times[times.len() / 2], times[times.len() - 1]);
    println!("{what:<26} {median:>10.2?} median, {last:.2?} worst");
}

fn timed<T>(what: &str, work: impl FnOnce() -> T) -> T {
    let start = cpu();
    let result = work();
    println!("{what:<26} {:>10.2?}", cpu() - start);
    result
}

/// CPU time of this thread.
fn cpu() -> Duration {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    let nanoseconds = text
        .split_whitespace()
        .next()
        .and_then(|number| number.parse().ok());
    Duration::from_nanos(nanoseconds.unwrap_or_default())
}

/// Resident memory in KiB.
fn resident() -> i64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let number = line.and_then(|line| line.split_whitespace().next()?.parse().ok());
    number.unwrap_or_default()
}

fn objects(count: usize) -> Objects {
    let mut objects = Objects::new();
    for index in 0..count {
        objects.apply(ingress(index, "/"));
        objects.apply(read(&format!(
            "apiVersion: v1\nkind: Service\nmetadata: {{name: s{index}}}\nspec:\n  ports: [{{name: http, port: 80, targetPort: 8080}}]\n"
        )));
        objects.apply(slice(index, 3));
    }
    objects
}

fn ingress(index: usize, path: &str) -> Object {
    let backend = format!("backend: {{service: {{name: s{index}, port: {{number: 80}}}}}}");
    let (minute, second) = (index / 60 % 60, index % 60);
    read(&format!(
        "apiVersion: networking.k8s.io/v1
kind: Ingress
metadata:
  name: i{index}
  creationTimestamp: '2024-01-01T00:{minute:02}:{second:02}Z'
  labels: {{app: s{index}}}
  annotations: {{nginx.ingress.kubernetes.io/proxy-read-timeout: '120'}}
spec:
  rules:
  - host: h{index}.example.com
    http:
      paths:
      - {{path: {path}, pathType: Prefix, {backend}}}
      - {{path: /api, pathType: Prefix, {backend}}}
      - {{path: /login, pathType: Exact, {backend}}}
"
    ))
}

fn slice(service: usize, endpoints: usize) -> Object {
    let endpoints: Vec<_> = (0..endpoints)
        .map(|index| {
            format!(
                "{{addresses: [10.{}.{}.{index}], conditions: {{ready: true}}}}",
                service / 250,
                service % 250
            )
        })
        .collect();
    read(&format!(
        "apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {{name: s{service}-x, labels: {{kubernetes.io/service-name: s{service}}}}}
addressType: IPv4
ports: [{{name: http, port: 8080}}]
endpoints: [{}]
",
        endpoints.join(", ")
    ))
}

fn read(text: &str) -> Object {
    let manifest = manifest::parse("bench", text);
    assert!(manifest.errors.is_empty(), "{:?}", manifest.errors);
    manifest
        .objects
        .into_iter()
        .next()
        .expect("one object was written")
}
