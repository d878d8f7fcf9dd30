//! What ingress-nginx's two official dashboards and common alerts ask for, with
//! every variable at "All".

/// Prefix of every metric.
const P: &str = "nginx_ingress_controller_";

/// The controller, as the first dashboard selects it.
const S: &str = r#"controller_pod=~".*",controller_class=~".*""#;
const N: &str = r#"namespace=~".*""#;
const CN: &str = r#"controller_namespace=~".*""#;
const I: &str = r#"exported_namespace=~".*",ingress=~".*""#;

/// Title and query.
pub fn queries() -> Vec<(String, String)> {
    let mut queries = controller();
    queries.extend(performance());
    queries.extend(alerts());
    queries.extend(variables());
    queries
        .into_iter()
        .map(|(title, query)| (title.to_owned(), query))
        .collect()
}

/// "NGINX Ingress controller".
fn controller() -> Vec<(&'static str, String)> {
    let all = format!("{S},{N}");
    let own = format!("{S},{CN}");
    let ingress = format!("{S},{N},{I}");
    let real = format!(r#"ingress!="",{S},{CN},{I}"#);
    let quantile = |q: &str, by: &str| {
        format!(
            "histogram_quantile({q}, sum by ({by})(rate({P}request_duration_seconds_bucket{{{real}}}[2m])))"
        )
    };
    vec![
        (
            "Controller Request Volume",
            format!("round(sum(irate({P}requests{{{all}}}[2m])), 0.001)"),
        ),
        (
            "Controller Connections",
            format!(r#"sum(avg_over_time({P}nginx_process_connections{{{own},state="active"}}[2m]))"#),
        ),
        (
            "Controller Success Rate",
            format!(
                r#"sum(rate({P}requests{{{all},status!~"[4-5].*"}}[2m])) / sum(rate({P}requests{{{all}}}[2m]))"#
            ),
        ),
        (
            "Config Reloads",
            format!("avg(irate({P}success{{{own}}}[1m])) * 60"),
        ),
        (
            "Last Config Failed (the part that has data)",
            format!(r#"count({P}config_last_reload_successful{{controller_pod=~".*",{CN}}} == 1)"#),
        ),
        (
            "Ingress Request Volume",
            format!("round(sum by (ingress)(irate({P}requests{{{ingress}}}[2m])), 0.001)"),
        ),
        (
            "Ingress Success Rate",
            format!(
                r#"sum by (ingress)(rate({P}requests{{{ingress},status!~"[4-5].*"}}[2m])) / sum by (ingress)(rate({P}requests{{{ingress}}}[2m]))"#
            ),
        ),
        (
            "Network in",
            format!("sum(irate({P}request_size_sum{{{own}}}[2m]))"),
        ),
        (
            "Network out",
            format!("- sum(irate({P}response_size_sum{{{own}}}[2m]))"),
        ),
        (
            "Average Memory Usage",
            format!("avg({P}nginx_process_resident_memory_bytes{{{own}}})"),
        ),
        (
            "Average CPU Usage",
            format!("avg(rate({P}nginx_process_cpu_seconds_total{{{own}}}[2m]))"),
        ),
        ("Percentiles, 0.5", quantile("0.50", "le, ingress")),
        ("Percentiles, 0.9", quantile("0.90", "le, ingress")),
        ("Percentiles, 0.99", quantile("0.99", "le, ingress")),
        ("Response times, 0.8", quantile("0.80", "le")),
        ("Response times, 0.9", quantile("0.90", "le")),
        ("Response times, 0.99", quantile("0.99", "le")),
        (
            "Transfer in",
            format!("sum by (ingress)(irate({P}request_size_sum{{{real}}}[2m]))"),
        ),
        (
            "Transfer out",
            format!("sum by (ingress)(irate({P}response_size_sum{{{real}}}[2m]))"),
        ),
        (
            "Latency Heatmap",
            format!("sum by (le)(increase({P}request_duration_seconds_bucket{{{real}}}[2m]))"),
        ),
        (
            "Certificate Expiry",
            format!(
                r#"avg by (host)({P}ssl_expire_time_seconds{{kubernetes_pod_name=~".*",{N},ingress=~".*"}}) - time()"#
            ),
        ),
    ]
}

/// "Request Handling Performance".
fn performance() -> Vec<(&'static str, String)> {
    let all = r#"ingress=~".*""#;
    let failed = r#"ingress=~".*",status=~"[4-5].*""#;
    let by = "method, host, path";
    let rate = |metric: &str, selector: &str| format!("rate({P}{metric}{{{selector}}}[5m])");
    let mut queries = Vec::new();
    for metric in [
        "request_duration_seconds_bucket",
        "response_duration_seconds_bucket",
    ] {
        for q in ["0.5", "0.95", "0.99"] {
            let query = format!("histogram_quantile({q}, sum by (le)({}))", rate(metric, all));
            queries.push(("Latency Percentiles", query));
        }
    }
    queries.extend([
        (
            "Request Rate by Method and Path",
            format!("sum by ({by})({})", rate("request_duration_seconds_count", all)),
        ),
        (
            "Median Upstream Response Time by Method and Path",
            format!(
                "histogram_quantile(0.5, sum by (le, {by})({}))",
                rate("response_duration_seconds_bucket", all)
            ),
        ),
        (
            "Response Error Rate, ratio",
            format!(
                "sum by ({by})({}) / sum by ({by})({})",
                rate("request_duration_seconds_count", failed),
                rate("request_duration_seconds_count", all)
            ),
        ),
        (
            "Upstream Response Time by Method and Path",
            format!("sum by ({by})({})", rate("response_duration_seconds_sum", all)),
        ),
        (
            "Response Error Rate, absolute",
            format!(
                "sum by ({by}, status)({})",
                rate("request_duration_seconds_count", failed)
            ),
        ),
        (
            "Average Response Size by Method and Path",
            format!(
                "sum by ({by})({}) / sum by ({by})({})",
                rate("response_size_sum", all),
                rate("response_size_count", all)
            ),
        ),
        (
            "Response size distribution",
            format!("sum by (le)({})", rate("response_size_bucket", all)),
        ),
    ]);
    queries
}

/// The parts of common alerts that have data while all is well.
fn alerts() -> Vec<(&'static str, String)> {
    vec![
        (
            "Certificate",
            format!("avg by (host)({P}ssl_expire_time_seconds) - time()"),
        ),
        (
            "5xx",
            format!(r#"100 * sum({P}requests{{status=~"5.+"}}) / sum({P}requests)"#),
        ),
        (
            "4xx",
            format!(r#"100 * sum({P}requests{{status=~"4.+"}}) / sum({P}requests)"#),
        ),
        (
            "KEDA, requests",
            format!("sum(rate({P}nginx_process_requests_total[2m]))"),
        ),
        (
            "Orphans",
            format!(r#"{P}orphan_ingress{{type="no-endpoint"}} == 1"#),
        ),
        ("Leader", format!("count({P}leader_election_status)")),
        ("Checks", format!("sum({P}check_success) + sum({P}check_errors)")),
        (
            "Community dashboards",
            format!("{P}config_last_reload_successful_timestamp_seconds and on (instance) {P}config_hash"),
        ),
    ]
}

/// What variables choose from.
fn variables() -> Vec<(&'static str, String)> {
    let values = |metric: &str, label: &str| format!(r#"count by ({label})({P}{metric}{{{label}!=""}})"#);
    vec![
        (
            "variable namespace",
            values("config_hash", "controller_namespace"),
        ),
        (
            "variable controller_class",
            values("config_hash", "controller_class"),
        ),
        ("variable controller", values("config_hash", "controller_pod")),
        (
            "variable exported_namespace",
            values("requests", "exported_namespace"),
        ),
        ("variable ingress", values("requests", "ingress")),
    ]
}
