//! The thread that writes: one `write` for as many lines as are waiting.

use std::fs::File;
use std::io::{self, Stdout, Write};
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::time::{Duration, Instant};

use super::open;
use super::queue::Receiver;

/// How often a file's path is compared with the open file.
const ROTATION_CHECK: Duration = Duration::from_secs(1);

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

/// Writes until the sender is gone.
pub(super) fn run(lines: Receiver, mut output: impl Reopen, path: Option<&Path>) {
    let mut failing = false;
    let mut checked = Instant::now();
    lines.run(|batch| {
        if let Some(path) = path
            && checked.elapsed() >= ROTATION_CHECK
        {
            checked = Instant::now();
            report(&mut failing, &output.reopen(path));
        }
        let result = output.write_all(batch).and_then(|()| output.flush());
        report(&mut failing, &result);
        result
    });
}

/// Logs the first of a row of failures, and the recovery.
fn report(failing: &mut bool, result: &io::Result<()>) {
    match result {
        Err(error) if !*failing => tracing::error!(%error, "access log not written"),
        Ok(()) if *failing => tracing::info!("access log written again"),
        _ => {}
    }
    *failing = result.is_err();
}
