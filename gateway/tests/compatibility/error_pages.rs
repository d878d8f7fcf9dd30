//! `annotations/customhttperrors.go`, `annotations/default_backend.go`,
//! `annotations/disableproxyintercepterrors.go`, `defaultbackend/`: who answers
//! in place of a backend.

use crate::auth::htpasswd;
use crate::site::{HOST, Site, config_map, ingress, ingress_of, service};
use crate::support::client::{Answer, Client};
use crate::support::upstream::Close;

const CONFIG: &str = "--configmap=default/config";
const ERRORS: &str = "--default-backend-service=default/errors";

/// A site whose Services `errors` and `own` answer for others: `errors` by the
/// flag.
async fn site(annotations: &[(&str, &str)], config: &[(&str, &str)]) -> Site {
    let yaml = ingress("web", annotations) + &config_map("config", config);
    Site::with(&["echo", "errors", "own"], &yaml, &[CONFIG, ERRORS]).await
}

/// Lets the backend answer with this status.
fn answers(site: &Site, service: &str, status: u16) {
    site.echo(service).set(|behaviour| behaviour.status = status);
}

/// The field that the Service saw.
fn saw(site: &Site, service: &str, field: &str) -> Option<String> {
    site.echo(service).last().header(field).map(str::to_owned)
}

fn upstream(answer: &Answer) -> String {
    answer.json()["upstream"].as_str().unwrap().to_owned()
}

/// The ConfigMap's statuses are replaced by pages of the default backend, and
/// only those, also after a change.
#[tokio::test]
async fn customhttperrors_1_config_map() {
    let site = site(&[], &[("custom-http-errors", "404,500")]).await;
    for (status, by) in [(200, "echo"), (404, "errors"), (500, "errors"), (503, "echo")] {
        answers(&site, "echo", status);
        let answer = site.get("/a?b").await;
        assert_eq!(upstream(&answer), by, "{status}");
        // What the page says counts.
        assert_eq!(answer.status, if by == "errors" { 200 } else { status });
    }
    let yaml = ingress("web", &[]) + &config_map("config", &[("custom-http-errors", "503")]);
    site.write("objects.yaml", &site.objects(&yaml));
    site.until(HOST, "/", |answer| upstream(answer) == "errors").await;
    answers(&site, "echo", 404);
    assert_eq!(site.get("/").await.status, 404);
}

/// An Ingress's own list replaces the ConfigMap's; with `default-backend` its
/// own Service makes the pages.
#[tokio::test]
async fn customhttperrors_1_annotation() {
    let lists = ingress_of(
        "lists",
        "lists",
        &[("custom-http-errors", "404, 503")],
        &[("/", "Prefix", "echo")],
    );
    let own = [("custom-http-errors", "404"), ("default-backend", "own")];
    let yaml = lists + &ingress("own", &own) + &config_map("config", &[("custom-http-errors", "500")]);
    let site = Site::with(&["echo", "errors", "own"], &yaml, &[CONFIG, ERRORS]).await;
    for (status, by) in [(404, "errors"), (503, "errors"), (500, "echo")] {
        answers(&site, "echo", status);
        assert_eq!(upstream(&site.ask_host("lists", "/").await), by, "{status}");
    }
    answers(&site, "echo", 404);
    assert_eq!(upstream(&site.get("/").await), "own");
}

/// What a request for a page says: `/` with the query, and what went wrong
/// where.
#[tokio::test]
async fn customhttperrors_fields() {
    let site = site(&[("custom-http-errors", "418")], &[]).await;
    answers(&site, "echo", 418);
    answers(&site, "errors", 410);
    let answer = site
        .ask_with(
            "/some/where?a=b",
            "Accept: text/x-mine\r\nX-Code: 7\r\nRange: bytes=0-1\r\n",
        )
        .await;
    assert_eq!(answer.status, 410);
    let id = saw(&site, "echo", "X-Request-ID");
    let page = site.echo("errors").last();
    assert_eq!((page.method.as_str(), page.uri.as_str()), ("GET", "/?a=b"));
    for (field, value) in [
        ("X-Code", Some("418")),
        ("X-Format", Some("text/x-mine")),
        ("X-Original-URI", Some("/some/where?a=b")),
        ("X-Namespace", Some("default")),
        ("X-Ingress-Name", Some("web")),
        ("X-Service-Name", Some("echo")),
        ("X-Service-Port", Some("80")),
        ("X-Request-ID", id.as_deref()),
        ("X-Forwarded-For", Some("127.0.0.1")),
        ("Host", Some(HOST)),
        ("Range", None),
    ] {
        assert_eq!(page.header(field), value, "{field}");
    }
}

/// A page costs neither the client's connection nor, sent with a body of any
/// size, its next request.
#[tokio::test]
async fn customhttperrors_keeps_connections() {
    let annotations = [("custom-http-errors", "404"), ("proxy-body-size", "8m")];
    let site = site(&annotations, &[]).await;
    answers(&site, "echo", 404);
    let mut client = Client::connect(site.program.http).await;
    for length in [0, 10, 300_000, 2_000_000] {
        let head = format!("POST /x HTTP/1.1\r\nHost: {HOST}\r\nContent-Length: {length}\r\n\r\n");
        let answer = client
            .request([head.as_bytes(), &vec![b'x'; length]].concat())
            .await;
        assert_eq!(upstream(&answer), "errors", "{length}");
        let page = site.echo("errors").last();
        assert_eq!((page.method.as_str(), page.body.len()), ("POST", 0), "{length}");
        assert_eq!(site.echo("echo").last().body.len(), length);
    }
}

/// What the gateway itself answers for want of a backend has pages, too.
#[tokio::test]
async fn customhttperrors_of_failures() {
    let yaml = ingress("web", &[])
        + &ingress_of("gone", "gone", &[], &[("/", "Prefix", "nothing")])
        + &config_map("config", &[("custom-http-errors", "404,502,503")]);
    let site = Site::with(&["echo", "errors"], &yaml, &[CONFIG, ERRORS]).await;
    site.echo("echo")
        .set(|behaviour| behaviour.close = Close::BeforeAnswer);
    assert_eq!(upstream(&site.get("/x").await), "errors");
    assert_eq!(saw(&site, "errors", "X-Code").as_deref(), Some("502"));
    assert_eq!(upstream(&site.ask_host("gone", "/x").await), "errors");
    assert_eq!(saw(&site, "errors", "X-Code").as_deref(), Some("503"));
    assert_eq!(saw(&site, "errors", "X-Service-Name").as_deref(), Some("nothing"));
    assert_eq!(site.echo("errors").last().uri, "/");
    // The default backend's own 404 is replaced by its page for that.
    answers(&site, "errors", 404);
    assert_eq!(site.ask_host("unknown", "/x").await.status, 404);
    assert_eq!(site.echo("errors").last().uri, "/");
    assert_eq!(saw(&site, "errors", "X-Namespace"), None);
}

/// A refusal gets a page and stays a refusal.
#[tokio::test]
async fn customhttperrors_of_refusals() {
    let list = ("custom-http-errors", "401,403,404,413,503");
    let basic = [
        list,
        ("auth-type", "basic"),
        ("auth-secret", "users"),
        ("auth-realm", "r"),
    ];
    let yaml = ingress("web", &basic)
        + &htpasswd()
        + &ingress_of(
            "denied",
            "denied",
            &[list, ("denylist-source-range", "127.0.0.0/8")],
            &[("/", "Prefix", "echo")],
        )
        + &ingress_of(
            "small",
            "small",
            &[list, ("proxy-body-size", "1")],
            &[("/", "Prefix", "echo")],
        )
        + &ingress_of(
            "broken",
            "broken",
            &[list, ("auth-type", "basic"), ("auth-secret", "missing")],
            &[("/", "Prefix", "echo")],
        );
    let site = Site::with(&["echo", "errors"], &yaml, &[ERRORS]).await;
    let answer = site.get("/").await;
    assert_eq!((answer.status, upstream(&answer).as_str()), (401, "errors"));
    assert_eq!(answer.header("WWW-Authenticate"), Some("Basic realm=\"r\""));
    assert_eq!(saw(&site, "errors", "X-Code").as_deref(), Some("401"));
    let answer = site.ask_host("denied", "/").await;
    assert_eq!((answer.status, upstream(&answer).as_str()), (403, "errors"));
    let post = "POST / HTTP/1.1\r\nHost: small\r\nContent-Length: 2\r\nConnection: close\r\n\r\nab";
    let answer = site.request(post).await;
    assert_eq!((answer.status, upstream(&answer).as_str()), (413, "errors"));
    let asked = site.echo("errors").count();
    assert_eq!(site.ask_host("broken", "/").await.status, 503);
    assert_eq!(
        site.echo("errors").count(),
        asked,
        "closed for want of a Secret: no page"
    );
    assert_eq!(site.echo("echo").count(), 0, "nothing was let in");

    // A page that cannot be had, or has no body, changes nothing.
    answers(&site, "errors", 204);
    let answer = site.get("/").await;
    assert_eq!((answer.status, answer.body.len()), (401, 0));
    site.echo("errors")
        .set(|behaviour| behaviour.close = Close::BeforeAnswer);
    let answer = site.get("/").await;
    assert_eq!(answer.status, 401);
    assert_eq!(answer.header("WWW-Authenticate"), Some("Basic realm=\"r\""));
}

/// The failure of a page is shown, and has no page.
#[tokio::test]
async fn customhttperrors_of_pages() {
    let site = site(&[("custom-http-errors", "404,502")], &[]).await;
    answers(&site, "echo", 404);
    answers(&site, "errors", 404);
    assert_eq!(site.get("/").await.status, 404);
    assert_eq!(site.echo("errors").count(), 1);
    site.echo("errors")
        .set(|behaviour| behaviour.close = Close::BeforeAnswer);
    assert_eq!(site.get("/").await.status, 502);
}

/// A Service without endpoints: the default backend gets the request as it is.
#[tokio::test]
async fn default_backend_1() {
    let yaml = ingress_of(
        "web",
        HOST,
        &[("default-backend", "own")],
        &[("/", "Prefix", "invalid")],
    );
    let site = Site::with(&["own"], &yaml, &[]).await;
    let head = format!("POST /alma/armud?a HTTP/1.1\r\nHost: {HOST}\r\nX-Request-ID: 7\r\n");
    let answer = site
        .request(&(head + "Content-Length: 4\r\nConnection: close\r\n\r\nbody"))
        .await;
    assert_eq!((answer.status, upstream(&answer).as_str()), (200, "own"));
    let seen = site.echo("own").last();
    assert_eq!(
        (seen.method.as_str(), seen.uri.as_str()),
        ("POST", "/alma/armud?a")
    );
    assert_eq!(seen.body, b"body");
    for (field, value) in [
        ("X-Code", "503"),
        ("X-Namespace", "default"),
        ("X-Ingress-Name", "web"),
        ("X-Service-Name", "invalid"),
        ("X-Service-Port", "80"),
        ("X-Request-ID", "7"),
    ] {
        assert_eq!(seen.header(field), Some(value), "{field}");
    }
    answers(&site, "own", 418);
    assert_eq!(site.get("/").await.status, 418, "its status counts");
}

/// A default backend without endpoints is none; one with is used as soon as it
/// has one, and the Service itself as soon as that has one.
#[tokio::test]
async fn default_backend_without_endpoints() {
    let yaml = ingress_of(
        "web",
        HOST,
        &[("default-backend", "late")],
        &[("/", "Prefix", "later")],
    ) + &service("late", &[])
        + &service("later", &[]);
    let site = Site::with(&["echo", "own"], &yaml, &[]).await;
    assert_eq!(site.get("/").await.status, 503);
    let endpoint = |name: &str, echo: &str| {
        let port = site.echo(echo).address.port();
        let both = service(name, &[port]);
        both.split_once("---\napiVersion: discovery")
            .unwrap()
            .1
            .to_owned()
    };
    let slice = |name, echo| format!("---\napiVersion: discovery{}", endpoint(name, echo));
    site.write("late.yaml", &slice("late", "own"));
    let answer = site.until(HOST, "/", |answer| answer.status == 200).await;
    assert_eq!(upstream(&answer), "own");
    site.write("later.yaml", &slice("later", "echo"));
    site.until(HOST, "/", |answer| upstream(answer) == "echo").await;
}

/// With interception off the backend's errors pass, the gateway's own have
/// pages.
#[tokio::test]
async fn disableproxyintercepterrors_1() {
    let passes = [
        ("custom-http-errors", "404,502"),
        ("disable-proxy-intercept-errors", "true"),
        ("default-backend", "own"),
    ];
    let replaced = [
        ("custom-http-errors", "404"),
        ("disable-proxy-intercept-errors", "false"),
        ("default-backend", "own"),
    ];
    let yaml = ingress("passes", &passes)
        + &ingress_of("replaced", "replaced", &replaced, &[("/", "Prefix", "echo")]);
    let site = Site::with(&["echo", "own"], &yaml, &[]).await;
    site.echo("echo").set(|behaviour| {
        behaviour.status = 404;
        behaviour.body = Some(Vec::new());
    });
    let answer = site.get("/").await;
    assert_eq!((answer.status, answer.body.len()), (404, 0));
    let answer = site.ask_host("replaced", "/").await;
    assert_eq!((answer.status, upstream(&answer).as_str()), (200, "own"));
    assert_eq!(saw(&site, "own", "X-Code").as_deref(), Some("404"));
    assert_eq!(saw(&site, "own", "X-Ingress-Name").as_deref(), Some("replaced"));
    assert_eq!(saw(&site, "own", "X-Service-Name").as_deref(), Some("echo"));
    assert!(saw(&site, "own", "X-Request-ID").is_some());
    site.echo("echo")
        .set(|behaviour| behaviour.close = Close::BeforeAnswer);
    assert_eq!(upstream(&site.get("/").await), "own");
    assert_eq!(saw(&site, "own", "X-Code").as_deref(), Some("502"));
}

/// The Service of `--default-backend-service` answers what no rule fits.
#[tokio::test]
async fn defaultbackend_1_custom() {
    let site = site(&[], &[]).await;
    let answer = site.ask_host("unknown", "/").await;
    assert_eq!((answer.status, upstream(&answer).as_str()), (200, "errors"));
}

/// Without one, 404 for any host, method and path, also over TLS.
#[tokio::test]
async fn defaultbackend_2_default() {
    let site = Site::with(&[], "", &[]).await;
    for host in ["127.0.0.1", HOST] {
        for method in ["GET", "POST"] {
            for path in ["/", "/demo"] {
                let request = format!(
                    "{method} {path} HTTP/1.1\r\nHost: {host}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
                );
                let status = site.request(&request).await.status;
                assert_eq!(status, 404, "{request}");
                let status = site.tls(host).await.request(&request).await.status;
                assert_eq!(status, 404, "TLS, {request}");
            }
        }
    }
}

/// While that Service has no endpoints the built-in default backend answers,
/// also where it would make pages.
#[tokio::test]
async fn defaultbackend_without_endpoints() {
    let yaml = ingress("web", &[])
        + &service("errors", &[])
        + &config_map("config", &[("custom-http-errors", "500")]);
    let site = Site::with(&["echo"], &yaml, &[CONFIG, ERRORS]).await;
    assert_eq!(site.ask_host("unknown", "/").await.status, 404);
    answers(&site, "echo", 500);
    assert_eq!(site.get("/").await.status, 404);
}

/// A default backend of an Ingress beside a rule without paths: settings apply.
#[tokio::test]
async fn defaultbackend_6_with_hosts() {
    let yaml = "---\napiVersion: networking.k8s.io/v1\nkind: Ingress\nmetadata:\n  name: a\n  annotations:\n    \
        nginx.ingress.kubernetes.io/proxy-buffer-size: 8k\nspec:\n  ingressClassName: nginx\n  \
        defaultBackend: {service: {name: echo, port: {number: 80}}}\n  rules:\n  - host: foo\n";
    let site = Site::start(yaml).await;
    site.echo("echo")
        .set(|behaviour| behaviour.headers = format!("X-Large: {}\r\n", "x".repeat(6000)));
    assert_eq!(site.get("/").await.status, 200);
}

/// `ingress/` 11: its host is the Ingress's, others are nobody's, where another
/// Ingress has a default backend for its hosts.
#[tokio::test]
async fn ingress_11_default_backend_of_a_host() {
    let yaml = "---\napiVersion: networking.k8s.io/v1\nkind: Ingress\nmetadata: {name: a}\nspec:\n  \
        ingressClassName: nginx\n  defaultBackend: {service: {name: echo, port: {number: 80}}}\n  rules:\n  - host: foo\n";
    let site = Site::start(yaml).await;
    for (host, status) in [(HOST, 200), ("nobody", 404)] {
        assert_eq!(site.ask_host(host, "/").await.status, status, "{host}");
    }
}

/// Over TLS unknown names get the fallback certificate, with and without SNI.
#[tokio::test]
async fn defaultbackend_5_certificate() {
    let site = Site::with(&[], "", &[]).await;
    for name in ["", HOST] {
        let client = site.tls(name).await;
        let certificate = client.certificate.unwrap();
        let issuer = b"Kubernetes Ingress Controller Fake Certificate";
        assert!(
            certificate.windows(issuer.len()).any(|part| part == issuer),
            "{name:?}"
        );
    }
}
