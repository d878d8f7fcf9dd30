use std::sync::Arc;
use std::time::Duration;

use super::*;

fn labels(ingress: &str) -> RouteLabels {
    RouteLabels {
        namespace: "shop".into(),
        ingress: ingress.into(),
        service: "web".into(),
        port: "80".into(),
    }
}

fn route(metrics: &Metrics, ingress: &str) -> RouteMetrics {
    metrics.route(labels(ingress), Place::default)
}

fn sample(status: u16) -> Sample {
    Sample {
        status,
        verb: Verb::Get,
        duration: Duration::from_millis(7),
        received: 100,
        sent: 900,
        connect: None,
        header: Some(Duration::from_millis(5)),
        response: Some(Duration::from_millis(6)),
    }
}

const LABELS: &str = r#"namespace="shop",ingress="a",service="web",port="80""#;

fn line(metrics: &Metrics, start: &str) -> Option<String> {
    let text = metrics.encode();
    text.lines()
        .find(|line| line.starts_with(start))
        .map(str::to_owned)
}

#[test]
fn counts_by_status_class() {
    let metrics = Metrics::new();
    let route = route(&metrics, "a");
    for status in [200, 204, 503, 499, 0, 999] {
        route.observe(&sample(status));
    }
    for (class, count) in [("2xx", 2), ("5xx", 2), ("4xx", 1), ("1xx", 1)] {
        let text = metrics.encode();
        let found = text
            .lines()
            .find(|line| {
                line.starts_with("tidegate_requests_total") && line.contains(&format!("class=\"{class}\""))
            })
            .unwrap_or_else(|| panic!("{class} in {text}"));
        assert!(found.ends_with(&format!(" {count}")), "{found}");
        assert!(found.contains("service=\"web\""), "{found}");
    }
    assert!(!metrics.encode().contains("3xx"));
}

#[test]
fn histogram_is_cumulative_in_seconds() {
    let metrics = Metrics::new();
    let route = route(&metrics, "a");
    route.observe(&sample(200));
    route.observe(&Sample {
        duration: Duration::from_secs(60),
        ..sample(200)
    });
    let bucket = |bound: &str| {
        let start = format!("tidegate_request_duration_seconds_bucket{{{LABELS},le=\"{bound}\"}}");
        line(&metrics, &start).unwrap_or_else(|| panic!("{start} in {}", metrics.encode()))
    };
    assert!(bucket("0.005").ends_with(" 0"));
    assert!(bucket("0.01").ends_with(" 1"));
    assert!(bucket("10").ends_with(" 1"));
    assert!(bucket("+Inf").ends_with(" 2"));
    assert!(
        line(&metrics, "tidegate_request_duration_seconds_sum").is_some_and(|line| line.ends_with(" 60.007"))
    );
}

#[test]
fn an_unused_route_has_no_series() {
    let metrics = Metrics::new();
    let _route = route(&metrics, "a");
    assert!(!metrics.encode().contains("tidegate_requests_total"));
}

#[test]
fn equal_labels_share_a_handle_and_the_last_one_takes_the_series_along() {
    let metrics = Metrics::new();
    let first = route(&metrics, "a");
    let second = route(&metrics, "a");
    assert!(Arc::ptr_eq(&first.series, &second.series));
    second.observe(&sample(200));
    drop(first);
    assert!(metrics.encode().contains("tidegate_requests_total"));
    drop(second);
    assert!(!metrics.encode().contains("tidegate_requests_total"));
    let again = route(&metrics, "a");
    again.observe(&sample(200));
    assert!(line(&metrics, "tidegate_requests_total").is_some_and(|line| line.ends_with(" 1")));
}

#[test]
fn errors_by_reason_and_latencies_without_connect_on_reuse() {
    let metrics = Metrics::new();
    let route = route(&metrics, "a");
    route.upstream_error(UpstreamError::ConnectTimeout);
    route.observe(&sample(504));
    let text = metrics.encode();
    assert!(text.contains("reason=\"connect_timeout\""), "{text}");
    assert!(!text.contains("tidegate_upstream_connect_seconds"), "{text}");
    assert!(
        text.contains(&format!("tidegate_upstream_header_seconds_count{{{LABELS}}} 1")),
        "{text}"
    );
}

#[test]
fn unmatched_requests_share_one_empty_label() {
    let metrics = Metrics::new();
    metrics.unmatched().observe(&sample(404));
    let found = line(&metrics, "tidegate_requests_total").unwrap();
    assert!(
        found.contains("ingress=\"\"") && found.contains("class=\"4xx\""),
        "{found}"
    );
}

#[test]
fn shows_what_is_served() {
    let metrics = Metrics::new();
    metrics.applied(&Applied {
        generation: 7,
        propagation: Duration::from_millis(3),
        compile: Duration::from_millis(1),
        endpoints_only: false,
    });
    let expiry = |secret: &str, not_after| CertificateExpiry {
        not_after,
        namespace: "shop".into(),
        secret: secret.into(),
        hosts: Vec::new(),
        leaf: Vec::new().into(),
    };
    metrics.certificates(vec![expiry("b", 20), expiry("a", 10), expiry("a", 10)]);
    let text = metrics.encode();
    for expected in [
        "tidegate_snapshot_generation 7",
        "tidegate_propagation_seconds_bucket{le=\"0.005\"} 1",
        "tidegate_compile_seconds_count 1",
        "tidegate_certificate_expiry_timestamp_seconds{namespace=\"shop\",secret=\"a\"} 10",
        "tidegate_build_info{version=",
        "process_resident_memory_bytes ",
        "process_cpu_seconds_total ",
    ] {
        assert!(text.contains(expected), "{expected} in {text}");
    }
}

/// Counting must stay cheap: no lock and no allocation after the first use.
#[test]
fn handles_are_shared_between_threads() {
    let metrics = Metrics::new();
    let route = route(&metrics, "a");
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| (0..1000).for_each(|_| route.observe(&sample(200))));
        }
    });
    assert!(line(&metrics, "tidegate_requests_total").is_some_and(|line| line.ends_with(" 4000")));
}

#[test]
fn shows_what_others_count() {
    let metrics = Metrics::new();
    let counters = Arc::new(listener::Counters::default());
    metrics.show_listeners(counters.clone());
    metrics.show_upstreams(upstream::Shared::new());
    metrics.show_access_log(Arc::new(AccessLog::off()));
    counters.accepted.store(3, std::sync::atomic::Ordering::Relaxed);
    let text = metrics.encode();
    for expected in [
        "tidegate_connections_accepted_total 3",
        "tidegate_tls_handshake_failures_total{reason=\"no_certificate\"} 0",
        "tidegate_upstream_health_checks_total{result=\"failed\"} 0",
        "tidegate_access_log_dropped_total 0",
    ] {
        assert!(text.contains(expected), "{expected} in {text}");
    }
}

/// Series as a scrape has them.
pub(super) fn series(metrics: &Metrics) -> usize {
    metrics
        .encode()
        .lines()
        .filter(|line| !line.starts_with('#'))
        .count()
}

/// The sum of a family's series.
pub(super) fn total(metrics: &Metrics, name: &str) -> f64 {
    let text = metrics.encode();
    let values = text.lines().filter_map(|line| {
        let rest = line.strip_prefix(name)?;
        let value = rest.strip_prefix('{')?.rsplit(' ').next()?;
        value.parse::<f64>().ok()
    });
    values.sum()
}

#[test]
fn five_thousand_routes_stay_under_twenty_thousand_series() {
    for options in [
        Options::default(),
        Options {
            nginx: Some(NginxOptions::default()),
            ..Options::default()
        },
    ] {
        let nginx = options.nginx.is_some();
        let metrics = Metrics::with(options);
        let names: Vec<String> = (0..5000).map(|number| format!("ingress-{number}")).collect();
        let routes: Vec<_> = names.iter().map(|name| route(&metrics, name)).collect();
        for route in &routes {
            for status in [200, 503] {
                route.observe(&sample(status));
            }
            route.upstream_error(UpstreamError::Connect);
        }
        let series = series(&metrics);
        assert!(series < 20_000, "{series} series, nginx: {nginx}");
        // What has no room is not lost.
        assert!((total(&metrics, "tidegate_requests_total") - 10_000.0).abs() < 0.5);
        assert!((total(&metrics, "tidegate_request_duration_seconds_count") - 10_000.0).abs() < 0.5);
        assert!((total(&metrics, "tidegate_upstream_errors_total") - 5_000.0).abs() < 0.5);
        let requests = total(&metrics, "nginx_ingress_controller_requests");
        assert!(
            (requests - if nginx { 10_000.0 } else { 0.0 }).abs() < 0.5,
            "{requests}"
        );
        let text = metrics.encode();
        assert!(text.contains("tidegate_request_duration_seconds_count{namespace=\"\",ingress=\"other\""));
    }
}

/// Few routes have everything by themselves, however many there could be.
#[test]
fn a_route_has_details_of_its_own_while_there_is_room() {
    let metrics = Metrics::new();
    let routes: Vec<_> = (0..800)
        .map(|number| route(&metrics, &number.to_string()))
        .collect();
    for route in &routes {
        route.observe(&sample(200));
    }
    let text = metrics.encode();
    let own = text
        .lines()
        .filter(|line| line.starts_with("tidegate_request_duration_seconds_count"))
        .count();
    assert_eq!(own, 800);
    assert!(!text.contains("ingress=\"other\""), "{text}");
}

#[test]
fn series_of_routes_that_are_gone_are_given_to_others() {
    let metrics = Metrics::with(Options {
        series_cap: 60,
        ..Options::default()
    });
    let first: Vec<_> = (0..60)
        .map(|number| route(&metrics, &number.to_string()))
        .collect();
    for route in &first {
        route.observe(&sample(200));
    }
    assert!(
        line(&metrics, "tidegate_metrics_folded_total{what=\"counts\"}")
            .is_some_and(|line| !line.ends_with(" 0"))
    );
    let used = line(&metrics, "tidegate_metrics_series ").unwrap();
    drop(first);
    let later = route(&metrics, "later");
    later.observe(&sample(200));
    assert!(metrics.encode().contains("ingress=\"later\""), "{used}");
    assert!(line(&metrics, "tidegate_metrics_series ").is_some_and(|now| now != used));
}

#[test]
fn excluded_metrics_are_not_shown() {
    let metrics = Metrics::with(Options {
        exclude: vec![
            "request_bytes_total".to_owned(),
            "tidegate_response_bytes_total".to_owned(),
        ],
        ..Options::default()
    });
    let route = route(&metrics, "a");
    route.observe(&sample(200));
    let text = metrics.encode();
    assert!(text.contains("tidegate_requests_total"), "{text}");
    assert!(!text.contains("_bytes_total"), "{text}");
}
