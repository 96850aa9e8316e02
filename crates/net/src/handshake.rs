// SPDX-License-Identifier: AGPL-3.0-or-later
//! Moves the bytes of a login between a session and its socket.
//!
//! Deadlines are the caller's: these futures are dropped when theirs has passed.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use bytes::{BufMut, BytesMut};
use parking_lot::Mutex;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep, timeout};

use crate::carrier::{self, EstablishError};
use crate::link::{Link, LinkInfo};
use crate::record::{HEADER_BYTES, TAG_BYTES};
use crate::session::{Established, FRAME_BYTES_MAX, Refusal, ServerSession, ServerStep, SessionError};
use crate::stream::{SecureReader, SecureWriter};
use crate::throttle::Throttle;

/// What is buffered of a stranger: a frame, or a proof in its record.
const RECEIVED_BYTES_MAX: usize = FRAME_BYTES_MAX + HEADER_BYTES + TAG_BYTES;

/// Why a login came to nothing.
#[derive(Debug, thiserror::Error)]
pub(crate) enum HandshakeError {
    #[error(transparent)]
    Session(#[from] SessionError),
    #[error("the connection was lost")]
    Io(#[from] io::Error),
    #[error(transparent)]
    Establish(#[from] EstablishError),
    #[error("too many attempts")]
    Throttled,
}

/// Reads some bytes, never more than a login needs.
pub(crate) async fn read_some(stream: &mut TcpStream, received: &mut BytesMut) -> io::Result<()> {
    let room = RECEIVED_BYTES_MAX.saturating_sub(received.len()).max(1);
    if stream.read_buf(&mut received.limit(room)).await? == 0 {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    Ok(())
}

/// Turns a socket and the result of its login into a link.
pub(crate) async fn into_link(
    stream: TcpStream,
    remote_addr: SocketAddr,
    established: Established,
    received: &[u8],
    silence_max: Duration,
) -> Result<Link, HandshakeError> {
    let info = LinkInfo {
        peer_key: established.peer.key,
        peer_name: established.peer.name,
        agent: established.peer.agent,
        remote_addr,
        space: established.server.space,
        server_key: established.server.key,
    };
    let (read, write) = stream.into_split();
    let reader = SecureReader::new(read, established.opener, received);
    let writer = SecureWriter::new(write, established.sealer);
    Ok(carrier::establish(reader, writer, info, silence_max).await?)
}

/// The server's half: from an accepted socket to a login.
///
/// `proved` is called as soon as the client has shown that it knows the password.
pub(crate) async fn serve(
    stream: &mut TcpStream,
    address: SocketAddr,
    mut session: ServerSession,
    throttle: &Mutex<Throttle>,
    patience: Duration,
    proved: impl FnOnce(),
) -> Result<(Established, BytesMut), HandshakeError> {
    let mut received = BytesMut::with_capacity(RECEIVED_BYTES_MAX);
    let mut proved = Some(proved);
    let result = loop {
        if let Err(error) = session.receive(&mut received) {
            break Err(error.into());
        }
        if session.proved()
            && let Some(proved) = proved.take()
        {
            throttle.lock().refund(address.ip(), Instant::now().into_std());
            proved();
        }
        match session.step() {
            ServerStep::Done => break Ok(()),
            ServerStep::Attempt => {
                let now = Instant::now().into_std();
                let taken = throttle.lock().take(address.ip(), now, patience);
                match taken {
                    Ok(wait) => {
                        if !wait.is_zero() {
                            sleep(wait).await;
                        }
                        session.answer()?;
                    }
                    Err(wait) => {
                        let secs = u32::try_from(wait.as_secs()).unwrap_or(u32::MAX);
                        session.refuse(Refusal::Busy(secs.saturating_add(1)));
                        break Err(HandshakeError::Throttled);
                    }
                }
            }
            ServerStep::Receive => {
                let output = session.take_output();
                if !output.is_empty() {
                    stream.write_all(&output).await?;
                }
                read_some(stream, &mut received).await?;
            }
        }
    };
    // On failure too: the output may hold the reason.
    let output = session.take_output();
    if !output.is_empty() {
        stream.write_all(&output).await?;
    }
    if let Err(error) = result {
        hang_up(stream).await;
        return Err(error);
    }
    Ok((session.finish()?, received))
}

/// Closes so that the last bytes arrive: a socket closed over unread bytes resets the connection,
/// which may destroy what the other side has not read yet.
async fn hang_up(stream: &mut TcpStream) {
    const LINGER: Duration = Duration::from_millis(250);
    const READS_MAX: usize = 8;
    let lingering = async {
        stream.shutdown().await?;
        let mut discarded = [0; 512];
        for _ in 0..READS_MAX {
            if stream.read(&mut discarded).await? == 0 {
                break;
            }
        }
        io::Result::Ok(())
    };
    // Courtesy to somebody who is being turned away: no error matters.
    let _ = timeout(LINGER, lingering).await;
}
