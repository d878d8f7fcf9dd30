//! Annotations of an Ingress: a table of every name that ingress-nginx knows,
//! and their values parsed into [`Settings`] or refused with a Problem.

mod affinity;
mod alias;
mod backend_answer;
mod basic_auth;
mod canary;
mod client_auth;
mod cors;
mod error_pages;
mod external_auth;
mod guard;
mod headers;
mod limit;
mod log;
mod mirror;
mod proxy;
mod redirect;
mod rewrite;
mod risk;
mod snippet;
mod source_range;
mod table;
#[cfg(test)]
mod tests;
mod tls;
mod tracing;
mod upstream;
mod upstream_head;
mod upstream_tls;
pub(in crate::translate) mod value;
mod verdicts;

use std::collections::BTreeMap;
use std::sync::Arc;

use tidegate_snapshot::policy::{HttpsRedirect, UpstreamHead};
use tidegate_snapshot::{
    Effect, HashKey, Hostname, LoadBalancing, ObjectRef, Policies, Problem, UpstreamProtocol,
};

use crate::options::Options;
use crate::translate::lookup::Lookup;
use crate::translate::{nearest, reason};

pub(crate) use canary::Canary;
pub(crate) use client_auth::HostClientAuth;
pub(in crate::translate) use snippet::refusal as snippet_refusal;
pub(crate) use snippet::{HostSnippet, of_location};
pub(in crate::translate) use table::{STREAMED, VARIABLES};
pub(crate) use tls::HostTls;
pub(crate) use verdicts::{check, defaults, rows, verdict};

/// What the annotations of an Ingress say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Settings {
    /// The policies of its routes, without the redirect to https.
    pub(crate) policies: Policies,
    /// Redirect to https when the host has TLS.
    pub(crate) ssl_redirect: bool,
    /// Redirect to https always.
    pub(crate) force_ssl_redirect: bool,
    /// How plain HTTP is redirected to https, if it is.
    pub(crate) https_redirect: HttpsRedirect,
    redirect: redirect::Draft,
    backend_answer: backend_answer::Draft,
    pub(crate) error_pages: error_pages::Draft,
    /// `app-root`.
    pub(crate) app_root: Option<Box<str>>,
    /// `from-to-www-redirect`.
    pub(crate) from_to_www: bool,
    /// `server-alias`.
    pub(crate) aliases: Vec<Hostname>,
    pub(crate) rewrite: rewrite::Draft,
    /// What its backends speak.
    pub(crate) protocol: UpstreamProtocol,
    /// `load-balance`.
    pub(crate) load_balancing: Option<LoadBalancing>,
    /// `upstream-hash-by`, which wins over `load-balance`.
    pub(crate) hash: Option<HashKey>,
    /// One endpoint: the Service's own address.
    pub(crate) service_upstream: bool,
    /// `custom-headers`: the ConfigMap that it names.
    custom_headers: Option<String>,
    /// A canary makes no hosts and no routes of its own.
    pub(crate) canary: Canary,
    affinity: affinity::Draft,
    /// `ssl-passthrough`.
    pub(crate) passthrough: bool,
    source_range: source_range::Draft,
    snippet: snippet::Draft,
    /// `server-snippet`.
    pub(crate) server_snippet: Option<Arc<HostSnippet>>,
    basic_auth: basic_auth::Draft,
    client_auth_draft: client_auth::Draft,
    /// `auth-tls-*`: what its hosts demand of clients.
    pub(crate) client_auth: Option<HostClientAuth>,
    /// `ssl-ciphers` and `ssl-prefer-server-ciphers`.
    pub(crate) tls: HostTls,
    external_auth: external_auth::Draft,
    cors: cors::Draft,
    limit: limit::Draft,
    hash_subset: upstream::HashSubset,
    upstream_tls: upstream_tls::Draft,
    mirror: mirror::Draft,
    tracing: tracing::Draft,
    /// A value was refused that ingress-nginx refuses the whole object for.
    pub(crate) rejected: bool,
}

impl Settings {
    /// Without any annotation.
    pub(super) fn new(options: &Options) -> Self {
        Self {
            policies: Policies {
                hsts: options.hsts.clone(),
                upstream_head: (!options.upstream_head.is_empty()).then(|| UpstreamHead {
                    set: options.upstream_head.clone(),
                    ..UpstreamHead::default()
                }),
                added_headers: options.added_headers.clone(),
                ..Policies::default()
            },
            ssl_redirect: options.ssl_redirect,
            force_ssl_redirect: false,
            https_redirect: HttpsRedirect {
                status: options.http_redirect_code,
                ..HttpsRedirect::default()
            },
            redirect: redirect::Draft::default(),
            backend_answer: backend_answer::Draft::default(),
            error_pages: error_pages::Draft::new(&options.custom_http_errors),
            app_root: None,
            from_to_www: false,
            aliases: Vec::new(),
            rewrite: rewrite::Draft::default(),
            protocol: UpstreamProtocol::Http,
            load_balancing: None,
            hash: None,
            service_upstream: false,
            custom_headers: None,
            canary: Canary::default(),
            affinity: affinity::Draft::default(),
            passthrough: false,
            source_range: source_range::Draft::default(),
            snippet: snippet::Draft::default(),
            server_snippet: None,
            basic_auth: basic_auth::Draft::default(),
            client_auth_draft: client_auth::Draft::default(),
            client_auth: None,
            tls: HostTls::default(),
            external_auth: external_auth::Draft::default(),
            cors: cors::Draft::default(),
            limit: limit::Draft::default(),
            hash_subset: upstream::HashSubset::default(),
            upstream_tls: upstream_tls::Draft::default(),
            mirror: mirror::Draft::default(),
            tracing: tracing::Draft::default(),
            rejected: false,
        }
    }
}

/// Why a value is not taken, and what follows (annotations reference §1,
/// column "bad").
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::translate) struct Refusal {
    pub(in crate::translate) reason: &'static str,
    pub(in crate::translate) effect: Effect,
    pub(in crate::translate) message: String,
    pub(in crate::translate) fix: String,
}

impl Refusal {
    /// The default stands ("D").
    pub(in crate::translate) fn ignored(message: impl Into<String>, fix: impl Into<String>) -> Self {
        Self {
            reason: reason::INVALID_ANNOTATION,
            effect: Effect::Ignored,
            message: message.into(),
            fix: fix.into(),
        }
    }

    /// The whole Ingress is refused ("R").
    fn rejected(message: impl Into<String>, fix: impl Into<String>) -> Self {
        Self {
            effect: Effect::ObjectRejected,
            ..Self::ignored(message, fix)
        }
    }

    /// The same as a refusal of the whole Ingress.
    fn into_rejected(self) -> Self {
        Self {
            effect: Effect::ObjectRejected,
            ..self
        }
    }

    /// The routes answer 503 ("location denied").
    pub(in crate::translate) fn disabled(message: impl Into<String>, fix: impl Into<String>) -> Self {
        Self {
            effect: Effect::RouteDisabled,
            ..Self::ignored(message, fix)
        }
    }

    /// The same with another reason.
    pub(in crate::translate) fn because(self, reason: &'static str) -> Self {
        Self { reason, ..self }
    }

    /// A value that ingress-nginx takes and we do not.
    fn not_supported(effect: Effect, message: impl Into<String>, fix: impl Into<String>) -> Self {
        Self {
            reason: reason::ANNOTATION_NOT_SUPPORTED,
            effect,
            ..Self::ignored(message, fix)
        }
    }
}

/// What there is to say of a value that changes nothing.
pub(in crate::translate) fn without_meaning(instead: &str) -> String {
    format!("it changes nothing here: {instead}")
}

/// What annotations are read with.
pub(crate) struct Scope<'a> {
    /// The Ingress.
    pub(crate) object: &'a ObjectRef,
    pub(crate) options: &'a Options,
    /// Other objects that annotations name.
    pub(crate) lookup: &'a Lookup<'a>,
}

/// Parses one value (trimmed, not empty) into the settings.
type Parse = fn(&mut Settings, &str) -> Result<(), Refusal>;

/// Makes policies of what several annotations, or other objects, say together.
type Finish = fn(&mut Settings, &Scope<'_>) -> Result<(), Refusal>;

/// What is finished when every value has been taken, in this order; the name is
/// the annotation that a refusal is reported on.
const GROUPS: &[(&str, Finish)] = &[
    ("affinity", affinity::finish),
    ("custom-headers", headers::finish),
    ("enable-cors", cors::finish),
    ("limit-rps", limit::finish),
    ("allowlist-source-range", source_range::finish),
    ("proxy-redirect-from", backend_answer::finish),
    ("default-backend", error_pages::finish),
    ("rewrite-target", rewrite::finish),
    ("temporal-redirect", redirect::finish),
    ("proxy-ssl-secret", upstream_tls::finish),
    ("auth-tls-secret", client_auth::finish),
    ("auth-type", basic_auth::finish),
    ("auth-url", external_auth::finish),
    ("mirror-target", mirror::finish),
    ("enable-opentelemetry", tracing::finish),
    ("server-snippet", snippet::finish_server),
    // After whatever it wins over.
    ("configuration-snippet", snippet::finish_configuration),
];

/// What is done with an annotation.
#[derive(Clone, Copy)]
enum Handling {
    /// It works.
    Parse(Parse),
    /// Not served, and passed over: nothing is the less safe for it.
    Refused {
        why: &'static str,
        instead: &'static str,
    },
    /// Not served, and it may close something: its routes answer 503. The text
    /// is the reason.
    Closes(&'static str),
    /// It tunes nginx itself.
    NoMeaning {
        /// ingress-nginx's, as text; empty: none.
        default: &'static str,
        /// What is done instead.
        instead: &'static str,
    },
    /// What it is about is done in one way, whatever it says.
    Fixed {
        /// That of the way, as text.
        default: &'static str,
        difference: &'static str,
    },
    /// ingress-nginx has dropped it; with the way out.
    Removed(&'static str),
}

/// One known annotation.
struct Annotation {
    name: &'static str,
    handling: Handling,
    doc: &'static str,
    /// What differs from ingress-nginx; empty: nothing.
    difference: &'static str,
}

impl Annotation {
    const fn new(name: &'static str, handling: Handling, doc: &'static str) -> Self {
        Self {
            name,
            handling,
            doc,
            difference: "",
        }
    }

    /// What differs from ingress-nginx, for the docs.
    const fn but(self, difference: &'static str) -> Self {
        Self { difference, ..self }
    }

    fn by_name(name: &str) -> Option<&'static Self> {
        let at = table::TABLE.binary_search_by(|entry| entry.name.cmp(name)).ok()?;
        table::TABLE.get(at)
    }

    /// Takes one value into `settings`.
    fn apply(&self, settings: &mut Settings, value: &str) -> Result<(), Refusal> {
        match self.handling {
            Handling::Parse(parse) => parse(settings, value),
            Handling::NoMeaning { default, .. } | Handling::Fixed { default, .. } if value == default => {
                Ok(())
            }
            Handling::NoMeaning { instead, .. }
            | Handling::Fixed {
                difference: instead, ..
            } => Err(Refusal::ignored(
                without_meaning(instead),
                "remove it where ingress-nginx reads it no more",
            )
            .because(reason::ANNOTATION_WITHOUT_MEANING)),
            Handling::Closes(_) if value::is_false(value) => Ok(()),
            Handling::Closes(why) => Err(Refusal::not_supported(
                Effect::RouteDisabled,
                why,
                "put a firewall in front of the cluster, and remove the annotation to open its routes",
            )),
            Handling::Refused { why, instead } => Err(Refusal::not_supported(Effect::Ignored, why, instead)),
            Handling::Removed(fix) => Err(Refusal {
                reason: reason::ANNOTATION_REMOVED,
                ..Refusal::ignored("ingress-nginx has dropped this annotation", fix)
            }),
        }
    }
}

/// Parses all annotations of one Ingress.
pub(crate) fn parse(
    annotations: Option<&BTreeMap<String, String>>,
    scope: &Scope<'_>,
    problems: &mut Vec<Problem>,
) -> Settings {
    let mut settings = Settings::new(scope.options);
    take_defaults(&mut settings, scope.options);
    for (key, value) in annotations.into_iter().flatten() {
        let Some(name) = own_name(key, scope.options) else {
            continue;
        };
        let taken = guard::admit(name, value, scope.options)
            .and_then(|()| take(&mut settings, name, value, scope.options));
        if let Err(refusal) = taken {
            problems.push(refuse(&mut settings, key.clone(), refusal, scope.object));
        }
    }
    for (name, finish) in GROUPS {
        let asked = scope.lookup.asked();
        let finished = finish(&mut settings, scope);
        if scope.lookup.has_hidden_since(asked) {
            continue;
        }
        if let Err(refusal) = finished {
            let key = format!("{}/{name}", scope.options.annotations_prefix);
            problems.push(refuse(&mut settings, key, refusal, scope.object));
        }
    }
    settings.policies.retry.on.non_idempotent |= scope.options.retry_non_idempotent;
    let options = scope.options;
    if let Some(reason) = options
        .disabled
        .as_ref()
        .or(options.global_auth_disabled.as_ref())
    {
        settings
            .policies
            .disabled
            .get_or_insert_with(|| reason.to_string());
    }
    settings
}

/// Starts with the ConfigMap's values; they have been found good.
fn take_defaults(settings: &mut Settings, options: &Options) {
    for (name, value) in &options.default_annotations {
        let _ = take(settings, name, value, options);
    }
}

/// Lets a refusal have its effect, and reports it.
fn refuse(settings: &mut Settings, key: String, refusal: Refusal, object: &ObjectRef) -> Problem {
    match refusal.effect {
        Effect::RouteDisabled => {
            settings
                .policies
                .disabled
                .get_or_insert_with(|| format!("{key}: {}", refusal.message));
        }
        Effect::ObjectRejected => settings.rejected = true,
        Effect::Applied | Effect::Ignored | Effect::Substituted => {}
    }
    Problem {
        object: object.clone(),
        field: format!("metadata.annotations[{key}]"),
        reason: refusal.reason,
        message: refusal.message,
        effect: refusal.effect,
        fix: refusal.fix,
    }
}

/// The name behind our prefix.
fn own_name<'a>(key: &'a str, options: &Options) -> Option<&'a str> {
    key.strip_prefix(options.annotations_prefix.as_str())?
        .strip_prefix('/')
}

fn take(settings: &mut Settings, name: &str, value: &str, options: &Options) -> Result<(), Refusal> {
    let Some(annotation) = Annotation::by_name(name) else {
        let known = table::TABLE.iter().map(|known| known.name);
        let fix = nearest::name(name, known)
            .map(|near| format!("did you mean `{}/{near}`?", options.annotations_prefix))
            .unwrap_or_else(|| "remove it, or correct its name".to_owned());
        return Err(Refusal {
            reason: reason::UNKNOWN_ANNOTATION,
            ..Refusal::ignored(format!("there is no annotation {name:?}"), fix)
        });
    };
    let value = value.trim();
    if value.is_empty() {
        // ingress-nginx: "absent", whatever the annotation.
        return Ok(());
    }
    annotation.apply(settings, value)
}
