// SPDX-License-Identifier: AGPL-3.0-or-later
//! Limits of processes, and of all processes of one peer of origin: who reaches one is told, and nobody else feels it.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use bytes::Bytes;
use hearth_abi::{Errno, LumpId, PeerId, ProcessId};
use hearth_process::{
    Code, Config, Context, ExitKind, ExitReason, Host, Level, Limit, Limits, MemoryShare, OriginLimits,
    Processes, Program, RegisterError, ReplaceError, SendError, SpawnError, Spec, State, Take, Work,
};
use std::{future::Future, sync::Arc, time::Duration};
use tokio::sync::mpsc;

const HERE: PeerId = PeerId::SERVER;

struct Peer;

impl Host for Peer {
    fn send_remote(&self, _: ProcessId, _: ProcessId, _: Bytes) -> Result<(), SendError> {
        Err(SendError::NoPeer)
    }
    fn kill_remote(&self, _: Option<ProcessId>, _: ProcessId, _: &str) -> Result<(), SendError> {
        Err(SendError::NoPeer)
    }
    fn serial_reached(&self, _: u64) -> std::io::Result<()> {
        Ok(())
    }
    fn exited(&self, _: ProcessId, _: &ExitReason) {}
}

fn table() -> Processes {
    Processes::new(Config::new(HERE, 1, 2), Arc::new(Peer))
}

/// A table in which the processes of each peer of origin may have this together.
fn shared(others: OriginLimits) -> Processes {
    Processes::new(Config { others, ..Config::new(HERE, 1, 2) }, Arc::new(Peer))
}

fn stranger() -> PeerId {
    PeerId::new(5).unwrap()
}

struct Does<F>(F);

impl<F, R> Program for Does<F>
where
    F: Fn(Context) -> R + Send + Sync + 'static,
    R: Future<Output = ExitReason> + Send + 'static,
{
    fn run(self: Arc<Self>, context: Context) -> Work {
        Work::whole(async move {
            context.started();
            (self.0)(context).await
        })
    }
}

fn program<R: Future<Output = ExitReason> + Send + 'static>(
    does: impl Fn(Context) -> R + Send + Sync + 'static,
) -> Arc<dyn Program> {
    Arc::new(Does(does))
}

/// A script of this origin that waits for ever without taking anything.
fn deaf(origin: PeerId) -> Spec {
    let program = program(|context: Context| async move {
        context.wait(State::Parked).await;
        std::future::pending().await
    });
    let module = Some(LumpId([1; 32]));
    Spec { program, module, origin, parent: None, name: None, args: Bytes::new(), limits: Limits::default() }
}

/// A script that has this much memory, and more when it is told to. What became of it is said.
fn grows(bytes: u64, say: &mpsc::Sender<Result<(), u64>>) -> Arc<dyn Program> {
    let say = say.clone();
    program(move |context: Context| {
        let say = say.clone();
        async move {
            let mut share: MemoryShare = context.memory_share();
            let set = |share: &mut MemoryShare, bytes| {
                let set = share.set(bytes);
                if set.is_ok() {
                    context.set_memory(bytes);
                } else {
                    context.reached(Limit::OriginMemoryBytes);
                }
                set
            };
            say.send(set(&mut share, bytes)).await.unwrap();
            loop {
                context.wait(State::Parked).await;
                while let Take::Signal(signal) = context.take(usize::MAX) {
                    let Ok(wanted) = signal.body[..].try_into() else { return ExitReason::normal() };
                    say.send(set(&mut share, u64::from_le_bytes(wanted))).await.unwrap();
                }
            }
        }
    })
}

async fn end(table: &Processes, id: ProcessId) {
    table.kill(None, id, "").unwrap();
    soon(table.exited(id)).await;
}

async fn soon<T>(what: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(60), what).await.expect("it came never")
}

/// What the log of a process says in the host's name.
fn warnings(table: &Processes, id: ProcessId) -> Vec<String> {
    let lines = table.log_lines(id, 1000).unwrap();
    let warnings = lines.iter().filter(|line| line.level == Level::Warn && line.target == "host");
    warnings.map(|line| line.text.clone()).collect()
}

fn reached(table: &Processes, id: ProcessId, limit: Limit) -> u64 {
    let reached = table.info(id).unwrap().reached;
    reached.iter().find(|(which, _)| *which == limit).map_or(0, |(_, times)| *times)
}

#[tokio::test]
async fn living_children_are_bounded_and_a_neighbours_are_not_counted() {
    let table = table();
    let limits = Limits { children: 2, ..Limits::default() };
    let parent = table.spawn(Spec { limits, ..deaf(HERE) }).unwrap();
    let neighbour = table.spawn(Spec { limits, ..deaf(HERE) }).unwrap();
    let child = |parent, name: Option<&str>| {
        table.spawn(Spec { parent: Some(parent), name: name.map(str::to_owned), ..deaf(HERE) })
    };
    let first = child(parent, Some("first")).unwrap();
    // What fails counts nothing.
    assert_eq!(child(parent, Some("first")), Err(SpawnError::Name(RegisterError::Taken { by: first })));
    assert_eq!(child(parent, Some("")), Err(SpawnError::Name(RegisterError::Invalid)));
    assert_eq!(table.info(parent).unwrap().children, 1);
    child(parent, None).unwrap();
    let count = table.count();
    let refused = child(parent, Some("third")).unwrap_err();
    assert_eq!((refused, refused.errno()), (SpawnError::TooManyChildren { parent, max: 2 }, Errno::Limit));
    for word in [&*parent.to_string(), "2 living children", "`children`"] {
        assert!(refused.to_string().contains(word), "{refused}");
    }
    assert_eq!((table.count(), table.whereis("third")), (count, None), "it leaves no trace");
    let said = warnings(&table, parent);
    assert!(said[0].contains("2 processes; 1 spawn refused (limit `children`)"), "{said:?}");
    (0..100).for_each(|_| assert!(child(parent, None).is_err()));
    assert_eq!((warnings(&table, parent), reached(&table, parent, Limit::Children)), (said, 101));
    // Its neighbour spawns as it may.
    child(neighbour, None).unwrap();
    child(neighbour, None).unwrap();
    assert_eq!((reached(&table, neighbour, Limit::Children), warnings(&table, neighbour)), (0, vec![]));
    // One that ends leaves its place, and is no child of another that restarts in its place.
    let again = table.restart(first).unwrap();
    soon(table.exited(first)).await;
    assert_eq!(table.info(parent).unwrap().children, 2, "of one became one, also at the limit");
    end(&table, again).await;
    assert_eq!(table.info(parent).unwrap().children, 1);
    let last = child(parent, None).unwrap();
    // The children of one that has ended count for nobody, and live on.
    end(&table, parent).await;
    assert!(table.info(last).is_some());
    end(&table, last).await;
    // The log has all of them.
    let log = table.log_lines(parent, 10).unwrap();
    assert!(log.iter().any(|line| line.text.contains("100 spawns refused")), "{log:?}");
}

#[tokio::test]
async fn a_child_that_cannot_be_tied_counts_nothing() {
    let table = table();
    let (say, mut heard) = mpsc::channel(10);
    let limits = Limits { links: 1, children: 2, spawns_per_s: Some(1), spawn_burst: 2, ..Limits::default() };
    let program = program(move |context: Context| {
        let say = say.clone();
        async move {
            let spawn = || {
                let spec = Spec { parent: Some(context.id()), ..deaf(HERE) };
                context.processes().spawn_tied(spec, context.bond_of_link())
            };
            for _ in 0..50 {
                say.send(spawn()).await.unwrap();
            }
            std::future::pending().await
        }
    });
    let parent = table.spawn(Spec { program, limits, ..deaf(HERE) }).unwrap();
    let first = soon(heard.recv()).await.unwrap().unwrap();
    for _ in 1..50 {
        // Neither as a child nor as one of the two that it may spawn at once.
        assert_eq!(soon(heard.recv()).await.unwrap(), Err(SpawnError::NotTied(Errno::Limit)));
    }
    assert_eq!(table.info(parent).unwrap().children, 1);
    assert_eq!(reached(&table, parent, Limit::Links), 49);
    assert_eq!(table.origin(HERE).processes, 2);
    end(&table, first).await;
}

#[tokio::test]
async fn spawns_are_bounded_by_rate_if_that_is_wanted() {
    let table = table();
    let limits = Limits { spawns_per_s: Some(1), spawn_burst: 3, ..Limits::default() };
    let parent = table.spawn(Spec { limits, ..deaf(HERE) }).unwrap();
    let child = |parent| table.spawn(Spec { parent: Some(parent), ..deaf(HERE) });
    let refused = (0..1000).find_map(|n| child(parent).err().map(|error| (n, error)));
    let (n, error) = refused.expect("nobody spawns a thousand in a second of which each is one");
    assert!(n >= 3, "{n}");
    assert_eq!(error, SpawnError::TooFast { parent, max: 1 });
    assert!(error.to_string().contains("`spawns_per_s`"));
    assert_eq!(table.info(parent).unwrap().children, n);
    assert!(warnings(&table, parent)[0].contains("1 spawn refused (limit `spawns_per_s`)"));
    // One that nobody bounds spawns on.
    let neighbour = table.spawn(deaf(HERE)).unwrap();
    assert!((0..1000).all(|_| child(neighbour).is_ok()));
}

#[tokio::test]
async fn the_processes_of_one_origin_are_bounded_together() {
    let table = shared(OriginLimits { processes: 3, ..OriginLimits::OTHERS });
    let (a, b) = (table.spawn(deaf(stranger())).unwrap(), table.spawn(deaf(stranger())).unwrap());
    let c = table.spawn(Spec { parent: Some(a), ..deaf(stranger()) }).unwrap();
    assert_eq!(table.origin(stranger()).processes, 3);
    let full = SpawnError::OriginFull { origin: stranger(), max: 3 };
    assert_eq!(table.spawn(deaf(stranger())), Err(full));
    assert_eq!(full.errno(), Errno::Limit);
    for word in ["peer 5", "3 processes", "`processes`"] {
        assert!(full.to_string().contains(word), "{full}");
    }
    // The one that spawns finds it in its log, and did not spawn anything.
    assert_eq!(table.spawn(Spec { parent: Some(b), ..deaf(stranger()) }), Err(full));
    assert!(warnings(&table, b)[0].contains("3 processes; 1 spawn refused (limit `origin_processes`)"));
    assert_eq!((table.info(b).unwrap().children, table.info(a).unwrap().children), (0, 1));
    // Those of others do not feel it, and what the peer runs without a module is nobody's.
    let other = PeerId::new(6).unwrap();
    assert!((0..3).all(|_| table.spawn(deaf(other)).is_ok()));
    assert!((0..10).all(|_| table.spawn(deaf(HERE)).is_ok()));
    table.spawn(Spec { module: None, ..deaf(stranger()) }).unwrap();
    // At the limit one may still be restarted; one that has ended may not, for it would be one more.
    let again = table.restart(c).unwrap();
    soon(table.exited(c)).await;
    assert_eq!((table.origin(stranger()).processes, table.info(a).unwrap().children), (3, 1));
    end(&table, again).await;
    assert_eq!(table.origin(stranger()).processes, 2);
    table.spawn(deaf(stranger())).unwrap();
    assert_eq!(table.restart(again), Err(full));
    assert_eq!(table.origins().iter().map(|info| info.processes).collect::<Vec<_>>(), [10, 3, 3]);
}

#[tokio::test]
async fn code_of_another_origin_moves_the_process_to_that_account() {
    let table = table();
    let id = table.spawn(deaf(stranger())).unwrap();
    soon(table.started(id)).await.unwrap();
    let counts = || (table.origin(stranger()).processes, table.origin(HERE).processes);
    let code = |does: Arc<dyn Program>| Code { program: does, module: Some(LumpId([2; 32])), origin: HERE };
    let broken = program(|_| async { ExitReason::new(ExitKind::Error, "broken") });
    let failed = soon(table.replace(id, code(broken), HERE)).await;
    assert!(matches!(failed, Err(ReplaceError::Failed(_))), "{failed:?}");
    assert_eq!(counts(), (1, 0), "the code before goes on");
    soon(table.replace(id, code(deaf(HERE).program), HERE)).await.unwrap();
    assert_eq!(counts(), (0, 1));
    soon(table.roll_back(id, HERE)).await.unwrap();
    assert_eq!(counts(), (1, 0));
    end(&table, id).await;
    assert_eq!(counts(), (0, 0));
}

#[tokio::test]
async fn the_memory_of_one_origin_is_bounded_together_and_given_back() {
    let table = shared(OriginLimits { memory_bytes: 1000, ..OriginLimits::OTHERS });
    let (say, mut heard) = mpsc::channel(10);
    let mut spawn = async |bytes, origin| {
        let id = table.spawn(Spec { program: grows(bytes, &say), ..deaf(origin) }).unwrap();
        (id, soon(heard.recv()).await.unwrap())
    };
    let (first, has) = spawn(600, stranger()).await;
    assert_eq!(has, Ok(()));
    let (second, has) = spawn(500, stranger()).await;
    assert_eq!(has, Err(1000));
    assert_eq!(table.origin(stranger()).memory_bytes, 600, "what was refused counts nothing");
    let said = warnings(&table, second);
    assert!(
        said[0].contains("1000 bytes; 1 demand for more refused (limit `origin_memory_bytes`)"),
        "{said:?}"
    );
    // Others have what they want.
    assert_eq!(spawn(1000, PeerId::new(6).unwrap()).await.1, Ok(()));
    assert_eq!(spawn(1 << 40, HERE).await.1, Err(OriginLimits::OWN.memory_bytes));
    assert_eq!(spawn(1 << 30, HERE).await.1, Ok(()));
    let mut set = async |id, bytes: u64| {
        table.send(id, id, Bytes::copy_from_slice(&bytes.to_le_bytes())).unwrap();
        soon(heard.recv()).await.unwrap()
    };
    assert_eq!(set(second, 400).await, Ok(()));
    assert_eq!(set(second, 401).await, Err(1000));
    assert_eq!(set(first, 500).await, Ok(()));
    assert_eq!(set(second, 500).await, Ok(()));
    assert_eq!(table.origin(stranger()).memory_bytes, 1000);
    // Killed or ended, it is given back.
    end(&table, first).await;
    assert_eq!(table.origin(stranger()).memory_bytes, 500);
    table.send(second, second, Bytes::new()).unwrap();
    soon(table.exited(second)).await;
    assert_eq!(table.origin(stranger()).memory_bytes, 0);
}

#[tokio::test]
async fn memory_of_replaced_code_counts_while_it_is_there() {
    let table = shared(OriginLimits { memory_bytes: 1000, ..OriginLimits::OTHERS });
    let (say, mut heard) = mpsc::channel(10);
    let code = |program| Code { program, module: Some(LumpId([2; 32])), origin: stranger() };
    let id = table.spawn(Spec { program: grows(300, &say), ..deaf(stranger()) }).unwrap();
    assert_eq!(soon(heard.recv()).await.unwrap(), Ok(()));
    // New code that does not start, beside which the code before keeps its memory.
    let theirs = say.clone();
    let broken = program(move |context: Context| {
        let theirs = theirs.clone();
        async move {
            let mut share = context.memory_share();
            theirs.send(share.set(701)).await.unwrap();
            theirs.send(share.set(700)).await.unwrap();
            ExitReason::new(ExitKind::Error, "broken")
        }
    });
    let failed = soon(table.replace(id, code(broken), stranger())).await;
    assert!(matches!(failed, Err(ReplaceError::Failed(_))), "{failed:?}");
    assert_eq!([heard.recv().await, heard.recv().await], [Some(Err(1000)), Some(Ok(()))]);
    assert_eq!(table.origin(stranger()).memory_bytes, 300);
    // New code that starts: that of the code before goes.
    soon(table.replace(id, code(grows(200, &say)), stranger())).await.unwrap();
    assert_eq!(table.origin(stranger()).memory_bytes, 200);
    end(&table, id).await;
    assert_eq!(table.origin(stranger()).memory_bytes, 0);
}

#[tokio::test]
async fn each_limit_that_is_reached_is_seen_in_the_log_and_from_outside() {
    let table = table();
    let (say, mut heard) = mpsc::channel(10);
    let limits = Limits {
        requests: 1,
        timers: 1,
        links: 1,
        monitors: 1,
        log_burst: 1,
        log_lines_per_s: 0,
        mailbox_signals: 1,
        ..Limits::default()
    };
    let linked: Vec<_> = (0..2).map(|_| table.spawn(deaf(HERE)).unwrap()).collect();
    let program = program(move |context: Context| {
        let (say, linked) = (say.clone(), linked.clone());
        async move {
            let hour = Duration::from_secs(3600);
            let mut held = Vec::new();
            for n in 0..2 {
                held.extend(context.begin_request(n));
                let errors = [
                    context.set_timer(hour, n),
                    context.link(linked[n as usize]),
                    context.monitor(linked[n as usize], n),
                    context.log(Level::Info, "", "a line"),
                ];
                let expect = if n == 0 { Ok(()) } else { Err(Errno::Limit) };
                assert_eq!(errors, [expect; 4]);
            }
            say.send(held.len()).await.unwrap();
            std::future::pending().await
        }
    });
    let id = table.spawn(Spec { program, limits, ..deaf(HERE) }).unwrap();
    assert_eq!(soon(heard.recv()).await.unwrap(), 1);
    table.send(id, id, Bytes::new()).unwrap();
    (0..17).for_each(|_| assert_eq!(table.send(id, id, Bytes::new()), Err(SendError::Full)));
    let said = warnings(&table, id);
    for limit in ["requests", "timers", "links", "monitors", "mailbox_signals"] {
        let lines = said.iter().filter(|line| line.contains(&format!("(limit `{limit}`)"))).count();
        assert_eq!(lines, 1, "{limit}: {said:?}");
    }
    let info = table.info(id).unwrap();
    assert_eq!((info.requests, info.timers, info.links, info.monitors), (1, 1, 1, 1));
    assert_eq!((info.mailbox_len, info.limits), (1, limits));
    let times = [
        (Limit::MailboxSignals, 17),
        (Limit::Requests, 1),
        (Limit::Timers, 1),
        (Limit::Links, 1),
        (Limit::Monitors, 1),
        (Limit::LogLines, 1),
    ];
    assert_eq!(info.reached, times);
    // Bytes are another limit than signals.
    let narrow = Limits { mailbox_bytes: 100, ..Limits::default() };
    let other = table.spawn(Spec { limits: narrow, ..deaf(HERE) }).unwrap();
    assert_eq!(table.send(id, other, vec![0; 200].into()), Err(SendError::Full));
    let text = "mailbox full: 100 bytes; 1 message refused (limit `mailbox_bytes`)";
    assert_eq!(warnings(&table, other), [text]);
}

#[test]
fn a_child_gets_no_more_than_its_parent_of_anything() {
    let usual = Limits::default();
    let low = Limits { memory_bytes: 1, spawns_per_s: Some(7), ..usual };
    let high = Limits { memory_bytes: 1 << 40, timers: 1 << 20, children: 3, ..usual };
    assert_eq!(usual.at_most(&low), low);
    assert_eq!(usual.at_most(&high), Limits { children: 3, ..usual });
    assert_eq!(low.at_most(&usual), low);
    assert_eq!(low.at_most(&Limits { spawns_per_s: Some(9), ..usual }), low);
}
