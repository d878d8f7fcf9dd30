//! nginx's directives in snippets (`server-snippet`, `configuration-snippet`),
//! in nginx's phases: the rewrite phase of the host, then of the route; fields
//! of the request; fields of the backend's request; fields of the answer.

mod fields;
mod progress;
mod steps;
#[cfg(test)]
mod tests;
mod value;

use std::sync::Arc;

use smallvec::SmallVec;
use tidegate_snapshot::{ObjectRef, PathMatch, Policies, policy};

use super::{LocationStyle, Reply};
use crate::request::{Fields, RequestView};
use crate::template::Values;
use fields::Edits;
pub use fields::RequestChanges;
pub use progress::{Progress, Seen};

/// What snippets know of an answer besides what every policy does.
#[derive(Clone, Copy, Default)]
pub struct Surroundings<'a> {
    /// The port that the client connected to, after the trust rules.
    pub port: &'a [u8],
    /// The route's object and its path as the object wrote it.
    pub route: Option<(&'a ObjectRef, &'a str)>,
    /// Name and port of the Service.
    pub service: Option<(&'a str, &'a str)>,
    /// What the snippets have come to; `None`: their steps have not run.
    pub progress: Option<&'a Progress>,
}

/// The snippets of a route: its host's and its own.
pub struct Snippets {
    host: Option<Snippet>,
    route: Option<Snippet>,
}

/// The directives of one level.
pub(super) struct Snippet {
    pub(super) spec: Arc<policy::Snippet>,
    /// Edits of answers, one for each block.
    edits: Box<[Edits]>,
}

/// What the steps of a level come to.
#[derive(Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The next phase.
    Continue,
    /// The path is another one: another route may be its.
    FindRoute,
    /// This is the answer.
    Respond(Reply),
}

impl Snippet {
    fn new(spec: &Arc<policy::Snippet>) -> Self {
        Self {
            spec: spec.clone(),
            edits: spec.blocks.iter().map(Edits::new).collect(),
        }
    }
}

impl Snippets {
    /// `None` where there are none.
    pub(super) fn new(spec: &Policies) -> Option<Self> {
        let snippets = Self {
            host: spec.server_snippet.as_ref().map(Snippet::new),
            route: spec.snippet.as_ref().map(Snippet::new),
        };
        (snippets.host.is_some() || snippets.route.is_some()).then_some(snippets)
    }

    fn levels(&self) -> impl Iterator<Item = &Snippet> {
        self.host.iter().chain(&self.route)
    }

    /// Whether there is anything to do before an answer: otherwise no
    /// [`Progress`] is needed.
    pub fn acts_on_requests(&self) -> bool {
        self.levels().any(|level| {
            let mut blocks = level.spec.blocks.iter();
            blocks.any(|block| !block.steps.is_empty() || !block.request.is_empty())
        })
    }

    /// The steps of the host, before anything of a route counts.
    pub fn on_host(
        &self,
        progress: &mut Progress,
        values: &Values<'_>,
        style: &LocationStyle,
        port: u16,
    ) -> Outcome {
        match &self.host {
            Some(host) => {
                // Whatever ends them, the route is that of the path they made.
                match steps::run(&host.spec, progress, values, style, port) {
                    Outcome::Continue if progress.path.is_some() => Outcome::FindRoute,
                    outcome => outcome,
                }
            }
            None => Outcome::Continue,
        }
    }

    /// The steps of the route; `matched` is how it was found.
    pub fn on_route(
        &self,
        matched: &PathMatch,
        progress: &mut Progress,
        values: &Values<'_>,
        style: &LocationStyle,
        port: u16,
    ) -> Outcome {
        progress.enter();
        if let PathMatch::Regex(pattern) = matched
            && let Some(captures) = pattern.captures(Seen::new(values.request, Some(&*progress)).path())
        {
            let groups = steps::groups(&captures);
            progress.set_groups(groups);
        }
        match &self.route {
            Some(route) => steps::run(&route.spec, progress, values, style, port),
            None => Outcome::Continue,
        }
    }

    /// Changes of the request's fields, at the end of the rewrite phase.
    pub fn request_changes(&self, progress: &Progress, values: &Values<'_>) -> RequestChanges {
        let mut changes = RequestChanges::default();
        for (level, blocks) in self.active(Some(progress)) {
            for index in blocks {
                changes.collect(&level.spec.blocks[index].request, progress, values);
            }
        }
        changes
    }

    /// Whether fields of the backend's request change.
    pub fn edits_upstream(&self) -> bool {
        self.levels()
            .any(|level| level.spec.blocks.iter().any(|block| !block.upstream.is_empty()))
    }

    /// Fields of the backend's request (`proxy_set_header`).
    pub fn on_upstream_request(
        &self,
        progress: Option<&Progress>,
        values: &Values<'_>,
        fields: &mut dyn Fields,
    ) {
        for (level, blocks) in self.active(progress) {
            for index in blocks {
                fields::set_upstream(&level.spec.blocks[index].upstream, progress, values, fields);
            }
        }
    }

    /// Takes fields of a backend's answer away before anything is added
    /// (`proxy_hide_header`); a route with a list of its own has no other.
    pub(super) fn hide(&self, fields: &mut dyn Fields) {
        let levels = self.route.iter().chain(&self.host);
        let mut lists = levels.filter_map(|level| Some(&level.spec.blocks.first()?.hide));
        if let Some(names) = lists.find(|names| !names.is_empty()) {
            names.iter().for_each(|name| fields.remove(name));
        }
    }

    /// Edits the fields of an answer: `more_*` of all levels, from the host
    /// inwards, then `expires` and `add_header` of the innermost level that has
    /// any.
    pub(super) fn on_response(&self, answer: &super::Answer<'_>, fields: &mut dyn Fields) {
        let all: SmallVec<[&Edits; 8]> = self
            .active(answer.surroundings.progress)
            .flat_map(|(level, blocks)| blocks.map(|index| &level.edits[index]))
            .collect();
        fields::edit_answer(&all, answer, fields);
    }

    /// The levels that count, from the host inwards, with the blocks of each
    /// that the request came into. Those of the route count for answers that
    /// were made after it was found.
    fn active<'a>(
        &'a self,
        progress: Option<&'a Progress>,
    ) -> impl Iterator<Item = (&'a Snippet, impl Iterator<Item = usize>)> {
        let entered = progress.is_none_or(Progress::has_entered);
        let route = self.route.iter().filter(move |_| entered);
        let host = self.host.iter().map(|host| (host, false));
        host.chain(route.map(|route| (route, true)))
            .map(move |(level, is_route)| {
                let holds = move |index: &usize| {
                    *index == 0 || (is_route && progress.is_some_and(|progress| progress.came_into(*index)))
                };
                (level, (0..level.spec.blocks.len()).filter(holds))
            })
    }
}
