//! `docs/metrics.md`, from what the program exposes.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;

use super::{read, repository};

const PATH: &str = "docs/metrics.md";

const HEAD: &str = "# Metrics\n\n\
    For whoever writes queries or alerts. The admin port serves these at `/metrics` in Prometheus' text format; the chart\n\
    opens it with `controller.metrics.enabled`, and has [dashboards](../helm/tidegate/dashboards/) and\n\
    [alerts](../helm/tidegate/alerts.yaml) that use them.\n\n\
    Requests are counted by Ingress, Service and class of the status: what clients send (hosts, paths, methods) makes no\n\
    series. An Ingress with one Service has about 18 of them once it gets requests, and 31 at most. Requests that no rule\n\
    fits have empty labels or the name of the built-in answer. At most 1,000 certificates are shown, those that end first.\n\
    Scrape with `honor_labels: true`: `namespace` and\n\
    `service` are the Ingress's and its backend's, not the gateway's own.\n\n\
    Generated from a running gateway; change the texts in the source, then\n\
    `UPDATE_GENERATED=1 cargo xtask test -- --test dashboards`.\n\n\
    | Metric | Type | Labels | Meaning |\n| --- | --- | --- | --- |\n";

#[derive(Default)]
struct Family {
    kind: String,
    help: String,
    labels: BTreeSet<String>,
}

fn families(scraped: &str) -> BTreeMap<String, Family> {
    let mut families = BTreeMap::<String, Family>::new();
    for line in scraped.lines() {
        if let Some((name, help)) = line.strip_prefix("# HELP ").and_then(|rest| rest.split_once(' ')) {
            families.entry(name.to_owned()).or_default().help = help.to_owned();
        } else if let Some((name, kind)) = line.strip_prefix("# TYPE ").and_then(|rest| rest.split_once(' '))
        {
            families.entry(name.to_owned()).or_default().kind = kind.to_owned();
        } else if let Some((series, labels)) = line.split_once('{') {
            let owner = ["", "_bucket", "_sum", "_count"]
                .iter()
                .filter_map(|suffix| series.strip_suffix(suffix))
                .find(|name| families.contains_key(*name));
            let family = families.get_mut(owner.unwrap()).unwrap();
            let names = labels
                .split("=\"")
                .filter_map(|part| part.rsplit(['"', ',', '{']).next());
            let names = names.filter(|name| !name.contains(' ') && !name.contains('}') && *name != "le");
            family.labels.extend(names.map(str::to_owned));
        }
    }
    families
}

/// Compares the page, or writes it.
pub fn assert_fresh(scraped: &str) {
    let mut page = HEAD.to_owned();
    for (name, Family { kind, help, labels }) in families(scraped) {
        let labels: Vec<String> = labels.iter().map(|label| format!("`{label}`")).collect();
        // Writing to a String cannot fail.
        let _ = writeln!(page, "| `{name}` | {kind} | {} | {help} |", labels.join(", "));
    }
    if std::env::var_os("UPDATE_GENERATED").is_some() {
        std::fs::write(repository(PATH), &page).unwrap();
    }
    let found = std::fs::read_to_string(repository(PATH)).unwrap_or_default();
    let first = found
        .lines()
        .zip(page.lines())
        .find(|(found, wanted)| found != wanted);
    assert!(
        found == page,
        "{PATH} is stale, first at {first:?}: UPDATE_GENERATED=1 cargo xtask test -- --test dashboards"
    );
}

/// What is named in the source was seen: nothing is left out of the page.
pub fn assert_complete(scraped: &str) {
    let families = families(scraped);
    let folder = repository("gateway/src/observe/metrics");
    let mut named = BTreeSet::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let file = entry.unwrap().path();
        if file.file_name().is_some_and(|name| name == "tests.rs") {
            continue;
        }
        let text = std::fs::read_to_string(file).unwrap();
        let strings = text.split('"').filter(|part| part.starts_with("tidegate_"));
        named.extend(strings.map(str::to_owned));
    }
    assert!(named.len() > 20, "{named:?}");
    let controller = read("controller/src/metrics.rs");
    let (_, list) = controller.split_once("let metrics = Self {").unwrap();
    let (list, _) = list.split_once("};").unwrap();
    let calls = ["options(\"", "counters(\"", "gauges(\""];
    for call in calls {
        let names = list.split(call).skip(1).filter_map(|rest| rest.split('"').next());
        named.extend(names.map(|name| format!("tidegate_controller_{name}")));
    }
    let missing: Vec<&String> = named
        .iter()
        .filter(|name| !families.contains_key(*name))
        .collect();
    assert!(
        missing.is_empty(),
        "in the source, and not seen by this test: {missing:?}"
    );
}
