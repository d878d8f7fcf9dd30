//! `annotations/fromtowwwredirect.go`.

use crate::site::{Site, ingress_of};

const NAME: &str = "fromtowwwredirect.bar.com";

/// The name with `www.` is redirected to the one without, port and all.
#[tokio::test]
async fn case_1_http() {
    let annotations = [("from-to-www-redirect", "true")];
    let site = Site::start(&ingress_of("a", NAME, &annotations, &[("/", "Prefix", "echo")])).await;
    let answer = site.ask_host(&format!("www.{NAME}"), "/foo").await;
    let location = format!("http://{NAME}:80/foo");
    assert_eq!(
        (answer.status, answer.header("Location")),
        (308, Some(&*location))
    );
    assert_eq!(site.ask_host(NAME, "/foo").await.status, 200);
}

/// Over TLS too; one slash at the end is removed.
#[tokio::test]
async fn case_2_https() {
    let annotations = [("from-to-www-redirect", "true")];
    let site = Site::start(&ingress_of("a", NAME, &annotations, &[("/", "Prefix", "echo")])).await;
    let www = format!("www.{NAME}");
    let answer = site.tls(&www).await.get(&www, "/").await;
    let location = format!("https://{NAME}:443");
    assert_eq!(
        (answer.status, answer.header("Location")),
        (308, Some(&*location))
    );
    assert_eq!(answer.header("Strict-Transport-Security"), None);
    assert_eq!(site.tls(NAME).await.get(NAME, "/").await.status, 200);
}

/// Ours: from the name without `www.` too, unless that is a host itself.
#[tokio::test]
async fn ours_the_other_way() {
    let annotations = [("from-to-www-redirect", "true")];
    let yaml = ingress_of("a", "www.one.test", &annotations, &[("/", "Prefix", "echo")])
        + &ingress_of("b", "www.two.test", &annotations, &[("/", "Prefix", "echo")])
        + &ingress_of("c", "two.test", &[], &[("/", "Prefix", "echo")]);
    let site = Site::start(&yaml).await;
    let answer = site.ask_host("one.test", "/a?b").await;
    assert_eq!(answer.header("Location"), Some("http://www.one.test:80/a?b"));
    assert_eq!(site.ask_host("two.test", "/").await.status, 200);
}
