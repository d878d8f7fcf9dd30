//! `settings/opentelemetry.go`, whose cases show in nginx's configuration alone,
//! and what spans say: to a collector that the test plays, over gRPC and HTTP.

use opentelemetry_proto::tonic::trace::v1::Span;
use opentelemetry_proto::tonic::trace::v1::span::SpanKind;
use opentelemetry_proto::tonic::trace::v1::status::StatusCode;

use crate::otlp::{Collector, Protocol, attribute};
use crate::site::{HOST, Site, config_map, ingress, ingress_of};
use crate::support::PATIENCE;
use crate::support::client::{self, Answer};

const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";
const PARENT: &str = "b7ad6b7169203331";
const FIELDS: &str = "traceparent: 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01\r\n\
    tracestate: vendor=value\r\n";

/// Keys for a collector: spans leave at once.
fn keys(collector: &Collector) -> Vec<(String, String)> {
    [
        ("enable-opentelemetry", "true".to_owned()),
        ("otlp-collector-host", collector.address.ip().to_string()),
        ("otlp-collector-port", collector.address.port().to_string()),
        ("otel-service-name", "edge".to_owned()),
        ("otel-schedule-delay-millis", "10".to_owned()),
    ]
    .map(|(key, value)| (key.to_owned(), value))
    .into()
}

/// A site with a collector, these keys besides, and these annotations.
async fn site(collector: &Collector, more: &[(&str, &str)], annotations: &[(&str, &str)]) -> Site {
    let own = keys(collector);
    let own = own.iter().map(|(key, value)| (key.as_str(), value.as_str()));
    let own = own.filter(|(key, _)| more.iter().all(|(other, _)| other != key));
    let all: Vec<_> = own.chain(more.iter().copied()).collect();
    let web = ingress_of("web", HOST, annotations, &[("/shop", "Prefix", "echo")]);
    let yaml = web + &config_map("config", &all);
    Site::with(&["echo"], &yaml, &["--configmap=default/config"]).await
}

/// What the upstream got as `traceparent`: trace, span and flags.
fn forwarded(site: &Site) -> Vec<String> {
    let seen = site.echo("echo").last();
    let value = seen.header("traceparent").expect("a traceparent");
    value.split('-').skip(1).map(str::to_owned).collect()
}

fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The value of a span's attribute as text; empty without one.
fn value(span: &Span, name: &str) -> String {
    attribute(&span.attributes, name)
}

/// 1: without the key there is no span, and a client's trace passes as it is.
#[tokio::test]
async fn opentelemetry_1_off() {
    let collector = Collector::start(Protocol::Grpc).await;
    let site = site(&collector, &[("enable-opentelemetry", "false")], &[]).await;
    assert_eq!(site.ask_with("/shop", FIELDS).await.status, 200);
    assert_eq!(forwarded(&site), [TRACE, PARENT, "01"]);
    let seen = site.echo("echo").last();
    assert_eq!(seen.header("tracestate"), Some("vendor=value"));
    tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    assert!(collector.spans().is_empty());
}

/// 2: a span of every request, with OpenTelemetry's attributes of HTTP and
/// ingress-nginx's of the Ingress, child of the client's span and parent of the
/// upstream's.
#[tokio::test]
async fn opentelemetry_2_on() {
    let collector = Collector::start(Protocol::Grpc).await;
    let site = site(&collector, &[], &[]).await;
    let fields = FIELDS.to_owned() + "User-Agent: test\r\n";
    let answer = site.ask_with("/shop/cart?id=1&sig=secret", &fields).await;
    assert_eq!(answer.status, 200);
    let (resource, span) = collector.one().await;
    assert_eq!(attribute(&resource, "service.name"), "edge");
    assert_eq!(span.name, "GET /shop");
    assert_eq!(span.kind(), SpanKind::Server);
    assert_eq!(hexadecimal(&span.trace_id), TRACE);
    assert_eq!(hexadecimal(&span.parent_span_id), PARENT);
    assert_eq!(span.trace_state, "vendor=value");
    assert_eq!(forwarded(&site), [TRACE, &hexadecimal(&span.span_id), "01"]);
    assert_eq!(
        site.echo("echo").last().header("tracestate"),
        Some("vendor=value")
    );
    for (name, wanted) in [
        ("http.request.method", "GET"),
        ("url.scheme", "http"),
        ("url.path", "/shop/cart"),
        ("url.query", "id=1&sig=REDACTED"),
        ("server.address", HOST),
        ("server.port", "80"),
        ("http.route", "/shop"),
        ("http.response.status_code", "200"),
        ("user_agent.original", "test"),
        ("client.address", "127.0.0.1"),
        ("network.peer.address", "127.0.0.1"),
        ("network.protocol.version", "1.1"),
        ("ingress.namespace", "default"),
        ("ingress.name", "web"),
        ("ingress.service_name", "echo"),
        ("ingress.upstream", "default-echo-80"),
    ] {
        assert_eq!(value(&span, name), wanted, "{name}");
    }
    assert_eq!(value(&span, "error.type"), "");
    assert!(span.end_time_unix_nano > span.start_time_unix_nano);
    assert_eq!(
        span.status.map_or(0, |status| status.code),
        StatusCode::Unset as i32
    );
}

/// 3: `opentelemetry-trust-incoming-span: false` begins a trace of its own.
#[tokio::test]
async fn opentelemetry_3_trust() {
    let collector = Collector::start(Protocol::Grpc).await;
    let site = site(&collector, &[("opentelemetry-trust-incoming-span", "false")], &[]).await;
    site.ask_with("/shop", FIELDS).await;
    let (_, span) = collector.one().await;
    assert_ne!(hexadecimal(&span.trace_id), TRACE);
    assert!(span.parent_span_id.is_empty());
    assert_eq!(
        forwarded(&site),
        [
            hexadecimal(&span.trace_id),
            hexadecimal(&span.span_id),
            "01".to_owned()
        ]
    );
    assert_eq!(site.echo("echo").last().header("tracestate"), None);
}

/// 4 and 5: the ConfigMap's name of spans, which may have variables; empty means
/// the usual one.
#[tokio::test]
async fn opentelemetry_4_and_5_name() {
    for (name, wanted) in [
        ("", "GET /shop"),
        ("HTTP $request_method $ingress_name", "HTTP GET web"),
    ] {
        let collector = Collector::start(Protocol::Grpc).await;
        let site = site(&collector, &[("opentelemetry-operation-name", name)], &[]).await;
        site.get("/shop").await;
        assert_eq!(collector.one().await.1.name, wanted);
    }
}

/// The annotations win over the keys: a name, trust, and no spans at all.
#[tokio::test]
async fn annotations() {
    let collector = Collector::start(Protocol::Grpc).await;
    let named = [
        ("opentelemetry-operation-name", "checkout"),
        ("opentelemetry-trust-incoming-span", "false"),
        ("enable-opentelemetry", "true"),
    ];
    let mut keys = vec![("enable-opentelemetry", "false")];
    let first = site(&collector, &keys, &named).await;
    first.ask_with("/shop", FIELDS).await;
    let (_, span) = collector.one().await;
    assert_eq!(span.name, "checkout");
    assert_ne!(hexadecimal(&span.trace_id), TRACE);
    keys.clear();
    let second = site(&collector, &keys, &[("enable-opentelemetry", "false")]).await;
    second.ask_with("/shop", FIELDS).await;
    assert_eq!(forwarded(&second), [TRACE, PARENT, "01"]);
}

/// The sampler: what is not sampled is not exported, and the upstream is told.
#[tokio::test]
async fn samplers() {
    for (keys, of_parent, of_none) in [
        (&[("otel-sampler", "AlwaysOff")][..], "01", "00"),
        (
            &[
                ("otel-sampler", "AlwaysOff"),
                ("otel-sampler-parent-based", "false"),
            ],
            "00",
            "00",
        ),
        (
            &[("otel-sampler", "TraceIdRatioBased"), ("otel-sampler-ratio", "0")],
            "01",
            "00",
        ),
        (
            &[
                ("otel-sampler", "TraceIdRatioBased"),
                ("otel-sampler-ratio", "1.0"),
            ],
            "01",
            "01",
        ),
    ] {
        let collector = Collector::start(Protocol::Grpc).await;
        let site = site(&collector, keys, &[]).await;
        site.ask_with("/shop", FIELDS).await;
        assert_eq!(forwarded(&site)[2], of_parent, "{keys:?}");
        site.get("/shop").await;
        assert_eq!(forwarded(&site)[2], of_none, "{keys:?}");
        let sampled = [of_parent, of_none]
            .iter()
            .filter(|flags| **flags == "01")
            .count();
        collector.count(sampled).await;
    }
}

/// The gateway's own answers have spans, too; failures are errors.
#[tokio::test]
async fn failures() {
    let collector = Collector::start(Protocol::Grpc).await;
    let site = site(&collector, &[], &[]).await;
    site.echo("echo")
        .set(|behaviour| behaviour.raw = Some(b"nonsense\r\n\r\n".to_vec()));
    assert_eq!(site.get("/shop").await.status, 502);
    let (_, span) = collector.one().await;
    assert_eq!(
        span.status.as_ref().map(|status| status.code),
        Some(StatusCode::Error as i32)
    );
    assert_eq!(value(&span, "http.response.status_code"), "502");
    assert_ne!(value(&span, "error.type"), "");
}

/// Over HTTP, as the environment says; the metric counts.
#[tokio::test]
async fn http_by_the_environment() {
    let collector = Collector::start(Protocol::Http).await;
    let yaml = ingress("web", &[("enable-opentelemetry", "true")]);
    let endpoint = format!("http://{}", collector.address);
    let environment = [
        ("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint.as_str()),
        ("OTEL_EXPORTER_OTLP_PROTOCOL", "http/protobuf"),
        ("OTEL_EXPORTER_OTLP_HEADERS", "x-key=value"),
        ("OTEL_RESOURCE_ATTRIBUTES", "deployment.environment.name=test"),
        ("OTEL_BSP_SCHEDULE_DELAY", "10"),
    ];
    let site = Site::within(&["echo"], &yaml, &[], &environment).await;
    site.ask_with("/a", FIELDS).await;
    let (resource, span) = collector.one().await;
    assert_eq!(attribute(&resource, "service.name"), "tidegate");
    assert_eq!(attribute(&resource, "deployment.environment.name"), "test");
    assert_eq!(span.name, "GET /");
    assert_eq!(hexadecimal(&span.trace_id), TRACE);
    assert!(
        collector.head().contains("POST /v1/traces HTTP/1.1"),
        "{}",
        collector.head()
    );
    assert!(
        collector.head().to_lowercase().contains("x-key: value"),
        "{}",
        collector.head()
    );
    counted(&site, "exported").await;
}

/// Waits until one span has this outcome.
async fn counted(site: &Site, outcome: &str) {
    let line = format!("tidegate_spans_total{{outcome=\"{outcome}\"}} 1");
    let start = std::time::Instant::now();
    loop {
        let metrics: Answer = client::get(site.program.admin, "admin", "/metrics").await;
        if metrics.text().contains(&line) {
            break;
        }
        assert!(start.elapsed() < PATIENCE, "{}", metrics.text());
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
}

/// Over TLS, as the environment says, gRPC and HTTP: to a collector with a
/// certificate of the authority that is named, and to no other.
#[tokio::test]
async fn collectors_over_tls() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("authority.pem");
    let yaml = ingress("web", &[("enable-opentelemetry", "true")]);
    for (protocol, name) in [(Protocol::Grpc, "grpc"), (Protocol::Http, "http/protobuf")] {
        let (collector, authority) = Collector::secure(protocol).await;
        std::fs::write(&file, authority).unwrap();
        let endpoint = format!("https://{}", collector.address);
        let mut environment = vec![
            ("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint.as_str()),
            ("OTEL_EXPORTER_OTLP_PROTOCOL", name),
            ("OTEL_EXPORTER_OTLP_TIMEOUT", "2000"),
            ("OTEL_BSP_SCHEDULE_DELAY", "10"),
        ];
        let system = Site::within(&["echo"], &yaml, &[], &environment).await;
        assert_eq!(system.get("/a").await.status, 200);
        counted(&system, "failed").await;
        assert!(collector.spans().is_empty(), "{name}");
        environment.push(("OTEL_EXPORTER_OTLP_CERTIFICATE", file.to_str().unwrap()));
        let named = Site::within(&["echo"], &yaml, &[], &environment).await;
        named.ask_with("/a", FIELDS).await;
        let (_, span) = collector.one().await;
        assert_eq!(hexadecimal(&span.trace_id), TRACE, "{name}");
        counted(&named, "exported").await;
    }
}

/// The access log names trace and span.
#[tokio::test]
async fn log_variables() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("log");
    let collector = Collector::start(Protocol::Grpc).await;
    let keys = [
        ("access-log-path", file.to_str().unwrap()),
        (
            "log-format-upstream",
            "$opentelemetry_trace_id $opentelemetry_span_id",
        ),
    ];
    let site = site(&collector, &keys, &[]).await;
    site.ask_with("/shop", FIELDS).await;
    let (_, span) = collector.one().await;
    let start = std::time::Instant::now();
    let text = loop {
        let text = std::fs::read_to_string(&file).unwrap_or_default();
        if text.ends_with('\n') {
            break text;
        }
        assert!(start.elapsed() < PATIENCE, "no line");
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    };
    assert_eq!(text, format!("{TRACE} {}\n", hexadecimal(&span.span_id)));
}
