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

fn sample(status: u16) -> Sample {
    Sample {
        status,
        duration: Duration::from_millis(7),
        received: 100,
        sent: 900,
        connect: None,
        header: Some(Duration::from_millis(5)),
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
    let route = metrics.route(labels("a"));
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
    let route = metrics.route(labels("a"));
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
    let _route = metrics.route(labels("a"));
    assert!(!metrics.encode().contains("tidegate_requests_total"));
}

#[test]
fn equal_labels_share_a_handle_and_the_last_one_takes_the_series_along() {
    let metrics = Metrics::new();
    let first = metrics.route(labels("a"));
    let second = metrics.route(labels("a"));
    assert!(Arc::ptr_eq(&first, &second));
    second.observe(&sample(200));
    drop(first);
    assert!(metrics.encode().contains("tidegate_requests_total"));
    drop(second);
    assert!(!metrics.encode().contains("tidegate_requests_total"));
    let again = metrics.route(labels("a"));
    again.observe(&sample(200));
    assert!(line(&metrics, "tidegate_requests_total").is_some_and(|line| line.ends_with(" 1")));
}

#[test]
fn errors_by_reason_and_latencies_without_connect_on_reuse() {
    let metrics = Metrics::new();
    let route = metrics.route(labels("a"));
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
    });
    let expiry = |secret: &str, not_after| CertificateExpiry {
        not_after,
        namespace: "shop".into(),
        secret: secret.into(),
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
    let route = metrics.route(labels("a"));
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
