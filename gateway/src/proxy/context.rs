//! What one request carries from phase to phase.

use std::sync::Arc;
use std::time::Instant;

use http::{HeaderValue, StatusCode};
use tidegate_snapshot::{Action, UpstreamProtocol};

use super::binding::Binding;
use super::body::Ahead;
use super::failure::Failure;
use super::inbound::{Inbound, View};
use super::mirror::Copy;
use super::tries::Tries;
use crate::listener::{Connection, InFlight};
use crate::observe::spans::Span;
use crate::policy::snippet::Progress;
use crate::policy::{Heard, Permit, Policies};
use crate::router::{Route, Target};

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
    /// How affinity binds it.
    pub(super) binding: Option<Binding>,
    /// Path and query for the upstream where they are not the client's.
    pub(super) rewritten: Option<String>,
    /// What the snippets of the route have come to; `None` where they do nothing
    /// before the answer.
    pub(super) progress: Option<Box<Progress>>,
    pub(super) tries: Tries,
    /// What the authentication service said of the request.
    pub(super) heard: Option<Arc<Heard>>,
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
            binding: None,
            rewritten: None,
            progress: None,
            tries: Tries::default(),
            heard: None,
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

    pub(super) fn policies(&self) -> Option<&Policies> {
        self.route.as_ref().map(|route| &*route.policies)
    }

    pub(super) fn target(&self) -> Option<&Target> {
        self.route.as_ref()?.targets.get(self.target?)
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
        let cluster = self.target().and_then(|target| target.cluster.as_ref());
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

    /// The status where the chosen target has nobody to send to: 500 for one
    /// that was never valid, else 503.
    pub(super) fn without_endpoint(&self) -> StatusCode {
        let target = self.target.unwrap_or_default();
        match self.route.as_ref().map(|route| &route.spec.action) {
            Some(Action::Forward(shares)) if shares.get(target).is_some_and(|share| share.unresolved) => {
                StatusCode::INTERNAL_SERVER_ERROR
            }
            _ => StatusCode::SERVICE_UNAVAILABLE,
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
