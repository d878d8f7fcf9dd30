//! Files of ingress-nginx's tests of which nothing shows in a request, or whose
//! cases are asked somewhere else; and what smuggles requests.

use crate::auth_server::AuthServer;
use crate::site::{HOST, Site, config_map, ingress, ingress_of};
use crate::support::client::Client;

#[allow(dead_code, reason = "the page of tests is made of it")]
pub(crate) const NOT_TESTED: &[(&str, &str)] = &[
    (
        "cgroups 1, 2",
        "asserts processors that are counted: Rust's library reads cgroups",
    ),
    (
        "clientbodybuffersize 1–6",
        "bodies are never on disk: client-body-buffer-size has no meaning",
    ),
    (
        "dbg 1–3",
        "asserts ingress-nginx's own tool: `tidegate explain` and the admin port stand for it",
    ),
    (
        "disableaccesslog 1, 2, log 1",
        "settings and log_format have it: quiet routes and files",
    ),
    (
        "disableleaderelection 1",
        "asserts routing: gateway/tests/cluster.rs routes with and without a leader",
    ),
    ("fastcgi 1–4", "FastCGI is refused"),
    ("http2pushpreload 1", "browsers have dropped it"),
    (
        "keep-alive 1–6",
        "asserts nginx's text; gateway/tests/wire/connections.rs counts requests and seconds",
    ),
    (
        "leaks 1",
        "memory after deletion is measured: gateway/benches/control_plane",
    ),
    (
        "listen_nondefault_ports 1",
        "a pod's plain port is not shown: `X-Forwarded-Port` is 80, as clients see it",
    ),
    ("log 2", "there is no rewrite log"),
    ("metrics 1–4", "gateway/src/observe/metrics/nginx/tests.rs"),
    ("nginx 1–3", "asserts nginx's configuration file"),
    (
        "proxy_next_upstream 1",
        "asserts nginx's text; gateway/tests/wire/retry.rs tries again",
    ),
    (
        "status/update 1",
        "gateway/tests/cluster.rs breaks the API server",
    ),
];

/// Without a firewall nobody is told that there is one: routes that ask for it
/// answer 503; `false` asks for nothing.
#[tokio::test]
async fn modsecurity_1_to_12_refused() {
    let route = |name: &str, value| {
        ingress_of(
            name,
            name,
            &[("enable-modsecurity", value)],
            &[("/", "Prefix", "echo")],
        )
    };
    let snippet = [("modsecurity-snippet", "SecRuleEngine On")];
    let yaml = route("on", "true")
        + &route("off", "false")
        + &ingress_of("rules", "rules", &snippet, &[("/", "Prefix", "echo")])
        + &ingress("web", &[])
        + &config_map(
            "config",
            &[
                ("allow-snippet-annotations", "true"),
                ("annotations-risk-level", "Critical"),
            ],
        );
    let site = Site::with(&["echo"], &yaml, &["--configmap=default/config"]).await;
    for (host, status) in [("on", 503), ("off", 200), ("rules", 503), (HOST, 200)] {
        assert_eq!(site.ask_host(host, "/").await.status, status, "{host}");
    }
}

/// Over TLS the backend and the authentication service are told 443, whatever
/// port the pod listens on.
#[tokio::test]
async fn listen_nondefault_ports_2_and_3() {
    let auth = AuthServer::start().await;
    let url = auth.url("/auth");
    let yaml =
        ingress("web", &[]) + &ingress_of("auth", "bar", &[("auth-url", &url)], &[("/", "Prefix", "echo")]);
    let site = Site::start(&yaml).await;
    for host in [HOST, "bar"] {
        let request = format!("GET / HTTP/1.1\r\nHost: {host}\r\nCookie: _session=joe\r\n\r\n");
        let answer = site.tls(host).await.request(request).await;
        assert_eq!(answer.status, 200);
        assert_eq!(site.echo("echo").last().header("X-Forwarded-Port"), Some("443"));
    }
}

/// `security/request_smuggling.go` 1: a request hidden in the body of one that is
/// sent to sign in is never served.
#[tokio::test]
async fn request_smuggling_1_hidden_request() {
    let auth = AuthServer::start().await;
    let url = auth.url("/auth");
    let own = [("auth-url", url.as_str()), ("auth-signin", "http://sign.in/")];
    let hidden = ingress_of("hidden", "hidden", &[], &[("/", "Prefix", "hidden")]);
    let site = Site::with(&["echo", "hidden"], &(ingress("web", &own) + &hidden), &[]).await;
    let inner = "GET /secret HTTP/1.1\r\nHost: hidden\r\nContent-Length: 0\r\n\r\n";
    for framing in [
        format!("Content-Length: {}\r\n\r\n{inner}", inner.len()),
        format!(
            "Transfer-Encoding: chunked\r\n\r\n{:x}\r\n{inner}\r\n0\r\n\r\n",
            inner.len()
        ),
        format!(
            "Content-Length: {}\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n{inner}",
            inner.len() + 5
        ),
    ] {
        let mut client = Client::connect(site.program.http).await;
        let request = format!("GET /echo HTTP/1.1\r\nHost: {HOST}\r\n{framing}");
        let answer = client.request(request).await;
        assert!([302, 400].contains(&answer.status), "{}", answer.head);
        client
            .send(format!(
                "GET /last HTTP/1.1\r\nHost: {HOST}\r\nConnection: close\r\n\r\n"
            ))
            .await;
        let rest = String::from_utf8_lossy(&client.rest().await).into_owned();
        assert!(!rest.contains("hidden"), "{rest}");
        assert_eq!((site.echo("hidden").count(), site.echo("echo").count()), (0, 0));
    }
}
