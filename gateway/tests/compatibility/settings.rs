//! settings/: keys of the ConfigMap, changed while the program runs.

use serde_json::{Value, json};

use crate::site::{HOST, Site, ingress, ingress_of};
use crate::support::client::Client;

#[allow(dead_code, reason = "the page of tests is made of it")]
pub(crate) const NOT_TESTED: &[(&str, &str)] = &[
    ("aio_write 1–3", "tunes nginx itself"),
    ("global_options 1–2", "tunes nginx itself"),
    ("hash-size 1–7", "tunes nginx itself"),
    ("lua_shared_dicts 1", "there is no Lua"),
    ("main_snippet 1", "nginx configuration is never executed"),
    (
        "stream_snippet 1",
        "nginx configuration is never executed: TCP and UDP services do what it was used for",
    ),
    ("modsecurity_snippet 1", "there is no web application firewall"),
    ("multi_accept 1–3", "tunes nginx itself"),
    ("reuse-port 1–3", "tunes nginx itself"),
];

const FLAG: &str = "--configmap=default/config";

/// The ConfigMap with these keys.
fn config(keys: &[(&str, &str)]) -> String {
    let data: serde_json::Map<_, _> = keys
        .iter()
        .map(|(key, value)| ((*key).to_owned(), json!(value)))
        .collect();
    let object =
        json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "config"}, "data": data});
    format!("---\n{object}\n")
}

/// A site with one Ingress and these keys.
async fn site(keys: &[(&str, &str)]) -> Site {
    Site::with(&["echo"], &(ingress("web", &[]) + &config(keys)), &[FLAG]).await
}

/// The fields that an echo saw, by their names in lower case.
fn fields_of(echo: &Value) -> Value {
    let pairs = echo["headers"].as_array().unwrap().iter();
    pairs
        .map(|pair| (pair[0].as_str().unwrap().to_lowercase(), pair[1].clone()))
        .collect()
}

/// What the backend saw of a request with these fields.
async fn seen(site: &Site, fields: &str) -> Value {
    fields_of(&site.ask_with("/", fields).await.json())
}

const FORWARDED: &str = "X-Forwarded-Port: 1234\r\nX-Forwarded-Proto: myproto\r\n\
    X-Forwarded-Scheme: other\r\nX-Forwarded-For: 1.2.3.4\r\nX-Forwarded-Host: myhost\r\n";

/// With use-forwarded-headers port, scheme, address and host are taken, of a list
/// of hosts the first; the virtual host is still the request's own.
#[tokio::test]
async fn forwarded_headers_1_taken() {
    let site = site(&[("use-forwarded-headers", "true")]).await;
    let seen = seen(&site, FORWARDED).await;
    assert_eq!(seen["x-forwarded-port"], "1234");
    for scheme in ["x-forwarded-proto", "x-forwarded-scheme", "x-scheme"] {
        assert_eq!(seen[scheme], "myproto", "{scheme}");
    }
    for address in ["x-forwarded-for", "x-real-ip"] {
        assert_eq!(seen[address], "1.2.3.4", "{address}");
    }
    for host in ["x-forwarded-host", "host"] {
        assert_eq!(seen[host], "myhost", "{host}");
    }
    let list = "X-Forwarded-Host: first.example, second.example\r\n";
    let seen = self::seen(&site, list).await;
    for host in ["x-forwarded-host", "host"] {
        assert_eq!(seen[host], "first.example", "{host}");
    }
    assert_eq!(site.ask_host("myhost", "/").await.status, 404);
}

/// Without it they are the gateway's own, and the client's are kept aside.
#[tokio::test]
async fn forwarded_headers_2_not_trusted() {
    let site = site(&[("use-forwarded-headers", "false")]).await;
    let seen = seen(&site, FORWARDED).await;
    assert_eq!(seen["x-forwarded-port"], "80");
    assert_eq!(seen["x-forwarded-proto"], "http");
    assert_eq!(seen["x-original-forwarded-for"], "1.2.3.4");
    assert_eq!(seen["x-original-forwarded-host"], "myhost");
}

/// enable-real-ip takes the address alone; a change of the key takes effect
/// without a restart.
#[tokio::test]
async fn enable_real_ip_1_and_2_live() {
    let site = site(&[("enable-real-ip", "true")]).await;
    let now = seen(&site, FORWARDED).await;
    assert_eq!(now["x-forwarded-for"], "1.2.3.4");
    assert_eq!(now["x-forwarded-port"], "80");
    assert_eq!(now["x-forwarded-proto"], "http");
    assert_eq!(now["x-forwarded-host"], HOST);
    let off = config(&[("enable-real-ip", "false")]);
    site.write("objects.yaml", &site.objects(&(ingress("web", &[]) + &off)));
    let start = std::time::Instant::now();
    while seen(&site, FORWARDED).await["x-forwarded-for"] == "1.2.3.4" {
        assert!(start.elapsed() < crate::support::PATIENCE, "still trusted");
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
}

async fn proxied(site: &Site, header: &str, fields: &str) -> Value {
    let request = format!("{header}\r\nGET / HTTP/1.1\r\nHost: {HOST}\r\n{fields}Connection: close\r\n\r\n");
    fields_of(&site.request(&request).await.json())
}

/// The PROXY header's source and destination port reach the backend; 443 means
/// https.
#[tokio::test]
async fn proxy_protocol_1_and_2() {
    let site = site(&[("use-proxy-protocol", "true")]).await;
    let seen = proxied(&site, "PROXY TCP4 192.168.0.1 192.168.0.11 56324 1234", "").await;
    assert_eq!(seen["x-forwarded-port"], "1234");
    assert_eq!(seen["x-forwarded-proto"], "http");
    assert_eq!(seen["x-forwarded-for"], "192.168.0.1");
    let seen = proxied(&site, "PROXY TCP4 192.168.0.1 192.168.0.11 56324 443", "").await;
    assert_eq!(seen["x-forwarded-port"], "443");
    assert_eq!(seen["x-forwarded-proto"], "https");
}

/// With forwarded headers too, these count only if the announced source is in
/// proxy-real-ip-cidr.
#[tokio::test]
async fn proxy_protocol_5_and_6_with_forwarded_headers() {
    let keys = [
        ("use-proxy-protocol", "true"),
        ("use-forwarded-headers", "true"),
        ("proxy-real-ip-cidr", "192.168.0.0/16"),
    ];
    let site = site(&keys).await;
    let fields = "X-Forwarded-For: 1.2.3.4\r\n";
    let seen = proxied(&site, "PROXY TCP4 203.0.113.1 192.168.0.11 56324 80", fields).await;
    assert_eq!(seen["x-forwarded-for"], "203.0.113.1");
    let seen = proxied(&site, "PROXY TCP4 192.168.0.1 192.168.0.11 56324 80", fields).await;
    assert_eq!(seen["x-forwarded-for"], "1.2.3.4");
}

/// Ours: hairpin traffic comes without a PROXY header from networks that the
/// ConfigMap names.
#[tokio::test]
async fn proxy_protocol_mixed_mode() {
    let keys = [
        ("use-proxy-protocol", "true"),
        ("proxy-protocol-optional-cidr", "127.0.0.0/8"),
    ];
    let site = site(&keys).await;
    let seen = seen(&site, "").await;
    assert_eq!(seen["x-forwarded-for"], "127.0.0.1");
    let seen = proxied(&site, "PROXY TCP4 192.168.0.1 192.168.0.11 56324 80", "").await;
    assert_eq!(seen["x-forwarded-for"], "192.168.0.1");
}

/// block-cidrs of private ranges answers 403.
#[tokio::test]
async fn global_access_block_1_addresses() {
    let site = site(&[("block-cidrs", "172.16.0.0/12,127.0.0.0/8")]).await;
    assert_eq!(site.get("/").await.status, 403);
}

/// A user agent's regex and literal answer 403; others pass. Ours: also with
/// look-around, which is given up, and refused, beyond 2 KiB.
#[tokio::test]
async fn global_access_block_2_user_agents() {
    let site = site(&[("block-user-agents", "~*chrome\\/68\\.0\\.3440\\.106,AlphaBot")]).await;
    for (agent, status) in [("Chrome/68.0.3440.106", 403), ("AlphaBot", 403), ("curl", 200)] {
        let answer = site.ask_with("/", &format!("User-Agent: {agent}\r\n")).await;
        assert_eq!(answer.status, status, "{agent}");
    }
    let site = self::site(&[("block-user-agents", "~*^(?!.*Googlebot).*bot")]).await;
    let long = "x".repeat(3000);
    for (agent, status) in [
        ("AhrefsBot/7.0", 403),
        ("Googlebot/2.1", 200),
        ("curl", 200),
        (&long, 403),
    ] {
        let answer = site.ask_with("/", &format!("User-Agent: {agent}\r\n")).await;
        assert_eq!(answer.status, status, "{agent}");
    }
}

/// A referer's regex and literal answer 403; qwerty123 passes.
#[tokio::test]
async fn global_access_block_3_referers() {
    let site = site(&[("block-referers", "~*example\\.com,qwerty")]).await;
    for (referer, status) in [("http://example.com", 403), ("qwerty", 403), ("qwerty123", 200)] {
        let answer = site.ask_with("/", &format!("Referer: {referer}\r\n")).await;
        assert_eq!(answer.status, status, "{referer}");
    }
}

/// Off: no Server header.
#[tokio::test]
async fn server_tokens_1_off() {
    let site = site(&[("server-tokens", "false")]).await;
    assert_eq!(site.get("/").await.header("Server"), None);
}

/// On: ours, on answers of backends and of the gateway.
#[tokio::test]
async fn server_tokens_2_on() {
    let site = site(&[("server-tokens", "true")]).await;
    assert_eq!(site.get("/").await.header("Server"), Some("tidegate"));
    assert_eq!(
        site.ask_host("nobody", "/").await.header("Server"),
        Some("tidegate")
    );
}

/// HSTS with its parts, over TLS.
#[tokio::test]
async fn tls_2_to_4_hsts() {
    for (keys, wanted) in [
        (
            &[("hsts-max-age", "86400")][..],
            "max-age=86400; includeSubDomains",
        ),
        (
            &[("hsts-max-age", "86400"), ("hsts-include-subdomains", "false")],
            "max-age=86400",
        ),
        (
            &[
                ("hsts-max-age", "86400"),
                ("hsts-include-subdomains", "false"),
                ("hsts-preload", "true"),
            ],
            "max-age=86400; preload",
        ),
    ] {
        let site = site(keys).await;
        let answer = site.tls(HOST).await.get(HOST, "/").await;
        assert_eq!(answer.header("Strict-Transport-Security"), Some(wanted));
    }
}

/// A listed path is never redirected to TLS.
#[tokio::test]
async fn no_tls_redirect_locations_1() {
    let yaml = ingress_of(
        "web",
        HOST,
        &[("force-ssl-redirect", "true")],
        &[("/", "Prefix", "echo"), ("/check-it", "Prefix", "echo")],
    );
    let keys = config(&[("no-tls-redirect-locations", "/check-it")]);
    let site = Site::with(&["echo"], &(yaml + &keys), &[FLAG]).await;
    assert_eq!(site.get("/").await.status, 308);
    assert_eq!(site.get("/check-it").await.status, 200);
}

/// 50 is taken, `50k` ignored: the same for connect, read and send timeouts.
#[tokio::test]
async fn proxy_timeouts_1_and_2() {
    let keys = [
        ("proxy-connect-timeout", "50k"),
        ("proxy-read-timeout", "50k"),
        ("proxy-send-timeout", "50"),
    ];
    let site = site(&keys).await;
    assert_eq!(site.get("/").await.status, 200);
    let problems = site.problems("data[proxy-connect-timeout]").await;
    assert!(problems.contains("data[proxy-read-timeout]"), "{problems}");
    assert!(!problems.contains("data[proxy-send-timeout]"), "{problems}");
}

/// A value with a blocklisted word or character drops the Ingress; others stay.
#[tokio::test]
async fn badannotationvalues_1_2_and_4() {
    let yaml = ingress_of(
        "bad",
        "bad",
        &[("server-alias", "a}")],
        &[("/", "Prefix", "echo")],
    ) + &ingress_of(
        "word",
        "word",
        &[("server-alias", "lua_x")],
        &[("/", "Prefix", "echo")],
    ) + &ingress("good", &[])
        + &config(&[("annotation-value-word-blocklist", "lua_, }")]);
    let site = Site::with(&["echo"], &yaml, &[FLAG]).await;
    assert_eq!(site.ask_host("bad", "/").await.status, 404);
    assert_eq!(site.ask_host("word", "/").await.status, 404);
    assert_eq!(site.get("/").await.status, 200);
}

/// Without a list of words the same values are served.
#[tokio::test]
async fn badannotationvalues_3_without_a_list() {
    let alias = ingress("web", &[("x-forwarded-prefix", "/lua_x")]);
    let site = Site::with(&["echo"], &alias, &[FLAG]).await;
    assert_eq!(site.get("/").await.status, 200);
    let blocked = alias + &config(&[("annotation-value-word-blocklist", "lua_")]);
    site.write("objects.yaml", &site.objects(&blocked));
    site.until(HOST, "/", |answer| answer.status == 404).await;
}

/// At risk level Medium, an Ingress with a High annotation is not served.
#[tokio::test]
async fn validations_1_risk_level() {
    let yaml = ingress_of(
        "high",
        "high",
        &[("server-alias", "b")],
        &[("/", "Prefix", "echo")],
    ) + &ingress("low", &[("proxy-body-size", "8m")])
        + &config(&[("annotations-risk-level", "Medium")]);
    let site = Site::with(&["echo"], &yaml, &[FLAG]).await;
    assert_eq!(site.ask_host("high", "/").await.status, 404);
    assert_eq!(site.get("/").await.status, 200);
}

/// Ours: fields with odd names are dropped, unless the ConfigMap keeps them.
#[tokio::test]
async fn ignore_invalid_headers() {
    for (key, value, dot, underscore) in [
        ("ignore-invalid-headers", "true", None, None),
        ("ignore-invalid-headers", "false", Some("1"), Some("2")),
        ("enable-underscores-in-headers", "true", None, Some("2")),
    ] {
        let site = site(&[(key, value)]).await;
        assert_eq!(site.ask_with("/", "X.Dot: 1\r\nX_Line: 2\r\n").await.status, 200);
        let seen = site.echo("echo").last();
        assert_eq!(
            (seen.header("x.dot"), seen.header("x_line")),
            (dot, underscore),
            "{key}: {value}"
        );
    }
}

/// Without HTTP/2, ALPN offers HTTP/1.1 alone.
#[tokio::test]
async fn use_http2_off() {
    let site = site(&[("use-http2", "false")]).await;
    let client = Client::tls(site.program.https, HOST, &["h2", "http/1.1"]).await;
    assert_eq!(client.alpn.as_deref(), Some(&b"http/1.1"[..]));
}
