//! Copies for the endpoints of clusters (Gateway API `RequestMirror`).

use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use http::header::{CONNECTION, CONTENT_LENGTH, EXPECT, TE, TRANSFER_ENCODING};
use http::{HeaderName, HeaderValue, Version};
use pingora_core::Result;
use pingora_core::upstreams::peer::HttpPeer;
use pingora_http::RequestHeader;
use tidegate_snapshot::UpstreamProtocol;

use super::{MAX_ANSWER, Subrequests, TIMEOUTS};
use crate::proxy::subrequest::address_by_authority;
use crate::router::Mirror;
use crate::upstream::{Cluster, Pick};

/// Who gets copies of a request.
pub(super) struct Drawn {
    head: RequestHeader,
    clusters: Vec<Arc<Cluster>>,
}

/// The copy for one of them.
pub(super) struct ToCluster {
    head: RequestHeader,
    pick: Pick,
    peer: Box<HttpPeer>,
    is_h2: bool,
}

impl Drawn {
    /// Draws for each mirror by itself; `None`: nobody gets a copy.
    pub(super) fn of(request: &RequestHeader, mirrors: &[Mirror]) -> Option<Self> {
        let drawn = mirrors.iter().filter(|mirror| mirror.takes(rand::random()));
        let clusters: Vec<_> = drawn.filter_map(|mirror| mirror.cluster.clone()).collect();
        (!clusters.is_empty()).then(|| Self {
            head: request.clone(),
            clusters,
        })
    }

    /// "Mirrored requests must be sent only to a single destination endpoint
    /// within this BackendRef."
    pub(super) fn copies(self) -> impl Iterator<Item = ToCluster> {
        let Self { head, clusters } = self;
        clusters.into_iter().filter_map(move |cluster| {
            let pick = cluster.pick(0, &[])?;
            Some(ToCluster {
                peer: cluster.peer(&pick, false, &TIMEOUTS),
                is_h2: matches!(
                    cluster.spec.protocol,
                    UpstreamProtocol::H2 | UpstreamProtocol::H2c
                ),
                head: head.clone(),
                pick,
            })
        })
    }
}

impl ToCluster {
    pub(super) async fn send(mut self, subrequests: &Subrequests, body: Bytes) -> Result<()> {
        const OF_THE_CONNECTION: [HeaderName; 4] = [CONNECTION, EXPECT, TRANSFER_ENCODING, CONTENT_LENGTH];
        let had_length = self.head.headers.contains_key(CONTENT_LENGTH);
        for name in &OF_THE_CONNECTION {
            self.head.remove_header(name);
        }
        if had_length || !body.is_empty() {
            self.head
                .insert_header("Content-Length", HeaderValue::from(body.len()))?;
        }
        if self.is_h2 {
            address_by_authority(&mut self.head, self.peer.is_tls())?;
        } else {
            self.head.set_version(Version::HTTP_11);
            self.head.remove_header(&TE);
        }
        let began = Instant::now();
        let exchange = subrequests.send_with(*self.peer, &self.head, body).await?;
        self.pick.succeeded(began.elapsed());
        exchange.finish(MAX_ANSWER).await;
        Ok(())
    }
}
