use std::time::Duration;

use crate::observe::metrics::{
    CertificateExpiry, Metrics, NginxOptions, Options, Place, RouteLabels, RouteMetrics, Sample, Verb,
};

fn metrics(change: impl FnOnce(&mut NginxOptions)) -> Metrics {
    let mut nginx = NginxOptions {
        namespace: "edge".to_owned(),
        pod: "edge-7".to_owned(),
        ..NginxOptions::default()
    };
    change(&mut nginx);
    Metrics::with(Options {
        nginx: Some(nginx),
        ..Options::default()
    })
}

fn route(metrics: &Metrics, host: &str) -> RouteMetrics {
    let labels = RouteLabels {
        namespace: "shop".into(),
        ingress: "web".into(),
        service: "canary".into(),
        port: "80".into(),
    };
    metrics.route(labels, || Place {
        host: host.into(),
        path: "/cart".into(),
        service: "main".into(),
        canary: "shop-canary-80".into(),
    })
}

fn sample(verb: Verb, status: u16) -> Sample {
    Sample {
        status,
        verb,
        duration: Duration::from_millis(30),
        received: 100,
        sent: 900,
        connect: None,
        header: Some(Duration::from_millis(10)),
        response: Some(Duration::from_millis(20)),
    }
}

#[track_caller]
fn assert_has(metrics: &Metrics, lines: &[&str]) {
    let text = metrics.encode();
    for line in lines {
        assert!(text.lines().any(|found| found == *line), "no {line} in {text}");
    }
}

const CONSTANT: &str =
    r#"controller_namespace="edge",controller_class="k8s.io/ingress-nginx",controller_pod="edge-7""#;

#[test]
fn labels_and_values_are_those_of_ingress_nginx() {
    let metrics = metrics(|_| {});
    let route = route(&metrics, "shop.example");
    route.observe(&sample(Verb::Get, 200));
    route.observe(&sample(Verb::Get, 200));
    route.observe(&sample(Verb::Post, 404));
    let labels = |status: &str, method: &str| {
        format!(
            "{CONSTANT},status=\"{status}\",method=\"{method}\",path=\"/cart\",namespace=\"shop\",ingress=\"web\",\
             service=\"main\",canary=\"shop-canary-80\",host=\"shop.example\""
        )
    };
    let (get, post) = (labels("200", "GET"), labels("404", "POST"));
    let prefix = "nginx_ingress_controller_";
    let lines = [
        format!("{prefix}requests{{{get}}} 2"),
        format!("{prefix}requests{{{post}}} 1"),
        format!("{prefix}request_duration_seconds_bucket{{{get},le=\"0.025\"}} 0"),
        format!("{prefix}request_duration_seconds_bucket{{{get},le=\"0.05\"}} 2"),
        format!("{prefix}request_duration_seconds_bucket{{{get},le=\"10\"}} 2"),
        format!("{prefix}request_duration_seconds_sum{{{get}}} 0.06"),
        format!("{prefix}response_duration_seconds_bucket{{{get},le=\"0.025\"}} 2"),
        format!("{prefix}header_duration_seconds_sum{{{post}}} 0.01"),
        // nginx says 0 of a connection that is used again.
        format!("{prefix}connect_duration_seconds_count{{{get}}} 2"),
        format!("{prefix}connect_duration_seconds_sum{{{get}}} 0"),
        format!("{prefix}request_size_sum{{{get}}} 200"),
        format!("{prefix}response_size_sum{{{get}}} 1800"),
        format!("{prefix}response_size_bucket{{{get},le=\"+Inf\"}} 2"),
        format!("{prefix}bytes_sent_count{{{get}}} 2"),
    ];
    assert_has(&metrics, &lines.each_ref().map(|line| &**line));
}

#[test]
fn classes_hosts_and_buckets_as_flags_say() {
    let metrics = metrics(|options| {
        options.status_classes = true;
        options.per_host = false;
        options.length_buckets = crate::observe::metrics::Bounds::sizes(&[500, 1000]);
    });
    let route = route(&metrics, "shop.example");
    for status in [200, 204, 404] {
        route.observe(&sample(Verb::Get, status));
    }
    let text = metrics.encode();
    assert!(!text.contains("host=\""), "{text}");
    let labels = format!(
        "{CONSTANT},status=\"2xx\",method=\"GET\",path=\"/cart\",namespace=\"shop\",ingress=\"web\",\
         service=\"main\",canary=\"shop-canary-80\""
    );
    let prefix = "nginx_ingress_controller_";
    let lines = [
        format!("{prefix}requests{{{labels}}} 2"),
        format!("{prefix}response_size_bucket{{{labels},le=\"500\"}} 0"),
        format!("{prefix}response_size_bucket{{{labels},le=\"1000\"}} 2"),
    ];
    assert_has(&metrics, &lines.each_ref().map(|line| &**line));
}

#[test]
fn unknown_hosts_are_counted_only_if_asked_for() {
    let count = |wanted| {
        let metrics = metrics(|options| options.per_undefined_host = wanted);
        metrics.unmatched().observe(&sample(Verb::Get, 404));
        metrics
            .encode()
            .matches("nginx_ingress_controller_requests{")
            .count()
    };
    assert_eq!((count(false), count(true)), (0, 1));
}

/// Clients that invent statuses or methods must not make series without end.
#[test]
fn a_route_has_a_bounded_number_of_series() {
    let metrics = metrics(|_| {});
    let route = route(&metrics, "shop.example");
    for status in 100..600 {
        route.observe(&sample(Verb::Get, status));
    }
    let text = metrics.encode();
    let series = text.matches("\nnginx_ingress_controller_requests{").count();
    assert!(series <= 24 + 5, "{series}");
    let sum = crate::observe::metrics::tests::total(&metrics, "nginx_ingress_controller_requests");
    assert!((sum - 500.0).abs() < 0.5, "{sum}");
}

/// Threads that add series at once lose none.
#[test]
fn counts_of_many_threads_are_all_there() {
    let metrics = metrics(|_| {});
    let route = route(&metrics, "shop.example");
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                for status in 200..216 {
                    route.observe(&sample(Verb::Get, status));
                }
            });
        }
    });
    let sum = crate::observe::metrics::tests::total(&metrics, "nginx_ingress_controller_requests");
    assert!((sum - 128.0).abs() < 0.5, "{sum}");
}

#[test]
fn certificates_are_shown_by_host() {
    let made = rcgen::generate_simple_self_signed(["shop.example".to_owned()]).unwrap();
    let metrics = metrics(|_| {});
    metrics.certificates(vec![CertificateExpiry {
        not_after: 4_102_444_800,
        namespace: "shop".into(),
        secret: "tls".into(),
        hosts: vec!["shop.example".into(), "www.shop.example".into()],
        leaf: made.cert.der().clone(),
    }]);
    let text = metrics.encode();
    let start = "nginx_ingress_controller_ssl_expire_time_seconds{namespace=\"shop\",class=\"k8s.io/ingress-nginx\",\
                 host=\"shop.example\",secret_name=\"tls\",identifier=\"rcgen self signed cert-";
    let found = text.lines().find(|line| line.starts_with(start));
    assert!(found.is_some_and(|line| line.ends_with(" 4102444800")), "{text}");
    assert_eq!(
        text.matches("\nnginx_ingress_controller_ssl_certificate_info{")
            .count(),
        2
    );
    assert!(text.contains("issuer_common_name=\"rcgen self signed cert\"") && text.contains("=\"ECDSA\""));
}

#[test]
fn without_the_option_there_is_none_of_it() {
    let metrics = Metrics::new();
    route(&metrics, "shop.example").observe(&sample(Verb::Get, 200));
    metrics.show_leader("lease".to_owned(), || true);
    metrics.show_configuration(|| (1, Vec::new()));
    assert!(!metrics.encode().contains("nginx_ingress_controller"));
}
