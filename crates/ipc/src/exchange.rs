// SPDX-License-Identifier: AGPL-3.0-or-later
//! One request and its answer, as the peer sees them.

use crate::{
    frame::{self, FrameDecoder, FrameError},
    limits::{BODY_TIMEOUT, WRITE_BYTES},
};
use bytes::{Bytes, BytesMut};
use futures::StreamExt;
use hearth_protocol::operator::{ErrorCode, FRAME_BYTES_MAX, Failure, FrameKind};
use serde::Serialize;
use std::{future::Future, io, sync::Arc};
use tokio::{
    io::{AsyncWriteExt, Interest},
    net::{
        UnixStream,
        unix::{OwnedReadHalf, OwnedWriteHalf},
    },
    time::timeout,
};
use tokio_util::codec::FramedRead;

/// Why an exchange cannot go on.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ExchangeError {
    /// The client is gone.
    #[error("the client hung up")]
    HungUp,
    /// The client sent something that cannot stand here.
    #[error("{0}")]
    Malformed(String),
    /// The body is longer than the caller takes.
    #[error("the body is over the limit of {0} bytes")]
    TooLong(usize),
    /// The next frame of the body did not come in time.
    #[error("nothing came for {} seconds", BODY_TIMEOUT.as_secs())]
    TimedOut,
    /// A value of the answer cannot be written as one frame of JSON: a defect of the peer.
    #[error("cannot write the answer: {0}")]
    Answer(String),
}

impl From<FrameError> for ExchangeError {
    fn from(error: FrameError) -> ExchangeError {
        match error {
            FrameError::Cut | FrameError::Io(_) => ExchangeError::HungUp,
            malformed => ExchangeError::Malformed(malformed.to_string()),
        }
    }
}

impl From<io::Error> for ExchangeError {
    fn from(_: io::Error) -> ExchangeError {
        ExchangeError::HungUp
    }
}

impl From<ExchangeError> for Failure {
    fn from(error: ExchangeError) -> Failure {
        let code = match error {
            ExchangeError::Malformed(_) => ErrorCode::Invalid,
            ExchangeError::TooLong(_) => ErrorCode::Limit,
            ExchangeError::TimedOut => ErrorCode::TimedOut,
            // Nobody will read what stands here when the client is gone.
            ExchangeError::HungUp | ExchangeError::Answer(_) => ErrorCode::Internal,
        };
        Failure::new(code, error.to_string())
    }
}

/// The client's side of a request that is being answered: its body, and where the answer goes.
///
/// Writing waits while the client does not read, without a limit in time: a person may look at one page
/// of a log for an hour. A handler that also waits for something else must bound what piles up.
#[derive(Debug)]
pub struct Exchange {
    reader: FramedRead<OwnedReadHalf, FrameDecoder>,
    writer: OwnedWriteHalf,
    watch: Watch,
    has_body: bool,
    buffer: BytesMut,
    /// Set while a write is under way: if it was dropped there, half a frame has been written.
    writing: bool,
}

impl Exchange {
    pub(crate) fn new(stream: UnixStream) -> io::Result<Exchange> {
        // A second handle of the same socket, whose readiness can be cleared without disturbing those who
        // read and write.
        let stream = stream.into_std()?;
        let watch = Watch(Arc::new(UnixStream::from_std(stream.try_clone()?)?));
        let stream = UnixStream::from_std(stream)?;
        let (reader, writer) = stream.into_split();
        Ok(Exchange {
            reader: FramedRead::new(reader, FrameDecoder::default()),
            writer,
            watch,
            has_body: false,
            buffer: BytesMut::new(),
            writing: false,
        })
    }

    /// The first frame: the request.
    pub(crate) async fn request(&mut self) -> Result<hearth_protocol::operator::Request, ExchangeError> {
        let frame = self.reader.next().await.ok_or(ExchangeError::HungUp)??;
        if frame.kind != FrameKind::Json {
            return Err(ExchangeError::Malformed("the first frame must be a request as JSON".into()));
        }
        let request: hearth_protocol::operator::Request = serde_json::from_slice(&frame.body)
            .map_err(|error| ExchangeError::Malformed(format!("cannot read the request: {error}")))?;
        self.has_body = request.has_body();
        Ok(request)
    }

    /// The next piece of the request's body; `None` when it has ended, and always for requests
    /// that have none. Cancellation safe.
    ///
    /// # Errors
    ///
    /// If the client hangs up or halts for [`BODY_TIMEOUT`] before the end, or sends another frame.
    pub async fn read_data(&mut self) -> Result<Option<Bytes>, ExchangeError> {
        if !self.has_body {
            return Ok(None);
        }
        let next = timeout(BODY_TIMEOUT, self.reader.next());
        let frame = next.await.map_err(|_elapsed| ExchangeError::TimedOut)?;
        let frame = frame.ok_or(ExchangeError::HungUp)??;
        match frame.kind {
            FrameKind::Data => Ok(Some(frame.body)),
            FrameKind::End => {
                self.has_body = false;
                Ok(None)
            }
            FrameKind::Json | FrameKind::Error => {
                Err(ExchangeError::Malformed("a body is data frames and an end frame".into()))
            }
        }
    }

    /// The request's whole body, if it has at most `limit` bytes.
    ///
    /// # Errors
    ///
    /// As [`read_data`](Exchange::read_data), and if it is longer.
    pub async fn read_all(&mut self, limit: usize) -> Result<Bytes, ExchangeError> {
        let mut body = BytesMut::new();
        while let Some(piece) = self.read_data().await? {
            if body.len() + piece.len() > limit {
                return Err(ExchangeError::TooLong(limit));
            }
            body.extend_from_slice(&piece);
        }
        Ok(body.freeze())
    }

    /// Sends one value of the answer, at once. Not cancellation safe: an exchange whose write was dropped
    /// half-way only fails from then on.
    ///
    /// # Errors
    ///
    /// If the client is gone, or the value has more than [`FRAME_BYTES_MAX`] bytes as JSON.
    pub async fn reply(&mut self, value: &impl Serialize) -> Result<(), ExchangeError> {
        self.put_json(value)?;
        self.flush().await
    }

    /// Sends many values of the answer, in few writes. Not cancellation safe.
    ///
    /// # Errors
    ///
    /// As [`reply`](Exchange::reply).
    pub async fn reply_all<T: Serialize>(
        &mut self,
        values: impl IntoIterator<Item = T>,
    ) -> Result<(), ExchangeError> {
        for value in values {
            self.put_json(&value)?;
            if self.buffer.len() >= WRITE_BYTES {
                self.flush().await?;
            }
        }
        self.flush().await
    }

    /// Sends bytes of the answer as data, in frames of at most [`FRAME_BYTES_MAX`]. Not cancellation safe.
    ///
    /// # Errors
    ///
    /// If the client is gone.
    pub async fn data(&mut self, bytes: &[u8]) -> Result<(), ExchangeError> {
        for piece in bytes.chunks(FRAME_BYTES_MAX) {
            frame::encode(FrameKind::Data, piece, &mut self.buffer);
            self.flush().await?;
        }
        Ok(())
    }

    /// A future that is ready once the client has closed its end, to be waited for beside something else.
    /// A client that has only closed its sending direction has not hung up. It borrows nothing.
    pub fn hung_up(&self) -> impl Future<Output = ()> + Send + 'static + use<> {
        let watch = self.watch.clone();
        async move { watch.hung_up().await }
    }

    /// Ends the answer.
    pub(crate) async fn finish(mut self, result: Result<(), Failure>) -> Result<(), ExchangeError> {
        match result {
            Ok(()) => frame::encode(FrameKind::End, &[], &mut self.buffer),
            Err(failure) => {
                let json = serde_json::to_vec(&failure);
                let json = json.map_err(|error| ExchangeError::Answer(error.to_string()))?;
                let short = json.get(..).filter(|json| json.len() <= FRAME_BYTES_MAX);
                frame::encode(FrameKind::Error, short.unwrap_or(OVERLONG), &mut self.buffer);
            }
        }
        self.flush().await?;
        // Both directions: one who still sends a body that nobody reads must not wait.
        Ok(rustix::net::shutdown(self.writer.as_ref(), rustix::net::Shutdown::Both)
            .map_err(io::Error::from)?)
    }

    fn put_json(&mut self, value: &impl Serialize) -> Result<(), ExchangeError> {
        let json = serde_json::to_vec(value).map_err(|error| ExchangeError::Answer(error.to_string()))?;
        if json.len() > FRAME_BYTES_MAX {
            return Err(ExchangeError::Answer(format!("a value of {} bytes", json.len())));
        }
        frame::encode(FrameKind::Json, &json, &mut self.buffer);
        Ok(())
    }

    async fn flush(&mut self) -> Result<(), ExchangeError> {
        if self.writing {
            return Err(ExchangeError::HungUp);
        }
        self.writing = true;
        self.writer.write_all(&self.buffer).await?;
        self.writing = false;
        self.buffer.clear();
        Ok(())
    }
}

/// What is sent in the place of a failure too long for a frame.
const OVERLONG: &[u8] = br#"{"code":"internal","message":"the reason is too long to be told"}"#;

/// Notices that the other end of a socket was closed, without reading from it.
#[derive(Clone, Debug)]
struct Watch(Arc<UnixStream>);

impl Watch {
    async fn hung_up(&self) {
        // Readable would also say that only the sending direction was closed. An error means that the
        // runtime is going away, and the connection with it.
        while let Ok(ready) = self.0.ready(Interest::WRITABLE).await {
            if ready.is_write_closed() {
                return;
            }
            // Wait for the next change.
            let _ = self
                .0
                .try_io(Interest::WRITABLE, || -> io::Result<()> { Err(io::ErrorKind::WouldBlock.into()) });
        }
    }
}
