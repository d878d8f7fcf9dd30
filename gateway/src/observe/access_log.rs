//! The access log. The proxy's logging phase makes a line of a [`Record`] at once,
//! in memory that its thread keeps; another thread writes lines in batches. The
//! queue between them is bounded: when the log's reader is too slow, lines are
//! dropped and counted, and no request ever waits. The end of a stream makes a
//! line of a [`StreamRecord`] in the same way.

mod format;
mod queue;
mod record;
mod stream_record;
mod syslog;
mod writer;

use std::cell::RefCell;
use std::fs::OpenOptions;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::mpsc::sync_channel;
use std::time::{Duration, Instant};

use arc_swap::{ArcSwap, ArcSwapOption};

pub use format::{Custom, Format, StreamFormat, Wanted};
use queue::Sender;
pub use record::{Attempt, Captured, Facts, Record};
pub use stream_record::{StreamAttempt, StreamRecord};
use tidegate_snapshot as snapshot;
use tidegate_snapshot::Pattern;
use tidegate_snapshot::access_log::LogOutput;

/// Room that a thread keeps for its next line.
const LONGEST_KEPT: usize = 16 * 1024;

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
    /// Datagrams to a syslog server.
    Syslog {
        /// Its name or address.
        host: String,
        /// Its UDP port.
        port: u16,
    },
}

/// The access log as the proxy sees it.
pub struct AccessLog {
    active: ArcSwap<Active>,
    /// Lines of streams; `None`: there are none.
    streams: ArcSwapOption<Lines<StreamFormat>>,
    /// What the process was started with; `None`: off.
    base: Option<(Format, Output)>,
    dropped: Arc<AtomicU64>,
}

/// What is logged at the moment, and where to.
struct Active {
    lines: Option<Lines<Format>>,
    wanted: Wanted,
    skip: Vec<Pattern>,
    default_backend: bool,
    questions: bool,
}

/// How lines are made, and where they go.
#[derive(Clone)]
struct Lines<F> {
    format: F,
    /// Lines of requests and of streams for one place have one writer.
    to: Arc<Sender>,
}

impl AccessLog {
    /// No access log, unless a snapshot describes one.
    pub fn off() -> Self {
        Self::with(None, None, Arc::default())
    }

    /// Starts the writer's thread.
    ///
    /// # Errors
    /// The file cannot be opened for appending, or no thread can be started.
    pub fn start(format: Format, output: &Output) -> io::Result<Self> {
        let dropped = Arc::default();
        let to = Arc::new(writer(output, &dropped)?);
        let base = Some((format.clone(), output.clone()));
        Ok(Self::with(base, Some(Lines { format, to }), dropped))
    }

    /// An access log that is written to `output`: for tests.
    ///
    /// # Errors
    /// No thread can be started.
    pub fn to_writer(format: Format, output: impl Write + Send + 'static) -> io::Result<Self> {
        let output: Box<dyn Write + Send> = Box::new(output);
        let to = Arc::new(spawn(output, None)?);
        Ok(Self::with(None, Some(Lines { format, to }), Arc::default()))
    }

    fn with(base: Option<(Format, Output)>, lines: Option<Lines<Format>>, dropped: Arc<AtomicU64>) -> Self {
        let streams = lines.as_ref().map(|lines| Lines {
            format: StreamFormat::beside(&lines.format),
            to: Arc::clone(&lines.to),
        });
        Self {
            streams: ArcSwapOption::from_pointee(streams),
            active: ArcSwap::from_pointee(Active {
                lines,
                wanted: Wanted::default(),
                skip: Vec::new(),
                default_backend: true,
                questions: false,
            }),
            base,
            dropped,
        }
    }

    /// Takes what a snapshot says over what the process was started with. A
    /// file that cannot be opened is warned about, and its lines go where they
    /// went.
    pub fn configure(&self, spec: &snapshot::AccessLog) {
        let custom = spec.format.as_ref().map(Custom::new);
        let wanted = custom.as_ref().map(|custom| custom.wanted.clone());
        let format = match (custom, &self.base) {
            (Some(custom), _) => Some(Format::Custom(Box::new(custom))),
            (None, base) => base.as_ref().map(|(format, _)| format.clone()),
        };
        let stream_format = match (&spec.streams.format, &self.base) {
            (Some(format), _) => Some(StreamFormat::Custom(format.clone())),
            (None, base) => base.as_ref().map(|(format, _)| StreamFormat::beside(format)),
        };
        let mut opened = Vec::new();
        let lines = self.open(&mut opened, spec.off, format, spec.output.as_ref());
        let streams = &spec.streams;
        let stream_lines = self.open(&mut opened, streams.off, stream_format, streams.output.as_ref());
        // A replaced writer ends when it has written what it has.
        if let Some(lines) = lines {
            self.active.store(Arc::new(Active {
                lines,
                wanted: wanted.unwrap_or_default(),
                skip: spec.skip.clone(),
                default_backend: spec.default_backend,
                questions: spec.questions,
            }));
        }
        if let Some(lines) = stream_lines {
            self.streams.store(lines.map(Arc::new));
        }
    }

    /// Lines of this format, unless they are off; where no output is named they
    /// go where the process's own do. `None`: it cannot be opened.
    fn open<F>(
        &self,
        opened: &mut Vec<(Output, Arc<Sender>)>,
        off: bool,
        format: Option<F>,
        output: Option<&LogOutput>,
    ) -> Option<Option<Lines<F>>> {
        let Some(format) = format.filter(|_| !off) else {
            return Some(None);
        };
        let base = self.base.as_ref().map(|(_, output)| output.clone());
        let output = output.map(Output::from).or(base).unwrap_or(Output::Stdout);
        let known = opened.iter().find(|(other, _)| *other == output);
        let to = match known {
            Some((_, known)) => Arc::clone(known),
            None => match writer(&output, &self.dropped) {
                Ok(sender) => Arc::new(sender),
                Err(error) => {
                    tracing::error!(%error, ?output, "access log not opened: it goes on as it was");
                    return None;
                }
            },
        };
        opened.push((output, Arc::clone(&to)));
        Some(Some(Lines { format, to }))
    }

    /// Whether a [`Record`] is worth making.
    pub fn enabled(&self) -> bool {
        self.active.load().lines.is_some()
    }

    /// Whether a request is logged: one for the default backend, or not, with
    /// this target.
    pub fn takes(&self, default_backend: bool, uri: &[u8]) -> bool {
        let active = self.active.load();
        let skipped = || {
            let uri = std::str::from_utf8(uri).unwrap_or_default();
            active.skip.iter().any(|pattern| pattern.is_match(uri))
        };
        active.lines.is_some()
            && (active.default_backend || !default_backend)
            && (active.skip.is_empty() || !skipped())
    }

    /// Whether a [`StreamRecord`] is worth making.
    pub fn takes_streams(&self) -> bool {
        self.streams.load().is_some()
    }

    /// Whether questions to authentication services leave lines of their own.
    pub fn takes_questions(&self) -> bool {
        let active = self.active.load();
        active.questions && active.lines.is_some()
    }

    /// What the format asks of records besides what they always hold.
    pub fn wanted<T>(&self, ask: impl FnOnce(&Wanted) -> T) -> T {
        ask(&self.active.load().wanted)
    }

    /// Whether the format asks for what only Pingora's path knows.
    pub(crate) fn wants_more(&self) -> bool {
        self.wanted(|wanted| wanted.connection || !wanted.sent.is_empty() || !wanted.upstream.is_empty())
    }

    /// Hands a record's line over; never waits for the reader.
    pub fn log(&self, record: &Record) {
        if let Some(lines) = &self.active.load().lines {
            self.hand_over(&lines.to, |line| lines.format.write(record, line));
        }
    }

    /// The same for a stream.
    pub fn log_stream(&self, record: &StreamRecord) {
        if let Some(lines) = &*self.streams.load() {
            self.hand_over(&lines.to, |line| lines.format.write(record, line));
        }
    }

    fn hand_over(&self, to: &Sender, write: impl FnOnce(&mut Vec<u8>)) {
        thread_local!(static LINE: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) });
        LINE.with_borrow_mut(|line| {
            line.clear();
            write(line);
            if to.send(line).is_err() {
                self.dropped.fetch_add(1, Relaxed);
            }
            // A single monstrous line must not be paid for ever after.
            line.shrink_to(LONGEST_KEPT);
        });
    }

    /// Records dropped so far because the writer was behind, or because a
    /// syslog server could not be sent to.
    pub fn dropped(&self) -> u64 {
        self.dropped.load(Relaxed)
    }

    /// Waits until everything handed over before is written, at most `limit`.
    /// Returns whether it is. Blocks: for shutdown and tests.
    pub fn flush(&self, limit: Duration) -> bool {
        let requests = self.active.load_full();
        let requests = requests.lines.as_ref().map(|lines| Arc::clone(&lines.to));
        let streams = self.streams.load_full().map(|lines| Arc::clone(&lines.to));
        let end = Instant::now() + limit;
        requests.into_iter().chain(streams).all(|to| {
            let (done, written) = sync_channel(1);
            to.flush(done);
            let left = end.saturating_duration_since(Instant::now());
            written.recv_timeout(left).is_ok()
        })
    }
}

impl From<&LogOutput> for Output {
    fn from(output: &LogOutput) -> Self {
        match output {
            LogOutput::Stdout => Self::Stdout,
            LogOutput::Stderr => Self::Stderr,
            LogOutput::File(path) => Self::File(path.clone()),
            LogOutput::Syslog { host, port } => Self::Syslog {
                host: host.clone(),
                port: *port,
            },
        }
    }
}

fn writer(output: &Output, dropped: &Arc<AtomicU64>) -> io::Result<Sender> {
    match output {
        Output::Stdout => spawn(io::stdout(), None),
        Output::Stderr => spawn(Box::new(io::stderr()) as Box<dyn Write + Send>, None),
        Output::File(path) => spawn(open(path)?, Some(path.clone())),
        Output::Syslog { host, port } => spawn(syslog::Syslog::new(host, *port, Arc::clone(dropped)), None),
    }
}

fn spawn<W: writer::Reopen + Send + 'static>(output: W, path: Option<PathBuf>) -> io::Result<Sender> {
    let (sender, lines) = queue::channel();
    std::thread::Builder::new()
        .name("access-log".to_owned())
        .spawn(move || writer::run(lines, output, path.as_deref()))?;
    Ok(sender)
}

fn open(path: &Path) -> io::Result<std::fs::File> {
    OpenOptions::new().create(true).append(true).open(path)
}

#[cfg(test)]
mod tests;
