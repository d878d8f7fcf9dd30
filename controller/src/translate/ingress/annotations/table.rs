//! Every annotation that ingress-nginx knows, in one table: what we do with it
//! and what it is for. Sorted by name.

use super::{
    Annotation,
    Handling::{self, *},
    affinity, alias, backend_answer, basic_auth, canary, client_auth, cors, error_pages, external_auth,
    headers, limit, log, mirror, proxy, redirect, rewrite, snippet, source_range, tls, tracing, upstream,
    upstream_head, upstream_tls,
};

/// Where nginx would take any that it has.
pub(in crate::translate) const VARIABLES: &str =
    "with [variables](snippets.md#variables) of requests and routes alone";

const WAF: &str = "there is no web application firewall";

const FASTCGI: Handling = Refused {
    why: "FastCGI is not spoken",
    instead: "put an HTTP server in front of the FastCGI one",
};

const STREAM_SNIPPET: Handling = Refused {
    why: "nginx configuration is never executed",
    instead: "open ports with `--tcp-services-configmap` and `--udp-services-configmap`",
};

pub(in crate::translate) const STREAMED: &str =
    "answers are always streamed: a slow client keeps its connection to the backend";

const fn no_meaning(default: &'static str, instead: &'static str) -> Handling {
    NoMeaning { default, instead }
}

const fn fixed(default: &'static str, difference: &'static str) -> Handling {
    Fixed { default, difference }
}

/// The table.
pub(super) const TABLE: &[Annotation] = &[
    Annotation::new("add-base-url", Removed("remove it"), ""),
    Annotation::new(
        "affinity",
        Parse(affinity::affinity),
        "Bind clients to an endpoint: cookie.",
    ),
    Annotation::new(
        "affinity-canary-behavior",
        Parse(canary::affinity_behavior),
        "Whether affinity extends to the canary: sticky or legacy.",
    ),
    Annotation::new(
        "affinity-mode",
        Parse(affinity::mode),
        "How firmly clients are bound: balanced or persistent.",
    ),
    Annotation::new(
        "allowlist-source-range",
        Parse(source_range::allowlist),
        "Addresses that may come in.",
    ),
    Annotation::new(
        "app-root",
        Parse(redirect::app_root),
        "Redirect `/` to this path.",
    ),
    Annotation::new(
        "auth-always-set-cookie",
        Parse(external_auth::always_set_cookie),
        "Pass its cookies on with every status.",
    ),
    Annotation::new(
        "auth-cache-duration",
        Parse(external_auth::cache_duration),
        "For how long.",
    ),
    Annotation::new(
        "auth-cache-key",
        Parse(external_auth::cache_key),
        "Remember its answers by this key.",
    )
    .but("answers with `Set-Cookie`, `Vary` or `Expires` are not remembered; `$remote_user` counts with its password"),
    Annotation::new(
        "auth-keepalive",
        Parse(external_auth::keepalive),
        "Connections to it that are kept.",
    )
    .but("they always are, whatever it says"),
    Annotation::new(
        "auth-keepalive-requests",
        fixed("1000", "any number, whatever it says"),
        "Requests on such a connection.",
    ),
    Annotation::new(
        "auth-keepalive-share-vars",
        no_meaning("false", "they always are the client's request's"),
        "Share nginx's variables with it.",
    ),
    Annotation::new(
        "auth-keepalive-timeout",
        fixed("60", "60 seconds, whatever it says"),
        "Seconds that one may idle.",
    ),
    Annotation::new(
        "auth-method",
        Parse(external_auth::method),
        "Method of the question to it.",
    ),
    Annotation::new(
        "auth-proxy-set-headers",
        Parse(external_auth::proxy_set_headers),
        "ConfigMap with headers of the question.",
    ),
    Annotation::new(
        "auth-realm",
        Parse(basic_auth::realm),
        "Realm of basic and digest authentication.",
    ),
    Annotation::new(
        "auth-request-redirect",
        Parse(external_auth::request_redirect),
        "X-Auth-Request-Redirect of the question.",
    ),
    Annotation::new(
        "auth-response-headers",
        Parse(external_auth::response_headers),
        "Headers of its answer that go to the backend.",
    ),
    Annotation::new(
        "auth-secret",
        Parse(basic_auth::secret),
        "Users and password hashes.",
    ),
    Annotation::new(
        "auth-secret-type",
        Parse(basic_auth::secret_type),
        "Format of auth-secret: auth-file or auth-map.",
    ),
    Annotation::new("auth-signin", Parse(external_auth::signin), "Where to sign in.")
    .but(VARIABLES),
    Annotation::new(
        "auth-signin-redirect-param",
        Parse(external_auth::signin_redirect_param),
        "Parameter with the way back.",
    ),
    Annotation::new(
        "auth-snippet",
        Parse(external_auth::snippet),
        "nginx text for the question.",
    )
    .but("`proxy_set_header` alone: [snippets](snippets.md)"),
    Annotation::new(
        "auth-tls-error-page",
        Parse(client_auth::error_page),
        "Where refused clients go.",
    ),
    Annotation::new(
        "auth-tls-match-cn",
        Parse(client_auth::match_cn),
        "What the client's subject must match.",
    )
    .but("look-around and back-references are bounded: a subject too long for them, beyond 2 KiB, does not match"),
    Annotation::new(
        "auth-tls-pass-certificate-to-upstream",
        Parse(client_auth::pass_certificate),
        "Send the client certificate to the backend.",
    ),
    Annotation::new(
        "auth-tls-secret",
        Parse(client_auth::secret),
        "CA that client certificates must come from, and revocation lists.",
    ),
    Annotation::new(
        "auth-tls-verify-client",
        Parse(client_auth::verify_client),
        "Whether a client certificate is required: on, off, optional or optional_no_ca.",
    ),
    Annotation::new(
        "auth-tls-verify-depth",
        Parse(client_auth::verify_depth),
        "Intermediate certificates that a client chain may have.",
    ),
    Annotation::new(
        "auth-type",
        Parse(basic_auth::kind),
        "Kind of authentication: basic or digest.",
    ),
    Annotation::new(
        "auth-url",
        Parse(external_auth::url),
        "Service that decides about requests.",
    )
    .but(VARIABLES),
    Annotation::new(
        "backend-protocol",
        Parse(upstream::backend_protocol),
        "What the backend speaks: HTTP, HTTPS, AUTO_HTTP, GRPC or GRPCS.",
    )
    .but("FCGI is not spoken: its routes answer 503"),
    Annotation::new("base-url-scheme", Removed("remove it"), ""),
    Annotation::new(
        "canary",
        Parse(canary::canary),
        "Marks a canary of another Ingress.",
    ),
    Annotation::new(
        "canary-by-cookie",
        Parse(canary::by_cookie),
        "Cookie that chooses the canary.",
    ),
    Annotation::new(
        "canary-by-header",
        Parse(canary::by_header),
        "Header that chooses the canary.",
    ),
    Annotation::new(
        "canary-by-header-pattern",
        Parse(canary::by_header_pattern),
        "Pattern of that header.",
    )
    .but("no look-around and no back-references"),
    Annotation::new(
        "canary-by-header-value",
        Parse(canary::by_header_value),
        "Value of that header.",
    ),
    Annotation::new("canary-weight", Parse(canary::weight), "Share of the canary."),
    Annotation::new(
        "canary-weight-total",
        Parse(canary::weight_total),
        "What the share is out of.",
    ),
    Annotation::new(
        "client-body-buffer-size",
        no_meaning("8k", "bodies are never on disk"),
        "Bytes of a request body kept in memory.",
    ),
    Annotation::new("client-max-body-size", Removed("write `proxy-body-size`"), ""),
    Annotation::new(
        "configuration-snippet",
        Parse(snippet::configuration),
        "nginx text for the location.",
    )
    .but("the common directives: [snippets](snippets.md)"),
    Annotation::new(
        "connection-proxy-header",
        Parse(upstream_head::connection),
        "Connection header sent to the backend.",
    ),
    Annotation::new(
        "cors-allow-credentials",
        Parse(cors::allow_credentials),
        "CORS with credentials.",
    ),
    Annotation::new(
        "cors-allow-headers",
        Parse(cors::allow_headers),
        "Request headers allowed by CORS.",
    ),
    Annotation::new(
        "cors-allow-methods",
        Parse(cors::allow_methods),
        "Methods allowed by CORS.",
    ),
    Annotation::new(
        "cors-allow-origin",
        Parse(cors::allow_origin),
        "Origins allowed by CORS.",
    ),
    Annotation::new(
        "cors-expose-headers",
        Parse(cors::expose_headers),
        "Response headers exposed by CORS.",
    ),
    Annotation::new(
        "cors-max-age",
        Parse(cors::max_age),
        "Seconds that a preflight is good for.",
    ),
    Annotation::new(
        "custom-headers",
        Parse(headers::custom_headers),
        "Response headers from a ConfigMap.",
    ),
    Annotation::new(
        "custom-http-errors",
        Parse(error_pages::statuses),
        "Statuses replaced by error pages.",
    ),
    Annotation::new(
        "default-backend",
        Parse(error_pages::default_backend),
        "Service for error pages and for Services without endpoints.",
    )
    .but("in plain HTTP alone"),
    Annotation::new(
        "denylist-source-range",
        Parse(source_range::denylist),
        "Addresses that may not come in.",
    ),
    Annotation::new(
        "disable-proxy-intercept-errors",
        Parse(error_pages::passes_errors),
        "Let the backend's errors pass.",
    ),
    Annotation::new("enable-access-log", Parse(log::enable), "Write access log lines."),
    Annotation::new(
        "enable-cors",
        Parse(cors::enable),
        "Answer CORS preflights and set CORS headers.",
    ),
    Annotation::new(
        "enable-global-auth",
        Parse(external_auth::enable_global),
        "Apply the global external authentication here.",
    ),
    Annotation::new("enable-influxdb", Removed("remove it"), ""),
    Annotation::new("enable-modsecurity", Closes(WAF), "Web application firewall."),
    Annotation::new("enable-opentelemetry", Parse(tracing::enable), "Make spans."),
    Annotation::new("enable-opentracing", Removed("write `enable-opentelemetry`"), ""),
    Annotation::new("enable-owasp-core-rules", Closes(WAF), "OWASP core rule set."),
    Annotation::new(
        "enable-rewrite-log",
        no_meaning("false", "there is no log of rewrites"),
        "nginx's own rewrite log.",
    ),
    Annotation::new("fastcgi-index", FASTCGI, "FastCGI index file."),
    Annotation::new("fastcgi-params-configmap", FASTCGI, "FastCGI parameters."),
    Annotation::new(
        "force-ssl-redirect",
        Parse(redirect::force_ssl_redirect),
        "Redirect plain HTTP to https whether or not the host has TLS.",
    ),
    Annotation::new(
        "from-to-www-redirect",
        Parse(redirect::from_to_www),
        "Redirect between the host with and without `www.`.",
    ),
    Annotation::new(
        "global-rate-limit",
        Removed("write `limit-rps` or `limit-rpm`"),
        "",
    ),
    Annotation::new("global-rate-limit-ignored-cidrs", Removed("remove it"), ""),
    Annotation::new("global-rate-limit-key", Removed("remove it"), ""),
    Annotation::new("global-rate-limit-window", Removed("remove it"), ""),
    Annotation::new("grpc-backend", Removed("write `backend-protocol: GRPC`"), ""),
    Annotation::new(
        "http2-push-preload",
        no_meaning("false", "browsers have dropped server push"),
        "HTTP/2 server push.",
    ),
    Annotation::new("influxdb-host", Removed("remove it"), ""),
    Annotation::new("influxdb-measurement", Removed("remove it"), ""),
    Annotation::new("influxdb-port", Removed("remove it"), ""),
    Annotation::new("influxdb-server-name", Removed("remove it"), ""),
    Annotation::new(
        "limit-allowlist",
        Parse(limit::allowlist),
        "Addresses that are not limited.",
    ),
    Annotation::new(
        "limit-burst-multiplier",
        Parse(limit::burst_multiplier),
        "Burst as a multiple of the rate.",
    ),
    Annotation::new(
        "limit-connections",
        Parse(limit::connections),
        "Requests under way at a time for each client.",
    ),
    Annotation::new(
        "limit-rate",
        Parse(limit::rate),
        "Kilobytes a second of an answer.",
    ),
    Annotation::new(
        "limit-rate-after",
        Parse(limit::rate_after),
        "Kilobytes at full speed before limit-rate.",
    ),
    Annotation::new(
        "limit-rpm",
        Parse(limit::rpm),
        "Requests a minute for each client.",
    ),
    Annotation::new(
        "limit-rps",
        Parse(limit::rps),
        "Requests a second for each client.",
    ),
    Annotation::new(
        "limit-whitelist",
        Parse(limit::whitelist),
        "Old name of limit-allowlist.",
    ),
    Annotation::new(
        "load-balance",
        Parse(upstream::load_balance),
        "How an endpoint is chosen: round_robin, ewma or least_request.",
    ),
    Annotation::new("mirror-host", Parse(mirror::host), "Host header of copies."),
    Annotation::new(
        "mirror-request-body",
        Parse(mirror::request_body),
        "Copy the body too.",
    ),
    Annotation::new(
        "mirror-target",
        Parse(mirror::target),
        "Where copies of requests go.",
    )
    .but("never delays the original; left out above 1 MiB of body or 512 copies at a time"),
    Annotation::new("mirror-uri", Removed("write `mirror-target`"), ""),
    Annotation::new("modsecurity-snippet", Closes(WAF), "Rules of the firewall."),
    Annotation::new(
        "modsecurity-transaction-id",
        no_meaning("", "there is no web application firewall"),
        "Id of a WAF transaction.",
    ),
    Annotation::new(
        "opentelemetry-operation-name",
        Parse(tracing::operation_name),
        "Name of spans.",
    ),
    Annotation::new(
        "opentelemetry-trust-incoming-span",
        Parse(tracing::trust_client),
        "Continue the client's trace.",
    ),
    Annotation::new(
        "opentracing-operation-name",
        Removed("write `opentelemetry-operation-name`"),
        "",
    ),
    Annotation::new(
        "opentracing-trust-incoming-span",
        Removed("write `opentelemetry-trust-incoming-span`"),
        "",
    ),
    Annotation::new(
        "permanent-redirect",
        Parse(redirect::permanent),
        "Redirect everything, 301.",
    ),
    Annotation::new(
        "permanent-redirect-code",
        Parse(redirect::permanent_code),
        "Status of permanent-redirect.",
    ),
    Annotation::new(
        "preserve-trailing-slash",
        Parse(redirect::preserve_trailing_slash),
        "Keep the trailing slash in the redirect to https.",
    ),
    Annotation::new(
        "proxy-body-size",
        Parse(proxy::body_size),
        "Largest request body; 0 is no limit.",
    ),
    Annotation::new(
        "proxy-buffer-size",
        Parse(proxy::buffer_size),
        "Bytes of a backend's response head.",
    ),
    Annotation::new(
        "proxy-buffering",
        fixed("off", STREAMED),
        "Buffer answers.",
    ),
    Annotation::new(
        "proxy-buffers-number",
        no_meaning("4", "answers are always streamed"),
        "Buffers for an answer.",
    ),
    Annotation::new(
        "proxy-busy-buffers-size",
        no_meaning("", "answers are always streamed"),
        "Buffers busy sending.",
    ),
    Annotation::new(
        "proxy-connect-timeout",
        Parse(proxy::connect_timeout),
        "Seconds to wait for a connection to the backend.",
    ),
    Annotation::new(
        "proxy-cookie-domain",
        Parse(backend_answer::cookie_domain),
        "Rewrite the domain of cookies.",
    ),
    Annotation::new(
        "proxy-cookie-path",
        Parse(backend_answer::cookie_path),
        "Rewrite the path of cookies.",
    ),
    Annotation::new(
        "proxy-http-version",
        Parse(upstream_head::http_version),
        "HTTP version to the backend.",
    )
    .but("bodies that are streamed without a length go in 1.1"),
    Annotation::new(
        "proxy-max-temp-file-size",
        no_meaning("1024m", "none ever are"),
        "Bytes of an answer kept on disk.",
    ),
    Annotation::new(
        "proxy-next-upstream",
        Parse(proxy::next_upstream),
        "Failures after which another endpoint is tried.",
    ),
    Annotation::new(
        "proxy-next-upstream-timeout",
        Parse(proxy::next_upstream_timeout),
        "Seconds for all tries; 0 is no limit.",
    ),
    Annotation::new(
        "proxy-next-upstream-tries",
        Parse(proxy::next_upstream_tries),
        "Tries in all; 0 is no limit.",
    ),
    Annotation::new(
        "proxy-read-timeout",
        Parse(proxy::read_timeout),
        "Seconds between two reads from the backend.",
    ),
    Annotation::new(
        "proxy-redirect-from",
        Parse(backend_answer::redirect_from),
        "Prefix of Location to replace.",
    ),
    Annotation::new(
        "proxy-redirect-to",
        Parse(backend_answer::redirect_to),
        "What replaces it.",
    ),
    Annotation::new(
        "proxy-request-buffering",
        Parse(proxy::request_buffering),
        "Read request bodies before sending them on.",
    )
    .but("bodies above 1 MiB, of unknown length, and of gRPC are streamed"),
    Annotation::new(
        "proxy-send-timeout",
        Parse(proxy::send_timeout),
        "Seconds between two writes to the backend.",
    ),
    Annotation::new(
        "proxy-ssl-ciphers",
        Parse(upstream_tls::ciphers),
        "TLS 1.2 ciphers to the backend.",
    )
    .but("ECDHE with AES-GCM or ChaCha20 alone; fewer make a connection for each request"),
    Annotation::new(
        "proxy-ssl-name",
        Parse(upstream_tls::name),
        "Name to verify in the backend's certificate.",
    ),
    Annotation::new(
        "proxy-ssl-protocols",
        Parse(upstream_tls::protocols),
        "TLS versions to the backend.",
    )
    .but("both TLSv1.2 and TLSv1.3 without it; one alone makes a connection for each request"),
    Annotation::new(
        "proxy-ssl-secret",
        Parse(upstream_tls::secret),
        "CA to verify the backend with, and client certificate.",
    ),
    Annotation::new(
        "proxy-ssl-server-name",
        Parse(upstream_tls::server_name),
        "Send SNI to the backend.",
    )
    .but("always on with `proxy-ssl-verify`"),
    Annotation::new(
        "proxy-ssl-verify",
        Parse(upstream_tls::verify),
        "Verify the backend's certificate.",
    ),
    Annotation::new(
        "proxy-ssl-verify-depth",
        Parse(upstream_tls::verify_depth),
        "Intermediate certificates that the backend's chain may have.",
    )
    .but("any number without it; with it each request makes a connection"),
    Annotation::new(
        "relative-redirects",
        Parse(redirect::relative),
        "Redirects without scheme and host.",
    ),
    Annotation::new(
        "rewrite-target",
        Parse(rewrite::rewrite_target),
        "Path sent to the backend, with capture groups.",
    )
    .but(VARIABLES),
    Annotation::new(
        "satisfy",
        Parse(source_range::satisfy),
        "Whether one or all of source range, basic and external authentication must let a request in.",
    ),
    Annotation::new("secure-backends", Removed("write `backend-protocol: HTTPS`"), ""),
    Annotation::new("secure-verify-ca-secret", Removed("write `proxy-ssl-secret`"), ""),
    Annotation::new(
        "server-alias",
        Parse(alias::server_alias),
        "More names of the host.",
    )
    .but("`*.` stands for one label"),
    Annotation::new(
        "server-snippet",
        Parse(snippet::server),
        "nginx text for the host.",
    )
    .but("the common directives: [snippets](snippets.md)"),
    Annotation::new(
        "service-upstream",
        Parse(upstream::service_upstream),
        "Send to the Service's cluster address rather than to its endpoints.",
    ),
    Annotation::new(
        "session-cookie-change-on-failure",
        Parse(affinity::change_on_failure),
        "Bind to another endpoint after a failure.",
    ),
    Annotation::new(
        "session-cookie-conditional-samesite-none",
        Parse(affinity::conditional_same_site_none),
        "No SameSite=None for browsers that misread it.",
    ),
    Annotation::new(
        "session-cookie-domain",
        Parse(affinity::domain),
        "Domain attribute of the affinity cookie.",
    ),
    Annotation::new(
        "session-cookie-expires",
        Parse(affinity::expires),
        "Expires, in seconds of the affinity cookie.",
    ),
    Annotation::new("session-cookie-hash", Removed("remove it"), ""),
    Annotation::new(
        "session-cookie-max-age",
        Parse(affinity::max_age),
        "Max-Age of the affinity cookie.",
    ),
    Annotation::new(
        "session-cookie-name",
        Parse(affinity::name),
        "Name of the affinity cookie.",
    ),
    Annotation::new(
        "session-cookie-path",
        Parse(affinity::path),
        "Path attribute of the affinity cookie.",
    ),
    Annotation::new(
        "session-cookie-samesite",
        Parse(affinity::same_site),
        "SameSite attribute of the affinity cookie.",
    ),
    Annotation::new(
        "session-cookie-secure",
        Parse(affinity::secure),
        "Secure attribute of the affinity cookie.",
    ),
    Annotation::new("ssl-ciphers", Parse(tls::ciphers), "TLS 1.2 ciphers of the host.")
        .but("ECDHE with AES-GCM or ChaCha20 alone"),
    Annotation::new(
        "ssl-passthrough",
        Parse(upstream::ssl_passthrough),
        "TLS goes to the backend of `/` untouched; needs --enable-ssl-passthrough.",
    )
    .but("to the endpoints, not to the Service's address; other hosts keep the client's address"),
    Annotation::new(
        "ssl-prefer-server-ciphers",
        Parse(tls::prefer_server),
        "The server's cipher order wins.",
    ),
    Annotation::new(
        "ssl-redirect",
        Parse(redirect::ssl_redirect),
        "Redirect plain HTTP to https when the host has TLS.",
    ),
    Annotation::new(
        "stream-snippet",
        STREAM_SNIPPET,
        "nginx text for the TCP section.",
    ),
    Annotation::new(
        "temporal-redirect",
        Parse(redirect::temporal),
        "Redirect everything, 302.",
    ),
    Annotation::new(
        "temporal-redirect-code",
        Parse(redirect::temporal_code),
        "Status of temporal-redirect.",
    ),
    Annotation::new(
        "upstream-hash-by",
        Parse(upstream::upstream_hash_by),
        "Choose the endpoint by a consistent hash of this text.",
    )
    .but(VARIABLES),
    Annotation::new(
        "upstream-hash-by-subset",
        Parse(upstream::hash_by_subset),
        "Hash to a subset of endpoints.",
    ),
    Annotation::new(
        "upstream-hash-by-subset-size",
        Parse(upstream::hash_by_subset_size),
        "Endpoints of a subset.",
    ),
    Annotation::new(
        "upstream-vhost",
        Parse(upstream_head::host),
        "Host header sent to the backend.",
    )
    .but(VARIABLES),
    Annotation::new(
        "use-port-in-redirects",
        Parse(redirect::use_port),
        "Write the port in redirects.",
    ),
    Annotation::new(
        "use-regex",
        Parse(rewrite::use_regex),
        "Paths are regular expressions.",
    ),
    Annotation::new(
        "whitelist-source-range",
        Parse(source_range::whitelist),
        "Old name of allowlist-source-range.",
    ),
    Annotation::new(
        "x-forwarded-prefix",
        Parse(rewrite::forwarded_prefix),
        "X-Forwarded-Prefix sent to the backend.",
    ),
];
