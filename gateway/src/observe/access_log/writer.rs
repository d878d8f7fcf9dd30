//! The thread that formats and writes: one `write` for as many records as are
//! waiting, at once when there is only one.

use std::fs::File;
use std::io::{self, Stdout, Write};
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::sync::mpsc::{Receiver, SyncSender};
use std::time::{Duration, Instant};

use super::{Format, Record, open};

/// A batch is written when it is this long, even if more is waiting.
const BATCH: usize = 64 * 1024;

/// How often a file's path is compared with the open file.
const ROTATION_CHECK: Duration = Duration::from_secs(1);

/// What the writer is sent.
pub(super) enum Message {
    Record(Box<Record>),
    /// Answered when everything before it is written.
    Flush(SyncSender<()>),
}

/// Something to write to that may have to be opened again.
pub(super) trait Reopen: Write {
    /// Opens `path` again if the file there is another one now.
    fn reopen(&mut self, path: &Path) -> io::Result<()>;
}

impl Reopen for File {
    fn reopen(&mut self, path: &Path) -> io::Result<()> {
        let ours = self.metadata()?;
        let same = std::fs::metadata(path)
            .is_ok_and(|current| current.ino() == ours.ino() && current.dev() == ours.dev());
        if !same {
            *self = open(path)?;
        }
        Ok(())
    }
}

impl Reopen for Stdout {
    fn reopen(&mut self, _: &Path) -> io::Result<()> {
        Ok(())
    }
}

impl Reopen for Box<dyn Write + Send> {
    fn reopen(&mut self, _: &Path) -> io::Result<()> {
        Ok(())
    }
}

/// Writes until the last sender is gone.
pub(super) fn run(
    messages: &Receiver<Message>,
    format: &Format,
    mut output: impl Reopen,
    path: Option<&Path>,
) {
    let mut batch = Vec::with_capacity(BATCH);
    let mut failing = false;
    let mut checked = Instant::now();
    while let Ok(first) = messages.recv() {
        let mut flushed = Vec::new();
        let mut next = Some(first);
        while let Some(message) = next {
            match message {
                Message::Record(record) => format.write(&record, &mut batch),
                Message::Flush(done) => flushed.push(done),
            }
            next = if batch.len() < BATCH {
                messages.try_recv().ok()
            } else {
                None
            };
        }
        if let Some(path) = path
            && checked.elapsed() >= ROTATION_CHECK
        {
            checked = Instant::now();
            report(&mut failing, output.reopen(path));
        }
        report(
            &mut failing,
            output.write_all(&batch).and_then(|()| output.flush()),
        );
        batch.clear();
        // A single monstrous line must not be paid for ever after.
        batch.shrink_to(2 * BATCH);
        for done in flushed {
            let _ = done.try_send(());
        }
    }
}

/// Logs the first of a row of failures, and the recovery.
fn report(failing: &mut bool, result: io::Result<()>) {
    match &result {
        Err(error) if !*failing => tracing::error!(%error, "access log not written"),
        Ok(()) if *failing => tracing::info!("access log written again"),
        _ => {}
    }
    *failing = result.is_err();
}
