// SPDX-License-Identifier: AGPL-3.0-or-later
//! What terminals show, as this peer shares it and has it from others (`docs/formats/peer.md`, "Screen").
//!
//! A link is ordered and loses nothing, so a neighbour has what was sent to it: each sender keeps the screen
//! that it sent last, and makes the next update from that one to the newest, when there is room for it. Screens
//! that came and went meanwhile were never made into anything.

use bytes::Bytes;
use hearth_abi::{
    PeerId, TerminalId,
    screen::{Numbers, Screen, UPDATE_LEN_MAX},
};
use hearth_protocol::screen::{CELLS_MAX, Frame, TERMINALS_MAX};
use parking_lot::Mutex;
use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::Arc,
    time::Duration,
};
use tokio::sync::Notify;

/// Least time between two updates of a terminal over one link: 30 a second.
pub(crate) const INTERVAL: Duration = Duration::from_millis(34);
/// From this many cells on, an update is made or read on a thread for long work.
const LARGE_CELLS: usize = 1 << 16;
/// From this many compressed bytes on too: DEFLATE makes at most a megabyte of less.
const LARGE_PACKED: usize = 1 << 10;

/// All terminals that are shared with others, of this peer and of others.
pub(crate) struct Screens {
    me: PeerId,
    state: Mutex<State>,
    /// Told when there is something to send, by the neighbour that it is for.
    senders: Mutex<HashMap<PeerId, Arc<Notify>>>,
}

#[derive(Default)]
struct State {
    shown: BTreeMap<TerminalId, Shown>,
    last_version: u32,
}

/// What a terminal shows.
struct Shown {
    screen: Arc<Screen>,
    /// Another one with each screen, so that a sender knows what is new; never zero.
    version: u32,
    /// The update that was made last, for the other neighbours who are as far as that one was.
    made: Option<(Numbers, Bytes)>,
}

/// What one neighbour was sent since its link began.
#[derive(Default)]
pub(crate) struct Sent(BTreeMap<TerminalId, (u32, Arc<Screen>)>);

/// What one neighbour has sent since its link began.
#[derive(Default)]
pub(crate) struct Received {
    /// The number of the last update of each terminal.
    numbers: BTreeMap<TerminalId, u32>,
    /// An update that is not whole, and whose it is.
    part: Option<(TerminalId, Vec<u8>)>,
}

/// A change of what others show.
#[derive(Debug, PartialEq)]
pub(crate) struct Change {
    pub(crate) terminal: TerminalId,
    /// What it shows now; `None` if nothing any more.
    pub(crate) screen: Option<Arc<Screen>>,
}

impl Screens {
    pub(crate) fn new(me: PeerId) -> Screens {
        Screens { me, state: Mutex::default(), senders: Mutex::default() }
    }

    /// Shows the others what a terminal of this peer shows. `false` if that would be more than one peer may show.
    pub(crate) fn share(&self, terminal: TerminalId, screen: Arc<Screen>) -> bool {
        let is_within = self.state.lock().put(terminal, screen);
        if is_within {
            self.tell(terminal.peer());
        }
        is_within
    }

    /// Shows the others a terminal no longer.
    pub(crate) fn hide(&self, terminal: TerminalId) {
        if self.state.lock().shown.remove(&terminal).is_some() {
            self.tell(terminal.peer());
        }
    }

    /// What a terminal of another peer shows.
    pub(crate) fn get(&self, terminal: TerminalId) -> Option<Arc<Screen>> {
        self.state.lock().shown.get(&terminal).map(|shown| shown.screen.clone())
    }

    /// All terminals that are shared, and what they show.
    pub(crate) fn list(&self) -> Vec<(TerminalId, Arc<Screen>)> {
        self.state.lock().shown.iter().map(|(id, shown)| (*id, shown.screen.clone())).collect()
    }

    /// A peer has left for good: so have its terminals.
    pub(crate) fn peer_left(&self, peer: PeerId) {
        self.state.lock().shown.retain(|terminal, _| terminal.peer() != peer);
        self.tell(peer);
    }

    /// Told when there may be something for a neighbour.
    pub(crate) fn changed_for(&self, peer: PeerId) -> Arc<Notify> {
        self.senders.lock().entry(peer).or_default().clone()
    }

    /// The link to a neighbour has ended.
    pub(crate) fn leave(&self, peer: PeerId) {
        self.senders.lock().remove(&peer);
    }

    /// Wakes those who send to all but the peer that it came from.
    fn tell(&self, from: PeerId) {
        let senders = self.senders.lock();
        senders.iter().filter(|(peer, _)| **peer != from).for_each(|(_, sender)| sender.notify_one());
    }

    /// Whether a neighbour is sent this terminal: a client sends its own, a server to each the others'.
    fn is_for(&self, peer: PeerId, terminal: TerminalId) -> bool {
        match self.me {
            PeerId::SERVER => terminal.peer() != peer,
            me => terminal.peer() == me,
        }
    }

    /// Whether a neighbour may say what this terminal shows.
    fn may_say(&self, peer: PeerId, terminal: TerminalId) -> bool {
        match self.me {
            PeerId::SERVER => terminal.peer() == peer,
            me => terminal.peer() != me,
        }
    }

    /// The terminals of which a neighbour has not what is newest, and those that it shall forget.
    pub(crate) fn due(&self, peer: PeerId, sent: &Sent) -> Vec<TerminalId> {
        let state = self.state.lock();
        let is_new = |(terminal, shown): &(&TerminalId, &Shown)| {
            self.is_for(peer, **terminal)
                && sent.0.get(*terminal).is_none_or(|(version, _)| *version != shown.version)
        };
        let new = state.shown.iter().filter(is_new).map(|(terminal, _)| *terminal);
        // First, so that the neighbour has room for the others.
        let gone = sent.0.keys().copied().filter(|terminal| !state.shown.contains_key(terminal));
        gone.chain(new).collect()
    }

    /// The frames that bring a neighbour from what it was sent to what a terminal shows now, and a note that it was
    /// sent that. `None` if that would be more than one peer may show, beside what it was sent of the peer's other
    /// terminals and is not so any more: then it comes when that was sent anew.
    pub(crate) async fn next_for(&self, terminal: TerminalId, sent: &mut Sent) -> Option<Vec<Frame>> {
        let newest = {
            let state = self.state.lock();
            state.shown.get(&terminal).map(|shown| (shown.version, shown.screen.clone(), shown.made.clone()))
        };
        let Some((version, screen, made)) = newest else {
            let was_sent = sent.0.remove(&terminal).is_some();
            return Some(was_sent.then_some(Frame::Gone { terminal }).into_iter().collect());
        };
        let others = of_peer(&sent.0, terminal).map(|(_, (_, screen))| &**screen);
        if !is_within(others, &screen) {
            return None;
        }
        let base = sent.0.get(&terminal).cloned();
        let base = base.filter(|(_, base)| {
            // A change is for a screen of the same size.
            (base.columns(), base.rows()) == (screen.columns(), screen.rows())
        });
        let numbers = Numbers { number: version, base: base.as_ref().map_or(0, |(version, _)| *version) };
        let update = match made {
            Some((of, update)) if of == numbers => update,
            _ => {
                let of = screen.clone();
                let update: Bytes = at_length(screen.cells().len(), move || {
                    hearth_terminal::pack(numbers, base.as_ref().map(|(_, base)| &**base), &of)
                })
                .await
                .into();
                if let Some(shown) = self.state.lock().shown.get_mut(&terminal)
                    && shown.version == version
                {
                    shown.made = Some((numbers, update.clone()));
                }
                update
            }
        };
        sent.0.insert(terminal, (version, screen));
        Some(Frame::pieces(terminal, &update).collect())
    }

    /// A frame of a neighbour. The error is a reason to end its link.
    pub(crate) async fn receive(
        &self,
        peer: PeerId,
        received: &mut Received,
        frame: Frame,
    ) -> Result<Vec<Change>, String> {
        if let Some((terminal, _)) = &received.part
            && !matches!(&frame, Frame::Update { terminal: next, .. } if next == terminal)
        {
            return Err(format!("an update of terminal {terminal} ends early"));
        }
        match frame {
            Frame::Update { terminal, .. } | Frame::Gone { terminal } if !self.may_say(peer, terminal) => {
                Err(format!("the peer said what terminal {terminal} shows, which is not its to say"))
            }
            Frame::Update { terminal, is_last, piece } => {
                let (_, mut update) = received.part.take().unwrap_or_else(|| (terminal, Vec::new()));
                if update.len() + piece.len() > UPDATE_LEN_MAX {
                    return Err(format!("an update of terminal {terminal} is too long"));
                }
                update.extend_from_slice(&piece);
                if !is_last {
                    received.part = Some((terminal, update));
                    return Ok(Vec::new());
                }
                self.update(received, terminal, update).await
            }
            Frame::Gone { terminal } => {
                received.numbers.remove(&terminal);
                Ok(self.forget(|id| id == terminal))
            }
            Frame::All => Ok(self.forget(|id| self.may_say(peer, id) && !received.numbers.contains_key(&id))),
        }
    }

    async fn update(
        &self,
        received: &mut Received,
        terminal: TerminalId,
        update: Vec<u8>,
    ) -> Result<Vec<Change>, String> {
        let before = received.numbers.get(&terminal).copied();
        let base = self.get(terminal).filter(|_| before.is_some());
        let cells = match update.len() < LARGE_PACKED {
            true => base.as_ref().map_or(0, |base| base.cells().len()),
            false => LARGE_CELLS,
        };
        let taken = at_length(cells, move || {
            let mut screen = base.map_or_else(|| Screen::new(1, 1), |base| (*base).clone());
            hearth_terminal::unpack(&mut screen, &update).map(|numbers| (numbers, screen))
        });
        let (numbers, screen) = taken.await.map_err(|error| {
            format!("malformed update of terminal {terminal}: {}", crate::lumps::chain(&error))
        })?;
        if numbers.base != 0 && Some(numbers.base) != before {
            return Err(format!("an update of terminal {terminal} builds on one that was not sent"));
        }
        let screen = Arc::new(screen);
        let mut changes = Vec::new();
        if !self.state.lock().put(terminal, screen.clone()) {
            // What is known from the link before may not be so any more; if it is, it is named again.
            let of = terminal.peer();
            changes = self.forget(|id| id.peer() == of && !received.numbers.contains_key(&id));
            if !self.state.lock().put(terminal, screen.clone()) {
                return Err("the peer shows more than one peer may".into());
            }
        }
        received.numbers.insert(terminal, numbers.number);
        self.tell(terminal.peer());
        changes.push(Change { terminal, screen: Some(screen) });
        Ok(changes)
    }

    fn forget(&self, which: impl Fn(TerminalId) -> bool) -> Vec<Change> {
        let mut gone = BTreeSet::new();
        self.state.lock().shown.retain(|terminal, _| {
            let is_gone = which(*terminal);
            if is_gone {
                gone.insert(*terminal);
            }
            !is_gone
        });
        gone.iter()
            .map(|terminal| terminal.peer())
            .collect::<BTreeSet<_>>()
            .into_iter()
            .for_each(|peer| self.tell(peer));
        gone.into_iter().map(|terminal| Change { terminal, screen: None }).collect()
    }
}

impl State {
    /// Notes what a terminal shows now; `false`, and nothing, if its peer would show too much.
    fn put(&mut self, terminal: TerminalId, screen: Arc<Screen>) -> bool {
        if !is_within(of_peer(&self.shown, terminal).map(|(_, other)| &*other.screen), &screen) {
            return false;
        }
        self.last_version = self.last_version.wrapping_add(1).max(1);
        self.shown.insert(terminal, Shown { screen, version: self.last_version, made: None });
        true
    }
}

/// What is known of the other terminals of a terminal's peer, which all stand together.
fn of_peer<T>(
    all: &BTreeMap<TerminalId, T>,
    terminal: TerminalId,
) -> impl Iterator<Item = (&TerminalId, &T)> {
    let first = TerminalId::new(terminal.peer(), 0).unwrap_or(terminal);
    let of_peer = all.range(first..).take_while(move |(id, _)| id.peer() == terminal.peer());
    of_peer.filter(move |(id, _)| **id != terminal)
}

/// Whether one peer may show this beside the others.
fn is_within<'a>(others: impl Iterator<Item = &'a Screen>, screen: &Screen) -> bool {
    let (mut count, mut cells) = (1, screen.cells().len());
    for other in others {
        count += 1;
        cells += other.cells().len();
    }
    count <= TERMINALS_MAX && cells <= CELLS_MAX
}

/// Does work on so many cells: at once if they are few, else where it holds up nobody.
async fn at_length<T: Send + 'static>(cells: usize, work: impl FnOnce() -> T + Send + 'static) -> T {
    if cells < LARGE_CELLS {
        return work();
    }
    match tokio::task::spawn_blocking(work).await {
        Ok(done) => done,
        Err(error) => std::panic::resume_unwind(error.into_panic()),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;

    fn peer(number: u32) -> PeerId {
        PeerId::new(number).unwrap()
    }

    fn terminal(of: u32, serial: u64) -> TerminalId {
        TerminalId::new(peer(of), serial).unwrap()
    }

    fn screen(text: &str) -> Arc<Screen> {
        sized(20, 2, text)
    }

    fn sized(columns: u16, rows: u16, text: &str) -> Arc<Screen> {
        let mut screen = Screen::new(columns, rows);
        screen.cells_mut().iter_mut().zip(text.chars()).for_each(|(cell, c)| cell.character = c);
        Arc::new(screen)
    }

    /// What one peer knows, and one direction of a link to another.
    struct Way<'a> {
        from: &'a Screens,
        to: &'a Screens,
        sent: Sent,
        received: Received,
    }

    impl<'a> Way<'a> {
        fn new(from: &'a Screens, to: &'a Screens) -> Way<'a> {
            Way { from, to, sent: Sent::default(), received: Received::default() }
        }

        /// All that is due goes over; how many bytes that were.
        async fn go(&mut self) -> usize {
            let mut bytes = 0;
            for terminal in self.from.due(self.to.me, &self.sent) {
                for frame in self.from.next_for(terminal, &mut self.sent).await.unwrap_or_default() {
                    let encoded = frame.encode();
                    bytes += encoded.len();
                    let frame = Frame::decode(&encoded).unwrap();
                    self.to.receive(self.from.me, &mut self.received, frame).await.unwrap();
                }
            }
            bytes
        }

        async fn all(&mut self) {
            self.to.receive(self.from.me, &mut self.received, Frame::All).await.unwrap();
        }
    }

    #[tokio::test]
    async fn what_one_shows_all_others_see_and_nobody_is_told_of_their_own() {
        let [server, ada, bob] = [0, 1, 2].map(|number| Screens::new(peer(number)));
        let id = terminal(1, 7);
        let (mut up, mut down) = (Way::new(&ada, &server), Way::new(&server, &bob));
        let (mut back, mut other) = (Way::new(&server, &ada), Way::new(&bob, &server));
        for text in ["one", "two", "three"] {
            assert!(ada.share(id, screen(text)));
            assert!(up.go().await > 0);
            assert!(down.go().await > 0);
            assert_eq!(bob.get(id), Some(screen(text)));
            assert_eq!((up.go().await, down.go().await), (0, 0), "it is sent once");
            assert_eq!((back.go().await, other.go().await), (0, 0), "nobody says what is not theirs");
        }
        // One who comes late, and is sent what is there now only.
        let late = Screens::new(peer(3));
        let mut to_late = Way::new(&server, &late);
        to_late.go().await;
        assert_eq!(late.get(id), Some(screen("three")));
        assert!(ada.share(id, sized(30, 5, "larger")));
        up.go().await;
        down.go().await;
        to_late.go().await;
        assert_eq!((bob.get(id), late.get(id)), (ada.get(id), ada.get(id)));
        ada.hide(id);
        up.go().await;
        down.go().await;
        assert_eq!((server.get(id), bob.get(id)), (None, None));
        assert_eq!(down.go().await, 0);
    }

    #[tokio::test]
    async fn who_is_slow_skips() {
        let [server, bob] = [0, 2].map(|number| Screens::new(peer(number)));
        let id = terminal(0, 7);
        let mut way = Way::new(&server, &bob);
        server.share(id, screen("first"));
        way.go().await;
        for n in 0..1000 {
            server.share(id, screen(&format!("line {n}")));
        }
        let bytes = way.go().await;
        assert!(bytes < 100, "{bytes} bytes for one small change");
        assert_eq!(bob.get(id), Some(screen("line 999")));
    }

    #[tokio::test]
    async fn who_returns_sees_the_right_screens_and_no_others() {
        let [server, bob] = [0, 2].map(|number| Screens::new(peer(number)));
        let (stays, went) = (terminal(1, 7), terminal(1, 8));
        let mut way = Way::new(&server, &bob);
        for id in [stays, went] {
            server.share(id, screen("before"));
        }
        bob.share(terminal(2, 9), screen("own"));
        way.go().await;
        way.all().await;
        assert_eq!(bob.get(went), Some(screen("before")));
        // The link breaks, and meanwhile:
        server.share(stays, screen("after"));
        server.hide(went);
        let mut way = Way::new(&server, &bob);
        assert_eq!(bob.get(went), Some(screen("before")), "it stays until it is known to be gone");
        way.go().await;
        way.all().await;
        assert_eq!((bob.get(stays), bob.get(went)), (Some(screen("after")), None));
        assert_eq!(bob.get(terminal(2, 9)), Some(screen("own")));
    }

    #[tokio::test]
    async fn what_is_not_a_peers_to_say_is_refused() {
        let update = |id: TerminalId, numbers: Numbers, base: Option<&Screen>| {
            let update = hearth_terminal::pack(numbers, base, &screen("forged"));
            Frame::pieces(id, &update.into()).collect::<Vec<_>>()
        };
        let keyframe = |id| update(id, Numbers { number: 1, base: 0 }, None);
        let change = |id, base| update(id, Numbers { number: 9, base }, Some(&screen("")));
        let half = |id| Frame::Update { terminal: id, is_last: false, piece: Bytes::from_static(b"x") };
        let (own, other) = (terminal(1, 7), terminal(2, 7));
        for (frames, wanted) in [
            (keyframe(other), "not its to say"),
            (keyframe(terminal(0, 7)), "not its to say"),
            (vec![Frame::Gone { terminal: other }], "not its to say"),
            (change(own, 1), "other size"),
            ([keyframe(own), change(own, 2)].concat(), "not sent"),
            (vec![half(own), Frame::All], "ends early"),
            ([vec![half(own)], keyframe(terminal(1, 8))].concat(), "ends early"),
            (
                vec![half(own), Frame::Update { terminal: own, is_last: true, piece: b"y"[..].into() }],
                "malformed",
            ),
        ] {
            let server = Screens::new(PeerId::SERVER);
            let mut received = Received::default();
            let (last, first) = frames.split_last().unwrap();
            for frame in first {
                server.receive(peer(1), &mut received, frame.clone()).await.unwrap();
            }
            let error = server.receive(peer(1), &mut received, last.clone()).await.unwrap_err();
            let is_it = error.contains(wanted) || wanted == "other size" && error.contains("malformed");
            assert!(is_it, "{error}");
            assert_eq!(server.get(other), None);
        }
    }

    #[tokio::test]
    async fn who_keeps_to_the_bounds_is_never_over_them() {
        let [ada, server] = [1, 0].map(|number| Screens::new(peer(number)));
        let mut way = Way::new(&ada, &server);
        let serials = 1..=TERMINALS_MAX as u64;
        for serial in serials.clone() {
            assert!(ada.share(terminal(1, serial), screen("")));
        }
        way.go().await;
        // The last goes, and another comes that stands before it.
        ada.hide(terminal(1, TERMINALS_MAX as u64));
        assert!(ada.share(terminal(1, 0), screen("new")));
        way.go().await;
        assert_eq!(server.get(terminal(1, 0)), Some(screen("new")));
        assert_eq!(server.get(terminal(1, TERMINALS_MAX as u64)), None);
        // A link breaks, and all that is shown over the next are others.
        for serial in serials {
            ada.hide(terminal(1, serial));
            assert!(ada.share(terminal(1, 1000 + serial), screen("again")) || serial == TERMINALS_MAX as u64);
        }
        let mut way = Way::new(&ada, &server);
        way.go().await;
        way.all().await;
        assert_eq!(server.list(), ada.list());
    }

    #[tokio::test]
    async fn of_two_that_change_their_sizes_the_smaller_goes_first() {
        let [ada, server] = [1, 0].map(|number| Screens::new(peer(number)));
        let (one, two) = (terminal(1, 1), terminal(1, 2));
        let mut way = Way::new(&ada, &server);
        // Of a million cells there is room for four.
        for serial in 2..=5 {
            assert!(ada.share(terminal(1, serial), sized(1000, 1000, "")));
        }
        assert!(ada.share(one, sized(10, 10, "")));
        way.go().await;
        assert!(ada.share(two, sized(10, 10, "")) && ada.share(one, sized(1000, 1000, "")));
        assert_eq!(ada.due(PeerId::SERVER, &way.sent), [one, two]);
        assert_eq!(ada.next_for(one, &mut way.sent).await, None, "what the server has leaves no room for it");
        while way.go().await > 0 {}
        assert_eq!(server.list(), ada.list());
    }

    #[tokio::test]
    async fn one_peer_shows_no_more_than_it_may() {
        let server = Screens::new(PeerId::SERVER);
        for serial in 1..=TERMINALS_MAX as u64 {
            assert!(server.share(terminal(1, serial), screen("")));
        }
        assert!(!server.share(terminal(1, 1000), screen("")));
        assert!(server.share(terminal(1, 1), screen("again")));
        assert!(server.share(terminal(2, 1), screen("of another")));
        // 1,000 × 1,000 cells each.
        for serial in 1..=4 {
            assert!(server.share(terminal(3, serial), sized(1000, 1000, "")));
        }
        assert!(!server.share(terminal(3, 5), sized(1000, 1000, "")));
        server.peer_left(peer(1));
        assert!(server.share(terminal(1, 1000), screen("")));
        assert_eq!((server.get(terminal(1, 1)), server.get(terminal(2, 1)).is_some()), (None, true));
    }
}
