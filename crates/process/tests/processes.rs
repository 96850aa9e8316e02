// SPDX-License-Identifier: AGPL-3.0-or-later
//! The process table through its public interface, with programs written in Rust.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use bytes::Bytes;
use hearth_abi::{
    Errno, PeerId, ProcessId,
    signal::{BODY_LEN_MAX, Header, Kind},
};
use hearth_process::{
    Config, Context, ExitKind, ExitReason, FollowEvent, Host, Level, Limits, Processes, Program,
    RegisterError, ReplyTo, SendError, Signal, SpawnError, Spec, State, Take, Tick, Work,
};
use std::{
    future::Future,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicU64, Ordering::SeqCst},
    },
    time::Duration,
};

const HERE: PeerId = PeerId::SERVER;

#[derive(Default)]
struct Peer {
    remote: Mutex<Vec<(ProcessId, ProcessId, Bytes)>>,
    killed: Mutex<Vec<(ProcessId, String)>>,
    ended: Mutex<Vec<(ProcessId, ExitReason)>>,
    reached: AtomicU64,
}

impl Host for Peer {
    fn send_remote(&self, from: ProcessId, to: ProcessId, body: Bytes) -> Result<(), SendError> {
        self.remote.lock().unwrap().push((from, to, body));
        Ok(())
    }
    fn kill_remote(&self, _from: Option<ProcessId>, to: ProcessId, reason: &str) -> Result<(), SendError> {
        self.killed.lock().unwrap().push((to, reason.to_owned()));
        Err(SendError::NoPeer)
    }
    fn serial_reached(&self, serial: u64) -> std::io::Result<()> {
        self.reached.fetch_max(serial, SeqCst);
        Ok(())
    }
    fn exited(&self, id: ProcessId, reason: &ExitReason) {
        self.ended.lock().unwrap().push((id, reason.clone()));
    }
}

fn table() -> (Processes, Arc<Peer>) {
    let peer = Arc::new(Peer::default());
    (Processes::new(Config::new(HERE, 1, 2), peer.clone()), peer)
}

struct Code<F>(F);

impl<F, R> Program for Code<F>
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

fn spec<R: Future<Output = ExitReason> + Send + 'static>(
    code: impl Fn(Context) -> R + Send + Sync + 'static,
) -> Spec {
    Spec {
        program: Arc::new(Code(code)),
        module: None,
        origin: HERE,
        parent: None,
        name: None,
        args: Bytes::new(),
        limits: Limits::default(),
    }
}

async fn take(context: &Context) -> Signal {
    loop {
        match context.take(usize::MAX) {
            Take::Signal(signal) => return signal,
            Take::Empty => {
                context.wait(State::Waiting).await;
            }
            Take::TooLong(_) => unreachable!(),
        }
    }
}

/// Takes signals for ever and drops them.
async fn idle(context: Context) -> ExitReason {
    loop {
        take(&context).await;
    }
}

/// Waits for ever without taking anything.
async fn deaf(_context: Context) -> ExitReason {
    std::future::pending().await
}

/// Waits until `what` holds, a minute at most. Only for what nothing tells about.
async fn eventually(what: impl Fn() -> bool) {
    for _ in 0..6000 {
        if what() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("it never came to be");
}

#[tokio::test]
async fn messages_arrive_in_order_and_say_who_sent_them() {
    let (table, _) = table();
    let sum = spec(|context: Context| async move {
        let mut text = String::new();
        loop {
            let signal = take(&context).await;
            assert_eq!(signal.header.kind, Kind::Message);
            assert_eq!(signal.header.from, ProcessId::new(HERE, 77).unwrap().to_bits());
            match &signal.body[..] {
                b"" => return ExitReason::new(ExitKind::Error, text),
                body => text.push_str(str::from_utf8(body).unwrap()),
            }
        }
    });
    let id = table.spawn(sum).unwrap();
    let from = ProcessId::new(HERE, 77).unwrap();
    let long = "x".repeat(100);
    for word in ["a", "b", &long, "c", ""] {
        table.send(from, id, Bytes::copy_from_slice(word.as_bytes())).unwrap();
    }
    assert_eq!(table.exited(id).await.text, format!("ab{long}c"));
    assert_eq!(table.send(from, id, Bytes::new()), Err(SendError::NotFound));
}

#[tokio::test]
async fn ids_are_never_used_again_and_are_noted_before_they_are_given() {
    let (table, peer) = table();
    let first = table.spawn(spec(deaf)).unwrap();
    assert_eq!(first, ProcessId::new(HERE, 1).unwrap());
    let mut last = first;
    for _ in 0..5000 {
        last = table.spawn(spec(|_| async { ExitReason::normal() })).unwrap();
        assert!(peer.reached.load(SeqCst) > last.serial());
    }
    assert_eq!(last.serial(), 5001);
    // A peer that starts again goes on where the last one might have been.
    let again = Processes::new(Config::new(HERE, peer.reached.load(SeqCst), 2), Arc::new(Peer::default()));
    assert!(again.spawn(spec(deaf)).unwrap() > last);
}

#[tokio::test]
async fn a_full_mailbox_is_an_answer_to_the_sender() {
    let (table, _) = table();
    let limits = Limits { mailbox_signals: 3, mailbox_bytes: 10_000, ..Limits::default() };
    let id = table.spawn(Spec { limits, ..spec(deaf) }).unwrap();
    let send = |bytes: usize| table.send(id, id, Bytes::from(vec![0; bytes]));
    assert_eq!(send(BODY_LEN_MAX + 1), Err(SendError::TooLong));
    assert_eq!(send(10_000), Err(SendError::Full), "the header counts too");
    assert_eq!(send(9_000), Ok(()));
    assert_eq!(send(2_000), Err(SendError::Full));
    assert_eq!(send(10), Ok(()));
    assert_eq!(send(10), Ok(()));
    assert_eq!(send(10), Err(SendError::Full), "three signals are enough");
    let info = table.info(id).unwrap();
    assert_eq!((info.mailbox_len, info.mailbox_bytes), (3, 9_020 + 3 * 24));
}

#[tokio::test]
async fn replies_have_places_of_their_own() {
    let (table, _) = table();
    let held: Arc<Mutex<Vec<ReplyTo>>> = Arc::default();
    let theirs = held.clone();
    let limits = Limits { mailbox_signals: 1, mailbox_bytes: 1000, requests: 3, ..Limits::default() };
    let asker = spec(move |context: Context| {
        let held = theirs.clone();
        async move {
            for tag in [7, 8, 9] {
                held.lock().unwrap().push(context.begin_request(tag).unwrap());
            }
            assert!(matches!(context.begin_request(10), Err(Errno::Limit)));
            assert!(matches!(context.begin_silent_request(), Err(Errno::Limit)));
            // The mailbox is full of a message, and the replies come all the same.
            let mut seen = Vec::new();
            while seen.len() < 4 {
                // Nothing is taken before all has arrived.
                while seen.is_empty() && context.processes().info(context.id()).unwrap().mailbox_len < 4 {
                    tokio::task::yield_now().await;
                }
                let signal = take(&context).await;
                seen.push((signal.header.kind, signal.header.tag, signal.header.status, signal.body.len()));
            }
            // Taken replies leave room for new requests; this one is dropped unanswered.
            drop(context.begin_request(10).unwrap());
            let dropped = take(&context).await;
            assert_eq!((dropped.header.tag, dropped.header.status), (10, Errno::Host.as_return()));
            ExitReason::new(ExitKind::Error, format!("{seen:?}"))
        }
    });
    let id = table.spawn(Spec { limits, ..asker }).unwrap();
    eventually(|| held.lock().unwrap().len() == 3).await;
    table.send(id, id, Bytes::from_static(&[0; 900])).unwrap();
    assert_eq!(table.send(id, id, Bytes::new()), Err(SendError::Full));
    let mut replies = held.lock().unwrap().drain(..).collect::<Vec<_>>().into_iter();
    assert_eq!(table.info(id).unwrap().requests, 3);
    replies.next().unwrap().send(5, &[1; 900][..]);
    replies.next().unwrap().error(Errno::TimedOut, "late");
    // No room for this body; the status says so.
    replies.next().unwrap().send(6, &[1; 900][..]);
    let wanted = format!(
        "{:?}",
        [
            (Kind::Message, 0, 0, 900),
            (Kind::Reply, 7, 5, 900),
            (Kind::Reply, 8, -8, 4),
            (Kind::Reply, 9, -7, 0)
        ]
    );
    assert_eq!(table.exited(id).await.text, wanted);
}

#[tokio::test]
async fn requests_without_a_process_are_answered_in_a_channel() {
    let (reply, answer) = ReplyTo::channel();
    reply.send(3, Bytes::from_static(b"yes"));
    let answer = answer.await.unwrap();
    assert_eq!((answer.status, &answer.body[..]), (3, &b"yes"[..]));
    let (reply, answer) = ReplyTo::channel();
    reply.send(0, vec![0; BODY_LEN_MAX + 1]);
    assert_eq!(answer.await.unwrap().status, Errno::Limit.as_return());
}

#[tokio::test]
async fn only_messages_and_the_like_are_delivered_from_outside() {
    let (table, _) = table();
    let id = table.spawn(spec(deaf)).unwrap();
    let signal = |kind| Signal {
        header: Header { kind, status: 0, from: 0, tag: 0 },
        body: Bytes::from_static(b"x").into(),
    };
    assert_eq!(table.deliver(id, signal(Kind::Input)), Ok(()));
    assert_eq!(table.deliver(id, signal(Kind::Pointer)), Ok(()));
    // These have reserved places that only their request, timer, link or monitor fills.
    for kind in [Kind::Reply, Kind::Timeout, Kind::Exit, Kind::Down] {
        assert_eq!(table.deliver(id, signal(kind)), Err(SendError::NotFound));
    }
}

#[tokio::test]
async fn what_is_for_other_peers_goes_to_the_host() {
    let (table, peer) = table();
    let here = table.spawn(spec(deaf)).unwrap();
    let there = ProcessId::new(PeerId::new(9).unwrap(), 4).unwrap();
    table.send(here, there, Bytes::from_static(b"hello")).unwrap();
    assert_eq!(*peer.remote.lock().unwrap(), [(here, there, Bytes::from_static(b"hello"))]);
    assert_eq!(table.kill(Some(here), there, ""), Err(SendError::NoPeer));
    assert_eq!(*peer.killed.lock().unwrap(), [(there, "killed".to_owned())]);
}

#[tokio::test]
async fn names_belong_to_one_process_and_go_with_it() {
    let (table, _) = table();
    let named = || Spec { name: Some("door".into()), ..spec(idle) };
    let first = table.spawn(named()).unwrap();
    assert_eq!(table.whereis("door"), Some(first));
    let taken = RegisterError::Taken { by: first };
    assert_eq!(table.spawn(named()), Err(SpawnError::Name(taken)));
    let second = table.spawn(spec(idle)).unwrap();
    assert_eq!(table.register(second, "door"), Err(taken));
    assert_eq!(table.register(second, "window"), Ok(()));
    assert_eq!(table.register(second, "window"), Ok(()));
    assert_eq!(table.info(second).unwrap().names, ["window"]);
    assert!(!table.unregister(first, "window"));
    assert!(table.unregister(second, "window"));
    assert_eq!(table.whereis("window"), None);
    for bad in ["", "a\nb", "\u{1b}[2J", &"x".repeat(129)] {
        assert_eq!(table.register(second, bad), Err(RegisterError::Invalid), "{bad:?}");
    }
    for n in 0..64 {
        table.register(second, &format!("name {n}")).unwrap();
    }
    assert_eq!(table.register(second, "one more"), Err(RegisterError::TooMany));
    table.kill(None, first, "").unwrap();
    table.exited(first).await;
    assert_eq!(table.whereis("door"), None);
    assert_eq!(table.register(first, "door"), Err(RegisterError::Invalid));
    assert_eq!(table.register(second, "name 1"), Ok(()), "it has that one already");
}

#[tokio::test]
async fn timers_go_off_in_order_are_replaced_and_cancelled() {
    let (table, _) = table();
    let limits = Limits { timers: 3, ..Limits::default() };
    let program = spec(|context: Context| async move {
        let ms = Duration::from_millis;
        context.set_timer(ms(40), 1).unwrap();
        context.set_timer(ms(20), 2).unwrap();
        context.set_timer(ms(10), 3).unwrap();
        assert_eq!(context.set_timer(ms(1), 4), Err(Errno::Limit));
        assert_eq!(context.set_timer(ms(60), 2), Ok(()), "the same tag replaces");
        assert_eq!(context.cancel_timer(3), Ok(()));
        assert_eq!(context.cancel_timer(3), Err(Errno::NotFound));
        context.set_timer(ms(0), 5).unwrap();
        let mut tags = Vec::new();
        for _ in 0..3 {
            let signal = take(&context).await;
            assert_eq!((signal.header.kind, signal.body.len()), (Kind::Timeout, 0));
            tags.push(signal.header.tag);
        }
        // One that has gone off and was not taken counts still.
        for tag in 10..13 {
            context.set_timer(Duration::ZERO, tag).unwrap();
        }
        while context.processes().info(context.id()).unwrap().mailbox_len < 3 {
            tokio::task::yield_now().await;
        }
        assert_eq!(context.set_timer(Duration::MAX, 20), Err(Errno::Limit));
        assert_eq!(context.cancel_timer(10), Err(Errno::NotFound));
        take(&context).await;
        assert_eq!(context.set_timer(Duration::MAX, 20), Ok(()));
        ExitReason::new(ExitKind::Error, format!("{tags:?}"))
    });
    let id = table.spawn(Spec { limits, ..program }).unwrap();
    assert_eq!(table.exited(id).await.text, "[5, 1, 2]");
}

#[tokio::test]
async fn the_first_reason_to_kill_counts_and_is_remembered() {
    let (table, peer) = table();
    let id = table.spawn(spec(deaf)).unwrap();
    table.kill(None, id, "first").unwrap();
    let _ = table.kill(None, id, "second");
    let reason = table.exited(id).await;
    assert_eq!(reason, ExitReason::new(ExitKind::Killed, "first"));
    assert_eq!(table.exited(id).await, reason);
    assert_eq!(table.ended(id), Some(reason.clone()));
    assert!(table.info(id).is_none());
    assert_eq!(table.kill(None, id, ""), Err(SendError::NotFound));
    eventually(|| !peer.ended.lock().unwrap().is_empty()).await;
    assert_eq!(*peer.ended.lock().unwrap(), [(id, reason)]);
    let never = ProcessId::new(HERE, 999_999).unwrap();
    assert_eq!(table.exited(never).await.text, "no such process");
}

#[tokio::test]
async fn what_a_killed_program_holds_is_dropped_before_its_end_is_told() {
    struct Guard(Arc<AtomicBool>);
    impl Drop for Guard {
        fn drop(&mut self) {
            self.0.store(true, SeqCst);
        }
    }
    let (table, _) = table();
    let dropped = Arc::new(AtomicBool::new(false));
    let flag = dropped.clone();
    let id = table
        .spawn(spec(move |context| {
            let guard = Guard(flag.clone());
            async move {
                let _guard = guard;
                deaf(context).await
            }
        }))
        .unwrap();
    table.started(id).await.unwrap();
    table.kill(None, id, "").unwrap();
    table.exited(id).await;
    assert!(dropped.load(SeqCst));
}

#[tokio::test]
async fn a_panic_in_the_host_ends_that_process_alone() {
    let (table, _) = table();
    let other = table.spawn(spec(deaf)).unwrap();
    let id = table.spawn(spec(|_| async { panic!("oh {}", "no") })).unwrap();
    assert_eq!(table.exited(id).await.text, "the host failed: oh no");
    assert!(table.info(other).is_some());
}

#[tokio::test]
async fn started_tells_the_start_or_the_end_before_it() {
    struct NeverStarts;
    impl Program for NeverStarts {
        fn run(self: Arc<Self>, _: Context) -> Work {
            Work::whole(async { ExitReason::new(ExitKind::Load, "no such module") })
        }
    }
    let (table, _) = table();
    let good = table.spawn(spec(deaf)).unwrap();
    assert_eq!(table.started(good).await, Ok(()));
    let bad = table.spawn(Spec { program: Arc::new(NeverStarts), ..spec(deaf) }).unwrap();
    assert_eq!(table.started(bad).await.unwrap_err().text, "no such module");
}

#[tokio::test]
async fn restart_gives_the_name_to_a_new_process() {
    let (table, _) = table();
    let old = table.spawn(Spec { name: Some("door".into()), ..spec(idle) }).unwrap();
    let new = table.restart(old).unwrap();
    assert_eq!(table.whereis("door"), Some(new));
    let reason = table.exited(old).await;
    assert_eq!((reason.kind, reason.text.into_owned()), (ExitKind::Killed, format!("restarted as {new}")));
    assert_eq!(table.whereis("door"), Some(new), "the end of the old one does not take it away");
    // Once ended, it can still be restarted, unless somebody else has the name.
    assert_eq!(table.restart(old), Err(SpawnError::Name(RegisterError::Taken { by: new })));
    table.kill(None, new, "").unwrap();
    table.exited(new).await;
    let third = table.restart(old).unwrap();
    assert_eq!(table.whereis("door"), Some(third));
    assert_eq!(table.restart(ProcessId::new(HERE, 4_000_000).unwrap()), Err(SpawnError::NotFound));
}

#[tokio::test]
async fn a_restart_of_what_lives_multiplies_nothing_and_revives_nothing() {
    let (table, _) = table();
    let old = table.spawn(spec(deaf)).unwrap();
    table.started(old).await.unwrap();
    let before = table.count();
    // At once, so that it has not ended in between.
    let restarted: Vec<_> = (0..10).map(|_| table.restart_live(old)).collect();
    let new = restarted[0].unwrap();
    assert!(restarted[1..].iter().all(|again| *again == Err(SpawnError::NotFound)), "{restarted:?}");
    assert_eq!(table.restart(old), Err(SpawnError::NotFound));
    assert_eq!(table.exited(old).await.text, format!("restarted as {new}"));
    assert_eq!((table.count(), table.restart_live(old)), (before, Err(SpawnError::NotFound)));
    table.kill(None, new, "").unwrap();
    assert_eq!(table.restart_live(new), Err(SpawnError::NotFound), "it is about to end");
    table.exited(new).await;
    assert_eq!(table.count(), before - 1);
    // What cannot be spawned now can later.
    let one =
        Processes::new(Config { processes_max: 1, ..Config::new(HERE, 1, 2) }, Arc::new(Peer::default()));
    let id = one.spawn(spec(deaf)).unwrap();
    for _ in 0..2 {
        assert_eq!(one.restart_live(id), Err(SpawnError::TooMany { max: 1 }));
    }
}

#[tokio::test]
async fn logs_keep_the_newest_and_the_reason_of_the_end() {
    let (table, _) = table();
    let limits = Limits { log_burst: 2000, ..Limits::default() };
    let program = spec(|context: Context| async move {
        for n in 0..1500 {
            context.log(Level::Info, "loop", &format!("line {n}")).unwrap();
        }
        context.log(Level::Warn, "é".repeat(500).as_str(), &"ü".repeat(5000)).unwrap();
        ExitReason { backtrace: Some("  0: f".into()), ..ExitReason::new(ExitKind::Trap, "too bad") }
    });
    let id = table.spawn(Spec { limits, ..program }).unwrap();
    table.exited(id).await;
    let lines = table.log_lines(id, usize::MAX).unwrap();
    assert!(lines.len() <= 1000);
    let last = &lines[lines.len() - 1];
    assert_eq!((last.text.as_str(), last.level), ("ended: too bad\n  0: f", Level::Error));
    assert_eq!(last.number, 1501);
    let cut = &lines[lines.len() - 2];
    assert_eq!((cut.text.len(), cut.target.len()), (4096, 128));
    assert_eq!(lines[lines.len() - 3].text, "line 1499");
    assert!(lines.windows(2).all(|pair| pair[0].number + 1 == pair[1].number));
    assert_eq!(table.log_lines(id, 1).unwrap().len(), 1);
    assert!(table.log_lines(ProcessId::new(HERE, 12_345).unwrap(), 1).is_none());
}

#[tokio::test]
async fn who_logs_too_much_loses_lines_and_the_log_says_how_many() {
    let (table, _) = table();
    let limits = Limits { log_burst: 5, log_lines_per_s: 1, ..Limits::default() };
    let program = spec(|context: Context| async move {
        let results: Vec<_> = (0..20).map(|n| context.log(Level::Info, "", &n.to_string())).collect();
        assert_eq!(results.iter().filter(|result| result.is_ok()).count(), 5);
        assert_eq!(results[19], Err(Errno::Limit));
        ExitReason::normal()
    });
    let id = table.spawn(Spec { limits, ..program }).unwrap();
    assert_eq!(table.exited(id).await, ExitReason::normal());
    let lines = table.log_lines(id, 2).unwrap();
    assert_eq!(lines[0].text, "15 lines were lost here: too many at once");
    assert_eq!(lines[1].text, "ended");
}

#[tokio::test]
async fn followers_see_the_backlog_the_rest_and_the_end() {
    let (table, _) = table();
    let program = spec(|context: Context| async move {
        loop {
            let signal = take(&context).await;
            match &signal.body[..] {
                b"end" => return ExitReason::normal(),
                body => context.log(Level::Info, "echo", str::from_utf8(body).unwrap()).unwrap(),
            }
        }
    });
    let id = table.spawn(program).unwrap();
    let say = |text: &'static str| table.send(id, id, Bytes::from_static(text.as_bytes())).unwrap();
    for text in ["one", "two"] {
        say(text);
    }
    eventually(|| table.log_lines(id, 9).unwrap().len() == 2).await;
    let mut follower = table.follow_log(id).unwrap();
    let mut late = table.follow_log(id).unwrap();
    late.keep_last(1);
    table.log(id, Level::Warn, "asset", "did not load");
    say("three");
    say("end");
    table.exited(id).await;
    let mut seen = Vec::new();
    while let Some(event) = follower.next().await {
        match event {
            FollowEvent::Line(line) => seen.push(line.text.clone()),
            FollowEvent::Lost(n) => panic!("{n} lost"),
        }
    }
    assert_eq!(seen, ["one", "two", "did not load", "three", "ended"]);
    let Some(FollowEvent::Line(first)) = late.next().await else { panic!("no line") };
    assert_eq!(first.text, "two");
    // One who comes after the end gets all and is not left waiting.
    let mut after = table.follow_log(id).unwrap();
    let mut count = 0;
    while after.next().await.is_some() {
        count += 1;
    }
    assert_eq!(count, 5);
}

#[tokio::test]
async fn a_slow_follower_is_told_what_it_lost() {
    let (table, _) = table();
    let id = table.spawn(spec(deaf)).unwrap();
    let mut follower = table.follow_log(id).unwrap();
    for n in 0..2000 {
        table.log(id, Level::Info, "host", &n.to_string());
    }
    let Some(FollowEvent::Lost(lost)) = follower.next().await else { panic!("nothing lost") };
    let Some(FollowEvent::Line(line)) = follower.next().await else { panic!("no line") };
    assert_eq!(line.number, lost);
}

#[tokio::test]
async fn quiet_ends_do_not_push_out_the_logs_of_others() {
    let (table, _) = table();
    let failed = table.spawn(spec(|_| async { ExitReason::new(ExitKind::Trap, "bad") })).unwrap();
    table.exited(failed).await;
    let mut last = failed;
    for _ in 0..1000 {
        last = table.spawn(spec(|_| async { ExitReason::normal() })).unwrap();
    }
    table.exited(last).await;
    eventually(|| table.count() == 0).await;
    assert_eq!(table.log_lines(failed, 1).unwrap()[0].text, "ended: bad");
    assert!(table.log_lines(last, 1).is_none());
    assert_eq!(table.ended(last), Some(ExitReason::normal()));
}

#[tokio::test]
async fn there_is_a_most_of_processes() {
    let config = Config { processes_max: 2, ..Config::new(HERE, 1, 2) };
    let table = Processes::new(config, Arc::new(Peer::default()));
    table.spawn(spec(deaf)).unwrap();
    table.spawn(spec(deaf)).unwrap();
    assert_eq!(table.spawn(spec(deaf)), Err(SpawnError::TooMany { max: 2 }));
    assert_eq!(table.list().len(), 2);
}

#[tokio::test]
async fn shutdown_ends_all_and_spawns_no_more() {
    let (table, peer) = table();
    for _ in 0..50 {
        table.spawn(spec(deaf)).unwrap();
    }
    table.shutdown().await;
    assert_eq!(table.count(), 0);
    assert_eq!(table.spawn(spec(deaf)), Err(SpawnError::ShuttingDown));
    let ended = peer.ended.lock().unwrap();
    assert_eq!(ended.len(), 50);
    assert!(ended.iter().all(|(_, reason)| reason.text == "the peer shuts down"));
}

/// Spins for ever as an interrupted guest does.
async fn spin(context: Context) -> ExitReason {
    loop {
        let began = std::time::Instant::now();
        while began.elapsed() < Duration::from_micros(500) {
            std::hint::spin_loop();
        }
        match context.tick() {
            Tick::Continue => {}
            Tick::Yield => tokio::task::yield_now().await,
            Tick::Wait(until) => until.await,
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn overrunning_processes_go_to_the_hog_lane_and_leave_the_others_alone() {
    let (table, _) = table();
    let hogs: Vec<_> = (0..8).map(|_| table.spawn(spec(spin)).unwrap()).collect();
    let count = Arc::new(AtomicU64::new(0));
    let counter = count.clone();
    let busy = table
        .spawn(spec(move |context: Context| {
            let counter = counter.clone();
            async move {
                loop {
                    context.send(context.id(), b"again").unwrap();
                    take(&context).await;
                    counter.fetch_add(1, SeqCst);
                    tokio::task::yield_now().await;
                }
            }
        }))
        .unwrap();
    let lane = |id: &ProcessId| table.info(*id).unwrap().lane.name();
    eventually(|| hogs.iter().all(|id| lane(id) == "hog")).await;
    let before = count.load(SeqCst);
    eventually(|| count.load(SeqCst) > before + 10_000).await;
    assert_eq!(lane(&busy), "fiber");
    // All of them go on, in turns.
    let used = |id: &ProcessId| table.info(*id).unwrap().cpu_ns;
    let then: Vec<_> = hogs.iter().map(used).collect();
    eventually(|| hogs.iter().zip(&then).all(|(id, then)| used(id) > *then)).await;
    for id in &hogs {
        table.kill(None, *id, "").unwrap();
        assert_eq!(table.exited(*id).await.kind, ExitKind::Killed);
    }
}
