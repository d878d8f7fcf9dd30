use std::sync::Arc;

use serde::Serialize;

use crate::{Networks, Text};

/// How much one client may ask for (`limit-rps`, `limit-rpm`,
/// `limit-connections`). Counted by each replica for itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Limits {
    /// Routes of the same zone count together: one for an Ingress.
    pub zone: Arc<str>,
    /// What tells clients apart (`limit-conn-zone-variable`); requests for which it
    /// is empty are not counted. `None`: their address.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key: Option<Text>,
    /// Requests under way at a time.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub connections: Option<u32>,
    /// Requests a second.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub per_second: Option<RateLimit>,
    /// Requests a minute.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub per_minute: Option<RateLimit>,
    /// Addresses that are not counted (`limit-allowlist`).
    #[serde(skip_serializing_if = "Networks::is_empty")]
    pub exempt: Networks,
    /// Answer to too many requests (`limit-req-status-code`, 503).
    pub rate_status: u16,
    /// Answer to too many connections (`limit-conn-status-code`, 503).
    pub connection_status: u16,
}

impl Limits {
    /// ingress-nginx's `limit-req-status-code` and `limit-conn-status-code`.
    pub const DEFAULT_STATUS: u16 = 503;
    /// ingress-nginx's `limit-burst-multiplier`.
    pub const DEFAULT_BURST_MULTIPLIER: u32 = 5;
}

/// A rate of requests: nginx's leaky bucket, without delay.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
pub struct RateLimit {
    /// Requests in the limit's unit of time.
    pub rate: u32,
    /// Requests over the rate that are accepted at once.
    pub burst: u32,
}

/// How fast answers are sent (nginx `limit_rate`, `limit_rate_after`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
pub struct Bandwidth {
    /// Bytes a second.
    pub rate: u64,
    /// Bytes of an answer that are sent at full speed.
    pub after: u64,
}
