//! Limits on what one client may ask for (nginx `limit_conn`,
//! `limit_req` without delay).

mod zone;

use std::sync::{Arc, LazyLock};
use std::time::Instant;

use http::StatusCode;
use tidegate_snapshot::policy::{self, RateLimit};

use super::Reply;
use crate::template::{self, Values};
pub use zone::Permit;
use zone::{Key, Zone};

/// nginx counts in thousandths of a request.
const REQUEST: u64 = 1000;

/// The limits of a route.
pub struct Limits {
    spec: policy::Limits,
    per_second: Option<Rate>,
    per_minute: Option<Rate>,
    zone: Arc<Zone>,
}

/// A leaky bucket's shape.
#[derive(Clone, Copy)]
struct Rate {
    /// Thousandths of a request that leak out in a second.
    leak: u64,
    /// Thousandths of a request that it holds over the first.
    depth: u64,
}

/// How full a client's bucket is.
#[derive(Clone, Copy, Default)]
struct Bucket {
    excess: u64,
    /// Milliseconds; when `excess` held.
    last: u64,
    used: bool,
}

impl Rate {
    fn new(limit: RateLimit, seconds: u64) -> Self {
        Self {
            // nginx rounds down too.
            leak: (u64::from(limit.rate) * REQUEST / seconds).max(1),
            depth: u64::from(limit.burst) * REQUEST,
        }
    }

    /// What would be in the bucket after one more request; `None`: too much
    /// (`ngx_http_limit_req_lookup`).
    fn fill(&self, bucket: Bucket, now: u64) -> Option<Bucket> {
        let excess = if bucket.used {
            let leaked = self.leak.saturating_mul(now.saturating_sub(bucket.last)) / 1000;
            (bucket.excess + REQUEST).saturating_sub(leaked)
        } else {
            0
        };
        (excess <= self.depth).then_some(Bucket {
            excess,
            last: now,
            used: true,
        })
    }

    /// Whether the bucket says no more than no bucket.
    fn is_spent(&self, bucket: Bucket, now: u64) -> bool {
        let leaked = self.leak.saturating_mul(now.saturating_sub(bucket.last)) / 1000;
        !bucket.used || bucket.excess + REQUEST <= leaked
    }
}

impl Limits {
    /// The counters are those that a zone of this name has already.
    pub(super) fn new(spec: &policy::Limits) -> Self {
        Self {
            per_second: spec.per_second.map(|limit| Rate::new(limit, 1)),
            per_minute: spec.per_minute.map(|limit| Rate::new(limit, 60)),
            zone: Zone::of(&spec.zone),
            spec: spec.clone(),
        }
    }

    /// Counts a request. It counts as under way until the permit is dropped.
    ///
    /// # Errors
    /// The answer to a request that is too much.
    pub fn take(&self, values: &Values<'_>) -> Result<Option<Permit>, Reply> {
        static START: LazyLock<Instant> = LazyLock::new(Instant::now);
        let address = values.request.client_ip();
        let client = match &self.spec.key {
            None => Key::of(address),
            Some(text) => match &*template::filled(text, values) {
                // nginx: not counted.
                [] => return Ok(None),
                filled => self.zone.key(filled),
            },
        };
        if self.spec.exempt.contains(address) {
            return Ok(None);
        }
        self.take_at(client, START.elapsed().as_millis() as u64)
            .map_err(Reply::status)
    }

    /// In ingress-nginx's order: connections, requests a second, requests a
    /// minute; a request that one of them refuses counts in none.
    fn take_at(&self, client: Key, now: u64) -> Result<Option<Permit>, StatusCode> {
        let status = |code| StatusCode::from_u16(code).unwrap_or(StatusCode::SERVICE_UNAVAILABLE);
        let spent = |client: &zone::Client| {
            client.connections == 0
                && self
                    .per_second
                    .is_none_or(|rate| rate.is_spent(client.second, now))
                && self
                    .per_minute
                    .is_none_or(|rate| rate.is_spent(client.minute, now))
        };
        let counted = self.zone.update(client, now, spent, |client| {
            if self
                .spec
                .connections
                .is_some_and(|limit| client.connections >= limit)
            {
                return Err(status(self.spec.connection_status));
            }
            let too_many = status(self.spec.rate_status);
            let fill = |rate: Option<Rate>, bucket| match rate {
                Some(rate) => rate.fill(bucket, now).ok_or(too_many),
                None => Ok(bucket),
            };
            let second = fill(self.per_second, client.second)?;
            let minute = fill(self.per_minute, client.minute)?;
            client.second = second;
            client.minute = minute;
            client.last = now;
            if self.spec.connections.is_some() {
                client.connections += 1;
            }
            Ok(())
        });
        // Without room for one more client nginx refuses it too.
        counted.unwrap_or(Err(status(self.spec.rate_status)))?;
        let counts_connections = self.spec.connections.is_some();
        Ok(counts_connections.then(|| Permit::new(self.zone.clone(), client)))
    }
}

#[cfg(test)]
mod tests {
    use std::net::{IpAddr, Ipv4Addr};

    use tidegate_snapshot::{Networks, Text};

    use super::*;
    use crate::request::fixtures::Request;

    fn spec(zone: &str) -> policy::Limits {
        policy::Limits {
            zone: zone.into(),
            key: None,
            connections: None,
            per_second: None,
            per_minute: None,
            exempt: Networks::default(),
            rate_status: 429,
            connection_status: 503,
        }
    }

    fn client(last: u8) -> Key {
        Key::of(Ipv4Addr::new(10, 0, 0, last).into())
    }

    fn admitted(limits: &Limits, request: &Request) -> bool {
        limits.take(&Values::of(request)).is_ok()
    }

    #[test]
    fn a_variable_tells_clients_apart() {
        let limits = Limits::new(&policy::Limits {
            key: Some(Text::parse("$http_x_key").unwrap()),
            per_minute: Some(RateLimit { rate: 1, burst: 0 }),
            ..spec("variable")
        });
        let with = |key: &str| Request::get("/").with("x-key", key);
        assert!(admitted(&limits, &with("a")));
        assert!(!admitted(&limits, &with("a")));
        assert!(admitted(&limits, &with("b")), "of the same address");
        // Nothing to count by.
        assert!((0..3).all(|_| admitted(&limits, &Request::get("/"))));
    }

    fn accepted(limits: &Limits, now: u64, tries: usize) -> usize {
        let taken = (0..tries).filter(|_| limits.take_at(client(1), now).is_ok());
        taken.count()
    }

    #[test]
    fn burst_and_one_at_once_then_the_rate() {
        let limits = Limits::new(&policy::Limits {
            per_second: Some(RateLimit { rate: 2, burst: 10 }),
            ..spec("burst")
        });
        assert_eq!(accepted(&limits, 1000, 30), 11);
        assert_eq!(accepted(&limits, 1499, 5), 0);
        assert_eq!(accepted(&limits, 1500, 5), 1);
        assert_eq!(accepted(&limits, 3000, 5), 3);
        assert_eq!(accepted(&limits, 100_000, 30), 11);
        assert_eq!(
            limits.take_at(client(1), 100_000).err(),
            Some(StatusCode::TOO_MANY_REQUESTS)
        );
        assert!(limits.take_at(client(2), 100_000).is_ok());
    }

    #[test]
    fn a_minute_is_sixty_seconds_and_refusals_do_not_count() {
        let limits = Limits::new(&policy::Limits {
            per_second: Some(RateLimit { rate: 100, burst: 0 }),
            per_minute: Some(RateLimit { rate: 6, burst: 1 }),
            ..spec("minute")
        });
        assert_eq!(accepted(&limits, 0, 5), 1, "no burst a second");
        assert_eq!(accepted(&limits, 10, 1), 1);
        assert_eq!(accepted(&limits, 20, 1), 0, "two a minute are used up");
        // Six a minute are one in ten seconds.
        assert_eq!(accepted(&limits, 9_000, 1), 0);
        assert_eq!(accepted(&limits, 10_011, 1), 1);
    }

    #[test]
    fn connections_count_while_their_permits_live() {
        let limits = Limits::new(&policy::Limits {
            connections: Some(2),
            ..spec("connections")
        });
        let first = limits.take_at(client(1), 0).unwrap();
        let _second = limits.take_at(client(1), 0).unwrap();
        assert_eq!(
            limits.take_at(client(1), 0).err(),
            Some(StatusCode::SERVICE_UNAVAILABLE)
        );
        drop(first);
        assert!(limits.take_at(client(1), 0).is_ok());
    }

    #[test]
    fn zones_are_shared_by_name_for_as_long_as_one_is_in_use() {
        let limit = |rate| {
            Limits::new(&policy::Limits {
                per_second: Some(RateLimit { rate, burst: 0 }),
                ..spec("shared")
            })
        };
        let before = limit(1);
        assert_eq!(accepted(&before, 0, 2), 1);
        let after = limit(2);
        assert_eq!(accepted(&after, 0, 1), 0, "the next snapshot goes on counting");
        drop((before, after));
        assert_eq!(accepted(&limit(1), 0, 1), 1);
    }

    #[test]
    fn exempt_addresses_are_not_counted() {
        let limits = Limits::new(&policy::Limits {
            per_second: Some(RateLimit { rate: 1, burst: 0 }),
            exempt: Networks::parse("127.0.0.1").unwrap(),
            ..spec("exempt")
        });
        assert!((0..10).all(|_| admitted(&limits, &Request::get("/"))));
    }

    #[test]
    fn memory_is_bounded_and_clients_with_nothing_to_remember_go_first() {
        let limits = Limits::new(&policy::Limits {
            per_second: Some(RateLimit { rate: 1, burst: 0 }),
            ..spec("bounded")
        });
        for number in 0..3 * zone::CAPACITY as u32 {
            let address = IpAddr::V4(Ipv4Addr::from_bits(number));
            assert!(limits.take_at(Key::of(address), u64::from(number)).is_ok());
        }
        assert!(limits.zone.len() <= zone::CAPACITY);
    }
}
