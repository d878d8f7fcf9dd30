//! `nginx_ingress_controller_requests` and its histograms: counted by Ingress,
//! host, path, method and status.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, OnceLock};

use prometheus::core::{Collector, Desc};
use prometheus::proto::MetricFamily;

use super::{Identity, PREFIX};
use crate::observe::metrics::budget::Budget;
use crate::observe::metrics::family::{Family, descs};
use crate::observe::metrics::histogram::{Bounds, Histogram};
use crate::observe::metrics::index::{Handle, Index};
use crate::observe::metrics::options::{NginxOptions, Options};
use crate::observe::metrics::route::{Place, RouteLabels};
use crate::observe::metrics::sample::{Sample, Verb};
use crate::observe::metrics::series::{CLASSES, OTHER, class};

/// Pairs of method and status that a route tells apart at most.
const MOST_NODES: usize = 24;

/// What a route is expected to be counted in.
const EXPECTED: usize = 1;

/// What all routes share.
pub(in super::super) struct Shared {
    budget: Arc<Budget>,
    index: Index<Route>,
    /// By class.
    other: [Counts; CLASSES.len()],
    options: NginxOptions,
    identity: Arc<Identity>,
    shown: Shown,
}

impl Shared {
    pub(in super::super) fn new(budget: Arc<Budget>, all: &Options, options: NginxOptions) -> Arc<Self> {
        let other: [Counts; CLASSES.len()] = Default::default();
        for counts in &other {
            counts.detail.get_or_init(|| Box::new(Detail::new(&options)));
        }
        let shown = Shown::new(all, &options);
        budget.reserve(other.len() * (1 + shown.series));
        Arc::new(Self {
            budget,
            index: Index::default(),
            other,
            identity: Identity::new(&options),
            shown,
            options,
        })
    }

    pub(in super::super) fn identity(&self) -> &Arc<Identity> {
        &self.identity
    }

    /// The handle of a target of a route; `None` where its requests are not counted.
    pub(in super::super) fn route(self: &Arc<Self>, route: &RouteLabels, place: Place) -> Option<Arc<Route>> {
        // Of no object: the built-in default backend's.
        let is_undefined = route.namespace.is_empty() && *place.host == *"_";
        if is_undefined && !self.options.per_undefined_host {
            return None;
        }
        let labels = Labels {
            namespace: route.namespace.clone(),
            ingress: route.ingress.clone(),
            place: Place {
                host: if self.options.per_host {
                    place.host
                } else {
                    Arc::default()
                },
                ..place
            },
        };
        Some(self.index.handle(labels, |labels| {
            self.budget.expect(EXPECTED);
            Route {
                labels,
                first: OnceLock::new(),
                taken: AtomicUsize::new(0),
                shared: self.clone(),
            }
        }))
    }

    /// The handle for requests that no host fits, if they are counted.
    pub(in super::super) fn unmatched(self: &Arc<Self>) -> Option<Arc<Route>> {
        let place = Place {
            host: "_".into(),
            ..Place::default()
        };
        self.route(&RouteLabels::default(), place)
    }

    fn status(&self, status: u16) -> Status {
        if self.options.status_classes {
            Status::Class(class(status))
        } else {
            Status::Code(status)
        }
    }
}

/// Who is counted.
#[derive(Debug, PartialEq, Eq, Hash)]
pub(in super::super) struct Labels {
    namespace: Arc<str>,
    ingress: Arc<str>,
    place: Place,
}

/// One target of a route. Its nodes are a list that only grows: almost every
/// request finds its own among the first.
pub(in super::super) struct Route {
    labels: Arc<Labels>,
    first: OnceLock<Box<Node>>,
    /// Series that the budget gave.
    taken: AtomicUsize,
    shared: Arc<Shared>,
}

/// Requests of one method with one status.
struct Node {
    verb: Verb,
    status: Status,
    counts: Counts,
    next: OnceLock<Box<Self>>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Status {
    Code(u16),
    Class(usize),
}

#[derive(Default)]
struct Counts {
    requests: AtomicU64,
    detail: OnceLock<Box<Detail>>,
}

/// What is counted while there is room.
struct Detail {
    duration: Histogram,
    response: Histogram,
    header: Histogram,
    connect: Histogram,
    received: Histogram,
    sent: Histogram,
    /// The same as `sent`, by other bounds.
    bytes: Histogram,
}

impl Handle for Route {
    type Labels = Labels;
}

impl Route {
    /// Counts a finished request.
    pub(in super::super) fn observe(&self, sample: &Sample) {
        let status = self.shared.status(sample.status);
        let Some(counts) = self.counts(sample.verb, status) else {
            self.shared.budget.not_counted();
            let other = &self.shared.other[class(sample.status)];
            other.requests.fetch_add(1, Relaxed);
            if let Some(detail) = other.detail.get() {
                detail.observe(sample);
            }
            return;
        };
        counts.requests.fetch_add(1, Relaxed);
        if let Some(detail) = self.detail(counts, sample) {
            detail.observe(sample);
        }
    }

    fn counts(&self, verb: Verb, status: Status) -> Option<&Counts> {
        let mut place = &self.first;
        for position in 0..MOST_NODES {
            let node = match place.get() {
                Some(node) => node,
                None => self.grow(place, position, verb, status)?,
            };
            if node.verb == verb && node.status == status {
                return Some(&node.counts);
            }
            place = &node.next;
        }
        None
    }

    /// Adds a node at the end; another thread may have added a different one
    /// meanwhile.
    fn grow<'a>(
        &self,
        place: &'a OnceLock<Box<Node>>,
        position: usize,
        verb: Verb,
        status: Status,
    ) -> Option<&'a Node> {
        if !self.shared.budget.take_counts(1) {
            return None;
        }
        let mut added = false;
        let node = place.get_or_init(|| {
            added = true;
            Box::new(Node {
                verb,
                status,
                counts: Counts::default(),
                next: OnceLock::new(),
            })
        });
        if added {
            self.taken.fetch_add(1, Relaxed);
        } else {
            self.shared.budget.give_back(1);
        }
        if added && position == 0 {
            self.shared.budget.expect_no_longer(EXPECTED);
        }
        Some(node)
    }

    fn detail<'a>(&'a self, counts: &'a Counts, sample: &Sample) -> Option<&'a Detail> {
        let shared = &*self.shared;
        if let Some(detail) = counts.detail.get() {
            return Some(detail);
        }
        if shared.shown.series == 0 {
            return None;
        }
        if shared.budget.take_details(shared.shown.series) {
            self.taken.fetch_add(shared.shown.series, Relaxed);
            return Some(
                counts
                    .detail
                    .get_or_init(|| Box::new(Detail::new(&shared.options))),
            );
        }
        shared.budget.not_detailed();
        shared.other[class(sample.status)]
            .detail
            .get()
            .map(|detail| &**detail)
    }
}

impl Drop for Route {
    fn drop(&mut self) {
        if self.first.get().is_none() {
            self.shared.budget.expect_no_longer(EXPECTED);
        }
        self.shared.budget.give_back(*self.taken.get_mut());
        self.shared.index.forget(&self.labels);
    }
}

impl Detail {
    fn new(options: &NginxOptions) -> Self {
        let unbounded = Bounds::durations(&[]);
        Self {
            duration: Histogram::new(&options.time_buckets),
            response: Histogram::new(&options.time_buckets),
            header: Histogram::new(&unbounded),
            connect: Histogram::new(&unbounded),
            received: Histogram::new(&options.length_buckets),
            sent: Histogram::new(&options.length_buckets),
            bytes: Histogram::new(&options.size_buckets),
        }
    }

    fn observe(&self, sample: &Sample) {
        self.duration.observe(sample.duration);
        self.received.add(sample.received);
        self.sent.add(sample.sent);
        self.bytes.add(sample.sent);
        if let Some(response) = sample.response {
            self.response.observe(response);
        }
        if let Some(header) = sample.header {
            self.header.observe(header);
            // nginx counts 0 where a connection is used again.
            self.connect.observe(sample.connect.unwrap_or_default());
        }
    }
}

/// Names without prefix and texts, in the order of [`Detail`]'s fields.
const HISTOGRAMS: [(&str, &str); 7] = [
    (
        "nginx_ingress_controller_request_duration_seconds",
        "Time from the first byte of a request to its end.",
    ),
    (
        "nginx_ingress_controller_response_duration_seconds",
        "Time from sending a request to the end of the endpoint's answer.",
    ),
    (
        "nginx_ingress_controller_header_duration_seconds",
        "Time from sending a request to the head of the endpoint's answer. Sum and count only.",
    ),
    (
        "nginx_ingress_controller_connect_duration_seconds",
        "Time to connect to the endpoint, 0 where a connection is used again. Sum and count only.",
    ),
    (
        "nginx_ingress_controller_request_size",
        "Bytes of requests, heads included.",
    ),
    (
        "nginx_ingress_controller_response_size",
        "Bytes of answers, heads included.",
    ),
    (
        "nginx_ingress_controller_bytes_sent",
        "Bytes of answers, heads included; ingress-nginx calls it deprecated.",
    ),
];

const REQUESTS: &str = "nginx_ingress_controller_requests";

/// What `--exclude-socket-metrics` leaves.
struct Shown {
    requests: bool,
    histograms: [bool; HISTOGRAMS.len()],
    /// How many series the details of one node make.
    series: usize,
}

impl Shown {
    fn new(all: &Options, options: &NginxOptions) -> Self {
        let shows = |name: &str| all.shows(PREFIX, name.strip_prefix(PREFIX).unwrap_or(name));
        let histograms = HISTOGRAMS.map(|(name, _)| shows(name));
        let time = options.time_buckets.series();
        let length = options.length_buckets.series();
        let sizes = [time, time, 3, 3, length, length, options.size_buckets.series()];
        let shown = sizes.iter().zip(histograms).filter(|(_, shown)| *shown);
        Self {
            requests: shows(REQUESTS),
            histograms,
            series: shown.map(|(size, _)| size).sum(),
        }
    }
}

struct Families {
    requests: Family,
    histograms: [Family; HISTOGRAMS.len()],
}

impl Families {
    fn new(identity: &Identity) -> Self {
        Self {
            requests: identity.counter(REQUESTS, "Requests answered."),
            histograms: HISTOGRAMS.map(|(name, help)| identity.histogram(name, help)),
        }
    }

    fn add(&mut self, labels: &Labels, verb: &str, status: &str, counts: &Counts, per_host: bool) {
        let place = &labels.place;
        let labels = [
            ("status", status),
            ("method", verb),
            ("path", &*place.path),
            ("namespace", &*labels.namespace),
            ("ingress", &*labels.ingress),
            ("service", &*place.service),
            ("canary", &*place.canary),
            ("host", &*place.host),
        ];
        let labels = if per_host { &labels[..] } else { &labels[..7] };
        match counts.requests.load(Relaxed) {
            0 => {}
            requests => self.requests.add(labels, requests),
        }
        let Some(detail) = counts.detail.get() else { return };
        let histograms = [
            &detail.duration,
            &detail.response,
            &detail.header,
            &detail.connect,
            &detail.received,
            &detail.sent,
            &detail.bytes,
        ];
        for (family, histogram) in self.histograms.iter_mut().zip(histograms) {
            let histogram = histogram.read();
            if histogram.get_sample_count() > 0 {
                family.add_histogram(labels, histogram);
            }
        }
    }
}

/// Shows the live series to a registry.
pub(in super::super) struct Collection {
    shared: Arc<Shared>,
    descs: Vec<Desc>,
}

impl Collection {
    pub(in super::super) fn new(shared: Arc<Shared>) -> Self {
        let Families { requests, histograms } = Families::new(&shared.identity);
        Self {
            descs: descs(std::iter::once(requests).chain(histograms)),
            shared,
        }
    }
}

impl Collector for Collection {
    fn desc(&self) -> Vec<&Desc> {
        self.descs.iter().collect()
    }

    fn collect(&self) -> Vec<MetricFamily> {
        let shared = &*self.shared;
        let per_host = shared.options.per_host;
        let mut families = Families::new(&shared.identity);
        let other = Labels {
            namespace: Arc::default(),
            ingress: OTHER.into(),
            place: Place::default(),
        };
        for (class, counts) in CLASSES.iter().zip(&shared.other) {
            families.add(&other, "", class, counts, per_host);
        }
        for route in shared.index.live() {
            let mut next = route.first.get();
            while let Some(node) = next {
                let code;
                let status = match node.status {
                    Status::Class(class) => CLASSES[class],
                    Status::Code(status) => {
                        code = format!("{status:03}");
                        &code
                    }
                };
                families.add(&route.labels, node.verb.label(), status, &node.counts, per_host);
                next = node.next.get();
            }
        }
        let Families { requests, histograms } = families;
        let histograms = histograms.into_iter().zip(shared.shown.histograms);
        let shown = std::iter::once((requests, shared.shown.requests)).chain(histograms);
        let shown = shown.filter_map(|(family, shown)| shown.then_some(family));
        shown.filter_map(Family::finish).collect()
    }
}
