// SPDX-License-Identifier: AGPL-3.0-or-later
//! What runs beneath a link: Remoc over the encrypted stream, and the task that keeps it.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::{Buf, BufMut, Bytes, BytesMut};
use remoc::chmux::{self, ChMuxError, DynamicBuffer};
use remoc::rch::bin;
use serde::{Deserialize, Serialize};
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt, ReadBuf};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::sync::oneshot;
use tokio::task::JoinSet;
use tokio::time::{Instant, MissedTickBehavior, interval, timeout};

use crate::lane;
use crate::link::{CloseReason, Link, LinkInfo, LinkState, ReceivePorts};
use crate::record::RecordError;
use crate::stream::{SecureReader, SecureWriter};

type Reader = SecureReader<OwnedReadHalf>;
type Writer = SecureWriter<OwnedWriteHalf>;
type Connection = Pin<Box<dyn Future<Output = Result<(), ConnectionError>> + Send>>;
type ConnectionError = ChMuxError<io::Error, io::Error>;

/// How long a side that closes sends what is queued and waits for the other's word.
const FAREWELL_MAX: Duration = Duration::from_secs(2);
/// How long the last record may take, in each direction.
const LAST_RECORD_MAX: Duration = Duration::from_millis(500);
/// How often the round trip is measured.
const PING_INTERVAL: Duration = Duration::from_secs(2);

/// The channels that each side makes, and sends the receiving ends of.
#[derive(Serialize, Deserialize)]
struct Lanes {
    control: bin::Receiver,
    hot: bin::Receiver,
    bulk: bin::Receiver,
    screen: bin::Receiver,
    pulse: bin::Receiver,
}

/// Remoc's settings, as measured for a small call beside a large transfer.
fn settings(silence_max: Duration) -> remoc::Cfg {
    remoc::Cfg {
        connection_timeout: Some(silence_max),
        chunk_size: 16 * 1024,
        transport_send_queue: 4,
        transport_receive_queue: 4,
        shared_send_queue: 4,
        max_ports: 64,
        connect_queue: 16,
        max_received_ports: 16,
        max_data_size: 256 * 1024,
        port_receive_buffer: 128 * 1024,
        port_receive_throttle: 512 * 1024,
        shared_receive_buffer: DynamicBuffer::new(64 * 1024, 4 * 1024 * 1024),
        ..remoc::Cfg::default()
    }
}

/// Why an encrypted stream did not become a link.
#[derive(Debug, thiserror::Error)]
pub(crate) enum EstablishError {
    #[error("the connection ended")]
    Ended(CloseReason),
    #[error("the lanes could not be opened: {0}")]
    Lanes(String),
}

/// Opens the lanes and starts the task that keeps the link.
///
/// No longer than the caller's own deadline, by which it must be bounded.
pub(crate) async fn establish(
    reader: Reader,
    writer: Writer,
    info: LinkInfo,
    silence_max: Duration,
) -> Result<Link, EstablishError> {
    let (reader, reader_back) = Lent::new(reader);
    let (writer, writer_back) = Lent::new(writer);
    let connected = remoc::Connect::io::<_, _, Lanes, Lanes, remoc::codec::Postcard>(
        settings(silence_max),
        reader,
        writer,
    );
    let (connection, mut base_sender, mut base_receiver) = connected.await.map_err(|error| match error {
        remoc::ConnectError::ChMux(error) => EstablishError::Ended(reason_of(Err(error))),
        other => EstablishError::Lanes(other.to_string()),
    })?;
    let mut connection: Connection = Box::pin(connection);

    let exchange = async {
        let (control_tx, control) = bin::channel();
        let (hot_tx, hot) = bin::channel();
        let (bulk_tx, bulk) = bin::channel();
        let (screen_tx, screen) = bin::channel();
        let (pulse_tx, pulse) = bin::channel();
        let ours = Lanes { control, hot, bulk, screen, pulse };
        base_sender.send(ours).await.map_err(lanes_error)?;
        let theirs = base_receiver
            .recv()
            .await
            .map_err(lanes_error)?
            .ok_or_else(|| EstablishError::Lanes("the peer opened none".into()))?;
        let ports = ReceivePorts {
            control: theirs.control.into_inner().await.map_err(lanes_error)?,
            hot: theirs.hot.into_inner().await.map_err(lanes_error)?,
            bulk: theirs.bulk.into_inner().await.map_err(lanes_error)?,
            screen: theirs.screen.into_inner().await.map_err(lanes_error)?,
        };
        let mut pulse_rx = theirs.pulse.into_inner().await.map_err(lanes_error)?;
        pulse_rx.set_max_data_size(PULSE_BYTES_MAX);
        let mut bulk_tx = bulk_tx.into_inner().await.map_err(lanes_error)?;
        bulk_tx.set_global_credits_allowed(lane::BULK.shared_credits);
        let mut screen_tx = screen_tx.into_inner().await.map_err(lanes_error)?;
        screen_tx.set_global_credits_allowed(lane::SCREEN.shared_credits);
        Ok((
            control_tx.into_inner().await.map_err(lanes_error)?,
            hot_tx.into_inner().await.map_err(lanes_error)?,
            bulk_tx,
            screen_tx,
            Pulse::new(pulse_tx.into_inner().await.map_err(lanes_error)?, pulse_rx),
            ports,
        ))
    };
    let (control_tx, hot_tx, bulk_tx, screen_tx, pulse, ports) = tokio::select! {
        ended = &mut connection => return Err(EstablishError::Ended(reason_of(ended))),
        exchanged = exchange => exchanged?,
    };

    let state = LinkState::new(info);
    let mut writers = JoinSet::new();
    writers.spawn(state.control.clone().run(control_tx));
    writers.spawn(state.hot.clone().run(hot_tx));
    writers.spawn(state.bulk.clone().run(bulk_tx));
    writers.spawn(state.screen.clone().run(screen_tx));
    let link = Link::new(&state, ports);
    let keeper = Keeper { connection: Some(connection), pulse, writers, state, reader_back, writer_back };
    // The task ends with the link: when the connection does, or the last handle is dropped.
    tokio::spawn(keeper.run());
    Ok(link)
}

fn lanes_error(error: impl std::fmt::Display) -> EstablishError {
    EstablishError::Lanes(error.to_string())
}

/// The task of a link: drives Remoc, measures, and sees to an orderly end.
struct Keeper {
    connection: Option<Connection>,
    pulse: Pulse,
    writers: JoinSet<()>,
    state: Arc<LinkState>,
    reader_back: oneshot::Receiver<Reader>,
    writer_back: oneshot::Receiver<Writer>,
}

impl Drop for Keeper {
    fn drop(&mut self) {
        // Only if the task was cut short: a runtime that shuts down, or a bug.
        self.state.ended(CloseReason::Broken("the link's task was stopped".into()));
    }
}

impl Keeper {
    async fn run(mut self) {
        let Some(mut connection) = self.connection.take() else {
            return;
        };
        let asked = self.state.asked.clone();
        // What ended it, and whether there is still a connection to say farewell on.
        let (reason, standing) = tokio::select! {
            ended = &mut connection => (reason_of(ended), false),
            heard = self.pulse.run(&self.state) => match heard {
                Heard::Farewell => (CloseReason::Peer, true),
                Heard::Nonsense => (CloseReason::Protocol("pulse lane".into()), true),
                // The pulse ends with the connection, which knows why.
                Heard::Nothing => match timeout(LAST_RECORD_MAX, &mut connection).await {
                    Ok(ended) => (reason_of(ended), false),
                    Err(_still_there) => {
                        (CloseReason::Protocol("the pulse lane was closed".into()), true)
                    }
                },
            },
            () = asked.cancelled() => (self.state.wish(), true),
        };
        match reason {
            CloseReason::Local if standing => self.say_farewell(&mut connection).await,
            CloseReason::Peer if standing => self.answer_farewell(&mut connection).await,
            _ => {}
        }
        tracing::debug!(%reason, "the link has ended");
        // Dropping the connection brings the two halves of the stream home.
        drop(connection);
        self.writers.abort_all();
        // A stream that ends for any other reason must not look as if it had ended in order.
        if matches!(reason, CloseReason::Local | CloseReason::Peer) {
            self.last_records().await;
        }
        self.state.ended(reason);
    }

    /// Sends what is queued, then the word, and waits for the peer's.
    async fn say_farewell(&mut self, connection: &mut Connection) {
        for queue in self.state.queues() {
            queue.close();
        }
        let farewell = async {
            while self.writers.join_next().await.is_some() {}
            self.pulse.farewell().await;
            while let Heard::Nonsense = self.pulse.run(&self.state).await {}
        };
        tokio::select! {
            _ended = connection => {}
            _done = timeout(FAREWELL_MAX, farewell) => {}
        }
    }

    /// The peer is going and reads no more: nothing is worth sending but the answer.
    async fn answer_farewell(&mut self, connection: &mut Connection) {
        for queue in self.state.queues() {
            queue.abandon();
        }
        let answer = async {
            self.pulse.farewell().await;
            // The peer ends the stream when it has the answer.
            std::future::pending::<()>().await;
        };
        tokio::select! {
            _ended = connection => {}
            _late = timeout(FAREWELL_MAX, answer) => {}
        }
    }

    /// The close record; and the peer's, so that closing the socket does not cut off ours.
    async fn last_records(&mut self) {
        if let Ok(mut writer) = self.writer_back.try_recv() {
            let _ = timeout(LAST_RECORD_MAX, writer.shutdown()).await;
        }
        if let Ok(mut reader) = self.reader_back.try_recv() {
            let mut nowhere = tokio::io::sink();
            let drained = tokio::io::copy(&mut reader, &mut nowhere);
            let _ = timeout(LAST_RECORD_MAX, drained).await;
        }
    }
}

/// What Remoc's end means to us.
fn reason_of(ended: Result<(), ConnectionError>) -> CloseReason {
    match ended {
        // Every port was closed, or the stream ended with a close record.
        Ok(()) | Err(ChMuxError::StreamClosed) => CloseReason::Peer,
        Err(ChMuxError::Timeout) => CloseReason::Silent,
        Err(ChMuxError::Reset) => CloseReason::Broken("reset by the peer".into()),
        Err(ChMuxError::Protocol(what)) => CloseReason::Protocol(what),
        Err(ChMuxError::SinkError(error) | ChMuxError::StreamError(error)) => {
            match error.get_ref().and_then(|source| source.downcast_ref::<RecordError>()) {
                None | Some(RecordError::Truncated | RecordError::Ended) => {
                    CloseReason::Broken(error.to_string())
                }
                Some(tampered) => CloseReason::Tampered(tampered.to_string()),
            }
        }
    }
}

const PULSE_BYTES_MAX: usize = 16;
const PING: u8 = 0;
const PONG: u8 = 1;
const FAREWELL: u8 = 2;

/// The last lane: the link's own. A byte of kind, and for ping and pong eight of a number.
///
/// Silence is watched by Remoc, to which any byte is a sign of life; this lane measures.
struct Pulse {
    sender: chmux::Sender,
    receiver: chmux::Receiver,
    number: u64,
    asked: Option<(u64, Instant)>,
}

enum Heard {
    Farewell,
    Nothing,
    Nonsense,
}

impl Pulse {
    fn new(sender: chmux::Sender, receiver: chmux::Receiver) -> Self {
        Self { sender, receiver, number: 0, asked: None }
    }

    /// Measures and answers until the peer says farewell or the lane ends.
    async fn run(&mut self, state: &LinkState) -> Heard {
        let mut tick = interval(PING_INTERVAL);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                _now = tick.tick() => {
                    if self.asked.is_none() {
                        self.number += 1;
                        self.asked = Some((self.number, Instant::now()));
                        if self.sender.send(message(PING, self.number)).await.is_err() {
                            return Heard::Nothing;
                        }
                    }
                }
                heard = self.receiver.recv() => {
                    let mut heard: Bytes = match heard {
                        Ok(Some(heard)) => heard.into(),
                        Ok(None) | Err(chmux::RecvError::ChMux) => return Heard::Nothing,
                        Err(_too_long) => return Heard::Nonsense,
                    };
                    match (heard.first().copied(), heard.len()) {
                        (Some(FAREWELL), _) => return Heard::Farewell,
                        (Some(PING), 9) => {
                            heard.advance(1);
                            let pong = message(PONG, heard.get_u64_le());
                            if self.sender.send(pong).await.is_err() {
                                return Heard::Nothing;
                            }
                        }
                        (Some(PONG), 9) => {
                            heard.advance(1);
                            let number = heard.get_u64_le();
                            if let Some((asked, at)) = self.asked
                                && asked == number
                            {
                                state.measured(at.elapsed());
                                self.asked = None;
                            }
                        }
                        _ => return Heard::Nonsense,
                    }
                }
            }
        }
    }

    async fn farewell(&mut self) {
        // If it cannot be sent, the connection is gone, which says the same.
        let _ = self.sender.send(Bytes::from_static(&[FAREWELL])).await;
    }
}

fn message(kind: u8, number: u64) -> Bytes {
    let mut message = BytesMut::with_capacity(9);
    message.put_u8(kind);
    message.put_u64_le(number);
    message.freeze()
}

/// A half of the stream that comes home when whoever borrowed it is done: Remoc drops its
/// transport without closing it, and the close record is still to be written.
struct Lent<T> {
    inner: Option<T>,
    home: Option<oneshot::Sender<T>>,
}

impl<T> Lent<T> {
    fn new(inner: T) -> (Self, oneshot::Receiver<T>) {
        let (home, back) = oneshot::channel();
        let lent = Self { inner: Some(inner), home: Some(home) };
        (lent, back)
    }

    fn inner(&mut self) -> &mut T {
        self.inner.as_mut().expect("only dropping takes the inner stream")
    }
}

impl<T> Drop for Lent<T> {
    fn drop(&mut self) {
        if let (Some(inner), Some(home)) = (self.inner.take(), self.home.take()) {
            // Nobody waits for it if the link was never established.
            let _ = home.send(inner);
        }
    }
}

impl<T: AsyncRead + Unpin> AsyncRead for Lent<T> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        out: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(self.inner()).poll_read(cx, out)
    }
}

impl<T: AsyncWrite + Unpin> AsyncWrite for Lent<T> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, data: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(self.inner()).poll_write(cx, data)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(self.inner()).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(self.inner()).poll_shutdown(cx)
    }
}
