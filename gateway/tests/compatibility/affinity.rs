//! `annotations/affinity.go` and `annotations/affinitymode.go`.

use crate::site::{HOST, Site, ingress, ingress_of, service};
use crate::support::client::Answer;
use crate::support::upstream::Echo;

const AFFINITY: (&str, &str) = ("affinity", "cookie");
const NAME: (&str, &str) = ("session-cookie-name", "SERVERID");

fn cookie(answer: &Answer) -> &str {
    answer.header("set-cookie").expect("an affinity cookie")
}

async fn made(more: &[(&str, &str)]) -> String {
    let mut annotations = vec![AFFINITY, NAME];
    annotations.extend(more);
    let site = Site::start(&ingress("a", &annotations)).await;
    cookie(&site.get("/").await).to_owned()
}

/// The cookie has the name that is asked for, also after a change.
#[tokio::test]
async fn case_1_and_2_name() {
    let site = Site::start("").await;
    site.write("a.yaml", &ingress("a", &[AFFINITY, NAME]));
    let named = |name: &'static str| {
        move |answer: &Answer| {
            answer
                .header("set-cookie")
                .is_some_and(|cookie| cookie.starts_with(name))
        }
    };
    site.until(HOST, "/", named("SERVERID=")).await;
    site.write(
        "a.yaml",
        &ingress("a", &[AFFINITY, ("session-cookie-name", "OTHERCOOKIENAME")]),
    );
    site.until(HOST, "/", named("OTHERCOOKIENAME=")).await;
}

/// The cookie's path is that of the rule, each its own.
#[tokio::test]
async fn case_3_and_4_path() {
    let paths = [
        ("/something", "Prefix", "echo"),
        ("/somewhereelese", "Prefix", "echo"),
    ];
    let site = Site::start(&ingress_of("a", HOST, &[AFFINITY, NAME], &paths)).await;
    for path in ["/something", "/somewhereelese"] {
        let answer = site.get(path).await;
        assert!(
            cookie(&answer).contains(&format!("Path={path};")),
            "{}",
            cookie(&answer)
        );
    }
}

/// `Expires` and `Max-Age` are set.
#[tokio::test]
async fn case_5_expiry() {
    let cookie = made(&[
        ("session-cookie-expires", "172800"),
        ("session-cookie-max-age", "259200"),
    ])
    .await;
    assert!(cookie.contains("; Max-Age=259200;"), "{cookie}");
    let expires = cookie
        .split("; ")
        .find_map(|part| part.strip_prefix("Expires="))
        .unwrap();
    let expires = httpdate::parse_http_date(expires).unwrap();
    let left = expires
        .duration_since(std::time::SystemTime::now())
        .unwrap()
        .as_secs();
    assert!((172_700..=172_800).contains(&left), "{left}");
}

/// `Domain` is there only where it is asked for.
#[tokio::test]
async fn case_6_and_7_domain() {
    assert!(
        made(&[("session-cookie-domain", "foo.bar")])
            .await
            .contains("; Domain=foo.bar;")
    );
    assert!(!made(&[]).await.contains("Domain"));
}

/// With regular expressions the cookie's path is the one that is given.
#[tokio::test]
async fn case_8_path_of_a_pattern() {
    let annotations = [
        AFFINITY,
        NAME,
        ("use-regex", "true"),
        ("session-cookie-path", "/foo/bar"),
    ];
    let paths = [("/foo/.*", "ImplementationSpecific", "echo")];
    let site = Site::start(&ingress_of("a", HOST, &annotations, &paths)).await;
    let answer = site.get("/foo/bar").await;
    assert!(cookie(&answer).contains("Path=/foo/bar;"), "{}", cookie(&answer));
}

/// An Ingress without a host, and all names of one with aliases.
#[tokio::test]
async fn case_11_and_12_any_name() {
    let own = [AFFINITY, NAME, ("server-alias", "alias1,alias2")];
    let bare = ingress_of("bare", "", &[AFFINITY, NAME], &[("/", "Prefix", "echo")]);
    let site = Site::start(&(ingress("a", &own) + &bare)).await;
    for host in [HOST, "alias1", "alias2", "nobody"] {
        let answer = site.ask_host(host, "/").await;
        assert!(cookie(&answer).starts_with("SERVERID="), "{host}");
    }
}

/// With regular expressions and no path for the cookie the Ingress is served; the
/// cookie is for every path.
#[tokio::test]
async fn case_9_pattern_without_a_path() {
    let annotations = [AFFINITY, NAME, ("use-regex", "true")];
    let paths = [("/foo/.*", "ImplementationSpecific", "echo")];
    let site = Site::start(&ingress_of("a", HOST, &annotations, &paths)).await;
    let answer = site.get("/foo/bar").await;
    assert_eq!(answer.status, 200);
    assert!(cookie(&answer).contains("Path=/;"), "{}", cookie(&answer));
}

/// Only the Ingress that asks for affinity gets it, on a shared host and
/// Service.
#[tokio::test]
async fn case_10_only_where_asked() {
    let site = Site::start(
        &(ingress_of("a", HOST, &[], &[("/foo", "Prefix", "echo")])
            + &ingress_of("b", HOST, &[AFFINITY, NAME], &[("/foo/bar", "Prefix", "echo")])),
    )
    .await;
    assert_eq!(site.get("/foo").await.header("set-cookie"), None);
    assert!(cookie(&site.get("/foo/bar").await).contains("Path=/foo/bar;"));
}

/// `Secure` is set where it is asked for, and always over TLS.
#[tokio::test]
async fn case_13_to_15_secure() {
    assert!(
        made(&[("session-cookie-secure", "true")])
            .await
            .contains("; Secure")
    );
    assert!(
        !made(&[("session-cookie-secure", "false")])
            .await
            .contains("Secure")
    );
    let site = Site::start(&ingress(
        "a",
        &[AFFINITY, NAME, ("session-cookie-secure", "false")],
    ))
    .await;
    let answer = site.tls(HOST).await.get(HOST, "/").await;
    assert!(cookie(&answer).contains("; Secure"));
}

async fn many(count: usize) -> Vec<Echo> {
    let mut echoes = Vec::new();
    for number in 0..count {
        echoes.push(Echo::start(&format!("many-{number}")).await);
    }
    echoes
}

fn ports(echoes: &[Echo]) -> Vec<u16> {
    echoes.iter().map(|echo| echo.address.port()).collect()
}

async fn ask(site: &Site, cookie: &str) -> Answer {
    let value = cookie.split(';').next().unwrap();
    site.ask_with("/", &format!("Cookie: {value}\r\n")).await
}

/// A client stays with its endpoint when there are more of them, and is bound
/// anew when that is gone (persistent).
#[tokio::test]
async fn affinitymode_2_persistent() {
    let echoes = many(4).await;
    let annotations = [AFFINITY, NAME, ("affinity-mode", "persistent")];
    let yaml = ingress_of("a", HOST, &annotations, &[("/", "Prefix", "many")]);
    let site = Site::with(&[], &yaml, &[]).await;
    site.write("many.yaml", &service("many", &ports(&echoes[..1])));
    let first = site.until(HOST, "/", |answer| answer.status == 200).await;
    let bound = cookie(&first).to_owned();
    site.write("many.yaml", &service("many", &ports(&echoes)));
    site.until(HOST, "/", |answer| answer.json()["upstream"] != "many-0")
        .await;
    for _ in 0..20 {
        let answer = ask(&site, &bound).await;
        assert_eq!(answer.json()["upstream"], "many-0");
        assert_eq!(answer.header("set-cookie"), None, "bound already");
    }
    site.write("many.yaml", &service("many", &ports(&echoes[1..])));
    let start = std::time::Instant::now();
    let rebound = loop {
        let answer = ask(&site, &bound).await;
        if answer.json()["upstream"] != "many-0" {
            break answer;
        }
        assert!(start.elapsed() < crate::support::PATIENCE);
    };
    let (who, bound) = (rebound.json()["upstream"].clone(), cookie(&rebound).to_owned());
    for _ in 0..10 {
        assert_eq!(ask(&site, &bound).await.json()["upstream"], who);
    }
}

/// Balanced: a cookie means the same endpoint every time, and new clients are
/// spread.
#[tokio::test]
async fn balanced_clients_are_spread_and_stay() {
    let echoes = many(4).await;
    let yaml = ingress_of("a", HOST, &[AFFINITY, NAME], &[("/", "Prefix", "many")]);
    let site = Site::with(&[], &(yaml + &service("many", &ports(&echoes))), &[]).await;
    let mut seen = std::collections::BTreeSet::new();
    for _ in 0..40 {
        let first = site.get("/").await;
        let again = ask(&site, cookie(&first)).await;
        assert_eq!(first.json()["upstream"], again.json()["upstream"]);
        assert_eq!(again.header("set-cookie"), None);
        seen.insert(first.json()["upstream"].to_string());
    }
    assert_eq!(seen.len(), 4);
}

/// A bound endpoint that refuses: another one answers, and only with
/// `session-cookie-change-on-failure` the client moves.
#[tokio::test]
async fn a_failure_is_answered_elsewhere_and_moves_clients_only_where_asked() {
    for change in ["false", "true"] {
        let echoes = many(2).await;
        let annotations = [
            AFFINITY,
            NAME,
            ("affinity-mode", "persistent"),
            ("session-cookie-change-on-failure", change),
        ];
        let yaml = ingress_of("a", HOST, &annotations, &[("/", "Prefix", "many")]);
        let site = Site::with(&[], &(yaml + &service("many", &ports(&echoes))), &[]).await;
        let first = site.get("/").await;
        let bound = cookie(&first).to_owned();
        let mut echoes: Vec<Option<Echo>> = echoes.into_iter().map(Some).collect();
        let gone = if first.json()["upstream"] == "many-0" {
            0
        } else {
            1
        };
        echoes[gone] = None;
        let start = std::time::Instant::now();
        let answer = loop {
            let answer = ask(&site, &bound).await;
            if answer.json()["upstream"] != first.json()["upstream"] {
                break answer;
            }
            assert!(start.elapsed() < crate::support::PATIENCE);
        };
        assert_eq!(answer.status, 200);
        assert_eq!(
            answer.header("set-cookie").is_some(),
            change == "true",
            "{change}"
        );
    }
}

/// `session-cookie-samesite` as it is spelt; `None` is kept from browsers that
/// misread it where that is asked for.
#[tokio::test]
async fn samesite_and_conditional() {
    for value in ["None", "Lax", "Strict"] {
        let cookie = made(&[("session-cookie-samesite", value)]).await;
        assert!(cookie.ends_with(&format!("; SameSite={value}")), "{cookie}");
    }
    let cookie = made(&[("session-cookie-samesite", "lax")]).await;
    assert!(!cookie.contains("SameSite"), "{cookie}");
    let annotations = [
        AFFINITY,
        NAME,
        ("session-cookie-samesite", "None"),
        ("session-cookie-conditional-samesite-none", "true"),
    ];
    let site = Site::start(&ingress("a", &annotations)).await;
    for (agent, sent) in [
        ("Mozilla/5.0 Chrome/66.0 Safari/537", false),
        ("Mozilla/5.0 Chrome/120.0", true),
    ] {
        let answer = site.ask_with("/", &format!("User-Agent: {agent}\r\n")).await;
        let cookie = self::cookie(&answer);
        assert_eq!(cookie.contains("SameSite=None"), sent, "{agent}: {cookie}");
    }
}
