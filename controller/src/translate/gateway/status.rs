//! What the statuses of Gateway API objects should say, as far as translation
//! knows: whether a listener is bound, and since when a condition holds, is
//! added by whoever writes them.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;

use tidegate_snapshot::{ListenerKey, SharedMap};

use crate::gateway_api::{ParentRef, RouteGroupKind};
use crate::objects::{Kind, NamespacedName};

/// A condition of an object or of a part of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Condition {
    /// Its type.
    pub kind: &'static str,
    /// Whether it holds.
    pub status: bool,
    /// A CamelCase word of the API.
    pub reason: &'static str,
    /// For people.
    pub message: String,
}

impl Condition {
    /// A condition that holds.
    pub fn holds(kind: &'static str, reason: &'static str) -> Self {
        Self {
            kind,
            status: true,
            reason,
            message: String::new(),
        }
    }

    /// One that does not.
    pub fn fails(kind: &'static str, reason: &'static str, message: impl Into<String>) -> Self {
        Self {
            kind,
            status: false,
            reason,
            message: message.into(),
        }
    }

    /// Of this type: it holds unless there is a reason why not.
    pub fn unless(kind: &'static str, reason: &'static str, failure: Option<&Failure>) -> Self {
        match failure {
            None => Self::holds(kind, reason),
            Some(failure) => Self::fails(kind, failure.reason, failure.message.clone()),
        }
    }
}

/// Why a condition does not hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// A CamelCase word of the API.
    pub reason: &'static str,
    /// For people.
    pub message: String,
}

impl Failure {
    /// A failure.
    pub fn new(reason: &'static str, message: impl Into<String>) -> Self {
        Self {
            reason,
            message: message.into(),
        }
    }
}

/// The statuses of routes. What says the same stays the same `Arc`.
pub type RouteStatuses = SharedMap<(Kind, NamespacedName), Arc<RouteStatus>>;

/// The statuses of all objects that are ours or refer to ours.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Statuses {
    /// Of each GatewayClass of ours.
    pub classes: BTreeMap<NamespacedName, ClassStatus>,
    /// Of each Gateway of our classes.
    pub gateways: BTreeMap<NamespacedName, GatewayStatus>,
    /// Of each ListenerSet of our Gateways.
    pub listener_sets: BTreeMap<NamespacedName, GatewayStatus>,
    /// Of each BackendTLSPolicy that a Gateway of ours comes across.
    pub policies: BTreeMap<NamespacedName, PolicyStatus>,
    /// Of each route with a parent of ours.
    pub routes: Arc<RouteStatuses>,
}

/// The status of a GatewayClass.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClassStatus {
    /// The object's generation.
    pub generation: i64,
    /// Its conditions.
    pub conditions: Vec<Condition>,
    /// The features that it claims, sorted.
    pub features: Vec<&'static str>,
}

/// The status of a Gateway or ListenerSet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GatewayStatus {
    /// The object's generation.
    pub generation: i64,
    /// The conditions but for `Programmed`.
    pub conditions: Vec<Condition>,
    /// Why it can never be programmed.
    pub unprogrammable: Option<Failure>,
    /// Where it is reached.
    pub address: Address,
    /// How many ListenerSets add to it.
    pub attached_sets: usize,
    /// Its listeners, in its order.
    pub listeners: Vec<ListenerStatus>,
}

/// Where a Gateway is reached.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Address {
    /// Where Ingresses are, too.
    Shared,
    /// At addresses of its own.
    Own(Arc<[IpAddr]>),
    /// Where a Service is reached that is the Gateway's alone.
    Service {
        /// The Service, which may not exist yet.
        name: NamespacedName,
        /// The addresses that it must be reached by, among others.
        asked: Arc<[IpAddr]>,
    },
    /// Nowhere.
    None,
}

/// The status of a listener.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListenerStatus {
    /// Its name.
    pub name: String,
    /// The port that clients see.
    pub port: i64,
    /// The kinds of routes that may attach.
    pub kinds: Vec<RouteGroupKind>,
    /// How many are attached.
    pub attached: usize,
    /// The conditions but for `Programmed`.
    pub conditions: Vec<Condition>,
    /// The listeners of the snapshot that serve it, one for each address; empty:
    /// none does.
    pub served_by: Vec<ListenerKey>,
}

/// The status of a policy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PolicyStatus {
    /// The object's generation.
    pub generation: i64,
    /// The Gateways that come across it, sorted.
    pub ancestors: Vec<NamespacedName>,
    /// The same for all of them.
    pub conditions: Vec<Condition>,
}

/// A parent of a route, and what it is told of the route.
pub type ParentStatus = (Arc<ParentRef>, Arc<[Condition]>);

/// The status of a route.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RouteStatus {
    /// The object's generation.
    pub generation: i64,
    /// For each parent of ours, in the route's order.
    pub parents: Box<[ParentStatus]>,
}
