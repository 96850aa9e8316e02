// SPDX-License-Identifier: AGPL-3.0-or-later
//! The record layer as `AsyncRead` and `AsyncWrite`, over the two halves of a socket.
//!
//! Reader and writer are apart from each other, so that neither waits for a lock of the other.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::record::{
    HEADER_BYTES, Opener, PLAIN_BYTES_MAX, RECORD_BYTES_MAX, RecordError, RecordType, Sealer, TAG_BYTES,
};

/// Seals what is written into records.
///
/// Bytes are collected until a record is full or [`poll_flush`](AsyncWrite::poll_flush) is called;
/// one flush for many small writes is what makes them cheap. `shutdown` writes the close record.
#[derive(Debug)]
pub struct SecureWriter<W> {
    io: W,
    sealer: Sealer,
    /// Room for the header, then plaintext; or a sealed record of which `sent` bytes are written.
    buffer: Vec<u8>,
    sealed: bool,
    sent: usize,
    closing: bool,
}

impl<W: AsyncWrite + Unpin> SecureWriter<W> {
    /// Writes sealed records to `io`.
    pub fn new(io: W, sealer: Sealer) -> Self {
        let mut buffer = Vec::with_capacity(RECORD_BYTES_MAX);
        buffer.resize(HEADER_BYTES, 0);
        Self { io, sealer, buffer, sealed: false, sent: 0, closing: false }
    }

    fn seal(&mut self, kind: RecordType) -> io::Result<()> {
        self.sealer
            .seal(kind, &mut self.buffer)
            .map_err(|error| io::Error::new(io::ErrorKind::BrokenPipe, error))?;
        self.sealed = true;
        self.sent = 0;
        Ok(())
    }

    fn poll_drain(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while self.sealed && self.sent < self.buffer.len() {
            let written = ready!(Pin::new(&mut self.io).poll_write(cx, &self.buffer[self.sent..]))?;
            if written == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.sent += written;
        }
        if self.sealed {
            self.buffer.truncate(HEADER_BYTES);
            self.sealed = false;
        }
        Poll::Ready(Ok(()))
    }
}

impl<W: AsyncWrite + Unpin> AsyncWrite for SecureWriter<W> {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, data: &[u8]) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        if this.closing {
            return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()));
        }
        ready!(this.poll_drain(cx))?;
        let room = PLAIN_BYTES_MAX - (this.buffer.len() - HEADER_BYTES);
        let taken = room.min(data.len());
        this.buffer.extend_from_slice(&data[..taken]);
        if taken == room {
            this.seal(RecordType::Data)?;
            // The bytes are taken either way; what the socket does not take now goes first next
            // time.
            if let Poll::Ready(Err(error)) = this.poll_drain(cx) {
                return Poll::Ready(Err(error));
            }
        }
        Poll::Ready(Ok(taken))
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if !this.sealed && this.buffer.len() > HEADER_BYTES {
            this.seal(RecordType::Data)?;
        }
        ready!(this.poll_drain(cx))?;
        Pin::new(&mut this.io).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if !self.closing {
            ready!(self.as_mut().poll_flush(cx))?;
            self.seal(RecordType::Close)?;
            self.closing = true;
        }
        let this = self.get_mut();
        ready!(this.poll_drain(cx))?;
        Pin::new(&mut this.io).poll_shutdown(cx)
    }
}

/// Opens records and hands out what they hold.
///
/// End of file is reported only after a close record; the socket's own end is an error of kind
/// `UnexpectedEof`. Records that cannot be opened are errors of kind `InvalidData`. Both carry a
/// [`RecordError`] as their source.
#[derive(Debug)]
pub struct SecureReader<R> {
    io: R,
    opener: Opener,
    buffer: Vec<u8>,
    /// Bytes received and not yet opened.
    raw: std::ops::Range<usize>,
    /// Bytes opened and not yet handed out.
    plain: std::ops::Range<usize>,
    closed: bool,
}

impl<R: AsyncRead + Unpin> SecureReader<R> {
    /// Reads records from `received`, what has been read already, and then from `io`.
    pub fn new(io: R, opener: Opener, received: &[u8]) -> Self {
        // Twice the longest record, so that one that is complete need not be moved.
        let mut buffer = vec![0; 2 * RECORD_BYTES_MAX.max(received.len())];
        buffer[..received.len()].copy_from_slice(received);
        Self { io, opener, buffer, raw: 0..received.len(), plain: 0..0, closed: false }
    }

    /// Opens the next record if it is complete.
    fn open(&mut self) -> io::Result<bool> {
        let invalid = |error| io::Error::new(io::ErrorKind::InvalidData, error);
        let start = self.raw.start;
        let Some(opened) = self.opener.open(&mut self.buffer[self.raw.clone()]).map_err(invalid)? else {
            return Ok(false);
        };
        self.raw.start += opened.record_bytes;
        match opened.kind {
            RecordType::Data => {
                self.plain = start + opened.plain.start..start + opened.plain.end;
            }
            RecordType::Close => self.closed = true,
            // Proofs belong to the login and are over.
            RecordType::Proof => {
                return Err(invalid(RecordError::UnknownType(RecordType::Proof as u8)));
            }
        }
        Ok(true)
    }
}

impl<R: AsyncRead + Unpin> AsyncRead for SecureReader<R> {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, out: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        loop {
            if !this.plain.is_empty() {
                let taken = this.plain.len().min(out.remaining());
                let end = this.plain.start + taken;
                out.put_slice(&this.buffer[this.plain.start..end]);
                this.plain.start = end;
                return Poll::Ready(Ok(()));
            }
            if this.closed || out.remaining() == 0 {
                return Poll::Ready(Ok(()));
            }
            if this.open()? {
                continue;
            }
            if this.raw.is_empty() {
                this.raw = 0..0;
            } else if this.buffer.len() - this.raw.start < RECORD_BYTES_MAX {
                this.buffer.copy_within(this.raw.clone(), 0);
                this.raw = 0..this.raw.len();
            }
            let mut free = ReadBuf::new(&mut this.buffer[this.raw.end..]);
            ready!(Pin::new(&mut this.io).poll_read(cx, &mut free))?;
            let read = free.filled().len();
            if read == 0 {
                return Poll::Ready(Err(io::Error::new(
                    io::ErrorKind::UnexpectedEof,
                    RecordError::Truncated,
                )));
            }
            this.raw.end += read;
        }
    }
}

const _: () = assert!(RECORD_BYTES_MAX == HEADER_BYTES + PLAIN_BYTES_MAX + TAG_BYTES);
