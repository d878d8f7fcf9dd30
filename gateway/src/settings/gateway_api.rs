use std::net::IpAddr;
use std::ops::RangeInclusive;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Gateway API (`gateway.networking.k8s.io`).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields, rename_all = "camelCase")]
pub struct GatewayApi {
    /// The served value of `spec.controllerName` in GatewayClasses.
    pub controller_name: String,
    /// Addresses of this machine, or networks of them: each Gateway gets one of
    /// its own. Empty: all Gateways share the addresses of the process, with
    /// each other and with Ingresses.
    pub addresses: Vec<String>,
    /// Make a Service for each Gateway, which is reached by that alone, and by
    /// nothing that Ingresses or other Gateways have: `type`, `ports`,
    /// `externalTrafficPolicy`, `loadBalancerClass`, `externalAddresses`,
    /// `addresses` as `docs/gateway-api.md` describes them; `{}` for the
    /// defaults. Excludes `addresses`. `null`: none.
    pub services: Option<GatewayServices>,
}

impl Default for GatewayApi {
    fn default() -> Self {
        Self {
            controller_name: "tidegate.dev/gateway".to_owned(),
            addresses: Vec::new(),
            services: None,
        }
    }
}

/// The Services of Gateways.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields, rename_all = "camelCase")]
pub struct GatewayServices {
    /// The type of each Service.
    #[serde(rename = "type")]
    pub kind: GatewayServiceType,
    /// The ports of the replicas that Services lead to, one for each port of each
    /// Gateway: `first-last`.
    pub ports: String,
    /// Whether traffic from outside of the cluster stays on the node that it has
    /// come to. `null`: Kubernetes' default.
    pub external_traffic_policy: Option<ExternalTrafficPolicy>,
    /// The `spec.loadBalancerClass` of each Service.
    pub load_balancer_class: Option<String>,
    /// Networks whose addresses Gateways may have as `spec.externalIPs`: nodes take
    /// all traffic to these for themselves.
    pub external_addresses: Vec<String>,
    /// The addresses of the replicas, where they are no pods. Empty: the pods of
    /// this controller.
    pub addresses: Vec<IpAddr>,
}

/// The type of a Gateway's Service.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum GatewayServiceType {
    /// Reached by a load balancer of its own.
    #[default]
    LoadBalancer,
    /// Reached by its address in the cluster, and by a port of every node.
    NodePort,
    /// Reached by its address in the cluster alone.
    ClusterIP,
}

/// `spec.externalTrafficPolicy` of a Service.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum ExternalTrafficPolicy {
    /// To any replica.
    Cluster,
    /// To replicas of the same node, which see the client's address.
    Local,
}

impl Default for GatewayServices {
    fn default() -> Self {
        Self {
            kind: GatewayServiceType::default(),
            ports: "20000-20999".to_owned(),
            external_traffic_policy: None,
            load_balancer_class: None,
            external_addresses: Vec::new(),
            addresses: Vec::new(),
        }
    }
}

impl GatewayServices {
    /// `ports`, read. `None`: it is no range of ports.
    pub fn range(&self) -> Option<RangeInclusive<u16>> {
        let (first, last) = self.ports.split_once('-')?;
        let (first, last): (u16, u16) = (first.trim().parse().ok()?, last.trim().parse().ok()?);
        (0 < first && first <= last).then_some(first..=last)
    }

    /// Finds values that do not go together; the error is the key's path and the
    /// reason.
    pub(super) fn check(&self) -> Result<(), (&'static str, String)> {
        let error = |field, reason: String| Err((field, reason));
        if self.range().is_none() {
            return error(
                "gatewayApi.services.ports",
                format!("{:?} is no range of ports such as 20000-20999", self.ports),
            );
        }
        let cluster = self.kind == GatewayServiceType::ClusterIP;
        if cluster && self.external_traffic_policy.is_some() {
            return error(
                "gatewayApi.services.externalTrafficPolicy",
                "means nothing for type ClusterIP: leave it out".to_owned(),
            );
        }
        if self.external_traffic_policy == Some(ExternalTrafficPolicy::Local) && !self.addresses.is_empty() {
            return error(
                "gatewayApi.services.externalTrafficPolicy",
                "Local needs to know on which node each replica is: leave out addresses, and run as pods"
                    .to_owned(),
            );
        }
        if self.kind != GatewayServiceType::LoadBalancer && self.load_balancer_class.is_some() {
            return error(
                "gatewayApi.services.loadBalancerClass",
                "is for type LoadBalancer: leave it out".to_owned(),
            );
        }
        Ok(())
    }
}
