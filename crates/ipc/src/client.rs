// SPDX-License-Identifier: AGPL-3.0-or-later
//! An operator's program's end of the socket.

use crate::{
    folder::user,
    frame::{self, FrameDecoder, FrameError},
};
use bytes::{Bytes, BytesMut};
use futures::StreamExt;
use hearth_protocol::operator::{FRAME_BYTES_MAX, Failure, FrameKind, Request};
use serde::de::DeserializeOwned;
use std::{
    io,
    path::{Path, PathBuf},
};
use tokio::{
    io::AsyncWriteExt,
    net::{
        UnixStream,
        unix::{OwnedReadHalf, OwnedWriteHalf},
    },
};
use tokio_util::codec::FramedRead;

/// Why a peer cannot be reached.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConnectError {
    /// Nobody serves this socket.
    #[error("no peer is running at `{0}`")]
    NotRunning(PathBuf),
    /// Whoever serves it is another user, and is told nothing.
    #[error("`{path}` is served by the user {owner}, not by you")]
    Foreign {
        /// The socket.
        path: PathBuf,
        /// Who serves it.
        owner: u32,
    },
    /// The system refused.
    #[error("cannot connect to `{path}`")]
    Io {
        /// The socket.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
}

/// Why a request has no (further) answer.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ClientError {
    /// The peer says why.
    #[error(transparent)]
    Failed(#[from] Failure),
    /// The peer went away before the end of its answer.
    #[error("the peer hung up before its answer was whole")]
    Cut,
    /// The peer sent what cannot stand here.
    #[error("the peer's answer is malformed: {0}")]
    Malformed(String),
    /// The request does not fit into a frame.
    #[error("the request has {0} bytes, and may have {FRAME_BYTES_MAX}")]
    TooLong(usize),
}

impl From<FrameError> for ClientError {
    fn from(error: FrameError) -> ClientError {
        match error {
            FrameError::Cut | FrameError::Io(_) => ClientError::Cut,
            malformed => ClientError::Malformed(malformed.to_string()),
        }
    }
}

/// One piece of an answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// A value, as UTF-8 JSON that was not looked at.
    Json(Bytes),
    /// Bytes.
    Data(Bytes),
}

/// A connection to a peer, for one request.
#[derive(Debug)]
pub struct Client {
    reader: FramedRead<OwnedReadHalf, FrameDecoder>,
    writer: OwnedWriteHalf,
}

impl Client {
    /// Connects to the socket of a peer.
    ///
    /// # Errors
    ///
    /// If nobody serves it, if another user does (the root user may), or if the system refuses.
    pub async fn connect(path: &Path) -> Result<Client, ConnectError> {
        let stream = UnixStream::connect(path).await.map_err(|source| match source.kind() {
            io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused => {
                ConnectError::NotRunning(path.into())
            }
            _ => ConnectError::Io { path: path.into(), source },
        })?;
        let io = |source| ConnectError::Io { path: path.into(), source };
        let owner = stream.peer_cred().map_err(io)?.uid();
        if owner != user() && owner != 0 {
            return Err(ConnectError::Foreign { path: path.into(), owner });
        }
        let (reader, writer) = stream.into_split();
        Ok(Client { reader: FramedRead::new(reader, FrameDecoder::default()), writer })
    }

    /// Sends the request. To be called once, before all else.
    ///
    /// # Errors
    ///
    /// If it is too long. A peer that does not take it tells why when its answer is read.
    pub async fn request(&mut self, request: &Request) -> Result<(), ClientError> {
        let json = serde_json::to_vec(request).map_err(|error| ClientError::Malformed(error.to_string()))?;
        if json.len() > FRAME_BYTES_MAX {
            return Err(ClientError::TooLong(json.len()));
        }
        self.write(FrameKind::Json, &json).await;
        Ok(())
    }

    /// Sends a piece of the request's body, of any length. `false` if the peer takes no more: it has
    /// answered already.
    pub async fn send_data(&mut self, bytes: &[u8]) -> bool {
        for piece in bytes.chunks(FRAME_BYTES_MAX) {
            if !self.write(FrameKind::Data, piece).await {
                return false;
            }
        }
        true
    }

    /// Ends the request's body.
    pub async fn end_data(&mut self) {
        self.write(FrameKind::End, &[]).await;
    }

    /// The next piece of the answer; `None` when it has ended well. Cancellation safe.
    ///
    /// # Errors
    ///
    /// If the request failed, or the peer went away or sent nonsense.
    pub async fn next(&mut self) -> Result<Option<Answer>, ClientError> {
        let frame = self.reader.next().await.ok_or(ClientError::Cut)??;
        match frame.kind {
            FrameKind::Json => Ok(Some(Answer::Json(frame.body))),
            FrameKind::Data => Ok(Some(Answer::Data(frame.body))),
            FrameKind::End => Ok(None),
            FrameKind::Error => Err(match serde_json::from_slice(&frame.body) {
                Ok(failure) => ClientError::Failed(failure),
                Err(error) => ClientError::Malformed(error.to_string()),
            }),
        }
    }

    /// The next value of the answer, where no data is expected; `None` when it has ended well.
    /// Cancellation safe.
    ///
    /// # Errors
    ///
    /// As [`next`](Client::next), and if the value is not of this type.
    pub async fn value<T: DeserializeOwned>(&mut self) -> Result<Option<T>, ClientError> {
        match self.next().await? {
            Some(Answer::Json(json)) => {
                serde_json::from_slice(&json).map(Some).map_err(|e| ClientError::Malformed(e.to_string()))
            }
            Some(Answer::Data(_)) => Err(ClientError::Malformed("data where a value should be".into())),
            None => Ok(None),
        }
    }

    /// Sends a request without a body and reads an answer of one value.
    ///
    /// # Errors
    ///
    /// As [`value`](Client::value), and if there is no value or more than one.
    pub async fn call<T: DeserializeOwned>(mut self, request: &Request) -> Result<T, ClientError> {
        self.request(request).await?;
        self.only_value().await
    }

    /// Reads an answer of one value.
    ///
    /// # Errors
    ///
    /// As [`call`](Client::call).
    pub async fn only_value<T: DeserializeOwned>(&mut self) -> Result<T, ClientError> {
        let wrong = || ClientError::Malformed("it should be one value".into());
        let value = self.value().await?.ok_or_else(wrong)?;
        match self.next().await? {
            None => Ok(value),
            Some(_) => Err(wrong()),
        }
    }

    /// Sends a request without a body and reads an answer of any number of values.
    ///
    /// # Errors
    ///
    /// As [`value`](Client::value).
    pub async fn list<T: DeserializeOwned>(mut self, request: &Request) -> Result<Vec<T>, ClientError> {
        self.request(request).await?;
        let mut values = Vec::new();
        while let Some(value) = self.value().await? {
            values.push(value);
        }
        Ok(values)
    }

    /// Whether it went out. If not, the peer has closed, and its answer tells why.
    async fn write(&mut self, kind: FrameKind, body: &[u8]) -> bool {
        let mut bytes = BytesMut::new();
        frame::encode(kind, body, &mut bytes);
        self.writer.write_all(&bytes).await.is_ok()
    }
}
