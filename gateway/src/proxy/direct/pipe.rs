//! Pipes that bodies go through from one connection to another without being
//! copied into this process and back (`splice(2)`).

use std::io;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};

use parking_lot::Mutex;
use tokio::io::Interest;
use tokio::net::TcpStream;

/// What one holds at most, in bytes. The kernel lets a user without privileges
/// have 64 MiB of this in all (`pipe-user-pages-soft`); a pipe that it will not make
/// as large is not used.
const CAPACITY: usize = 512 * 1024;
/// As many bodies at a time; the others are copied.
const MOST: usize = 64;
/// As many are kept for the next bodies.
const SPARE: usize = 8;

/// The pipes of all connections.
#[derive(Default)]
pub(super) struct Pipes {
    spare: Mutex<Vec<Ends>>,
    in_use: AtomicUsize,
    /// A sandbox does not let us do this: nobody needs to try again.
    unsupported: AtomicBool,
}

/// A pipe for one body.
pub(super) struct Pipe {
    pipes: Arc<Pipes>,
    /// `None` once it is given back.
    ends: Option<Ends>,
    /// Bytes in it.
    held: usize,
}

struct Ends {
    reader: OwnedFd,
    writer: OwnedFd,
}

impl Pipes {
    /// An empty one; `None` with too many in use, or when the kernel has none.
    pub(super) fn take(self: &Arc<Self>) -> Option<Pipe> {
        if self.unsupported.load(Relaxed) {
            return None;
        }
        // Counted first: what is not used is given back by dropping it.
        let earlier = self.in_use.fetch_add(1, Relaxed);
        let mut pipe = Pipe {
            pipes: Arc::clone(self),
            ends: None,
            held: 0,
        };
        if earlier >= MOST {
            return None;
        }
        let spare = self.spare.lock().pop();
        pipe.ends = Some(match spare {
            Some(ends) => ends,
            None => kernel::pipe(CAPACITY).ok()?,
        });
        Some(pipe)
    }
}

impl Drop for Pipe {
    fn drop(&mut self) {
        self.pipes.in_use.fetch_sub(1, Relaxed);
        if self.is_empty()
            && let Some(ends) = self.ends.take()
        {
            let mut spare = self.pipes.spare.lock();
            if spare.len() < SPARE {
                spare.push(ends);
            }
        }
    }
}

impl Pipe {
    pub(super) fn is_empty(&self) -> bool {
        self.held == 0
    }

    /// Takes at most `wanted` bytes out of a connection; 0: it has ended. For an
    /// empty pipe: else nobody knows whether it is the pipe that cannot go on.
    ///
    /// # Errors
    /// `WouldBlock`: nothing is there. `Unsupported`: the kernel does not do it, or a
    /// sandbox around us.
    pub(super) fn fill(&mut self, from: &TcpStream, wanted: u64) -> io::Result<usize> {
        let wanted = wanted.min(CAPACITY as u64) as usize;
        let ends = self.ends()?;
        let came = from.try_io(Interest::READABLE, || kernel::splice(from, &ends.writer, wanted));
        if came
            .as_ref()
            .is_err_and(|error| error.kind() == io::ErrorKind::Unsupported)
        {
            self.pipes.unsupported.store(true, Relaxed);
        }
        self.held += came.as_ref().unwrap_or(&0);
        came
    }

    /// Gives a connection what it takes. For a pipe with something in it.
    ///
    /// # Errors
    /// `WouldBlock`: it takes nothing now.
    pub(super) fn drain(&mut self, to: &TcpStream) -> io::Result<usize> {
        let ends = self.ends()?;
        let taken = to.try_io(Interest::WRITABLE, || kernel::splice(&ends.reader, to, self.held))?;
        if taken == 0 {
            return Err(io::ErrorKind::WriteZero.into());
        }
        self.held -= taken;
        Ok(taken)
    }

    fn ends(&self) -> io::Result<&Ends> {
        self.ends
            .as_ref()
            .ok_or_else(|| io::ErrorKind::NotConnected.into())
    }
}

#[cfg(target_os = "linux")]
mod kernel {
    use std::io;
    use std::os::fd::AsFd;

    use nix::errno::Errno;
    use nix::fcntl::{FcntlArg, OFlag, SpliceFFlags, fcntl};
    use nix::unistd::pipe2;

    use super::Ends;

    /// A pipe that holds as much.
    pub(super) fn pipe(capacity: usize) -> io::Result<Ends> {
        let (reader, writer) = pipe2(OFlag::O_CLOEXEC | OFlag::O_NONBLOCK)?;
        fcntl(&writer, FcntlArg::F_SETPIPE_SZ(capacity as i32))?;
        Ok(Ends { reader, writer })
    }

    /// Moves at most `length` bytes without waiting.
    pub(super) fn splice(from: impl AsFd, to: impl AsFd, length: usize) -> io::Result<usize> {
        let flags = SpliceFFlags::SPLICE_F_MOVE | SpliceFFlags::SPLICE_F_NONBLOCK;
        nix::fcntl::splice(from, None, to, None, length, flags).map_err(|error| match error {
            Errno::ENOSYS | Errno::EPERM | Errno::EACCES | Errno::EINVAL => io::ErrorKind::Unsupported.into(),
            error => error.into(),
        })
    }
}

/// Elsewhere, where people build Tidegate but do not run it, bodies are copied.
#[cfg(not(target_os = "linux"))]
mod kernel {
    use std::io;

    use super::Ends;

    pub(super) fn pipe(_: usize) -> io::Result<Ends> {
        Err(io::ErrorKind::Unsupported.into())
    }

    pub(super) fn splice<A, B>(_: A, _: B, _: usize) -> io::Result<usize> {
        Err(io::ErrorKind::Unsupported.into())
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;

    use super::*;

    /// Both ends of a connection.
    async fn pair() -> (TcpStream, TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let ours = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        (ours, listener.accept().await.unwrap().0)
    }

    #[tokio::test]
    async fn bytes_go_through_and_the_pipe_is_used_again() {
        let (mut theirs, from) = pair().await;
        let (to, mut others) = pair().await;
        let pipes = Arc::new(Pipes::default());
        for words in [b"abcdef", b"ghijkl"] {
            theirs.write_all(words).await.unwrap();
            from.readable().await.unwrap();
            let mut pipe = pipes.take().unwrap();
            assert_eq!(pipes.in_use.load(Relaxed), 1);
            assert!(pipes.spare.lock().is_empty());
            assert_eq!(pipe.fill(&from, 4).unwrap(), 4, "no more than is wanted");
            assert_eq!(pipe.drain(&to).unwrap(), 4);
            assert_eq!(pipe.fill(&from, u64::MAX).unwrap(), 2);
            assert_eq!(pipe.drain(&to).unwrap(), 2);
            let silent = pipe.fill(&from, 1).unwrap_err();
            assert_eq!(silent.kind(), io::ErrorKind::WouldBlock);
            let mut read = [0; 6];
            others.read_exact(&mut read).await.unwrap();
            assert_eq!(&read, words);
            drop(pipe);
            assert_eq!((pipes.spare.lock().len(), pipes.in_use.load(Relaxed)), (1, 0));
        }
        drop(theirs);
        from.readable().await.unwrap();
        assert_eq!(pipes.take().unwrap().fill(&from, 1).unwrap(), 0);
    }

    /// What one body left would be in front of the next.
    #[tokio::test]
    async fn a_pipe_with_something_in_it_is_not_kept() {
        let (mut theirs, from) = pair().await;
        theirs.write_all(b"left").await.unwrap();
        from.readable().await.unwrap();
        let pipes = Arc::new(Pipes::default());
        let mut pipe = pipes.take().unwrap();
        pipe.fill(&from, 4).unwrap();
        drop(pipe);
        assert_eq!((pipes.spare.lock().len(), pipes.in_use.load(Relaxed)), (0, 0));
    }

    /// As in a sandbox: nothing is lost, and no other pipe is made.
    #[tokio::test]
    async fn what_cannot_be_done_is_not_tried_again() {
        let (mut theirs, mut from) = pair().await;
        theirs.write_all(b"words").await.unwrap();
        from.readable().await.unwrap();
        let pipes = Arc::new(Pipes::default());
        let mut pipe = pipes.take().unwrap();
        // Neither is a pipe, which the kernel refuses as it does what it cannot do.
        let file = || OwnedFd::from(tempfile::tempfile().unwrap());
        pipe.ends = Some(Ends {
            reader: file(),
            writer: file(),
        });
        let error = pipe.fill(&from, 5).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::Unsupported);
        drop(pipe);
        assert!(pipes.take().is_none());
        let mut words = [0; 5];
        from.read_exact(&mut words).await.unwrap();
        assert_eq!(&words, b"words");
    }

    #[test]
    fn there_are_so_many_and_few_are_kept() {
        let pipes = Arc::new(Pipes::default());
        let held: Vec<Pipe> = std::iter::from_fn(|| pipes.take()).collect();
        assert_eq!(held.len(), MOST);
        drop(held);
        assert_eq!((pipes.spare.lock().len(), pipes.in_use.load(Relaxed)), (SPARE, 0));
    }
}
