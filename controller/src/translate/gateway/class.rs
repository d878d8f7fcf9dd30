//! The GatewayClasses that are ours.

use std::collections::{BTreeMap, BTreeSet};

use tidegate_snapshot::{Effect, ObjectRef, Problem};

use super::features;
use super::status::{ClassStatus, Condition, Failure};
use crate::objects::{GatewayApi, NamespacedName};
use crate::options::Options;
use crate::translate::problems::Problems;
use crate::translate::reason;

/// The names of the classes that Gateways may have, and the status of each.
pub(super) struct Classes {
    pub(super) accepted: BTreeSet<String>,
    pub(super) statuses: BTreeMap<NamespacedName, ClassStatus>,
}

impl Classes {
    /// Judges the classes whose `controllerName` is ours: "Implementations MUST
    /// populate status on all GatewayClass resources which specify their controller
    /// name."
    pub(super) fn new(objects: &GatewayApi, options: &Options, problems: &mut Problems) -> Self {
        let mut classes = Self {
            accepted: BTreeSet::new(),
            statuses: BTreeMap::new(),
        };
        let claimed = features::claimed(objects.definitions(), options.gateway_services.is_some());
        let version = features::supported_version(objects.definitions());
        for class in objects.gateway_classes.values() {
            let Ok(spec) = &class.spec else { continue };
            if spec.controller_name != options.gateway_controller {
                continue;
            }
            let name = class.metadata.name.as_deref().unwrap_or_default();
            let failure = spec.parameters_ref.as_ref().map(|_| {
                Failure::new(
                    "InvalidParameters",
                    "parameters mean nothing here: remove `spec.parametersRef`",
                )
            });
            match &failure {
                None => drop(classes.accepted.insert(name.to_owned())),
                Some(failure) => problems.push(Problem {
                    object: ObjectRef::new("GatewayClass", "", name),
                    field: "spec.parametersRef".to_owned(),
                    reason: reason::CLASS_PARAMETERS_IGNORED,
                    message: failure.message.clone(),
                    effect: Effect::ObjectRejected,
                    fix: String::new(),
                }),
            }
            let accepted = [Condition::unless("Accepted", "Accepted", failure.as_ref())];
            classes.statuses.insert(
                NamespacedName::new("", name),
                ClassStatus {
                    generation: class.generation(),
                    conditions: accepted.into_iter().chain(version.clone()).collect(),
                    features: claimed.clone(),
                },
            );
        }
        classes
    }
}
