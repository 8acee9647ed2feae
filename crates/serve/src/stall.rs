//! A stream that fails when its peer takes no byte for too long.
//!
//! Reads have their own limits above: a server waits for a long upload or a WebSocket message, but what it has to say
//! should leave.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep, sleep};

/// How much a stream may still bring; shared with whoever sets it.
#[derive(Debug, Clone)]
pub struct ReadLimit(Arc<AtomicUsize>);

const NO_LIMIT: usize = usize::MAX;

impl Default for ReadLimit {
    fn default() -> Self {
        Self(Arc::new(AtomicUsize::new(NO_LIMIT)))
    }
}

impl ReadLimit {
    pub fn set(&self, bytes: Option<usize>) {
        self.0.store(bytes.unwrap_or(NO_LIMIT), Relaxed);
    }

    /// False when it is more than there is left.
    fn spend(&self, bytes: usize) -> bool {
        let spend = |left| match left {
            NO_LIMIT => Some(NO_LIMIT),
            left => left.checked_sub(bytes),
        };
        self.0.fetch_update(Relaxed, Relaxed, spend).is_ok()
    }
}

/// A stream with a limit on writes that make no progress. Carries `held` along, through upgrades too.
pub struct Stall<S, H> {
    stream: S,
    limit: Duration,
    reads: ReadLimit,
    /// Running while a write waits.
    waiting: Option<Pin<Box<Sleep>>>,
    _held: H,
}

impl<S, H> Stall<S, H> {
    pub fn new(stream: S, limit: Duration, reads: ReadLimit, held: H) -> Self {
        Self {
            stream,
            limit,
            reads,
            waiting: None,
            _held: held,
        }
    }

    fn watch<T>(
        &mut self,
        outcome: Poll<io::Result<T>>,
        context: &mut Context<'_>,
    ) -> Poll<io::Result<T>> {
        if outcome.is_ready() {
            self.waiting = None;
            return outcome;
        }
        let limit = self.limit;
        let waiting = self.waiting.get_or_insert_with(|| Box::pin(sleep(limit)));
        ready!(waiting.as_mut().poll(context));
        // Each new request waits again.
        waiting.as_mut().reset(Instant::now() + limit);
        Poll::Ready(Err(io::Error::new(
            io::ErrorKind::TimedOut,
            "the peer reads nothing",
        )))
    }
}

impl<S: AsyncRead + Unpin, H: Unpin> AsyncRead for Stall<S, H> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let outcome = Pin::new(&mut self.stream).poll_read(context, buffer);
        if !self.reads.spend(buffer.filled().len() - before) {
            return Poll::Ready(Err(io::Error::other("the peer sends more than it may")));
        }
        outcome
    }
}

impl<S: AsyncWrite + Unpin, H: Unpin> AsyncWrite for Stall<S, H> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let outcome = Pin::new(&mut self.stream).poll_write(context, bytes);
        self.watch(outcome, context)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let outcome = Pin::new(&mut self.stream).poll_write_vectored(context, slices);
        self.watch(outcome, context)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::future::poll_fn;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    #[tokio::test]
    async fn a_peer_that_reads_nothing_is_given_up() {
        let (near, _far) = tokio::io::duplex(4);
        let mut stalled = Stall::new(near, Duration::from_millis(20), ReadLimit::default(), ());
        let error = stalled.write_all(&[7; 20]).await.err();
        assert_eq!(
            error.map(|error| error.kind()),
            Some(io::ErrorKind::TimedOut)
        );
    }

    #[tokio::test]
    async fn a_peer_that_reads_slowly_has_the_whole_time_for_each_piece() {
        let (near, mut far) = tokio::io::duplex(4);
        let mut stalled = Stall::new(near, Duration::from_secs(3600), ReadLimit::default(), ());
        assert!(stalled.write_all(&[7; 4]).await.is_ok());
        let write = |stalled: &mut Stall<_, ()>, context: &mut Context<'_>| {
            Poll::Ready(Pin::new(stalled).poll_write(context, &[7]).is_ready())
        };
        assert!(!poll_fn(|context| write(&mut stalled, context)).await);
        assert!(stalled.waiting.is_some());
        assert_eq!(far.read_exact(&mut [0; 1]).await.ok(), Some(1));
        assert!(poll_fn(|context| write(&mut stalled, context)).await);
        assert!(stalled.waiting.is_none());
    }
}
