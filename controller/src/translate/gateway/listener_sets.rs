//! ListenerSets: listeners that other namespaces add to a Gateway (GEP-1713).

use std::collections::BTreeMap;
use std::sync::Arc;

use super::namespaces;
use super::status::{Address, Condition, Failure, GatewayStatus};
use super::{accepted, attach, listener, owner};
use crate::gateway_api::{GatewaySpec, Listener, ListenerSet};
use crate::objects::{Kind, NamespacedName, Objects};

/// A ListenerSet of one of our Gateways.
pub(super) struct Model<'a> {
    pub(super) name: NamespacedName,
    set: &'a Arc<ListenerSet>,
    parent: NamespacedName,
    refused: Option<Failure>,
}

impl Model<'_> {
    /// Whether the Gateway lets it in and any of its listeners is valid.
    pub(super) fn is_accepted(&self, listeners: &[listener::Model]) -> bool {
        let own = owner(Kind::ListenerSet, &self.name);
        let mut listeners = listeners.iter().filter(|listener| listener.owner == own);
        self.refused.is_none() && listeners.any(listener::Model::wants_port)
    }

    /// Its listeners; none when the Gateway does not let it in.
    pub(super) fn listeners(&self) -> &[Listener] {
        match &self.set.spec {
            Ok(spec) if self.refused.is_none() => &spec.listeners,
            _ => &[],
        }
    }
}

/// All of them, oldest first.
pub(super) struct ListenerSets<'a>(Vec<Model<'a>>);

impl<'a> ListenerSets<'a> {
    /// `gateway` gives the spec of a Gateway of ours and whether it is accepted.
    pub(super) fn new<'g>(
        objects: &'a Objects,
        gateway: impl Fn(&str, &str) -> Option<(&'g GatewaySpec, bool)>,
    ) -> Self {
        let model = |set: &'a Arc<ListenerSet>| {
            let spec = set.spec.as_ref().ok()?;
            let own = set.metadata.namespace.as_deref().unwrap_or_default();
            let namespace = spec.parent_ref.namespace.as_deref().unwrap_or(own);
            if attach::parent_kind(&spec.parent_ref) != Some(Kind::Gateway) {
                return None;
            }
            let (parent, parent_accepted) = gateway(namespace, &spec.parent_ref.name)?;
            let allowed = parent.allowed_listeners.as_ref();
            let filter = allowed.and_then(|allowed| allowed.namespaces.as_ref());
            let refused = if !namespaces::admits(objects, filter, "None", namespace, own) {
                let message = "the Gateway's `allowedListeners` do not let this namespace in";
                Some(Failure::new("NotAllowed", message))
            } else if !parent_accepted {
                Some(Failure::new("ParentNotAccepted", "the Gateway is not accepted"))
            } else {
                None
            };
            Some(Model {
                name: NamespacedName::new(own, set.metadata.name.as_deref().unwrap_or_default()),
                set,
                parent: NamespacedName::new(namespace, &spec.parent_ref.name),
                refused,
            })
        };
        let mut sets: Vec<_> = objects
            .gateway_api()
            .listener_sets
            .values()
            .filter_map(model)
            .collect();
        sets.sort_by(|a, b| (a.set.created(), &a.name).cmp(&(b.set.created(), &b.name)));
        Self(sets)
    }

    /// Those of one Gateway.
    pub(super) fn of(&self, gateway: &NamespacedName) -> impl Iterator<Item = &Model<'a>> {
        let gateway = gateway.clone();
        self.0.iter().filter(move |set| set.parent == gateway)
    }

    /// The Gateway of one that adds listeners.
    pub(super) fn parent(&self, set: &NamespacedName) -> Option<&NamespacedName> {
        self.0
            .iter()
            .find(|model| model.name == *set)
            .map(|model| &model.parent)
    }

    pub(super) fn knows(&self, namespace: &str, name: &str) -> bool {
        self.0
            .iter()
            .any(|model| *model.name.namespace == *namespace && *model.name.name == *name)
    }

    pub(super) fn statuses(
        &self,
        listeners: &[listener::Model],
        addresses: &BTreeMap<NamespacedName, Address>,
    ) -> BTreeMap<NamespacedName, GatewayStatus> {
        let status = |model: &Model<'_>| {
            let own = owner(Kind::ListenerSet, &model.name);
            let own: Vec<_> = listeners
                .iter()
                .filter(|listener| listener.owner == own)
                .collect();
            let status = GatewayStatus {
                generation: model.set.generation(),
                conditions: vec![match &model.refused {
                    Some(failure) => Condition::fails("Accepted", failure.reason, failure.message.clone()),
                    None if model.is_accepted(listeners) => accepted(&own),
                    None => Condition::fails("Accepted", "ListenersNotValid", "no listener is valid"),
                }],
                unprogrammable: match &model.refused {
                    None if !model.is_accepted(listeners) => {
                        Some(Failure::new("ListenersNotValid", "no listener is valid"))
                    }
                    refused => refused.clone(),
                },
                attached_sets: 0,
                address: addresses.get(&model.parent).cloned().unwrap_or(Address::None),
                listeners: own.iter().map(|listener| listener.status()).collect(),
            };
            (model.name.clone(), status)
        };
        self.0.iter().map(status).collect()
    }
}
