//! Layering: which part may name what. The arrows are `snapshot` ← `controller`
//! and `snapshot` ← `gateway` (the library); only the program sees both. Inside
//! the gateway `proxy` calls the policies, the router and the upstreams, never
//! the other way; translation is a function of its inputs and nothing else.

use super::paths::{self, Path};
use super::{Source, Violation};

/// What a part must not name.
enum Ban {
    /// A crate, in any path that starts with it.
    Crate(&'static str),
    /// Every crate whose name starts so.
    Family(&'static str),
    /// A path and all below it.
    Below(&'static [&'static str]),
    /// A module at the root of the same crate, however it is reached.
    Sibling(&'static str),
    /// The present time, whichever crate's clock tells it.
    Clock,
}

/// A rule: files whose path starts so must not name any of these.
struct Rule {
    files: &'static str,
    bans: &'static [Ban],
    /// Paths that are allowed all the same.
    except: &'static [&'static [&'static str]],
    reason: &'static str,
}

const UPWARDS: &str = "proxy calls it, never the other way";

const RULES: &[Rule] = &[
    Rule {
        files: "snapshot/src/",
        bans: &[
            Ban::Crate("tokio"),
            Ban::Crate("kube"),
            Ban::Crate("k8s_openapi"),
            Ban::Family("pingora"),
        ],
        except: &[],
        reason: "the snapshot is plain values that both sides share",
    },
    Rule {
        files: "controller/src/",
        bans: &[Ban::Family("pingora"), Ban::Crate("tidegate_gateway")],
        except: &[],
        reason: "the controller knows nothing of the data plane",
    },
    Rule {
        files: "controller/src/translate",
        bans: &[
            Ban::Crate("tokio"),
            Ban::Crate("kube"),
            Ban::Clock,
            Ban::Below(&["std", "env"]),
            Ban::Below(&["std", "fs"]),
        ],
        // Types and derives only, nothing that talks to a cluster.
        except: &[
            &["kube", "core"],
            &["kube", "Resource"],
            &["kube", "ResourceExt"],
            &["kube", "CustomResource"],
        ],
        reason: "translation is a pure function of the objects",
    },
    Rule {
        files: "gateway/src/",
        bans: &[
            Ban::Crate("tidegate_controller"),
            Ban::Crate("kube"),
            Ban::Crate("k8s_openapi"),
        ],
        except: &[],
        reason: "the data plane sees snapshots only; the program joins both sides",
    },
    Rule {
        files: "gateway/src/policy",
        bans: &[
            Ban::Crate("pingora_proxy"),
            Ban::Crate("pingora_core"),
            Ban::Sibling("proxy"),
        ],
        except: &[],
        reason: "a policy is a function of request and options, testable without a server",
    },
    Rule {
        files: "gateway/src/router",
        bans: &[
            Ban::Crate("pingora_proxy"),
            Ban::Crate("pingora_core"),
            Ban::Sibling("proxy"),
        ],
        except: &[],
        reason: "a router is a function of the request, testable without a server",
    },
    Rule {
        files: "gateway/src/upstream",
        bans: &[Ban::Sibling("proxy")],
        except: &[],
        reason: UPWARDS,
    },
    Rule {
        files: "gateway/src/runtime",
        bans: &[Ban::Sibling("proxy")],
        except: &[],
        reason: UPWARDS,
    },
];

/// Every path that a part must not name.
pub(super) fn check(sources: &[Source]) -> Vec<Violation> {
    let mut violations = Vec::new();
    for source in sources {
        let rules: Vec<&Rule> = RULES
            .iter()
            .filter(|rule| source.path.starts_with(rule.files))
            .collect();
        for path in paths::of(&source.code) {
            if let Some(rule) = rules.iter().find(|rule| rule.forbids(&path)) {
                let message = format!("names {}: {}", path.segments.join("::"), rule.reason);
                violations.push(Violation::new(&source.path, path.line, message));
            }
        }
    }
    violations
}

/// Where a rule looks and finds no file: it cannot fail, which a person should know.
pub(super) fn idle(sources: &[Source]) -> Vec<&'static str> {
    let found = |rule: &&Rule| sources.iter().any(|source| source.path.starts_with(rule.files));
    RULES
        .iter()
        .filter(|rule| !found(rule))
        .map(|rule| rule.files)
        .collect()
}

impl Rule {
    fn forbids(&self, path: &Path<'_>) -> bool {
        // A word alone may be a variable; an import of one word is a crate.
        let names_something = path.imported || path.segments.len() > 1;
        let allowed = self.except.iter().any(|except| path.segments.starts_with(except));
        names_something && !allowed && self.bans.iter().any(|ban| ban.covers(&path.segments))
    }
}

impl Ban {
    fn covers(&self, segments: &[&str]) -> bool {
        match self {
            Ban::Crate(name) => segments[0] == *name,
            Ban::Family(name) => segments[0].starts_with(name),
            Ban::Below(path) => segments.starts_with(path),
            Ban::Sibling(name) => {
                let up = segments.iter().take_while(|segment| **segment == "super").count();
                let root = usize::from(segments[0] == "crate").max(up);
                root > 0 && segments.get(root) == Some(name)
            }
            Ban::Clock => segments.len() > 1 && segments.last() == Some(&"now"),
        }
    }
}

#[cfg(test)]
#[cfg(test)]
mod tests;
