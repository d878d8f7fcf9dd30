//! A canary beside a main cluster: who gets to see it.

use http::HeaderName;
use serde::Serialize;

use crate::{ClusterKey, Pattern};

/// A split between a main cluster and a canary, by rules first and by weight
/// last: header, then cookie, then chance. A canary without endpoints leaves
/// everything to the main cluster.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Canary {
    /// Where requests go that the rules do not send to the canary. Without
    /// endpoints the answer is 503, whatever the canary has.
    pub main: ClusterKey,
    /// The alternative.
    pub canary: ClusterKey,
    /// A rule on a header field.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub header: Option<CanaryHeader>,
    /// The cookie whose value `always` or `never` decides.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cookie: Option<Box<str>>,
    /// The canary's share of `total`.
    pub weight: u32,
    /// What `weight` is out of; not 0.
    pub total: u32,
    /// A client that affinity binds to the canary stays there, and a new one is
    /// bound by a cookie (`affinity-canary-behavior: sticky`). Otherwise the
    /// canary's answers bind nobody.
    pub sticky: bool,
}

/// A rule on a header field. A request without the field goes on to the next
/// rule.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct CanaryHeader {
    /// The field's name.
    #[serde(serialize_with = "super::display")]
    pub name: HeaderName,
    /// What its value says.
    pub value: CanaryValue,
}

/// What a header field's value says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub enum CanaryValue {
    /// `always`: the canary; `never`: main; else the next rule.
    Words,
    /// This text: the canary; else the next rule.
    Equals(Box<str>),
    /// A match anywhere in it: the canary; else the next rule.
    Matches(Pattern),
    /// Whatever it is: main. ingress-nginx ends its evaluation at a pattern
    /// that does not compile.
    Main,
}
