//! `docs/metrics.md`, from what the program exposes.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;

use super::{read, repository};

const PATH: &str = "docs/metrics.md";

const HEAD: &str = "# Metrics\n\n\
    For whoever writes queries or alerts. The admin port serves these at `/metrics` in Prometheus' text format; the chart\n\
    opens it with `controller.metrics.enabled`, and has [dashboards](../helm/tidegate/dashboards/) and\n\
    [alerts](../helm/tidegate/alerts.yaml) that use them.\n\n\
    The dashboards, as a test draws them from the answers to their queries: [traffic](dashboards/traffic.svg),\n\
    [gateway health](dashboards/gateway.svg), [configuration problems](dashboards/configuration.svg).\n\n\
    Scrape with `honor_labels: true`: `namespace` and `service` are the Ingress's and its backend's, not the gateway's own.\n\n\
    ## How many series\n\n\
    Requests are counted by Ingress, Service and class of the status: what clients send (hosts, paths, methods) makes no\n\
    series. A route (an Ingress and one of its Services) makes none before its first request, then\n\n\
    - one for each class that occurs, one for each kind of failed attempt that occurs, and one for the sum of its times;\n\
    - 17 more with details, while there is room: durations by buckets, bytes, times to connect and to the answer's head.\n\n\
    All of them together are at most `metrics.seriesCap` (`--metrics-series-cap`), 17,000 unless set; everything else here\n\
    adds at most 2,500. Room for counting is kept for all routes, so that some 800 routes have details and 5,000 are\n\
    counted one by one. What has no room is counted in series whose `ingress` is `other`: sums are always right.\n\
    `tidegate_metrics_folded_total` says that this happens, and the log does once. A route keeps the series that it has.\n\n\
    Requests that no rule fits have empty labels or the name of the built-in answer. At most 500 certificates are shown,\n\
    those that end first.\n\n\
    ## ingress-nginx's names\n\n\
    `nginx_ingress_controller_*` are there where the class `k8s.io/ingress-nginx` is adopted, or with\n\
    `--metrics-compat=ingress-nginx`; `--metrics-compat=none` leaves them out. Names, labels and meanings are ingress-nginx's,\n\
    so that its dashboards and alerts work; scrape them with `honor_labels: false` for dashboards that ask for\n\
    `exported_namespace`. They tell requests apart by host, path, method and status, and count against the same cap: one\n\
    series for each combination that occurs (at most 24 a route), and 43 with details while there is room. The flags\n\
    `--metrics-per-host`, `--metrics-per-undefined-host`, `--report-status-classes`, `--exclude-socket-metrics`,\n\
    `--time-buckets`, `--length-buckets` and `--size-buckets` work. What differs:\n\n\
    - `host` is the host of the rule, so that requests for wildcard hosts are counted, under the wildcard, and those for\n\
    \x20 hosts that no Ingress names (`--metrics-per-undefined-host`) under `_`;\n\
    - methods that HTTP does not define are `other`;\n\
    - `connect_duration_seconds`, `header_duration_seconds` and the sizes have sum and count only, sizes until\n\
    \x20 `--length-buckets` or `--size-buckets` is given;\n\
    - a snapshot that is put into service counts as a successful reload; there are no failed ones;\n\
    - `orphan_ingress` has no series for Ingresses that are none; `ssl_expire_time_seconds` is shown by every replica.\n\n\
    ## All metrics\n\n\
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
    let mut named = BTreeSet::new();
    for folder in ["gateway/src/observe/metrics", "gateway/src/observe/metrics/nginx"] {
        for entry in std::fs::read_dir(repository(folder)).unwrap() {
            let file = entry.unwrap().path();
            if file.is_dir() || file.file_name().is_some_and(|name| name == "tests.rs") {
                continue;
            }
            let text = std::fs::read_to_string(file).unwrap();
            let strings = text.split('"').filter(|part| {
                let ours = part.starts_with("tidegate_") || part.starts_with("nginx_ingress_controller_");
                ours && !part.ends_with('_')
            });
            named.extend(strings.map(str::to_owned));
        }
    }
    assert!(named.len() > 60, "{named:?}");
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
