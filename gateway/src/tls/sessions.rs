//! TLS sessions that end (`ssl-session-timeout`, `ssl-session-cache-size`): what
//! is kept, here or sealed with a client, begins with the second in which it
//! ends.

use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use rustls::pki_types::UnixTime;
use rustls::server::{ProducesTickets, ServerSessionMemoryCache, StoresServerSessions};

/// Sessions that are kept without `ssl-session-cache-size`: those of TLS 1.2
/// clients without ticket support; without tickets of ours those of all clients.
const SESSIONS: usize = 8192;
/// The same for a host that asks for client certificates.
const OWN_SESSIONS: usize = 256;
/// nginx's rule of thumb: a megabyte holds 4,000 sessions.
const SESSION_BYTES: u64 = 256;

/// Sessions that are kept here. `is_own`: for one host alone.
pub(super) fn storage(
    is_own: bool,
    bytes: Option<u64>,
    timeout: Option<Duration>,
) -> Arc<dyn StoresServerSessions> {
    let storage = match is_own {
        true => ServerSessionMemoryCache::new(OWN_SESSIONS),
        false => shared(bytes.map_or(SESSIONS, |bytes| (bytes / SESSION_BYTES).max(1) as usize)),
    };
    match timeout {
        Some(timeout) => Arc::new(Ending {
            inner: storage as Arc<dyn StoresServerSessions>,
            timeout,
        }),
        None => storage,
    }
}

/// Shared by all tables without client certificates, so that a changed
/// certificate elsewhere does not cost every client a full handshake; only
/// another size begins anew. rustls resumes a session only for the server name
/// that it was made with.
fn shared(size: usize) -> Arc<ServerSessionMemoryCache> {
    static STORAGE: Mutex<Option<(usize, Arc<ServerSessionMemoryCache>)>> = Mutex::new(None);
    let mut storage = STORAGE.lock();
    match &*storage {
        Some((known, storage)) if *known == size => storage.clone(),
        _ => {
            let made = ServerSessionMemoryCache::new(size);
            *storage = Some((size, made.clone()));
            made
        }
    }
}

/// Tickets that hold for so long.
pub(super) fn tickets(
    ticketer: Arc<dyn ProducesTickets>,
    timeout: Option<Duration>,
) -> Arc<dyn ProducesTickets> {
    match timeout {
        Some(timeout) => Arc::new(Ending {
            inner: ticketer,
            timeout,
        }),
        None => ticketer,
    }
}

/// Gives what it keeps an end.
#[derive(Debug)]
struct Ending<T: ?Sized> {
    timeout: Duration,
    inner: Arc<T>,
}

impl<T: ?Sized> Ending<T> {
    fn begun(&self, session: &[u8], now: UnixTime) -> Vec<u8> {
        let end = now.as_secs().saturating_add(self.timeout.as_secs());
        [&end.to_be_bytes()[..], session].concat()
    }
}

/// The session, unless it has ended.
fn running(kept: Vec<u8>, now: UnixTime) -> Option<Vec<u8>> {
    let (end, session) = kept.split_first_chunk()?;
    (now.as_secs() < u64::from_be_bytes(*end)).then(|| session.to_vec())
}

impl StoresServerSessions for Ending<dyn StoresServerSessions> {
    fn put(&self, key: Vec<u8>, session: Vec<u8>) -> bool {
        self.inner.put(key, self.begun(&session, UnixTime::now()))
    }

    fn get(&self, key: &[u8]) -> Option<Vec<u8>> {
        running(self.inner.get(key)?, UnixTime::now())
    }

    fn take(&self, key: &[u8]) -> Option<Vec<u8>> {
        running(self.inner.take(key)?, UnixTime::now())
    }

    fn can_cache(&self) -> bool {
        self.inner.can_cache()
    }
}

impl ProducesTickets for Ending<dyn ProducesTickets> {
    fn enabled(&self) -> bool {
        self.inner.enabled()
    }

    fn lifetime(&self) -> u32 {
        let timeout = u32::try_from(self.timeout.as_secs()).unwrap_or(u32::MAX);
        timeout.min(self.inner.lifetime())
    }

    fn encrypt(&self, session: &[u8]) -> Option<Vec<u8>> {
        self.inner.encrypt(&self.begun(session, UnixTime::now()))
    }

    fn decrypt(&self, ticket: &[u8]) -> Option<Vec<u8>> {
        running(self.inner.decrypt(ticket)?, UnixTime::now())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn second(number: u64) -> UnixTime {
        UnixTime::since_unix_epoch(Duration::from_secs(number))
    }

    #[test]
    fn a_session_ends_with_its_time() {
        let ending = Ending {
            inner: Arc::new(()),
            timeout: Duration::from_secs(10),
        };
        let kept = ending.begun(b"session", second(100));
        assert_eq!(
            running(kept.clone(), second(109)).as_deref(),
            Some(&b"session"[..])
        );
        assert_eq!(running(kept, second(110)), None);
        assert_eq!(running(vec![1], second(0)), None);
    }

    #[test]
    fn what_is_kept_comes_back() {
        let storage = storage(true, None, Some(Duration::from_secs(60)));
        assert!(storage.put(vec![1], vec![2]));
        assert_eq!(storage.get(&[1]), Some(vec![2]));
        assert_eq!(storage.take(&[1]), Some(vec![2]));
        assert_eq!(storage.take(&[1]), None);
        let ended = super::storage(true, None, Some(Duration::ZERO));
        assert!(ended.put(vec![1], vec![2]));
        assert_eq!(ended.get(&[1]), None);
    }

    #[test]
    fn a_ticket_holds_for_its_time() {
        let ticketer = rustls::crypto::aws_lc_rs::Ticketer::new().unwrap();
        let brief = tickets(ticketer.clone(), Some(Duration::from_secs(60)));
        assert_eq!(brief.lifetime(), 60);
        let ticket = brief.encrypt(b"session").unwrap();
        assert_eq!(brief.decrypt(&ticket).as_deref(), Some(&b"session"[..]));
        let ended = tickets(ticketer, Some(Duration::ZERO));
        let ticket = ended.encrypt(b"session").unwrap();
        assert_eq!(ended.decrypt(&ticket), None);
    }
}
