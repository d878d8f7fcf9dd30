//! `annotations/serversnippet.go`, `snippet.go`, `streamsnippet.go`,
//! `settings/server_snippet.go`, and what users write into snippets.

use crate::auth_server::AuthServer;
use crate::program::certificate_secret;
use crate::site::{HOST, Site, config_map, ingress, ingress_of};
use crate::support::PATIENCE;
use crate::support::client::{Answer, Client};

#[allow(dead_code, reason = "the page of tests is made of it")]
pub(crate) const NOT_TESTED: &[(&str, &str)] = &[(
    "case_5",
    "stream-snippet: TCP and UDP services do what it was used for",
)];

const FLAG: &str = "--configmap=default/config";
const ALLOWED: [(&str, &str); 2] = [
    ("allow-snippet-annotations", "true"),
    ("annotations-risk-level", "Critical"),
];

/// A site where snippets are allowed, with more keys of the ConfigMap.
async fn site_with(yaml: &str, keys: &[(&str, &str)]) -> Site {
    let keys = [&ALLOWED[..], keys].concat();
    Site::with(
        &["echo", "other"],
        &(yaml.to_owned() + &config_map("config", &keys)),
        &[FLAG],
    )
    .await
}

async fn site(annotations: &[(&str, &str)]) -> Site {
    site_with(&ingress("a", annotations), &[]).await
}

async fn problems(site: &Site) -> String {
    crate::support::client::get(site.program.admin, "admin", "/problems")
        .await
        .text()
}

const FIELDS: &str = "more_set_headers \"Foo: Bar\";\nmore_set_headers \"Xpto: $host\";\n";

fn has_fields(answer: &Answer) -> bool {
    (answer.header("foo"), answer.header("xpto")) == (Some("Bar"), Some(HOST))
}

/// Headers of a server-snippet are on answers of every route of the host.
#[tokio::test]
async fn case_1_server_snippet() {
    let other = ingress_of("b", HOST, &[], &[("/b", "Prefix", "other")]);
    let first = ingress("a", &[("server-snippet", FIELDS)]);
    let site = site_with(&(first + &other), &[]).await;
    for path in ["/", "/b"] {
        let answer = site.get(path).await;
        assert_eq!((answer.status, has_fields(&answer)), (200, true), "{path}");
    }
}

/// Without `allow-snippet-annotations` it is as if it were not there.
#[tokio::test]
async fn case_2_and_4_switched_off() {
    for annotation in ["server-snippet", "configuration-snippet"] {
        let yaml = ingress("a", &[(annotation, FIELDS)]);
        let keys = [("annotations-risk-level", "Critical")];
        let site = Site::with(&["echo"], &(yaml + &config_map("config", &keys)), &[FLAG]).await;
        let answer = site.get("/").await;
        assert_eq!((answer.status, answer.header("foo")), (200, None), "{annotation}");
    }
}

/// Over `annotations-risk-level`, which is High by default, the Ingress is
/// refused, allowed or not.
#[tokio::test]
async fn over_the_risk_level() {
    let yaml = ingress("a", &[("configuration-snippet", FIELDS)]);
    for keys in [&[("allow-snippet-annotations", "true")][..], &[]] {
        let site = Site::with(&["echo"], &(yaml.clone() + &config_map("config", keys)), &[FLAG]).await;
        assert_eq!(site.get("/").await.status, 404);
    }
}

/// Headers of a configuration-snippet are on answers of its routes.
#[tokio::test]
async fn case_3_configuration_snippet() {
    let site = site(&[("configuration-snippet", FIELDS)]).await;
    assert!(has_fields(&site.get("/").await));
}

/// Switched off, the annotation's part is absent and the ConfigMap's is kept;
/// allowed, both are there.
#[tokio::test]
async fn case_6_and_settings_server_snippet_1() {
    let yaml = ingress("a", &[("server-snippet", FIELDS)]);
    let keys = [
        ("annotations-risk-level", "Critical"),
        ("server-snippet", "more_set_headers \"Of: ConfigMap\";"),
        ("location-snippet", "more_set_headers \"Location-Of: ConfigMap\";"),
    ];
    let off = Site::with(&["echo"], &(yaml.clone() + &config_map("config", &keys)), &[FLAG]).await;
    let on = site_with(&yaml, &keys[1..]).await;
    for (site, own) in [(off, false), (on, true)] {
        let answer = site.get("/").await;
        assert_eq!(answer.header("of"), Some("ConfigMap"));
        assert_eq!(answer.header("location-of"), Some("ConfigMap"));
        assert_eq!(has_fields(&answer), own);
        let unknown = site.ask_host("unknown", "/").await;
        assert_eq!((unknown.status, unknown.header("of")), (404, Some("ConfigMap")));
    }
}

/// A line that is not served closes the routes and is named, of a server-snippet
/// all routes of the host; other routes are served.
#[tokio::test]
async fn a_refused_line_closes_its_routes() {
    for (annotation, neighbour) in [("configuration-snippet", 200), ("server-snippet", 503)] {
        let yaml = ingress("a", &[(annotation, "return 403;\nlimit_req zone=a;\n")])
            + &ingress_of("b", HOST, &[], &[("/b", "Prefix", "other")])
            + &ingress_of("c", "bar", &[], &[("/", "Prefix", "other")]);
        let site = site_with(&yaml, &[]).await;
        assert_eq!(site.get("/").await.status, 503);
        assert_eq!(site.get("/b").await.status, neighbour, "{annotation}");
        assert_eq!(site.ask_host("bar", "/").await.status, 200);
        let problems = problems(&site).await;
        assert!(problems.contains("line 2: `limit_req`"), "{problems}");
        assert!(problems.contains("limit-rps"), "{problems}");
    }
}

/// `return` of the host comes before the redirect to https and before the route;
/// that of a route comes before the redirect, too.
#[tokio::test]
async fn returns_come_before_the_redirect_to_https() {
    let tls = format!("  tls: [{{hosts: [{HOST}], secretName: tls}}]\n");
    let snippets = [
        (
            "server-snippet",
            "if ($request_uri ~* \"^/(metrics|actuator)\") { return 403; }",
        ),
        (
            "configuration-snippet",
            "if ($uri = /plain) { return 200 plain; }",
        ),
    ];
    let yaml = ingress("a", &snippets) + &tls + &certificate_secret("tls", &[HOST]);
    let site = site_with(&yaml, &[]).await;
    let status = async |path| site.get(path).await.status;
    assert_eq!(status("/metrics").await, 403);
    assert_eq!(status("/plain").await, 200);
    assert_eq!(status("/").await, 308);
    let mut client = site.tls(HOST).await;
    assert_eq!(client.get(HOST, "/actuator/env").await.status, 403);
}

/// Redirects with the host, the URI and the query of the request.
#[tokio::test]
async fn redirects() {
    let text = "if ($host = 'foo') { return 301 https://www.foo$request_uri; }\n";
    let site = site(&[("server-snippet", text)]).await;
    let answer = site.get("/a%20b?c=d").await;
    assert_eq!(answer.status, 301);
    assert_eq!(answer.header("location"), Some("https://www.foo/a%20b?c=d"));
    assert_eq!(answer.header("content-type"), Some("text/html"));
}

/// A redirect to a path names scheme and host.
#[tokio::test]
async fn redirects_to_paths_are_absolute() {
    let site = site(&[("configuration-snippet", "return 302 /login$is_args$args;")]).await;
    let answer = site.get("/?a=b").await;
    assert_eq!(answer.header("location"), Some("http://foo/login?a=b"));
}

/// Conditions on headers, cookies, arguments and the method; a text as answer.
#[tokio::test]
async fn conditions() {
    let text = "
        if ($request_method !~ ^(GET|HEAD)$) { return 405; }
        if ($http_user_agent ~* \"(curl|bot)\") { return 403 'no bots'; }
        if ($cookie_role = admin) { return 200 admin; }
        if ($arg_old) { return 410; }
        set $seen \"$http_x_a.\";
        if ($seen = yes.) { return 204; }
    ";
    let site = site(&[("configuration-snippet", text)]).await;
    for (fields, status) in [
        ("", 200),
        ("User-Agent: Googlebot/1\r\n", 403),
        ("User-Agent: fox\r\n", 200),
        ("Cookie: a=b; role=admin\r\n", 200),
        ("X-A: yes\r\n", 204),
    ] {
        assert_eq!(site.ask_with("/", fields).await.status, status, "{fields}");
    }
    let admin = site.ask_with("/", "Cookie: role=admin\r\n").await;
    assert_eq!(admin.text(), "admin");
    assert_eq!(site.get("/?old=1").await.status, 410);
    let post = "POST / HTTP/1.1\r\nHost: foo\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
    assert_eq!(site.request(post).await.status, 405);
}

/// 444 closes the connection without an answer.
#[tokio::test]
async fn a_closed_connection() {
    let site = site(&[("configuration-snippet", "if ($arg_bad) { return 444; }")]).await;
    assert_eq!(site.get("/").await.status, 200);
    let mut client = Client::connect(site.program.http).await;
    client.send("GET /?bad=1 HTTP/1.1\r\nHost: foo\r\n\r\n").await;
    assert_eq!(client.rest().await, b"");
    assert_eq!(site.echo("echo").count(), 1);
}

/// Over HTTP/2 444 ends the stream without an answer, and only that stream.
#[tokio::test]
async fn a_closed_stream() {
    let text = "if ($arg_bad) { return 444; }";
    let site = site(&[("configuration-snippet", text)]).await;
    let mut client = site.http2(HOST).await;
    for (query, wanted) in [
        ("?bad=1", None),
        ("", Some(200)),
        ("?bad=1", None),
        ("", Some(200)),
    ] {
        let uri = format!("https://{HOST}/{query}");
        let request = http::Request::get(uri).body(()).unwrap();
        let (answer, _) = client.send_request(request, true).unwrap();
        let answer = tokio::time::timeout(PATIENCE, answer).await.expect("an end");
        match wanted {
            Some(status) => assert_eq!(answer.unwrap().status(), status),
            None => assert!(answer.unwrap_err().is_reset(), "{query}"),
        }
    }
    assert_eq!(site.echo("echo").count(), 2);
}

/// Rewrites: `break` stays, `last` finds another route, a redirect answers; the
/// query is kept unless the replacement ends in `?`.
#[tokio::test]
async fn rewrites() {
    let text = "
        rewrite ^/a/(.*)$ /x/$1 break;
        rewrite ^/other/(.*)$ /b/$1?c=$1 last;
        rewrite ^/cut$ /y? break;
        rewrite ^/gone/(.*)$ /new/$1 permanent;
        rewrite ^/loop(.*)$ /loop$1;
    ";
    let yaml = ingress("a", &[("configuration-snippet", text)])
        + &ingress_of("b", HOST, &[], &[("/b", "Prefix", "other")]);
    let site = site_with(&yaml, &[]).await;
    for (path, service, uri) in [
        ("/a/1?q=2", "echo", "/x/1?q=2"),
        ("/other/1?q=2", "other", "/b/1?c=1&q=2"),
        ("/cut?q=2", "echo", "/y"),
        ("/none?q=2", "echo", "/none?q=2"),
    ] {
        let echo = site.get(path).await.json();
        assert_eq!(
            (&echo["upstream"], &echo["uri"]),
            (&service.into(), &uri.into()),
            "{path}"
        );
    }
    let gone = site.get("/gone/a?b").await;
    assert_eq!(
        (gone.status, gone.header("location")),
        (301, Some("http://foo/new/a?b"))
    );
    assert_eq!(site.get("/loop").await.status, 500);
}

/// A rewrite of the host chooses the route.
#[tokio::test]
async fn rewrites_of_the_host() {
    let text = "rewrite ^/old/(.*)$ /b/$1 break;";
    let yaml =
        ingress("a", &[("server-snippet", text)]) + &ingress_of("b", HOST, &[], &[("/b", "Prefix", "other")]);
    let site = site_with(&yaml, &[]).await;
    let echo = site.get("/old/1?q").await.json();
    assert_eq!(
        (&echo["upstream"], &echo["uri"]),
        (&"other".into(), &"/b/1?q".into())
    );
}

/// `location` of a host: exact, regular expressions, then the longest prefix;
/// the paths of Ingresses come between.
#[tokio::test]
async fn locations() {
    let text = "
        location /metrics { deny all; }
        location = /health { return 200 fine; }
        location ~* \\.(git|env) { return 404; }
        location /b { add_header X-Of snippet; return 204; }
        location /nothing { }
    ";
    let yaml = ingress("a", &[("server-snippet", text)])
        + &ingress_of("b", HOST, &[], &[("/b/long", "Prefix", "other")]);
    let site = site_with(&yaml, &[]).await;
    for (path, status) in [
        ("/", 200),
        ("/metrics", 403),
        ("/metrics/a", 403),
        ("/%6Detrics", 403),
        ("/a/../metrics", 403),
        ("/health", 200),
        ("/health/a", 200),
        ("/b/.GIT/config", 404),
        ("/b/short", 204),
        ("/b/long/x", 200),
        ("/nothing", 404),
    ] {
        assert_eq!(site.get(path).await.status, status, "{path}");
    }
    assert_eq!(site.get("/health").await.text(), "fine");
    assert_eq!(site.get("/b/").await.header("x-of"), Some("snippet"));
    assert_eq!(site.get("/b/long").await.json()["upstream"], "other");
}

/// `allow` and `deny`, the first about the address decides; of a host for routes
/// without any of their own.
#[tokio::test]
async fn addresses() {
    let yaml = ingress("a", &[("server-snippet", "deny 127.0.0.0/8;\nallow all;")])
        + &ingress_of(
            "b",
            HOST,
            &[("configuration-snippet", "allow 127.0.0.1;\ndeny all;")],
            &[("/b", "Prefix", "echo")],
        )
        + &ingress_of(
            "c",
            HOST,
            &[("whitelist-source-range", "127.0.0.0/8")],
            &[("/c", "Prefix", "echo")],
        );
    let site = site_with(&yaml, &[]).await;
    assert_eq!(site.get("/").await.status, 403);
    assert_eq!(site.get("/b").await.status, 200);
    assert_eq!(site.get("/c").await.status, 200);
}

/// `add_header` on good answers, or `always`; those of an `if` replace those
/// around it; `more_*` on every answer.
#[tokio::test]
async fn fields_of_answers() {
    let text = "
        add_header X-Good yes;
        add_header X-Always \"$request_method\" always;
        more_set_headers -s 404 \"X-Missing: $status\";
        more_clear_headers \"X-Upstream-*\";
        proxy_hide_header X-Secret;
        expires 1h;
        if ($arg_if) { add_header X-If yes; }
    ";
    let site = site(&[("configuration-snippet", text)]).await;
    site.echo("echo")
        .set(|echo| echo.headers = "X-Upstream-A: 1\r\nX-Secret: 2\r\n".to_owned());
    let answer = site.get("/").await;
    assert_eq!(answer.header("x-good"), Some("yes"), "{}", answer.head);
    assert_eq!(answer.header("x-always"), Some("GET"));
    assert_eq!(answer.header("cache-control"), Some("max-age=3600"));
    assert_eq!(
        (answer.header("x-upstream-a"), answer.header("x-secret")),
        (None, None)
    );
    let inside = site.get("/?if=1").await;
    assert_eq!(
        (
            inside.header("x-if"),
            inside.header("x-good"),
            inside.header("x-always")
        ),
        (Some("yes"), None, None)
    );
    site.echo("echo").set(|echo| echo.status = 404);
    let missing = site.get("/").await;
    assert_eq!(missing.header("x-missing"), Some("404"));
    assert_eq!(
        (missing.header("x-good"), missing.header("x-always")),
        (None, Some("GET"))
    );
    assert_eq!(missing.header("cache-control"), None);
}

/// Headers for the backend: set, removed, with variables of the snippet; those
/// of the client changed and taken away.
#[tokio::test]
async fn fields_of_requests() {
    let text = "
        set $team \"$http_x_team\";
        if ($team = '') { set $team none; }
        proxy_set_header X-Team $team;
        proxy_set_header X-Gone '';
        proxy_set_header Upgrade $http_upgrade;
        proxy_set_header Connection \"upgrade\";
        more_set_input_headers \"X-In: $remote_addr\";
        more_clear_input_headers X-Internal-*;
    ";
    let site = site(&[("configuration-snippet", text)]).await;
    let fields = "X-Gone: 1\r\nX-Internal-A: 1\r\nX-In: 2\r\n";
    site.ask_with("/", fields).await;
    let seen = site.echo("echo").last();
    assert_eq!(seen.header("x-team"), Some("none"));
    assert_eq!(seen.header("x-in"), Some("127.0.0.1"));
    assert_eq!((seen.header("x-gone"), seen.header("x-internal-a")), (None, None));
    site.ask_with("/", "X-Team: red\r\n").await;
    assert_eq!(site.echo("echo").last().header("x-team"), Some("red"));
}

/// Limits of a snippet win over those of annotations.
#[tokio::test]
async fn limits() {
    let annotations = [
        ("proxy-body-size", "1m"),
        ("configuration-snippet", "client_max_body_size 10;"),
    ];
    let site = site(&annotations).await;
    let post = "POST / HTTP/1.1\r\nHost: foo\r\nContent-Length: 11\r\nConnection: close\r\n\r\n12345678901";
    assert_eq!(site.request(post).await.status, 413);
}

/// `annotations/auth.go` 9 and 10, `settings/global_external_auth.go` 9:
/// headers of the question; without `auth-url` it is ignored.
#[tokio::test]
async fn auth_9_and_10_snippet() {
    let auth = AuthServer::start().await;
    let url = auth.url("/auth");
    let text = "proxy_set_header My-Custom-Header 42;";
    let yaml = ingress("a", &[("auth-url", &url), ("auth-snippet", text)])
        + &ingress_of(
            "b",
            "bar",
            &[("auth-snippet", "nonsense;")],
            &[("/", "Prefix", "echo")],
        );
    let site = site_with(&yaml, &[]).await;
    site.get("/").await;
    assert_eq!(auth.last("my-custom-header").as_deref(), Some("42"));
    assert_eq!(site.ask_host("bar", "/").await.status, 200);
    let keys = [
        ("global-auth-url", url.as_str()),
        ("global-auth-snippet", "proxy_set_header My-Custom-Header 43;"),
    ];
    let site = site_with(&ingress("a", &[]), &keys).await;
    site.get("/").await;
    assert_eq!(auth.last("my-custom-header").as_deref(), Some("43"));
}
