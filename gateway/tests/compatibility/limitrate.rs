//! `annotations/limitrate.go`.

use std::time::{Duration, Instant};

use crate::site::{Site, ingress};

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
