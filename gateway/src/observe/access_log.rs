//! The access log. The proxy's logging phase hands over a [`Record`]; another
//! thread formats and writes it in batches. The queue between them is bounded:
//! when the log's reader is too slow, records are dropped and counted, and no
//! request ever waits.

mod format;
mod record;
mod writer;

use std::fs::OpenOptions;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::mpsc::{SyncSender, TrySendError, sync_channel};
use std::time::Duration;

use arc_swap::ArcSwap;

pub use format::{Custom, Format, Wanted};
pub use record::{Attempt, Captured, Facts, Record};
use tidegate_snapshot as snapshot;
use tidegate_snapshot::Pattern;
use tidegate_snapshot::access_log::LogOutput;
use writer::Message;

/// Records that may wait for the writer: about half a second at 30,000 requests
/// a second, under 16 MiB.
const QUEUE: usize = 16 * 1024;

/// Where lines go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Output {
    /// Standard output.
    Stdout,
    /// Standard error.
    Stderr,
    /// Appended to a file, created if missing, and opened again when it was
    /// moved away (log rotation).
    File(PathBuf),
}

/// The access log as the proxy sees it.
pub struct AccessLog {
    active: ArcSwap<Active>,
    /// What the process was started with; `None`: off.
    base: Option<(Format, Output)>,
    dropped: AtomicU64,
}

/// What is logged at the moment, and the writer's queue.
struct Active {
    queue: Option<SyncSender<Message>>,
    wanted: Wanted,
    skip: Vec<Pattern>,
    default_backend: bool,
}

impl AccessLog {
    /// No access log, unless a snapshot describes one.
    pub fn off() -> Self {
        Self::with(None, None)
    }

    /// Starts the writer's thread.
    ///
    /// # Errors
    /// The file cannot be opened for appending, or no thread can be started.
    pub fn start(format: Format, output: &Output) -> io::Result<Self> {
        let queue = writer(format.clone(), output)?;
        Ok(Self::with(Some((format, output.clone())), Some(queue)))
    }

    /// An access log that is written to `output`: for tests.
    ///
    /// # Errors
    /// No thread can be started.
    pub fn to_writer(format: Format, output: impl Write + Send + 'static) -> io::Result<Self> {
        let output: Box<dyn Write + Send> = Box::new(output);
        Ok(Self::with(None, Some(spawn(format, output, None)?)))
    }

    fn with(base: Option<(Format, Output)>, queue: Option<SyncSender<Message>>) -> Self {
        Self {
            active: ArcSwap::from_pointee(Active {
                queue,
                wanted: Wanted::default(),
                skip: Vec::new(),
                default_backend: true,
            }),
            base,
            dropped: AtomicU64::new(0),
        }
    }

    /// Takes what a snapshot says over what the process was started with. A
    /// file that cannot be opened is warned about, and lines go where they went.
    pub fn configure(&self, spec: &snapshot::AccessLog) {
        let custom = spec.format.as_ref().map(Custom::new);
        let wanted = custom.as_ref().map(|custom| custom.wanted.clone());
        let format = match (custom, &self.base) {
            (Some(custom), _) => Some(Format::Custom(Box::new(custom))),
            (None, Some((format, _))) => Some(format.clone()),
            (None, None) => None,
        };
        let output = match (&spec.output, &self.base) {
            (Some(LogOutput::Stdout), _) => Output::Stdout,
            (Some(LogOutput::Stderr), _) => Output::Stderr,
            (Some(LogOutput::File(path)), _) => Output::File(path.clone()),
            (None, Some((_, output))) => output.clone(),
            (None, None) => Output::Stdout,
        };
        let queue = match format {
            Some(format) if !spec.off => match writer(format, &output) {
                Ok(queue) => Some(queue),
                Err(error) => {
                    tracing::error!(%error, ?output, "access log not opened: it goes on as it was");
                    return;
                }
            },
            _ => None,
        };
        // The replaced writer ends when it has written what it has.
        self.active.store(Arc::new(Active {
            queue,
            wanted: wanted.unwrap_or_default(),
            skip: spec.skip.clone(),
            default_backend: spec.default_backend,
        }));
    }

    /// Whether a [`Record`] is worth making.
    pub fn enabled(&self) -> bool {
        self.active.load().queue.is_some()
    }

    /// Whether a request is logged: one for the default backend, or not, with
    /// this target.
    pub fn takes(&self, default_backend: bool, uri: &[u8]) -> bool {
        let active = self.active.load();
        let skipped = || {
            let uri = std::str::from_utf8(uri).unwrap_or_default();
            active.skip.iter().any(|pattern| pattern.is_match(uri))
        };
        active.queue.is_some()
            && (active.default_backend || !default_backend)
            && (active.skip.is_empty() || !skipped())
    }

    /// What the format asks of records besides what they always hold.
    pub fn wanted<T>(&self, ask: impl FnOnce(&Wanted) -> T) -> T {
        ask(&self.active.load().wanted)
    }

    /// Whether the format asks for what only Pingora's path knows.
    pub(crate) fn wants_more(&self) -> bool {
        self.wanted(|wanted| wanted.connection || !wanted.sent.is_empty() || !wanted.upstream.is_empty())
    }

    /// Hands a record over; never waits.
    pub fn log(&self, record: Box<Record>) {
        let active = self.active.load();
        let Some(queue) = &active.queue else {
            return;
        };
        if queue.try_send(Message::Record(record)).is_err() {
            self.dropped.fetch_add(1, Relaxed);
        }
    }

    /// Records dropped so far because the writer was behind.
    pub fn dropped(&self) -> u64 {
        self.dropped.load(Relaxed)
    }

    /// Waits until everything handed over before is written, at most `limit`.
    /// Returns whether it is. Blocks: for shutdown and tests.
    pub fn flush(&self, limit: Duration) -> bool {
        let active = self.active.load_full();
        let Some(queue) = &active.queue else {
            return true;
        };
        let (done, written) = sync_channel(1);
        let deadline = std::time::Instant::now() + limit;
        let mut message = Message::Flush(done);
        loop {
            match queue.try_send(message) {
                Ok(()) => break,
                Err(TrySendError::Full(back)) if std::time::Instant::now() < deadline => message = back,
                Err(_) => return false,
            }
            std::thread::sleep(Duration::from_millis(1));
        }
        let left = deadline.saturating_duration_since(std::time::Instant::now());
        written.recv_timeout(left).is_ok()
    }
}

fn writer(format: Format, output: &Output) -> io::Result<SyncSender<Message>> {
    match output {
        Output::Stdout => spawn(format, io::stdout(), None),
        Output::Stderr => spawn(format, Box::new(io::stderr()) as Box<dyn Write + Send>, None),
        Output::File(path) => spawn(format, open(path)?, Some(path.clone())),
    }
}

fn spawn<W: writer::Reopen + Send + 'static>(
    format: Format,
    output: W,
    path: Option<PathBuf>,
) -> io::Result<SyncSender<Message>> {
    let (queue, records) = sync_channel(QUEUE);
    std::thread::Builder::new()
        .name("access-log".to_owned())
        .spawn(move || writer::run(&records, &format, output, path.as_deref()))?;
    Ok(queue)
}

fn open(path: &Path) -> io::Result<std::fs::File> {
    OpenOptions::new().create(true).append(true).open(path)
}

#[cfg(test)]
mod tests;
