//! A Prometheus of the test's own.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::process::Command;
use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};
use tempfile::TempDir;

use super::process::{Process, free_port};
use super::{SOON, parse_json, within};

/// What a query finds over a time.
pub struct Series {
    pub name: String,
    labels: Value,
    /// Seconds and values.
    pub points: Vec<(f64, f64)>,
}

impl Series {
    /// The same with the name that a panel's `legendFormat` makes; without one,
    /// the values of its labels.
    pub fn named(mut self, legend: &str) -> Self {
        let labels = self.labels.as_object().unwrap();
        let mut parts = legend.split("{{");
        self.name = parts.next().unwrap().to_owned();
        for part in parts {
            let (label, text) = part.split_once("}}").unwrap();
            self.name += labels.get(label).and_then(Value::as_str).unwrap_or("–");
            self.name += text;
        }
        if legend.is_empty() || legend == "__auto" {
            let values: Vec<&str> = labels.values().filter_map(Value::as_str).collect();
            self.name = values.join("/");
        }
        self
    }

    /// The newest value.
    pub fn last(&self) -> f64 {
        self.points.last().map_or(0.0, |point| point.1)
    }
}

/// A running Prometheus that scrapes one target every second.
pub struct Prometheus {
    address: SocketAddr,
    _process: Process,
    _folder: TempDir,
}

impl Prometheus {
    /// Starts it with a target and a file of rules, and waits until it is ready.
    pub fn start(target: SocketAddr, rules: &Path) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let config = json!({
            "global": {"scrape_interval": "1s", "evaluation_interval": "1s"},
            "rule_files": [rules],
            "scrape_configs": [
                {
                    "job_name": "tidegate", "honor_labels": true,
                    "static_configs": [{"targets": [target.to_string()]}],
                },
                // As ingress-nginx's dashboards expect it: `namespace` and `service`
                // are the target's, those of metrics become `exported_…`.
                {
                    "job_name": "nginx", "honor_labels": false,
                    "static_configs": [{
                        "targets": [target.to_string()],
                        "labels": {"namespace": "edge", "service": "edge-metrics", "pod": "edge-7"},
                    }],
                },
            ],
        });
        let file = folder.path().join("prometheus.yml");
        std::fs::write(&file, config.to_string()).unwrap();
        let address = SocketAddr::from(([127, 0, 0, 1], free_port()));
        let mut command = Command::new("prometheus");
        command
            .arg(format!("--config.file={}", file.display()))
            .arg(format!(
                "--storage.tsdb.path={}",
                folder.path().join("data").display()
            ))
            .arg(format!("--web.listen-address={address}"))
            .arg("--log.level=warn");
        let found = Command::new("prometheus").arg("--version").output();
        assert!(
            found.is_ok(),
            "no prometheus on the PATH: run `cargo xtask setup`"
        );
        let prometheus = Self {
            address,
            _process: Process::start(command, &folder.path().join("prometheus.log")),
            _folder: folder,
        };
        within(SOON, "Prometheus is ready", || {
            prometheus
                .get("/-/ready")
                .is_some_and(|text| text.contains("200 OK"))
        });
        prometheus
    }

    /// Waits until a metric has been scraped some times.
    pub fn wait_for(&self, metric: &str, samples: u32) {
        let query = format!("max(count_over_time({metric}[1m])) >= {samples}");
        within(SOON, metric, || !self.query(&query).is_empty());
    }

    /// Fails when the answer to a query is empty.
    pub fn assert_data(&self, query: &str, whose: &str) {
        let found = self.query(query);
        assert!(!found.is_empty(), "{whose}: no data for {query}");
    }

    /// Fails unless Prometheus has evaluated that many alerts, all without errors.
    pub fn assert_rules_work(&self, count: usize) {
        let mut rules = Vec::new();
        within(SOON, "every rule is evaluated", || {
            let groups = self.json("/api/v1/rules")["data"]["groups"].take();
            let groups = groups.as_array().unwrap().clone();
            rules = groups
                .iter()
                .flat_map(|group| group["rules"].as_array().unwrap().clone())
                .collect();
            rules.iter().all(|rule| rule["health"] != "unknown")
        });
        assert_eq!(rules.len(), count);
        for rule in rules {
            assert_eq!(rule["health"], "ok", "{rule}");
        }
    }

    /// The series or values that a query finds now.
    fn query(&self, query: &str) -> Vec<Value> {
        let answer = self.json(&format!("/api/v1/query?query={}", encoded(query)));
        assert_eq!(answer["status"], "success", "{query}: {answer}");
        answer["data"]["result"].as_array().unwrap().clone()
    }

    /// What a query finds from a time until now, every second.
    pub fn range(&self, query: &str, start: SystemTime) -> Vec<Series> {
        let seconds = |time: SystemTime| time.duration_since(UNIX_EPOCH).unwrap().as_secs();
        let answer = self.json(&format!(
            "/api/v1/query_range?query={}&start={}&end={}&step=1",
            encoded(query),
            seconds(start),
            seconds(SystemTime::now())
        ));
        assert_eq!(answer["status"], "success", "{query}: {answer}");
        let found = answer["data"]["result"].as_array().unwrap();
        let point = |pair: &Value| {
            let value: f64 = pair[1].as_str().unwrap().parse().unwrap();
            value.is_finite().then_some((pair[0].as_f64().unwrap(), value))
        };
        found
            .iter()
            .map(|series| Series {
                name: String::new(),
                labels: series["metric"].clone(),
                points: series["values"]
                    .as_array()
                    .unwrap()
                    .iter()
                    .filter_map(point)
                    .collect(),
            })
            .collect()
    }

    fn json(&self, target: &str) -> Value {
        let text = self.get(target).unwrap();
        parse_json(text.split_once("\r\n\r\n").unwrap().1)
    }

    /// The whole answer. HTTP/1.0 has no chunks.
    fn get(&self, target: &str) -> Option<String> {
        let mut stream = TcpStream::connect(self.address).ok()?;
        stream.set_read_timeout(Some(SOON)).unwrap();
        let request = format!("GET {target} HTTP/1.0\r\nHost: prometheus\r\n\r\n");
        stream.write_all(request.as_bytes()).ok()?;
        let mut text = String::new();
        stream.read_to_string(&mut text).ok()?;
        Some(text)
    }
}

/// Percent-encodes everything but letters and digits.
fn encoded(text: &str) -> String {
    let byte = |byte: u8| match byte {
        b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' => char::from(byte).to_string(),
        _ => format!("%{byte:02X}"),
    };
    text.bytes().map(byte).collect()
}
