//! Host names of listeners and routes (Gateway API, "Hostname").

use std::collections::HashMap;
use std::sync::Arc;

use tidegate_snapshot::{Hostname, HostnameError};

use super::status::Failure;

/// A host name of Gateway API: "Hostnames that are prefixed with a wildcard label
/// (`*.`) are interpreted as a suffix match", so that it stands for one label or
/// several.
pub(super) fn parse(text: &str) -> Result<Hostname, HostnameError> {
    Ok(match Hostname::parse(text)? {
        Hostname::Wildcard(suffix) => Hostname::Subdomains(suffix),
        other => other,
    })
}

/// The host names of a route; without any, every host.
///
/// # Errors
/// What is wrong with the first that is no host name.
pub(super) fn parse_all(texts: &[String]) -> Result<Vec<Hostname>, Failure> {
    if texts.is_empty() {
        return Ok(vec![Hostname::Any]);
    }
    let names = texts.iter().map(|text| {
        parse(text).map_err(|error| {
            let message = format!("{text:?} is not a host name: {error}");
            Failure::new("UnsupportedValue", message)
        })
    });
    names.collect()
}

/// The hosts that a listener and a route have in common: "If both the Listener
/// and HTTPRoute have specified hostnames, any HTTPRoute hostnames that do not
/// match the Listener hostname MUST be ignored." The narrower name remains.
pub(super) fn intersect(a: &Hostname, b: &Hostname) -> Option<Hostname> {
    if covers(a, b) {
        Some(b.clone())
    } else if covers(b, a) {
        Some(a.clone())
    } else {
        None
    }
}

/// Whether every host of `narrow` is one of `wide`.
pub(super) fn covers(wide: &Hostname, narrow: &Hostname) -> bool {
    match (wide, narrow) {
        (Hostname::Any, _) => true,
        (_, Hostname::Any) => false,
        (wide, Hostname::Exact(name)) => wide.matches(name),
        (Hostname::Subdomains(suffix), Hostname::Subdomains(other)) => suffix == other || wide.matches(other),
        _ => wide == narrow,
    }
}

/// The names that cover `hostname`, from itself to any: the order of
/// precedence, by "Characters in a matching non-wildcard hostname", then by
/// "Characters in a matching hostname".
pub(super) fn covering(hostname: &Hostname) -> Vec<Hostname> {
    let mut names = vec![hostname.clone()];
    let mut rest = match hostname {
        Hostname::Exact(name) => &**name,
        Hostname::Wildcard(suffix) | Hostname::Subdomains(suffix) => &**suffix,
        Hostname::Regex(_) | Hostname::Any => return names,
    };
    while let Some((_, suffix)) = rest.split_once('.') {
        names.push(Hostname::Subdomains(Arc::from(suffix)));
        rest = suffix;
    }
    names.push(Hostname::Any);
    names
}

/// Host names with whom they belong to, to be asked which of them have a host in
/// common with another: its cost does not depend on how many there are.
#[derive(Debug)]
pub(super) struct Index<T> {
    /// By the names themselves; as [`Index::put`] keeps them.
    own: HashMap<Hostname, Vec<T>>,
    /// By every name that covers them, themselves included.
    above: HashMap<Hostname, Vec<T>>,
}

impl<T> Default for Index<T> {
    fn default() -> Self {
        Self {
            own: HashMap::new(),
            above: HashMap::new(),
        }
    }
}

impl<T: Copy + PartialEq> Index<T> {
    /// Adds a name of `owner`.
    pub(super) fn insert(&mut self, name: &Hostname, owner: T) {
        Self::put(self.own.entry(name.clone()).or_default(), owner);
        for wide in covering(name) {
            Self::put(self.above.entry(wide).or_default(), owner);
        }
    }

    /// The first two are enough to find the first but one.
    fn put(owners: &mut Vec<T>, owner: T) {
        if owners.len() < 2 && !owners.contains(&owner) {
            owners.push(owner);
        }
    }

    /// Somebody else who has a host in common with `name`.
    pub(super) fn meeting(&self, name: &Hostname, owner: T) -> Option<T> {
        let narrower = self.above.get(name);
        let wider = covering(name);
        let wider = wider.iter().filter_map(|wide| self.own.get(wide));
        let mut others = narrower.into_iter().chain(wider).flatten();
        others.find(|other| **other != owner).copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_index_finds_who_else_has_a_host() {
        let names = ["", "a.b", "*.b", "x.a.b", "*.a.b", "b", "c"];
        let names: Vec<_> = names.iter().map(|name| parse(name).unwrap()).collect();
        for (one, a) in names.iter().enumerate() {
            let mut index = Index::default();
            index.insert(a, one);
            assert_eq!(index.meeting(a, one), None);
            for (other, b) in names.iter().enumerate().filter(|(other, _)| *other != one) {
                let expected = intersect(a, b).map(|_| one);
                assert_eq!(index.meeting(b, other), expected, "{a} and {b}");
                index.insert(b, other);
                assert_eq!(index.meeting(b, other), expected, "{a} and {b}");
                index = Index::default();
                index.insert(a, one);
            }
        }
    }

    fn common(a: &str, b: &str) -> Option<String> {
        let common = intersect(&parse(a).unwrap(), &parse(b).unwrap());
        assert_eq!(common, intersect(&parse(b).unwrap(), &parse(a).unwrap()));
        common.map(|name| name.to_string())
    }

    #[test]
    fn the_narrower_name_remains() {
        assert_eq!(common("", "").as_deref(), Some("*"));
        assert_eq!(common("", "a.b").as_deref(), Some("a.b"));
        assert_eq!(common("*.b", "x.a.b").as_deref(), Some("x.a.b"));
        assert_eq!(common("*.b", "*.a.b").as_deref(), Some("**.a.b"));
        assert_eq!(common("*.b", "b"), None);
        assert_eq!(common("*.ab", "*.b"), None);
        assert_eq!(common("a.b", "c.b"), None);
    }

    #[test]
    fn wider_names_follow() {
        let names: Vec<_> = covering(&parse("x.a.b").unwrap())
            .iter()
            .map(ToString::to_string)
            .collect();
        assert_eq!(names, ["x.a.b", "**.a.b", "**.b", "*"]);
    }
}
