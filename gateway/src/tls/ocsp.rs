//! OCSP stapling (RFC 6066 §8; nginx's `ssl_stapling`, and what ingress-nginx
//! does for `enable-ocsp`).
//!
//! Responders are asked in the background about every certificate in use that
//! names one; what they say is judged, and shown in the handshakes from then
//! on. A handshake never waits: without a response that holds, nothing is
//! stapled.

mod question;
mod responder;
mod response;

use std::collections::HashMap;
use std::collections::hash_map::Entry as Slot;
use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, SystemTime};

use parking_lot::Mutex;
use rand::Rng;
use rustls::sign::CertifiedKey;
use tidegate_snapshot::Ocsp;
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinHandle;
use tracing::{debug, info, warn};

use super::{Certificates, Entry, provider};

pub(super) use question::Question;
use responder::{AskError, Responders};
use response::{Unusable, judge};

/// Responders asked at once.
const MAX_CONCURRENT_QUESTIONS: usize = 8;
/// Bounds of the wait for the next question after an answer, which else is half
/// of the time that the answer still holds for.
const SHORTEST_WAIT: Duration = Duration::from_secs(5 * 60);
/// See [`SHORTEST_WAIT`].
const LONGEST_WAIT: Duration = Duration::from_secs(24 * 60 * 60);
/// Until the next try after a failure; doubles with each, up to
/// [`LONGEST_BACKOFF`].
const FIRST_BACKOFF: Duration = Duration::from_secs(30);
/// See [`FIRST_BACKOFF`].
const LONGEST_BACKOFF: Duration = Duration::from_secs(60 * 60);
/// How much sooner a question may come, as a share of the wait: replicas that
/// start together must not ask together for ever.
const JITTER: f64 = 0.1;
/// The wall clock is looked at this often: it may be set, or have gone on while
/// the machine slept.
const LOOK: Duration = Duration::from_secs(60);

/// Keeps responses for the certificates in use.
#[derive(Default)]
pub struct Stapler {
    wanted: watch::Sender<Wanted>,
    counters: Arc<Counters>,
}

/// What became of questions.
#[derive(Debug, Default)]
pub struct Counters {
    /// Their answers are shown.
    pub stapled: AtomicU64,
    /// There is no answer, or none that may be shown.
    pub failed: AtomicU64,
}

/// What is to be stapled.
#[derive(Clone, Default)]
struct Wanted {
    /// `None`: nothing is.
    ocsp: Option<Arc<Ocsp>>,
    /// Of each routing table.
    certificates: Vec<Certificates>,
}

/// What all questions share.
struct Desk {
    responders: Responders,
    permits: Semaphore,
    counters: Arc<Counters>,
}

/// A question with the certificates that its answer is for.
struct Subject {
    question: Arc<Question>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    entries: Vec<Arc<Entry>>,
    staple: Option<Staple>,
}

/// A response that may be shown until a time since 1970.
struct Staple {
    response: Vec<u8>,
    until: Duration,
}

/// A subject and the task that asks for it; dropped, the certificates are shown
/// without a response again.
struct Watched {
    subject: Arc<Subject>,
    task: JoinHandle<Infallible>,
}

/// Why there is nothing new to staple.
#[derive(Debug, thiserror::Error)]
enum Failure {
    #[error(transparent)]
    Ask(#[from] AskError),
    #[error(transparent)]
    Response(#[from] Unusable),
}

impl Stapler {
    /// Staples responses to these certificates from now on, and to no others;
    /// to none at all without `ocsp`. Costs nothing while that stays off.
    pub fn serve<'a>(&self, ocsp: &Option<Arc<Ocsp>>, certificates: impl Iterator<Item = &'a Certificates>) {
        let wanted = match ocsp {
            None => Wanted::default(),
            Some(_) => Wanted {
                ocsp: ocsp.clone(),
                certificates: certificates.cloned().collect(),
            },
        };
        self.wanted.send_if_modified(|before| {
            let differs = !before.same(&wanted);
            *before = wanted;
            differs
        });
    }

    /// What became of its questions.
    pub fn counters(&self) -> &Arc<Counters> {
        &self.counters
    }

    /// Does the work; never ends.
    pub async fn run(self: Arc<Self>) {
        let mut wanted = self.wanted.subscribe();
        let settings = watch::Sender::new(Arc::<Ocsp>::default());
        let desk = Arc::new(Desk {
            responders: Responders::default(),
            permits: Semaphore::new(MAX_CONCURRENT_QUESTIONS),
            counters: self.counters.clone(),
        });
        let mut watched = HashMap::new();
        loop {
            let now = wanted.borrow_and_update().clone();
            if let Some(ocsp) = &now.ocsp {
                settings.send_if_modified(|before| {
                    let differs = before != ocsp;
                    *before = ocsp.clone();
                    differs
                });
            }
            follow(&mut watched, &now, &desk, &settings);
            drop(now);
            if wanted.changed().await.is_err() {
                return;
            }
        }
    }
}

impl Wanted {
    fn same(&self, other: &Self) -> bool {
        let same = |(a, b): (&Certificates, &Certificates)| match (&a.0, &b.0) {
            (Some(a), Some(b)) => Arc::ptr_eq(&a.names, &b.names),
            (a, b) => a.is_none() && b.is_none(),
        };
        self.ocsp == other.ocsp
            && self.certificates.len() == other.certificates.len()
            && self.certificates.iter().zip(&other.certificates).all(same)
    }
}

/// Asks about what is wanted, each certificate once, and about nothing else.
fn follow(
    watched: &mut HashMap<Arc<Question>, Watched>,
    wanted: &Wanted,
    desk: &Arc<Desk>,
    settings: &watch::Sender<Arc<Ocsp>>,
) {
    let mut asked: HashMap<Arc<Question>, Vec<Arc<Entry>>> = HashMap::new();
    let compiled = wanted.certificates.iter().filter_map(|all| all.0.as_ref());
    for entry in compiled.flat_map(|compiled| compiled.names.entries()) {
        let Some(question) = entry.question() else {
            continue;
        };
        let entries = asked.entry(question.clone()).or_default();
        if !holds(entries, entry) {
            entries.push(entry.clone());
        }
    }
    watched.retain(|question, _| asked.contains_key(question));
    for (question, entries) in asked {
        match watched.entry(question) {
            Slot::Occupied(known) => known.get().subject.serve(entries),
            Slot::Vacant(free) => {
                let subject = Arc::new(Subject::new(free.key().clone(), entries));
                let task = tokio::spawn(keep(subject.clone(), desk.clone(), settings.subscribe()));
                free.insert(Watched { subject, task });
            }
        }
    }
}

/// Asks again and again; never ends. Other settings are a reason to ask at once.
async fn keep(
    subject: Arc<Subject>,
    desk: Arc<Desk>,
    mut settings: watch::Receiver<Arc<Ocsp>>,
) -> Infallible {
    let mut failures = 0;
    // Whether the latest failure, if it is one, was a verdict.
    let mut trouble = None;
    loop {
        let ocsp = settings.borrow_and_update().clone();
        // Boxed: there may be thousands of these tasks, nearly all of them asleep.
        let outcome = Box::pin(desk.ask(&subject.question, &ocsp)).await;
        let wait = match outcome {
            Ok(staple) => {
                let wait = refresh(staple.until.saturating_sub(now()));
                match trouble.take() {
                    Some(_) => info!(certificate = %subject, "OCSP response is stapled again"),
                    None => debug!(certificate = %subject, next = ?wait, "OCSP response is stapled"),
                }
                subject.staple(Some(staple));
                failures = 0;
                wait
            }
            Err(failure) => {
                let responder = &subject.question.responder;
                if trouble != Some(failure.is_verdict()) {
                    warn!(certificate = %subject, %responder, error = %failure, "no OCSP response to staple");
                } else {
                    debug!(certificate = %subject, %responder, error = %failure, "still no OCSP response");
                }
                trouble = Some(failure.is_verdict());
                if failure.is_verdict() {
                    subject.staple(None);
                }
                failures += 1;
                backoff(failures)
            }
        };
        let early = 1.0 - JITTER * rand::rng().random::<f64>();
        subject.rest(wait.mul_f64(early), &mut settings).await;
    }
}

/// How long an answer is used that holds for `left`.
fn refresh(left: Duration) -> Duration {
    (left / 2).clamp(SHORTEST_WAIT, LONGEST_WAIT)
}

/// The wait after so many failures in a row.
fn backoff(failures: u32) -> Duration {
    (FIRST_BACKOFF * (1 << failures.saturating_sub(1).min(8))).min(LONGEST_BACKOFF)
}

/// Since 1970.
fn now() -> Duration {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    since.unwrap_or_default()
}

impl Failure {
    fn is_verdict(&self) -> bool {
        matches!(self, Self::Response(unusable) if unusable.is_verdict())
    }
}

impl Desk {
    async fn ask(&self, question: &Question, ocsp: &Ocsp) -> Result<Staple, Failure> {
        let _permit = self.permits.acquire().await;
        let outcome = async {
            let response = self.responders.ask(question, ocsp).await?;
            let algorithms = provider().signature_verification_algorithms;
            let until = judge(&response, question, now(), &algorithms)?;
            Ok(Staple { response, until })
        };
        let outcome = outcome.await;
        match &outcome {
            Ok(_) => self.counters.stapled.fetch_add(1, Relaxed),
            Err(_) => self.counters.failed.fetch_add(1, Relaxed),
        };
        outcome
    }
}

impl Subject {
    fn new(question: Arc<Question>, entries: Vec<Arc<Entry>>) -> Self {
        let state = State {
            entries,
            staple: None,
        };
        Self {
            question,
            state: Mutex::new(state),
        }
    }

    /// Replaces the certificates that the answer is for.
    fn serve(&self, entries: Vec<Arc<Entry>>) {
        let mut state = self.state.lock();
        let response = state.staple.as_ref().map(|staple| &staple.response);
        for gone in state.entries.iter().filter(|entry| !holds(&entries, entry)) {
            gone.staple(None);
        }
        for new in entries.iter().filter(|entry| !holds(&state.entries, entry)) {
            new.staple(response);
        }
        state.entries = entries;
    }

    /// Shows another response, or none.
    fn staple(&self, staple: Option<Staple>) {
        let mut state = self.state.lock();
        for entry in &state.entries {
            entry.staple(staple.as_ref().map(|staple| &staple.response));
        }
        state.staple = staple;
    }

    /// Waits, or until there are other settings; takes the response away when it
    /// has ended.
    async fn rest(&self, wait: Duration, settings: &mut watch::Receiver<Arc<Ocsp>>) {
        let end = now() + wait;
        loop {
            let now = now();
            let until = self.state.lock().staple.as_ref().map(|staple| staple.until);
            if until.is_some_and(|until| until <= now) {
                warn!(certificate = %self, "the OCSP response has expired and is not stapled any more");
                self.staple(None);
                continue;
            }
            // Further away than it was: the clock has been set back.
            if end <= now || end > now + wait {
                return;
            }
            let next = until.unwrap_or(end).min(end);
            tokio::select! {
                () = tokio::time::sleep((next - now).min(LOOK)) => {}
                Ok(()) = settings.changed() => return,
            }
        }
    }
}

/// The Secrets that the certificate comes from.
impl std::fmt::Display for Subject {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let state = self.state.lock();
        for (at, entry) in state.entries.iter().enumerate() {
            let before = &state.entries[..at];
            if before.iter().any(|known| known.spec.origin == entry.spec.origin) {
                continue;
            }
            let comma = if at == 0 { "" } else { ", " };
            write!(f, "{comma}{}", entry.spec.origin)?;
        }
        Ok(())
    }
}

impl Drop for Watched {
    fn drop(&mut self) {
        self.task.abort();
        self.subject.serve(Vec::new());
    }
}

fn holds(entries: &[Arc<Entry>], wanted: &Arc<Entry>) -> bool {
    entries.iter().any(|entry| Arc::ptr_eq(entry, wanted))
}

impl Entry {
    /// `None`: nobody is asked about it; the log says so where somebody should.
    fn question(&self) -> Option<&Arc<Question>> {
        let look = || match Question::about(&self.spec.chain) {
            Ok(question) => question.map(Arc::new),
            Err(error) => {
                warn!(certificate = %self.spec.origin, %error, "no OCSP response can be asked for");
                None
            }
        };
        self.question.get_or_init(look).as_ref()
    }

    /// Is shown with this response from now on, or without one.
    fn staple(&self, response: Option<&Vec<u8>>) {
        let key = self.key.load_full();
        if key.ocsp.as_ref() != response {
            let mut key = CertifiedKey::clone(&key);
            key.ocsp = response.cloned();
            self.key.store(Arc::new(key));
        }
    }
}

#[cfg(test)]
mod tests;
