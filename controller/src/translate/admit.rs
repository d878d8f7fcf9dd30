//! Whether the API server should take an Ingress (ingress-nginx's admission
//! webhook, ingress-nginx-behaviour §17): the parser of translation on the one
//! object, and a look at the Ingresses of its hosts. Its cost does not depend
//! on how many others there are.

use k8s_openapi::api::networking::v1::Ingress;
use tidegate_snapshot::{Effect, Hostname, ObjectRef, Problem};

use super::class::Classes;
use super::ingress::{self, Model};
use super::lookup::Lookup;
use super::problems::Problems;
use super::{Translator, inspect, reason};
use crate::objects::Objects;
use crate::options::{DEFAULT_ANNOTATIONS_PREFIX, Options};

/// What an admission is answered with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Admission {
    /// It may come, with warnings for whoever sends it.
    Allowed(Vec<String>),
    /// It may not, because of this.
    Denied(String),
}

impl Translator {
    /// Judges an Ingress by what the latest translation knows. Ingresses of
    /// other classes are inspected for known attacks, no more.
    pub fn admit(&self, objects: &Objects, ingress: &Ingress) -> Admission {
        match self.judge(objects, ingress) {
            Ok(warnings) => Admission::Allowed(warnings),
            Err(reason) => Admission::Denied(reason),
        }
    }

    fn judge(&self, objects: &Objects, ingress: &Ingress) -> Result<Vec<String>, String> {
        let options = self.options();
        if options.deep_inspect
            && let Some((field, text)) = inspect::suspicious(ingress)
        {
            return Err(format!(
                "{field}: {text:?} contains a text that attacks are known by"
            ));
        }
        if !Classes::new(objects, options, &mut Problems::default()).accept(ingress) {
            return Ok(Vec::new());
        }
        let spec = ingress.spec.as_ref();
        if options.disable_catch_all && spec.is_some_and(|spec| spec.default_backend.is_some()) {
            return Err("spec.defaultBackend: catch-all Ingresses are switched off".to_owned());
        }
        annotations(ingress, options)?;
        let lookup = Lookup::new(objects);
        let model = ingress::parse(ingress, options, &lookup, self.ingresses.defaults());
        if let Some(problem) = model.problems.iter().find(|problem| denies(problem)) {
            return Err(text(problem));
        }
        self.overlap(&model)?;
        Ok(model.problems.iter().map(|problem| text(problem)).collect())
    }

    /// The same host and path in another Ingress, unless just one of the two is
    /// a canary.
    fn overlap(&self, model: &Model) -> Result<(), String> {
        for rules in &model.hosts {
            for other in self.hosts.models(&rules.hostname) {
                if other.object == model.object || other.canary.is_some() != model.canary.is_some() {
                    continue;
                }
                let theirs = other.rules_of(&rules.hostname);
                let theirs = theirs.into_iter().flat_map(|rules| &rules.paths);
                let taken: Vec<_> = theirs.map(|rule| rule.path.key()).collect();
                if let Some(rule) = rules.paths.iter().find(|rule| taken.contains(&rule.path.key())) {
                    return Err(duplicate(&rules.hostname, &rule.path.text, &other.object));
                }
            }
        }
        Ok(())
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
