//! Names that hosts answer to besides their own: `server-alias`, and the other
//! side of `from-to-www-redirect` (annotations reference §2 and §3).

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use tidegate_snapshot::{Effect, Hostname, ObjectRef, Problem};

use super::ingress::Model;
use super::problems::Problems;
use super::reason;
use crate::options::Options;

/// What a name stands for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Name {
    /// Another name of a host.
    Alias(Hostname),
    /// Redirected to this host, because of this Ingress.
    RedirectTo(Arc<str>, ObjectRef),
}

/// By name, without those of rules.
pub(super) type Names = BTreeMap<Hostname, Name>;

/// The names of all Ingresses, oldest first.
pub(super) fn names(serving: &[Arc<Model>], options: &Options, problems: &mut Problems) -> Names {
    let mut names = Names::new();
    if !serving
        .iter()
        .any(|model| model.from_to_www || !model.aliases.is_empty())
    {
        return names;
    }
    let hosts = || {
        serving
            .iter()
            .flat_map(|model| model.hosts.iter().map(move |host| (model, &host.hostname)))
    };
    let known: HashSet<&Hostname> = hosts().map(|(_, hostname)| hostname).collect();
    // Only the first Ingress with aliases of a host counts; an alias of two
    // hosts goes to the first in name order.
    let mut first: HashMap<&Hostname, &Arc<Model>> = HashMap::new();
    for (model, hostname) in hosts().filter(|(model, _)| !model.aliases.is_empty()) {
        first.entry(hostname).or_insert(model);
    }
    let mut first: Vec<_> = first.into_iter().collect();
    first.sort_unstable_by_key(|(hostname, _)| *hostname);
    for (hostname, model) in first {
        for alias in &model.aliases {
            let taken = if known.contains(alias) {
                Some("is a host of its own".to_owned())
            } else {
                names
                    .get(alias)
                    .map(|name| format!("is an alias of {} already", name.target()))
            };
            match taken {
                Some(why) => {
                    problems.push(conflict(model, "server-alias", format!("{alias} {why}"), options));
                }
                None => drop(names.insert(alias.clone(), Name::Alias(hostname.clone()))),
            }
        }
    }
    for (model, hostname) in hosts().filter(|(model, _)| model.from_to_www) {
        let Hostname::Exact(name) = hostname else { continue };
        let other = match name.strip_prefix("www.") {
            Some(bare) => Hostname::Exact(bare.into()),
            None => Hostname::Exact(format!("www.{name}").into()),
        };
        if known.contains(&other) || matches!(names.get(&other), Some(Name::Alias(_))) {
            let message = format!("{other} is served itself: nothing is redirected from it");
            problems.push(conflict(model, "from-to-www-redirect", message, options));
        } else {
            names
                .entry(other)
                .or_insert_with(|| Name::RedirectTo(name.clone(), model.object.clone()));
        }
    }
    names
}

impl Name {
    fn target(&self) -> String {
        match self {
            Self::Alias(hostname) => hostname.to_string(),
            Self::RedirectTo(host, _) => host.to_string(),
        }
    }
}

fn conflict(model: &Model, annotation: &str, message: String, options: &Options) -> Problem {
    Problem {
        object: model.object.clone(),
        field: format!(
            "metadata.annotations[{}/{annotation}]",
            options.annotations_prefix
        ),
        reason: reason::NAME_CONFLICT,
        message,
        effect: Effect::Ignored,
        fix: "remove one of the two".to_owned(),
    }
}
