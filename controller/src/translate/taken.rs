//! Which Ingresses have which host and path. The admission webhook asks it: an
//! answer takes one look at a map, and a copy of it shares what has not changed.

use std::sync::Arc;

use tidegate_snapshot::{Hostname, SharedMap};

use super::ingress::{HostRules, Model, PathRule};
use super::ingresses::{Changes, precedence};

/// By host and path without a slash at its end.
#[derive(Clone, Debug, Default)]
pub(super) struct Taken(SharedMap<Place, Arc<[Owner]>>);

type Place = (Hostname, Arc<str>);

/// An Ingress that has a place; in merge order.
#[derive(Clone, Debug)]
struct Owner {
    model: Arc<Model>,
    texts: Texts,
}

/// The texts of the locations that nginx makes of a path: a Prefix `/foo` makes
/// `/foo` and `/foo/`, everything else one (ingress-nginx-behaviour §5, §17).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Texts {
    /// Without a slash at the end.
    bare: bool,
    /// With one.
    slash: bool,
}

impl Taken {
    /// Follows what became of Ingresses.
    pub(super) fn update(&mut self, changes: &Changes) {
        for model in &changes.gone {
            for (place, _) in places(model) {
                self.remove(&place, model);
            }
        }
        for model in &changes.new {
            for (place, texts) in places(model) {
                self.insert(place, model, texts);
            }
        }
    }

    /// The first host and path of `model` that another Ingress has, and that
    /// Ingress, unless just one of the two is a canary.
    pub(super) fn conflict<'a>(&'a self, model: &'a Model) -> Option<(&'a Hostname, &'a str, &'a Model)> {
        for (rules, rule) in rules(model) {
            let (place, texts) = place(model, rules, rule);
            let owners = self.0.get(&place).into_iter().flat_map(|owners| owners.iter());
            let mut others = owners.filter(|owner| {
                owner.model.object != model.object
                    && owner.model.canary.is_some() == model.canary.is_some()
                    && owner.texts.meet(texts)
            });
            if let Some(other) = others.next() {
                return Some((&rules.hostname, &rule.path.text, &other.model));
            }
        }
        None
    }

    fn insert(&mut self, place: Place, model: &Arc<Model>, texts: Texts) {
        let mut owners = self
            .0
            .get(&place)
            .map(|owners| owners.to_vec())
            .unwrap_or_default();
        match owners.iter_mut().find(|owner| Arc::ptr_eq(&owner.model, model)) {
            Some(owner) => owner.texts = owner.texts.and(texts),
            None => {
                let at = owners.partition_point(|owner| precedence(&owner.model, model).is_lt());
                let model = model.clone();
                owners.insert(at, Owner { model, texts });
            }
        }
        self.0.insert(place, owners.into());
    }

    fn remove(&mut self, place: &Place, model: &Arc<Model>) {
        let Some(owners) = self.0.get(place) else { return };
        let others = owners.iter().filter(|owner| !Arc::ptr_eq(&owner.model, model));
        let others: Arc<[Owner]> = others.cloned().collect();
        if others.is_empty() {
            self.0.remove(place);
        } else if others.len() < owners.len() {
            self.0.insert(place.clone(), others);
        }
    }
}

impl Texts {
    fn meet(self, other: Self) -> bool {
        self.bare && other.bare || self.slash && other.slash
    }

    fn and(self, other: Self) -> Self {
        Self {
            bare: self.bare || other.bare,
            slash: self.slash || other.slash,
        }
    }
}

fn rules(model: &Model) -> impl Iterator<Item = (&HostRules, &PathRule)> {
    let hosts = model.hosts.iter();
    hosts.flat_map(|rules| rules.paths.iter().map(move |rule| (rules, rule)))
}

fn places(model: &Model) -> impl Iterator<Item = (Place, Texts)> {
    rules(model).map(|(rules, rule)| place(model, rules, rule))
}

fn place(model: &Model, rules: &HostRules, rule: &PathRule) -> (Place, Texts) {
    let text = &rule.path.text;
    let base = text.strip_suffix('/');
    // A regular expression stays one location, and so does a path that is rewritten.
    let whole = rule.path.exact || model.use_regex || model.policies.rewrites(text);
    let texts = Texts {
        bare: base.is_none(),
        slash: base.is_some() || !whole,
    };
    let base = base.map_or_else(|| text.clone(), Arc::from);
    ((rules.hostname.clone(), base), texts)
}
