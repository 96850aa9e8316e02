// SPDX-License-Identifier: AGPL-3.0-or-later
//! The server's door: strangers are bounded, and only peers come through.

use std::collections::BTreeMap;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;

use crate::config::HandshakeLimits;
use crate::handshake::{self, HandshakeError};
use crate::session::ServerSession;
use crate::throttle::{Throttle, bucket_of};
use crate::{Link, ServerConfig};

/// Peers that have logged in and were not accepted yet. When so many wait, the next one's deadline
/// runs on.
const ACCEPTED_MAX: usize = 16;

/// A listening socket that yields authenticated peers.
///
/// Logins run beside each other in a task of its own, whether or not [`accept`](Self::accept) is
/// called; dropping the listener ends them all. Links that were accepted live on.
#[derive(Debug)]
pub struct Listener {
    local_addr: SocketAddr,
    door: Arc<Door>,
    links: mpsc::Receiver<Link>,
    task: JoinHandle<()>,
}

impl Listener {
    /// Listens on `addr` (`host:port`; port 0 for any).
    ///
    /// # Errors
    /// If the address cannot be resolved or bound, or the configured name or agent is too long or
    /// not printable (`InvalidInput`).
    pub async fn bind(addr: &str, config: Arc<ServerConfig>) -> io::Result<Self> {
        // Finds out now, and not at the first login.
        ServerSession::new(config.clone())
            .map_err(|error| io::Error::new(io::ErrorKind::InvalidInput, error))?;
        let socket = TcpListener::bind(addr).await?;
        let local_addr = socket.local_addr()?;
        let door = Arc::new(Door::new(config.limits.clone()));
        let (ready, links) = mpsc::channel(ACCEPTED_MAX);
        let task = tokio::spawn(accept_all(socket, config, door.clone(), ready));
        Ok(Self { local_addr, door, links, task })
    }

    /// The address that it listens on.
    pub fn local_addr(&self) -> SocketAddr {
        self.local_addr
    }

    /// The next peer that has logged in. Cancel safe.
    pub async fn accept(&mut self) -> Link {
        self.links.recv().await.expect("the accepting task ends only with the listener")
    }

    /// Connections that have not logged in yet; never more than
    /// [`HandshakeLimits::half_open_max`].
    pub fn half_open(&self) -> usize {
        self.door.strangers.lock().len()
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn accept_all(
    socket: TcpListener,
    config: Arc<ServerConfig>,
    door: Arc<Door>,
    ready: mpsc::Sender<Link>,
) {
    /// When the machine is out of sockets, more haste gives none.
    const PAUSE: Duration = Duration::from_millis(50);
    let mut logins = JoinSet::new();
    loop {
        tokio::select! {
            accepted = socket.accept() => match accepted {
                Ok((stream, address)) => {
                    let place = Door::enter(&door, address.ip());
                    logins.spawn(admit(stream, address, place, config.clone(), door.clone(), ready.clone()));
                }
                Err(error) => {
                    tracing::warn!(%error, "a connection could not be accepted");
                    sleep(PAUSE).await;
                }
            },
            // So that finished logins are not kept.
            Some(_finished) = logins.join_next() => {}
        }
    }
}

/// One connection, from the socket to the link; whatever goes wrong concerns nobody else.
async fn admit(
    stream: TcpStream,
    address: SocketAddr,
    place: Place,
    config: Arc<ServerConfig>,
    door: Arc<Door>,
    ready: mpsc::Sender<Link>,
) {
    let evicted = place.evicted.clone();
    let deadline = config.limits.deadline;
    let login = async {
        let link = log_in(stream, address, place, config, &door).await?;
        // A closed channel means that the listener is gone, and this task soon.
        let _ = ready.send(link).await;
        Ok::<(), HandshakeError>(())
    };
    tokio::select! {
        ended = timeout(deadline, login) => match ended {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::debug!(%address, %error, "a login failed"),
            Err(_elapsed) => tracing::debug!(%address, "a login took too long"),
        },
        () = evicted.cancelled() => {
            tracing::debug!(%address, "a stranger made room for another");
        }
    }
}

async fn log_in(
    mut stream: TcpStream,
    address: SocketAddr,
    place: Place,
    config: Arc<ServerConfig>,
    door: &Door,
) -> Result<Link, HandshakeError> {
    // Without it, Nagle and delayed acknowledgements cost 44 ms a round trip.
    stream.set_nodelay(true)?;
    let silence_max = config.silence_max;
    // An attempt that would have to wait for longer than half of its deadline is better refused.
    let patience = config.limits.deadline / 2;
    let session = ServerSession::new(config)?;
    let (established, received) = handshake::serve(
        &mut stream,
        address,
        session,
        &door.throttle,
        patience,
        // It is a stranger no more, and cannot be made to give way to one.
        move || drop(place),
    )
    .await?;
    handshake::into_link(stream, address, established, &received, silence_max).await
}

/// Who stands at the door without having logged in.
#[derive(Debug)]
struct Door {
    limits: HandshakeLimits,
    throttle: Mutex<Throttle>,
    /// In the order of their coming.
    strangers: Mutex<Strangers>,
}

#[derive(Debug, Default)]
struct Strangers {
    next: u64,
    standing: BTreeMap<u64, (IpAddr, CancellationToken)>,
}

impl Strangers {
    fn len(&self) -> usize {
        self.standing.len()
    }

    fn of(&self, bucket: IpAddr) -> impl Iterator<Item = u64> {
        self.standing.iter().filter(move |(_, (other, _))| *other == bucket).map(|(number, _)| *number)
    }

    fn evict(&mut self, number: Option<u64>) {
        if let Some((_, evicted)) = number.and_then(|number| self.standing.remove(&number)) {
            evicted.cancel();
        }
    }
}

impl Door {
    fn new(limits: HandshakeLimits) -> Self {
        Self { throttle: Mutex::new(Throttle::new(limits.throttle)), limits, strangers: Mutex::default() }
    }

    /// Lets a stranger in, at the cost of another if there are too many.
    ///
    /// Turning newcomers away instead would let anybody keep a friend out by holding sockets.
    fn enter(door: &Arc<Self>, address: IpAddr) -> Place {
        let bucket = bucket_of(address);
        let mut strangers = door.strangers.lock();
        if strangers.of(bucket).count() >= door.limits.half_open_per_address_max.max(1) {
            let oldest = strangers.of(bucket).next();
            strangers.evict(oldest);
        }
        if strangers.len() >= door.limits.half_open_max.max(1) {
            // The oldest of whoever has the most; the table is small.
            let oldest = strangers
                .standing
                .values()
                .map(|(bucket, _)| (strangers.of(*bucket).count(), *bucket))
                .max_by_key(|(count, _)| *count)
                .and_then(|(_, bucket)| strangers.of(bucket).next());
            strangers.evict(oldest);
        }
        let number = strangers.next;
        strangers.next += 1;
        let evicted = CancellationToken::new();
        strangers.standing.insert(number, (bucket, evicted.clone()));
        Place { door: door.clone(), number, evicted }
    }
}

/// A stranger's place at the door, free again when dropped.
#[derive(Debug)]
struct Place {
    door: Arc<Door>,
    number: u64,
    evicted: CancellationToken,
}

impl Drop for Place {
    fn drop(&mut self) {
        self.door.strangers.lock().standing.remove(&self.number);
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;

    fn door(half_open_max: usize, per_address: usize) -> Arc<Door> {
        Arc::new(Door::new(HandshakeLimits {
            half_open_max,
            half_open_per_address_max: per_address,
            ..HandshakeLimits::default()
        }))
    }

    #[test]
    fn the_oldest_of_an_address_gives_way() {
        let door = door(100, 3);
        let address = IpAddr::from([10, 0, 0, 1]);
        let places: Vec<Place> = (0..5).map(|_| Door::enter(&door, address)).collect();
        let evicted: Vec<bool> = places.iter().map(|p| p.evicted.is_cancelled()).collect();
        assert_eq!(evicted, [true, true, false, false, false]);
        assert_eq!(door.strangers.lock().len(), 3);
        drop(places);
        assert_eq!(door.strangers.lock().len(), 0);
    }

    #[test]
    fn the_address_with_most_strangers_gives_way() {
        let door = door(6, 4);
        let friend = Door::enter(&door, IpAddr::from([10, 0, 0, 1]));
        let crowd: Vec<Place> =
            (0..50_u8).map(|n| Door::enter(&door, IpAddr::from([10, 0, 1, n % 5]))).collect();
        assert_eq!(door.strangers.lock().len(), 6);
        assert_eq!(crowd.iter().filter(|p| !p.evicted.is_cancelled()).count(), 5);
        assert!(!friend.evicted.is_cancelled());
    }
}
