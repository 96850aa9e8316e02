// SPDX-License-Identifier: AGPL-3.0-or-later
//! What is tied to a process of another peer while that peer is given up: both halves of it are there afterwards, or
//! neither is.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use bytes::Bytes;
use hearth_abi::{PeerId, ProcessId};
use hearth_process::{
    Config, Context, ExitReason, Host, Limits, Processes, Program, SendError, Spec, State, Tie, Work,
};
use std::{
    collections::BTreeSet,
    sync::{
        Arc, Mutex, OnceLock,
        mpsc::{SyncSender, sync_channel},
    },
    thread,
    time::Duration,
};

const HERE: PeerId = PeerId::SERVER;

/// A process of another peer.
fn far() -> ProcessId {
    ProcessId::new(PeerId::new(5).unwrap(), 1).unwrap()
}

/// The other peer's halves, as what was said over the way that there is now has made them.
#[derive(Debug, Default, PartialEq, Eq)]
struct Halves {
    is_linked: bool,
    monitors: BTreeSet<u64>,
}

#[derive(Default)]
struct Way {
    is_closed: bool,
    /// Told once, in the middle of what is said next, when the peer is to be given up; and how it says that it is.
    gives_up: Option<(SyncSender<SyncSender<()>>, Duration)>,
    halves: Halves,
}

/// The peer around the table, whose only neighbour is the other one.
#[derive(Default)]
struct Peer(Mutex<Way>);

impl Host for Peer {
    fn send_remote(&self, _: ProcessId, _: ProcessId, _: Bytes) -> Result<(), SendError> {
        Err(SendError::NoPeer)
    }
    fn kill_remote(&self, _: Option<ProcessId>, _: ProcessId, _: &str) -> Result<(), SendError> {
        Err(SendError::NoPeer)
    }
    fn tie_remote(&self, _: ProcessId, _: ProcessId, tie: Tie) -> Result<(), SendError> {
        let gives_up = self.0.lock().unwrap().gives_up.take();
        if let Some((begin, at_most)) = gives_up {
            let (tell, told) = sync_channel(1);
            begin.send(tell).unwrap();
            // It may have to wait for this call. What is asked of it comes out at the end, and not of this time.
            let _ = told.recv_timeout(at_most);
        }
        let mut way = self.0.lock().unwrap();
        if way.is_closed {
            return Err(SendError::NoPeer);
        }
        match tie {
            Tie::Link => way.halves.is_linked = true,
            Tie::Unlink | Tie::Exit(_) => way.halves.is_linked = false,
            Tie::Monitor(number) => assert!(way.halves.monitors.insert(number)),
            Tie::Demonitor(number) => {
                way.halves.monitors.remove(&number);
            }
            Tie::Unlinked | Tie::Down(..) => {}
        }
        Ok(())
    }
    fn serial_reached(&self, _: u64) -> std::io::Result<()> {
        Ok(())
    }
    fn exited(&self, _: ProcessId, _: &ExitReason) {}
}

/// Lives, and gives the test its context.
#[derive(Default)]
struct Lives(OnceLock<Context>);

impl Program for Lives {
    fn run(self: Arc<Self>, context: Context) -> Work {
        context.started();
        context.trap_exits(true);
        assert!(self.0.set(context.clone()).is_ok());
        Work::whole(async move {
            loop {
                context.wait(State::Waiting).await;
                context.take(usize::MAX);
            }
        })
    }
}

/// Does something while the other peer is given up, in the middle of what is said of it; then the other peer is there
/// again and does something. Both halves are to be the same.
async fn while_given_up(
    before: impl Fn(&Context),
    what: impl Fn(&Context),
    then: impl Fn(&Processes, ProcessId, &mut Halves) + Sync,
) -> Halves {
    let peer = Arc::new(Peer::default());
    let table = Processes::new(Config::new(HERE, 1, 1), peer.clone());
    let lives = Arc::new(Lives::default());
    let spec = Spec {
        program: lives.clone(),
        module: None,
        origin: HERE,
        parent: None,
        name: None,
        args: Bytes::new(),
        limits: Limits::default(),
    };
    let id = table.spawn(spec).unwrap();
    table.started(id).await.unwrap();
    let context = lives.0.get().unwrap();
    before(context);
    let (begin, begins) = sync_channel::<SyncSender<()>>(1);
    peer.0.lock().unwrap().gives_up = Some((begin, Duration::from_millis(300)));
    thread::scope(|threads| {
        let (peer, table, then) = (&peer, &table, &then);
        threads.spawn(move || {
            let is_over = begins.recv().unwrap();
            peer.0.lock().unwrap().is_closed = true;
            table.peers_gone(|peer| peer == far().peer());
            let mut way = peer.0.lock().unwrap();
            // A new way, over which nothing was said.
            (way.is_closed, way.halves) = (false, Halves::default());
            then(table, id, &mut way.halves);
            let _ = is_over.send(());
        });
        what(context);
    });
    let ties = table.ties(id).unwrap();
    let ours = Halves {
        is_linked: ties.links.contains(&far()),
        monitors: ties.watching.iter().map(|(number, _)| *number).collect(),
    };
    assert_eq!(ties.unlinking, [], "nobody will say that it knows");
    let theirs = std::mem::take(&mut peer.0.lock().unwrap().halves);
    assert_eq!(ours, theirs, "ours and theirs");
    table.shutdown().await;
    ours
}

#[tokio::test]
async fn a_link() {
    let halves = while_given_up(|_| {}, |context| context.link(far()).unwrap(), |_, _, _| {}).await;
    assert_eq!(halves, Halves::default());
}

#[tokio::test]
async fn a_monitor() {
    let halves = while_given_up(|_| {}, |context| context.monitor(far(), 7).unwrap(), |_, _, _| {}).await;
    assert_eq!(halves, Halves::default());
}

/// The other peer's process links itself over the new way. What was said over the old one does not take that away.
#[tokio::test]
async fn an_unlink() {
    let halves = while_given_up(
        |context| context.link(far()).unwrap(),
        |context| context.unlink(far()),
        |table, id, theirs| {
            table.tie(far(), id, Tie::Link);
            theirs.is_linked = true;
        },
    )
    .await;
    assert!(halves.is_linked);
}
