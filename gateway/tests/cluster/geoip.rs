//! A GeoIP database that is not there is told where its ConfigMap is looked at.

use std::time::Duration;

use serde_json::json;

use super::api_server::ApiServer;
use super::program::Program;
use super::{ADDRESS, SOON, within};

pub fn missing_is_an_event(api: &ApiServer) {
    api.apply(&json!({
        "apiVersion": "v1", "kind": "ConfigMap",
        "metadata": {"name": "geo", "namespace": "default"}, "data": {"use-geoip2": "true"},
    }));
    let flags = [
        "--configmap=default/geo".to_owned(),
        "--maxmind-edition-ids=GeoLite2-City".to_owned(),
    ];
    let mut gateway = Program::start(&api.kubeconfig, ADDRESS, &flags);
    let event = [
        "get",
        "events",
        "--field-selector=reason=GeoIpDatabaseMissing,involvedObject.kind=ConfigMap,involvedObject.name=geo",
        "--output=jsonpath={.items[*].message}",
    ];
    let mut message = String::new();
    within(SOON, "an Event of the ConfigMap", || {
        message = api.kubectl(&event);
        !message.is_empty()
    });
    assert!(
        message.contains("data[use-geoip2]") && message.contains("GeoLite2-City.mmdb"),
        "{message}"
    );
    gateway.terminate(Duration::from_secs(30));
}
