//! Flags that change settings.

use std::fmt::Display;
use std::str::FromStr;

use tidegate_gateway::settings::{AccessLogFormat, LogFormat, MetricsCompat, Settings, Span};

use super::Value::{Switch, Text};
use super::{Effect, Flag, Value};

type Apply = fn(&mut Settings, &str) -> Result<(), String>;

const fn flag(name: &'static str, value: Value, key: &'static str, help: &'static str, apply: Apply) -> Flag {
    Flag {
        name,
        value,
        effect: Effect::Set { apply, key, help },
        difference: "",
    }
}

/// Sets a value that parses from text.
fn parse<T: FromStr<Err: Display>>(target: &mut T, text: &str) -> Result<(), String> {
    *target = text.parse().map_err(|error| format!("{text:?}: {error}"))?;
    Ok(())
}

/// Sets or, with an empty text, unsets an optional value: Go's flags know no
/// absence.
fn optional<T: FromStr<Err: Display>>(target: &mut Option<T>, text: &str) -> Result<(), String> {
    if text.is_empty() {
        *target = None;
        return Ok(());
    }
    *target = Some(text.parse().map_err(|error| format!("{text:?}: {error}"))?);
    Ok(())
}

/// [`optional`] for `namespace/name`.
fn object(target: &mut Option<String>, text: &str) -> Result<(), String> {
    match text.split_once('/') {
        Some((namespace, name)) if !namespace.is_empty() && !name.is_empty() && !name.contains('/') => {}
        None if text.is_empty() => {}
        _ => return Err(format!("{text:?} is not of the form namespace/name")),
    }
    optional(target, text)
}

/// Sets a list; empty items count for nothing.
fn list(target: &mut Vec<String>, text: &str) -> Result<(), String> {
    let items = text.split(',').map(str::trim).filter(|item| !item.is_empty());
    *target = items.map(str::to_owned).collect();
    Ok(())
}

/// Sets the opposite of a switch.
fn negated(target: &mut bool, text: &str) -> Result<(), String> {
    *target = text != "true";
    Ok(())
}

fn port(target: &mut Option<u16>, text: &str) -> Result<(), String> {
    *target = Some(
        text.parse()
            .map_err(|_| format!("{text:?} is not a port (0 to 65535)"))?,
    );
    Ok(())
}

/// klog's verbosity: 2 is practice, 3 shows details, 5 is for debugging.
fn verbosity(settings: &mut Settings, text: &str) -> Result<(), String> {
    let level: i32 = text.parse().map_err(|_| format!("{text:?} is not a number"))?;
    let word = match level {
        ..=2 => "info",
        3..=4 => "debug",
        _ => "trace",
    };
    // Only our own modules: what others trace drowns it.
    settings.log.level = match word {
        "info" => word.to_owned(),
        _ => format!("info,tidegate={word},tidegate_controller={word},tidegate_gateway={word}"),
    };
    Ok(())
}

fn access_log(settings: &mut Settings, text: &str) -> Result<(), String> {
    settings.access_log.format = match text {
        "nginx" => AccessLogFormat::Nginx,
        "json" => AccessLogFormat::Json,
        "off" => AccessLogFormat::Off,
        _ => return Err(format!("{text:?} is none of nginx, json, off")),
    };
    Ok(())
}

fn log_format(settings: &mut Settings, text: &str) -> Result<(), String> {
    settings.log.format = match text {
        "text" => LogFormat::Text,
        "json" => LogFormat::Json,
        _ => return Err(format!("{text:?} is neither text nor json")),
    };
    Ok(())
}

fn metrics_compat(settings: &mut Settings, text: &str) -> Result<(), String> {
    settings.metrics.compat = match text {
        "auto" => MetricsCompat::Auto,
        "ingress-nginx" => MetricsCompat::IngressNginx,
        "none" => MetricsCompat::None,
        _ => return Err(format!("{text:?} is none of ingress-nginx, none, auto")),
    };
    Ok(())
}

/// ingress-nginx takes a plain number of seconds here.
fn span(target: &mut Span, text: &str) -> Result<(), String> {
    *target = text.parse()?;
    Ok(())
}

#[rustfmt::skip]
pub(super) static FLAGS: &[Flag] = &[
    // Ours.
    flag("provider-directory", Text("DIR"), "provider.directory",
        "Take objects from a directory of YAML files instead of a Kubernetes API",
        |s, v| optional(&mut s.provider.directory, v)),
    flag("threads", Text("N"), "threads", "Threads that serve traffic",
        |s, v| optional(&mut s.threads, v)),
    flag("access-log", Text("FORMAT"), "accessLog.format", "nginx, json or off", access_log),
    flag("log-format", Text("FORMAT"), "log.format", "text or json", log_format),
    flag("metrics-compat", Text("NAMES"), "metrics.compat",
        "Whose metrics are served besides ours: ingress-nginx, none, or auto (where its classes are adopted)",
        metrics_compat),
    flag("metrics-series-cap", Text("N"), "metrics.seriesCap",
        "The most series that requests may make; what has no room is counted under `other`",
        |s, v| parse(&mut s.metrics.series_cap, v)),
    flag("shutdown-grace", Text("DURATION"), "shutdown.grace",
        "The longest wait for requests under way at the end; worker-shutdown-timeout of the ConfigMap may make it shorter",
        |s, v| optional(&mut s.shutdown.grace, v)),
    // ingress-nginx's.
    flag("annotations-prefix", Text("PREFIX"), "ingress.annotationsPrefix", "The prefix of annotations",
        |s, v| parse(&mut s.ingress.annotations_prefix, v)),
    flag("apiserver-host", Text("URL"), "provider.kubernetes.apiServer", "The API server's URL",
        |s, v| optional(&mut s.provider.kubernetes.api_server, v)),
    flag("certificate-authority", Text("FILE"), "provider.kubernetes.certificateAuthority",
        "A PEM file with the API server's CA",
        |s, v| optional(&mut s.provider.kubernetes.certificate_authority, v)),
    flag("configmap", Text("NAMESPACE/NAME"), "ingress.configMap", "The ConfigMap with ingress-nginx's keys",
        |s, v| object(&mut s.ingress.config_map, v)),
    flag("controller-class", Text("NAME"), "ingress.controllerClasses",
        "The served spec.controller of IngressClasses; k8s.io/ingress-nginx adopts the classes of an ingress-nginx",
        |s, v| { s.ingress.controller_classes = v.split(',').map(str::to_owned).collect(); Ok(()) }),
    flag("deep-inspect", Switch, "ingress.deepInspect",
        "Refuse Ingresses with texts that attacks on ingress-nginx are known by",
        |s, v| parse(&mut s.ingress.deep_inspect, v)),
    flag("default-backend-service", Text("NAMESPACE/NAME"), "ingress.defaultBackend",
        "The Service for requests that no rule fits",
        |s, v| object(&mut s.ingress.default_backend, v)),
    flag("default-ssl-certificate", Text("NAMESPACE/NAME"), "ingress.defaultCertificate",
        "The Secret for server names that no other fits",
        |s, v| object(&mut s.ingress.default_certificate, v)),
    flag("disable-catch-all", Switch, "ingress.disableCatchAll", "Do not serve Ingresses with a default backend",
        |s, v| parse(&mut s.ingress.disable_catch_all, v)),
    flag("disable-leader-election", Switch, "leaderElection.enabled", "Never write statuses",
        |s, v| negated(&mut s.leader_election.enabled, v)),
    flag("disable-svc-external-name", Switch, "ingress.disableExternalName",
        "Do not serve Services of type ExternalName",
        |s, v| parse(&mut s.ingress.disable_external_name, v)),
    flag("disable-sync-events", Switch, "provider.kubernetes.syncEvents", "Send no Sync Events",
        |s, v| negated(&mut s.provider.kubernetes.sync_events, v)),
    flag("election-id", Text("NAME"), "leaderElection.lease", "The Lease that decides who writes statuses",
        |s, v| parse(&mut s.leader_election.lease, v)),
    flag("election-ttl", Text("DURATION"), "leaderElection.ttl", "How long a silent leader keeps the Lease",
        |s, v| span(&mut s.leader_election.ttl, v)),
    flag("enable-ssl-passthrough", Switch, "ingress.tlsPassthrough", "Serve the annotation ssl-passthrough",
        |s, v| parse(&mut s.ingress.tls_passthrough, v)),
    flag("enable-topology-aware-routing", Switch, "ingress.topologyAwareRouting",
        "Of Services with topology hints take the endpoints that are meant for our zone",
        |s, v| parse(&mut s.ingress.topology_aware_routing, v))
        .but("where no endpoint is meant for our zone all are used"),
    flag("exclude-socket-metrics", Text("LIST"), "metrics.exclude",
        "Metrics of requests that are not shown, separated by commas",
        |s, v| list(&mut s.metrics.exclude, v)),
    flag("length-buckets", Text("LIST"), "metrics.lengthBuckets",
        "Bounds of ingress-nginx's request_size and response_size, in bytes",
        |s, v| parse(&mut s.metrics.length_buckets, v)),
    flag("maxmind-edition-ids", Text("LIST"), "geoip.editions",
        "GeoIP databases to use, by the names of their files without `.mmdb`",
        |s, v| list(&mut s.geoip.editions, v))
        .but("nothing is downloaded: mount the files into geoip.directory"),
    flag("metrics-per-host", Switch, "metrics.perHost", "Give ingress-nginx's metrics a label host",
        |s, v| parse(&mut s.metrics.per_host, v)),
    flag("metrics-per-undefined-host", Switch, "metrics.perUndefinedHost",
        "Count requests for hosts that no Ingress names in ingress-nginx's metrics, too",
        |s, v| parse(&mut s.metrics.per_undefined_host, v)),
    flag("report-status-classes", Switch, "metrics.statusClasses",
        "Show classes (2xx) in the label status of ingress-nginx's metrics",
        |s, v| parse(&mut s.metrics.status_classes, v)),
    flag("size-buckets", Text("LIST"), "metrics.sizeBuckets", "Bounds of ingress-nginx's bytes_sent",
        |s, v| parse(&mut s.metrics.size_buckets, v)),
    flag("time-buckets", Text("LIST"), "metrics.timeBuckets",
        "Bounds of ingress-nginx's request_duration_seconds and response_duration_seconds",
        |s, v| parse(&mut s.metrics.time_buckets, v)),
    flag("tcp-services-configmap", Text("NAMESPACE/NAME"), "ingress.tcpServices",
        "The ConfigMap with TCP services by port",
        |s, v| object(&mut s.ingress.tcp_services, v)),
    flag("udp-services-configmap", Text("NAMESPACE/NAME"), "ingress.udpServices",
        "The ConfigMap with UDP services by port",
        |s, v| object(&mut s.ingress.udp_services, v)),
    flag("health-check-path", Text("PATH"), "admin.healthPath", "Another path for the health check",
        |s, v| parse(&mut s.admin.health_path, v)),
    flag("healthz-host", Text("ADDRESS"), "admin.address", "The address of the admin port",
        |s, v| optional(&mut s.admin.address, v)),
    flag("healthz-port", Text("PORT"), "admin.port", "The admin port",
        |s, v| parse(&mut s.admin.port, v)),
    flag("http-port", Text("PORT"), "listen.httpPort", "The plain port",
        |s, v| port(&mut s.listen.http_port, v)),
    flag("https-port", Text("PORT"), "listen.httpsPort", "The TLS port",
        |s, v| port(&mut s.listen.https_port, v)),
    flag("ingress-class", Text("NAME"), "ingress.class",
        "The served value of the annotation kubernetes.io/ingress.class",
        |s, v| parse(&mut s.ingress.class, v)),
    flag("ingress-class-by-name", Switch, "ingress.classByName",
        "Serve an IngressClass of that name whatever its controller",
        |s, v| parse(&mut s.ingress.class_by_name, v)),
    flag("kubeconfig", Text("FILE"), "provider.kubernetes.kubeconfig", "A kubeconfig file",
        |s, v| optional(&mut s.provider.kubernetes.kubeconfig, v)),
    flag("publish-service", Text("NAMESPACE/NAME"), "status.publishService",
        "The Service whose addresses are written into statuses",
        |s, v| object(&mut s.status.publish_service, v)),
    flag("publish-status-address", Text("LIST"), "status.publishAddresses",
        "Addresses to write into statuses, separated by commas",
        |s, v| list(&mut s.status.publish_addresses, v)),
    flag("report-node-internal-ip-address", Switch, "status.nodeInternalAddress",
        "Write internal addresses of nodes into statuses",
        |s, v| parse(&mut s.status.node_internal_address, v)),
    flag("shutdown-grace-period", Text("SECONDS"), "shutdown.delay",
        "Seconds to accept connections after SIGTERM",
        |s, v| span(&mut s.shutdown.delay, v)),
    flag("update-status", Switch, "status.update", "Write statuses",
        |s, v| parse(&mut s.status.update, v)),
    flag("update-status-on-shutdown", Switch, "status.clearOnShutdown",
        "Remove the addresses when the last replica ends",
        |s, v| parse(&mut s.status.clear_on_shutdown, v)),
    flag("v", Text("LEVEL"), "log.level", "klog's verbosity: 3 shows details, 5 everything", verbosity),
    flag("validating-webhook", Text("ADDRESS"), "webhook.address", "The address of the admission webhook",
        |s, v| optional(&mut s.webhook.address, v)),
    flag("validating-webhook-certificate", Text("FILE"), "webhook.certificate",
        "A PEM file with the webhook's certificate, read again when it changes",
        |s, v| optional(&mut s.webhook.certificate, v)),
    flag("validating-webhook-key", Text("FILE"), "webhook.key", "A PEM file with the webhook's key",
        |s, v| optional(&mut s.webhook.key, v)),
    flag("validating-webhook-secret", Text("NAMESPACE/NAME"), "webhook.secret",
        "A Secret in place of files: the leader makes the webhook's certificate and renews it there",
        |s, v| object(&mut s.webhook.secret, v)),
    flag("validating-webhook-configuration", Text("NAME"), "webhook.configuration",
        "The ValidatingWebhookConfiguration whose caBundle the leader keeps right",
        |s, v| optional(&mut s.webhook.configuration, v)),
    flag("validating-webhook-validity", Text("DURATION"), "webhook.validity",
        "How long a certificate made by the leader is valid",
        |s, v| span(&mut s.webhook.validity, v)),
    flag("watch-ingress-without-class", Switch, "ingress.withoutClass", "Serve Ingresses without any class",
        |s, v| parse(&mut s.ingress.without_class, v)),
    flag("watch-namespace", Text("NAMESPACE"), "provider.kubernetes.namespace", "The one namespace to watch",
        |s, v| optional(&mut s.provider.kubernetes.namespace, v)),
    flag("watch-namespace-selector", Text("LABELS"), "provider.kubernetes.namespaceSelector",
        "Watch namespaces with these labels",
        |s, v| optional(&mut s.provider.kubernetes.namespace_selector, v)),
];
