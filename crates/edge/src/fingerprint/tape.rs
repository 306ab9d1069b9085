//! A connection whose first bytes are kept for a moment.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// Passes everything on, and keeps what is read until it is [taken](Self::take).
#[derive(Debug)]
pub(crate) struct Tape<IO> {
    io: IO,
    kept: Option<Vec<u8>>,
}

impl<IO> Tape<IO> {
    pub(crate) fn new(io: IO) -> Self {
        Self { io, kept: Some(Vec::with_capacity(USUAL_BYTES)) }
    }

    /// What was read so far. From here on nothing is kept.
    pub(crate) fn take(&mut self) -> Vec<u8> {
        self.kept.take().unwrap_or_default()
    }
}

impl<IO: AsyncRead + Unpin> AsyncRead for Tape<IO> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        ready!(Pin::new(&mut self.io).poll_read(cx, buffer))?;
        if let Some(kept) = &mut self.kept {
            let read = buffer.filled().get(before..).unwrap_or_default();
            let room = KEPT_BYTES_MAX.saturating_sub(kept.len());
            kept.extend(read.iter().take(room));
        }
        Poll::Ready(Ok(()))
    }
}

impl<IO: AsyncWrite + Unpin> AsyncWrite for Tape<IO> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.io).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(cx)
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.io).poll_write_vectored(cx, slices)
    }
}

/// Most ClientHellos, with a post-quantum key share, are of this size.
const USUAL_BYTES: usize = 2 * 1024;

/// One record. A longer hello is still served, and has no fingerprint.
const KEPT_BYTES_MAX: usize = 16 * 1024;
