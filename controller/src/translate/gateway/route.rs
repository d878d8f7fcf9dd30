//! Routes with their backends resolved, remembered by their objects: what has
//! not changed is the same `Arc` in the next snapshot.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use tidegate_snapshot::route::{Otherwise, WeightedCluster};
use tidegate_snapshot::{Action, ClusterKey, Effect, ObjectRef, Policies, Problem, Route};

use super::backend::{Backends, INVALID_POLICY, Resolution, Use};
use super::client_certificate::Identity;
use super::rule::{Parsed, Rule, Specificity};
use super::status::Condition;
use crate::gateway_api::{Custom, ParentRef};
use crate::objects::{Kind, NamespacedName, Object};
use crate::translate::{problems, reason};

/// A route of any kind.
#[derive(Debug)]
pub(super) struct Model {
    pub(super) kind: Kind,
    pub(super) object: ObjectRef,
    pub(super) created: i64,
    pub(super) generation: i64,
    pub(super) parsed: Parsed,
    /// Of each rule: its backends, then its mirrors, then its authorizers.
    resolutions: Vec<Vec<Resolution>>,
    /// The BackendTLSPolicies of its backends.
    pub(super) policies: BTreeSet<NamespacedName>,
    /// Every reference that leads nowhere.
    pub(super) problems: Box<[Arc<Problem>]>,
    /// Of one for HTTP, the most specific first.
    pub(super) entries: Box<[Entry]>,
}

/// One match of one rule.
#[derive(Clone, Debug)]
pub(super) struct Entry {
    pub(super) specificity: Specificity,
    pub(super) route: Arc<Route>,
}

/// What becomes of what such a route sends to a backend that there is not.
fn consequence(kind: Kind) -> &'static str {
    match kind {
        Kind::TLSRoute | Kind::TCPRoute => "connections for it are closed",
        Kind::UDPRoute => "datagrams for it are dropped",
        _ => "requests for it are answered 500",
    }
}

impl Model {
    /// Where the connections of a TLSRoute, TCPRoute or UDPRoute go.
    pub(super) fn stream_backends(&self) -> Vec<WeightedCluster> {
        let rules = self.parsed.rules.as_ref().map(Vec::as_slice).unwrap_or_default();
        let mut rules = rules.iter().zip(&self.resolutions);
        rules
            .next()
            .map(|(rule, resolutions)| shares(rule, resolutions))
            .unwrap_or_default()
    }

    /// `ResolvedRefs`: of several failures the first is told.
    pub(super) fn resolved(&self) -> Condition {
        let failures = self.resolutions.iter().flatten();
        let mut failures = failures.filter_map(|resolution| resolution.as_ref().err());
        let failed = failures.find(|failure| failure.reason != INVALID_POLICY);
        Condition::unless("ResolvedRefs", "ResolvedRefs", failed)
    }

    /// "The oldest Route based on creation timestamp", then the first by namespace and
    /// name.
    pub(super) fn age(&self) -> (i64, &str, &str) {
        (self.created, &self.object.namespace, &self.object.name)
    }

    /// The order of precedence among all routes: [`Model::age`], and between kinds
    /// what cannot be told by it.
    pub(super) fn seniority(&self) -> (i64, &str, &str, Kind) {
        let (created, namespace, name) = self.age();
        (created, namespace, name, self.kind)
    }

    /// Its name.
    pub(super) fn name(&self) -> NamespacedName {
        NamespacedName {
            namespace: self.object.namespace.clone(),
            name: self.object.name.clone(),
        }
    }
}

/// Remembers routes.
#[derive(Debug, Default)]
pub(super) struct Routes {
    /// By address; holding the object keeps its address from being used again.
    memo: HashMap<usize, Memo>,
    generation: u64,
    /// Everything is to be judged anew.
    anew: bool,
    changes: Changes,
}

#[derive(Debug)]
struct Memo {
    _object: Object,
    model: Arc<Model>,
    uses: Box<[Use]>,
    seen: u64,
}

/// What became of routes in one update. One that has changed both went and came.
#[derive(Debug, Default)]
pub(super) struct Changes {
    pub(super) gone: Vec<Arc<Model>>,
    pub(super) new: Vec<Arc<Model>>,
}

impl Routes {
    /// Begins an update; `anew`: something has changed that any route may depend on.
    pub(super) fn begin(&mut self, anew: bool) {
        self.generation += 1;
        self.anew = anew;
    }

    /// Ends an update: what it changed.
    pub(super) fn finish(&mut self) -> Changes {
        let generation = self.generation;
        let mut changes = std::mem::take(&mut self.changes);
        self.memo.retain(|_, memo| {
            let kept = memo.seen == generation;
            if !kept {
                changes.gone.push(memo.model.clone());
            }
            kept
        });
        self.memo.shrink_to(2 * self.memo.len());
        changes
    }

    /// Whether there was none at the end of the latest update.
    pub(super) fn is_empty(&self) -> bool {
        self.memo.is_empty()
    }

    /// Every route, in no order.
    pub(super) fn models(&self) -> impl Iterator<Item = &Arc<Model>> {
        self.memo.values().map(|memo| &memo.model)
    }

    /// Takes in the route of an object. It stays the very same when neither it nor
    /// what it refers to has changed.
    pub(super) fn update<S>(
        &mut self,
        object: &Arc<Custom<S>>,
        parse: fn(&S) -> Parsed,
        identity: &impl Fn(&str, &[Arc<ParentRef>]) -> Option<Identity>,
        backends: &mut Backends<'_>,
    ) where
        Object: From<Arc<Custom<S>>>,
    {
        let address = Arc::as_ptr(object) as usize;
        let mut before = None;
        if let Some(memo) = self.memo.get_mut(&address) {
            memo.seen = self.generation;
            if !self.anew && memo.uses.iter().all(|used| backends.holds(used)) {
                return;
            }
            before = Some(memo.model.clone());
        }
        let fresh;
        let (kind, reference, parsed) = match &before {
            Some(model) => (model.kind, &model.object, &model.parsed),
            None => {
                let spec = &object.spec;
                let object = Object::from(object.clone());
                let parsed = match spec {
                    Ok(spec) => parse(spec),
                    Err(unreadable) => Parsed::unreadable(unreadable),
                };
                fresh = (object.kind(), object.object_ref(), parsed);
                (fresh.0, &fresh.1, &fresh.2)
            }
        };
        let rules = parsed.rules.as_ref().map(Vec::as_slice).unwrap_or_default();
        backends.identity = identity(&reference.namespace, &parsed.parents);
        let resolutions = resolutions(kind, reference, rules, backends);
        let policies = std::mem::take(&mut backends.policies);
        let uses = std::mem::take(&mut backends.uses).into();
        let same = |model: &Arc<Model>| model.policies == policies && model.resolutions == resolutions;
        if let Some(memo) = self.memo.get_mut(&address)
            && same(&memo.model)
        {
            memo.uses = uses;
            return;
        }
        let model = Arc::new(Model {
            kind,
            created: object.created(),
            generation: object.generation(),
            entries: entries(rules, &resolutions, reference).into(),
            problems: problems::shared(problems(kind, reference, parsed, &resolutions)),
            object: reference.clone(),
            parsed: parsed.clone(),
            resolutions,
            policies,
        });
        self.changes.gone.extend(before);
        self.changes.new.push(model.clone());
        let memo = Memo {
            _object: Object::from(object.clone()),
            model,
            uses,
            seen: self.generation,
        };
        self.memo.insert(address, memo);
    }
}

/// Of each rule: its backends, its mirrors, then its authorizers.
fn resolutions(
    kind: Kind,
    route: &ObjectRef,
    rules: &[Rule],
    backends: &mut Backends<'_>,
) -> Vec<Vec<Resolution>> {
    let of_rule = |rule: &Rule| {
        let is_grpc = kind == Kind::GRPCRoute;
        let backends_of = rule.backends.iter().map(|backend| (backend, is_grpc));
        let mirrors = rule.mirrors.iter();
        let mirrors = mirrors.map(|mirror| (&mirror.filter.backend, is_grpc));
        let authorizers = rule.authorizers.iter();
        let authorizers = authorizers.map(|asked| (&asked.service, asked.is_grpc));
        let references = backends_of.chain(mirrors).chain(authorizers);
        references
            .map(|(backend, is_grpc)| backends.resolve(kind, is_grpc, &route.namespace, backend))
            .collect()
    };
    rules.iter().map(of_rule).collect()
}

/// Every reference that leads nowhere, with its field and what follows; and what is
/// asked for in vain.
fn problems(
    kind: Kind,
    object: &ObjectRef,
    parsed: &Parsed,
    resolutions: &[Vec<Resolution>],
) -> Vec<Problem> {
    let mut problems = Vec::new();
    let rules = parsed.rules.as_ref().map(Vec::as_slice).unwrap_or_default();
    if parsed.any_gateway {
        problems.push(Problem {
            object: object.clone(),
            field: "spec.useDefaultGateways".to_owned(),
            reason: reason::WITHOUT_EFFECT,
            message: "no Gateway is a default one here: the route attaches to its `parentRefs` alone"
                .to_owned(),
            effect: Effect::Ignored,
            fix: "name the Gateways in `parentRefs`".to_owned(),
        });
    }
    for (number, (rule, resolutions)) in rules.iter().zip(resolutions).enumerate() {
        for (index, resolution) in resolutions.iter().enumerate() {
            let Err(failure) = resolution else { continue };
            let (field, effect) = consumer(kind, rule, index);
            problems.push(Problem {
                object: object.clone(),
                field: format!("spec.rules[{number}].{field}"),
                reason: reason::BACKEND_NOT_RESOLVED,
                message: format!("{}; {effect}", failure.message),
                effect: Effect::Ignored,
                fix: String::new(),
            });
        }
    }
    problems
}

/// Which field has this resolution of a rule, and what follows from its failure.
fn consumer(kind: Kind, rule: &Rule, index: usize) -> (String, &'static str) {
    let Some(index) = index.checked_sub(rule.backends.len()) else {
        return (format!("backendRefs[{index}]"), consequence(kind));
    };
    if let Some(mirror) = rule.mirrors.get(index) {
        return (mirror.field.clone(), "nothing is mirrored to it");
    }
    let asked = rule.authorizers.get(index - rule.mirrors.len());
    match asked {
        Some(asked) if asked.backend.is_some() => {
            (asked.field.clone(), "requests for the backend are answered 500")
        }
        asked => (
            asked.map(|asked| asked.field.clone()).unwrap_or_default(),
            "requests of the rule are answered 500",
        ),
    }
}

/// "If ties still exist within an HTTPRoute, matching precedence MUST be granted
/// to the FIRST matching rule (in list order)": the sort is stable.
fn entries(rules: &[Rule], resolutions: &[Vec<Resolution>], origin: &ObjectRef) -> Vec<Entry> {
    let mut entries: Vec<Entry> = Vec::new();
    for (rule, resolutions) in rules.iter().zip(resolutions) {
        for found in &rule.matches {
            let before = entries.last().map(|entry| &entry.route.policies);
            let policies = with_references(&found.policies, rule, None, resolutions);
            let policies = match before.filter(|before| **before == policies) {
                Some(before) => before.clone(),
                None => policies,
            };
            entries.push(Entry {
                specificity: found.condition.specificity,
                route: Arc::new(Route {
                    matches: found.condition.matches.clone(),
                    action: action(rule, &found.own, resolutions),
                    policies,
                    origin: origin.clone(),
                    path: (*found.condition.path).into(),
                }),
            });
        }
    }
    entries.sort_by_key(|entry| entry.specificity);
    entries
}

/// The policies of a rule, or of one of its backends, with their mirrors and who
/// is asked. "If the referent cannot be found, this BackendRef is invalid and must
/// be dropped."
fn with_references(
    policies: &Arc<Policies>,
    rule: &Rule,
    backend: Option<usize>,
    resolutions: &[Resolution],
) -> Arc<Policies> {
    if rule.mirrors.is_empty() && rule.authorizers.is_empty() {
        return policies.clone();
    }
    let mirrors = rule.mirrors.iter().zip(&resolutions[rule.backends.len()..]);
    let mirrors = mirrors.filter(|(mirror, _)| mirror.backend.is_none() || mirror.backend == backend);
    let mirrors = mirrors.filter_map(|(mirror, resolution)| {
        let cluster = resolution.as_ref().ok()?;
        Some(mirror.filter.to(cluster.clone()))
    });
    let asked = resolutions.iter().skip(rule.backends.len() + rule.mirrors.len());
    let mut asked = rule.authorizers.iter().zip(asked);
    let asked = asked.find(|(asked, _)| asked.backend == backend);
    let authorization = policies.authorization.clone().map(|mut authorization| {
        authorization.cluster = asked.and_then(|(_, resolution)| resolution.as_ref().ok().cloned());
        authorization
    });
    Arc::new(Policies {
        request_mirrors: mirrors.collect(),
        authorization,
        ..Policies::clone(policies)
    })
}

/// "If all entries in BackendRefs are invalid, ... all traffic which matches
/// this rule MUST receive a 500 status code"; so it must without any, and
/// where nothing has a weight.
fn action(rule: &Rule, own: &[Option<Arc<Policies>>], resolutions: &[Resolution]) -> Action {
    let mut shares = shares(rule, resolutions);
    for (index, (share, own)) in shares.iter_mut().zip(own).enumerate() {
        let own = own.as_ref();
        share.policies = own.map(|own| with_references(own, rule, Some(index), resolutions));
    }
    let serves = |share: &WeightedCluster| share.weight > 0 && share.otherwise != Otherwise::Invalid;
    if shares.iter().any(serves) {
        Action::Forward(shares)
    } else {
        Action::Respond(500)
    }
}

fn shares(rule: &Rule, resolutions: &[Resolution]) -> Vec<WeightedCluster> {
    let pairs = rule.backends.iter().zip(resolutions);
    pairs
        .map(|(backend, resolution)| WeightedCluster {
            policies: None,
            cluster: match resolution {
                Ok(cluster) => cluster.clone(),
                Err(failure) => ClusterKey(format!("{}#{}", backend.name, failure.reason).into()),
            },
            weight: backend.weight.unwrap_or(1).try_into().unwrap_or_default(),
            otherwise: match resolution {
                Ok(_) => Otherwise::Unavailable,
                Err(_) => Otherwise::Invalid,
            },
        })
        .collect()
}
