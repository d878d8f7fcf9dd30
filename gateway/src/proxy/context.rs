//! What one request carries from phase to phase.

use std::sync::Arc;
use std::time::Instant;

use http::{HeaderValue, StatusCode};
use tidegate_snapshot::route::Otherwise;
use tidegate_snapshot::{Action, UpstreamProtocol};

use super::binding::Binding;
use super::body::Ahead;
use super::error_page::{Page, StandIn};
use super::failure::Failure;
use super::inbound::{Inbound, View};
use super::mirror::Copy;
use super::tries::Tries;
use crate::listener::{Connection, InFlight};
use crate::observe::spans::Span;
use crate::policy::snippet::Progress;
use crate::policy::{Grant, Heard, Permit, Policies, Reply};
use crate::router::{Mirror, Own, Route, Target};

/// The state of one request. Holds the compiled route by `Arc`, never a guard
/// of what may be swapped meanwhile.
pub struct RequestContext {
    pub(super) started: Instant,
    pub(super) connection: Option<Arc<Connection>>,
    /// Tells the listener when the request is over.
    pub(super) in_flight: Option<InFlight>,
    /// `None` until the head was found acceptable.
    pub(super) inbound: Option<Inbound>,
    pub(super) request_id: Option<HeaderValue>,
    /// `None` when nothing matches (404).
    pub(super) route: Option<Arc<Route>>,
    /// Which of the route's targets; meaningful only where it forwards.
    target: Option<usize>,
    /// The connection was made for another listener (421).
    pub(super) is_misdirected: bool,
    /// Who answers in place of it.
    pub(super) stand_in: Option<StandIn>,
    /// A backend's answer has just been given up for a page.
    pub(super) is_intercepted: bool,
    /// The host, not the route, turned the request away: no page of the route
    /// takes the place of that.
    pub(super) is_refused_by_host: bool,
    /// What is answered when proxying has failed, if that is not the failure's
    /// own status.
    pub(super) last_word: Option<Reply>,
    /// How affinity binds it.
    pub(super) binding: Option<Binding>,
    /// Path and query for the upstream where they are not the client's.
    pub(super) rewritten: Option<String>,
    /// What the snippets of the route have come to; `None` where they do nothing
    /// before the answer.
    pub(super) progress: Option<Box<Progress>>,
    pub(super) tries: Tries,
    /// The connection to the upstream is not to be kept.
    pub(super) ends_upstream: bool,
    /// What the authentication service said of the request.
    pub(super) heard: Option<Arc<Heard>>,
    /// What the Services that were asked about it change.
    pub(super) granted: Option<Box<Grant>>,
    /// What was read of the body before the upstream was contacted.
    pub(super) ahead: Ahead,
    /// The copy that a mirror gets.
    pub(super) copy: Option<Copy>,
    /// Counts against `limit-connections` while it lives.
    pub(super) permit: Option<Permit>,
    /// When the first byte of the answer's body came, if that matters.
    pub(super) answer_began: Option<Instant>,
    /// Bytes of the request's head.
    pub(super) head_length: usize,
    /// Fields of the backend's answer that the log's format asks for.
    pub(super) upstream_fields: Vec<Option<HeaderValue>>,
    /// Where the route has tracing on.
    pub(super) span: Option<Box<Span>>,
    /// Why the gateway itself answered.
    pub(super) failure: Option<Failure>,
}

impl RequestContext {
    pub(super) fn new() -> Self {
        Self {
            started: Instant::now(),
            connection: None,
            in_flight: None,
            inbound: None,
            request_id: None,
            route: None,
            target: None,
            is_misdirected: false,
            stand_in: None,
            is_intercepted: false,
            is_refused_by_host: false,
            last_word: None,
            binding: None,
            rewritten: None,
            progress: None,
            tries: Tries::default(),
            ends_upstream: false,
            heard: None,
            granted: None,
            ahead: Ahead::default(),
            copy: None,
            permit: None,
            answer_began: None,
            head_length: 0,
            span: None,
            failure: None,
            upstream_fields: Vec::new(),
        }
    }

    /// The request's ID; empty without one.
    pub(super) fn request_id(&self) -> &[u8] {
        self.request_id.as_ref().map_or(b"", |id| id.as_bytes())
    }

    /// Those of the route, or of the share of its traffic once that is chosen.
    pub(super) fn policies(&self) -> Option<&Policies> {
        match self.own() {
            Some(own) => Some(&own.policies),
            None => self.route.as_ref().map(|route| &*route.policies),
        }
    }

    /// Who gets copies of the request, maybe.
    pub(super) fn mirrors(&self) -> &[Mirror] {
        match (self.own(), &self.route) {
            (Some(own), _) => &own.mirrors,
            (None, Some(route)) => &route.mirrors,
            (None, None) => &[],
        }
    }

    /// What applies to the chosen share of the route alone.
    pub(super) fn own(&self) -> Option<&Own> {
        self.target()?.own.as_deref()
    }

    /// The target that the route has for the request, with endpoints or not.
    pub(super) fn target(&self) -> Option<&Target> {
        self.route.as_ref()?.targets.get(self.target?)
    }

    /// Where the request goes: to the target, or to who stands in for it.
    pub(super) fn upstream(&self) -> Option<&Target> {
        match &self.stand_in {
            None => self.target(),
            Some(StandIn::DefaultBackend(at) | StandIn::Page(at, _)) => {
                self.route.as_ref()?.stand_ins.get(*at)
            }
        }
    }

    /// Whether the upstream is asked for an error page.
    pub(super) fn asks_for_page(&self) -> bool {
        matches!(self.stand_in, Some(StandIn::Page(..)))
    }

    /// The error page that the upstream is asked for.
    pub(super) fn page_mut(&mut self) -> Option<&mut Page> {
        match &mut self.stand_in {
            Some(StandIn::Page(_, page)) => Some(page),
            _ => None,
        }
    }

    /// Chooses the share of the route's split that this request belongs to: once,
    /// so that a retry stays with its cluster. `bound` is the tag of the cluster
    /// that affinity binds the client to.
    pub(super) fn choose_target(&mut self, request: &View<'_>, bound: Option<u64>) -> Option<&Target> {
        let route = self.route.as_ref()?;
        let random = if route.targets.len() > 1 {
            rand::random()
        } else {
            0
        };
        let chosen = route.target(request, bound, random)?;
        self.target = route
            .targets
            .iter()
            .position(|target| std::ptr::eq(target, chosen));
        self.target()
    }

    /// Whether the body is read before the upstream is contacted. Never for
    /// gRPC, whose two directions may depend on each other.
    pub(super) fn buffers_request(&self) -> bool {
        let cluster = self.upstream().and_then(|target| target.cluster.as_ref());
        let streams = cluster.is_none_or(|cluster| {
            matches!(
                cluster.spec.protocol,
                UpstreamProtocol::H2 | UpstreamProtocol::H2c
            )
        });
        !streams && self.policies().is_some_and(|policies| policies.buffering.request)
    }

    /// The canary, if it was chosen.
    pub(super) fn alternative(&self) -> Option<&Target> {
        self.route.as_ref()?.canary.as_ref()?;
        self.target().filter(|_| self.target != Some(0))
    }

    /// The status where the chosen target has nobody to send to.
    pub(super) fn without_endpoint(&self) -> StatusCode {
        let share = match self.route.as_ref().map(|route| &route.spec.action) {
            Some(Action::Forward(shares)) => shares.get(self.target.unwrap_or_default()),
            _ => None,
        };
        match share.map(|share| share.otherwise).unwrap_or_default() {
            Otherwise::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
            Otherwise::Invalid => StatusCode::INTERNAL_SERVER_ERROR,
            Otherwise::NotFound => StatusCode::NOT_FOUND,
        }
    }

    pub(super) fn is_tls(&self) -> bool {
        self.connection
            .as_ref()
            .is_some_and(|connection| connection.tls.is_some())
    }

    pub(super) fn draining(&self) -> bool {
        self.connection
            .as_ref()
            .is_some_and(|connection| connection.draining())
    }
}
