//! Whether the API server should take an Ingress (ingress-nginx's admission
//! webhook, ingress-nginx-behaviour §17): the parser of translation on the one
//! object, and a look at who has its hosts and paths. Its cost does not depend
//! on how many others there are.
//!
//! It knows nothing of Secrets and of what ConfigMaps hold besides the
//! controller's own: whoever reaches the webhook's port may ask it anything.

use std::collections::HashSet;
use std::sync::Arc;

use k8s_openapi::api::networking::v1::Ingress;
use tidegate_snapshot::{Effect, Hostname, ObjectRef, Problem};

use super::class::Classes;
use super::ingress::{self, RoutePolicies};
use super::lookup::Lookup;
use super::taken::Taken;
use super::{inspect, reason};
use crate::options::{DEFAULT_ANNOTATIONS_PREFIX, Options};

/// What an admission is answered with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Admission {
    /// It may come, with warnings for whoever sends it.
    Allowed(Vec<String>),
    /// It may not, because of this.
    Denied(String),
}

/// Judges Ingresses by what one translation knows. It stands for itself: any
/// thread may ask it, and a newer one takes its place.
#[derive(Clone, Debug)]
pub struct Judge {
    rules: Arc<Rules>,
    /// Names of our IngressClasses.
    classes: Arc<HashSet<String>>,
    taken: Taken,
}

/// What changes with the options alone.
#[derive(Debug)]
pub(super) struct Rules {
    options: Options,
    defaults: RoutePolicies,
}

impl Rules {
    pub(super) fn new(options: &Options) -> Arc<Self> {
        Arc::new(Self {
            options: options.clone(),
            defaults: RoutePolicies::defaults(options),
        })
    }
}

impl Judge {
    pub(super) fn new(rules: &Arc<Rules>, classes: &Arc<HashSet<String>>, taken: &Taken) -> Self {
        Self {
            rules: rules.clone(),
            classes: classes.clone(),
            taken: taken.clone(),
        }
    }

    /// Judges an Ingress. One that is not `watched` (it is of a namespace that
    /// is not ours), or of another class, is inspected for known attacks, no more.
    pub fn admit(&self, ingress: &Ingress, watched: bool) -> Admission {
        match self.judge(ingress, watched) {
            Ok(warnings) => Admission::Allowed(warnings),
            Err(reason) => Admission::Denied(reason),
        }
    }

    fn judge(&self, ingress: &Ingress, watched: bool) -> Result<Vec<String>, String> {
        let options = &self.rules.options;
        if options.deep_inspect
            && let Some((field, text)) = inspect::suspicious(ingress)
        {
            return Err(format!(
                "{field}: {text:?} contains a text that attacks are known by"
            ));
        }
        if !watched || !Classes::known(&self.classes, options).accept(ingress) {
            return Ok(Vec::new());
        }
        let spec = ingress.spec.as_ref();
        if options.disable_catch_all && spec.is_some_and(|spec| spec.default_backend.is_some()) {
            return Err("spec.defaultBackend: catch-all Ingresses are switched off".to_owned());
        }
        annotations(ingress, options)?;
        let model = ingress::parse(ingress, options, &Lookup::blind(), &self.rules.defaults);
        if let Some(problem) = model.problems.iter().find(|problem| denies(problem)) {
            return Err(text(problem));
        }
        if let Some((host, path, other)) = self.taken.conflict(&model) {
            return Err(duplicate(host, path, &other.object));
        }
        Ok(model.problems.iter().map(|problem| text(problem)).collect())
    }
}

/// What the webhook refuses though translation would merely pass it over.
fn annotations(ingress: &Ingress, options: &Options) -> Result<(), String> {
    let annotations = ingress.metadata.annotations.iter().flatten();
    for (key, _) in annotations {
        let prefix = key.split('/').next().unwrap_or_default();
        if prefix == DEFAULT_ANNOTATIONS_PREFIX && prefix != options.annotations_prefix {
            return Err(format!(
                "annotation {key}: the prefix of annotations is {:?} here",
                options.annotations_prefix
            ));
        }
        if prefix == options.annotations_prefix
            && key.ends_with("-snippet")
            && !options.allow_snippet_annotations
        {
            return Err(format!(
                "annotation {key} cannot be used: snippet directives are disabled by the administrator"
            ));
        }
    }
    Ok(())
}

/// What ingress-nginx refuses an object for.
fn denies(problem: &Problem) -> bool {
    let refused = [reason::INVALID_PATH, reason::SNIPPET_REFUSED].contains(&problem.reason);
    problem.effect == Effect::ObjectRejected || refused
}

/// A Problem without the name of the object, which its author knows.
fn text(problem: &Problem) -> String {
    let separator = if problem.fix.is_empty() { "" } else { "; " };
    format!("{}: {}{separator}{}", problem.field, problem.message, problem.fix)
}

/// Scripts read this one: the words are ingress-nginx's interface.
fn duplicate(host: &Hostname, path: &str, other: &ObjectRef) -> String {
    let host = match host {
        Hostname::Any => "_".to_owned(),
        host => host.to_string(),
    };
    format!(
        "host \"{host}\" and path \"{path}\" is already defined in ingress {}/{}",
        other.namespace, other.name
    )
}
