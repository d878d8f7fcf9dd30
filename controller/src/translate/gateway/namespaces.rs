//! Which namespaces a listener (or a Gateway, for ListenerSets) lets in.

use std::collections::BTreeMap;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{LabelSelector, LabelSelectorRequirement};

use crate::gateway_api::NamespaceFilter;
use crate::objects::Objects;

/// The label that every namespace has.
const NAME_LABEL: &str = "kubernetes.io/metadata.name";

/// Whether `namespace` is let in by the filter of an object in `own`. A value
/// of `from` that nobody knows lets nobody in.
pub(super) fn admits(
    objects: &Objects,
    filter: Option<&NamespaceFilter>,
    default: &str,
    own: &str,
    namespace: &str,
) -> bool {
    let from = filter
        .and_then(|filter| filter.from.as_deref())
        .unwrap_or(default);
    match from {
        "All" => true,
        "Same" => own == namespace,
        "Selector" => {
            let selector = filter.and_then(|filter| filter.selector.as_ref());
            selector.is_some_and(|selector| selects(objects, selector, namespace))
        }
        _ => false,
    }
}

fn selects(objects: &Objects, selector: &LabelSelector, namespace: &str) -> bool {
    let none = BTreeMap::new();
    let known = objects
        .namespace(namespace)
        .and_then(|namespace| namespace.metadata.labels.as_ref())
        .unwrap_or(&none);
    let label = |key: &str| match known.get(key) {
        None if key == NAME_LABEL => Some(namespace),
        value => value.map(String::as_str),
    };
    let equal = selector
        .match_labels
        .iter()
        .flatten()
        .all(|(key, value)| label(key) == Some(value));
    let mut expressions = selector.match_expressions.iter().flatten();
    equal && expressions.all(|requirement| fulfils(requirement, label(&requirement.key)))
}

fn fulfils(requirement: &LabelSelectorRequirement, label: Option<&str>) -> bool {
    let listed = || {
        let mut values = requirement.values.iter().flatten();
        label.is_some_and(|label| values.any(|value| value == label))
    };
    match requirement.operator.as_str() {
        "In" => listed(),
        "NotIn" => !listed(),
        "Exists" => label.is_some(),
        "DoesNotExist" => label.is_none(),
        _ => false,
    }
}
