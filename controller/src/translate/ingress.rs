//! One Ingress by itself, parsed: everything that depends on nothing else.
//! Merging Ingresses into hosts is [`super::host`]'s.

pub(crate) mod annotations;
mod path;
mod policies;
pub mod snippet;
#[cfg(test)]
mod tests;

use std::sync::{Arc, OnceLock};

use k8s_openapi::api::networking::v1::{
    HTTPIngressPath, Ingress, IngressBackend, IngressRule, IngressServiceBackend, IngressTLS,
};
use tidegate_snapshot::{
    ClusterKey, Effect, Hostname, LoadBalancing, ObjectRef, PathMatch, PatternError, Problem,
    UpstreamProtocol, UpstreamTls,
};

use super::lookup::Lookup;
use super::problems;
use super::{inspect, reason};
use crate::options::Options;
use annotations::{Canary, HostClientAuth, HostSnippet, HostTls, Scope, Settings};
pub(crate) use path::Path;
use path::PathRules;
pub(crate) use policies::RoutePolicies;

const HOST_FIX: &str = "write a DNS name, as in \"shop.example.com\" or \"*.example.com\"";

/// An Ingress, parsed.
#[derive(Debug)]
pub(crate) struct Model {
    pub(crate) object: ObjectRef,
    /// Seconds since 1970; without a time (a file) it is the oldest.
    pub(crate) created: i64,
    /// Its hosts in the order of its rules, each once.
    pub(crate) hosts: Vec<HostRules>,
    /// The Services that it names, each once.
    pub(crate) services: Vec<ServiceUse>,
    /// `spec.defaultBackend`, as an index into `services`.
    pub(crate) default_backend: Option<usize>,
    /// The Service of the annotation `default-backend`, likewise.
    pub(crate) error_backend: Option<usize>,
    /// Without rules it is the catch-all (ingress-nginx-behaviour §4).
    pub(crate) has_rules: bool,
    pub(crate) tls: Box<[TlsEntry]>,
    pub(crate) policies: RoutePolicies,
    /// `use-regex`.
    pub(crate) use_regex: bool,
    /// `app-root`.
    pub(crate) app_root: Option<Box<str>>,
    /// `from-to-www-redirect`.
    pub(crate) from_to_www: bool,
    /// `server-alias`.
    pub(crate) aliases: Vec<Hostname>,
    /// `auth-tls-*`.
    pub(crate) client_auth: Option<HostClientAuth>,
    /// `server-snippet`.
    pub(crate) server_snippet: Option<Arc<HostSnippet>>,
    /// What its hosts want of handshakes.
    pub(crate) tls_settings: HostTls,
    pub(crate) problems: Box<[Arc<Problem>]>,
    /// Nothing of it is served, and it gets no status.
    pub(crate) rejected: bool,
    /// `ssl-passthrough`: TLS of its hosts goes to the backend of `/` untouched.
    pub(crate) passthrough: bool,
    /// It makes no routes: it lends its Services to those of its main Ingress.
    pub(crate) canary: Option<Canary>,
}

impl Model {
    /// Whether it makes hosts and routes.
    pub(crate) fn serves(&self) -> bool {
        !self.rejected && self.canary.is_none()
    }

    /// Whether it makes regular expressions of all paths of a host: it asks
    /// for them, or it rewrites one of its paths there (the implicit `/` if it
    /// has none).
    pub(crate) fn makes_regex(&self, hostname: &Hostname) -> bool {
        self.use_regex
            || self.rules_of(hostname).is_some_and(|rules| {
                let rewrites = |rule: &PathRule| self.policies.rewrites(&rule.path.text);
                rules.paths.iter().any(rewrites) || (rules.paths.is_empty() && self.policies.rewrites("/"))
            })
    }

    /// Its rules for one host.
    pub(crate) fn rules_of(&self, hostname: &Hostname) -> Option<&HostRules> {
        self.hosts.iter().find(|host| host.hostname == *hostname)
    }
}

/// The rules of one host.
#[derive(Debug)]
pub(crate) struct HostRules {
    pub(crate) hostname: Hostname,
    pub(crate) paths: Vec<PathRule>,
}

/// One path of a rule.
#[derive(Debug)]
pub(crate) struct PathRule {
    pub(crate) path: Path,
    /// [`Path::as_regex`], compiled once if the host needs it.
    pub(crate) regex: OnceLock<Result<PathMatch, PatternError>>,
    pub(crate) field: IngressField,
    /// An index into [`Model::services`]; `None`: the default backend.
    pub(crate) service: Option<usize>,
}

/// Where something stands in the spec; a text only when a Problem needs it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum IngressField {
    DefaultBackend,
    /// The annotation `default-backend`.
    ErrorBackend,
    Path {
        rule: u32,
        path: u32,
    },
}

impl IngressField {
    /// The path or the default backend itself.
    pub(crate) fn text(self) -> String {
        match self {
            Self::DefaultBackend => "spec.defaultBackend".to_owned(),
            Self::ErrorBackend => "the annotation default-backend".to_owned(),
            Self::Path { rule, path } => format!("spec.rules[{rule}].http.paths[{path}]"),
        }
    }

    fn backend(self) -> String {
        match self {
            Self::DefaultBackend | Self::ErrorBackend => self.text(),
            Self::Path { .. } => self.text() + ".backend",
        }
    }

    /// The Service of the backend.
    pub(crate) fn service(self) -> String {
        match self {
            Self::ErrorBackend => self.text(),
            Self::DefaultBackend | Self::Path { .. } => self.backend() + ".service",
        }
    }
}

/// A Service port that an Ingress names, and how to talk to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ServiceUse {
    pub(crate) name: Arc<str>,
    /// Number or name, as written.
    pub(crate) port: Arc<str>,
    /// Where it was named first.
    pub(crate) field: IngressField,
    /// The name of its cluster where no other Service has the same one.
    pub(crate) key: ClusterKey,
    pub(crate) protocol: UpstreamProtocol,
    /// `None`: the default of the options.
    pub(crate) load_balancing: Option<LoadBalancing>,
    pub(crate) service_upstream: bool,
    /// Settings of TLS to its endpoints.
    pub(crate) tls: Option<Arc<UpstreamTls>>,
    /// What they were made of: tells clusters with different ones apart.
    pub(crate) tls_identity: Option<Arc<str>>,
    pub(crate) transport: Transport,
}

/// What carries a Service's port.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Transport {
    Tcp,
    Udp,
}

impl Transport {
    /// As Kubernetes writes it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Tcp => "TCP",
            Self::Udp => "UDP",
        }
    }
}

/// One entry of `spec.tls`.
#[derive(Debug)]
pub(crate) struct TlsEntry {
    pub(crate) hosts: Box<[Hostname]>,
    /// `None`: the default certificate.
    pub(crate) secret: Option<Arc<str>>,
}

/// Parses one Ingress. `defaults` are shared by all that have no annotations.
pub(crate) fn parse(
    ingress: &Ingress,
    options: &Options,
    lookup: &Lookup<'_>,
    defaults: &RoutePolicies,
) -> Model {
    let metadata = &ingress.metadata;
    let object = ObjectRef::new(
        "Ingress",
        metadata.namespace.as_deref().unwrap_or_default(),
        metadata.name.as_deref().unwrap_or_default(),
    );
    let mut problems = Vec::new();
    let scope = Scope {
        object: &object,
        options,
        lookup,
    };
    let settings = annotations::parse(metadata.annotations.as_ref(), &scope, &mut problems);
    let mut rejected = settings.rejected;
    if options.deep_inspect
        && let Some((field, text)) = inspect::suspicious(ingress)
    {
        rejected = true;
        problems.push(Problem {
            object: object.clone(),
            field,
            reason: reason::SUSPICIOUS_TEXT,
            message: format!("{text:?} contains a text that attacks are known by"),
            effect: Effect::ObjectRejected,
            fix: "write it without, or switch --deep-inspect off".to_owned(),
        });
    }
    let mut parser = Parser {
        object,
        problems,
        services: Vec::new(),
        hosts: Vec::new(),
        path_rules: PathRules {
            strict: options.strict_path_types,
            regex: settings.rewrite.use_regex || settings.rewrite.target.is_some(),
        },
        settings: &settings,
    };
    let spec = ingress.spec.as_ref();
    let default_backend = spec
        .and_then(|spec| spec.default_backend.as_ref())
        .and_then(|backend| parser.backend(backend, IngressField::DefaultBackend));
    let rules = spec.and_then(|spec| spec.rules.as_deref()).unwrap_or_default();
    for (index, rule) in rules.iter().enumerate() {
        parser.rule(index, rule);
    }
    let error_backend = settings
        .error_pages
        .backend
        .as_ref()
        .map(|(name, port)| parser.error_backend(name, port));
    let tls = parser.tls(ingress);
    let Parser {
        object,
        problems,
        mut services,
        mut hosts,
        ..
    } = parser;
    services.shrink_to_fit();
    hosts.shrink_to_fit();
    let created = metadata.creation_timestamp.as_ref();
    Model {
        object,
        created: created.map_or(i64::MIN, |time| time.0.as_second()),
        hosts,
        services,
        default_backend,
        error_backend,
        has_rules: !rules.is_empty(),
        tls,
        use_regex: settings.rewrite.use_regex,
        app_root: settings.app_root.clone(),
        from_to_www: settings.from_to_www,
        policies: RoutePolicies::new(&settings, defaults),
        aliases: settings.aliases.clone(),
        client_auth: settings.client_auth.clone(),
        server_snippet: settings.server_snippet.clone(),
        tls_settings: settings.tls.clone(),
        problems: problems::shared(problems),
        rejected,
        canary: settings.canary.if_enabled(),
        passthrough: settings.passthrough && options.tls_passthrough,
    }
}

struct Parser<'a> {
    object: ObjectRef,
    problems: Vec<Problem>,
    services: Vec<ServiceUse>,
    hosts: Vec<HostRules>,
    path_rules: PathRules,
    settings: &'a Settings,
}

impl Parser<'_> {
    fn ignored(&mut self, field: String, reason: &'static str, message: String, fix: &str) {
        self.problems.push(Problem {
            object: self.object.clone(),
            field,
            reason,
            message,
            effect: Effect::Ignored,
            fix: fix.to_owned(),
        });
    }

    fn rule(&mut self, index: usize, rule: &IngressRule) {
        let host = rule.host.as_deref().unwrap_or_default();
        let hostname = match Hostname::parse(host) {
            Ok(hostname) => hostname,
            Err(error) => {
                let field = format!("spec.rules[{index}].host");
                let message = format!("{host:?} is not a host name: {error}");
                self.ignored(field, reason::INVALID_HOST, message, HOST_FIX);
                return;
            }
        };
        let paths = rule.http.as_ref().map(|http| http.paths.as_slice());
        let mut parsed = Vec::with_capacity(paths.map_or(0, <[_]>::len));
        for (path_index, path) in paths.into_iter().flatten().enumerate() {
            let field = IngressField::Path {
                rule: index as u32,
                path: path_index as u32,
            };
            parsed.extend(self.path(path, field));
        }
        match self.hosts.iter_mut().find(|host| host.hostname == hostname) {
            Some(host) => host.paths.append(&mut parsed),
            None => self.hosts.push(HostRules {
                hostname,
                paths: parsed,
            }),
        }
    }

    fn path(&mut self, rule: &HTTPIngressPath, field: IngressField) -> Option<PathRule> {
        let text = rule.path.as_deref().unwrap_or_default();
        match Path::parse(text, &rule.path_type, self.path_rules) {
            Ok(path) => Some(PathRule {
                path,
                regex: OnceLock::new(),
                field,
                service: self.backend(&rule.backend, field),
            }),
            Err(error) => {
                let part = if error.is_type() { ".pathType" } else { ".path" };
                let field = field.text() + part;
                self.ignored(field, reason::INVALID_PATH, error.to_string(), error.fix());
                None
            }
        }
    }

    /// The index of the backend's Service; `None` sends to the default backend.
    fn backend(&mut self, backend: &IngressBackend, field: IngressField) -> Option<usize> {
        let Some(service) = &backend.service else {
            let (reason, message) = match &backend.resource {
                Some(resource) => (
                    reason::RESOURCE_BACKEND,
                    format!("a resource backend ({}) cannot be served", resource.kind),
                ),
                None => (reason::INVALID_BACKEND, "names no Service".to_owned()),
            };
            self.ignored(field.backend(), reason, message, "name a Service");
            return None;
        };
        match service_port(service) {
            Some(port) => Some(self.service(&service.name, port, field)),
            None => {
                let field = field.service() + ".port";
                let message = "needs a number from 1 to 65535 or a name".to_owned();
                self.ignored(field, reason::INVALID_BACKEND, message, "");
                None
            }
        }
    }

    fn service(&mut self, name: &str, port: Arc<str>, field: IngressField) -> usize {
        let known = self
            .services
            .iter()
            .position(|service| *service.name == *name && service.port == port);
        if let Some(index) = known {
            return index;
        }
        let hash = self.settings.hashing();
        let (tls, tls_identity) = self.settings.upstream_tls(&self.object.namespace, name);
        self.services.push(ServiceUse {
            tls,
            tls_identity,
            transport: Transport::Tcp,
            key: ClusterKey(format!("{}-{name}-{port}", self.object.namespace).into()),
            name: name.into(),
            port,
            field,
            protocol: self.settings.protocol,
            load_balancing: hash.or_else(|| self.settings.load_balancing.clone()),
            service_upstream: self.settings.service_upstream,
        });
        self.services.len() - 1
    }

    /// The Service of `default-backend`. It is spoken to in plain HTTP,
    /// whatever the backends of the rules speak.
    fn error_backend(&mut self, name: &str, port: &Arc<str>) -> usize {
        self.services.push(ServiceUse {
            name: name.into(),
            port: port.clone(),
            field: IngressField::ErrorBackend,
            key: ClusterKey(format!("{}-{name}-{port}", self.object.namespace).into()),
            protocol: UpstreamProtocol::Http,
            load_balancing: None,
            service_upstream: false,
            tls: None,
            tls_identity: None,
            transport: Transport::Tcp,
        });
        self.services.len() - 1
    }

    fn tls(&mut self, ingress: &Ingress) -> Box<[TlsEntry]> {
        let entries = ingress.spec.as_ref().and_then(|spec| spec.tls.as_ref());
        let entry = |(index, entry): (usize, &IngressTLS)| {
            let hosts = entry.hosts.iter().flatten().enumerate();
            let hosts = hosts.filter_map(|(host_index, host)| match Hostname::parse(host) {
                Ok(hostname) => Some(hostname),
                Err(error) => {
                    let field = format!("spec.tls[{index}].hosts[{host_index}]");
                    let message = format!("{host:?} is not a host name: {error}");
                    self.ignored(field, reason::INVALID_HOST, message, HOST_FIX);
                    None
                }
            });
            let secret = entry.secret_name.as_deref().filter(|name| !name.is_empty());
            TlsEntry {
                hosts: hosts.collect(),
                secret: secret.map(Arc::from),
            }
        };
        entries.into_iter().flatten().enumerate().map(entry).collect()
    }
}

fn service_port(service: &IngressServiceBackend) -> Option<Arc<str>> {
    let port = service.port.as_ref()?;
    if service.name.is_empty() {
        return None;
    }
    match (port.number, port.name.as_deref()) {
        (Some(number @ 1..=65535), None | Some("")) => Some(number.to_string().into()),
        (None | Some(0), Some(name)) if !name.is_empty() => Some(name.into()),
        _ => None,
    }
}
