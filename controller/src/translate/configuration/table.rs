//! Every key that ingress-nginx reads from its ConfigMap, in one table: what we
//! do with it and what it is for. Sorted by name. `docs/configmap.md` is made
//! of it.

use tidegate_snapshot::access_log::STREAM_FORMAT;

use super::Handling::{Annotation, Fixed, NoMeaning, Parse, Text};
use super::{
    Finish, Handling, Key, access, address, block, client, compression, geoip, headers, log, routes,
    security, streams, tls, tracing,
};
use crate::translate::ingress::annotations::{STREAMED, VARIABLES};
use crate::verdict::{Row, Verdict};

/// What is finished when every value has been taken; the name is the key that a
/// refusal is reported on.
pub(super) const GROUPS: &[(&str, Finish)] = &[
    ("global-auth-url", access::finish_global),
    ("proxy-real-ip-cidr", address::finish_trust),
    ("add-headers", headers::finish_response),
    ("proxy-set-headers", headers::finish_request),
    ("bind-address", address::finish_listen),
    // Before the log itself, which takes what it finds.
    ("log-format-stream", log::finish_streams),
    ("enable-syslog", log::finish_syslog),
    ("log-format-upstream", log::finish),
    ("server-tokens", client::finish_server_header),
    ("upstream-keepalive-connections", client::finish_upstream_pool),
    ("use-gzip", compression::finish),
    ("ssl-ciphers", tls::finish),
    ("otlp-collector-host", tracing::finish),
    ("use-geoip2", geoip::finish),
];

pub(super) fn by_name(name: &str) -> Option<&'static Key> {
    let at = TABLE.binary_search_by(|key| key.name.cmp(name)).ok()?;
    TABLE.get(at)
}

/// Whether a key was ingress-nginx's once (configmap reference §17).
pub(super) fn is_removed(name: &str) -> bool {
    const PREFIXES: [&str; 5] = [
        "jaeger-",
        "zipkin-",
        "datadog-",
        "opentracing-",
        "global-rate-limit-",
    ];
    const NAMES: [&str; 4] = [
        "enable-dynamic-tls-records",
        "enable-opentracing",
        "enable-vts-status",
        "use-geoip",
    ];
    NAMES.contains(&name) || PREFIXES.iter().any(|prefix| name.starts_with(prefix))
}

/// The keys with their verdicts, for the docs.
pub(in crate::translate) fn keys() -> impl Iterator<Item = Row> {
    TABLE.iter().map(|key| Row {
        name: key.name,
        default: key.default,
        doc: key.doc,
        verdict: key.verdict(),
    })
}

impl Key {
    const fn new(name: &'static str, default: &'static str, handling: Handling, doc: &'static str) -> Self {
        Self {
            name,
            default,
            handling,
            doc,
            difference: "",
        }
    }

    /// What differs from ingress-nginx.
    const fn but(self, difference: &'static str) -> Self {
        Self { difference, ..self }
    }

    fn verdict(&self) -> Verdict {
        match self.handling {
            Annotation(name) => super::annotations::verdict(name).but(self.difference),
            Parse(_) if self.difference.is_empty() => Verdict::Works,
            Parse(_) => Verdict::Differs(self.difference),
            NoMeaning(instead) => Verdict::NoMeaning(instead),
            Fixed(difference) => Verdict::Differs(difference),
            Handling::Refused { why, instead }
            | Handling::Closes { why, instead }
            | Handling::Text { why, instead } => Verdict::Refused { why, instead },
        }
    }
}

const fn refused(why: &'static str, instead: &'static str) -> Handling {
    Handling::Refused { why, instead }
}

const fn closes(why: &'static str, instead: &'static str) -> Handling {
    Handling::Closes { why, instead }
}

const BUFFERS: &str = "memory is taken as needed";
const HASHES: &str = "tables have no fixed size";
const LUA: &str = "there is no Lua";
const SNIPPET: &str = "nginx configuration is never executed";
const HTTP_SNIPPET_INSTEAD: &str = "use keys of their own, `server-snippet` or `location-snippet`; a line that guards access closes all routes";
const WAF: &str = "there is no web application firewall";
const WAF_INSTEAD: &str = "put a firewall in front; all routes stay closed until the key is removed";
const WORKERS: &str = "there are threads in place of worker processes: see `--threads`";
const BODIES: &str = "bodies are never written to disk";

/// The table.
#[rustfmt::skip]
pub(super) const TABLE: &[Key] = &[
    Key::new("access-log-params", "", NoMeaning("lines are always written in batches"), "nginx's parameters of the access log."),
    Key::new("access-log-path", "/var/log/nginx/access.log", Parse(log::path), "The file of the access log."),
    Key::new("add-headers", "", Parse(headers::add), "The ConfigMap with response headers for all routes.").but(VARIABLES),
    Key::new("allow-backend-server-header", "false", Parse(client::backend_server_header), "Pass the backend's `Server` on; needs `server-tokens`."),
    Key::new("allow-cross-namespace-resources", "false", Parse(security::cross_namespace), "Let annotations name Secrets and ConfigMaps of other namespaces."),
    Key::new("allow-snippet-annotations", "false", Parse(security::snippets), "Take annotations that end in `-snippet`."),
    Key::new("annotation-value-word-blocklist", "", Parse(security::blocklist), "Words that no annotation may contain."),
    Key::new("annotations-risk-level", "High", Parse(security::risk_level), "The highest risk of annotations that are taken."),
    Key::new("app-root", "", NoMeaning("ingress-nginx reads it and does nothing with it, either"), "Undocumented."),
    Key::new("bind-address", "", Parse(address::bind_address), "Addresses to listen on."),
    Key::new("block-cidrs", "", Parse(block::cidrs), "Addresses that are refused everywhere.").but("an entry that cannot be understood closes all routes (503)"),
    Key::new("block-referers", "", Parse(block::referers), "Values of `Referer` that are refused everywhere.").but("an entry that cannot be understood closes all routes (503); look-around and back-references are bounded: what is too long for them, beyond 2 KiB, is refused"),
    Key::new("block-user-agents", "", Parse(block::user_agents), "Values of `User-Agent` that are refused everywhere.").but("an entry that cannot be understood closes all routes (503); look-around and back-references are bounded: what is too long for them, beyond 2 KiB, is refused"),
    Key::new("brotli-level", "4", Parse(|draft, text| draft.compression.brotli.level(text, 11)), "Effort of brotli."),
    Key::new("brotli-min-length", "20", Parse(|draft, text| draft.compression.brotli.min_length(text)), "The shortest answer that brotli compresses."),
    Key::new("brotli-types", "", Parse(|draft, text| draft.compression.brotli.types(text)), "Content types that brotli compresses."),
    Key::new("client-body-buffer-size", "8k", NoMeaning(BODIES), "Bytes of a request body kept in memory."),
    Key::new("client-body-timeout", "60", Parse(client::body_timeout), "Seconds between two reads of a request body."),
    Key::new("client-header-buffer-size", "1k", NoMeaning(BUFFERS), "nginx's first buffer of a request head."),
    Key::new("client-header-timeout", "60", Parse(client::header_timeout), "Seconds for a whole request head."),
    Key::new("compute-full-forwarded-for", "false", Parse(address::compute_full), "Append to `X-Forwarded-For` rather than replace it."),
    Key::new("custom-http-errors", "", Parse(routes::error_statuses), "Statuses replaced by error pages."),
    Key::new("debug-connections", "", NoMeaning("see `--v`"), "Addresses with debug logging."),
    Key::new("default-type", "text/html", NoMeaning("pages of our own are always text/html, as nginx's are; in snippets write `default_type`"), "Content type of local answers."),
    Key::new("denylist-source-range", "", Annotation("denylist-source-range"), "Addresses that may not come in."),
    Key::new("disable-access-log", "false", Parse(log::disable), "No access log."),
    Key::new("disable-http-access-log", "false", Parse(log::disable_http), "No access log of HTTP."),
    Key::new("disable-ipv6", "false", Parse(address::disable_ipv6), "Listen on IPv4 alone."),
    Key::new("disable-ipv6-dns", "false", Parse(address::disable_ipv6_dns), "Ignore IPv6 addresses of names.").but("for Services of type ExternalName; other names have them only where there is no IPv4 address"),
    Key::new("disable-proxy-intercept-errors", "false", Annotation("disable-proxy-intercept-errors"), "Let the backend's errors pass."),
    Key::new("disable-stream-access-log", "false", Parse(log::disable_streams), "No access log of TCP and UDP."),
    Key::new("enable-access-log-for-default-backend", "false", Parse(log::default_backend), "Log requests that no rule fits."),
    Key::new("enable-aio-write", "true", NoMeaning(BODIES), "nginx's writes to disk."),
    Key::new("enable-auth-access-log", "false", Parse(log::questions), "Log questions to authentication services, too.").but("a route with `enable-access-log: \"false\"` has no such lines, either"),
    Key::new("enable-brotli", "false", Parse(|draft, text| draft.compression.brotli.switch(text)), "Compress answers with brotli."),
    Key::new("enable-modsecurity", "false", closes(WAF, WAF_INSTEAD), "Web application firewall everywhere."),
    Key::new("enable-multi-accept", "true", NoMeaning("connections are accepted as they come"), "nginx's accept loop."),
    Key::new("enable-ocsp", "false", Parse(tls::ocsp), "Staple OCSP responses of certificates that name a responder, where `tls.crt` holds their issuer, too.").but("responders are asked over `http://`, as soon as a certificate is in use, at public addresses alone: see `ocsp-responder-cidr`"),
    Key::new("enable-opentelemetry", "false", Annotation("enable-opentelemetry"), "Make spans."),
    Key::new("enable-owasp-modsecurity-crs", "false", closes(WAF, WAF_INSTEAD), "OWASP core rule set."),
    Key::new("enable-real-ip", "false", Parse(address::enable_real_ip), "Take the client's address alone from `forwarded-for-header`."),
    Key::new("enable-serial-reloads", "false", NoMeaning("there are no reloads"), "One reload at a time."),
    Key::new("enable-syslog", "false", Parse(log::syslog), "Send the access log of HTTP to a syslog server over UDP, instead of elsewhere.").but("messages of the gateway itself stay on standard error"),
    Key::new("enable-underscores-in-headers", "false", Parse(client::underscores), "Keep request headers with `_` in their name."),
    Key::new("enable-zstd", "false", Parse(|draft, text| draft.compression.zstd.switch(text)), "Ours: compress answers with Zstandard, for clients that take it."),
    Key::new("error-log-level", "notice", NoMeaning("see `--v`"), "Level of nginx's error log."),
    Key::new("error-log-path", "/var/log/nginx/error.log", NoMeaning("messages go to standard error"), "File of nginx's error log."),
    Key::new("force-ssl-redirect", "false", Annotation("force-ssl-redirect"), "Redirect plain HTTP to https whether or not the host has TLS."),
    Key::new("forwarded-for-header", "X-Forwarded-For", Parse(address::for_header), "The header with the client's address."),
    Key::new("forwarded-for-proxy-protocol-header", "X-Forwarded-For-Proxy-Protocol", NoMeaning("no header is needed to combine both"), "Internal header of nginx."),
    Key::new("forwarded-host-header", "X-Forwarded-Host", Parse(address::host_header), "The header copied to `X-Original-Forwarded-Host`."),
    Key::new("generate-request-id", "true", Parse(client::request_id), "Make an `X-Request-ID` where the client sent none."),
    Key::new("geoip2-autoreload-in-minutes", "0", Parse(geoip::reload), "Minutes between looks for new GeoIP databases; 0: as soon as files change."),
    Key::new("global-allowed-response-headers", "", Parse(security::allowed_response_headers), "Headers that `custom-headers` may set."),
    Key::new("global-auth-always-set-cookie", "false", Parse(access::auth_always_set_cookie), "Pass its cookies on with every status."),
    Key::new("global-auth-cache-duration", "200 202 401 5m", Parse(access::auth_cache_duration), "For how long."),
    Key::new("global-auth-cache-key", "", Parse(access::auth_cache_key), "Remember its answers by this key.").but("as `auth-cache-key`"),
    Key::new("global-auth-method", "", Parse(access::auth_method), "Method of the question to it."),
    Key::new("global-auth-request-redirect", "", Parse(access::auth_request_redirect), "`X-Auth-Request-Redirect` of the question."),
    Key::new("global-auth-response-headers", "", Parse(access::auth_response_headers), "Headers of its answer that go to the backend."),
    Key::new("global-auth-signin", "", Parse(access::auth_signin), "Where to sign in.").but(VARIABLES),
    Key::new("global-auth-signin-redirect-param", "rd", Parse(access::auth_signin_redirect_param), "Parameter with the way back."),
    Key::new("global-auth-snippet", "", Parse(access::auth_snippet), "nginx text for the question.").but("`proxy_set_header` alone: [snippets](snippets.md)"),
    Key::new("global-auth-url", "", Parse(access::auth_url), "The service that decides about all requests.").but(VARIABLES),
    Key::new("grpc-buffer-size-kb", "0", NoMeaning(BUFFERS), "nginx's buffer for gRPC."),
    Key::new("gzip-disable", "", Parse(compression::gzip_disable), "User agents that get no gzip: a regular expression, or `msie6`.").but("expressions have no look-around and no back-references"),
    Key::new("gzip-level", "1", Parse(|draft, text| draft.compression.gzip.level(text, 9)), "Effort of gzip."),
    Key::new("gzip-min-length", "256", Parse(|draft, text| draft.compression.gzip.min_length(text)), "The shortest answer that gzip compresses."),
    Key::new("gzip-types", "", Parse(|draft, text| draft.compression.gzip.types(text)), "Content types that gzip compresses."),
    Key::new("hide-headers", "", Parse(headers::hide), "Response headers of backends that are dropped."),
    Key::new("hsts", "true", Parse(client::hsts), "`Strict-Transport-Security` on answers over TLS."),
    Key::new("hsts-include-subdomains", "true", Parse(client::hsts_include_subdomains), "Subdomains, too."),
    Key::new("hsts-max-age", "31536000", Parse(client::hsts_max_age), "Seconds."),
    Key::new("hsts-preload", "false", Parse(client::hsts_preload), "For the browsers' preload lists."),
    Key::new("http-access-log-path", "", Parse(log::http_path), "The file of the access log of HTTP."),
    Key::new("http-redirect-code", "308", Parse(routes::redirect_code), "Status of the redirects to https and to `www.`."),
    Key::new("http-snippet", "", Text { why: SNIPPET, instead: HTTP_SNIPPET_INSTEAD }, "nginx text for the HTTP section."),
    Key::new("http2-max-concurrent-streams", "128", Parse(client::http2_streams), "Streams of an HTTP/2 connection."),
    Key::new("http2-max-field-size", "", NoMeaning("nginx has dropped it, too: see `large-client-header-buffers`"), "Bytes of a header field."),
    Key::new("http2-max-header-size", "", NoMeaning("nginx has dropped it, too: see `large-client-header-buffers`"), "Bytes of a request head."),
    Key::new("http2-max-requests", "0", NoMeaning("nginx has dropped it, too: see `keep-alive-requests`"), "Requests of an HTTP/2 connection."),
    Key::new("ignore-invalid-headers", "true", Parse(client::invalid_headers), "Drop request headers with other than letters, digits and `-` in their name."),
    Key::new("keep-alive", "75", Parse(client::keep_alive), "Seconds that a client's connection may idle; 0: one request each."),
    Key::new("keep-alive-requests", "1000", Parse(client::keep_alive_requests), "Requests on a client's connection."),
    Key::new("large-client-header-buffers", "4 8k", Parse(client::header_buffers), "Number and size: a line of a request head must fit one, the head all."),
    Key::new("limit-conn-status-code", "503", Parse(block::connection_status), "Status of connections over the limit."),
    Key::new("limit-conn-zone-variable", "$binary_remote_addr", Parse(block::zone_variable), "What tells clients apart.").but(VARIABLES),
    Key::new("limit-rate", "0", Annotation("limit-rate"), "Kilobytes a second of an answer."),
    Key::new("limit-rate-after", "0", Annotation("limit-rate-after"), "Kilobytes at full speed before `limit-rate`."),
    Key::new("limit-req-status-code", "503", Parse(block::request_status), "Status of requests over the limit."),
    Key::new("load-balance", "round_robin", Parse(routes::load_balance), "How an endpoint is chosen: `round_robin`, `ewma` or `least_request`."),
    Key::new("location-snippet", "", Parse(security::location_snippet), "nginx text for all locations.").but("the common directives: [snippets](snippets.md)"),
    Key::new("log-format-escape-json", "false", Parse(log::escape_json), "Escape values for JSON; not those of `log-format-stream`."),
    Key::new("log-format-escape-none", "false", Parse(log::escape_none), "Do not escape values; not those of `log-format-stream`."),
    Key::new("log-format-stream", STREAM_FORMAT, Parse(log::stream_format), "Format of the access log of TCP and UDP.").but("a variable that nobody knows is empty, and reported"),
    Key::new("log-format-upstream", "ingress-nginx's", Parse(log::format), "Format of the access log.").but("a variable that nobody knows is empty, and reported"),
    Key::new("lua-shared-dicts", "", NoMeaning(LUA), "Memory of nginx's Lua."),
    Key::new("main-snippet", "", NoMeaning("nginx's process has no counterpart"), "nginx text for the main section."),
    Key::new("map-hash-bucket-size", "64", NoMeaning(HASHES), "nginx's tables."),
    Key::new("max-worker-connections", "16384", NoMeaning("connections are bounded by the limit of open files"), "Connections of a worker."),
    Key::new("max-worker-open-files", "0", NoMeaning("the limit of open files is raised to what the container may have"), "Open files of a worker."),
    Key::new("modsecurity-snippet", "", closes(WAF, WAF_INSTEAD), "Rules of the firewall."),
    Key::new("nginx-status-ipv4-whitelist", "127.0.0.1", NoMeaning("`/nginx_status` is not served: see `/metrics` on the admin port"), "Who may read nginx's status."),
    Key::new("nginx-status-ipv6-whitelist", "::1", NoMeaning("`/nginx_status` is not served: see `/metrics` on the admin port"), "Who may read nginx's status."),
    Key::new("no-auth-locations", "/.well-known/acme-challenge", Parse(access::no_auth_locations), "Path prefixes without authentication."),
    Key::new("no-tls-redirect-locations", "/.well-known/acme-challenge", Parse(routes::no_redirect), "Path prefixes that are never redirected to https."),
    Key::new("ocsp-responder-cidr", "", Parse(tls::ocsp_responders), "Ours: networks where OCSP responders may be besides public addresses, for authorities inside of the cluster."),
    Key::new("opentelemetry-config", "/etc/ingress-controller/telemetry/opentelemetry.toml", NoMeaning("there is no second file"), "File of nginx's module."),
    Key::new("opentelemetry-operation-name", "", Parse(tracing::operation_name), "Name of spans, with variables.").but(VARIABLES),
    Key::new("opentelemetry-trust-incoming-span", "true", Annotation("opentelemetry-trust-incoming-span"), "Continue the client's trace."),
    Key::new("otel-max-export-batch-size", "512", Parse(tracing::batch_size), "Spans of one export."),
    Key::new("otel-max-queuesize", "2048", Parse(tracing::queue_size), "Spans that wait for export."),
    Key::new("otel-sampler", "AlwaysOn", Parse(tracing::sampler), "Which requests are traced."),
    Key::new("otel-sampler-parent-based", "true", Parse(tracing::parent_based), "Follow the client's choice."),
    Key::new("otel-sampler-ratio", "0.01", Parse(tracing::ratio), "Share of requests that are traced."),
    Key::new("otel-schedule-delay-millis", "5000", Parse(tracing::delay), "Milliseconds between exports."),
    Key::new("otel-service-name", "nginx", Parse(tracing::service_name), "Name of the service in traces.").but("`tidegate` unless set here or in `OTEL_SERVICE_NAME`"),
    Key::new("otlp-collector-host", "", Parse(tracing::host), "Host of the collector.").but("without it the collector of `OTEL_EXPORTER_OTLP_ENDPOINT`"),
    Key::new("otlp-collector-port", "4317", Parse(tracing::port), "Port of the collector."),
    Key::new("preserve-trailing-slash", "false", Annotation("preserve-trailing-slash"), "Keep the trailing slash in the redirect to https."),
    Key::new("proxy-add-original-uri-header", "false", Parse(client::original_uri), "Send `X-Original-URI` to the backend."),
    Key::new("proxy-body-size", "1m", Annotation("proxy-body-size"), "Largest request body; 0 is no limit."),
    Key::new("proxy-buffer-size", "4k", Annotation("proxy-buffer-size"), "Bytes of a backend's response head."),
    Key::new("proxy-buffering", "off", Fixed(STREAMED), "Buffer answers."),
    Key::new("proxy-buffers-number", "4", NoMeaning("answers are always streamed"), "Buffers for an answer."),
    Key::new("proxy-busy-buffers-size", "", NoMeaning("answers are always streamed"), "Buffers busy sending."),
    Key::new("proxy-connect-timeout", "5", Annotation("proxy-connect-timeout"), "Seconds to wait for a connection to the backend."),
    Key::new("proxy-cookie-domain", "off", Annotation("proxy-cookie-domain"), "Rewrite the domain of cookies."),
    Key::new("proxy-cookie-path", "off", Annotation("proxy-cookie-path"), "Rewrite the path of cookies."),
    Key::new("proxy-headers-hash-bucket-size", "64", NoMeaning(HASHES), "nginx's tables."),
    Key::new("proxy-headers-hash-max-size", "512", NoMeaning(HASHES), "nginx's tables."),
    Key::new("proxy-http-version", "1.1", Annotation("proxy-http-version"), "HTTP version to the backend."),
    Key::new("proxy-max-temp-file-size", "1024m", NoMeaning(BODIES), "Bytes of an answer kept on disk."),
    Key::new("proxy-next-upstream", "error timeout", Annotation("proxy-next-upstream"), "Failures after which another endpoint is tried."),
    Key::new("proxy-next-upstream-timeout", "0", Annotation("proxy-next-upstream-timeout"), "Seconds for all tries; 0 is no limit."),
    Key::new("proxy-next-upstream-tries", "3", Annotation("proxy-next-upstream-tries"), "Tries in all; 0 is no limit."),
    Key::new("proxy-protocol-header-timeout", "5s", Parse(address::proxy_protocol_timeout), "Time for a PROXY header.").but("holds on all ports, not for TLS passthrough alone"),
    Key::new("proxy-protocol-optional-cidr", "", Parse(address::proxy_protocol_optional), "Ours: networks whose connections are taken without a PROXY header, too, for traffic from inside of the cluster."),
    Key::new("proxy-read-timeout", "60", Annotation("proxy-read-timeout"), "Seconds between two reads from the backend."),
    Key::new("proxy-real-ip-cidr", "0.0.0.0/0", Parse(address::trusted), "Peers that say who the client is.").but("with a broken value nobody is believed; unset, a Problem says that everybody is"),
    Key::new("proxy-redirect-from", "off", Annotation("proxy-redirect-from"), "Prefix of `Location` to replace."),
    Key::new("proxy-redirect-to", "off", Annotation("proxy-redirect-to"), "What replaces it."),
    Key::new("proxy-request-buffering", "on", Annotation("proxy-request-buffering"), "Read request bodies before sending them on."),
    Key::new("proxy-send-timeout", "60", Annotation("proxy-send-timeout"), "Seconds between two writes to the backend."),
    Key::new("proxy-set-headers", "", Parse(headers::set), "The ConfigMap with request headers for all backends.").but(VARIABLES),
    Key::new("proxy-ssl-location-only", "false", NoMeaning("`proxy-ssl-*` always holds for its own paths alone"), "Keep `proxy-ssl-*` from the host's other paths."),
    Key::new("proxy-stream-next-upstream", "true", Parse(streams::next_upstream), "Try another endpoint of a TCP service."),
    Key::new("proxy-stream-next-upstream-timeout", "600s", Fixed("tries are limited by their number, and each by the time to connect"), "Time for all tries."),
    Key::new("proxy-stream-next-upstream-tries", "3", Parse(streams::tries), "Tries in all."),
    Key::new("proxy-stream-responses", "1", Parse(streams::responses), "Answers to a UDP datagram."),
    Key::new("proxy-stream-timeout", "600s", Parse(streams::idle_timeout), "Idle time of TCP and UDP services."),
    Key::new("relative-redirects", "false", Annotation("relative-redirects"), "Redirects without scheme and host."),
    Key::new("retry-non-idempotent", "false", Parse(routes::retry_non_idempotent), "Try requests again that are not idempotent."),
    Key::new("reuse-port", "true", NoMeaning("threads share their sockets"), "One socket for each worker."),
    Key::new("server-name-hash-bucket-size", "CPU cache line", NoMeaning(HASHES), "nginx's tables."),
    Key::new("server-name-hash-max-size", "1024", NoMeaning(HASHES), "nginx's tables."),
    Key::new("server-snippet", "", Parse(security::server_snippet), "nginx text for all hosts.").but("the common directives: [snippets](snippets.md)"),
    Key::new("server-tokens", "false", Parse(client::server_tokens), "Send a `Server` header.").but("it is `tidegate`, without a version"),
    Key::new("service-upstream", "false", Annotation("service-upstream"), "Send to the Service's cluster address rather than to its endpoints."),
    Key::new("skip-access-log-urls", "", Parse(log::skip), "Request URIs that are not logged.").but("expressions have no look-around and no back-references"),
    Key::new("ssl-buffer-size", "4k", NoMeaning("TLS records are as long as what there is to send"), "Bytes of a TLS record."),
    Key::new("ssl-ciphers", "ECDHE with AES-GCM or ChaCha20", Parse(tls::ciphers), "TLS 1.2 ciphers, in OpenSSL's words.").but("ECDHE with AES-GCM or ChaCha20 alone; where none is left, TLS 1.2 is not offered"),
    Key::new("ssl-dh-param", "", NoMeaning("there is no DHE; clients use ECDHE"), "The Secret with Diffie-Hellman parameters."),
    Key::new("ssl-early-data", "false", Parse(tls::early_data), "TLS 1.3 data before the handshake has ended.").but("sessions are kept by the pod that made them, and taken once, so that nobody can send early data again: session tickets are off; hosts that ask for client certificates take none; backends are told by `Early-Data: 1`"),
    Key::new("ssl-ecdh-curve", "auto", Parse(tls::curve), "Curves for the key exchange.").but("X25519MLKEM768, X25519, prime256v1 and secp384r1, which are `auto`"),
    Key::new("ssl-protocols", "TLSv1.2 TLSv1.3", Parse(tls::protocols), "TLS versions.").but("none before TLS 1.2"),
    Key::new("ssl-redirect", "true", Annotation("ssl-redirect"), "Redirect plain HTTP to https when the host has TLS."),
    Key::new("ssl-reject-handshake", "false", Parse(tls::reject_handshake), "Refuse handshakes for unknown hosts."),
    Key::new("ssl-session-cache", "true", Parse(tls::session_cache), "Keep TLS sessions."),
    Key::new("ssl-session-cache-size", "10m", Parse(tls::session_cache_size), "Bytes for TLS sessions.").but("without it 8,192 sessions are kept; a megabyte is room for 4,096"),
    Key::new("ssl-session-ticket-key", "", Parse(tls::ticket_key), "Key of TLS tickets, for all replicas; without it each makes and changes its own."),
    Key::new("ssl-session-tickets", "false", Parse(tls::session_tickets), "TLS sessions kept by clients.").but("on unless it says `false`; our own keys change every six hours"),
    Key::new("ssl-session-timeout", "10m", Parse(tls::session_timeout), "Time that a TLS session is kept.").but("without it tickets hold for 12 hours, which is the most"),
    Key::new("stream-access-log-path", "", Parse(log::stream_path), "The file of the access log of TCP and UDP."),
    Key::new("stream-snippet", "", refused(SNIPPET, "open ports with `--tcp-services-configmap` and `--udp-services-configmap`"), "nginx text for the TCP section."),
    Key::new("strict-validate-path-type", "true", Parse(security::strict_paths), "Refuse Exact and Prefix paths with unusual characters."),
    Key::new("syslog-host", "", Parse(log::syslog_host), "Name or address of the syslog server."),
    Key::new("syslog-port", "514", Parse(log::syslog_port), "Its UDP port."),
    Key::new("upstream-hash-by", "", Annotation("upstream-hash-by"), "Choose endpoints by a hash of this text."),
    Key::new("upstream-keepalive-connections", "320", Parse(client::upstream_connections), "Connections to backends that are kept.").but("for each thread, of plain requests and gRPC to backends without TLS; of others 320 are kept, or with 0 none"),
    Key::new("upstream-keepalive-requests", "10000", Parse(client::upstream_requests), "Requests on a kept connection.").but("connections of HTTP/2 over TLS serve any number"),
    Key::new("upstream-keepalive-time", "1h", Parse(client::upstream_life), "Life of a kept connection.").but("those of HTTP/2 over TLS live as long as they are used"),
    Key::new("upstream-keepalive-timeout", "60", Parse(client::upstream_keep_alive), "Seconds that a kept connection may idle."),
    Key::new("use-forwarded-headers", "false", Parse(address::use_forwarded_headers), "Believe `X-Forwarded-*`.").but("of peers in `proxy-real-ip-cidr` alone"),
    Key::new("use-geoip2", "false", Parse(geoip::enable), "GeoIP databases, for [variables](snippets.md#variables).").but("nothing is downloaded: mount the files (`geoip.directory`); without its database a variable is empty, and what snippets decide by it answers 503"),
    Key::new("use-gzip", "false", Parse(|draft, text| draft.compression.gzip.switch(text)), "Compress answers with gzip."),
    Key::new("use-http2", "true", Parse(client::http2), "HTTP/2 for clients."),
    Key::new("use-port-in-redirects", "false", Annotation("use-port-in-redirects"), "Write the port in redirects."),
    Key::new("use-proxy-protocol", "false", Parse(address::use_proxy_protocol), "Connections begin with a PROXY header.").but("peers outside of `proxy-real-ip-cidr` are turned away; those in `proxy-protocol-optional-cidr` may come without a header"),
    Key::new("variables-hash-bucket-size", "256", NoMeaning(HASHES), "nginx's tables."),
    Key::new("variables-hash-max-size", "2048", NoMeaning(HASHES), "nginx's tables."),
    Key::new("whitelist-source-range", "", Annotation("whitelist-source-range"), "Addresses that may come in."),
    Key::new("worker-cpu-affinity", "", NoMeaning(WORKERS), "Processors of workers."),
    Key::new("worker-processes", "auto", NoMeaning(WORKERS), "Number of workers."),
    Key::new("worker-shutdown-timeout", "240s", Parse(client::shutdown_timeout), "The longest wait for requests under way at the end.").but("`--shutdown-grace` can only make it shorter; there are no reloads that end connections"),
    Key::new("zstd-level", "3", Parse(|draft, text| draft.compression.zstd.level(text, compression::MOST_ZSTD)), "Ours: effort of Zstandard, 1 to 19."),
    Key::new("zstd-min-length", "256", Parse(|draft, text| draft.compression.zstd.min_length(text)), "Ours: the shortest answer that Zstandard compresses."),
    Key::new("zstd-types", "", Parse(|draft, text| draft.compression.zstd.types(text)), "Ours: content types that Zstandard compresses; by default those of `gzip-types`."),
];
