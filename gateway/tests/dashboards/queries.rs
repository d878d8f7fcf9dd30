//! What dashboards and alerts ask for.

use serde_json::Value;

use super::{parse_json, read};

/// The dashboards of the chart.
pub const BOARDS: [&str; 3] = ["traffic", "gateway", "configuration"];

/// One of them.
pub fn board(name: &str) -> Value {
    parse_json(&read(&format!("helm/tidegate/dashboards/{name}.json")))
}

/// Dashboard, panel and query, with every variable at "All" and rates over a
/// time that the test lasts.
pub fn panels() -> Vec<(&'static str, String, String)> {
    let mut found = Vec::new();
    for name in BOARDS {
        for panel in board(name)["panels"].as_array().unwrap() {
            for target in panel["targets"].as_array().into_iter().flatten() {
                let query = target["expr"].as_str().unwrap();
                found.push((name, panel["title"].as_str().unwrap().to_owned(), concrete(query)));
            }
        }
    }
    assert!(found.len() > 50, "{} queries", found.len());
    found
}

/// A query with every variable at "All".
pub fn concrete(query: &str) -> String {
    let query = query.replace("$__rate_interval", "30s");
    let mut parts = query.split("\"$");
    let mut text = parts.next().unwrap().to_owned();
    for part in parts {
        text.push_str("\".*");
        text.push_str(part.trim_start_matches(|letter: char| letter.is_alphanumeric()));
    }
    assert!(!text.contains('$'), "{text}");
    text
}

/// Dashboard and name, metric and label of each variable.
pub fn variables() -> Vec<(&'static str, String, String, String)> {
    let mut found = Vec::new();
    for name in BOARDS {
        for variable in board(name)["templating"]["list"].as_array().unwrap() {
            let Some(query) = variable["definition"].as_str() else {
                continue;
            };
            let inner = query
                .strip_prefix("label_values(")
                .unwrap()
                .strip_suffix(')')
                .unwrap();
            let (metric, label) = inner.rsplit_once(", ").unwrap();
            let metric = metric.split('{').next().unwrap();
            let own = variable["name"].as_str().unwrap();
            found.push((name, own.to_owned(), metric.to_owned(), label.to_owned()));
        }
    }
    assert!(found.len() >= 5);
    found
}

fn alerts() -> Vec<Value> {
    let file: Value = serde_saphyr::from_str(&read("helm/tidegate/alerts.yaml")).unwrap();
    let groups = file["groups"].as_array().unwrap();
    groups
        .iter()
        .flat_map(|group| group["rules"].as_array().unwrap().clone())
        .collect()
}

pub fn alert_count() -> usize {
    alerts().len()
}

/// Each alert with the metrics that it selects, labels included: alerts
/// themselves find nothing while all is well.
pub fn alert_selectors() -> Vec<(String, String)> {
    let mut found = Vec::new();
    for alert in alerts() {
        let expression = alert["expr"].as_str().unwrap();
        let before = found.len();
        for prefix in ["tidegate_", "process_"] {
            for (at, _) in expression.match_indices(prefix) {
                found.push((
                    alert["alert"].as_str().unwrap().to_owned(),
                    selector(&expression[at..]).to_owned(),
                ));
            }
        }
        assert!(found.len() > before, "{alert}");
    }
    found
}

/// The metric and its labels at the start of a text.
fn selector(text: &str) -> &str {
    let name = text
        .find(|letter: char| !letter.is_ascii_alphanumeric() && letter != '_')
        .unwrap_or(text.len());
    if !text[name..].starts_with('{') {
        return &text[..name];
    }
    let labels = text[name..].find('}').unwrap();
    &text[..=name + labels]
}
