//! The policies of an Ingress's routes: the same for all of them, but for what
//! the path of one or the certificate of its host decides.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use tidegate_snapshot::Policies;

use super::annotations::{self, Settings};
use crate::options::Options;

/// So many kinds of Ingresses are told apart to find those with equal policies;
/// clusters have a handful.
const KNOWN: usize = 16;

/// The policies of an Ingress's routes.
#[derive(Debug)]
pub(crate) struct RoutePolicies {
    variants: Arc<Variants>,
    known: Arc<Known>,
    /// Redirect to https where the host has TLS.
    on_tls_hosts: bool,
    /// Redirect to https always.
    always: bool,
    /// Paths that begin so are never redirected to https.
    no_tls_redirect: Arc<[Box<str>]>,
    /// Paths that begin so need no password and no external authentication.
    no_auth: Arc<[Box<str>]>,
    /// `rewrite-target` as written.
    rewrite_target: Option<Box<str>>,
}

/// What of an Ingress's policies a route does not have.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Without {
    https_redirect: bool,
    /// Basic, digest and external authentication.
    authentication: bool,
    /// The redirect of everything.
    redirect: bool,
    /// The rewriting of the path.
    rewrite: bool,
}

/// Policies with everything, and what was made of them so far.
#[derive(Debug)]
struct Variants {
    full: Policies,
    made: Mutex<Vec<(Without, Arc<Policies>)>>,
}

impl Variants {
    fn new(full: Policies) -> Arc<Self> {
        Arc::new(Self {
            full,
            made: Mutex::default(),
        })
    }

    /// Equal ones are the same `Arc`.
    fn of(&self, without: Without) -> Arc<Policies> {
        let mut made = self.made.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, policies)) = made.iter().find(|(key, _)| *key == without) {
            return policies.clone();
        }
        let mut policies = self.full.clone();
        if without.https_redirect {
            policies.https_redirect = None;
        }
        if without.authentication {
            policies.basic_auth = None;
            policies.digest_auth = None;
            policies.external_auth = None;
        }
        if without.redirect {
            policies.redirect = None;
        }
        if without.rewrite {
            policies.rewrite = None;
        }
        let policies = Arc::new(policies);
        made.push((without, policies.clone()));
        policies
    }
}

/// What Ingresses have had lately, the latest first: most have what many others have.
#[derive(Debug, Default)]
struct Known(Mutex<VecDeque<Weak<Variants>>>);

impl Known {
    /// Equal ones are the same, if they can be ([`Policies::is_stateless`]).
    fn of(&self, full: Policies) -> Arc<Variants> {
        if !full.is_stateless() {
            return Variants::new(full);
        }
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let same = |known: &Weak<Variants>| known.upgrade().filter(|known| known.full == full);
        let found = known
            .iter()
            .enumerate()
            .find_map(|(at, known)| Some((at, same(known)?)));
        let variants = match found {
            Some((at, variants)) => {
                known.remove(at);
                variants
            }
            None => Variants::new(full),
        };
        known.push_front(Arc::downgrade(&variants));
        known.truncate(KNOWN);
        variants
    }
}

impl RoutePolicies {
    /// Those of an Ingress; `defaults` knows those of others, which are shared where
    /// nothing differs.
    pub(super) fn new(settings: &Settings, defaults: &Self) -> Self {
        let full = Policies {
            https_redirect: Some(settings.https_redirect.clone()),
            ..settings.policies.clone()
        };
        Self {
            variants: if full == defaults.variants.full {
                defaults.variants.clone()
            } else {
                defaults.known.of(full)
            },
            known: defaults.known.clone(),
            on_tls_hosts: settings.ssl_redirect,
            always: settings.force_ssl_redirect,
            no_tls_redirect: defaults.no_tls_redirect.clone(),
            no_auth: defaults.no_auth.clone(),
            rewrite_target: settings.rewrite.target.clone(),
        }
    }

    /// The policies of an Ingress without annotations.
    pub(crate) fn defaults(options: &Options) -> Self {
        let settings = annotations::defaults(options);
        Self {
            variants: Variants::new(Policies {
                https_redirect: Some(settings.https_redirect),
                ..settings.policies
            }),
            known: Arc::default(),
            on_tls_hosts: settings.ssl_redirect,
            always: settings.force_ssl_redirect,
            no_tls_redirect: options.no_tls_redirect_locations.clone(),
            no_auth: options.no_auth_locations.clone(),
            rewrite_target: None,
        }
    }

    /// Those of a route; `tls` says whether its host has a certificate
    /// configured (annotations reference §3).
    pub(crate) fn of_path(&self, path: &str, tls: bool) -> Arc<Policies> {
        let redirect = self.always || (self.on_tls_hosts && tls);
        let excepted = |prefixes: &[Box<str>]| prefixes.iter().any(|prefix| path.starts_with(&**prefix));
        self.variants.of(Without {
            https_redirect: !redirect || excepted(&self.no_tls_redirect),
            authentication: self.variants.full.is_authenticated() && excepted(&self.no_auth),
            redirect: false,
            rewrite: !self.rewrites(path),
        })
    }

    /// Those of a catch-all: its redirects and its rewriting do not count
    /// (ingress-nginx-behaviour §4).
    pub(crate) fn of_catch_all(&self) -> Arc<Policies> {
        self.variants.of(Without {
            https_redirect: true,
            authentication: false,
            redirect: true,
            rewrite: true,
        })
    }

    /// Those of the default backend: as [`RoutePolicies::of_catch_all`], and
    /// nobody has to sign in to be told that there is nothing. ingress-nginx's
    /// global authentication is for Ingresses alone, and so is what a broken key
    /// of it closes.
    pub(crate) fn of_default_backend(options: &Options) -> Arc<Policies> {
        let without_auth = Options {
            global_auth: None,
            global_auth_disabled: None,
            ..options.clone()
        };
        Self::defaults(&without_auth).of_catch_all()
    }

    /// Whether a path is rewritten; not to itself.
    pub(crate) fn rewrites(&self, path: &str) -> bool {
        self.rewrite_target
            .as_ref()
            .is_some_and(|target| **target != *path)
    }
}

#[cfg(test)]
mod tests {
    use tidegate_snapshot::Networks;
    use tidegate_snapshot::policy::Limits;

    use super::*;

    #[test]
    fn acme_answers_are_never_redirected() {
        let policies = RoutePolicies {
            always: true,
            ..RoutePolicies::defaults(&Options::default())
        };
        assert!(policies.of_path("/", false).https_redirect.is_some());
        let acme = policies.of_path("/.well-known/acme-challenge/x", true);
        assert!(acme.https_redirect.is_none());
    }

    #[test]
    fn equal_policies_are_the_same() {
        let options = Options::default();
        let defaults = RoutePolicies::defaults(&options);
        let other = RoutePolicies::new(&annotations::defaults(&options), &defaults);
        assert!(Arc::ptr_eq(
            &defaults.of_path("/a", true),
            &other.of_path("/b", true)
        ));
        assert!(!Arc::ptr_eq(
            &defaults.of_path("/a", true),
            &other.of_path("/b", false)
        ));
    }

    /// Those of Ingresses with these settings, one for each.
    fn of_ingresses(count: usize, change: impl Fn(usize, &mut Policies)) -> Vec<Arc<Policies>> {
        let options = Options::default();
        let defaults = RoutePolicies::defaults(&options);
        let parsed = (0..count).map(|number| {
            let mut settings = annotations::defaults(&options);
            change(number, &mut settings.policies);
            RoutePolicies::new(&settings, &defaults)
        });
        // All at once, as Ingresses are there.
        let parsed: Vec<RoutePolicies> = parsed.collect();
        parsed
            .iter()
            .map(|policies| policies.of_path("/", true))
            .collect()
    }

    #[test]
    fn ingresses_share_equal_policies_and_no_others() {
        let made = of_ingresses(6, |number, policies| {
            policies.body.max_size = Some(number as u64 % 2);
        });
        assert!(Arc::ptr_eq(&made[0], &made[4]) && Arc::ptr_eq(&made[1], &made[5]));
        assert_eq!(made[0].body.max_size, Some(0));
        assert_eq!(made[1].body.max_size, Some(1));
        // However many kinds there are.
        let made = of_ingresses(3 * KNOWN, |number, policies| {
            policies.body.max_size = Some(number as u64);
        });
        let is_own =
            |(number, policies): (usize, &Arc<Policies>)| policies.body.max_size == Some(number as u64);
        assert!(made.iter().enumerate().all(is_own));
    }

    /// Each counts for itself.
    #[test]
    fn ingresses_with_limits_share_nothing() {
        let limits = Limits {
            zone: "of one".into(),
            key: None,
            connections: Some(1),
            per_second: None,
            per_minute: None,
            exempt: Networks::default(),
            rate_status: 503,
            connection_status: 503,
        };
        let made = of_ingresses(2, |_, policies| policies.limits = Some(Box::new(limits.clone())));
        assert!(!Arc::ptr_eq(&made[0], &made[1]));
    }
}
