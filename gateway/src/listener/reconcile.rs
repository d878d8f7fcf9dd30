//! Bringing the bound ports to what a snapshot wants.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::net::SocketAddr;
use std::sync::{Arc, Weak};
use std::time::Duration;

use parking_lot::Mutex;
use pingora_core::apps::ServerApp;
use tidegate_snapshot::{Listener, ListenerKey, ListenerProtocol};
use tracing::{info, warn};

use super::accept::{Census, Core, Port};
use super::counters::Counters;
use super::drain::{Drain, Level};
use super::{Limits, Live, Refusal, Serving, socket};
use crate::observe::access_log::AccessLog;
use crate::runtime::Table;

/// The first retry of a failed bind comes soon: the usual reason is another
/// port of ours that is just being closed.
const FIRST_RETRY: Duration = Duration::from_millis(20);
const MAX_RETRY: Duration = Duration::from_secs(10);
/// For connections that were cut off to notice.
const CUT_OFF_WAIT: Duration = Duration::from_secs(1);

/// The listeners of one gateway. Dropping it closes its ports; connections end
/// by themselves.
pub struct Listeners<A> {
    inner: Arc<Inner<A>>,
}

struct Inner<A> {
    core: Arc<Core<A>>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    slots: BTreeMap<ListenerKey, Slot>,
    /// Removed listeners that may still have connections.
    removed: Vec<Weak<Live>>,
    draining: bool,
    retrying: bool,
}

/// Where a socket is bound: TCP and UDP have each their own ports.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Place {
    address: SocketAddr,
    datagrams: bool,
}

impl Place {
    fn of(listener: &Listener) -> Self {
        Self {
            address: listener.address,
            datagrams: listener.protocol == ListenerProtocol::Udp,
        }
    }
}

/// A wanted listener.
struct Slot {
    live: Arc<Live>,
    /// What to bind.
    wanted: Place,
    port: Option<Port>,
    error: Option<String>,
}

impl<A> Listeners<A>
where
    A: ServerApp + Send + Sync + 'static,
{
    /// No listeners yet; connections of all will be given to `app`. What that
    /// writes while no request is in flight is Pingora's own answer to a bad
    /// head: `refusal`, if there is one, is written in its place. Streams leave
    /// their lines in `log`.
    pub fn new(
        app: Arc<A>,
        limits: Limits,
        counters: Arc<Counters>,
        log: Arc<AccessLog>,
        refusal: Option<Refusal>,
    ) -> Self {
        Self {
            inner: Arc::new(Inner {
                core: Arc::new(Core {
                    app,
                    limits,
                    refusal,
                    census: Arc::new(Census::new(counters)),
                    log,
                }),
                state: Mutex::default(),
            }),
        }
    }

    /// Binds what is new, closes what is gone and gives what stays its new
    /// settings and table; these hold for new connections and, as for the
    /// table, for the next requests of existing ones. A listener that cannot be
    /// bound says so in [`Listeners::statuses`], is tried again in the
    /// background and concerns no other.
    ///
    /// Must be called within a tokio runtime. After [`Listeners::drain`] has
    /// begun, ports no longer come and go.
    pub fn apply(&self, wanted: Vec<(ListenerKey, Arc<Listener>, Arc<Table>)>) {
        let mut state = self.inner.state.lock();
        if state.draining {
            state.serve(wanted, &mut HashMap::new());
            return;
        }
        let removed = state.remove_all_but(&wanted);
        let mut orphans = HashMap::new();
        for slot in removed {
            self.inner.retire(&mut state, &slot.live);
            if let Some(port) = slot.port {
                orphans.insert(slot.wanted, port);
            }
        }
        state.serve(wanted, &mut orphans);
        state.bind(&self.inner.core, &mut orphans);
        for (Place { address, .. }, port) in orphans {
            info!(%address, "listener unbound");
            port.close();
        }
        self.inner.retry_later(&mut state);
    }

    /// For each wanted listener the address that it is bound to, or why it is
    /// not.
    pub fn statuses(&self) -> Vec<(ListenerKey, Result<SocketAddr, String>)> {
        let state = self.inner.state.lock();
        let status = |slot: &Slot| match (&slot.port, &slot.error) {
            (Some(port), _) => Ok(port.local),
            (None, Some(error)) => Err(error.clone()),
            (None, None) => Err("closed".to_owned()),
        };
        state
            .slots
            .iter()
            .map(|(key, slot)| (Arc::clone(key), status(slot)))
            .collect()
    }

    /// Connections open now.
    pub fn connections(&self) -> usize {
        self.inner.core.census.active()
    }

    /// Ends all connections as `drain` says and resolves when the last one is
    /// gone; the answer is how many had to be cut off. Begins at the first poll.
    pub fn drain(&self, drain: Drain) -> impl Future<Output = usize> + Send + 'static {
        let inner = Arc::clone(&self.inner);
        async move { inner.drain(drain).await }
    }
}

impl State {
    /// Takes out the listeners that are no longer wanted.
    fn remove_all_but(&mut self, wanted: &[(ListenerKey, Arc<Listener>, Arc<Table>)]) -> Vec<Slot> {
        let keys: HashSet<&ListenerKey> = wanted.iter().map(|(key, ..)| key).collect();
        self.slots
            .extract_if(.., |key, _| !keys.contains(key))
            .map(|(_, slot)| slot)
            .collect()
    }

    /// Stores the new settings. The socket of a changed address becomes an
    /// orphan, which another listener may take over.
    fn serve(
        &mut self,
        wanted: Vec<(ListenerKey, Arc<Listener>, Arc<Table>)>,
        orphans: &mut HashMap<Place, Port>,
    ) {
        for (key, spec, table) in wanted {
            let place = Place::of(&spec);
            let serving = Serving { spec, table };
            match self.slots.get_mut(&key) {
                Some(slot) => {
                    slot.live.serving.store(Arc::new(serving));
                    if slot.wanted != place && !self.draining {
                        slot.error = None;
                        if let Some(port) = slot.port.take() {
                            orphans.insert(slot.wanted, port);
                        }
                        slot.wanted = place;
                    }
                }
                None if self.draining => {}
                None => {
                    let slot = Slot {
                        live: Live::new(Arc::clone(&key), serving),
                        wanted: place,
                        port: None,
                        error: None,
                    };
                    self.slots.insert(key, slot);
                }
            }
        }
    }

    /// Binds what has no socket; a socket on the same address is taken over
    /// with all that waits in its queue.
    fn bind<A>(&mut self, core: &Arc<Core<A>>, orphans: &mut HashMap<Place, Port>)
    where
        A: ServerApp + Send + Sync + 'static,
    {
        for (key, slot) in &mut self.slots {
            if slot.port.is_some() {
                continue;
            }
            if slot.wanted.address.port() != 0
                && let Some(port) = orphans.remove(&slot.wanted)
            {
                port.hand_to(Arc::clone(&slot.live));
                slot.port = Some(port);
                continue;
            }
            let Place { address, datagrams } = slot.wanted;
            let bound = if datagrams {
                socket::bind_datagrams(address)
                    .and_then(|socket| Port::open_datagrams(socket, Arc::clone(&slot.live), core))
            } else {
                socket::bind(address).and_then(|listener| Port::open(listener, Arc::clone(&slot.live), core))
            };
            match bound {
                Ok(port) => {
                    info!(listener = %key, address = %port.local, "listener bound");
                    slot.port = Some(port);
                    slot.error = None;
                }
                Err(error) => {
                    let error = format!("cannot bind {address}: {error}");
                    if slot.error.as_ref() != Some(&error) {
                        warn!(listener = %key, %error, "listener not bound");
                    }
                    slot.error = Some(error);
                }
            }
        }
    }

    fn complete(&self) -> bool {
        self.slots.values().all(|slot| slot.port.is_some())
    }

    /// Every listener that may have connections.
    fn lives(&mut self) -> Vec<Arc<Live>> {
        self.removed.retain(|live| live.strong_count() > 0);
        let removed = self.removed.iter().filter_map(Weak::upgrade);
        self.slots
            .values()
            .map(|slot| Arc::clone(&slot.live))
            .chain(removed)
            .collect()
    }
}

impl<A> Inner<A>
where
    A: ServerApp + Send + Sync + 'static,
{
    /// Ends the idle connections of a removed listener; what is in flight, such
    /// as a WebSocket, may go on.
    fn retire(&self, state: &mut State, live: &Arc<Live>) {
        live.drain.raise(Level::Draining);
        state.removed.retain(|live| live.strong_count() > 0);
        state.removed.push(Arc::downgrade(live));
        let (live, idle) = (Arc::downgrade(live), self.core.limits.removed_idle);
        tokio::spawn(async move {
            tokio::time::sleep(idle).await;
            if let Some(live) = live.upgrade() {
                live.drain.raise(Level::CloseIdle);
            }
        });
    }

    /// Tries again in the background until everything is bound.
    fn retry_later(self: &Arc<Self>, state: &mut State) {
        if state.complete() || state.retrying {
            return;
        }
        state.retrying = true;
        let inner = Arc::downgrade(self);
        tokio::spawn(async move {
            let mut pause = FIRST_RETRY;
            loop {
                tokio::time::sleep(pause).await;
                pause = (pause * 2).min(MAX_RETRY);
                let Some(inner) = inner.upgrade() else { return };
                let mut state = inner.state.lock();
                if !state.draining {
                    state.bind(&inner.core, &mut HashMap::new());
                }
                if state.draining || state.complete() {
                    state.retrying = false;
                    return;
                }
            }
        });
    }

    fn raise(&self, level: Level) {
        for live in self.state.lock().lives() {
            live.drain.raise(level);
        }
    }

    async fn drain(&self, drain: Drain) -> usize {
        self.state.lock().draining = true;
        self.raise(Level::Draining);
        info!(connections = self.core.census.active(), "draining");
        tokio::time::sleep(drain.delay).await;
        let ports: Vec<Port> = {
            let mut state = self.state.lock();
            state
                .slots
                .values_mut()
                .filter_map(|slot| slot.port.take())
                .collect()
        };
        for accept_loop in ports.into_iter().flat_map(Port::close) {
            let _ = accept_loop.await;
        }
        let finished = async {
            let _ = tokio::time::timeout(drain.idle, self.core.census.empty()).await;
            self.raise(Level::CloseIdle);
            self.core.census.empty().await;
        };
        let finished = tokio::time::timeout(drain.grace, finished).await;
        // Not before: Pingora then also drops connections in the middle of a
        // request's head.
        self.core.app.cleanup().await;
        if finished.is_ok() {
            info!("drained");
            return 0;
        }
        let left = self.core.census.active();
        warn!(connections = left, "grace period is over, connections cut off");
        self.raise(Level::CutOff);
        let _ = tokio::time::timeout(CUT_OFF_WAIT, self.core.census.empty()).await;
        left
    }
}
