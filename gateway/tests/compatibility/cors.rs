//! `annotations/cors.go`.

use crate::site::{Site, ingress};
use crate::support::client::Answer;

async fn site(annotations: &[(&str, &str)]) -> Site {
    let mut all = vec![("enable-cors", "true")];
    all.extend_from_slice(annotations);
    Site::start(&ingress("a", &all)).await
}

async fn from(site: &Site, origin: &str) -> Answer {
    site.ask_with("/", &format!("Origin: {origin}\r\n")).await
}

fn allowed(answer: &Answer) -> Option<&str> {
    assert_eq!(answer.status, 200);
    answer.header("access-control-allow-origin")
}

async fn preflight(site: &Site, origin: &str) -> Answer {
    site.request(&format!(
        "OPTIONS / HTTP/1.1\r\nHost: foo\r\nOrigin: {origin}\r\nConnection: close\r\n\r\n"
    ))
    .await
}

/// The defaults, also on a plain answer without `Origin`.
#[tokio::test]
async fn case_1_11_12_defaults() {
    let site = site(&[]).await;
    let answer = site.get("/").await;
    assert_eq!(allowed(&answer), Some("*"));
    for (name, value) in [
        ("access-control-allow-credentials", "true"),
        (
            "access-control-allow-methods",
            "GET, PUT, POST, DELETE, PATCH, OPTIONS",
        ),
        (
            "access-control-allow-headers",
            "DNT,Keep-Alive,User-Agent,X-Requested-With,If-Modified-Since,Cache-Control,Content-Type,Range,Authorization",
        ),
        ("access-control-max-age", "1728000"),
    ] {
        assert_eq!(answer.header(name), Some(value), "{name}");
    }
    assert_eq!(answer.header("access-control-expose-headers"), None);
    assert_eq!(answer.header("vary"), None);
    let answer = preflight(&site, "http://any.example").await;
    assert_eq!(answer.status, 204);
    assert_eq!(answer.header("access-control-allow-origin"), Some("*"));
    assert_eq!(answer.header("content-type"), Some("text/plain charset=UTF-8"));
    assert_eq!(
        site.echo("echo").count(),
        1,
        "preflights do not reach the backend"
    );
}

/// Methods, age, credentials, headers and exposed headers as written.
#[tokio::test]
async fn case_2_3_4_6_7_values() {
    let site = site(&[
        ("cors-allow-methods", "POST, GET"),
        ("cors-max-age", "200"),
        ("cors-allow-credentials", "false"),
        ("cors-allow-headers", "DNT, User-Agent"),
        (
            "cors-expose-headers",
            "X-CustomResponseHeader, X-CustomSecondHeader",
        ),
    ])
    .await;
    let answer = site.get("/").await;
    for (name, value) in [
        ("access-control-allow-methods", Some("POST, GET")),
        ("access-control-max-age", Some("200")),
        ("access-control-allow-credentials", None),
        ("access-control-allow-headers", Some("DNT, User-Agent")),
        (
            "access-control-expose-headers",
            Some("X-CustomResponseHeader, X-CustomSecondHeader"),
        ),
    ] {
        assert_eq!(answer.header(name), value, "{name}");
    }
}

/// An origin with a port is repeated.
#[tokio::test]
async fn case_5_one_origin() {
    let origin = "https://origin.cors.com:8080";
    let site = site(&[("cors-allow-origin", origin)]).await;
    assert_eq!(allowed(&from(&site, origin).await), Some(origin));
}

/// Of a list just the origin that asks is repeated; others get nothing, and
/// caches are told.
#[tokio::test]
async fn case_8_9_list() {
    let list = "https://origin.cors.com:8080, https://origin.cors2.com";
    let site = site(&[("cors-allow-origin", list)]).await;
    let answer = from(&site, "https://origin.cors.com:8080").await;
    assert_eq!(allowed(&answer), Some("https://origin.cors.com:8080"));
    assert_eq!(answer.header("vary"), Some("Origin"));
    let answer = from(&site, "http://no.origin.com").await;
    assert_eq!(allowed(&answer), None);
    assert_eq!(answer.header("access-control-allow-methods"), None);
    assert_eq!(answer.header("vary"), Some("Origin"));
    assert_eq!(preflight(&site, "http://no.origin.com").await.status, 200);
    assert_eq!(site.echo("echo").last().method, "OPTIONS");
}

/// An entry without a scheme counts for nothing; the others do.
#[tokio::test]
async fn case_10_entry_without_scheme() {
    let list = "origin.com, https://origin.cors.com, http://origin.cors2.com:9000";
    let site = site(&[("cors-allow-origin", list)]).await;
    assert_eq!(allowed(&from(&site, "origin.com").await), None);
    assert_eq!(allowed(&from(&site, "https://origin.com").await), None);
    for origin in ["https://origin.cors.com", "http://origin.cors2.com:9000"] {
        assert_eq!(allowed(&from(&site, origin).await), Some(origin));
    }
}

/// `*` wins over what stands beside it.
#[tokio::test]
async fn case_13_star_in_a_list() {
    let site = site(&[("cors-allow-origin", "*, foo.bar.com")]).await;
    assert_eq!(allowed(&from(&site, "https://foo.bar.com").await), Some("*"));
}

/// A dot is a dot, and ports must be equal.
#[tokio::test]
async fn case_14_to_17_exact() {
    let list = "https://foo.bar.com, http://port.com:8080";
    let site = site(&[("cors-allow-origin", list)]).await;
    for (origin, repeated) in [
        ("https://fooxbar.com", false),
        ("http://port.com:8080", true),
        ("https://foo.bar.com:8080", false),
        ("http://port.com", false),
        // Not in their tests: they compare the end only.
        ("xhttps://foo.bar.com", false),
        ("https://foo.bar.com.evil.com", false),
    ] {
        let answer = from(&site, origin).await;
        assert_eq!(allowed(&answer), repeated.then_some(origin), "{origin}");
    }
}

/// `*.` is one label, never none and never two; ports count.
#[tokio::test]
async fn case_18_to_22_wildcards() {
    let list = "http://*.origin.cors.com, http://*.origin.com:8080";
    let site = site(&[("cors-allow-origin", list)]).await;
    for (origin, repeated) in [
        ("http://foo.origin.cors.com", true),
        ("http://bar-foo.origin.cors.com", true),
        ("http://bar.foo.origin.cors.com", false),
        ("http://origin.cors.com", false),
        ("http://abc.origin.com:8080", true),
        ("http://abc.origin.com", false),
        ("http://origin.com:8080", false),
    ] {
        let answer = from(&site, origin).await;
        assert_eq!(allowed(&answer), repeated.then_some(origin), "{origin}");
    }
}

/// A list of blanks is no list: `*`.
#[tokio::test]
async fn case_23_blanks() {
    let site = site(&[("cors-allow-origin", "   ")]).await;
    assert_eq!(allowed(&from(&site, "http://any.example").await), Some("*"));
}

/// Blanks and commas around entries do not matter.
#[tokio::test]
async fn case_24_commas() {
    let list = " http://foo.bar.com,, https://bar.com:8080 ,";
    let site = site(&[("cors-allow-origin", list)]).await;
    for origin in ["http://foo.bar.com", "https://bar.com:8080"] {
        assert_eq!(allowed(&from(&site, origin).await), Some(origin));
    }
    assert_eq!(allowed(&from(&site, "http://other.com").await), None);
}

/// Any scheme will do.
#[tokio::test]
async fn case_25_schemes() {
    let site = site(&[("cors-allow-origin", "test://localhost, tauri://localhost:3000")]).await;
    for origin in ["test://localhost", "tauri://localhost:3000"] {
        assert_eq!(allowed(&from(&site, origin).await), Some(origin));
    }
}

/// The backend's own fields are replaced, preflights come before the redirect
/// to https, and refusals carry the fields too.
#[tokio::test]
async fn order_of_things() {
    let yaml = ingress("a", &[("enable-cors", "true"), ("force-ssl-redirect", "true")]);
    let site = Site::start(&yaml).await;
    assert_eq!(preflight(&site, "http://a.b").await.status, 204);
    let answer = site.get("/").await;
    assert_eq!(answer.status, 308);
    assert_eq!(answer.header("access-control-allow-origin"), Some("*"));
    let yaml = ingress(
        "a",
        &[
            ("enable-cors", "true"),
            ("cors-allow-origin", "http://a.b"),
            ("whitelist-source-range", "10.0.0.0/8"),
        ],
    );
    site.write("objects.yaml", &site.objects(&yaml));
    site.until("foo", "/", |answer| answer.status == 403).await;
    let answer = from(&site, "http://a.b").await;
    assert_eq!(answer.status, 403);
    assert_eq!(answer.header("access-control-allow-origin"), Some("http://a.b"));
    site.write(
        "objects.yaml",
        &site.objects(&ingress("a", &[("enable-cors", "true")])),
    );
    site.echo("echo").set(|behaviour| {
        behaviour.headers = "Access-Control-Allow-Origin: http://backend\r\n".to_owned();
    });
    let answer = site.until("foo", "/", |answer| answer.status == 200).await;
    let fields = answer
        .headers
        .iter()
        .filter(|(name, _)| name.eq_ignore_ascii_case("access-control-allow-origin"));
    assert_eq!(fields.map(|(_, value)| value).collect::<Vec<_>>(), ["*"]);
}
