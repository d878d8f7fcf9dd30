//! `settings/global_access_block.go`, `settings/global_external_auth.go` and
//! `settings/no_auth_locations.go`.

use crate::auth::{FOO_BAR, htpasswd};
use crate::auth_server::AuthServer;
use crate::site::{Site, config_map, ingress, ingress_of};

const FLAG: &str = "--configmap=default/controller";

async fn site(data: &[(&str, &str)], yaml: &str) -> Site {
    Site::with(&["echo"], &(config_map("controller", data) + yaml), &[FLAG]).await
}

const PATHS: [(&str, &str, &str); 2] = [("/foo", "Prefix", "echo"), ("/bar", "Prefix", "echo")];

/// Blocked addresses get 403, whatever the Ingress says.
#[tokio::test]
async fn block_1_networks() {
    let site = site(
        &[("block-cidrs", "172.16.0.0/12, 127.0.0.0/8")],
        &ingress("a", &[("whitelist-source-range", "127.0.0.1")]),
    )
    .await;
    assert_eq!(site.get("/").await.status, 403);
    assert_eq!(site.ask_host("unknown", "/").await.status, 403);
}

/// Texts are compared whole, expressions anywhere; others come in.
#[tokio::test]
async fn block_2_3_user_agents_and_referers() {
    let site = site(
        &[
            (
                "block-user-agents",
                "~*chrome\\/68\\.0\\.3440\\.106\\ safari\\/537\\.36,AlphaBot",
            ),
            ("block-referers", "~*example\\.com,qwerty"),
        ],
        &ingress("a", &[]),
    )
    .await;
    for (fields, status) in [
        ("User-Agent: Mozilla Chrome/68.0.3440.106 Safari/537.36\r\n", 403),
        ("User-Agent: AlphaBot\r\n", 403),
        ("User-Agent: alphabot\r\n", 403),
        ("User-Agent: AlphaBot2\r\n", 200),
        ("Referer: http://www.Example.com/x\r\n", 403),
        ("Referer: qwerty\r\n", 403),
        ("Referer: qwerty123\r\n", 200),
        ("", 200),
    ] {
        assert_eq!(site.ask_with("/", fields).await.status, status, "{fields}");
    }
}

/// Every Ingress is asked about, but for the paths that are left out and the
/// Ingresses that opt out; one's own service replaces it.
#[tokio::test]
async fn auth_1_2_3_where_it_applies() {
    let auth = AuthServer::start().await;
    let url = auth.url("/status/401");
    let own = auth.url("/status/200");
    let yaml = ingress_of("a", "foo", &[], &PATHS)
        + &ingress_of("b", "out", &[("enable-global-auth", "false")], &PATHS)
        + &ingress_of("c", "own", &[("auth-url", &own)], &PATHS);
    let site = site(&[("global-auth-url", &url), ("no-auth-locations", "/bar")], &yaml).await;
    assert_eq!(site.get("/foo").await.status, 401);
    assert_eq!(site.get("/bar").await.status, 200);
    assert_eq!(site.ask_host("out", "/foo").await.status, 200);
    assert_eq!(site.ask_host("own", "/foo").await.status, 200);
}

/// Answers are remembered.
#[tokio::test]
async fn auth_4_cache() {
    let auth = AuthServer::start().await;
    let url = auth.url("/status/200");
    let data = [
        ("global-auth-url", url.as_str()),
        ("global-auth-cache-key", "$remote_user$http_authorization"),
        ("global-auth-cache-duration", "200 201 401 30m"),
    ];
    let site = site(&data, &ingress("a", &[])).await;
    assert_eq!(site.get("/").await.status, 200);
    auth.stop().await;
    assert_eq!(site.get("/").await.status, 200);
    assert_eq!(site.ask_with("/", FOO_BAR).await.status, 500);
}

/// Method, sign-in page, headers and the way back, as with annotations.
#[tokio::test]
async fn auth_5_to_8_keys() {
    let auth = AuthServer::start().await;
    let url = auth.url("/auth");
    let data = [
        ("global-auth-url", url.as_str()),
        ("global-auth-method", "HEAD"),
        ("global-auth-signin", "http://signin.example/start"),
        ("global-auth-response-headers", "X-Auth-Request-User"),
        ("global-auth-request-redirect", "/back"),
    ];
    let site = site(&data, &ingress("a", &[])).await;
    let answer = site.get("/").await;
    assert_eq!(
        answer.header("location"),
        Some("http://signin.example/start?rd=http://foo%2F")
    );
    assert!(auth.seen()[0].starts_with("HEAD /auth "));
    assert_eq!(auth.last("x-auth-request-redirect").as_deref(), Some("/back"));
    assert_eq!(site.ask_with("/", "Cookie: _session=joe\r\n").await.status, 200);
    assert_eq!(
        site.echo("echo").last().header("x-auth-request-user"),
        Some("joe")
    );
}

/// Cookies stay with good answers unless they always go along.
#[tokio::test]
async fn auth_10_11_12_cookies() {
    let auth = AuthServer::start().await;
    let url = auth.url("/cookie");
    let data = [("global-auth-url", url.as_str())];
    let always = [data[0], ("global-auth-always-set-cookie", "true")];
    for (data, with_503) in [(&data[..], false), (&always, true)] {
        let site = site(data, &ingress("a", &[])).await;
        assert!(site.get("/").await.header("set-cookie").is_some());
        site.echo("echo").set(|behaviour| behaviour.status = 503);
        assert_eq!(site.get("/").await.header("set-cookie").is_some(), with_503);
    }
}

/// Ours: what guards Ingresses keeps nobody from hearing that the gateway is
/// well, or that a host is unknown.
#[tokio::test]
async fn auth_is_not_for_healthz() {
    let auth = AuthServer::start().await;
    let url = auth.url("/status/401");
    let guards = [
        ("global-auth-url", url.as_str()),
        ("global-auth-signin", "http://signin.example/"),
        ("whitelist-source-range", "192.0.2.1"),
        ("enable-modsecurity", "true"),
    ];
    let ip = "127.0.0.1";
    for (number, at_root) in [(1, 404), (2, 404), (3, 403), (4, 503)] {
        let site = site(&guards[..number], &ingress("a", &[])).await;
        assert_ne!(site.get("/").await.status, 200, "{number}");
        assert_eq!(site.ask_host(ip, "/healthz").await.status, 200, "{number}");
        assert_eq!(site.ask_host(ip, "/").await.status, at_root, "{number}");
    }
}

/// What is broken closes every route of an Ingress: ingress-nginx opens them. The
/// default backend, which global authentication never guards, goes on answering;
/// a broken list of addresses closes that, too.
#[tokio::test]
async fn a_broken_key_closes_what_it_guards() {
    let url = ("global-auth-url", "http://127.0.0.1:9/");
    for (data, unknown) in [
        (&[("global-auth-url", "auth.example")][..], 404),
        (&[url, ("global-auth-method", "FETCH")], 404),
        (&[url, ("global-auth-always-set-cookie", "perhaps")], 404),
        (&[url, ("global-auth-snippet", "deny all;")], 404),
        (&[url, ("whitelist-source-range", "nonsense")], 503),
        (
            &[("global-auth-url", "auth.example"), ("block-cidrs", "nonsense")],
            503,
        ),
    ] {
        let site = site(data, &ingress("a", &[])).await;
        assert_eq!(site.get("/").await.status, 503, "{data:?}");
        assert_eq!(site.ask_host("unknown", "/").await.status, unknown, "{data:?}");
    }
}

/// `/` needs a password, what `no-auth-locations` names does not.
#[tokio::test]
async fn no_auth_1_2_3() {
    let annotations = [("auth-type", "basic"), ("auth-secret", "users")];
    let paths = [("/", "Prefix", "echo"), ("/noauth", "Prefix", "echo")];
    let yaml = ingress_of("a", "foo", &annotations, &paths) + &htpasswd();
    let site = site(&[("no-auth-locations", "/noauth")], &yaml).await;
    assert_eq!(site.get("/").await.status, 401);
    assert_eq!(site.ask_with("/", FOO_BAR).await.status, 200);
    assert_eq!(site.get("/noauth").await.status, 200);
}

/// Limits answer what the ConfigMap says.
#[tokio::test]
async fn limit_statuses() {
    let limit = [("limit-rpm", "1"), ("limit-burst-multiplier", "0")];
    let site = site(&[("limit-req-status-code", "429")], &ingress("a", &limit)).await;
    assert_eq!(site.get("/").await.status, 200);
    assert_eq!(site.get("/").await.status, 429);
}
