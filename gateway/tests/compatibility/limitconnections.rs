//! `annotations/limitconnections.go`.

use std::time::Duration;

use crate::site::{Site, config_map, ingress};

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

/// How many of so many requests in a row are served.
async fn served(site: &Site, requests: usize) -> usize {
    let mut client = crate::support::client::Client::connect(site.program.http).await;
    let mut served = 0;
    for _ in 0..requests {
        let status = client.get("foo", "/").await.status;
        assert!([200, 503].contains(&status), "{status}");
        served += usize::from(status == 200);
    }
    served
}

/// `limit-rps` lets a burst of five times its number through; addresses of
/// `limit-allowlist` (`limit-whitelist`) have no limit.
#[tokio::test]
async fn default_burst_and_allowlist() {
    let rate = ("limit-rps", "1");
    let start = std::time::Instant::now();
    let site = Site::start(&ingress("a", &[rate])).await;
    let limited = served(&site, 20).await;
    // The first and a burst of five; one more leaks out in each second.
    let leaked = usize::try_from(start.elapsed().as_secs()).unwrap() + 1;
    assert!((6..=6 + leaked).contains(&limited), "{limited}");
    for name in ["limit-allowlist", "limit-whitelist"] {
        let site = Site::start(&ingress("a", &[rate, (name, "127.0.0.0/8, 10.0.0.0/8")])).await;
        assert_eq!(served(&site, 20).await, 20, "{name}");
    }
}

/// `limit-conn-status-code`.
#[tokio::test]
async fn limit_conn_status_code() {
    let yaml = ingress("a", &[("limit-connections", "1")])
        + &crate::site::config_map("config", &[("limit-conn-status-code", "429")]);
    let site = Site::with(&["echo"], &yaml, &["--configmap=default/config"]).await;
    site.echo("echo")
        .set(|behaviour| behaviour.delay = Duration::from_secs(1));
    let mut statuses: Vec<u16> = futures::future::join_all((0..2).map(|_| site.get("/")))
        .await
        .iter()
        .map(|answer| answer.status)
        .collect();
    statuses.sort_unstable();
    assert_eq!(statuses, [200, 429]);
}

/// `limit-conn-zone-variable` tells clients apart by what they send; who sends
/// nothing is not counted.
#[tokio::test]
async fn a_variable_tells_clients_apart() {
    let limit = [("limit-rpm", "1"), ("limit-burst-multiplier", "1")];
    let keys = [("limit-conn-zone-variable", "$http_x_key")];
    let yaml = ingress("a", &limit) + &config_map("config", &keys);
    let site = Site::with(&["echo"], &yaml, &["--configmap=default/config"]).await;
    for (key, statuses) in [("a", [200, 200, 503]), ("b", [200, 200, 503]), ("", [200; 3])] {
        for status in statuses {
            let answer = site.ask_with("/", &format!("X-Key: {key}\r\n")).await;
            assert_eq!(answer.status, status, "{key}");
        }
    }
}
