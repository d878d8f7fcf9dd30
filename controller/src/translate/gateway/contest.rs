//! HTTPRoutes and GRPCRoutes that want the same hosts of one listener: "If a Route
//! (A) of type HTTPRoute or GRPCRoute is attached to a Listener and that listener
//! already has another Route (B) of the other type attached and the intersection of
//! the hostnames of A and B is non-empty, then the implementation MUST accept
//! exactly one of these two routes".

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use tidegate_snapshot::ObjectRef;

use super::attach::{Attached, Changes, Lost};
use super::hostname::Index;
use super::listener;
use crate::objects::Kind;

/// The reason of `Accepted: False` for the other one. The specification names none;
/// listeners that want the same host have this one.
pub(super) const REASON: &str = "HostnameConflict";

pub(super) fn message(winner: &ObjectRef, listener: &listener::Model) -> String {
    format!(
        "listener {:?} has {winner}, which is older, for a host of this route: HTTPRoutes and GRPCRoutes share none",
        listener.name
    )
}

/// What each route loses, by its place in `list`, as far as that has changed with
/// `changes`. The list has the order of precedence, "the oldest Route based on
/// creation timestamp", then the first by namespace and name; a route that loses a
/// listener takes nothing from others there.
pub(super) fn outcome(list: &[Arc<Attached>], changes: &Changes) -> Vec<(usize, Lost)> {
    let changed = changes.gone.iter().chain(&changes.new);
    let touched: BTreeSet<usize> = changed.filter_map(claimed).flatten().collect();
    let mixed = mixed(list, &touched);
    if mixed.is_empty() && list.iter().all(|attached| attached.lost.is_empty()) {
        return Vec::new();
    }
    let mut taken: HashMap<(usize, Kind), Index<usize>> = HashMap::new();
    let mut outcome = Vec::new();
    for (at, attached) in list.iter().enumerate() {
        let Some(claimed) = claimed(attached) else {
            continue;
        };
        let mut lost = attached.lost.clone();
        lost.retain(|listener, _| !touched.contains(listener));
        for listener in claimed.filter(|listener| mixed.contains(listener)) {
            let claims = attached.claims().filter(|claim| claim.listener == listener);
            let names: Vec<_> = claims.flat_map(|claim| &claim.hostnames).collect();
            let kind = attached.route.kind;
            let theirs = taken.entry((listener, other(kind))).or_default();
            match names.iter().find_map(|name| theirs.meeting(name, at)) {
                Some(winner) => drop(lost.insert(listener, list[winner].route.object.clone())),
                None => {
                    let ours = taken.entry((listener, kind)).or_default();
                    names.iter().for_each(|name| ours.insert(name, at));
                }
            }
        }
        if lost != attached.lost {
            outcome.push((at, lost));
        }
    }
    outcome
}

fn other(kind: Kind) -> Kind {
    match kind {
        Kind::GRPCRoute => Kind::HTTPRoute,
        _ => Kind::GRPCRoute,
    }
}

/// The listeners that a route of one of both kinds wants.
fn claimed(attached: &Arc<Attached>) -> Option<impl Iterator<Item = usize>> {
    let kind = attached.route.kind;
    let claims = attached.claims().map(|claim| claim.listener);
    matches!(kind, Kind::HTTPRoute | Kind::GRPCRoute).then_some(claims)
}

/// Those of `listeners` that routes of both kinds want: mostly none.
fn mixed(list: &[Arc<Attached>], listeners: &BTreeSet<usize>) -> BTreeSet<usize> {
    let of = |kind: Kind| -> BTreeSet<usize> {
        let routes = list.iter().filter(|attached| attached.route.kind == kind);
        let claimed = routes.filter_map(claimed).flatten();
        claimed.filter(|listener| listeners.contains(listener)).collect()
    };
    let grpc = of(Kind::GRPCRoute);
    if grpc.is_empty() {
        return grpc;
    }
    &grpc & &of(Kind::HTTPRoute)
}
