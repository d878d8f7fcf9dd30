//! Lines on their way from the requests' threads to the writer's. A line is
//! copied under a lock that is never held for longer than that; nobody waits for
//! the log's reader.

use std::io;
use std::sync::Arc;
use std::sync::mpsc::SyncSender;
use std::time::Duration;

use parking_lot::{Condvar, Mutex};

/// Bytes that may wait for the writer: about two seconds at 30,000 requests a
/// second.
pub(super) const MOST: usize = 16 * 1024 * 1024;
/// The writer rests so long after each batch. A thread woken for every line
/// costs as much as the request; so many lines share it.
const REST: Duration = Duration::from_millis(10);
/// Room that is kept for the next batch.
const KEPT: usize = 256 * 1024;

/// The requests' end. The writer ends when it is dropped, after all lines.
pub(super) struct Sender(Arc<Queue>);

/// The writer's end.
pub(super) struct Receiver {
    queue: Arc<Queue>,
    batch: Batch,
}

/// What is to be written at once.
#[derive(Default)]
pub(super) struct Batch {
    /// Whole lines.
    pub(super) lines: Vec<u8>,
    /// To be told when they are written.
    pub(super) flushed: Vec<SyncSender<()>>,
}

#[derive(Default)]
struct Queue {
    state: Mutex<State>,
    something: Condvar,
}

#[derive(Default)]
struct State {
    waiting: Batch,
    /// The writer sleeps until a line comes.
    idle: bool,
    closed: bool,
}

/// There is no room for a line.
#[derive(Debug)]
pub(super) struct Full;

/// Both ends of a new queue.
pub(super) fn channel() -> (Sender, Receiver) {
    let queue = Arc::new(Queue::default());
    let receiver = Receiver {
        queue: Arc::clone(&queue),
        batch: Batch::default(),
    };
    (Sender(queue), receiver)
}

impl Sender {
    /// Hands a line over.
    ///
    /// # Errors
    /// Too much waits already.
    pub(super) fn send(&self, line: &[u8]) -> Result<(), Full> {
        let mut state = self.0.state.lock();
        let lines = &mut state.waiting.lines;
        if lines.len() + line.len() > MOST {
            return Err(Full);
        }
        lines.extend_from_slice(line);
        if std::mem::take(&mut state.idle) {
            self.0.something.notify_one();
        }
        Ok(())
    }

    /// Has `done` told when everything sent before is written.
    pub(super) fn flush(&self, done: SyncSender<()>) {
        self.0.state.lock().waiting.flushed.push(done);
        self.0.something.notify_one();
    }
}

impl Drop for Sender {
    fn drop(&mut self) {
        self.0.state.lock().closed = true;
        self.0.something.notify_one();
    }
}

impl Receiver {
    /// Hands every batch to `write`, until the sender is gone.
    pub(super) fn run(mut self, mut write: impl FnMut(&[u8]) -> io::Result<()>) {
        let queue = Arc::clone(&self.queue);
        while self.next() {
            // Reported by whoever writes; there is no other place to write to.
            let _ = write(&self.batch.lines);
            self.batch.lines.clear();
            self.batch.lines.shrink_to(KEPT);
            for done in self.batch.flushed.drain(..) {
                let _ = done.try_send(());
            }
            let mut state = queue.state.lock();
            if state.waiting.flushed.is_empty() && !state.closed {
                queue.something.wait_for(&mut state, REST);
            }
        }
    }

    /// Waits for the next batch; `false`: there will be none.
    fn next(&mut self) -> bool {
        let mut state = self.queue.state.lock();
        while state.waiting.lines.is_empty() && state.waiting.flushed.is_empty() {
            if state.closed {
                return false;
            }
            state.idle = true;
            self.queue.something.wait(&mut state);
            state.idle = false;
        }
        std::mem::swap(&mut state.waiting, &mut self.batch);
        true
    }
}
