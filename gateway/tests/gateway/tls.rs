//! TLS by server name.

use crate::start;
use crate::support::client::Client;
use crate::support::snapshot::{Builder, route};
use crate::support::upstream::Echo;

#[tokio::test]
async fn certificates_follow_the_server_name_and_change_at_once() {
    let echo = Echo::start("one").await;
    let (gateway, _) = start();
    let builder = Builder::new()
        .https("https")
        .cluster("a", &[echo.address])
        .host("a.test", [route("/", "a")])
        .certificate("a.test")
        .certificate("*.wild.test")
        .certificate("");
    gateway.apply(&builder.publication(1));
    let address = gateway.address("https").unwrap();
    let shown = async |name: &str| {
        Client::tls(address, name, &["http/1.1"])
            .await
            .certificate
            .unwrap()
    };

    let first = shown("a.test").await;
    assert_eq!(first, shown("a.test").await);
    assert_ne!(first, shown("b.wild.test").await);
    assert_eq!(shown("other.test").await, shown("").await, "the default");
    assert_ne!(first, shown("other.test").await);

    let mut client = Client::tls(address, "a.test", &["http/1.1"]).await;
    assert_eq!(client.get("a.test", "/").await.status, 200);
    assert_eq!(echo.last().header("x-forwarded-proto"), Some("https"));

    gateway.apply(&builder.certificate("a.test").publication(2));
    assert_ne!(first, shown("a.test").await, "swapped");
    assert_eq!(
        client.get("a.test", "/").await.status,
        200,
        "the old connection goes on"
    );
}

#[tokio::test]
async fn without_any_certificate_the_handshake_is_refused() {
    let (gateway, _) = start();
    gateway.apply(&Builder::new().https("https").certificate("a.test").publication(1));
    let address = gateway.address("https").unwrap();
    assert!(Client::try_tls(address, "b.test", &[]).await.is_err());
    assert!(Client::try_tls(address, "a.test", &[]).await.is_ok());
}
