//! OpenTelemetry's environment variables, and what a ConfigMap says over them.

use std::time::Duration;

use tidegate_snapshot::{RootSampler, Sampler, TraceExport};

use super::tls::Files;

/// Defaults of the batch processor (`OTEL_BSP_*`).
const QUEUE_SIZE: usize = 2048;
/// See [`QUEUE_SIZE`].
const BATCH_SIZE: usize = 512;
/// See [`QUEUE_SIZE`].
const DELAY: Duration = Duration::from_millis(5000);
/// Default of `OTEL_EXPORTER_OTLP_TIMEOUT`.
const TIMEOUT: Duration = Duration::from_secs(10);
const SERVICE_NAME: &str = "tidegate";

/// What the process was started with.
#[derive(Clone, Debug)]
pub(super) struct Environment {
    /// `OTEL_SDK_DISABLED`.
    pub(super) disabled: bool,
    exports: Option<Transport>,
    says_service: bool,
    sampler: Option<Sampler>,
    queue_size: Option<usize>,
    batch_size: Option<usize>,
    delay: Option<Duration>,
}

/// Both together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Settings {
    pub(super) export: Option<Target>,
    /// `None`: as the environment says.
    pub(super) service_name: Option<String>,
    pub(super) sampler: Sampler,
    pub(super) queue_size: usize,
    pub(super) batch_size: usize,
    pub(super) delay: Duration,
}

/// Where spans are sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Target {
    /// To this URL, over gRPC.
    Grpc(String),
    /// As `OTEL_EXPORTER_OTLP_*` say.
    Environment(Transport),
}

/// What the exporter does not read from the environment itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Transport {
    pub(super) grpc: bool,
    pub(super) timeout: Duration,
    /// `None`: plain text.
    pub(super) tls: Option<Files>,
}

impl Transport {
    /// `value` is `OTEL_EXPORTER_OTLP_TRACES_…` or else `OTEL_EXPORTER_OTLP_…`.
    fn read(endpoint: Option<&str>, value: impl Fn(&str) -> Option<String>) -> Self {
        let grpc = value("PROTOCOL").is_some_and(|protocol| protocol == "grpc");
        let scheme = endpoint.map_or("http", |url| {
            url.split_once("://").map_or("", |(scheme, _)| scheme)
        });
        // Without a scheme gRPC is secure unless it is said not to be.
        let secure = scheme.eq_ignore_ascii_case("https")
            || (grpc && scheme.is_empty() && value("INSECURE").as_deref() != Some("true"));
        let milliseconds = value("TIMEOUT").and_then(|number| number.parse().ok());
        Self {
            grpc,
            timeout: milliseconds.map_or(TIMEOUT, Duration::from_millis),
            tls: secure.then(|| Files {
                authorities: value("CERTIFICATE"),
                identity: value("CLIENT_CERTIFICATE").zip(value("CLIENT_KEY")),
            }),
        }
    }
}

impl Environment {
    /// Reads the variables. A value that makes no sense counts as none, as
    /// OpenTelemetry wants it.
    pub(super) fn read(variable: impl Fn(&str) -> Option<String>) -> Self {
        let value = |name: &str| variable(name).filter(|value| !value.trim().is_empty());
        let number = |name| -> Option<usize> {
            let number = value(name)?.parse().ok();
            number.filter(|number| (1..=1_000_000).contains(number))
        };
        let exporter = value("OTEL_TRACES_EXPORTER");
        let named = |wanted| {
            exporter
                .as_deref()
                .is_some_and(|list| list.split(',').any(|name| name.trim() == wanted))
        };
        let otlp = |name: &str| {
            let traces = value(&format!("OTEL_EXPORTER_OTLP_TRACES_{name}"));
            traces.or_else(|| value(&format!("OTEL_EXPORTER_OTLP_{name}")))
        };
        let endpoint = otlp("ENDPOINT");
        let exports = !named("none") && (endpoint.is_some() || named("otlp"));
        let attributes = value("OTEL_RESOURCE_ATTRIBUTES").unwrap_or_default();
        Self {
            disabled: value("OTEL_SDK_DISABLED").is_some_and(|value| value.eq_ignore_ascii_case("true")),
            exports: exports.then(|| Transport::read(endpoint.as_deref(), otlp)),
            says_service: value("OTEL_SERVICE_NAME").is_some() || attributes.contains("service.name="),
            sampler: value("OTEL_TRACES_SAMPLER")
                .and_then(|name| sampler(&name, value("OTEL_TRACES_SAMPLER_ARG").as_deref())),
            queue_size: number("OTEL_BSP_MAX_QUEUE_SIZE"),
            batch_size: number("OTEL_BSP_MAX_EXPORT_BATCH_SIZE"),
            delay: number("OTEL_BSP_SCHEDULE_DELAY").map(|delay| Duration::from_millis(delay as u64)),
        }
    }

    /// What holds with this ConfigMap.
    pub(super) fn settings(&self, spec: &TraceExport) -> Settings {
        let export = match &spec.collector {
            Some(url) => Some(Target::Grpc(url.to_string())),
            None => self.exports.clone().map(Target::Environment),
        };
        let service_name = match &spec.service_name {
            Some(name) => Some(name.to_string()),
            None => (!self.says_service).then(|| SERVICE_NAME.to_owned()),
        };
        let number = |spec: Option<u32>, own: Option<usize>, default| {
            spec.map(|number| number as usize).or(own).unwrap_or(default)
        };
        let queue_size = number(spec.queue_size, self.queue_size, QUEUE_SIZE);
        Settings {
            export: export.filter(|_| !self.disabled),
            service_name,
            sampler: spec.sampler.or(self.sampler).unwrap_or(Sampler {
                root: RootSampler::All,
                parent_based: true,
            }),
            queue_size,
            batch_size: number(spec.batch_size, self.batch_size, BATCH_SIZE).min(queue_size),
            delay: spec.delay.or(self.delay).unwrap_or(DELAY),
        }
    }
}

/// `OTEL_TRACES_SAMPLER` and its argument, a share of 1 if it has none.
fn sampler(name: &str, argument: Option<&str>) -> Option<Sampler> {
    let (kind, parent_based) = match name.strip_prefix("parentbased_") {
        Some(kind) => (kind, true),
        None => (name, false),
    };
    let root = match kind {
        "always_on" => RootSampler::All,
        "always_off" => RootSampler::None,
        "traceidratio" => argument.and_then(RootSampler::ratio).unwrap_or(RootSampler::All),
        _ => return None,
    };
    Some(Sampler { root, parent_based })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(variables: &[(&str, &str)], spec: &TraceExport) -> Settings {
        let read = |name: &str| {
            let found = variables.iter().find(|(known, _)| *known == name);
            found.map(|(_, value)| (*value).to_owned())
        };
        Environment::read(read).settings(spec)
    }

    #[test]
    fn without_anything_nothing_is_exported() {
        let settings = settings(&[], &TraceExport::default());
        assert_eq!(settings.export, None);
        assert_eq!(settings.service_name.as_deref(), Some("tidegate"));
        assert_eq!(
            (settings.queue_size, settings.batch_size, settings.delay),
            (QUEUE_SIZE, BATCH_SIZE, DELAY)
        );
    }

    #[test]
    fn the_environment_says_where_to_and_what() {
        let variables = [
            ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://collector:4318"),
            ("OTEL_SERVICE_NAME", "edge"),
            ("OTEL_TRACES_SAMPLER", "traceidratio"),
            ("OTEL_TRACES_SAMPLER_ARG", "0.5"),
            ("OTEL_BSP_MAX_QUEUE_SIZE", "10"),
            ("OTEL_BSP_SCHEDULE_DELAY", "soon"),
        ];
        let settings = settings(&variables, &TraceExport::default());
        let plain = Transport {
            grpc: false,
            timeout: TIMEOUT,
            tls: None,
        };
        assert_eq!(settings.export, Some(Target::Environment(plain)));
        assert_eq!(settings.service_name, None);
        let half = Sampler {
            root: RootSampler::Ratio(500_000),
            parent_based: false,
        };
        assert_eq!(settings.sampler, half);
        assert_eq!((settings.queue_size, settings.batch_size), (10, 10));
        assert_eq!(settings.delay, DELAY);
    }

    #[test]
    fn the_config_map_wins() {
        let spec = TraceExport {
            collector: Some("http://other:4317".into()),
            service_name: Some("shop".into()),
            batch_size: Some(7),
            ..TraceExport::default()
        };
        let variables = [
            ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://collector:4318"),
            ("OTEL_SERVICE_NAME", "edge"),
        ];
        let found = settings(&variables, &spec);
        assert_eq!(found.export, Some(Target::Grpc("http://other:4317".to_owned())));
        assert_eq!(found.service_name.as_deref(), Some("shop"));
        assert_eq!(found.batch_size, 7);
        let off = [("OTEL_SDK_DISABLED", "True")];
        assert_eq!(settings(&off, &spec).export, None);
    }

    #[test]
    fn collectors_over_tls() {
        let transport = |variables: &[_]| match settings(variables, &TraceExport::default()).export {
            Some(Target::Environment(transport)) => transport,
            other => panic!("{other:?}"),
        };
        let found = transport(&[
            ("OTEL_EXPORTER_OTLP_ENDPOINT", "https://collector:4318"),
            ("OTEL_EXPORTER_OTLP_TRACES_TIMEOUT", "500"),
            ("OTEL_EXPORTER_OTLP_TIMEOUT", "900"),
            ("OTEL_EXPORTER_OTLP_CERTIFICATE", "/ca.pem"),
            ("OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE", "/own.pem"),
            ("OTEL_EXPORTER_OTLP_CLIENT_KEY", "/own.key"),
        ]);
        let files = Files {
            authorities: Some("/ca.pem".to_owned()),
            identity: Some(("/own.pem".to_owned(), "/own.key".to_owned())),
        };
        assert_eq!(found.tls, Some(files));
        assert_eq!((found.grpc, found.timeout), (false, Duration::from_millis(500)));
        let bare = ("OTEL_EXPORTER_OTLP_ENDPOINT", "collector:4317");
        let grpc = ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc");
        assert!(transport(&[bare, grpc]).tls.is_some());
        assert!(
            transport(&[bare, grpc, ("OTEL_EXPORTER_OTLP_INSECURE", "true")])
                .tls
                .is_none()
        );
        assert!(transport(&[bare]).tls.is_none());
    }

    #[test]
    fn exporters_by_name() {
        let endpoint = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "http://collector:4318");
        let exports = |variables: &[_]| settings(variables, &TraceExport::default()).export.is_some();
        assert!(exports(&[("OTEL_TRACES_EXPORTER", "otlp")]));
        assert!(!exports(&[("OTEL_TRACES_EXPORTER", "none"), endpoint]));
        assert!(!exports(&[("OTEL_TRACES_EXPORTER", "zipkin")]));
        assert!(exports(&[endpoint]));
    }
}
