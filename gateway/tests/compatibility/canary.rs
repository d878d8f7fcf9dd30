//! `annotations/canary.go`: the main Service is `echo`, the canary's `next`.

use std::collections::BTreeMap;

use crate::site::{HOST, Site, ingress, ingress_of};

const ALWAYS: &str = "X-Canary: always\r\n";
const NEVER: &str = "X-Canary: never\r\n";

fn canary(annotations: &[(&str, &str)]) -> String {
    let mut all = vec![("canary", "true")];
    all.extend(annotations);
    ingress_of("next", HOST, &all, &[("/", "Prefix", "next")])
}

async fn pair(annotations: &[(&str, &str)]) -> Site {
    Site::with(
        &["echo", "next"],
        &(ingress("main", &[]) + &canary(annotations)),
        &[],
    )
    .await
}

/// The Service that answered.
async fn who(site: &Site, fields: &str) -> String {
    let answer = site.ask_with("/info", fields).await;
    answer.json()["upstream"].as_str().unwrap().to_owned()
}

async fn shares(site: &Site, requests: usize) -> BTreeMap<String, usize> {
    let mut shares = BTreeMap::new();
    for _ in 0..requests {
        *shares.entry(who(site, "").await).or_default() += 1;
    }
    shares
}

/// Without the header requests go to main.
#[tokio::test]
async fn case_1_no_header() {
    let site = pair(&[("canary-by-header", "X-Canary")]).await;
    assert_eq!(who(&site, "").await, "echo");
}

/// A canary alone is not served.
#[tokio::test]
async fn case_2_alone() {
    let yaml = canary(&[("canary-by-header", "X-Canary")]);
    let site = Site::with(&["echo", "next"], &yaml, &[]).await;
    assert_eq!(site.ask_with("/info", ALWAYS).await.status, 404);
}

/// Main without endpoints is 503; a canary without endpoints leaves main.
#[tokio::test]
async fn case_3_without_endpoints() {
    let empty = |name| crate::site::service(name, &[]);
    let by_header = [("canary-by-header", "X-Canary")];
    let yaml =
        ingress_of("main", HOST, &[], &[("/", "Prefix", "empty")]) + &canary(&by_header) + &empty("empty");
    let site = Site::with(&["next"], &yaml, &[]).await;
    for fields in ["", ALWAYS] {
        assert_eq!(site.ask_with("/info", fields).await.status, 503, "{fields}");
    }
    let site = Site::with(
        &["echo"],
        &(ingress("main", &[]) + &canary(&by_header) + &empty("next")),
        &[],
    )
    .await;
    assert_eq!(who(&site, ALWAYS).await, "echo");
}

/// `never` goes to main, `always` to the canary.
#[tokio::test]
async fn case_4_main_first() {
    let site = pair(&[("canary-by-header", "X-Canary")]).await;
    assert_eq!(who(&site, NEVER).await, "echo");
    assert_eq!(who(&site, ALWAYS).await, "next");
}

/// The same where the canary is the older one.
#[tokio::test]
async fn case_5_canary_first() {
    let created = |yaml: String, time: &str| {
        yaml.replace(
            "  annotations:",
            &format!("  creationTimestamp: \"{time}\"\n  annotations:"),
        )
    };
    let yaml = created(
        canary(&[("canary-by-header", "X-Canary")]),
        "2024-01-01T00:00:00Z",
    ) + &created(ingress("main", &[]), "2024-01-01T00:00:09Z");
    let site = Site::with(&["echo", "next"], &yaml, &[]).await;
    assert_eq!(who(&site, NEVER).await, "echo");
    assert_eq!(who(&site, ALWAYS).await, "next");
}

/// A change of the main Ingress leaves its canary.
#[tokio::test]
async fn case_6_main_modified() {
    let canary = canary(&[("canary-by-header", "X-Canary")]);
    let site = Site::with(&["echo", "next"], &(ingress("main", &[]) + &canary), &[]).await;
    let changed = ingress("main", &[("server-alias", "bar")]) + &canary;
    site.write("objects.yaml", &site.objects(&changed));
    site.until("bar", "/", |answer| answer.status == 200).await;
    assert_eq!(who(&site, ALWAYS).await, "next");
    assert_eq!(who(&site, NEVER).await, "echo");
}

/// A changed header name of the canary takes effect.
#[tokio::test]
async fn case_7_canary_modified() {
    let site = Site::with(&["echo", "next"], &ingress("main", &[]), &[]).await;
    site.write("canary.yaml", &canary(&[("canary-by-header", "X-Old")]));
    while who(&site, "X-Old: always\r\n").await != "next" {}
    site.write("canary.yaml", &canary(&[("canary-by-header", "X-New")]));
    while who(&site, "X-New: always\r\n").await != "next" {}
    assert_eq!(who(&site, "X-Old: always\r\n").await, "echo");
}

/// By header: `always`, `never`, and other values.
#[tokio::test]
async fn case_8_by_header() {
    let site = pair(&[("canary-by-header", "X_Canary")]).await;
    assert_eq!(who(&site, ALWAYS).await, "next");
    assert_eq!(who(&site, NEVER).await, "echo");
    assert_eq!(who(&site, "X-Canary: badvalue\r\n").await, "echo");
}

/// By header value: that value alone.
#[tokio::test]
async fn case_9_by_header_value() {
    let site = pair(&[
        ("canary-by-header", "X-Canary"),
        ("canary-by-header-value", "DoCanary"),
    ])
    .await;
    assert_eq!(who(&site, "X-Canary: DoCanary\r\n").await, "next");
    for fields in [ALWAYS, NEVER, "X-Canary: other\r\n", ""] {
        assert_eq!(who(&site, fields).await, "echo", "{fields}");
    }
}

const PATTERN: (&str, &str) = ("canary-by-header-pattern", "^Do[A-Z][a-z]+y$");

/// By pattern: a match, case-sensitive.
#[tokio::test]
async fn case_10_by_pattern() {
    let site = pair(&[("canary-by-header", "X-Canary"), PATTERN]).await;
    assert_eq!(who(&site, "X-Canary: DoCanary\r\n").await, "next");
    assert_eq!(who(&site, "X-Canary: Docanary\r\n").await, "echo");
}

/// Where value and pattern are given, only the value counts.
#[tokio::test]
async fn case_11_value_wins() {
    let site = pair(&[
        ("canary-by-header", "X-Canary"),
        PATTERN,
        ("canary-by-header-value", "DoCananry"),
    ])
    .await;
    assert_eq!(who(&site, "X-Canary: DoCanary\r\n").await, "echo");
}

/// A broken pattern ends the evaluation: main.
#[tokio::test]
async fn case_12_broken_pattern() {
    let site = pair(&[
        ("canary-by-header", "X-Canary"),
        ("canary-by-header-pattern", "[][**da?$&*"),
        ("canary-by-cookie", "c"),
    ])
    .await;
    assert_eq!(
        who(&site, "X-Canary: DoCanary\r\nCookie: c=always\r\n").await,
        "echo"
    );
}

/// A header value that does not match leaves it to the cookie.
#[tokio::test]
async fn case_13_cookie_after_header() {
    let site = pair(&[
        ("canary-by-header", "X-Canary"),
        ("canary-by-header-value", "DoCanary"),
        ("canary-by-cookie", "c"),
    ])
    .await;
    assert_eq!(
        who(&site, "X-Canary: other\r\nCookie: c=always\r\n").await,
        "next"
    );
}

/// By cookie: `always`, `never`, and other values.
#[tokio::test]
async fn case_14_by_cookie() {
    let site = pair(&[("canary-by-cookie", "Canary-By-Cookie")]).await;
    let with = |value: &str| format!("Cookie: a=b; Canary-By-Cookie={value}\r\n");
    assert_eq!(who(&site, &with("always")).await, "next");
    assert_eq!(who(&site, &with("never")).await, "echo");
    assert_eq!(who(&site, &with("other")).await, "echo");
}

/// Weights 0, 100, and 1000 of 1000.
#[tokio::test]
async fn case_15_to_17_all_or_nothing() {
    let site = pair(&[("canary-weight", "0")]).await;
    assert_eq!(shares(&site, 30).await, BTreeMap::from([("echo".to_owned(), 30)]));
    let site = pair(&[("canary-weight", "100")]).await;
    assert_eq!(shares(&site, 30).await, BTreeMap::from([("next".to_owned(), 30)]));
    let site = pair(&[("canary-weight", "1000"), ("canary-weight-total", "1000")]).await;
    assert_eq!(shares(&site, 30).await, BTreeMap::from([("next".to_owned(), 30)]));
}

/// Half and half, by 50 of 100 and by 100 of 200: each at least 40 %.
#[tokio::test]
async fn case_18_and_19_halves() {
    for annotations in [
        &[("canary-weight", "50")][..],
        &[("canary-weight", "100"), ("canary-weight-total", "200")],
    ] {
        // Chance makes less than 40 % of one of them in one of a million such tests.
        let shares = shares(&pair(annotations).await, 600).await;
        assert!(
            shares.values().all(|count| *count >= 240) && shares.len() == 2,
            "{shares:?}"
        );
    }
}

/// A canary without a host is not the catch-all.
#[tokio::test]
async fn case_20_without_host() {
    let without = ingress_of(
        "next",
        "",
        &[("canary", "true"), ("canary-weight", "100")],
        &[("/", "Prefix", "next")],
    );
    let site = Site::with(&["echo", "next"], &(ingress("main", &[]) + &without), &[]).await;
    assert_eq!(site.ask_host("other", "/").await.status, 404);
    assert_eq!(who(&site, "").await, "echo");
}

/// A canary with another host makes no virtual host.
#[tokio::test]
async fn case_21_other_host() {
    let other = ingress_of(
        "next",
        "bar",
        &[("canary", "true"), ("canary-weight", "100")],
        &[("/", "Prefix", "next")],
    );
    let site = Site::with(&["echo", "next"], &(ingress("main", &[]) + &other), &[]).await;
    assert_eq!(site.ask_host("bar", "/").await.status, 404);
    assert_eq!(who(&site, "").await, "echo");
}

const STICKY: [(&str, &str); 2] = [("affinity", "cookie"), ("session-cookie-name", "route")];

async fn sticky(canary_annotations: &[(&str, &str)]) -> Site {
    let yaml = ingress("main", &STICKY) + &canary(canary_annotations);
    Site::with(&["echo", "next"], &yaml, &[]).await
}

/// With affinity a client that was sent to the canary once stays there,
/// by default (23) and when asked for (24).
#[tokio::test]
async fn case_23_and_24_sticky() {
    for more in [&[][..], &[("affinity-canary-behavior", "sticky")]] {
        let mut annotations = vec![("canary-by-header", "X-Canary"), ("canary-weight", "1")];
        annotations.extend(more);
        let site = sticky(&annotations).await;
        let forced = site.ask_with("/info", ALWAYS).await;
        assert_eq!(forced.json()["upstream"], "next");
        let cookie = forced
            .header("set-cookie")
            .unwrap()
            .split(';')
            .next()
            .unwrap()
            .to_owned();
        for _ in 0..20 {
            assert_eq!(who(&site, &format!("Cookie: {cookie}\r\n")).await, "next");
        }
    }
}

/// With `legacy` an answer of the canary binds nobody.
#[tokio::test]
async fn case_25_legacy() {
    let site = sticky(&[
        ("canary-by-header", "X-Canary"),
        ("canary-weight", "50"),
        ("affinity-canary-behavior", "legacy"),
    ])
    .await;
    assert_eq!(site.ask_with("/info", ALWAYS).await.header("set-cookie"), None);
    let shares = shares(&site, 100).await;
    assert!(
        shares.values().all(|count| *count >= 25) && shares.len() == 2,
        "{shares:?}"
    );
}

/// Canary paths that main does not have are 404, whatever is asked for, and main is
/// served.
#[tokio::test]
async fn case_22_paths_without_a_main() {
    let annotations = [("canary", "true"), ("canary-by-header", "X-Canary")];
    let paths = [
        ("/api", "Prefix", "next"),
        ("/other", "Prefix", "next"),
        ("/api/deeper", "Exact", "nobody"),
    ];
    let main = ingress_of("main", HOST, &[], &[("/info", "Prefix", "echo")]);
    let yaml = main + &ingress_of("next", HOST, &annotations, &paths);
    let site = Site::with(&["echo", "next"], &yaml, &[]).await;
    for fields in [ALWAYS, NEVER, ""] {
        assert_eq!(who(&site, fields).await, "echo");
        for path in ["/api", "/other", "/api/deeper"] {
            assert_eq!(site.ask_with(path, fields).await.status, 404, "{path} {fields}");
        }
    }
}
