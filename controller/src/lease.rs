//! Leader election on a `coordination.k8s.io/v1` Lease. Only the leader writes
//! statuses, so that replicas do not fight over them; everything else works
//! without a Lease.
//!
//! Whether a foreign Lease has expired is judged by how long *this* process has
//! seen it unchanged, never by the times written in it: clocks differ.

use std::time::Duration;

use k8s_openapi::api::coordination::v1::{Lease, LeaseSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{MicroTime, ObjectMeta};
use k8s_openapi::jiff::Timestamp;
use kube::api::PostParams;
use kube::{Api, Client};
use tokio::sync::watch;
use tokio::time::Instant;
use tracing::{debug, info, warn};

/// `--election-id`'s default, ingress-nginx's.
pub const DEFAULT_ELECTION_ID: &str = "ingress-controller-leader";
/// `--election-ttl`'s default, ingress-nginx's.
pub const DEFAULT_ELECTION_TTL: Duration = Duration::from_secs(30);

/// Who is elected, where, and how fast a dead leader is replaced.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LeaseConfig {
    /// Namespace of the Lease: the controller's own.
    pub namespace: String,
    /// Name of the Lease (`--election-id`).
    pub name: String,
    /// Who this replica is: the pod's name.
    pub identity: String,
    /// How long a Lease lives without renewal (`--election-ttl`). Renewals are
    /// tried each quarter; after half of it without one, leadership is given up.
    pub ttl: Duration,
}

impl LeaseConfig {
    /// The time between two tries: a quarter of the ttl.
    fn retry(&self) -> Duration {
        self.ttl / 4
    }

    /// Without a renewal for this long the leader stops writing: half the ttl,
    /// so that it has surely stopped when another one may start.
    fn renew_deadline(&self) -> Duration {
        self.ttl / 2
    }
}

/// A Lease as last read, and since when it has read so.
#[derive(Clone, Debug)]
struct Observed {
    lease: Lease,
    since: Instant,
}

/// What to do about the Lease.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Action {
    /// There is none: make it.
    Create,
    /// It is ours: renew.
    Renew,
    /// It is free or expired: take it over.
    Take,
    /// Somebody else holds it, and lives, until at least then.
    Wait(Instant),
}

/// Decides by what was seen, when. Pure.
fn decide(observed: Option<&Observed>, now: Instant, me: &str, ttl: Duration) -> Action {
    let Some(observed) = observed else {
        return Action::Create;
    };
    let spec = observed.lease.spec.as_ref();
    let holder = spec
        .and_then(|spec| spec.holder_identity.as_deref())
        .unwrap_or_default();
    if holder == me {
        return Action::Renew;
    }
    if holder.is_empty() {
        return Action::Take;
    }
    // The holder's own ttl counts; another release may have another default.
    let held_for = spec
        .and_then(|spec| spec.lease_duration_seconds)
        .and_then(|seconds| u64::try_from(seconds).ok())
        .map_or(ttl, Duration::from_secs);
    let expires = observed.since + held_for;
    if now >= expires {
        Action::Take
    } else {
        Action::Wait(expires)
    }
}

/// Takes part in the election until `shutdown` turns true, then releases the
/// Lease if it is held. `leader` is true exactly while this replica may write.
/// `released` is waited for before the release: the writes that a leader makes
/// last.
pub(crate) async fn run(
    client: Client,
    config: LeaseConfig,
    leader: watch::Sender<bool>,
    mut shutdown: watch::Receiver<bool>,
    released: impl Future<Output = ()>,
) {
    let mut candidate = Candidate {
        api: Api::namespaced(client, &config.namespace),
        config,
        observed: None,
        renewed: None,
    };
    loop {
        let wait = candidate.step(&leader).await;
        tokio::select! {
            () = tokio::time::sleep(wait) => {}
            _ = shutdown.wait_for(|stop| *stop) => break,
        }
    }
    released.await;
    if *leader.borrow() {
        candidate.release().await;
        leader.send_replace(false);
    }
}

struct Candidate {
    api: Api<Lease>,
    config: LeaseConfig,
    observed: Option<Observed>,
    /// When the last successful write of ours was sent; none while not leading.
    renewed: Option<Instant>,
}

impl Candidate {
    /// One try; returns how long to wait before the next.
    async fn step(&mut self, leader: &watch::Sender<bool>) -> Duration {
        let sent = Instant::now();
        let retry = self.config.retry();
        let held = match tokio::time::timeout(retry, self.attempt()).await {
            Ok(Ok(held)) => {
                self.renewed = held.then_some(sent);
                held
            }
            Ok(Err(error)) => {
                warn!(lease = %self.config.name, %error, "lease not reachable");
                self.still_valid()
            }
            Err(_) => {
                warn!(lease = %self.config.name, "lease timed out");
                self.still_valid()
            }
        };
        if !held {
            self.renewed = None;
        }
        self.announce(leader, held);
        if let Some(renewed) = self.renewed {
            // Neither later than the deadline, nor hot when it is close.
            let left = self.config.renew_deadline().saturating_sub(renewed.elapsed());
            return jittered(retry).min(left.max(retry / 4));
        }
        match self.decide() {
            // Come back when it expires, a little late rather than early.
            Action::Wait(until) => {
                let left = until.saturating_duration_since(Instant::now());
                jittered(retry).min(left + Duration::from_millis(50))
            }
            _ => jittered(retry),
        }
    }

    fn decide(&self) -> Action {
        decide(
            self.observed.as_ref(),
            Instant::now(),
            &self.config.identity,
            self.config.ttl,
        )
    }

    /// Whether the last renewal still covers us although this one failed.
    fn still_valid(&self) -> bool {
        self.renewed
            .is_some_and(|at| at.elapsed() < self.config.renew_deadline())
    }

    fn announce(&self, leader: &watch::Sender<bool>, held: bool) {
        leader.send_if_modified(|value| {
            let changed = *value != held;
            *value = held;
            changed && {
                if held {
                    info!(lease = %self.config.name, identity = %self.config.identity, "leadership gained");
                } else {
                    warn!(lease = %self.config.name, identity = %self.config.identity, "leadership lost");
                }
                true
            }
        });
    }

    /// Reads, decides, writes. True when the Lease is ours afterwards.
    async fn attempt(&mut self) -> kube::Result<bool> {
        let found = self.api.get_opt(&self.config.name).await?;
        self.observe(found);
        let written = match self.decide() {
            Action::Wait(_) => return Ok(false),
            Action::Create => {
                let lease = Lease {
                    metadata: ObjectMeta {
                        name: Some(self.config.name.clone()),
                        ..ObjectMeta::default()
                    },
                    spec: Some(self.spec(None)),
                };
                self.api.create(&PostParams::default(), &lease).await
            }
            Action::Renew | Action::Take => {
                let Some(observed) = &self.observed else {
                    return Ok(false);
                };
                let mut lease = observed.lease.clone();
                lease.spec = Some(self.spec(lease.spec.as_ref()));
                // The resourceVersion in it makes two takers exclude each other.
                self.api
                    .replace(&self.config.name, &PostParams::default(), &lease)
                    .await
            }
        };
        match written {
            Ok(lease) => {
                self.observe(Some(lease));
                Ok(true)
            }
            Err(kube::Error::Api(status)) if status.code == 409 => {
                debug!(lease = %self.config.name, "somebody else was faster");
                Ok(false)
            }
            Err(error) => Err(error),
        }
    }

    /// Remembers what was read; the clock restarts only when it differs.
    fn observe(&mut self, found: Option<Lease>) {
        let now = Instant::now();
        self.observed = found.map(|lease| match self.observed.take() {
            Some(before) if before.lease.spec == lease.spec => Observed {
                lease,
                since: before.since,
            },
            _ => Observed { lease, since: now },
        });
    }

    fn spec(&self, before: Option<&LeaseSpec>) -> LeaseSpec {
        let now = Some(MicroTime(Timestamp::now()));
        let mine = before.filter(|spec| spec.holder_identity.as_deref() == Some(&self.config.identity));
        let transitions = before.and_then(|spec| spec.lease_transitions).unwrap_or(0);
        LeaseSpec {
            holder_identity: Some(self.config.identity.clone()),
            // Whole seconds only: rounded up, so that no one takes it too early.
            lease_duration_seconds: i32::try_from(self.config.ttl.as_millis().div_ceil(1000)).ok(),
            acquire_time: mine.map_or(now.clone(), |spec| spec.acquire_time.clone()),
            renew_time: now,
            lease_transitions: Some(if before.is_none() || mine.is_some() {
                transitions
            } else {
                transitions + 1
            }),
            ..LeaseSpec::default()
        }
    }

    /// Hands the Lease back, so that the next leader need not wait for it to
    /// expire. Best effort: it expires anyway.
    async fn release(&mut self) {
        let Some(observed) = &self.observed else { return };
        let mut lease = observed.lease.clone();
        if let Some(spec) = &mut lease.spec {
            spec.holder_identity = None;
            spec.acquire_time = None;
            spec.lease_duration_seconds = Some(1);
            spec.renew_time = Some(MicroTime(Timestamp::now()));
        }
        let params = PostParams::default();
        let write = self.api.replace(&self.config.name, &params, &lease);
        match tokio::time::timeout(Duration::from_secs(2), write).await {
            Ok(Ok(_)) => info!(lease = %self.config.name, "lease released"),
            Ok(Err(error)) => warn!(lease = %self.config.name, %error, "lease not released, it will expire"),
            Err(_) => warn!(lease = %self.config.name, "release of the lease timed out, it will expire"),
        }
    }
}

/// Between 80 % and 100 % of `period`, so that replicas do not move in step.
fn jittered(period: Duration) -> Duration {
    period.mul_f64(0.8 + 0.2 * rand::random::<f64>())
}

#[cfg(test)]
mod tests {
    use super::*;

    const TTL: Duration = Duration::from_secs(30);

    fn observed(holder: Option<&str>, seconds: Option<i32>, since: Instant) -> Observed {
        Observed {
            lease: Lease {
                spec: Some(LeaseSpec {
                    holder_identity: holder.map(str::to_owned),
                    lease_duration_seconds: seconds,
                    ..LeaseSpec::default()
                }),
                ..Lease::default()
            },
            since,
        }
    }

    #[test]
    fn a_missing_lease_is_created() {
        assert_eq!(decide(None, Instant::now(), "me", TTL), Action::Create);
    }

    #[test]
    fn ours_is_renewed_however_old() {
        let now = Instant::now();
        let mine = observed(Some("me"), Some(1), now);
        assert_eq!(decide(Some(&mine), now + TTL * 9, "me", TTL), Action::Renew);
    }

    #[test]
    fn a_released_one_is_taken_at_once() {
        let now = Instant::now();
        assert_eq!(
            decide(Some(&observed(None, Some(30), now)), now, "me", TTL),
            Action::Take
        );
        assert_eq!(
            decide(Some(&observed(Some(""), None, now)), now, "me", TTL),
            Action::Take
        );
    }

    #[test]
    fn a_foreign_one_is_waited_for_by_its_own_duration() {
        let now = Instant::now();
        let other = observed(Some("other"), Some(10), now);
        let expires = now + Duration::from_secs(10);
        assert_eq!(decide(Some(&other), now, "me", TTL), Action::Wait(expires));
        assert_eq!(decide(Some(&other), expires, "me", TTL), Action::Take);
    }

    #[test]
    fn a_foreign_one_without_duration_lives_for_our_ttl() {
        let now = Instant::now();
        let other = observed(Some("other"), None, now);
        assert_eq!(decide(Some(&other), now, "me", TTL), Action::Wait(now + TTL));
    }

    #[test]
    fn jitter_stays_within_a_fifth() {
        for _ in 0..100 {
            let wait = jittered(Duration::from_secs(10));
            assert!((Duration::from_secs(8)..=Duration::from_secs(10)).contains(&wait));
        }
    }
}
