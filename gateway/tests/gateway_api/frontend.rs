//! What clients of a Gateway must show (`spec.tls.frontend`).

use crate::Site;
use crate::authority::{Authority, get};

const ROUTES: &str = include_str!("frontend.yaml");

#[tokio::test]
async fn without_a_good_certificate_there_is_no_connection() {
    let authority = Authority::new();
    let yaml = ROUTES.to_owned() + &authority.config_map("authority");
    let site = Site::of(&yaml).await;
    let address = site.program.https;
    let good = authority.sign(&["client.test"]);
    let answer = get(address, "secure.test", Some(&good)).await.unwrap();
    assert_eq!(answer.status, 200);
    assert_eq!(site.first.last().header("ssl-client-verify"), Some("SUCCESS"));
    assert!(get(address, "secure.test", None).await.is_err());
    let strange = Authority::new().sign(&["client.test"]);
    assert!(get(address, "secure.test", Some(&strange)).await.is_err());
    assert_eq!(site.first.count(), 1, "nothing else reached the backend");
}

#[tokio::test]
async fn a_fallback_lets_everybody_in_and_tells_the_backend() {
    let authority = Authority::new();
    let yaml = ROUTES.replace(
        "validation:",
        "validation:\n          mode: AllowInsecureFallback",
    );
    let site = Site::of(&(yaml + &authority.config_map("authority"))).await;
    let strange = Authority::new().sign(&["client.test"]);
    let good = authority.sign(&["client.test"]);
    for (identity, verdict) in [
        (None, "NONE"),
        (Some(&strange), "FAILED"),
        (Some(&good), "SUCCESS"),
    ] {
        let answer = get(site.program.https, "secure.test", identity).await.unwrap();
        assert_eq!(answer.status, 200, "{verdict}");
        let seen = site.first.last();
        let told = seen.header("ssl-client-verify").unwrap_or_default();
        assert!(told.starts_with(verdict), "{told} is not {verdict}");
    }
}

#[tokio::test]
async fn authorities_that_are_missing_close_the_listener() {
    let site = Site::of(ROUTES).await;
    let good = Authority::new().sign(&["client.test"]);
    for identity in [None, Some(&good)] {
        // The port is the Ingresses' too: what answers is their 404.
        let answer = get(site.program.https, "secure.test", identity).await.unwrap();
        assert_eq!(answer.status, 404);
    }
    assert_eq!(site.first.count(), 0, "nothing reached the backend");
}
