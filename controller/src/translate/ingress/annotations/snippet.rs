//! `configuration-snippet`, `server-snippet`: typed policies made of nginx text
//! (annotations reference §21). A line outside of the grammar closes the routes:
//! it may have been there to guard something.

use std::sync::Arc;

use tidegate_snapshot::Policies;
use tidegate_snapshot::policy::{AccessRule, Snippet, SourceRange};

use super::{Refusal, Scope, Settings};
use crate::translate::ingress::snippet::{self, Directives, Fault, Level, Location, Precedence};
use crate::translate::reason;

/// What the annotations say.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Draft {
    server: Option<Box<str>>,
    configuration: Option<Box<str>>,
    /// Variables that the former sets.
    variables: Vec<Arc<str>>,
}

/// What holds for a whole host.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct HostSnippet {
    pub(crate) snippet: Option<Arc<Snippet>>,
    /// For routes without any of their own.
    pub(crate) access: Vec<AccessRule>,
    /// In nginx's order, but for what paths of Ingresses come between.
    pub(crate) locations: Vec<Location>,
    /// Why it says nothing: it may have been there to guard any route of the
    /// host, so that all of them are closed.
    pub(crate) refused: Option<String>,
}

impl HostSnippet {
    fn refused(fault: &Fault) -> Self {
        Self {
            refused: Some(format!("server-snippet: {fault}")),
            ..Self::default()
        }
    }

    /// An Ingress's directives, and the ConfigMap's after them.
    pub(crate) fn new(own: Option<&Directives>, shared: Option<&Directives>) -> Self {
        let both = || own.into_iter().chain(shared);
        let mut locations: Vec<Location> = both().flat_map(|part| part.locations.iter().cloned()).collect();
        locations.sort_by_key(|location| match location.precedence {
            Precedence::Regex => (Precedence::Regex, 0),
            precedence => (precedence, usize::MAX - location.path.len()),
        });
        Self {
            snippet: both()
                .filter_map(|part| part.snippet.clone())
                .reduce(|a, b| joined(&a, &b)),
            access: both().flat_map(|part| part.access.iter().cloned()).collect(),
            locations,
            refused: None,
        }
    }
}

impl HostSnippet {
    /// The policies of a route of the host. `allow` and `deny` of the host count
    /// where the route has none (nginx: no level adds to the one around it).
    pub(crate) fn over(&self, policies: &Policies) -> Policies {
        let mut policies = policies.clone();
        policies.server_snippet.clone_from(&self.snippet);
        if policies.disabled.is_none() {
            policies.disabled.clone_from(&self.refused);
        }
        if policies.source_range.is_none() && !self.access.is_empty() {
            policies.source_range = Some(Box::new(SourceRange {
                rules: self.access.clone(),
                ..SourceRange::default()
            }));
        }
        policies
    }
}

/// The policies of a `location`: what all hosts have, and its own directives.
pub(crate) fn of_location(location: &Location, defaults: &Policies) -> Policies {
    let directives = &location.directives;
    let mut policies = Policies {
        disabled: defaults.disabled.clone(),
        hsts: defaults.hsts.clone(),
        added_headers: defaults.added_headers.clone(),
        body: defaults.body.clone(),
        snippet: directives.snippet.clone(),
        unlogged: directives.unlogged,
        ..Policies::default()
    };
    if let Some(size) = directives.max_body {
        policies.body.max_size = size;
    }
    if !directives.access.is_empty() {
        policies.source_range = Some(Box::new(SourceRange {
            rules: directives.access.clone(),
            ..SourceRange::default()
        }));
    }
    policies
}

fn joined(first: &Arc<Snippet>, second: &Arc<Snippet>) -> Arc<Snippet> {
    let mut snippet = Snippet::clone(first);
    snippet.append(second);
    Arc::new(snippet)
}

pub(super) fn server(settings: &mut Settings, text: &str) -> Result<(), Refusal> {
    settings.snippet.server = Some(text.into());
    Ok(())
}

pub(super) fn configuration(settings: &mut Settings, text: &str) -> Result<(), Refusal> {
    settings.snippet.configuration = Some(text.into());
    Ok(())
}

/// Why a snippet closes its routes.
pub(in crate::translate) fn refusal(fault: &Fault) -> Refusal {
    Refusal::disabled(fault.to_string(), fault.fix.as_str()).because(reason::SNIPPET_REFUSED)
}

/// The first directive that has no effect is reported; the others do what they say.
fn told(notes: &[Fault]) -> Result<(), Refusal> {
    match notes.first() {
        None => Ok(()),
        Some(fault) => {
            let told = Refusal::ignored(fault.to_string(), fault.fix.as_str());
            Err(told.because(reason::SNIPPET_WITHOUT_EFFECT))
        }
    }
}

/// Without `use-geoip2` its variables are empty, and nginx would not load the
/// configuration; what is decided by them stays closed.
fn located(text: &str, scope: &Scope<'_>) -> Result<(), Refusal> {
    if scope.options.geoip.is_some() || !["$geoip2_", "${geoip2_"].iter().any(|name| text.contains(name)) {
        return Ok(());
    }
    let told = Refusal::ignored(
        "use-geoip2 is off: `$geoip2_…` is empty, and what is decided by it answers 503",
        "switch use-geoip2 on in the ConfigMap",
    );
    Err(told.because(reason::SNIPPET_WITHOUT_EFFECT))
}

/// `server-snippet`; the host takes that of its first Ingress that has one.
pub(super) fn finish_server(settings: &mut Settings, scope: &Scope<'_>) -> Result<(), Refusal> {
    let Some(text) = settings.snippet.server.take() else {
        return Ok(());
    };
    let shared = scope.options.server_snippet.as_deref();
    let known = shared.map_or(&[][..], |shared| &shared.variables);
    let parsed = snippet::parse(&text, Level::Server, known).map_err(|fault| {
        settings.server_snippet = Some(Arc::new(HostSnippet::refused(&fault)));
        refusal(&fault)
    })?;
    settings.snippet.variables.clone_from(&parsed.variables);
    settings.server_snippet = Some(Arc::new(HostSnippet::new(Some(&parsed), shared)));
    told(&parsed.notes)?;
    located(&text, scope)
}

/// `configuration-snippet`, and the ConfigMap's `location-snippet` after it.
pub(super) fn finish_configuration(settings: &mut Settings, scope: &Scope<'_>) -> Result<(), Refusal> {
    let draft = std::mem::take(&mut settings.snippet);
    let shared = scope.options.location_snippet.as_deref();
    let mut notes = Vec::new();
    let mut located = Ok(());
    if let Some(text) = draft.configuration {
        let of_hosts = scope.options.server_snippet.as_deref();
        let elsewhere = shared
            .into_iter()
            .chain(of_hosts)
            .flat_map(|part| &part.variables);
        let known: Vec<_> = draft.variables.iter().chain(elsewhere).cloned().collect();
        let parsed = snippet::parse(&text, Level::Location, &known).map_err(|fault| refusal(&fault))?;
        apply(settings, &parsed);
        notes = parsed.notes;
        located = self::located(&text, scope);
    }
    if let Some(shared) = shared {
        apply(settings, shared);
    }
    told(&notes)?;
    located
}

/// What is a policy already becomes that policy.
fn apply(settings: &mut Settings, directives: &Directives) {
    let policies = &mut settings.policies;
    if let Some(size) = directives.max_body {
        policies.body.max_size = size;
    }
    let timeouts = &mut policies.timeouts;
    timeouts.connect = directives.connect_timeout.unwrap_or(timeouts.connect);
    timeouts.read = directives.read_timeout.unwrap_or(timeouts.read);
    timeouts.send = directives.send_timeout.unwrap_or(timeouts.send);
    policies.buffering.request = directives.request_buffering.unwrap_or(policies.buffering.request);
    policies.unlogged |= directives.unlogged;
    if !directives.access.is_empty() {
        let range = policies.source_range.get_or_insert_default();
        range.rules.extend_from_slice(&directives.access);
    }
    if let Some(snippet) = &directives.snippet {
        policies.snippet = Some(match &policies.snippet {
            Some(before) => joined(before, snippet),
            None => snippet.clone(),
        });
    }
}
