//! `annotations/proxy.go`: bodies, timeouts, other tries, and cookies and
//! redirects of backends.

use std::time::{Duration, Instant};

use crate::site::{HOST, Site, ingress, ingress_of, service};
use crate::support::upstream::Echo;

/// `off` and `default` leave `Location` as the backend wrote it: what `default`
/// replaces is nginx's own name of the backend.
#[tokio::test]
async fn case_1_and_2_no_redirect() {
    for word in ["off", "default"] {
        let annotations = [
            ("proxy-redirect-from", word),
            ("proxy-redirect-to", "goodbye.com"),
        ];
        let site = Site::start(&ingress("a", &annotations)).await;
        let port = site.echo("echo").address.port();
        for location in [
            "http://hello.com/a?b".to_owned(),
            format!("http://127.0.0.1:{port}/a"),
            format!("{word}/a"),
        ] {
            site.echo("echo").set(|behaviour| {
                behaviour.status = 302;
                behaviour.headers = format!("Location: {location}\r\n");
            });
            assert_eq!(site.get("/").await.header("Location"), Some(&*location), "{word}");
        }
    }
}

/// `proxy-redirect-from` and `-to` replace the start of `Location`.
#[tokio::test]
async fn case_3_redirect() {
    let annotations = [
        ("proxy-redirect-from", "http://hello.com/"),
        ("proxy-redirect-to", "https://goodbye.com/"),
    ];
    let site = Site::start(&ingress("a", &annotations)).await;
    site.echo("echo").set(|behaviour| {
        behaviour.status = 302;
        behaviour.headers = "Location: http://hello.com/a?b\r\n".to_owned();
    });
    assert_eq!(
        site.get("/").await.header("Location"),
        Some("https://goodbye.com/a?b")
    );
}

/// `proxy-cookie-domain` and `-path` replace attributes of cookies.
#[tokio::test]
async fn case_11_cookies() {
    let annotations = [
        ("proxy-cookie-domain", "localhost example.org"),
        ("proxy-cookie-path", "/one/ /"),
    ];
    let site = Site::start(&ingress("a", &annotations)).await;
    site.echo("echo").set(|behaviour| {
        behaviour.headers = "Set-Cookie: a=b; Domain=localhost; Path=/one/two\r\n".to_owned();
    });
    let answer = site.get("/").await;
    assert_eq!(
        answer.header("Set-Cookie"),
        Some("a=b; Domain=example.org; Path=/two")
    );
    assert_eq!(site.echo("echo").last().header("Host"), Some(HOST));
}

/// The status of a POST that announces a body of so many bytes, and sends it if
/// it is short enough.
async fn posted(site: &Site, length: usize, limit: usize) -> u16 {
    let mut request = format!("POST / HTTP/1.1\r\nHost: {HOST}\r\nContent-Length: {length}\r\n\r\n");
    if length <= limit {
        request += &"x".repeat(length);
    }
    site.request(&request).await.status
}

/// A body of 8 MiB with `8m`, and not a byte more; `15r` is no size: the default
/// of 1 MiB stays, and the Ingress is served.
#[tokio::test]
async fn case_4_and_5_body_size() {
    for (value, limit) in [("8m", 8 << 20), ("15r", 1 << 20)] {
        let site = Site::start(&ingress("a", &[("proxy-body-size", value)])).await;
        assert_eq!(posted(&site, limit, limit).await, 200, "{value}");
        assert_eq!(posted(&site, limit + 1, limit).await, 413, "{value}");
    }
}

/// Seconds are taken: a backend slower than `proxy-read-timeout` is 504; `20k` and
/// `50k` are none, and the default of a minute stays.
#[tokio::test]
async fn case_6_and_7_timeouts() {
    let names = [
        "proxy-connect-timeout",
        "proxy-send-timeout",
        "proxy-read-timeout",
    ];
    for (values, status) in [(["50", "20", "1"], 504), (["50k", "20k", "20k"], 200)] {
        let annotations: Vec<_> = names.into_iter().zip(values).collect();
        let site = Site::start(&ingress("a", &annotations)).await;
        site.echo("echo")
            .set(|behaviour| behaviour.delay = Duration::from_millis(2500));
        assert_eq!(site.get("/").await.status, status, "{values:?}");
        if status == 200 {
            for name in names {
                site.problems(name).await;
            }
        }
    }
}

/// The words of `proxy-next-upstream` say what another endpoint is tried after,
/// `-tries` how often, `-timeout` for how long.
#[tokio::test]
async fn case_10_next_upstream() {
    let echoes = [Echo::start("good").await, Echo::start("bad").await];
    let [good, bad] = echoes.each_ref();
    let ports = echoes.each_ref().map(|echo| echo.address.port());
    bad.set(|behaviour| behaviour.status = 502);
    let words = ("proxy-next-upstream", "error timeout http_502");
    let site = Site::start("").await;
    for (name, annotations, hidden) in [
        (
            "words",
            &[
                words,
                ("proxy-next-upstream-tries", "888888"),
                ("proxy-next-upstream-timeout", "999999"),
            ][..],
            true,
        ),
        ("default", &[], false),
        ("off", &[("proxy-next-upstream", "off")], false),
        ("once", &[words, ("proxy-next-upstream-tries", "1")], false),
    ] {
        let host = format!("{name}.example");
        let yaml = service("web", &ports) + &ingress_of(name, &host, annotations, &[("/", "Prefix", "web")]);
        site.write("web.yaml", &yaml);
        site.until(&host, "/", |answer| answer.status != 404).await;
        let mut statuses = std::collections::BTreeSet::new();
        for _ in 0..12 {
            statuses.insert(site.ask_host(&host, "/").await.status);
        }
        let wanted: &[u16] = if hidden { &[200] } else { &[200, 502] };
        assert!(statuses.iter().eq(wanted), "{name}: {statuses:?}");
    }
    // The time for all tries is over with the first.
    let short = [
        ("proxy-next-upstream", "error timeout"),
        ("proxy-next-upstream-timeout", "1"),
        ("proxy-read-timeout", "1"),
    ];
    good.set(|behaviour| behaviour.delay = Duration::from_secs(5));
    bad.set(|behaviour| behaviour.delay = Duration::from_secs(5));
    let yaml =
        service("web", &ports) + &ingress_of("time", "time.example", &short, &[("/", "Prefix", "web")]);
    site.write("web.yaml", &yaml);
    site.until("time.example", "/", |answer| answer.status != 404)
        .await;
    let (start, before) = (Instant::now(), good.count() + bad.count());
    assert_eq!(site.ask_host("time.example", "/").await.status, 504);
    assert!(start.elapsed() < Duration::from_secs(4), "{:?}", start.elapsed());
    assert_eq!(good.count() + bad.count(), before + 1);
}
