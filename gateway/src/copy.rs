//! Bytes both ways between two connections that nothing looks into.

use std::future::poll_fn;
use std::io;
use std::mem::MaybeUninit;
use std::pin::{Pin, pin};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep, sleep};

/// The most that one read takes. It is on the stack: an idle tunnel, of which
/// there are many, has no buffer.
const CHUNK: usize = 16 * 1024;

/// What the end of one side means to the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ends {
    /// It ends, too (nginx after an answer 101).
    Together,
    /// It learns of that, and may go on speaking.
    Apart,
}

/// A side, with what was read from the other side before.
pub(crate) struct Side<S> {
    pub(crate) stream: S,
    pub(crate) first: Vec<u8>,
}

/// What a tunnel came to so far.
#[derive(Debug, Default)]
pub(crate) struct Copied {
    /// Bytes from the first side to the second.
    pub(crate) there: u64,
    /// Bytes from the second side to the first.
    pub(crate) back: u64,
    /// When the first of them came.
    pub(crate) answered: Option<Instant>,
    /// It ended because nothing had moved for long.
    pub(crate) idle: bool,
}

/// Copies between `a` and `b` until they end, or nothing has moved either way for
/// as long as `silence`. A side that breaks ends both. `copied` is right at any
/// time, also for whoever drops the copying half-way.
pub(crate) async fn both_ways<A, B>(
    mut a: Side<A>,
    mut b: Side<B>,
    ends: Ends,
    silence: Duration,
    copied: &mut Copied,
) where
    A: AsyncRead + AsyncWrite + Unpin,
    B: AsyncRead + AsyncWrite + Unpin,
{
    let mut there = Half::new(b.first);
    let mut back = Half::new(a.first);
    let mut idle = pin!(sleep(silence));
    let mut last = Instant::now();
    copied.idle = poll_fn(|context| {
        let ended = [
            there.poll(context, &mut a.stream, &mut b.stream),
            back.poll(context, &mut b.stream, &mut a.stream),
        ];
        if (copied.there, copied.back) != (there.written, back.written) {
            last = Instant::now();
            if back.written > copied.back {
                copied.answered.get_or_insert(last);
            }
            (copied.there, copied.back) = (there.written, back.written);
        }
        let count =
            |wanted: fn(&Poll<io::Result<()>>) -> bool| ended.iter().filter(|end| wanted(end)).count();
        let needed = if ends == Ends::Together { 1 } else { 2 };
        if count(|end| matches!(end, Poll::Ready(Err(_)))) > 0 || count(Poll::is_ready) >= needed {
            return Poll::Ready(false);
        }
        ready!(poll_silence(context, idle.as_mut(), last + silence));
        Poll::Ready(true)
    })
    .await;
}

/// Resolves at `end`, which moves: the timer is only set anew when it fires.
fn poll_silence(context: &mut Context<'_>, mut timer: Pin<&mut Sleep>, end: Instant) -> Poll<()> {
    loop {
        ready!(timer.as_mut().poll(context));
        if Instant::now() >= end {
            return Poll::Ready(());
        }
        timer.as_mut().reset(end);
    }
}

/// One direction.
struct Half {
    /// Read, and not taken by the other side yet.
    kept: Vec<u8>,
    /// How much of it was taken.
    taken: usize,
    written: u64,
    /// Something was written that may lie in a buffer.
    unflushed: bool,
    state: State,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Open,
    /// Nothing more comes; the other side is to learn of it.
    Ending,
    Done,
}

impl Half {
    fn new(first: Vec<u8>) -> Self {
        Self {
            kept: first,
            taken: 0,
            written: 0,
            unflushed: false,
            state: State::Open,
        }
    }

    /// Resolves when `from` has ended and `to` was told, or one of them broke.
    fn poll<R, W>(&mut self, context: &mut Context<'_>, from: &mut R, to: &mut W) -> Poll<io::Result<()>>
    where
        R: AsyncRead + Unpin,
        W: AsyncWrite + Unpin,
    {
        loop {
            ready!(self.write_kept(context, to))?;
            match self.state {
                State::Open => {}
                State::Ending => {
                    ready!(Pin::new(&mut *to).poll_shutdown(context))?;
                    self.state = State::Done;
                }
                State::Done => return Poll::Ready(Ok(())),
            }
            if self.state == State::Open && self.read(context, from, to)?.is_pending() {
                if self.unflushed {
                    ready!(Pin::new(&mut *to).poll_flush(context))?;
                    self.unflushed = false;
                }
                return Poll::Pending;
            }
        }
    }

    /// Reads once, and writes what came as far as it is taken.
    fn read<R, W>(&mut self, context: &mut Context<'_>, from: &mut R, to: &mut W) -> io::Result<Poll<()>>
    where
        R: AsyncRead + Unpin,
        W: AsyncWrite + Unpin,
    {
        let mut place = [const { MaybeUninit::uninit() }; CHUNK];
        let mut place = ReadBuf::uninit(&mut place);
        if Pin::new(from).poll_read(context, &mut place)?.is_pending() {
            return Ok(Poll::Pending);
        }
        let mut rest = place.filled();
        if rest.is_empty() {
            self.state = State::Ending;
        }
        while !rest.is_empty() {
            let Poll::Ready(count) = Pin::new(&mut *to).poll_write(context, rest)? else {
                self.kept = rest.to_vec();
                break;
            };
            self.wrote(count)?;
            rest = &rest[count..];
        }
        Ok(Poll::Ready(()))
    }

    fn write_kept<W>(&mut self, context: &mut Context<'_>, to: &mut W) -> Poll<io::Result<()>>
    where
        W: AsyncWrite + Unpin,
    {
        while self.taken < self.kept.len() {
            let count = ready!(Pin::new(&mut *to).poll_write(context, &self.kept[self.taken..]))?;
            self.wrote(count)?;
            self.taken += count;
        }
        if self.taken > 0 {
            self.kept = Vec::new();
            self.taken = 0;
        }
        Poll::Ready(Ok(()))
    }

    fn wrote(&mut self, count: usize) -> io::Result<()> {
        if count == 0 {
            return Err(io::ErrorKind::WriteZero.into());
        }
        self.written += count as u64;
        self.unflushed = true;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};

    use super::*;

    const PATIENCE: Duration = Duration::from_secs(10);

    /// Two far ends, and the copying between their near ends.
    fn between(buffer: usize, ends: Ends) -> (DuplexStream, DuplexStream, impl Future<Output = Copied>) {
        let (far_a, near_a) = duplex(buffer);
        let (far_b, near_b) = duplex(buffer);
        let side = |stream, first: &str| Side {
            stream,
            first: first.into(),
        };
        let copied = async move {
            let mut copied = Copied::default();
            let (a, b) = (side(near_a, "to a,"), side(near_b, "to b,"));
            both_ways(a, b, ends, PATIENCE, &mut copied).await;
            copied
        };
        (far_a, far_b, copied)
    }

    #[tokio::test]
    async fn everything_arrives_however_slowly_it_is_taken() {
        let sent: Vec<u8> = (0..200_000_u32).map(|n| n as u8).collect();
        let (mut a, mut b, copied) = between(100, Ends::Apart);
        let expected = sent.clone();
        let far = async move {
            let mut to_b = Vec::new();
            let send = async {
                a.write_all(&sent).await.unwrap();
                a.shutdown().await.unwrap();
            };
            let ((), taken) = tokio::join!(send, b.read_to_end(&mut to_b));
            taken.unwrap();
            assert_eq!(to_b, [b"to b,", &*expected].concat());
            // The way back is open yet.
            b.write_all(b"thanks").await.unwrap();
            drop(b);
            let mut to_a = String::new();
            a.read_to_string(&mut to_a).await.unwrap();
            assert_eq!(to_a, "to a,thanks");
        };
        let (copied, ()) = tokio::join!(copied, far);
        assert_eq!((copied.there, copied.back, copied.idle), (200_005, 11, false));
    }

    #[tokio::test]
    async fn both_sides_end_together_if_asked_to() {
        let (mut a, b, copied) = between(100, Ends::Together);
        a.shutdown().await.unwrap();
        let copied = copied.await;
        assert_eq!((copied.there, copied.idle), (5, false));
        drop(b);
    }

    #[tokio::test(start_paused = true)]
    async fn silence_ends_and_activity_of_either_side_prolongs() {
        let (mut a, mut b, copied) = between(100, Ends::Apart);
        let start = Instant::now();
        let far = async {
            tokio::time::sleep(Duration::from_secs(8)).await;
            a.write_all(b"x").await.unwrap();
            tokio::time::sleep(Duration::from_secs(8)).await;
            b.write_all(b"x").await.unwrap();
            std::future::pending::<()>().await;
        };
        tokio::select! {
            () = far => {}
            copied = copied => assert!(copied.idle),
        }
        assert_eq!(start.elapsed().as_secs(), 26);
    }

    #[tokio::test]
    async fn a_side_that_breaks_ends_both() {
        let (a, b, copied) = between(2, Ends::Apart);
        // What is for it cannot be taken.
        drop(a);
        assert!(!copied.await.idle);
        drop(b);
    }
}
