//! The grammar: every directive that is served, where it may stand, and what
//! takes it.

use std::fmt;

use super::builder::Builder;
use super::tree::Directive;
use super::{Fault, access, condition, headers, limits, location, rewrite};

/// Where a directive stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    Server,
    ServerIf,
    Location,
    LocationIf,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Server => "in a server-snippet",
            Self::ServerIf => "in an `if` of a server-snippet",
            Self::Location => "in a configuration-snippet",
            Self::LocationIf => "in an `if` of a configuration-snippet",
        })
    }
}

/// Takes a directive; the text is its usage.
type Take = fn(&mut Builder<'_>, &Directive, &'static str) -> Result<(), Fault>;

/// One directive of the grammar.
pub(super) struct Entry {
    name: &'static str,
    pub(super) usage: &'static str,
    pub(super) places: &'static [Place],
    phase: &'static str,
    doc: &'static str,
    pub(super) take: Take,
}

/// One directive, for the docs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Grammar {
    /// Its name.
    pub name: &'static str,
    /// How it is written.
    pub usage: &'static str,
    /// When it applies.
    pub phase: &'static str,
    /// Where it may stand.
    pub places: String,
    /// What is to be known.
    pub doc: &'static str,
}

impl Entry {
    pub(super) fn has_block(&self) -> bool {
        self.usage.ends_with('}')
    }

    /// Where it is allowed.
    pub(super) fn elsewhere(&self) -> String {
        let places: Vec<_> = self.places.iter().map(Place::to_string).collect();
        format!("it may stand {}", places.join(", "))
    }
}

/// The entry of a directive.
pub(super) fn by_name(name: &str) -> Option<&'static Entry> {
    let at = TABLE.binary_search_by(|entry| entry.name.cmp(name)).ok()?;
    TABLE.get(at)
}

/// All names.
pub(super) fn names() -> impl Iterator<Item = &'static str> {
    TABLE.iter().map(|entry| entry.name)
}

/// Every directive that snippets may have, sorted by name.
pub fn grammar() -> impl Iterator<Item = Grammar> {
    TABLE.iter().map(|entry| Grammar {
        name: entry.name,
        usage: entry.usage,
        phase: entry.phase,
        places: places(entry.places),
        doc: entry.doc,
    })
}

fn places(places: &[Place]) -> String {
    let short = |place: &Place| match place {
        Place::Server => "server",
        Place::ServerIf => "`if` in server",
        Place::Location => "configuration",
        Place::LocationIf => "`if` in configuration",
    };
    let shorts: Vec<_> = places.iter().map(short).collect();
    shorts.join(", ")
}

const ALL: &[Place] = &[Place::Server, Place::ServerIf, Place::Location, Place::LocationIf];
const LEVELS: &[Place] = &[Place::Server, Place::Location];
const FIELDS: &[Place] = &[Place::Server, Place::Location, Place::LocationIf];
const LOCATION: &[Place] = &[Place::Location];
const SERVER: &[Place] = &[Place::Server];

const REWRITE: &str = "rewrite";
const ACCESS: &str = "access";
const UPSTREAM: &str = "request to the backend";
const ANSWER: &str = "answer";
const ROUTE: &str = "the route's own";

#[rustfmt::skip]
static TABLE: &[Entry] = &[
    Entry { name: "access_log", usage: "access_log off;", places: LOCATION, phase: "log", doc: "As `enable-access-log: \"false\"`.", take: limits::access_log },
    Entry { name: "add_header", usage: "add_header NAME VALUE [always];", places: FIELDS, phase: ANSWER, doc: "On 200, 201, 204, 206, 301, 302, 303, 304, 307 and 308, or `always`. Those of a level replace those of the levels around it.", take: headers::add },
    Entry { name: "allow", usage: "allow ADDRESS;", places: LEVELS, phase: ACCESS, doc: "An address, a network or `all`. After the lists of annotations; a host's apply to routes without any of their own.", take: access::allow },
    Entry { name: "break", usage: "break;", places: ALL, phase: REWRITE, doc: "`rewrite-target` does not apply either.", take: rewrite::stop },
    Entry { name: "client_max_body_size", usage: "client_max_body_size SIZE;", places: LEVELS, phase: ROUTE, doc: "As `proxy-body-size`, and wins over it. Of a host: no effect, as in ingress-nginx.", take: limits::body_size },
    Entry { name: "default_type", usage: "default_type TYPE;", places: LEVELS, phase: REWRITE, doc: "The type of texts that `return` answers with; else `text/html`.", take: rewrite::default_type },
    Entry { name: "deny", usage: "deny ADDRESS;", places: LEVELS, phase: ACCESS, doc: "As `allow`; 403.", take: access::deny },
    Entry { name: "expires", usage: "expires TIME|epoch|max|off;", places: FIELDS, phase: ANSWER, doc: "On the statuses of `add_header`. No `modified`, no time of day.", take: headers::expires },
    Entry { name: "grpc_connect_timeout", usage: "grpc_connect_timeout TIME;", places: LEVELS, phase: ROUTE, doc: "As `proxy_connect_timeout`.", take: limits::connect_timeout },
    Entry { name: "grpc_read_timeout", usage: "grpc_read_timeout TIME;", places: LEVELS, phase: ROUTE, doc: "As `proxy_read_timeout`.", take: limits::read_timeout },
    Entry { name: "grpc_send_timeout", usage: "grpc_send_timeout TIME;", places: LEVELS, phase: ROUTE, doc: "As `proxy_send_timeout`.", take: limits::send_timeout },
    Entry { name: "grpc_set_header", usage: "grpc_set_header NAME VALUE;", places: LEVELS, phase: UPSTREAM, doc: "As `proxy_set_header`.", take: headers::upstream },
    Entry { name: "if", usage: "if (CONDITION) { ... }", places: LEVELS, phase: REWRITE, doc: "A variable alone, or compared by `=`, `!=`, `~`, `~*`, `!~`, `!~*`. No files.", take: condition::take },
    Entry { name: "location", usage: "location [=|^~|~|~*] PATH { ... }", places: SERVER, phase: "choice of the route", doc: "A path that snippets answer: the directives of `configuration-snippet`, without a backend; 404 where none of them answers.", take: location::take },
    Entry { name: "more_clear_headers", usage: "more_clear_headers [-s STATUSES] [-t TYPES] NAME...;", places: FIELDS, phase: ANSWER, doc: "A name may end in `*`.", take: headers::clear },
    Entry { name: "more_clear_input_headers", usage: "more_clear_input_headers [-t TYPES] NAME...;", places: FIELDS, phase: "end of rewrite", doc: "A name may end in `*`.", take: headers::clear_input },
    Entry { name: "more_set_headers", usage: "more_set_headers [-s STATUSES] [-t TYPES] \"NAME: VALUE\"...;", places: FIELDS, phase: ANSWER, doc: "On every status. Before `expires` and `add_header`.", take: headers::set },
    Entry { name: "more_set_input_headers", usage: "more_set_input_headers [-r] [-t TYPES] \"NAME: VALUE\"...;", places: FIELDS, phase: "end of rewrite", doc: "Backend and authentication service see it, but for fields that are ours to set. Not `Host`.", take: headers::set_input },
    Entry { name: "proxy_buffering", usage: "proxy_buffering on|off;", places: LEVELS, phase: ROUTE, doc: "Taken without effect: answers are always streamed.", take: limits::buffering },
    Entry { name: "proxy_connect_timeout", usage: "proxy_connect_timeout TIME;", places: LEVELS, phase: ROUTE, doc: "Wins over the annotation. Of a host: no effect, as in ingress-nginx.", take: limits::connect_timeout },
    Entry { name: "proxy_hide_header", usage: "proxy_hide_header NAME;", places: LEVELS, phase: ANSWER, doc: "A host's apply to routes without any of their own.", take: headers::hide },
    Entry { name: "proxy_read_timeout", usage: "proxy_read_timeout TIME;", places: LEVELS, phase: ROUTE, doc: "As `proxy_connect_timeout`.", take: limits::read_timeout },
    Entry { name: "proxy_request_buffering", usage: "proxy_request_buffering on|off;", places: LEVELS, phase: ROUTE, doc: "As `proxy_connect_timeout`.", take: limits::request_buffering },
    Entry { name: "proxy_send_timeout", usage: "proxy_send_timeout TIME;", places: LEVELS, phase: ROUTE, doc: "As `proxy_connect_timeout`.", take: limits::send_timeout },
    Entry { name: "proxy_set_header", usage: "proxy_set_header NAME VALUE;", places: LEVELS, phase: UPSTREAM, doc: "Replaces ours. `Upgrade` and `Connection` for WebSockets are taken without effect: they work always. Of a host: no effect, as in ingress-nginx.", take: headers::upstream },
    Entry { name: "return", usage: "return CODE [TEXT|URL]; or return URL;", places: ALL, phase: REWRITE, doc: "Codes 200 to 999; 444 closes the connection.", take: rewrite::answer },
    Entry { name: "rewrite", usage: "rewrite REGEX REPLACEMENT [last|break|redirect|permanent];", places: ALL, phase: REWRITE, doc: "Ten rounds at most, then 500. Dot segments in the new path: 400.", take: rewrite::uri },
    Entry { name: "set", usage: "set $NAME VALUE;", places: ALL, phase: REWRITE, doc: "A new variable, or `$args`.", take: rewrite::set },
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_sorted() {
        assert!(TABLE.is_sorted_by(|a, b| a.name < b.name));
        for entry in TABLE {
            assert!(
                entry.usage.starts_with(entry.name) && entry.doc.ends_with('.'),
                "{}",
                entry.name
            );
            assert_eq!(entry.has_block(), ["if", "location"].contains(&entry.name));
        }
    }
}
