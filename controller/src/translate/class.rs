//! Which Ingresses are ours (ingress-nginx-behaviour §2).

use std::collections::HashSet;

use k8s_openapi::api::networking::v1::{Ingress, IngressClass};
use tidegate_snapshot::{Effect, ObjectRef, Problem};

use super::problems::Problems;
use super::reason;
use crate::objects::Objects;
use crate::options::Options;

/// The annotation from before IngressClasses.
const CLASS_ANNOTATION: &str = "kubernetes.io/ingress.class";

/// The rules of class selection for one state of the IngressClasses.
#[derive(Debug)]
pub(super) struct Classes<'a> {
    /// Names of IngressClasses that are ours.
    names: HashSet<&'a str>,
    options: &'a Options,
}

impl<'a> Classes<'a> {
    /// Finds our IngressClasses; parameters on one of them are a Problem.
    pub(super) fn new(objects: &'a Objects, options: &'a Options, problems: &mut Problems) -> Self {
        let mut names = HashSet::new();
        if options.ingress_class_by_name {
            names.insert(options.ingress_class.as_str());
        }
        for class in objects.ingress_classes() {
            let name = class.metadata.name.as_deref().unwrap_or_default();
            let by_name = options.ingress_class_by_name && name == options.ingress_class;
            if by_name || has_our_controller(class, options) {
                names.insert(name);
                problems.extend(parameters_problem(class, name));
            }
        }
        Self { names, options }
    }

    /// The rules where our IngressClasses are known by name.
    pub(super) fn known(names: &'a HashSet<String>, options: &'a Options) -> Self {
        let names = names.iter().map(String::as_str).collect();
        Self { names, options }
    }

    /// Whether our IngressClasses have just these names.
    pub(super) fn are(&self, names: &HashSet<String>) -> bool {
        self.names.len() == names.len() && self.names.iter().all(|name| names.contains(*name))
    }

    /// The names of our IngressClasses.
    pub(super) fn names(&self) -> HashSet<String> {
        self.names.iter().map(|name| (*name).to_owned()).collect()
    }

    /// Whether the Ingress is ours. The first rule that applies decides:
    /// `spec.ingressClassName`, then the annotation, then the flag for Ingresses
    /// that have neither. (A default class is filled in by the API server.)
    pub(super) fn accept(&self, ingress: &Ingress) -> bool {
        let spec = ingress.spec.as_ref();
        if let Some(name) = spec.and_then(|spec| spec.ingress_class_name.as_deref()) {
            return self.names.contains(name);
        }
        let annotations = ingress.metadata.annotations.as_ref();
        match annotations.and_then(|annotations| annotations.get(CLASS_ANNOTATION)) {
            Some(value) => *value == self.options.ingress_class,
            None => self.options.watch_ingress_without_class,
        }
    }
}

fn has_our_controller(class: &IngressClass, options: &Options) -> bool {
    let controller = class.spec.as_ref().and_then(|spec| spec.controller.as_deref());
    controller.is_some_and(|controller| options.controller_classes.iter().any(|ours| ours == controller))
}

fn parameters_problem(class: &IngressClass, name: &str) -> Option<Problem> {
    let parameters = class.spec.as_ref()?.parameters.as_ref()?;
    Some(Problem {
        object: ObjectRef::new("IngressClass", "", name),
        field: "spec.parameters".to_owned(),
        reason: reason::CLASS_PARAMETERS_IGNORED,
        message: format!(
            "{} {:?} means nothing here: class parameters are not supported",
            parameters.kind, parameters.name
        ),
        effect: Effect::Ignored,
        fix: "remove `spec.parameters`".to_owned(),
    })
}
