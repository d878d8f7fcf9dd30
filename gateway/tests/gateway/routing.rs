//! Which upstream answers what.

use tidegate_snapshot::{Action, PathMatch};

use crate::start;
use crate::support::client::Client;
use crate::support::snapshot::{Builder, custom, forward, route};
use crate::support::upstream::Echo;

#[tokio::test]
async fn hosts_and_paths_lead_to_their_upstreams() {
    let (api, web) = (Echo::start("api").await, Echo::start("web").await);
    let (gateway, _) = start();
    let builder = Builder::new()
        .http("http")
        .cluster("api", &[api.address])
        .cluster("web", &[web.address])
        .host("foo.bar", [route("/api", "api"), route("/", "web")])
        .host("*.wild.test", [route("/", "api")]);
    gateway.apply(&builder.publication(1));
    let mut client = Client::connect(gateway.address("http").unwrap()).await;

    for (host, path, upstream) in [
        ("foo.bar", "/api", "api"),
        ("foo.bar", "/api/x?y", "api"),
        ("foo.bar", "/apis", "web"),
        ("foo.bar", "/x/%2e%2e/%61pi", "api"),
        ("FOO.bar:8080", "/", "web"),
        ("one.wild.test", "/", "api"),
    ] {
        let answer = client.get(host, path).await;
        assert_eq!(answer.json()["upstream"], upstream, "{host}{path}");
        assert_eq!(
            answer.json()["uri"],
            path,
            "the upstream gets what the client wrote"
        );
    }
    for (host, path) in [("two.one.wild.test", "/"), ("unknown", "/")] {
        assert_eq!(client.get(host, path).await.status, 404, "{host:?}{path}");
    }
}

#[tokio::test]
async fn a_gateway_answers_by_itself_where_nothing_is_forwarded() {
    let (gateway, _) = start();
    let builder = Builder::new().http("http").cluster("empty", &[]).host(
        "",
        [
            custom(PathMatch::Exact("/dir".into()), Action::AddTrailingSlash),
            custom(PathMatch::Exact("/gone".into()), Action::Respond(410)),
            custom(PathMatch::Exact("/missing".into()), forward(&[("missing", 1)])),
            custom(PathMatch::Exact("/nothing".into()), forward(&[("empty", 0)])),
            route("/", "empty"),
        ],
    );
    gateway.apply(&builder.publication(1));
    let mut client = Client::connect(gateway.address("http").unwrap()).await;
    let slash = client.get("a.b", "/dir").await;
    assert_eq!(slash.status, 301);
    assert!(slash.header("location").unwrap().ends_with("/dir/"), "{slash:?}");
    assert_eq!(client.get("a.b", "/gone").await.status, 410);
    assert_eq!(client.get("a.b", "/missing").await.status, 503, "no such cluster");
    assert_eq!(client.get("a.b", "/nothing").await.status, 503, "no weight");
    assert_eq!(client.get("a.b", "/").await.status, 503, "no endpoint");
}

#[tokio::test]
async fn traffic_is_split_by_weight() {
    let (old, new) = (Echo::start("old").await, Echo::start("new").await);
    let (gateway, _) = start();
    let builder = Builder::new()
        .http("http")
        .cluster("old", &[old.address])
        .cluster("new", &[new.address])
        .host(
            "a.b",
            [custom(
                PathMatch::Prefix("".into()),
                forward(&[("old", 3), ("new", 1)]),
            )],
        );
    gateway.apply(&builder.publication(1));
    let mut client = Client::connect(gateway.address("http").unwrap()).await;
    for _ in 0..200 {
        assert_eq!(client.get("a.b", "/").await.status, 200);
    }
    // 50 are expected; 6 standard deviations either way.
    assert!((14..=86).contains(&new.count()), "{}", new.count());
    assert_eq!(old.count() + new.count(), 200);
}
