use ipnet::IpNet;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Forwarded headers (the ConfigMap keys of ingress-nginx in brackets).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields, rename_all = "camelCase")]
pub struct Forwarding {
    /// Believe `X-Forwarded-*` of `trusted` peers (`use-forwarded-headers`).
    pub use_forwarded_headers: bool,
    /// Take the client's address alone from `X-Forwarded-For` of `trusted`
    /// peers (`enable-real-ip`).
    pub enable_real_ip: bool,
    /// Append to `X-Forwarded-For` rather than replace it
    /// (`compute-full-forwarded-for`).
    pub compute_full_forwarded_for: bool,
    /// Networks whose forwarded headers are believed (`proxy-real-ip-cidr`).
    #[schemars(with = "Vec<String>")]
    pub trusted: Vec<IpNet>,
    /// Make an `X-Request-ID` where the client sent none (`generate-request-id`).
    pub generate_request_id: bool,
}

impl Default for Forwarding {
    fn default() -> Self {
        Self {
            use_forwarded_headers: false,
            enable_real_ip: false,
            compute_full_forwarded_for: false,
            trusted: Vec::new(),
            generate_request_id: true,
        }
    }
}
