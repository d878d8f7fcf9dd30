//! TLS to backends: whose certificates are believed, and which one they are shown.

use std::fmt::Write;

use crate::Site;
use crate::authority::{Authority, service};

const ROUTES: &str = include_str!("backend_tls.yaml");

/// The policy of a backend, and the host `NAME.test` that leads there.
fn backend(name: &str, port: u16, validation: &str) -> String {
    let mut yaml = service(name, port);
    write!(
        yaml,
        "---\napiVersion: gateway.networking.k8s.io/v1\nkind: BackendTLSPolicy\nmetadata: {{name: {name}}}\nspec:\n  \
         targetRefs: [{{group: \"\", kind: Service, name: {name}}}]\n  \
         validation: {{hostname: inside.test, {validation}}}\n---\n\
         apiVersion: gateway.networking.k8s.io/v1\nkind: HTTPRoute\nmetadata: {{name: {name}}}\nspec:\n  \
         parentRefs: [{{name: edge}}]\n  hostnames: [{name}.test]\n  \
         rules: [{{backendRefs: [{{name: {name}, port: 443}}]}}]\n"
    )
    .unwrap();
    yaml
}

const AUTHORITY: &str = "caCertificateRefs: [{group: \"\", kind: ConfigMap, name: authority}]";

/// The answer of the backend, or the status.
async fn answer(site: &Site, host: &str) -> String {
    let answer = site.get(host, "/").await;
    match answer.status {
        200 => answer.text(),
        status => status.to_string(),
    }
}

#[tokio::test]
async fn a_backend_is_believed_by_its_server_name_or_by_the_names_given() {
    let authority = Authority::new();
    let port = authority
        .backend(&authority.sign(&["inside.test", "*.pods.test", "spiffe://inside.test/web"]))
        .await;
    let other = authority.backend(&authority.sign(&["other.test"])).await;
    let stranger = Authority::new();
    let strange = stranger.backend(&stranger.sign(&["inside.test"])).await;
    let names = |names: &str| format!("{AUTHORITY}, subjectAltNames: [{names}]");
    let name = |name: &str| format!("{{type: Hostname, hostname: \"{name}\"}}");
    let uri = |uri: &str| format!("{{type: URI, uri: \"{uri}\"}}");
    let all = [
        ("plain", port, AUTHORITY.to_owned(), true),
        ("plain-other", other, AUTHORITY.to_owned(), false),
        ("plain-strange", strange, AUTHORITY.to_owned(), false),
        // "Hostname MUST NOT be used for authentication" where names are given.
        ("name", other, names(&name("other.test")), true),
        ("name-sni", port, names(&name("other.test")), false),
        ("name-wild", port, names(&name("a.pods.test")), true),
        ("name-strange", strange, names(&name("inside.test")), false),
        ("uri", port, names(&uri("spiffe://inside.test/web")), true),
        ("uri-wrong", port, names(&uri("spiffe://inside.test/api")), false),
        (
            "either",
            port,
            names(&format!(
                "{}, {}",
                name("none.test"),
                uri("spiffe://inside.test/web")
            )),
            true,
        ),
        // Signed by nobody whom the operating system knows.
        (
            "system",
            port,
            format!(
                "wellKnownCACertificates: System, subjectAltNames: [{}]",
                name("inside.test")
            ),
            false,
        ),
        (
            "system-plain",
            port,
            "wellKnownCACertificates: System".to_owned(),
            false,
        ),
    ];
    let mut yaml = ROUTES.to_owned() + &authority.config_map("authority");
    for (name, port, validation, _) in &all {
        yaml += &backend(name, *port, validation);
    }
    let site = Site::of(&yaml).await;
    for (name, _, validation, is_believed) in &all {
        // Twice: the second time the session may be resumed.
        for _ in 0..2 {
            let expected = if *is_believed {
                "inside.test nothing"
            } else {
                "502"
            };
            assert_eq!(
                answer(&site, &format!("{name}.test")).await,
                expected,
                "{validation}"
            );
        }
    }
}

#[tokio::test]
async fn backends_are_shown_the_gateways_certificate() {
    let authority = Authority::new();
    let port = authority.backend(&authority.sign(&["inside.test"])).await;
    let names = format!("{AUTHORITY}, subjectAltNames: [{{type: Hostname, hostname: inside.test}}]");
    let yaml = ROUTES.replace(
        "listeners:",
        "tls: {backend: {clientCertificateRef: {name: shown}}}\n  listeners:",
    );
    let yaml = yaml
        + &authority.config_map("authority")
        + &authority.sign(&["edge.test"]).secret("shown")
        + &backend("shown-plain", port, AUTHORITY)
        + &backend("shown-names", port, &names);
    let site = Site::of(&yaml).await;
    for host in ["shown-plain.test", "shown-names.test"] {
        assert_eq!(answer(&site, host).await, "inside.test shown");
    }
}
