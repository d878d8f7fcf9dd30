//! The admission webhook with a certificate that the leader makes and renews,
//! asked by a real API server.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::api_server::ApiServer;
use super::{SOON, http, manifests, within};

const NAME: &str = "tidegate-admission";
/// Renewed after two thirds of it.
const VALIDITY: Duration = Duration::from_secs(18);

pub fn flags(address: SocketAddr) -> Vec<String> {
    vec![
        format!("--validating-webhook={address}"),
        format!("--validating-webhook-secret=default/{NAME}"),
        format!("--validating-webhook-configuration={NAME}"),
        format!("--validating-webhook-validity={}s", VALIDITY.as_secs()),
    ]
}

/// The API server trusts the certificate, and denials reach the user.
pub fn certificate_made(api: &ApiServer, address: SocketAddr) {
    api.apply(&configuration(address));
    let took = within(SOON, "caBundle is set", || !bundle(api).is_empty());
    println!("webhook: trusted {took:?} after its configuration");
    within(SOON, "the webhook answers", || review(api, &good()).is_ok());

    let denial = review(api, &bad()).unwrap_err();
    assert!(
        denial.contains("denied the request") && denial.contains("path type"),
        "{denial}"
    );
}

/// No review fails while the certificate is exchanged.
pub fn certificate_renewed(api: &ApiServer, address: SocketAddr) {
    let (first, authority) = (http::certificate(address, "webhook").unwrap(), bundle(api));
    let start = Instant::now();
    let mut reviews = 0;
    while http::certificate(address, "webhook").as_ref() == Some(&first) {
        review(api, &good()).unwrap();
        reviews += 1;
        assert!(start.elapsed() < VALIDITY, "not renewed in time");
    }
    assert_ne!(bundle(api), authority);
    for _ in 0..5 {
        review(api, &good()).unwrap();
    }
    println!(
        "webhook: certificate renewed after {:?}, {reviews} reviews meanwhile",
        start.elapsed()
    );
    api.kubectl(&["delete", "validatingwebhookconfiguration", NAME]);
}

fn bundle(api: &ApiServer) -> String {
    let path = "jsonpath={.webhooks[0].clientConfig.caBundle}";
    api.kubectl(&["get", "validatingwebhookconfiguration", NAME, "-o", path])
}

/// Sends an object without keeping it.
fn review(api: &ApiServer, object: &Value) -> Result<String, String> {
    let arguments = ["create", "--dry-run=server", "-f", "-"];
    api.try_kubectl(&arguments, Some(&object.to_string()))
}

fn good() -> Value {
    manifests::ingress("reviewed", "reviewed.example")
}

/// A regular expression where there may be none.
fn bad() -> Value {
    let mut ingress = good();
    ingress["spec"]["rules"][0]["http"]["paths"][0]["path"] = json!("/a(b|c)$");
    ingress
}

fn configuration(address: SocketAddr) -> Value {
    json!({
        "apiVersion": "admissionregistration.k8s.io/v1", "kind": "ValidatingWebhookConfiguration",
        "metadata": {"name": NAME},
        "webhooks": [{
            "name": "validate.nginx.ingress.kubernetes.io",
            "admissionReviewVersions": ["v1"], "sideEffects": "None", "failurePolicy": "Fail",
            "clientConfig": {"url": format!("https://{address}/networking/v1/ingresses")},
            "rules": [{
                "apiGroups": ["networking.k8s.io"], "apiVersions": ["v1"],
                "operations": ["CREATE", "UPDATE"], "resources": ["ingresses"],
            }],
        }],
    })
}
