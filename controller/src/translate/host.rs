//! All Ingresses of one host, merged (ingress-nginx-behaviour §4 and §5). It
//! depends on nothing but them, oldest first, and on the default backend.

mod snippet;

use std::cmp::Reverse;
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use tidegate_snapshot::policy::Body;
use tidegate_snapshot::route::WeightedCluster;
use tidegate_snapshot::{
    Action, ClientAuth, ClusterKey, Effect, Hostname, ObjectRef, PathMatch, Policies, Problem, Route,
    RouteMatch, TlsSettings, VirtualHost,
};

use super::ingress::annotations::{HostClientAuth, HostSnippet, HostTls};
use super::ingress::{HostRules, IngressField, Model, Path, PathRule, ServiceUse};
use super::{canary, reason};

/// ingress-nginx `--health-check-path`, served on the default host too.
const HEALTH_PATH: &str = "/healthz";

/// Where requests go that no rule covers.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct DefaultBackend {
    pub(super) action: Action,
    pub(super) origin: ObjectRef,
    pub(super) policies: Arc<Policies>,
}

/// Clusters whose plain name another cluster has: `(plain name, use)` to name.
pub(super) type Renames = BTreeMap<(ClusterKey, String), ClusterKey>;

/// What hosts are built with besides their Ingresses.
pub(super) struct Context<'a> {
    pub(super) default_backend: &'a DefaultBackend,
    pub(super) renames: &'a Renames,
    /// The ConfigMap's `server-snippet`, for hosts whose Ingresses have none.
    pub(super) server_snippet: Option<&'a HostSnippet>,
    pub(super) tls: &'a TlsSettings,
}

impl Context<'_> {
    fn forward(&self, model: &Model, service: &ServiceUse) -> Action {
        let cluster = self.cluster(model, service);
        Action::Forward(vec![WeightedCluster::new(cluster, 1)])
    }

    fn cluster(&self, model: &Model, service: &ServiceUse) -> ClusterKey {
        cluster_key(self.renames, &model.object.namespace, service)
    }

    fn action(&self, model: &Model, service: Option<usize>) -> Action {
        match service.and_then(|index| model.services.get(index)) {
            Some(service) => self.forward(model, service),
            None => self.default_backend.action.clone(),
        }
    }
}

/// The cluster that a Service is used by.
pub(super) fn cluster_key(renames: &Renames, namespace: &str, service: &ServiceUse) -> ClusterKey {
    if renames.is_empty() {
        return service.key.clone();
    }
    let identity = super::cluster::identity(namespace, service);
    let renamed = renames.get(&(service.key.clone(), identity));
    renamed.unwrap_or(&service.key).clone()
}

/// Builds the virtual host of `hostname` from its Ingresses, oldest first;
/// `tls` says whether the host has a certificate configured.
pub(super) fn build(
    hostname: &Hostname,
    models: &[Arc<Model>],
    tls: bool,
    context: &Context<'_>,
) -> (VirtualHost, Vec<Problem>) {
    let mains: Vec<_> = models.iter().filter(|model| model.serves()).cloned().collect();
    let makes_regex = |model: &&Model| model.makes_regex(hostname);
    let mut builder = Builder {
        hostname,
        tls,
        context,
        regex: mains.iter().map(|model| &**model).find(makes_regex),
        taken: HashMap::new(),
        fallback: None,
        routes: Vec::new(),
        problems: Vec::new(),
    };
    for model in &mains {
        let rules = model.rules_of(hostname);
        builder.regex_note(model, rules);
        for rule in rules.into_iter().flat_map(|rules| &rules.paths) {
            builder.path(model, rule);
        }
    }
    builder.fallback(&mains);
    for model in models.iter().filter(|model| !model.serves()) {
        builder.canary(model);
    }
    if *hostname == Hostname::Any {
        builder.health();
    }
    if builder.regex.is_none() {
        builder.trailing_slashes();
    }
    builder.finish(&mains)
}

/// The virtual host that sends everything to another one.
pub(super) fn redirecting(
    hostname: &Hostname,
    host: &Arc<str>,
    status: u16,
    origin: &ObjectRef,
) -> VirtualHost {
    let route = Route {
        matches: RouteMatch::path(PathMatch::Prefix("".into())),
        action: Action::OtherHost {
            host: host.clone(),
            status,
        },
        policies: host_policies(),
        origin: origin.clone(),
        path: "/".into(),
    };
    VirtualHost {
        client_auth: None,
        tls: None,
        hostname: hostname.clone(),
        routes: vec![Arc::new(route)],
    }
}

/// The policies of answers that belong to the host rather than to a location:
/// they come before everything of the latter (annotations reference §23).
fn host_policies() -> Arc<Policies> {
    Arc::new(Policies {
        hsts: None,
        body: Body { max_size: None },
        ..Policies::default()
    })
}

struct Builder<'a> {
    hostname: &'a Hostname,
    tls: bool,
    context: &'a Context<'a>,
    /// The first Ingress that makes every path of the host a regular
    /// expression, if one does.
    regex: Option<&'a Model>,
    /// The Ingress that serves each path and the index of its route, by [`Builder::key`].
    taken: HashMap<(bool, &'a str), (&'a ObjectRef, usize)>,
    /// The index of the implicit `/`.
    fallback: Option<usize>,
    routes: Vec<Arc<Route>>,
    problems: Vec<Problem>,
}

impl<'a> Builder<'a> {
    /// What two paths share when only one of them can be served.
    fn key<'p>(&self, path: &'p Path) -> (bool, &'p str) {
        match self.regex {
            Some(_) => (false, &path.text),
            None => path.key(),
        }
    }

    /// The condition of a path; a broken regular expression makes a Problem.
    fn matches(&mut self, model: &Model, rule: &PathRule) -> Option<PathMatch> {
        if self.regex.is_none() {
            return Some(rule.path.matches());
        }
        match rule.regex.get_or_init(|| rule.path.as_regex()) {
            Ok(matches) => Some(matches.clone()),
            Err(error) => {
                self.problems.push(Problem {
                    object: model.object.clone(),
                    field: rule.field.text() + ".path",
                    reason: reason::INVALID_PATH,
                    message: format!("{:?} is {error}", rule.path.text),
                    effect: Effect::Ignored,
                    fix: "correct the regular expression".to_owned(),
                });
                None
            }
        }
    }

    /// Tells an Ingress whose paths mean something else because of another one.
    fn regex_note(&mut self, model: &Model, rules: Option<&HostRules>) {
        let Some(cause) = self.regex.filter(|_| !model.makes_regex(self.hostname)) else {
            return;
        };
        // The answer to a challenge is served whatever the other paths are.
        let differs = |rule: &&PathRule| match &*rule.path.text {
            "/" => rule.path.exact,
            path => !is_acme_answer(path),
        };
        let Some(rule) = rules.and_then(|rules| rules.paths.iter().find(differs)) else {
            return;
        };
        self.problems.push(Problem {
            object: model.object.clone(),
            field: rule.field.text(),
            reason: reason::REGEX_HOST,
            message: format!(
                "{} has `use-regex` or `rewrite-target`: every path of host {} is compared as a regular \
                 expression, from its start and without regard to case; path types do not count",
                cause.object, self.hostname
            ),
            effect: Effect::Substituted,
            fix: "use another host for one of the two Ingresses if that is not wanted".to_owned(),
        });
    }

    /// Policies of an Ingress, with the name that the cluster of its
    /// `default-backend` really has.
    fn named(&self, model: &Model, mut policies: Arc<Policies>) -> Arc<Policies> {
        let service = model.error_backend.and_then(|index| model.services.get(index));
        if let Some(service) = service {
            let key = self.context.cluster(model, service);
            if key != service.key {
                Arc::make_mut(&mut policies).default_backend = Some(key);
            }
        }
        policies
    }

    /// The first Ingress that names a path serves it.
    fn path(&mut self, model: &'a Model, rule: &'a PathRule) {
        let key = self.key(&rule.path);
        if let Some((winner, _)) = self.taken.get(&key) {
            self.problems.push(conflict(model, rule, self.hostname, winner));
            return;
        }
        let Some(matches) = self.matches(model, rule) else {
            return;
        };
        self.taken.insert(key, (&model.object, self.routes.len()));
        self.routes.push(Arc::new(Route {
            matches: RouteMatch::path(matches),
            action: self.context.action(model, rule.service),
            policies: self.named(model, model.policies.of_path(&rule.path.text, self.tls)),
            origin: model.object.clone(),
            path: rule.path.text.clone(),
        }));
    }

    /// The implicit `/`: to the default backend of the first Ingress of the
    /// host, with that Ingress's policies. For hosts that nothing else claims,
    /// the oldest Ingress without rules comes first; its redirects do not count.
    fn fallback(&mut self, models: &[Arc<Model>]) {
        let root = if self.regex.is_some() { "/" } else { "" };
        if self.taken.contains_key(&(false, root)) {
            return;
        }
        let default = self.context.default_backend;
        let catch_all = models.iter().find(|model| !model.has_rules);
        let (action, policies, origin) = match (self.hostname, catch_all, models.first()) {
            (Hostname::Any, Some(model), _) => (
                self.context.action(model, model.default_backend),
                self.named(model, model.policies.of_catch_all()),
                &model.object,
            ),
            (Hostname::Any, None, Some(model)) if model.default_backend.is_none() => {
                (default.action.clone(), default.policies.clone(), &default.origin)
            }
            (_, _, Some(model)) => (
                self.context.action(model, model.default_backend),
                self.named(model, model.policies.of_path("/", self.tls)),
                &model.object,
            ),
            (_, _, None) => (default.action.clone(), default.policies.clone(), &default.origin),
        };
        let matches = match self.regex {
            Some(_) => PathMatch::StartsWith("/".into()),
            None => PathMatch::Prefix("".into()),
        };
        self.fallback = Some(self.routes.len());
        self.routes.push(Arc::new(Route {
            matches: RouteMatch::path(matches),
            action,
            policies,
            origin: origin.clone(),
            path: "/".into(),
        }));
    }

    /// Lays a canary over the routes of its main Ingress.
    fn canary(&mut self, model: &Model) {
        let rules = model.rules_of(self.hostname);
        for rule in rules.into_iter().flat_map(|rules| &rules.paths) {
            let main = self.taken.get(&self.key(&rule.path));
            let main = main.filter(|(_, at)| self.routes[*at].path == rule.path.text);
            self.lay_over(main.map(|(_, at)| *at), model, rule.service, rule.field);
        }
        if *self.hostname == Hostname::Any && !model.has_rules && model.default_backend.is_some() {
            let fallback = self.fallback;
            self.lay_over(
                fallback,
                model,
                model.default_backend,
                IngressField::DefaultBackend,
            );
        }
    }

    fn lay_over(&mut self, at: Option<usize>, model: &Model, service: Option<usize>, field: IngressField) {
        let service = service.and_then(|index| model.services.get(index));
        let laid = match (at.and_then(|at| self.routes.get_mut(at)), service) {
            (Some(route), Some(service)) => {
                canary::lay_over(route, model, self.context.cluster(model, service), field)
            }
            _ => Err(canary::without_main(&model.object, field)),
        };
        self.problems.extend(laid.err().map(|problem| *problem));
    }

    /// `/healthz` of the default host answers 200 (ingress-nginx-behaviour §6).
    fn health(&mut self) {
        let taken = |exact| self.taken.contains_key(&(exact, HEALTH_PATH));
        if taken(true) || taken(false) {
            return;
        }
        let default = self.context.default_backend;
        // ingress-nginx answers before anything is asked of the client:
        // balancers in front, which know no passwords, go by it. Its answers are
        // never in the access log, whatever the default backend's are.
        let policies = Arc::new(Policies {
            unlogged: true,
            hsts: default.policies.hsts.clone(),
            added_headers: default.policies.added_headers.clone(),
            server_snippet: default.policies.server_snippet.clone(),
            ..Policies::default()
        });
        self.routes.push(Arc::new(Route {
            matches: RouteMatch::path(PathMatch::Exact(HEALTH_PATH.into())),
            action: Action::Respond(200),
            policies,
            origin: default.origin.clone(),
            path: HEALTH_PATH.into(),
        }));
    }

    /// Where only `/foo/` is served, `/foo` is redirected to it: nginx does so
    /// for a location that ends in a slash and has no twin without one. That
    /// comes before the redirect to https (annotations reference §23).
    fn trailing_slashes(&mut self) {
        let mut redirects = Vec::new();
        for route in &self.routes {
            let (PathMatch::Exact(path) | PathMatch::Below(path)) = &route.matches.path else {
                continue;
            };
            let Some(twin) = path.strip_suffix('/').filter(|twin| !twin.is_empty()) else {
                continue;
            };
            // A prefix without the slash has the same key as the one with it.
            let covered = self.taken.contains_key(&(true, twin))
                || self.routes.iter().any(|other| match &other.matches.path {
                    PathMatch::Prefix(prefix) => **prefix == *twin,
                    _ => false,
                });
            if !covered {
                redirects.push((twin.to_owned(), route.clone()));
            }
        }
        redirects.sort_by(|a, b| a.0.cmp(&b.0));
        redirects.dedup_by(|a, b| a.0 == b.0);
        for (twin, route) in redirects {
            let mut policies = route.policies.clone();
            if policies.https_redirect.is_some() {
                Arc::make_mut(&mut policies).https_redirect = None;
            }
            self.routes.push(Arc::new(Route {
                matches: RouteMatch::path(PathMatch::Exact(twin.into())),
                action: Action::AddTrailingSlash,
                policies,
                origin: route.origin.clone(),
                path: route.path.clone(),
            }));
        }
    }

    /// `app-root` of the first Ingress that has one answers `/` before any rule.
    fn app_root(&mut self, models: &[Arc<Model>]) {
        let first = models
            .iter()
            .find_map(|model| Some((model, model.app_root.as_ref()?)));
        let Some((model, path)) = first else { return };
        let route = Route {
            matches: RouteMatch::path(PathMatch::Exact("/".into())),
            action: Action::AppRoot(path.clone()),
            policies: host_policies(),
            origin: model.object.clone(),
            path: "/".into(),
        };
        self.routes.insert(0, Arc::new(route));
    }

    fn finish(mut self, models: &[Arc<Model>]) -> (VirtualHost, Vec<Problem>) {
        match self.regex {
            Some(_) => self
                .routes
                .sort_by(|a, b| regex_precedence(a).cmp(&regex_precedence(b))),
            None => self.routes.sort_by(|a, b| precedence(a).cmp(&precedence(b))),
        }
        let said = snippet::of_host(models, self.hostname, self.context, &mut self.problems);
        if let Some((said, origin)) = said {
            snippet::insert(&mut self.routes, said, origin, self.regex.is_some(), self.context);
        }
        self.app_root(models);
        if let Some((said, _)) = said {
            snippet::apply(&mut self.routes, said);
        }
        self.routes.shrink_to_fit();
        let host = VirtualHost {
            hostname: self.hostname.clone(),
            client_auth: client_auth(models, self.hostname, &mut self.problems),
            tls: tls_settings(models, self.context.tls),
            routes: self.routes,
        };
        (host, self.problems)
    }
}

/// The first Ingress of a host that says something about client certificates
/// decides for the host.
fn client_auth(
    models: &[Arc<Model>],
    hostname: &Hostname,
    problems: &mut Vec<Problem>,
) -> Option<Arc<ClientAuth>> {
    let mut saying = models
        .iter()
        .filter_map(|model| Some((model, model.client_auth.as_ref()?)));
    let (winner, said) = saying.next()?;
    for (model, _) in saying.filter(|(_, other)| !other.demands_like(said)) {
        problems.push(Problem {
            object: model.object.clone(),
            field: "metadata.annotations".to_owned(),
            reason: reason::HOST_CONFLICT,
            message: format!(
                "auth-tls-*: {} decides about client certificates of host {hostname}",
                winner.object
            ),
            effect: Effect::Ignored,
            fix: "write the same there, or use another host".to_owned(),
        });
    }
    match said {
        HostClientAuth::Off => None,
        HostClientAuth::On(auth) => Some(auth.clone()),
    }
}

/// Each of them as the first Ingress of the host that says it.
fn tls_settings(models: &[Arc<Model>], common: &TlsSettings) -> Option<Arc<TlsSettings>> {
    let said = models.iter().map(|model| &model.tls_settings);
    let host = said.fold(HostTls::default(), HostTls::or);
    host.over(common).map(Arc::new)
}

/// Exact first, then the longest prefix; then by text, so that equal inputs
/// make equal hosts.
fn precedence(route: &Route) -> (u8, usize, &str) {
    match &route.matches.path {
        PathMatch::Exact(path) => (0, 0, path),
        PathMatch::Prefix(path) => (1, usize::MAX - path.len() - 1, path),
        PathMatch::Below(path) => (1, usize::MAX - path.len(), path),
        PathMatch::StartsWith(path) => (2, usize::MAX - path.len(), path),
        PathMatch::Regex(pattern) => (2, 0, pattern.source()),
    }
}

/// Where certificate authorities look for the answers to their challenges.
const ACME: &str = "/.well-known/acme-challenge/";

/// On a host with regular expressions the longest text comes first, equal
/// lengths by descending text. Before all of them come answers to ACME
/// challenges: in ingress-nginx a longer expression can win over one and stop
/// the renewal of certificates.
fn regex_precedence(route: &Route) -> (u8, Reverse<usize>, Reverse<&str>) {
    let rank = match &route.matches.path {
        PathMatch::Exact(_) => 0,
        _ if is_acme_answer(&route.path) => 1,
        _ => 2,
    };
    (rank, Reverse(route.path.len()), Reverse(&route.path))
}

/// Whether a path is that of one challenge's answer.
fn is_acme_answer(path: &str) -> bool {
    let of_token = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
    path.strip_prefix(ACME)
        .is_some_and(|token| !token.is_empty() && token.bytes().all(of_token))
}

fn conflict(model: &Model, rule: &PathRule, hostname: &Hostname, winner: &ObjectRef) -> Problem {
    let Path { text, .. } = &rule.path;
    Problem {
        object: model.object.clone(),
        field: rule.field.text(),
        reason: reason::PATH_CONFLICT,
        message: format!("host {hostname} and path {text:?} are already served by {winner}"),
        effect: Effect::Ignored,
        fix: "remove one of the two paths".to_owned(),
    }
}
