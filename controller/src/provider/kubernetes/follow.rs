//! One list-and-watch that never ends: errors are logged, counted and waited
//! out here.

use std::fmt::Debug;
use std::time::Duration;

use futures::StreamExt;
use futures::stream::BoxStream;
use kube::runtime::watcher::{self, Event, watcher};
use kube::{Api, Resource};
use serde::de::DeserializeOwned;
use tokio::time::Instant;
use tracing::{info, warn};

use crate::metrics::Metrics;
use crate::objects::{Kind, Object};

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

/// A kind that can be watched and stored.
pub(super) trait Watched:
    Resource + Clone + DeserializeOwned + Debug + Into<Object> + Send + Sync + 'static
{
}

/// One whose kind and version are known when compiling.
pub(super) trait BuiltIn: Watched + Resource<DynamicType = ()> {
    /// Which kind it is.
    const KIND: Kind;
}

macro_rules! watched {
    ($($module:ident :: $kind:ident),+ $(,)?) => {$(
        impl Watched for k8s_openapi::api::$module::v1::$kind {}

        impl BuiltIn for k8s_openapi::api::$module::v1::$kind {
            const KIND: Kind = Kind::$kind;
        }
    )+};
}

watched!(
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
pub(super) enum Seen<K> {
    /// The complete list, at the start and whenever the watch had a gap.
    Listed(Vec<K>),
    /// Added or changed.
    Applied(K),
    /// Gone.
    Deleted(K),
    /// An optional kind that is not to be had now.
    Unavailable,
}

/// A list and watch of one kind.
pub(super) struct Follower<K> {
    /// Which kind it is.
    pub(super) kind: Kind,
    api: Api<K>,
    config: watcher::Config,
    need: Need,
    metrics: Metrics,
    stream: BoxStream<'static, watcher::Result<Event<K>>>,
    /// A list under way; used when it is complete.
    list: Vec<K>,
    failures: u32,
    failed_at: Option<Instant>,
}

impl<K: Watched> Follower<K> {
    pub(super) fn new(
        kind: Kind,
        api: Api<K>,
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
    pub(super) async fn next(&mut self) -> Seen<K> {
        loop {
            let seen = match self.stream.next().await {
                Some(Ok(Event::Init)) => {
                    self.list.clear();
                    continue;
                }
                Some(Ok(Event::InitApply(object))) => {
                    self.list.push(stripped(object));
                    continue;
                }
                Some(Ok(Event::InitDone)) => Seen::Listed(std::mem::take(&mut self.list)),
                Some(Ok(Event::Apply(object))) => Seen::Applied(stripped(object)),
                Some(Ok(Event::Delete(object))) => Seen::Deleted(object),
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

    /// Logs and waits.
    async fn failed(&mut self, error: &watcher::Error) -> Option<Seen<K>> {
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
    async fn unavailable(&mut self, error: &watcher::Error) -> Seen<K> {
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

/// Who wrote which field is half of an object's size, and nobody reads it.
fn stripped<K: Watched>(mut object: K) -> K {
    object.meta_mut().managed_fields = None;
    object
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
