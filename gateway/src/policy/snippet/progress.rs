//! What the snippets of one request have come to so far.

use std::fmt::Write;
use std::net::IpAddr;
use std::sync::Arc;

use http::{HeaderName, Method, StatusCode};

use crate::geoip::Place;
use crate::path;
use crate::policy::Reply;
use crate::policy::rewrite::has_dot_segments;
use crate::request::RequestView;

/// How often the route may be looked for again (nginx: "rewrite or internal
/// redirection cycle").
const MOST_ROUNDS: u8 = 10;

/// Variables, groups and the path so far.
#[derive(Debug, Default)]
pub struct Progress {
    own: Vec<(Arc<str>, Vec<u8>)>,
    /// Of the latest regular expression that matched; the first is all of it.
    groups: Vec<Box<str>>,
    /// The path after rewrites, decoded.
    pub(super) path: Option<String>,
    /// The query after rewrites and `set $args`, fit for a request line; empty:
    /// none.
    query: Option<String>,
    /// The blocks of the route's snippet that the request came into.
    blocks: u64,
    entered: bool,
    /// `break`: no other rewriting of the route counts.
    pub(super) stopped: bool,
    rounds: u8,
}

impl Progress {
    /// Begins the steps of a route.
    pub(super) fn enter(&mut self) {
        self.entered = true;
        self.stopped = false;
        self.blocks = 0;
    }

    /// Whether a route's steps have begun.
    pub(super) fn has_entered(&self) -> bool {
        self.entered
    }

    pub(super) fn come_into(&mut self, block: usize) {
        self.blocks |= 1 << block;
    }

    pub(super) fn came_into(&self, block: usize) -> bool {
        self.blocks & (1 << block) != 0
    }

    /// The value of a variable that `set` sets; empty before.
    pub(super) fn own(&self, name: &str) -> &[u8] {
        let known = self.own.iter().find(|(own, _)| **own == *name);
        known.map_or(b"", |(_, value)| value)
    }

    pub(super) fn set_own(&mut self, name: &Arc<str>, value: Vec<u8>) {
        match self.own.iter_mut().find(|(own, _)| own == name) {
            Some((_, before)) => *before = value,
            None => self.own.push((name.clone(), value)),
        }
    }

    /// Takes a query that directives have made.
    pub(super) fn set_query(&mut self, query: &str) {
        let mut clean = String::with_capacity(query.len());
        push_query(query, &mut clean);
        self.query = Some(clean);
    }

    pub(super) fn group(&self, number: u8) -> &str {
        self.groups.get(usize::from(number)).map_or("", |group| group)
    }

    /// Remembers the groups of a match.
    pub fn set_groups(&mut self, groups: Vec<Box<str>>) {
        self.groups = groups;
    }

    /// Whether `break` has ended the rewriting of the route.
    pub fn is_stopped(&self) -> bool {
        self.stopped
    }

    /// Counts that the route is looked for again.
    ///
    /// # Errors
    /// 500 after too many times.
    pub fn next_round(&mut self) -> Result<(), Reply> {
        self.rounds += 1;
        if self.rounds > MOST_ROUNDS {
            return Err(Reply::status(StatusCode::INTERNAL_SERVER_ERROR));
        }
        Ok(())
    }

    /// Path and query for the backend where they are not the client's.
    ///
    /// # Errors
    /// 400 for a path with dot segments, which groups can make: it would lead
    /// out of where the rewrite points to.
    pub fn uri(&self, request: &dyn RequestView) -> Result<Option<String>, Reply> {
        if self.path.is_none() && self.query.is_none() {
            return Ok(None);
        }
        let seen = Seen::new(request, Some(self));
        let path = seen.path();
        if has_dot_segments(path) {
            return Err(Reply::status(StatusCode::BAD_REQUEST));
        }
        let mut uri = String::with_capacity(path.len() + 16);
        if !path.starts_with('/') {
            uri.push('/');
        }
        path::escape(path, &mut uri);
        if let Some(query) = seen.query().filter(|query| !query.is_empty()) {
            uri.push('?');
            uri.push_str(query);
        }
        Ok(Some(uri))
    }
}

/// Appends a query that directives have made. What cannot stand in a request
/// line is escaped: variables hold decoded text, and a line end in one would
/// begin another field.
pub(super) fn push_query(query: &str, uri: &mut String) {
    for byte in query.bytes() {
        match byte {
            b'!' | b'"' | b'$'..=b'~' => uri.push(byte.into()),
            // Writing to a String cannot fail.
            _ => drop(write!(uri, "%{byte:02X}")),
        }
    }
}

/// A request as rewrites have left it: another path and query, else the same.
pub struct Seen<'a> {
    request: &'a dyn RequestView,
    progress: Option<&'a Progress>,
}

impl<'a> Seen<'a> {
    /// A request, rewritten or not.
    pub fn new(request: &'a dyn RequestView, progress: Option<&'a Progress>) -> Self {
        Self { request, progress }
    }
}

impl RequestView for Seen<'_> {
    fn method(&self) -> &Method {
        self.request.method()
    }

    fn host(&self) -> &str {
        self.request.host()
    }

    fn authority(&self) -> &[u8] {
        self.request.authority()
    }

    fn path(&self) -> &str {
        let path = self.progress.and_then(|progress| progress.path.as_deref());
        path.unwrap_or_else(|| self.request.path())
    }

    /// nginx's `$request_uri` stays what the client wrote.
    fn uri(&self) -> &str {
        self.request.uri()
    }

    fn query(&self) -> Option<&str> {
        let query = self.progress.and_then(|progress| progress.query.as_deref());
        query.or_else(|| self.request.query())
    }

    fn header(&self, name: &HeaderName) -> Option<&[u8]> {
        self.request.header(name)
    }

    fn each_header<'a>(&'a self, name: &HeaderName, each: &mut dyn FnMut(&'a [u8])) {
        self.request.each_header(name, each);
    }

    fn client_ip(&self) -> IpAddr {
        self.request.client_ip()
    }

    fn place(&self) -> Option<&Place> {
        self.request.place()
    }

    fn is_tls(&self) -> bool {
        self.request.is_tls()
    }

    fn is_early(&self) -> bool {
        self.request.is_early()
    }

    fn scheme(&self) -> &str {
        self.request.scheme()
    }
}
