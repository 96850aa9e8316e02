// SPDX-License-Identifier: AGPL-3.0-or-later
//! Two links that are one another's ends, within one program, for tests of those who use links.
//!
//! There is no socket, no encryption and no clock: whoever holds the [`Wire`] says when which message arrives, and when
//! the line breaks. What a real line does not do, a wire cannot do either: each lane keeps its order and its bound, what
//! is under way when the line breaks is lost, and either end may see that it broke long before the other.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use bytes::Bytes;
use parking_lot::Mutex;
use tokio::sync::mpsc;

use crate::link::{CloseReason, Link, LinkInfo, LinkState};

/// Messages of one lane that have arrived and were not received. What is over it stays under way.
const ARRIVED_MAX: usize = 1024;

/// The lanes, by number: control, hot, bulk, screen.
pub const LANES: usize = 4;

/// One of the two ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// The first.
    First,
    /// The second.
    Second,
}

impl End {
    /// The end opposite.
    pub fn other(self) -> End {
        match self {
            End::First => End::Second,
            End::Second => End::First,
        }
    }
}

/// What lies between two links. Clones are the same.
#[derive(Debug, Clone)]
pub struct Wire(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    ends: [Side; 2],
    /// Whether nothing arrives any more.
    is_broken: AtomicBool,
}

#[derive(Debug)]
struct Side {
    state: Arc<LinkState>,
    /// Where what arrives here goes; empty once this end has ended.
    arriving: Mutex<Vec<mpsc::Sender<Bytes>>>,
}

/// Two links, and what lies between them. `first` and `second` are key and name of the peer at that end.
///
/// # Panics
/// Outside of a Tokio runtime.
pub fn wire(first: ([u8; 32], &str), second: ([u8; 32], &str)) -> (Link, Link, Wire) {
    // Each is told of the other.
    let ((at_first, first), (at_second, second)) = (side(second), side(first));
    let wire = Wire(Arc::new(Shared { ends: [at_first, at_second], is_broken: AtomicBool::new(false) }));
    for end in [End::First, End::Second] {
        let wire = wire.clone();
        tokio::spawn(async move {
            wire.side(end).state.asked.cancelled().await;
            wire.leave(end);
        });
    }
    (first, second, wire)
}

/// One end, of which the peer opposite is known.
fn side((peer_key, peer_name): ([u8; 32], &str)) -> (Side, Link) {
    let state = LinkState::new(LinkInfo {
        peer_key,
        peer_name: peer_name.to_owned(),
        agent: "wire".to_owned(),
        remote_addr: ([127, 0, 0, 1], 1).into(),
        space: [0; 16],
        server_key: [0; 32],
    });
    let (arriving, ports): (Vec<_>, Vec<_>) = (0..LANES).map(|_| mpsc::channel(ARRIVED_MAX)).unzip();
    let ports: [_; LANES] = ports.try_into().expect("as many as there are lanes");
    let link = Link::of_wire(&state, ports);
    (Side { state, arriving: Mutex::new(arriving) }, link)
}

impl Wire {
    fn side(&self, end: End) -> &Side {
        &self.0.ends[end as usize]
    }

    /// How many messages of a lane are under way to an end.
    ///
    /// # Panics
    /// If there is no lane of that number.
    pub fn under_way(&self, to: End, lane: usize) -> usize {
        if self.0.is_broken.load(Ordering::Relaxed) {
            return 0;
        }
        self.side(to.other()).state.queues()[lane].len()
    }

    /// The oldest message of a lane that is under way to an end arrives there; `false` if there is none, or no room
    /// for it.
    ///
    /// # Panics
    /// If there is no lane of that number.
    pub fn deliver(&self, to: End, lane: usize) -> bool {
        let arriving = self.side(to).arriving.lock();
        let Some(room) = arriving.get(lane).and_then(|arriving| arriving.try_reserve().ok()) else {
            return false;
        };
        if self.under_way(to, lane) == 0 {
            return false;
        }
        self.side(to.other()).state.queues()[lane].take_one().map(|message| room.send(message)).is_some()
    }

    /// The line breaks, and this end sees it. What is under way is lost. The other end sees it when that is said of it.
    pub fn cut(&self, seen_by: End) {
        self.0.is_broken.store(true, Ordering::Relaxed);
        self.end(seen_by, CloseReason::Broken("the wire was cut".to_owned()));
    }

    /// Whether an end has ended.
    pub fn has_ended(&self, end: End) -> bool {
        self.side(end).arriving.lock().is_empty()
    }

    fn end(&self, end: End, reason: CloseReason) {
        self.side(end).arriving.lock().clear();
        self.side(end).state.ended(reason);
    }

    /// An end leaves: in order it says so, when what it has sent has arrived.
    fn leave(&self, end: End) {
        let reason = self.side(end).state.wish();
        let heard = match reason {
            CloseReason::Local => CloseReason::Peer,
            _ => CloseReason::Broken("reset by the peer".to_owned()),
        };
        if reason == CloseReason::Local {
            for lane in 0..LANES {
                while self.deliver(end.other(), lane) {}
            }
        }
        let is_broken = self.0.is_broken.swap(true, Ordering::Relaxed);
        if !self.has_ended(end) {
            self.end(end, reason);
        }
        // Over a line that is broken nothing is heard.
        if !is_broken && !self.has_ended(end.other()) {
            self.end(end.other(), heard);
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;

    const HOT: usize = 1;

    fn pair() -> (Link, Link, Wire) {
        wire(([1; 32], "one"), ([2; 32], "two"))
    }

    #[tokio::test]
    async fn messages_arrive_when_it_is_said_and_in_order() {
        let (one, two, wire) = pair();
        assert_eq!((one.peer_name(), two.peer_name()), ("two", "one"));
        let ((one, _keep), (_keep_too, mut two)) = (one.split(), two.split());
        for n in 0..3 {
            one.try_hot(Bytes::copy_from_slice(&[n; 3])).unwrap();
        }
        assert_eq!((wire.under_way(End::Second, HOT), wire.under_way(End::First, HOT)), (3, 0));
        assert_eq!(two.hot.try_recv(), None);
        for n in 0..3 {
            assert!(wire.deliver(End::Second, HOT));
            assert_eq!(two.hot.recv().await.unwrap()[..], [n; 3]);
        }
        assert!(!wire.deliver(End::Second, HOT));
    }

    #[tokio::test]
    async fn what_is_under_way_when_the_line_breaks_is_lost() {
        let (one, two, wire) = pair();
        let ((one, _keep), (two, mut lanes)) = (one.split(), two.split());
        (0..2).for_each(|n| one.try_hot(Bytes::copy_from_slice(&[n])).unwrap());
        assert!(wire.deliver(End::Second, HOT));
        wire.cut(End::First);
        assert!(matches!(one.link().closed().await, CloseReason::Broken(_)));
        assert!(one.try_hot(Bytes::new()).is_err());
        // The other has not seen it, and what it sends goes nowhere.
        two.try_hot(Bytes::new()).unwrap();
        assert_eq!((two.link().close_reason(), wire.under_way(End::First, HOT)), (None, 0));
        assert!(!wire.deliver(End::Second, HOT));
        assert_eq!(lanes.hot.recv().await.unwrap()[..], [0]);
        wire.cut(End::Second);
        assert_eq!(lanes.hot.recv().await, None);
        assert!(matches!(two.link().closed().await, CloseReason::Broken(_)));
    }

    #[tokio::test]
    async fn who_leaves_is_heard_to_the_end() {
        let (one, two, wire) = pair();
        let ((one, lanes), (two, mut heard)) = (one.split(), two.split());
        one.try_hot(Bytes::from_static(b"last")).unwrap();
        drop((one, lanes));
        assert_eq!(two.link().closed().await, CloseReason::Peer);
        assert_eq!(heard.hot.recv().await.unwrap()[..], *b"last");
        assert_eq!(heard.hot.recv().await, None);
        assert!(wire.has_ended(End::First) && wire.has_ended(End::Second));
    }
}
