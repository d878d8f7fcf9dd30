//! `annotations/limitrate.go`.

use std::time::{Duration, Instant};

use crate::site::{Site, config_map, ingress, ingress_of};

/// An answer comes at the speed that is written, once `limit-rate-after` of it
/// are sent.
#[tokio::test]
async fn case_1_speed() {
    let annotations = [("limit-rate", "100"), ("limit-rate-after", "50")];
    let site = Site::start(&ingress("a", &annotations)).await;
    let size = 150 * 1024;
    site.echo("echo")
        .set(|behaviour| behaviour.body = Some(vec![b'x'; size]));
    let start = Instant::now();
    assert_eq!(site.get("/").await.body.len(), size);
    let took = start.elapsed();
    // 100 KB at 100 KB/s; the last piece is not waited for.
    assert!(took > Duration::from_millis(300), "{took:?}");
    assert!(took < Duration::from_secs(5), "{took:?}");
    site.write(
        "objects.yaml",
        &site.objects(&ingress("a", &[("limit-rate", "100000")])),
    );
    let start = Instant::now();
    loop {
        let asked = Instant::now();
        assert_eq!(site.get("/").await.body.len(), size);
        if asked.elapsed() < Duration::from_millis(200) {
            break;
        }
        assert!(start.elapsed() < crate::support::PATIENCE, "still slow");
    }
}

/// `settings/limit_rate.go`: the ConfigMap's speed holds where an Ingress has none.
#[tokio::test]
async fn settings_limit_rate_1() {
    let keys = [("limit-rate", "100"), ("limit-rate-after", "50")];
    let own = ingress_of(
        "own",
        "own",
        &[("limit-rate", "100000")],
        &[("/", "Prefix", "echo")],
    );
    let yaml = ingress("a", &[]) + &own + &config_map("config", &keys);
    let site = Site::with(&["echo"], &yaml, &["--configmap=default/config"]).await;
    let size = 150 * 1024;
    site.echo("echo")
        .set(|behaviour| behaviour.body = Some(vec![b'x'; size]));
    let start = Instant::now();
    assert_eq!(site.get("/").await.body.len(), size);
    let (slow, start) = (start.elapsed(), Instant::now());
    assert_eq!(site.ask_host("own", "/").await.body.len(), size);
    let fast = start.elapsed();
    assert!(
        slow > Duration::from_millis(300) && fast < slow,
        "{slow:?} and {fast:?}"
    );
}
