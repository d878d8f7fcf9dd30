//! Where whole connections of a table go, by server name.

use std::collections::HashMap;
use std::sync::Arc;

use tidegate_snapshot::{ClusterKey, Hostname, RouteTable, StreamRoute};

use super::Links;
use crate::upstream::Cluster;

/// The compiled stream routes of one table.
#[derive(Default)]
pub struct Streams {
    exact: ByName,
    /// By the name without its `*.`.
    wildcard: ByName,
    /// Likewise, for any number of labels.
    subdomains: ByName,
    any: Option<Arc<Stream>>,
}

/// `None`: what asks for the name carries HTTP.
type ByName = HashMap<Arc<str>, Option<Arc<Stream>>>;

/// A compiled stream route.
pub struct Stream {
    /// The route as the snapshot has it.
    pub spec: Arc<StreamRoute>,
    backends: Box<[Backend]>,
}

/// One share of a stream's split.
pub struct Backend {
    /// Its key.
    pub key: ClusterKey,
    /// The live cluster; `None` when the snapshot does not define it.
    pub cluster: Option<Arc<Cluster>>,
    pub(super) weight: u32,
}

impl Streams {
    /// Compiles the streams of a table.
    pub fn compile(table: &RouteTable, links: &Links<'_>) -> Self {
        let mut streams = Self::default();
        for (name, spec) in &table.streams {
            let stream = spec.as_ref().map(|spec| Arc::new(Stream::compile(spec, links)));
            match name {
                Hostname::Exact(name) => drop(streams.exact.insert(name.clone(), stream)),
                Hostname::Wildcard(suffix) => drop(streams.wildcard.insert(suffix.clone(), stream)),
                Hostname::Subdomains(suffix) => drop(streams.subdomains.insert(suffix.clone(), stream)),
                // Patterns are for HTTP's names: nothing makes such a stream.
                Hostname::Regex(_) => {}
                Hostname::Any => streams.any = stream,
            }
        }
        streams
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.exact.is_empty() && self.wildcard.is_empty() && self.subdomains.is_empty() && self.any.is_none()
    }

    /// The stream for a server name in lower case, or else that for all. `None`:
    /// there is none, or the most specific name that fits is one for HTTP.
    pub fn find(&self, server_name: Option<&str>) -> Option<&Arc<Stream>> {
        let named = server_name.and_then(|name| {
            self.exact.get(name).or_else(|| {
                let (_, suffix) = name.split_once('.').filter(|(label, _)| !label.is_empty())?;
                let suffixes = std::iter::successors(Some(suffix), |rest| Some(rest.split_once('.')?.1));
                let mut suffixes = suffixes.filter_map(|suffix| self.subdomains.get(suffix));
                self.wildcard.get(suffix).or_else(|| suffixes.next())
            })
        });
        match named {
            Some(stream) => stream.as_ref(),
            None => self.any.as_ref(),
        }
    }
}

impl Stream {
    fn compile(spec: &Arc<StreamRoute>, links: &Links<'_>) -> Self {
        let backends = spec.backends.iter().map(|share| Backend {
            key: share.cluster.clone(),
            cluster: links.clusters.get(&share.cluster).cloned(),
            weight: share.weight,
        });
        Self {
            spec: spec.clone(),
            backends: backends.collect(),
        }
    }

    /// Whether a connection of now could go to this cluster.
    pub fn leads_to(&self, cluster: &Arc<Cluster>) -> bool {
        let mut used = self.backends.iter().filter(|backend| backend.weight > 0);
        used.any(|backend| {
            let own = backend.cluster.as_ref();
            own.is_some_and(|own| Arc::ptr_eq(own, cluster))
        })
    }

    /// Its shares, those without weight included.
    pub(super) fn backends(&self) -> &[Backend] {
        &self.backends
    }

    /// A backend by weight; `random` is uniform over `u32`. `None` when all
    /// weights are 0.
    pub fn backend(&self, random: u32) -> Option<&Backend> {
        let total: u64 = self
            .backends
            .iter()
            .map(|backend| u64::from(backend.weight))
            .sum();
        let drawn = (u128::from(random) * u128::from(total)) >> u32::BITS;
        let mut left = u64::try_from(drawn).expect("below the total weight");
        self.backends.iter().find(|backend| {
            let weight = u64::from(backend.weight);
            let chosen = left < weight;
            left = left.saturating_sub(weight);
            chosen
        })
    }
}
