//! `annotations/limitconnections.go`.

use std::time::Duration;

use crate::site::{Site, ingress};

/// Of 20 requests at a time 8 are served and 12 get 503.
#[tokio::test]
async fn case_1_parallel() {
    let site = Site::start(&ingress("a", &[("limit-connections", "8")])).await;
    site.echo("echo")
        .set(|behaviour| behaviour.delay = Duration::from_secs(3));
    let answers = futures::future::join_all((0..20).map(|_| site.get("/"))).await;
    let served = answers.iter().filter(|answer| answer.status == 200).count();
    let refused = answers.iter().filter(|answer| answer.status == 503).count();
    assert_eq!((served, refused), (8, 12));
    site.echo("echo")
        .set(|behaviour| behaviour.delay = Duration::ZERO);
    assert_eq!(site.get("/").await.status, 200, "they count only while they last");
}

/// Paths and hosts of an Ingress count together, those of another do not.
#[tokio::test]
async fn rates_of_an_ingress_count_together() {
    let limit = [("limit-rps", "1"), ("limit-burst-multiplier", "2")];
    let two = crate::site::ingress_of(
        "a",
        "foo",
        &limit,
        &[("/one", "Prefix", "echo"), ("/two", "Prefix", "echo")],
    );
    let other = crate::site::ingress_of("b", "foo", &limit, &[("/other", "Prefix", "echo")]);
    let site = Site::start(&(two + &other)).await;
    let mut statuses = Vec::new();
    for path in ["/one", "/two", "/one", "/two", "/one", "/other"] {
        statuses.push(site.get(path).await.status);
    }
    // Two over the first; within this second a third may have leaked out.
    assert_eq!(statuses[..3], [200; 3]);
    assert!(statuses[3..5].contains(&503), "{statuses:?}");
    assert_eq!(statuses[5], 200);
}

/// Counters live on when the Ingress changes.
#[tokio::test]
async fn counters_survive_a_change() {
    let limit = [("limit-rpm", "1"), ("limit-burst-multiplier", "1")];
    let site = Site::start(&ingress("a", &limit)).await;
    assert_eq!(site.get("/").await.status, 200);
    assert_eq!(site.get("/").await.status, 200);
    assert_eq!(site.get("/").await.status, 503);
    let mut changed = limit.to_vec();
    changed.push(("enable-cors", "true"));
    site.write("objects.yaml", &site.objects(&ingress("a", &changed)));
    let answer = site
        .until("foo", "/", |answer| {
            answer.header("access-control-allow-origin").is_some()
        })
        .await;
    assert_eq!(answer.status, 503);
}
