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
        "dbg 1–3",
        "asserts ingress-nginx's own tool: `tidegate explain` and the admin port stand for it",
    ),
    ("http2pushpreload 1", "browsers have dropped it"),
    (
        "leaks 1",
        "memory after deletion is measured: gateway/benches/control_plane",
    ),
    ("log 2", "there is no rewrite log"),
    ("nginx 1–3", "asserts nginx's configuration file"),
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

/// FastCGI is not spoken: routes that ask for it answer 503, with and without its
/// parameters, and their neighbours are served.
#[tokio::test]
async fn fastcgi_1_to_4_and_backendprotocol_6_refused() {
    let with = |name: &str, more: &[(&str, &str)]| {
        let annotations = [&[("backend-protocol", "FCGI")][..], more].concat();
        ingress_of(name, name, &annotations, &[("/", "Prefix", "echo")])
    };
    let yaml = with("plain", &[])
        + &with("index", &[("fastcgi-index", "index.php")])
        + &with("parameters", &[("fastcgi-params-configmap", "default/fcgi")])
        + &config_map("fcgi", &[("SCRIPT_FILENAME", "/hello.php")])
        + &ingress("web", &[]);
    let site = Site::start(&yaml).await;
    for (host, status) in [("plain", 503), ("index", 503), ("parameters", 503), (HOST, 200)] {
        assert_eq!(site.ask_host(host, "/").await.status, status, "{host}");
    }
    assert_eq!(site.echo("echo").count(), 1);
    site.problems("backend-protocol").await;
}

/// Whatever `client-body-buffer-size` says, a body passes.
#[tokio::test]
async fn clientbodybuffersize_1_to_6() {
    let values = ["1000", "1K", "1k", "1m", "1M", "1b"];
    let yaml: String = (0..)
        .zip(values)
        .map(|(number, value)| {
            let annotation = [("client-body-buffer-size", value)];
            let name = format!("size{number}");
            ingress_of(&name, &name, &annotation, &[("/", "Prefix", "echo")])
        })
        .collect();
    let site = Site::start(&yaml).await;
    let body = "x".repeat(5000);
    for (number, value) in values.into_iter().enumerate() {
        let head = format!("POST / HTTP/1.1\r\nHost: size{number}\r\nContent-Length: 5000\r\n\r\n");
        assert_eq!(site.request(&(head + &body)).await.status, 200, "{value}");
        assert_eq!(site.echo("echo").last().body, body.as_bytes());
    }
}

/// Without an election hosts and paths are told apart as ever.
#[tokio::test]
async fn disableleaderelection_1_routing() {
    let yaml = ingress_of("one", "one", &[], &[("/foo", "Prefix", "echo")])
        + &ingress_of("two", "two", &[], &[("/ping", "Prefix", "echo")]);
    let site = Site::with(&["echo"], &yaml, &["--disable-leader-election=true"]).await;
    for (host, path, status) in [
        ("one", "/foo", 200),
        ("one", "/bar", 404),
        ("one", "/ping", 404),
        ("two", "/ping", 200),
        ("two", "/pong", 404),
        ("two", "/foo", 404),
    ] {
        assert_eq!(site.ask_host(host, path).await.status, status, "{host}{path}");
    }
}

/// Over plain HTTP the backend is told the port that clients see: 80, unless the
/// settings say another; never the pod's, which it is where nginx runs.
#[tokio::test]
async fn listen_nondefault_ports_1_plain() {
    let settings = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(settings.path(), "listen: {publicHttpPort: 1080}\n").unwrap();
    let flag = format!("--config={}", settings.path().display());
    for (flags, port) in [(&[][..], "80"), (&[flag.as_str()], "1080")] {
        let site = Site::with(&["echo"], &ingress("web", &[]), flags).await;
        assert_eq!(site.get("/").await.status, 200);
        assert_eq!(site.echo("echo").last().header("X-Forwarded-Port"), Some(port));
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
