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
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::mpsc::{SyncSender, TrySendError, sync_channel};
use std::time::Duration;

pub use format::Format;
pub use record::{Attempt, Record};
use writer::Message;

/// Records that may wait for the writer: about half a second at 30,000 requests
/// a second, under 16 MiB.
const QUEUE: usize = 16 * 1024;

/// Where lines go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Output {
    /// Standard output.
    Stdout,
    /// Appended to a file, created if missing, and opened again when it was
    /// moved away (log rotation).
    File(PathBuf),
}

/// The access log as the proxy sees it.
pub struct AccessLog {
    queue: Option<SyncSender<Message>>,
    dropped: AtomicU64,
}

impl AccessLog {
    /// No access log.
    pub fn off() -> Self {
        Self {
            queue: None,
            dropped: AtomicU64::new(0),
        }
    }

    /// Starts the writer's thread.
    ///
    /// # Errors
    /// The file cannot be opened for appending, or no thread can be started.
    pub fn start(format: Format, output: &Output) -> io::Result<Self> {
        match output {
            Output::Stdout => Self::spawn(format, io::stdout(), None),
            Output::File(path) => Self::spawn(format, open(path)?, Some(path.clone())),
        }
    }

    /// An access log that is written to `output`: for tests.
    ///
    /// # Errors
    /// No thread can be started.
    pub fn to_writer(format: Format, output: impl Write + Send + 'static) -> io::Result<Self> {
        Self::spawn(format, Box::new(output) as Box<dyn Write + Send>, None)
    }

    fn spawn<W: writer::Reopen + Send + 'static>(
        format: Format,
        output: W,
        path: Option<PathBuf>,
    ) -> io::Result<Self> {
        let (queue, records) = sync_channel(QUEUE);
        std::thread::Builder::new()
            .name("access-log".to_owned())
            .spawn(move || writer::run(&records, format, output, path.as_deref()))?;
        Ok(Self {
            queue: Some(queue),
            dropped: AtomicU64::new(0),
        })
    }

    /// Whether a [`Record`] is worth making.
    pub fn enabled(&self) -> bool {
        self.queue.is_some()
    }

    /// Hands a record over; never waits.
    pub fn log(&self, record: Box<Record>) {
        let Some(queue) = &self.queue else {
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
        let Some(queue) = &self.queue else {
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

fn open(path: &Path) -> io::Result<std::fs::File> {
    OpenOptions::new().create(true).append(true).open(path)
}

#[cfg(test)]
mod tests;
