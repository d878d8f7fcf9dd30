//! `annotations/auth.go`: external authentication, and
//! `settings/global_external_auth.go` as far as annotations show it.

use std::time::Duration;

use crate::auth_server::AuthServer;
use crate::site::{Site, config_map, ingress, ingress_of};
use crate::support::client::Answer;

const SESSION: &str = "Cookie: a=b; _session=joe\r\n";

async fn site(url: &str, more: &[(&str, &str)]) -> Site {
    let annotations = [&[("auth-url", url)][..], more].concat();
    Site::start(&ingress("a", &annotations)).await
}

async fn get(site: &Site, path: &str, fields: &str) -> Answer {
    site.ask_with(path, fields).await
}

/// What a service is asked: the client's fields, the gateway's, no body, and
/// nothing that only a proxy may say.
#[tokio::test]
async fn the_question() {
    let auth = AuthServer::start().await;
    let site = site(&auth.url("/auth?x=$request_uri"), &[]).await;
    let answer = site
        .request(&format!(
            "POST /a/b?c=d HTTP/1.1\r\nHost: foo\r\n{SESSION}X-Mine: 1\r\nX-Forwarded-Proto: https\r\n\
             X-Forwarded-Host: evil\r\nssl-client-verify: SUCCESS\r\nX-Original-URL: evil\r\n\
             Content-Length: 3\r\nConnection: close\r\n\r\nabc"
        ))
        .await;
    assert_eq!(answer.status, 200);
    assert_eq!(site.echo("echo").last().body, b"abc");
    let head = auth.seen().pop().unwrap();
    assert!(head.starts_with("GET /auth?x=/a/b?c=d HTTP/1.1\r\n"), "{head}");
    let host = auth.address.to_string();
    for (name, value) in [
        ("host", Some(host.as_str())),
        ("x-original-url", Some("http://foo/a/b?c=d")),
        ("x-original-method", Some("POST")),
        ("x-sent-from", Some("nginx-ingress-controller")),
        ("x-auth-request-redirect", Some("/a/b?c=d")),
        ("x-real-ip", Some("127.0.0.1")),
        ("x-forwarded-for", Some("127.0.0.1")),
        ("x-mine", Some("1")),
        ("x-original-uri", None),
        ("x-scheme", None),
        ("content-length", None),
        ("x-forwarded-proto", None),
        ("x-forwarded-host", None),
        ("ssl-client-verify", None),
    ] {
        assert_eq!(auth.last(name).as_deref(), value, "{name}");
    }
    assert_eq!(
        auth.last("x-request-id").as_deref(),
        site.echo("echo").last().header("x-request-id")
    );
}

/// 401 and 403 go to the client, 401 with its challenge; anything else, a
/// service that is away or too slow, is 500. Nobody passes.
#[tokio::test]
async fn refusals_and_failures() {
    let auth = AuthServer::start().await;
    let url = auth.url("$uri");
    let site = site(&url, &[("proxy-read-timeout", "1")]).await;
    for (path, status) in [
        ("/status/200", 200),
        ("/status/204", 200),
        ("/status/401", 401),
        ("/status/403", 403),
        ("/status/302", 500),
        ("/status/404", 500),
        ("/status/503", 500),
        ("/slow", 500),
    ] {
        assert_eq!(site.get(path).await.status, status, "{path}");
    }
    assert_eq!(site.echo("echo").count(), 2);
    let answer = site.get("/auth").await;
    assert_eq!(answer.status, 401);
    assert_eq!(answer.header("www-authenticate"), Some("Bearer"));
    assert!(!answer.text().contains("what the service says"));
    auth.stop().await;
    assert_eq!(site.get("/status/200").await.status, 500);
    assert_eq!(site.echo("echo").count(), 2);
}

/// `auth-proxy-set-headers` adds fields to the question; `auth-method` sets its
/// method and two more fields.
#[tokio::test]
async fn case_11_headers_and_method() {
    let auth = AuthServer::start().await;
    let url = auth.url("/status/200");
    let annotations = [
        ("auth-url", url.as_str()),
        ("auth-proxy-set-headers", "default/auth-headers"),
        ("auth-method", "POST"),
        ("auth-request-redirect", "/back"),
    ];
    let headers = config_map(
        "auth-headers",
        &[("My-Custom-Header", "42"), ("X-Host", "$host:$request_method")],
    );
    let site = Site::start(&(ingress("a", &annotations) + &headers)).await;
    assert_eq!(site.get("/a?b").await.status, 200);
    assert!(auth.seen()[0].starts_with("POST /status/200 HTTP/1.1\r\n"));
    for (name, value) in [
        ("my-custom-header", "42"),
        ("x-host", "foo:GET"),
        ("x-original-uri", "/a?b"),
        ("x-scheme", "http"),
        ("x-auth-request-redirect", "/back"),
    ] {
        assert_eq!(auth.last(name).as_deref(), Some(value), "{name}");
    }
}

/// The service's cookies go to the client with good answers.
#[tokio::test]
async fn case_13_14_15_cookies() {
    let auth = AuthServer::start().await;
    let url = auth.url("/cookie");
    let site = site(&url, &[]).await;
    let cookies = |answer: &Answer| {
        let fields = answer.headers.iter();
        let cookies = fields.filter(|(name, _)| name.eq_ignore_ascii_case("set-cookie"));
        cookies.map(|(_, value)| value.clone()).collect::<Vec<_>>()
    };
    assert_eq!(cookies(&site.get("/").await), ["alma=armud", "two=2"]);
    site.echo("echo").set(|behaviour| behaviour.status = 503);
    let answer = site.get("/").await;
    assert_eq!((answer.status, cookies(&answer)), (503, vec![]));
    let always = [("auth-url", url.as_str()), ("auth-always-set-cookie", "true")];
    site.write("objects.yaml", &site.objects(&ingress("a", &always)));
    site.until("foo", "/", |answer| answer.header("set-cookie").is_some())
        .await;
}

/// With credentials 200, without a redirect to the sign-in page with the way
/// back.
#[tokio::test]
async fn case_16_17_signin() {
    let auth = AuthServer::start().await;
    let url = auth.url("/basic-auth");
    let site = site(&url, &[("auth-signin", "http://$host/auth/start")]).await;
    assert_eq!(get(&site, "/", crate::auth::FOO_BAR).await.status, 200);
    let answer = site.get("/?a=b&c=d").await;
    assert_eq!(answer.status, 302);
    assert_eq!(
        answer.header("location"),
        Some("http://foo/auth/start?rd=http://foo%2F%3Fa%3Db%26c%3Dd")
    );
    assert_eq!(answer.header("www-authenticate"), None);
}

/// Fields that the service says replace the client's; what it does not say
/// the client may not say either.
#[tokio::test]
async fn case_19_response_headers() {
    let auth = AuthServer::start().await;
    let list = "X-Auth-Request-User, X-Auth-Request-Groups, X-Auth-Request-Email";
    let site = site(&auth.url("/auth"), &[("auth-response-headers", list)]).await;
    let fields = format!("{SESSION}X-Auth-Request-User: root\r\nX-Auth-Request-Email: root@example\r\n");
    assert_eq!(get(&site, "/", &fields).await.status, 200);
    let seen = site.echo("echo").last();
    assert_eq!(seen.header("x-auth-request-user"), Some("joe"));
    assert_eq!(seen.header("x-auth-request-groups"), Some("a, b"));
    assert_eq!(seen.header("x-auth-request-email"), None);
}

/// The parameter of the way back has another name.
#[tokio::test]
async fn case_27_28_redirect_param() {
    let auth = AuthServer::start().await;
    let url = auth.url("/basic-auth");
    let site = site(
        &url,
        &[
            ("auth-signin", "http://$host/auth/start?x=y"),
            ("auth-signin-redirect-param", "orig"),
        ],
    )
    .await;
    assert_eq!(get(&site, "/", crate::auth::FOO_BAR).await.status, 200);
    let location = site.get("/a").await;
    assert_eq!(
        location.header("location"),
        Some("http://foo/auth/start?x=y&orig=http://foo%2Fa")
    );
}

/// A neighbour whose password file is missing keeps no new Ingress from being
/// served, sign-in and all.
#[tokio::test]
async fn case_29_bad_neighbour() {
    let auth = AuthServer::start().await;
    let url = auth.url("/basic-auth");
    let bad = [("auth-type", "basic"), ("auth-secret", "missing")];
    let site = Site::start(&ingress_of("bad", "bad", &bad, &[("/", "Prefix", "echo")])).await;
    assert_eq!(site.ask_host("bad", "/").await.status, 503);
    let annotations = [
        ("auth-url", url.as_str()),
        ("auth-signin", "http://$host/auth/start"),
        ("auth-signin-redirect-param", "orig"),
    ];
    site.write("a.yaml", &ingress("a", &annotations));
    let answer = site.until("foo", "/", |answer| answer.status != 404).await;
    assert_eq!(
        (answer.status, answer.header("location")),
        (302, Some("http://foo/auth/start?orig=http://foo%2F"))
    );
    assert_eq!(get(&site, "/", crate::auth::FOO_BAR).await.status, 200);
    assert_eq!(site.ask_host("bad", "/").await.status, 503);
}

/// Answers are remembered for a path of a host.
#[tokio::test]
async fn case_12_30_31_32_33_cache() {
    let auth = AuthServer::start().await;
    let url = auth.url("/basic-auth");
    let annotations = [
        ("auth-url", url.as_str()),
        ("auth-signin", "http://$host/auth/start"),
        ("auth-cache-key", "fixed"),
        ("auth-cache-duration", "200 201 401 30m"),
    ];
    let paths = [("/foo", "Prefix", "echo"), ("/bar", "Prefix", "echo")];
    let yaml = ingress_of("a", "foo", &annotations, &paths) + &ingress_of("b", "other", &annotations, &paths);
    let site = Site::start(&yaml).await;
    // Not signed in, and remembered as such on the other host.
    assert_eq!(site.ask_host("other", "/foo").await.status, 302);
    assert_eq!(get(&site, "/foo", crate::auth::FOO_BAR).await.status, 200);
    let asked = auth.seen().len();
    assert_eq!(get(&site, "/foo", crate::auth::FOO_BAR).await.status, 200);
    assert_eq!(site.ask_host("other", "/foo").await.status, 302);
    assert_eq!(auth.seen().len(), asked);
    auth.stop().await;
    assert_eq!(get(&site, "/foo", crate::auth::FOO_BAR).await.status, 200);
    assert_eq!(get(&site, "/bar", crate::auth::FOO_BAR).await.status, 500);
    assert_eq!(site.ask_host("other", "/bar").await.status, 500);
}

/// Ours: a name in the key is worth no more than the password that came with it.
#[tokio::test]
async fn a_claimed_name_needs_its_password() {
    let auth = AuthServer::start().await;
    let cached = [
        ("auth-cache-key", "$remote_user"),
        ("auth-cache-duration", "200 401 30m"),
    ];
    let site = site(&auth.url("/basic-auth"), &cached).await;
    // foo:wrong
    let wrong = "Authorization: Basic Zm9vOndyb25n\r\n";
    for _ in 0..2 {
        assert_eq!(get(&site, "/", crate::auth::FOO_BAR).await.status, 200);
        assert_eq!(get(&site, "/", wrong).await.status, 401);
    }
    assert_eq!(auth.seen().len(), 2, "both answers are remembered");
}

/// A URL that is none closes the routes, and so does any other broken key of the
/// group: ingress-nginx drops the authentication for some.
#[tokio::test]
async fn case_34_broken_keys_close() {
    let auth = AuthServer::start().await;
    let url = auth.url("/status/200");
    let site = Site::start("").await;
    for (name, value) in [
        ("auth-url", "https://invalid..auth.url"),
        ("auth-url", "http://$unknown/"),
        ("auth-method", "FETCH"),
        ("auth-response-headers", "X-Ä"),
        ("auth-proxy-set-headers", "default/missing"),
        ("auth-request-redirect", "$unknown"),
        ("auth-cache-duration", "often"),
        ("auth-always-set-cookie", "perhaps"),
    ] {
        let mut annotations = vec![("auth-cache-key", "x"), (name, value)];
        if name != "auth-url" {
            annotations.push(("auth-url", &url));
        }
        site.write("a.yaml", &ingress("a", &annotations));
        site.until("foo", "/", |answer| answer.status == 503).await;
        std::fs::remove_file(site.program.folder().join("a.yaml")).unwrap();
        site.until("foo", "/", |answer| answer.status == 404).await;
    }
    assert_eq!(auth.seen().len(), 0);
}

/// A preflight is not asked about.
#[tokio::test]
async fn preflights_pass() {
    let auth = AuthServer::start().await;
    let site = site(&auth.url("/auth"), &[("enable-cors", "true")]).await;
    let preflight = "OPTIONS / HTTP/1.1\r\nHost: foo\r\nOrigin: http://a.b\r\nConnection: close\r\n\r\n";
    assert_eq!(site.request(preflight).await.status, 204);
    assert_eq!(auth.seen().len(), 0);
    assert_eq!(
        site.get("/").await.header("access-control-allow-origin"),
        Some("*")
    );
}

/// Connections to the service are used again, whatever `auth-keepalive` and its kin
/// say, and where the URL has a variable in its host.
#[tokio::test]
async fn case_20_to_24_connections_are_kept() {
    let numbers = [
        ("auth-keepalive", "123"),
        ("auth-keepalive-requests", "456"),
        ("auth-keepalive-timeout", "789"),
    ];
    for more in [&[][..], &[("auth-keepalive", "-1")], &numbers] {
        let auth = AuthServer::start().await;
        let site = site(&auth.url("/auth"), more).await;
        for _ in 0..5 {
            assert_eq!(get(&site, "/", SESSION).await.status, 200);
            // Each of the program's threads may keep one of its own.
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        assert_eq!((auth.seen().len(), auth.connections()), (5, 1), "{more:?}");
    }
}
