//! Objects from a directory (or one file) of YAML, followed as it changes. The
//! unit of failure is the document: what cannot be read is reported with file
//! and line, and what it described before stays.

mod directory;
#[cfg(test)]
mod tests;

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use notify::event::{AccessKind, AccessMode};
use notify::{EventKind, RecommendedWatcher, RecursiveMode, Watcher};
use tidegate_snapshot::Problem;
use tokio::sync::mpsc;
use tracing::{debug, info, warn};

use super::{ObjectChange, ProviderEvent, Update};
use crate::objects::Object;
use directory::{Directory, Pass};

/// Editors and tools write in several steps: a pass waits for this much quiet,
const QUIET: Duration = Duration::from_millis(50);
/// but not longer than this.
const CEILING: Duration = Duration::from_millis(500);
/// Without any notification the directory is compared this often: network
/// file systems notify of nothing.
const POLL: Duration = Duration::from_secs(2);

/// Reads everything once: for `check` and `explain`. Of an object that several
/// files have, the first file by name counts.
pub fn load(root: &Path) -> (Vec<Object>, Vec<Problem>) {
    let pass = Directory::new(root.to_owned()).pass();
    let objects = pass.changes.into_iter().filter_map(|change| match change {
        ObjectChange::Apply(object) => Some(object),
        ObjectChange::Delete(..) => None,
    });
    (objects.collect(), pass.problems)
}

/// Follows `root` until nobody listens any more.
pub(crate) async fn run(root: PathBuf, events: mpsc::Sender<ProviderEvent>) {
    let (dirty, mut notified) = mpsc::channel(1);
    // Before the first pass, so that no change falls between. Dropping it ends it.
    let _watcher = watch(&root, dirty.clone());
    let mut directory = Directory::new(root.clone());
    let mut first = true;
    let mut arrived = Instant::now();
    loop {
        let pass;
        (directory, pass) = match tokio::task::spawn_blocking(move || {
            let pass = directory.pass();
            (directory, pass)
        })
        .await
        {
            Ok(done) => done,
            // Only when the runtime is shutting down.
            Err(_) => return,
        };
        if send(&events, pass, arrived, first).await.is_err() {
            return;
        }
        if std::mem::take(&mut first) {
            info!(directory = %root.display(), "directory loaded");
        }
        tokio::select! {
            () = events.closed() => return,
            () = tokio::time::sleep(POLL) => arrived = Instant::now(),
            _ = notified.recv() => {
                arrived = Instant::now();
                quiet(&mut notified, arrived).await;
            }
        }
    }
}

/// Waits for the end of a burst of notifications.
async fn quiet(notified: &mut mpsc::Receiver<()>, since: Instant) {
    while since.elapsed() < CEILING {
        if tokio::time::timeout(QUIET, notified.recv()).await.is_err() {
            return;
        }
    }
}

async fn send(
    events: &mpsc::Sender<ProviderEvent>,
    pass: Pass,
    arrived: Instant,
    first: bool,
) -> Result<(), mpsc::error::SendError<ProviderEvent>> {
    if !pass.changes.is_empty() {
        debug!(changes = pass.changes.len(), "files changed");
        let update = Update::Changes(pass.changes);
        events.send(ProviderEvent { arrived, update }).await?;
    }
    if pass.problems_changed {
        let update = Update::Problems(pass.problems);
        events.send(ProviderEvent { arrived, update }).await?;
    }
    if first {
        let update = Update::Synced;
        events.send(ProviderEvent { arrived, update }).await?;
    }
    Ok(())
}

/// Starts notifications; without them polling alone has to do.
fn watch(root: &Path, dirty: mpsc::Sender<()>) -> Option<RecommendedWatcher> {
    let notify = move |event: notify::Result<notify::Event>| {
        if event.is_ok_and(|event| !is_reading(event.kind)) {
            // Full: a pass is due already.
            let _ = dirty.try_send(());
        }
    };
    let (path, mode) = if root.is_dir() {
        (root, RecursiveMode::Recursive)
    } else {
        // A file is often replaced rather than written: its directory tells.
        let parent = root.parent().filter(|parent| !parent.as_os_str().is_empty());
        (parent.unwrap_or(Path::new(".")), RecursiveMode::NonRecursive)
    };
    let started = notify::recommended_watcher(notify).and_then(|mut watcher| {
        watcher.watch(path, mode)?;
        Ok(watcher)
    });
    match started {
        Ok(watcher) => Some(watcher),
        Err(error) => {
            warn!(path = %path.display(), %error, every = ?POLL, "no file notifications, polling instead");
            None
        }
    }
}

/// Our own passes open and read files: that is no change.
fn is_reading(kind: EventKind) -> bool {
    matches!(kind, EventKind::Access(access) if access != AccessKind::Close(AccessMode::Write))
}
