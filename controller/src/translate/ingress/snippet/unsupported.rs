//! Directives that are common in snippets and not served, with what does the
//! same.

use super::Fault;
use super::tree::Directive;

const NOTHING: &str = "remove it: nothing here does the same";
const FILES: &str = "remove it: no files are served; let the backend do it";
const LISTENER: &str = "set it for all hosts in the controller's ConfigMap";

/// By name: what does the same.
#[rustfmt::skip]
const KNOWN: &[(&str, &str)] = &[
    ("alias", FILES),
    ("auth_basic", "use the annotations `auth-type` and `auth-realm`"),
    ("auth_basic_user_file", "use the annotation `auth-secret`"),
    ("auth_request", "use the annotation `auth-url`"),
    ("auth_request_set", "use the annotation `auth-response-headers`"),
    ("autoindex", FILES),
    ("client_body_buffer_size", "remove it: bodies are kept in memory"),
    ("client_body_timeout", "use the ConfigMap key `client-body-timeout`"),
    ("client_header_buffer_size", "use the ConfigMap key `client-header-buffer-size`"),
    ("client_header_timeout", "use the ConfigMap key `client-header-timeout`"),
    ("error_page", "use the annotations `custom-http-errors` and `default-backend`"),
    ("fastcgi_pass", NOTHING),
    ("geoip2", "decide by country in front of the cluster"),
    ("grpc_pass", "use the annotation `backend-protocol: GRPC`"),
    ("gzip", "use the ConfigMap key `use-gzip`"),
    ("gzip_types", "use the ConfigMap key `gzip-types`"),
    ("http2_max_concurrent_streams", "use the ConfigMap key `http2-max-concurrent-streams`"),
    ("include", NOTHING),
    ("index", FILES),
    ("internal", NOTHING),
    ("keepalive_requests", "use the ConfigMap key `keep-alive-requests`"),
    ("keepalive_timeout", "use the ConfigMap key `keep-alive`"),
    ("large_client_header_buffers", "use the ConfigMap key `large-client-header-buffers`"),
    ("limit_conn", "use the annotation `limit-connections`"),
    ("limit_rate", "use the annotation `limit-rate`"),
    ("limit_rate_after", "use the annotation `limit-rate-after`"),
    ("limit_req", "use the annotation `limit-rps`"),
    ("map", NOTHING),
    ("merge_slashes", "remove it: slashes are always merged where rules are compared"),
    ("mirror", "use the annotation `mirror-target`"),
    ("modsecurity", "put a firewall in front"),
    ("modsecurity_rules", "put a firewall in front"),
    ("proxy_buffer_size", "use the annotation `proxy-buffer-size`"),
    ("proxy_buffers", "remove it: answers are streamed"),
    ("proxy_busy_buffers_size", "remove it: answers are streamed"),
    ("proxy_cache", NOTHING),
    ("proxy_cache_bypass", NOTHING),
    ("proxy_cache_key", NOTHING),
    ("proxy_cache_path", NOTHING),
    ("proxy_cache_valid", NOTHING),
    ("proxy_cookie_domain", "use the annotation `proxy-cookie-domain`"),
    ("proxy_cookie_path", "use the annotation `proxy-cookie-path`"),
    ("proxy_http_version", "use the annotation `proxy-http-version`"),
    ("proxy_ignore_headers", NOTHING),
    ("proxy_intercept_errors", "use the annotation `custom-http-errors`"),
    ("proxy_max_temp_file_size", "remove it: answers are never written to disk"),
    ("proxy_next_upstream", "use the annotation `proxy-next-upstream`"),
    ("proxy_next_upstream_timeout", "use the annotation `proxy-next-upstream-timeout`"),
    ("proxy_next_upstream_tries", "use the annotation `proxy-next-upstream-tries`"),
    ("proxy_pass", NOTHING),
    ("proxy_redirect", "use the annotations `proxy-redirect-from` and `proxy-redirect-to`"),
    ("proxy_ssl_certificate", "use the annotation `proxy-ssl-secret`"),
    ("proxy_ssl_name", "use the annotation `proxy-ssl-name`"),
    ("proxy_ssl_protocols", "use the annotation `proxy-ssl-protocols`"),
    ("proxy_ssl_server_name", "use the annotation `proxy-ssl-server-name`"),
    ("proxy_ssl_verify", "use the annotation `proxy-ssl-verify`"),
    ("real_ip_header", "use the ConfigMap key `forwarded-for-header`"),
    ("resolver", "remove it: names are looked up with the Pod's resolver"),
    ("root", FILES),
    ("satisfy", "use the annotation `satisfy`"),
    ("send_timeout", NOTHING),
    ("server_tokens", "use the ConfigMap key `server-tokens`"),
    ("set_real_ip_from", "use the ConfigMap key `proxy-real-ip-cidr`"),
    ("ssl_ciphers", "use the ConfigMap key `ssl-ciphers`"),
    ("ssl_client_certificate", "use the annotation `auth-tls-secret`"),
    ("ssl_prefer_server_ciphers", LISTENER),
    ("ssl_protocols", "use the ConfigMap key `ssl-protocols`"),
    ("ssl_verify_client", "use the annotation `auth-tls-verify-client`"),
    ("sub_filter", "remove it: bodies are never changed"),
    ("sub_filter_once", "remove it: bodies are never changed"),
    ("sub_filter_types", "remove it: bodies are never changed"),
    ("try_files", FILES),
    ("underscores_in_headers", "use the ConfigMap key `enable-underscores-in-headers`"),
    ("uwsgi_pass", NOTHING),
];

/// The fault of a directive that is not in the grammar; `near` is one that is,
/// with a name much like it.
pub(super) fn fault(directive: &Directive, near: Option<&str>) -> Fault {
    if let Some(fault) = code(directive) {
        return fault;
    }
    let known = KNOWN.binary_search_by(|(name, _)| (*name).cmp(&directive.name));
    match (known, near) {
        (Ok(at), _) => directive.fault("not supported in snippets", KNOWN[at].1),
        (Err(_), Some(near)) => {
            directive.fault("there is no such directive", format!("did you mean `{near}`?"))
        }
        (Err(_), None) => directive.fault(
            "not supported in snippets",
            "docs/snippets.md lists the directives that are",
        ),
    }
}

/// The fault of code in other languages.
pub(super) fn code(directive: &Directive) -> Option<Fault> {
    let is_code = directive.name.contains("_by_lua")
        || directive.name.starts_with("js_")
        || directive.name.starts_with("lua_");
    is_code.then(|| directive.fault("no code is ever executed", "let the backend or a service do it"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_sorted_and_none_is_in_the_grammar() {
        assert!(KNOWN.is_sorted_by(|a, b| a.0 < b.0));
        for (name, fix) in KNOWN {
            assert!(!fix.is_empty(), "{name}");
            let served = super::super::grammar().any(|row| row.name == *name);
            assert!(!served, "{name}");
        }
    }
}
