//! One list-and-watch that never ends: errors are logged, counted and waited
//! out here.

use std::time::Duration;

use futures::StreamExt;
use futures::stream::BoxStream;
use kube::runtime::watcher::{self, Event, watcher};
use kube::{Api, Resource};
use tokio::time::Instant;
use tracing::{info, warn};

use super::raw::Raw;
use crate::metrics::Metrics;
use crate::objects::{Kind, NamespacedName, Object};

const FIRST_PAUSE: Duration = Duration::from_millis(250);
/// A returning API server is noticed within this.
const LONGEST_PAUSE: Duration = Duration::from_secs(10);
/// A kind that is optional and not to be had is asked for again this often.
const UNAVAILABLE_PAUSE: Duration = Duration::from_secs(60);
/// After so many failures in a row the list is fetched anew: a server that was
/// away this long may have been restored from an older state.
const RELIST_AFTER: u32 = 5;
/// Failures further apart than this are not "in a row".
const CALM: Duration = Duration::from_secs(60);

/// A kind that every server has.
pub(super) trait BuiltIn: Resource<DynamicType = ()> + 'static {
    /// Which kind it is.
    const KIND: Kind;
}

macro_rules! built_in {
    ($($module:ident :: $kind:ident),+ $(,)?) => {$(
        impl BuiltIn for k8s_openapi::api::$module::v1::$kind {
            const KIND: Kind = Kind::$kind;
        }
    )+};
}

built_in!(
    networking::Ingress,
    networking::IngressClass,
    core::Service,
    discovery::EndpointSlice,
    core::Secret,
    core::ConfigMap,
    core::Namespace,
    core::Node,
    core::Pod,
);

/// Whether one can do without a kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Need {
    /// Nothing works without it.
    Required,
    /// Forbidden or unknown to the server: a feature is off.
    Optional,
}

/// What a follower sees.
#[derive(Debug)]
pub(super) enum Seen {
    /// The complete list, at the start and whenever the watch had a gap.
    Listed(Vec<Object>),
    /// Added or changed.
    Applied(Object),
    /// Gone.
    Deleted(NamespacedName),
    /// An optional kind that is not to be had now.
    Unavailable,
}

/// A list and watch of one kind.
pub(super) struct Follower {
    kind: Kind,
    api: Api<Raw>,
    config: watcher::Config,
    need: Need,
    metrics: Metrics,
    stream: BoxStream<'static, watcher::Result<Event<Raw>>>,
    /// A list under way; used when it is complete.
    list: Vec<Object>,
    failures: u32,
    failed_at: Option<Instant>,
}

impl Follower {
    pub(super) fn new(
        kind: Kind,
        api: Api<Raw>,
        config: watcher::Config,
        need: Need,
        metrics: Metrics,
    ) -> Self {
        Self {
            kind,
            stream: watcher(api.clone(), config.clone()).boxed(),
            api,
            config,
            need,
            metrics,
            list: Vec::new(),
            failures: 0,
            failed_at: None,
        }
    }

    /// Waits for the next thing; never ends, never fails.
    pub(super) async fn next(&mut self) -> Seen {
        loop {
            let seen = match self.stream.next().await {
                Some(Ok(Event::Init)) => {
                    self.list.clear();
                    continue;
                }
                Some(Ok(Event::InitApply(object))) => {
                    let object = self.read(object);
                    self.list.extend(object);
                    continue;
                }
                Some(Ok(Event::InitDone)) => Seen::Listed(std::mem::take(&mut self.list)),
                Some(Ok(Event::Apply(object))) => match self.read(object) {
                    Some(object) => Seen::Applied(object),
                    None => continue,
                },
                Some(Ok(Event::Delete(object))) => Seen::Deleted(object.namespaced_name()),
                Some(Err(error)) => match self.failed(&error).await {
                    Some(seen) => seen,
                    None => continue,
                },
                None => {
                    self.restart();
                    continue;
                }
            };
            if self.failures > 0 && !matches!(seen, Seen::Unavailable) {
                info!(kind = %self.kind, failures = self.failures, "watch works again");
                self.failures = 0;
            }
            return seen;
        }
    }

    /// An object that makes no sense costs only itself; where it comes as a change, the
    /// version before stays until the next list.
    fn read(&self, object: Raw) -> Option<Object> {
        let name = object.namespaced_name();
        let object = object.read(self.kind);
        object
            .inspect_err(
                |error| warn!(kind = %self.kind, %name, %error, "object cannot be read and is left out"),
            )
            .ok()
    }

    /// Logs and waits.
    async fn failed(&mut self, error: &watcher::Error) -> Option<Seen> {
        self.metrics
            .watch_errors
            .with_label_values(&[self.kind.as_str()])
            .inc();
        let code = status_code(error);
        if code == Some(410) {
            info!(kind = %self.kind, "watch fell behind, listing anew");
            self.restart();
        }
        if self.failed_at.is_none_or(|at| at.elapsed() > CALM) {
            self.failures = 0;
        }
        self.failures += 1;
        self.failed_at = Some(Instant::now());
        if self.need == Need::Optional && matches!(code, Some(401 | 403 | 404)) {
            return Some(self.unavailable(error).await);
        }
        if self.failures.is_multiple_of(RELIST_AFTER) {
            self.restart();
        }
        let pause = pause(self.failures);
        warn!(kind = %self.kind, %error, failures = self.failures, retry_in = ?pause, "watch failed");
        tokio::time::sleep(pause).await;
        None
    }

    /// The first time it is reported at once; later only after a long pause.
    async fn unavailable(&mut self, error: &watcher::Error) -> Seen {
        if self.failures > 1 {
            tokio::time::sleep(UNAVAILABLE_PAUSE).await;
            // Not "calm": the same reason goes on.
            self.failed_at = Some(Instant::now());
        } else {
            warn!(
                kind = %self.kind,
                %error,
                retry_in = ?UNAVAILABLE_PAUSE,
                "kind cannot be read, what depends on it is off; grant list and watch on it"
            );
        }
        self.restart();
        Seen::Unavailable
    }

    fn restart(&mut self) {
        self.list.clear();
        self.stream = watcher(self.api.clone(), self.config.clone()).boxed();
    }
}

/// Doubles with each failure; up to a half less by chance, so that replicas do
/// not return in step.
fn pause(failures: u32) -> Duration {
    let exponent = failures.saturating_sub(1).min(16);
    let longest = (FIRST_PAUSE * 2u32.pow(exponent)).min(LONGEST_PAUSE);
    longest.mul_f64(0.5 + 0.5 * rand::random::<f64>())
}

/// The HTTP status that the server answered with, if it answered.
fn status_code(error: &watcher::Error) -> Option<u16> {
    match error {
        watcher::Error::InitialListFailed(kube::Error::Api(status))
        | watcher::Error::WatchStartFailed(kube::Error::Api(status))
        | watcher::Error::WatchFailed(kube::Error::Api(status))
        | watcher::Error::WatchError(status) => Some(status.code),
        _ => None,
    }
}
