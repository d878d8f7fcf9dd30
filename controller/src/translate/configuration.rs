//! ingress-nginx's ConfigMap (`--configmap`): a table of every key, and their
//! values parsed over the flags' [`Options`]. A value that cannot be understood
//! leaves its key's default and yields a Problem on the ConfigMap.

mod access;
mod address;
mod block;
mod client;
mod compression;
mod geoip;
mod headers;
mod log;
mod routes;
mod security;
mod streams;
mod table;
#[cfg(test)]
mod tests;
mod tls;
mod tracing;
mod value;

use std::sync::Arc;

use ipnet::IpNet;
use k8s_openapi::api::core::v1::ConfigMap;
use tidegate_snapshot::policy::Hsts;
use tidegate_snapshot::{Effect, HttpSettings, ObjectRef, Problem, TlsSettings};

use super::ingress::annotations::{self, Refusal, without_meaning};
use super::ingress::snippet;
use super::lookup::{Lookup, Read};
use super::problems;
use super::{nearest, reason};
use crate::objects::{Kind, NamespacedName, Objects};
use crate::options::Options;

pub(super) use table::keys;

/// Flags and ConfigMap together, and what they were made from.
#[derive(Debug)]
pub(super) struct Configuration {
    /// What translation goes by.
    pub(super) options: Options,
    /// What is wrong with the ConfigMap.
    pub(super) problems: Box<[Arc<Problem>]>,
    reads: Box<[Read]>,
}

impl Configuration {
    /// Reads the ConfigMap that the flags name, and those that it names.
    pub(super) fn new(flags: &Options, objects: &Objects) -> Self {
        let lookup = Lookup::new(objects);
        let mut problems = Vec::new();
        let options = match &flags.config_map {
            Some(name) => read(flags, name, &lookup, &mut problems),
            None => flags.clone(),
        };
        Self {
            options,
            problems: problems::shared(problems),
            reads: lookup.into_reads(),
        }
    }

    /// Whether everything that it was made from is as it was.
    pub(super) fn is_current(&self, objects: &Objects) -> bool {
        self.reads.iter().all(|read| read.is_current(objects))
    }

    /// Whether it was made with a look at this object.
    pub(super) fn reads(&self, kind: Kind, namespace: &str, name: &str) -> bool {
        let object = (kind, NamespacedName::new(namespace, name));
        self.reads.iter().any(|read| read.of() == object)
    }
}

fn read(flags: &Options, name: &NamespacedName, lookup: &Lookup<'_>, problems: &mut Vec<Problem>) -> Options {
    let object = ObjectRef::new("ConfigMap", &name.namespace, &name.name);
    let Some(config_map) = lookup.config_map(&name.namespace, &name.name) else {
        problems.push(Problem {
            object,
            field: "--configmap".to_owned(),
            reason: reason::CONFIG_MAP_MISSING,
            message: "the ConfigMap does not exist".to_owned(),
            effect: Effect::Substituted,
            fix: "create it; until then every key has its default".to_owned(),
        });
        return flags.clone();
    };
    let mut draft = Draft::new(flags);
    for (key, value) in data(config_map) {
        if let Err(refusal) = take(&mut draft, key, value, flags) {
            problems.push(refuse(&mut draft, key, refusal, &object));
        }
    }
    for (key, finish) in table::GROUPS {
        if let Err(refusal) = finish(&mut draft, lookup) {
            problems.push(refuse(&mut draft, key, refusal, &object));
        }
    }
    draft.finish()
}

fn data(config_map: &ConfigMap) -> impl Iterator<Item = (&str, &str)> {
    let data = config_map.data.iter().flatten();
    data.map(|(key, value)| (key.as_str(), value.trim()))
}

/// Takes one value.
fn take(draft: &mut Draft, name: &str, value: &str, flags: &Options) -> Result<(), Refusal> {
    let Some(key) = table::by_name(name) else {
        if table::is_removed(name) {
            let refusal = Refusal::ignored("ingress-nginx has dropped this key", "remove it");
            return Err(refusal.because(reason::KEY_REMOVED));
        }
        let known = table::TABLE.iter().map(|key| key.name);
        let fix = nearest::name(name, known)
            .map(|near| format!("did you mean `{near}`?"))
            .unwrap_or_else(|| "remove it, or correct its name".to_owned());
        let refusal = Refusal::ignored(format!("there is no key {name:?}"), fix);
        return Err(refusal.because(reason::UNKNOWN_KEY));
    };
    if value.is_empty() {
        // Everywhere ingress-nginx's way to say "the default".
        return Ok(());
    }
    match key.handling {
        Handling::Parse(parse) => parse(draft, value),
        Handling::Annotation(annotation) => {
            annotations::check(annotation, value, flags)?;
            let defaults = &mut draft.options.default_annotations;
            defaults.insert(annotation.to_owned(), value.to_owned());
            Ok(())
        }
        Handling::NoMeaning(_) | Handling::Fixed(_) if value == key.default => Ok(()),
        Handling::NoMeaning(instead) | Handling::Fixed(instead) => Err(Refusal::ignored(
            without_meaning(instead),
            "remove it where ingress-nginx reads it no more",
        )
        .because(reason::KEY_WITHOUT_MEANING)),
        Handling::Refused { .. } | Handling::Closes { .. } if value::is_off(value, key.default) => Ok(()),
        Handling::Text { why, instead } => Err(match snippet::guard(value) {
            Some(guard) => Refusal::disabled(format!("{why}, and `{guard}` may keep somebody out"), instead),
            None => Refusal::ignored(why, instead),
        }
        .because(reason::KEY_NOT_SUPPORTED)),
        Handling::Refused { why, instead } => {
            Err(Refusal::ignored(why, instead).because(reason::KEY_NOT_SUPPORTED))
        }
        Handling::Closes { why, instead } => {
            Err(Refusal::disabled(why, instead).because(reason::KEY_NOT_SUPPORTED))
        }
    }
}

/// Lets a refusal have its effect, and reports it.
fn refuse(draft: &mut Draft, key: &str, refusal: Refusal, object: &ObjectRef) -> Problem {
    let known = refusal.reason == reason::INVALID_ANNOTATION;
    let effect = match refusal.effect {
        // What guards access closes what it guards: everything, or all Ingresses.
        Effect::RouteDisabled => {
            let disabled = match key.starts_with("global-auth-") {
                true => &mut draft.options.global_auth_disabled,
                false => &mut draft.options.disabled,
            };
            disabled.get_or_insert_with(|| format!("ConfigMap key {key}: {}", refusal.message).into());
            Effect::RouteDisabled
        }
        _ if known => Effect::Substituted,
        Effect::ObjectRejected => Effect::Ignored,
        effect => effect,
    };
    Problem {
        object: object.clone(),
        field: format!("data[{key}]"),
        reason: if known {
            reason::INVALID_KEY
        } else {
            refusal.reason
        },
        message: refusal.message,
        effect,
        fix: refusal.fix,
    }
}

/// Parses one value (trimmed, not empty).
type Parse = fn(&mut Draft, &str) -> Result<(), Refusal>;

/// Finishes what several keys, or other objects, say together.
type Finish = fn(&mut Draft, &Lookup<'_>) -> Result<(), Refusal>;

/// What is done with a key.
#[derive(Clone, Copy)]
enum Handling {
    /// It works.
    Parse(Parse),
    /// It is the default of this annotation, and parsed like it.
    Annotation(&'static str),
    /// It tunes nginx itself; what is done instead.
    NoMeaning(&'static str),
    /// What it is about is done in one way, whatever it says.
    Fixed(&'static str),
    /// It is not served.
    Refused {
        why: &'static str,
        instead: &'static str,
    },
    /// nginx text that is not served; where it guards access all routes answer
    /// 503.
    Text {
        why: &'static str,
        instead: &'static str,
    },
    /// It is not served, and might have closed something: all routes answer 503.
    Closes {
        why: &'static str,
        instead: &'static str,
    },
}

/// One known key.
struct Key {
    name: &'static str,
    /// ingress-nginx's default, as text; empty: none.
    default: &'static str,
    handling: Handling,
    doc: &'static str,
    /// What differs from ingress-nginx; empty: nothing.
    difference: &'static str,
}

/// The options as far as they are read, and values that need others.
struct Draft {
    options: Options,
    http: HttpSettings,
    hsts: bool,
    hsts_values: Hsts,
    use_proxy_protocol: bool,
    proxy_protocol_timeout: std::time::Duration,
    proxy_protocol_optional: Vec<IpNet>,
    /// `proxy-real-ip-cidr`, if given.
    trusted: Option<Vec<IpNet>>,
    server_tokens: bool,
    backend_server_header: bool,
    bind_addresses: Vec<std::net::IpAddr>,
    disable_ipv6: bool,
    tls: TlsSettings,
    tls_keys: tls::Keys,
    tracing: tracing::Keys,
    compression: compression::Keys,
    log: log::Log,
    headers: headers::Names,
    geoip: geoip::Keys,
}

impl Draft {
    fn new(flags: &Options) -> Self {
        let proxied = flags.http.iter().chain(&flags.https);
        let mut proxied = proxied.filter_map(|listener| listener.proxy_protocol.as_ref());
        let proxied = proxied.next_back().cloned();
        Self {
            http: HttpSettings::clone(&flags.http_settings),
            hsts: flags.hsts.is_some(),
            hsts_values: flags.hsts.clone().unwrap_or_default(),
            use_proxy_protocol: proxied.is_some(),
            proxy_protocol_timeout: proxied
                .as_ref()
                .map_or(tidegate_snapshot::ProxyProtocol::HEADER_TIMEOUT, |proxied| {
                    proxied.header_timeout
                }),
            proxy_protocol_optional: proxied.map(|proxied| proxied.optional).unwrap_or_default(),
            trusted: None,
            server_tokens: false,
            backend_server_header: false,
            bind_addresses: Vec::new(),
            disable_ipv6: false,
            tls: TlsSettings::clone(&flags.tls),
            tls_keys: tls::Keys::default(),
            tracing: tracing::Keys::default(),
            compression: compression::Keys::default(),
            log: log::Log::default(),
            headers: headers::Names::default(),
            geoip: geoip::Keys::default(),
            options: flags.clone(),
        }
    }

    fn finish(self) -> Options {
        Options {
            http_settings: Arc::new(self.http),
            hsts: self.hsts.then_some(self.hsts_values),
            ..self.options
        }
    }
}
