mod every_key;

use std::collections::BTreeSet;
use std::time::Duration;

use tidegate_snapshot::{
    Cipher, KeyExchange, LoadBalancing, RootSampler, Sampler, ServerHeader, TicketKey, Tickets,
};

use super::*;
use crate::manifest;
use crate::options::{ListenerOptions, Risk};

fn flags() -> Options {
    Options {
        config_map: Some(NamespacedName::new("ingress", "controller")),
        ..Options::default()
    }
}

fn objects(data: &str) -> Objects {
    let yaml = format!(
        "apiVersion: v1\nkind: ConfigMap\nmetadata: {{namespace: ingress, name: controller}}\ndata:\n{data}"
    );
    let mut objects = Objects::new();
    for object in manifest::parse("test", &yaml).objects {
        objects.apply(object);
    }
    objects
}

fn configured(data: &str) -> (Options, Vec<Arc<Problem>>) {
    let configuration = Configuration::new(&flags(), &objects(data));
    (configuration.options, configuration.problems.into_vec())
}

/// What a single key makes of the options, without a Problem.
fn works(key: &str, value: &str) -> Options {
    let (options, problems) = configured(&format!("  {key}: {value:?}\n"));
    assert_eq!(problems, [], "{key}: {value}");
    options
}

/// The keys that ingress-nginx 1.15 reads; `app-root` is one of them, although it
/// does nothing (its `defaults.Backend`).
const NAMES: &str = include_str!("../../../tests/ingress_nginx/configmap.txt");

#[test]
fn the_table_is_sorted_and_complete() {
    assert!(table::TABLE.windows(2).all(|pair| pair[0].name < pair[1].name));
    let extension = |key: &&Key| key.doc.starts_with("Ours: ");
    let keys = table::TABLE.iter().filter(|key| !extension(key));
    let ours: BTreeSet<&str> = keys.map(|key| key.name).collect();
    let theirs: BTreeSet<&str> = NAMES.lines().collect();
    let (missing, foreign): (Vec<_>, Vec<_>) = (
        theirs.difference(&ours).collect(),
        ours.difference(&theirs).collect(),
    );
    assert!(
        missing.is_empty() && foreign.is_empty(),
        "not in the table: {missing:?}; not ingress-nginx's: {foreign:?}"
    );
    assert!(table::TABLE.iter().all(|key| key.doc.ends_with('.')));
    for key in table::TABLE {
        if let Handling::Annotation(name) = key.handling {
            assert_ne!(
                annotations::verdict(name),
                crate::verdict::Verdict::NoMeaning(""),
                "{name}"
            );
        }
    }
}

#[test]
fn without_a_value_everything_is_as_before() {
    assert_eq!(configured(""), (flags(), Vec::new()));
    for key in table::TABLE {
        let (options, problems) = configured(&format!("  {}: \" \"\n", key.name));
        assert_eq!((options, problems), (flags(), Vec::new()), "{}", key.name);
    }
}

#[test]
fn ingress_nginx_defaults_change_nothing() {
    // Their docs are texts, not values.
    let described = [
        "log-format-stream",
        "log-format-upstream",
        "ssl-ciphers",
        "server-name-hash-bucket-size",
    ];
    // Written down, it is a choice, and no Problem says that everybody is believed.
    let explicit = [
        "access-log-path",
        "proxy-real-ip-cidr",
        "proxy-next-upstream",
        "ssl-session-cache-size",
        "ssl-session-tickets",
        "ssl-session-timeout",
        "worker-shutdown-timeout",
    ];
    for key in table::TABLE {
        // These win over the environment.
        let explicit = explicit.contains(&key.name) || key.name.starts_with("otel-");
        if described.contains(&key.name) || explicit {
            continue;
        }
        let (options, problems) = configured(&format!("  {}: {:?}\n", key.name, key.default));
        let mut options = options;
        options.default_annotations.clear();
        let unsupported = |problem: &Arc<Problem>| problem.reason != reason::ANNOTATION_NOT_SUPPORTED;
        let problems: Vec<_> = problems.into_iter().filter(unsupported).collect();
        assert_eq!((options, problems), (flags(), Vec::new()), "{}", key.name);
    }
}

#[test]
fn a_missing_config_map_is_told() {
    let configuration = Configuration::new(&flags(), &Objects::new());
    assert_eq!(configuration.options, flags());
    assert_eq!(configuration.problems[0].reason, reason::CONFIG_MAP_MISSING);
    assert!(!configuration.is_current(&objects("")));
    assert!(configuration.reads(Kind::ConfigMap, "ingress", "controller"));
    assert!(!configuration.reads(Kind::ConfigMap, "ingress", "other"));
}

#[test]
fn without_the_flag_nothing_is_read() {
    let configuration = Configuration::new(&Options::default(), &objects("  hsts: \"false\"\n"));
    assert_eq!(configuration.options, Options::default());
    assert!(configuration.is_current(&Objects::new()));
}

#[test]
fn limits_of_clients() {
    assert_eq!(
        works("keep-alive", "140").http_settings.keep_alive,
        Duration::from_secs(140)
    );
    assert_eq!(works("keep-alive", "0").http_settings.keep_alive, Duration::ZERO);
    assert_eq!(
        works("keep-alive-requests", "200")
            .http_settings
            .keep_alive_requests,
        200
    );
    let http = works("large-client-header-buffers", "8 16k").http_settings;
    assert_eq!(
        (http.max_header_line, http.max_header_total),
        (16 << 10, 128 << 10)
    );
    assert!(!works("use-http2", "false").http_settings.http2);
    assert!(
        !works("enable-underscores-in-headers", "true")
            .http_settings
            .drop_underscores
    );
    let http = works("upstream-keepalive-connections", "0").http_settings;
    assert_eq!(http.upstream_keep_alive.idle, Duration::ZERO);
}

#[test]
fn a_bad_value_leaves_its_default_and_says_so() {
    for (key, value) in [
        ("keep-alive", "75s"),
        ("large-client-header-buffers", "8k"),
        ("large-client-header-buffers", "0 8k"),
        ("hsts", "yes"),
        ("hsts-max-age", "-1"),
        ("use-http2", "on"),
        ("http-redirect-code", "303"),
        ("annotations-risk-level", "low"),
        ("load-balance", "random"),
        ("proxy-connect-timeout", "50k"),
        ("proxy-read-timeout", "50k"),
        ("proxy-send-timeout", "50k"),
        ("proxy-body-size", "1x"),
        ("proxy-protocol-header-timeout", "5 days"),
        ("forwarded-for-header", "a b"),
        ("bind-address", "localhost"),
        ("proxy-add-original-uri-header", "2"),
    ] {
        let (options, problems) = configured(&format!("  {key}: {value:?}\n"));
        assert_eq!(options, flags(), "{key}");
        assert_eq!(problems.len(), 1, "{key}: {problems:?}");
        let problem = &problems[0];
        assert_eq!(problem.field, format!("data[{key}]"));
        assert_eq!(
            (problem.reason, problem.effect),
            (reason::INVALID_KEY, Effect::Substituted)
        );
        assert!(problem.message.contains(value), "{problem}");
        assert!(!problem.fix.is_empty(), "{problem}");
    }
}

#[test]
fn keys_of_annotations_are_their_defaults() {
    let options = works("proxy-read-timeout", "120");
    assert_eq!(options.default_annotations["proxy-read-timeout"], "120");
    let settings = annotations::defaults(&options);
    assert_eq!(settings.policies.timeouts.read, Duration::from_secs(120));
    let options = works("force-ssl-redirect", "true");
    assert!(annotations::defaults(&options).force_ssl_redirect);
    let options = works("retry-non-idempotent", "true");
    assert!(annotations::defaults(&options).policies.retry.on.non_idempotent);
}

#[test]
fn hsts_is_one_policy_of_four_keys() {
    assert_eq!(works("hsts", "false").hsts, None);
    let (options, _) = configured(
        "  hsts-max-age: \"86400\"\n  hsts-include-subdomains: \"false\"\n  hsts-preload: \"true\"\n",
    );
    let wanted = Hsts {
        max_age: 86400,
        include_subdomains: false,
        preload: true,
    };
    assert_eq!(options.hsts, Some(wanted));
}

#[test]
fn everybody_is_believed_only_with_a_word_about_it() {
    let (options, problems) = configured("  use-forwarded-headers: \"true\"\n");
    let real_ip = &options.http_settings.real_ip;
    assert!(real_ip.use_forwarded_headers);
    assert_eq!(real_ip.trusted, ["0.0.0.0/0".parse().unwrap()]);
    assert_eq!(
        (problems[0].reason, problems[0].effect),
        (reason::EVERYBODY_TRUSTED, Effect::Applied)
    );
    let (options, problems) =
        configured("  use-forwarded-headers: \"true\"\n  proxy-real-ip-cidr: \"10.0.0.0/8, 192.0.2.7\"\n");
    let wanted = ["10.0.0.0/8".parse().unwrap(), "192.0.2.7/32".parse().unwrap()];
    assert_eq!(
        (&options.http_settings.real_ip.trusted[..], problems),
        (&wanted[..], Vec::new())
    );
}

#[test]
fn a_broken_trust_list_trusts_nobody() {
    let (options, problems) =
        configured("  enable-real-ip: \"true\"\n  proxy-real-ip-cidr: \"10.0.0.0/8, nonsense\"\n");
    assert_eq!(options.http_settings.real_ip.trusted, []);
    assert_eq!(problems.len(), 1);
    assert!(
        problems[0].message.contains("nobody is believed"),
        "{}",
        problems[0]
    );
}

#[test]
fn proxy_protocol_on_both_ports() {
    let (options, problems) = configured(
        "  use-proxy-protocol: \"true\"\n  proxy-real-ip-cidr: 10.0.0.0/8\n  \
         proxy-protocol-optional-cidr: 172.16.0.0/12\n  proxy-protocol-header-timeout: 10s\n",
    );
    assert_eq!(problems, []);
    for listener in [&options.http, &options.https] {
        let proxy = listener.as_ref().unwrap().proxy_protocol.as_ref().unwrap();
        assert_eq!(proxy.trusted, ["10.0.0.0/8".parse().unwrap()]);
        assert_eq!(proxy.optional, ["172.16.0.0/12".parse().unwrap()]);
        assert_eq!(proxy.header_timeout, Duration::from_secs(10));
    }
    // With forwarded headers the list is about whom the header announces.
    let (options, _) = configured(
        "  use-proxy-protocol: \"true\"\n  use-forwarded-headers: \"true\"\n  proxy-real-ip-cidr: 10.0.0.0/8\n",
    );
    let proxy = options.http.unwrap().proxy_protocol.unwrap();
    assert_eq!(proxy.trusted.len(), 2);
}

#[test]
fn addresses_to_listen_on() {
    let options = works("bind-address", "192.0.2.1, [2001:db8::1]");
    let wanted = ListenerOptions {
        address: ([192, 0, 2, 1], 80).into(),
        more_addresses: vec!["2001:db8::1".parse().unwrap()],
        ..flags().http.unwrap()
    };
    assert_eq!(options.http, Some(wanted));
    let both = "  bind-address: \"192.0.2.1, 2001:db8::1\"\n  disable-ipv6: \"true\"\n";
    assert_eq!(
        configured(both).0.http.unwrap().more_addresses,
        Vec::<std::net::IpAddr>::new()
    );
}

#[test]
fn the_backends_server_field_needs_both_keys() {
    let server = |data: &str| configured(data).0.http_settings.server_header;
    assert_eq!(
        server("  allow-backend-server-header: \"true\"\n"),
        ServerHeader::None
    );
    assert_eq!(server("  server-tokens: \"true\"\n"), ServerHeader::Own);
    let both = "  allow-backend-server-header: \"true\"\n  server-tokens: \"true\"\n";
    assert_eq!(server(both), ServerHeader::Backend);
}

#[test]
fn what_ingresses_may_do() {
    assert_eq!(
        works("annotations-risk-level", "Critical").risk_level,
        Risk::Critical
    );
    assert_eq!(
        works("annotation-value-word-blocklist", "load_module, }").blocked_words,
        ["load_module".into(), "}".into()]
    );
    assert!(works("allow-snippet-annotations", "true").allow_snippet_annotations);
    assert!(works("allow-cross-namespace-resources", "true").allow_cross_namespace_resources);
    assert!(!works("strict-validate-path-type", "false").strict_path_types);
    assert_eq!(works("load-balance", "ewma").load_balancing, LoadBalancing::Ewma);
}

#[test]
fn what_guards_access_and_is_not_served_closes_everything() {
    let (options, problems) = configured("  enable-modsecurity: \"true\"\n");
    assert_eq!(problems[0].effect, Effect::RouteDisabled);
    assert!(options.disabled.is_some());
    assert!(annotations::defaults(&options).policies.disabled.is_some());
    assert_eq!(works("enable-modsecurity", "false").disabled, None);
}

#[test]
fn unknown_and_removed_keys_are_told_apart() {
    let (_, problems) = configured("  proxy-body-sise: 1m\n  zipkin-collector-host: a\n");
    assert_eq!(problems[0].reason, reason::UNKNOWN_KEY);
    assert!(problems[0].fix.contains("proxy-body-size"), "{}", problems[0]);
    assert_eq!(problems[1].reason, reason::KEY_REMOVED);
}

#[test]
fn times_are_those_of_nginx() {
    for (text, seconds) in [
        ("5", 5),
        ("10m", 600),
        ("1h30m", 5400),
        ("1d", 86400),
        ("1m 30s", 90),
    ] {
        assert_eq!(value::time(text), Ok(Duration::from_secs(seconds)), "{text}");
    }
    assert_eq!(value::time("250ms"), Ok(Duration::from_millis(250)));
    for text in ["s", "-1s", "5w", "1.5s", "999999999999999999d"] {
        assert!(value::time(text).is_err(), "{text}");
    }
}

#[test]
fn the_access_log() {
    use tidegate_snapshot::access_log::{Escape, LogOutput};
    let log = |data: &str| configured(data).0.access_log;
    for (key, off) in [
        ("disable-access-log", (true, true)),
        ("disable-http-access-log", (true, false)),
        ("disable-stream-access-log", (false, true)),
    ] {
        let log = log(&format!("  {key}: \"true\"\n"));
        assert_eq!((log.off, log.streams.off), off, "{key}");
    }
    assert!(log("  enable-auth-access-log: \"true\"\n").questions);
    let paths = "  access-log-path: /tmp/a\n  http-access-log-path: /tmp/b\n";
    assert_eq!(log(paths).output, Some(LogOutput::File("/tmp/b".into())));
    let to = |host: &str| format!("  enable-syslog: \"true\"\n  access-log-path: /tmp/a\n{host}");
    let syslog = |host: &str, port| {
        let host = host.to_owned();
        Some(LogOutput::Syslog { host, port })
    };
    assert_eq!(
        log(&to("  syslog-host: logs.example\n")).output,
        syslog("logs.example", 514)
    );
    let elsewhere = "  syslog-host: \"[::1]\"\n  syslog-port: \"1514\"\n";
    assert_eq!(log(&to(elsewhere)).output, syslog("::1", 1514));
    assert_eq!(log(elsewhere).output, None);
    for bad in ["", "  syslog-host: a:514\n"] {
        let (options, problems) = configured(&to(bad));
        assert_eq!(options.access_log.output, Some(LogOutput::File("/tmp/a".into())));
        assert!(!problems.is_empty(), "{bad}");
    }
    let json = log("  log-format-upstream: '{\"a\":\"$status\"}'\n  log-format-escape-json: \"true\"\n");
    assert_eq!(json.format.as_ref().unwrap().escape, Escape::Json);
    // ingress-nginx's own format, escaped as asked.
    assert!(log("  log-format-escape-none: \"true\"\n").format.is_some());
    assert_eq!(log("  skip-access-log-urls: \"/health, ~^/x\"\n").skip.len(), 2);
    let (options, problems) = configured("  log-format-upstream: \"$status $nonsense\"\n");
    assert!(options.access_log.format.is_some());
    assert_eq!(
        (problems[0].reason, problems[0].effect),
        (reason::UNKNOWN_VARIABLE, Effect::Applied)
    );
    let (options, problems) = configured("  log-format-upstream: \"$\"\n");
    assert_eq!(options.access_log.format, None);
    assert_eq!(problems[0].reason, reason::INVALID_KEY);
}

#[test]
fn the_access_log_of_streams() {
    use tidegate_snapshot::access_log::{Escape, LogOutput};
    let log = |data: &str| configured(data).0.access_log.streams.clone();
    let file = |path: &str| Some(LogOutput::File(path.into()));
    let both = "  access-log-path: /tmp/a\n";
    assert_eq!(log(both).output, file("/tmp/a"));
    let own = format!("{both}  http-access-log-path: /tmp/b\n  stream-access-log-path: /tmp/c\n");
    assert_eq!(log(&own).output, file("/tmp/c"));
    assert_eq!(log("  http-access-log-path: /tmp/b\n").output, None);
    let syslog = "  enable-syslog: \"true\"\n  syslog-host: logs.example\n";
    assert_eq!(log(&format!("{both}{syslog}")).output, file("/tmp/a"));
    assert_eq!(
        log("  stream-access-log-path: /var/log/nginx/access.log\n").output,
        Some(LogOutput::Stdout)
    );
    // Only requests' values are escaped otherwise.
    let json = "  log-format-stream: '{\"a\":\"$remote_addr\"}'\n  log-format-escape-json: \"true\"\n";
    assert_eq!(log(json).format.unwrap().escape, Escape::Default);
    // Requests have other variables.
    let (options, problems) = configured("  log-format-stream: \"$status $request_uri\"\n");
    assert!(options.access_log.streams.format.is_some());
    assert_eq!(
        (problems[0].reason, problems[0].effect, problems[0].field.as_str()),
        (
            reason::UNKNOWN_VARIABLE,
            Effect::Applied,
            "data[log-format-stream]"
        )
    );
    let (options, problems) = configured("  log-format-stream: \"$\"\n");
    assert_eq!(options.access_log.streams.format, None);
    assert_eq!(problems[0].reason, reason::INVALID_KEY);
}

#[test]
fn who_is_blocked() {
    let http = works("block-cidrs", "10.0.0.0/8,192.0.2.1").http_settings;
    assert!(!http.block.is_empty());
    assert_eq!(
        works("block-user-agents", "curl, ~*bot")
            .http_settings
            .block
            .user_agents
            .len(),
        2
    );
    let block = &works("block-user-agents", "~*^(?!.*Googlebot).*bot")
        .http_settings
        .block;
    assert!(block.user_agents[0].is_match("AhrefsBot") && !block.user_agents[0].is_match("Googlebot/2.1"));
    for text in [
        "  block-cidrs: nonsense\n",
        "  block-referers: \"~good, ~(bad\"\n",
        "  block-user-agents: \"~(?!a\"\n",
    ] {
        let (options, problems) = configured(text);
        assert_eq!(
            (problems[0].effect, options.disabled.is_some()),
            (Effect::RouteDisabled, true),
            "{text}"
        );
        assert!(!problems[0].message.is_empty() && !problems[0].fix.is_empty());
    }
    assert_eq!(works("limit-req-status-code", "429").limit_req_status_code, 429);
}

#[test]
fn handshakes() {
    let tls = works("ssl-protocols", "TLSv1.3").tls;
    assert!(!tls.tls12 && tls.tls13);
    let tls = works("ssl-ciphers", "ECDHE-RSA-AES256-GCM-SHA384").tls;
    assert_eq!(tls.ciphers, [Cipher::EcdheRsaAes256]);
    let tls = works("ssl-ecdh-curve", "X25519:secp384r1").tls;
    assert_eq!(tls.groups, [KeyExchange::X25519, KeyExchange::P384]);
    assert!(!works("ssl-session-cache", "false").tls.session_cache);
    assert_eq!(works("ssl-session-tickets", "false").tls.tickets, Tickets::Off);
    let shared = Tickets::Shared(TicketKey([0; 48].into()));
    assert_eq!(
        works("ssl-session-ticket-key", &"A".repeat(64)).tls.tickets,
        shared
    );
    assert!(works("ssl-reject-handshake", "true").reject_unknown_names);
    assert_eq!(works("enable-ocsp", "true").ocsp, Some(Arc::default()));
    assert_eq!(works("ocsp-responder-cidr", "10.0.0.0/8").ocsp, None);
    assert!(works("disable-ipv6-dns", "true").ipv4_names_only);
}

/// What is not served is told; something always is.
#[test]
fn handshakes_that_cannot_be_as_asked_for() {
    let told = |data: &str| {
        let (options, problems) = configured(data);
        assert_eq!(problems.len(), 1, "{data}: {problems:?}");
        (options.tls, problems[0].effect)
    };
    let (tls, effect) = told("  ssl-protocols: TLSv1 TLSv1.1 TLSv1.2\n");
    assert!(tls.tls12 && !tls.tls13);
    assert_eq!(effect, Effect::Applied);
    let (tls, effect) = told("  ssl-protocols: TLSv1.1\n");
    assert_eq!((tls, effect), (flags().tls, Effect::Substituted));
    let (tls, effect) = told("  ssl-ciphers: AES128-SHA\n");
    assert!(!tls.tls12 && tls.tls13);
    assert_eq!(effect, Effect::Applied);
    let (tls, effect) = told("  ssl-ciphers: AES128-SHA\n  ssl-protocols: TLSv1.2\n");
    assert!(tls.tls12 && tls.ciphers == Cipher::ALL);
    assert_eq!(effect, Effect::Substituted);
    let (tls, effect) = told("  ssl-ecdh-curve: secp521r1:X25519\n");
    assert_eq!(
        (&*tls.groups, effect),
        (&[KeyExchange::X25519][..], Effect::Applied)
    );
    let (tls, effect) = told("  ssl-ecdh-curve: secp521r1\n");
    assert_eq!((tls, effect), (flags().tls, Effect::Substituted));
    // Nothing private is asked where nobody knows what was meant.
    let (options, problems) = configured("  enable-ocsp: \"true\"\n  ocsp-responder-cidr: 10.0.0.0/33\n");
    assert_eq!((options.ocsp, problems.len()), (Some(Arc::default()), 1));
    let (_, problems) = configured("  ssl-session-ticket-key: c2VjcmV0\n");
    assert!(!problems[0].to_string().contains("c2VjcmV0"), "it is a secret");
}

#[test]
fn spans() {
    let export = configured("  otlp-collector-host: collector\n  otlp-collector-port: \"55\"\n")
        .0
        .trace_export;
    assert_eq!(export.collector.as_deref(), Some("http://collector:55"));
    let export = works("otlp-collector-host", "::1").trace_export;
    assert_eq!(export.collector.as_deref(), Some("http://[::1]:4317"));
    assert_eq!(works("otlp-collector-port", "4318").trace_export.collector, None);
    assert_eq!(
        works("otel-service-name", "edge")
            .trace_export
            .service_name
            .as_deref(),
        Some("edge")
    );
    let sampler = |key, value| works(key, value).trace_export.sampler;
    let based = |root, parent_based| Some(Sampler { root, parent_based });
    assert_eq!(
        sampler("otel-sampler", "AlwaysOff"),
        based(RootSampler::None, true)
    );
    assert_eq!(
        sampler("otel-sampler", "TraceIdRatioBased"),
        based(RootSampler::Ratio(10_000), true)
    );
    assert_eq!(
        sampler("otel-sampler-parent-based", "false"),
        based(RootSampler::All, false)
    );
    assert_eq!(
        works("otel-schedule-delay-millis", "10").trace_export.delay,
        Some(Duration::from_millis(10))
    );
    assert!(
        works("opentelemetry-operation-name", "HTTP $request_method")
            .span_name
            .is_some()
    );
    for (key, value) in [
        ("otlp-collector-host", "http://collector"),
        ("otlp-collector-port", "0"),
        ("otel-sampler", "Always"),
        ("otel-sampler-ratio", "2"),
        ("opentelemetry-operation-name", "$nonsense"),
    ] {
        let (options, problems) = configured(&format!("  {key}: {value:?}\n"));
        assert_eq!(problems.len(), 1, "{key}");
        assert_eq!(options.trace_export, flags().trace_export, "{key}");
    }
}
