// SPDX-License-Identifier: AGPL-3.0-or-later
//! The rules of OTP's `supervisor`, one after the other: who is started again, in what order, and for what reason
//! it ends.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use hearth_sdk::{
    prelude::*,
    process::{self, ExitKind, ExitReason},
    supervisor::{self, ChildError, ChildSpec, ChildState, Counts, Restart, Shutdown, Strategy, Supervisor},
    task::Task,
    testing,
};

const LONG: Duration = Duration::from_secs(1000);

fn module() -> LumpId {
    LumpId([7; 32])
}

/// A child whose first argument is its id.
fn child(id: &str, restart: Restart) -> ChildSpec {
    ChildSpec::new(id, module()).args([id]).restart(restart)
}

fn permanent(id: &str) -> ChildSpec {
    child(id, Restart::Permanent)
}

fn abc(strategy: Strategy) -> Supervisor {
    ["a", "b", "c"].map(permanent).into_iter().fold(Supervisor::new(strategy), Supervisor::child)
}

fn crash() -> ExitReason {
    ExitReason::error("out of oil")
}

/// Lets everything happen that is to happen at once.
async fn settle() {
    sleep(Duration::from_millis(1)).await;
}

/// Starts a supervisor whose children end when they are asked to.
async fn begin(supervisor: Supervisor) -> Task<ExitReason> {
    testing::obey_exits();
    let task = spawn_local(supervisor.run());
    settle().await;
    task
}

/// What has been started since the last time: the arguments, in order.
fn started() -> String {
    let args = testing::spawned().into_iter().map(|spawned| spawned.args.join("+"));
    args.collect::<Vec<_>>().join(" ")
}

async fn process(id: &str) -> ProcessId {
    match state(id).await {
        ChildState::Running(process) => process,
        other => panic!("{id} is {other:?}"),
    }
}

async fn state(id: &str) -> ChildState {
    let children = supervisor::which_children(self_id()).await.unwrap();
    children.into_iter().find(|child| child.id.as_deref() == Some(id)).unwrap().state
}

async fn ids() -> Vec<String> {
    let children = supervisor::which_children(self_id()).await.unwrap();
    children.into_iter().filter_map(|child| child.id).collect()
}

/// Lets a child end, and what follows happen.
async fn ends(id: &str, reason: &ExitReason) {
    testing::ends(process(id).await, reason);
    settle().await;
}

fn run(test: impl Future<Output = ()> + 'static) {
    testing::run_for(test, LONG).unwrap();
}

/// The children whose ids these are, in the order in which they were asked to end, and how.
fn asked(ids: &[(&str, ProcessId)]) -> String {
    let exits = testing::exits().into_iter().map(|(to, reason)| {
        let name = ids.iter().find(|(_, process)| *process == to).map_or("?", |(id, _)| id);
        format!("{name}:{}", reason.kind.name())
    });
    exits.collect::<Vec<_>>().join(" ")
}

async fn processes(names: &'static [&'static str]) -> Vec<(&'static str, ProcessId)> {
    let mut all = Vec::new();
    for name in names {
        all.push((*name, process(name).await));
    }
    all
}

#[test]
fn children_start_in_their_order_and_end_in_reverse() {
    run(async {
        let task = begin(abc(Strategy::OneForOne)).await;
        assert_eq!(started(), "a b c");
        assert_eq!(testing::links().len(), 3);
        let ids = processes(&["a", "b", "c"]).await;
        testing::exit_from("0.9".parse().unwrap(), &ExitReason::shutdown());
        assert_eq!(task.await, ExitReason::shutdown());
        assert_eq!(asked(&ids), "c:shutdown b:shutdown a:shutdown");
        assert_eq!(testing::links(), []);
    });
}

/// Which children are asked to end, and which are started, when `b` of `a b c` crashes.
#[test]
fn a_strategy_says_who_is_started_again() {
    let table = [
        (Strategy::OneForOne, "", "b"),
        (Strategy::OneForAll, "c:shutdown a:shutdown", "a b c"),
        (Strategy::RestForOne, "c:shutdown", "b c"),
    ];
    for (strategy, expected_asked, expected_started) in table {
        run(async move {
            let task = begin(abc(strategy)).await;
            started();
            let ids = processes(&["a", "b", "c"]).await;
            ends("b", &crash()).await;
            assert_eq!(asked(&ids), expected_asked, "{strategy:?}");
            assert_eq!(started(), expected_started, "{strategy:?}");
            assert_eq!(testing::links().len(), 3);
            testing::exit_from("0.9".parse().unwrap(), &ExitReason::shutdown());
            task.await;
            testing::exits();
        });
    }
}

/// Whether a child is started again (`true`), stays known (`Some`), or is forgotten.
#[test]
fn a_kind_of_restart_says_after_which_ends() {
    let reasons = || {
        [
            ExitReason::new(ExitKind::Normal),
            ExitReason::shutdown(),
            crash(),
            ExitReason::new(ExitKind::Killed),
            ExitReason::new(ExitKind::Load),
            ExitReason::new(ExitKind::NoProcess),
            // Of a child on this peer: it was linked with somebody who is away.
            ExitReason::new(ExitKind::NoConnection),
        ]
    };
    let table = [
        (Restart::Permanent, [true; 7], true),
        (Restart::Transient, [false, false, true, true, true, true, true], true),
        (Restart::Temporary, [false; 7], false),
    ];
    for (restart, again, is_kept) in table {
        for (reason, again) in reasons().into_iter().zip(again) {
            run(async move {
                let task = begin(Supervisor::new(Strategy::OneForOne).child(child("a", restart))).await;
                assert_eq!(started(), "a");
                ends("a", &reason).await;
                assert_eq!(started(), if again { "a" } else { "" }, "{restart:?} {reason}");
                let known = ids().await;
                assert_eq!(known.len(), usize::from(is_kept), "{restart:?} {reason}");
                testing::exit_from("0.9".parse().unwrap(), &ExitReason::shutdown());
                task.await;
                testing::exits();
            });
        }
    }
}

#[test]
fn too_many_restarts_within_the_period_end_the_supervisor() {
    run(async {
        let task = begin(abc(Strategy::OneForOne).intensity(2, Duration::from_secs(5))).await;
        // Two in 5 seconds are borne for ever.
        for _ in 0..10 {
            ends("b", &crash()).await;
            sleep(Duration::from_secs(3)).await;
        }
        sleep(Duration::from_secs(5)).await;
        started();
        ends("b", &crash()).await;
        ends("a", &crash()).await;
        assert_eq!(started(), "b a");
        let ids = processes(&["a", "b", "c"]).await;
        testing::exits();
        testing::ends(process("b").await, &crash());
        let reason = task.await;
        assert_eq!(reason.kind, ExitKind::Shutdown);
        assert_eq!(reason.text, "reached max restart intensity: child `b`: out of oil");
        assert_eq!(asked(&ids), "c:shutdown a:shutdown");
        assert_eq!((started().as_str(), testing::links()), ("", vec![]));
    });
}

#[test]
fn no_restart_at_all_may_be_allowed() {
    run(async {
        let task = begin(abc(Strategy::OneForAll).intensity(0, Duration::from_secs(5))).await;
        testing::ends(process("a").await, &crash());
        assert_eq!(task.await.kind, ExitKind::Shutdown);
        assert_eq!(started(), "a b c");
    });
}

#[test]
fn a_child_that_does_not_end_in_its_time_is_killed() {
    run(async {
        let slow = |id, way| permanent(id).shutdown(way);
        let supervisor = Supervisor::new(Strategy::OneForOne)
            .child(slow("brutal", Shutdown::BrutalKill))
            .child(slow("second", Shutdown::TimeoutMs(1000)))
            .child(permanent("default"))
            .child(permanent("supervisor").supervisor());
        let task = begin(supervisor).await;
        let ids = processes(&["brutal", "second", "default", "supervisor"]).await;
        ids.iter().for_each(|(_, process)| testing::ignore_exits(*process));
        let before = hearth_sdk::time::monotonic();
        testing::exit_from("0.9".parse().unwrap(), &ExitReason::error("enough"));
        sleep(Duration::from_secs(60)).await;
        assert_eq!(asked(&ids), "supervisor:shutdown", "it is waited for without limit");
        testing::ends(ids[3].1, &ExitReason::shutdown());
        assert_eq!(task.await, ExitReason::error("enough"), "it ends for the reason that it was given");
        assert_eq!((hearth_sdk::time::monotonic() - before).as_secs(), 60 + 5 + 1);
        assert_eq!(asked(&ids), "default:shutdown default:kill second:shutdown second:kill brutal:kill");
    });
}

#[test]
fn a_child_whose_mailbox_is_full_is_asked_again() {
    run(async {
        let task = begin(abc(Strategy::OneForOne)).await;
        let ids = processes(&["a", "b", "c"]).await;
        testing::ignore_exits(ids[2].1);
        // Three times `c`, for whom time goes on, and then `c` again, to be killed.
        (0..3).for_each(|_| testing::refuse_exit(Errno::Full));
        let before = hearth_sdk::time::monotonic();
        testing::exit_from("0.9".parse().unwrap(), &ExitReason::shutdown());
        sleep(Duration::from_millis(250)).await;
        assert_eq!(asked(&ids), "");
        sleep(Duration::from_millis(4500)).await;
        assert_eq!(asked(&ids), "c:shutdown");
        testing::refuse_exit(Errno::NoPeer);
        task.await;
        assert_eq!((hearth_sdk::time::monotonic() - before).as_millis(), 5100);
        assert_eq!(asked(&ids), "c:kill b:shutdown a:shutdown");
    });
}

#[test]
fn what_ends_while_others_are_ended_is_not_waited_for() {
    run(async {
        let task = begin(abc(Strategy::OneForAll)).await;
        let ids = processes(&["a", "b", "c"]).await;
        testing::ignore_exits(ids[2].1);
        started();
        testing::ends(ids[1].1, &crash());
        sleep(Duration::from_secs(1)).await;
        // `c` takes its five seconds; meanwhile `a` crashes too.
        testing::ends(ids[0].1, &crash());
        sleep(Duration::from_secs(5)).await;
        assert_eq!(
            asked(&ids),
            "c:shutdown c:kill",
            "`a` has ended already, and that counts for nothing more"
        );
        assert_eq!(started(), "a b c");
        testing::exit_from("0.9".parse().unwrap(), &ExitReason::shutdown());
        task.await;
    });
}

#[test]
fn one_for_all_starts_those_too_that_had_ended_but_no_temporary_ones() {
    run(async {
        let supervisor = Supervisor::new(Strategy::OneForAll)
            .child(child("transient", Restart::Transient))
            .child(child("temporary", Restart::Temporary))
            .child(permanent("permanent"));
        let _task = begin(supervisor).await;
        ends("transient", &ExitReason::new(ExitKind::Normal)).await;
        assert_eq!(state("transient").await, ChildState::Undefined);
        started();
        ends("permanent", &crash()).await;
        assert_eq!(started(), "transient permanent");
        assert_eq!(ids().await, ["transient", "permanent"]);
    });
}

#[test]
fn if_one_does_not_start_at_first_nothing_does() {
    run(async {
        testing::obey_exits();
        let task = spawn_local(async {
            let supervisor = abc(Strategy::OneForOne);
            supervisor.child(permanent("d").name("door")).child(permanent("e")).run().await
        });
        testing::refuse_spawn(Errno::Limit);
        let reason = task.await;
        assert_eq!(reason.kind, ExitKind::Shutdown);
        assert!(reason.text.starts_with("failed to start child `a`: "), "{reason}");
        assert_eq!(started(), "");
        // A name that does not become free in a second.
        process::register("door").unwrap();
        let supervisor = abc(Strategy::OneForOne).child(permanent("d").name("door")).child(permanent("e"));
        let reason = supervisor.run().await;
        assert!(reason.text.starts_with("failed to start child `d`: "), "{reason}");
        assert_eq!((started().as_str(), testing::links()), ("a b c", vec![]));
        assert_eq!(testing::exits().len(), 3);
    });
}

#[test]
fn a_name_that_becomes_free_is_waited_for() {
    run(async {
        process::register("door").unwrap();
        let task = begin(Supervisor::new(Strategy::OneForOne).child(permanent("d").name("door"))).await;
        assert_eq!(started(), "");
        process::unregister("door").unwrap();
        sleep(Duration::from_millis(100)).await;
        assert_eq!(started(), "d");
        // A child's own name is free before its end is told.
        ends("d", &crash()).await;
        assert_eq!((started().as_str(), process::whereis("door")), ("d", Some(process("d").await)));
        testing::exit_from("0.9".parse().unwrap(), &ExitReason::shutdown());
        task.await;
    });
}

#[test]
fn a_child_that_does_not_start_again_is_tried_until_that_is_too_often() {
    run(async {
        let task = begin(abc(Strategy::RestForOne).intensity(3, Duration::from_secs(5))).await;
        started();
        testing::refuse_spawn(Errno::Limit);
        ends("b", &crash()).await;
        assert_eq!(started(), "");
        assert_eq!((state("b").await, state("c").await), (ChildState::Restarting, ChildState::Restarting));
        sleep(Duration::from_millis(150)).await;
        assert_eq!(started(), "b c", "the crash and the failure were two");
        for _ in 0..2 {
            testing::refuse_spawn(Errno::Limit);
        }
        testing::ends(process("a").await, &crash());
        let reason = task.await;
        assert!(reason.text.starts_with("reached max restart intensity: child `a`: "), "{reason}");
        assert_eq!((reason.kind, testing::links()), (ExitKind::Shutdown, vec![]));
    });
}

#[test]
fn who_is_no_child_ends_the_supervisor_as_any_process() {
    run(async {
        let parent: ProcessId = "0.9".parse().unwrap();
        let task = begin(abc(Strategy::OneForOne)).await;
        process::link(parent).unwrap();
        testing::ends(parent, &ExitReason::new(ExitKind::Normal));
        settle().await;
        testing::exit_from(parent, &ExitReason::new(ExitKind::Normal));
        settle().await;
        assert_eq!(testing::links().len(), 3);
        process::link(parent).unwrap();
        testing::ends(parent, &crash());
        assert_eq!(task.await, crash());
        assert_eq!(testing::links(), []);
    });
}

#[test]
fn a_late_signal_of_a_former_child_does_nothing() {
    run(async {
        let task = begin(abc(Strategy::OneForAll)).await;
        let former = processes(&["a", "b", "c"]).await;
        ends("b", &crash()).await;
        started();
        for (_, process) in former {
            testing::exit_from(process, &crash());
            process::link(process).unwrap();
            testing::ends(process, &crash());
        }
        settle().await;
        assert_eq!((started().as_str(), testing::links().len()), ("", 3));
        testing::exit_from("0.9".parse().unwrap(), &ExitReason::shutdown());
        task.await;
    });
}

#[test]
fn specifications_that_are_wrong_are_an_error() {
    let twice = abc(Strategy::OneForOne).child(permanent("a"));
    let long = Supervisor::new(Strategy::OneForOne).child(permanent(&"x".repeat(129)));
    let many = abc(Strategy::OneForOne).max_children(2);
    let pool = abc(Strategy::SimpleOneForOne);
    let named = Supervisor::new(Strategy::SimpleOneForOne).child(permanent("a").name("a"));
    for supervisor in [twice, long, many, pool, named] {
        let reason = testing::run_for(supervisor.run(), LONG).unwrap();
        assert_eq!(reason.kind, ExitKind::Error, "{reason}");
        assert_eq!(started(), "");
    }
}

#[test]
fn children_come_and_go_at_run_time() {
    run(async {
        let me = self_id();
        let task = begin(abc(Strategy::OneForOne)).await;
        let b = process("b").await;
        assert_eq!(supervisor::start_child(me, &permanent("b")).await, Err(ChildError::AlreadyStarted(b)));
        assert_eq!(supervisor::restart_child(me, "b").await, Err(ChildError::Running));
        assert_eq!(supervisor::delete_child(me, "b").await, Err(ChildError::Running));
        supervisor::terminate_child(me, "b").await.unwrap();
        assert_eq!(testing::exits(), [(b, ExitReason::shutdown())]);
        // Once more: it has ended, which is all that was asked.
        supervisor::terminate_child(me, "b").await.unwrap();
        assert_eq!(state("b").await, ChildState::Undefined);
        let counts = Counts { specs: 3, active: 2, supervisors: 0, workers: 3 };
        assert_eq!(supervisor::count_children(me).await, Ok(counts));
        assert_eq!(supervisor::start_child(me, &permanent("b")).await, Err(ChildError::AlreadyPresent));
        started();
        let again = supervisor::restart_child(me, "b").await.unwrap();
        assert_eq!((process("b").await, started().as_str()), (again, "b"));
        supervisor::terminate_child(me, "b").await.unwrap();
        supervisor::delete_child(me, "b").await.unwrap();
        assert_eq!(supervisor::restart_child(me, "b").await, Err(ChildError::NotFound));
        assert_eq!(supervisor::delete_child(me, "b").await, Err(ChildError::NotFound));
        assert_eq!(supervisor::terminate_child(me, "b").await, Err(ChildError::NotFound));

        let new = supervisor::start_child(me, &permanent("b").supervisor()).await.unwrap();
        assert_eq!((process("b").await, ids().await), (new, ["a", "c", "b"].map(String::from).into()));
        let counts = Counts { specs: 3, active: 3, supervisors: 1, workers: 2 };
        assert_eq!(supervisor::count_children(me).await, Ok(counts));
        testing::refuse_spawn(Errno::Limit);
        let failed = supervisor::start_child(me, &permanent("d")).await;
        assert!(matches!(failed, Err(ChildError::NotStarted(_))), "{failed:?}");
        supervisor::start_child(me, &child("e", Restart::Temporary)).await.unwrap();
        supervisor::terminate_child(me, "e").await.unwrap();
        assert_eq!(ids().await, ["a", "c", "b"], "a temporary one is forgotten");
        assert_eq!(supervisor::start_child_with(me, ["x"]).await, Err(ChildError::SimpleOneForOne));
        testing::exit_from("0.9".parse().unwrap(), &ExitReason::shutdown());
        task.await;
    });
}

#[test]
fn there_is_no_child_too_many() {
    run(async {
        let _task = begin(abc(Strategy::OneForOne).max_children(3)).await;
        assert_eq!(supervisor::start_child(self_id(), &permanent("d")).await, Err(ChildError::Limit));
        let _task = begin(abc(Strategy::OneForOne)).await;
        let long = permanent(&"x".repeat(129));
        assert_eq!(supervisor::start_child(self_id(), &long).await, Err(ChildError::Limit));
    });
}

#[test]
fn a_supervisor_may_be_written_as_json() {
    run(async {
        let module = module();
        let json = format!(
            r#"{{"strategy": "rest_for_one", "intensity": 0, "period_ms": 1, "max_children": 2, "children": [
                {{"id": "a", "module": "{module}", "args": ["a", "1"], "name": "first", "kind": "supervisor"}},
                {{"id": "b", "module": "{module}", "args": ["b"], "restart": "temporary", "shutdown": "brutal_kill"}}
            ]}}"#
        );
        let task = begin(Supervisor::from_json(&json).unwrap()).await;
        assert_eq!((started().as_str(), process::whereis("first")), ("a+1 b", Some(process("a").await)));
        let counts = Counts { specs: 2, active: 2, supervisors: 1, workers: 1 };
        assert_eq!(supervisor::count_children(self_id()).await, Ok(counts));
        let ids = processes(&["a", "b"]).await;
        testing::ends(ids[0].1, &crash());
        assert_eq!(task.await.kind, ExitKind::Shutdown);
        assert_eq!(asked(&ids), "b:kill");
    });
    for wrong in [
        "",
        "{}",
        r#"{"strategy": "one_for_some"}"#,
        r#"{"strategy": "one_for_one", "childs": []}"#,
        r#"{"strategy": "one_for_one", "children": [{"id": "a", "module": "abc"}]}"#,
    ] {
        let error = Supervisor::from_json(wrong).unwrap_err();
        assert_eq!(error.errno, Errno::Malformed, "{wrong}");
    }
}

/// Whoever gives a specification has code run with the supervisor's authority.
#[test]
fn specifications_are_taken_from_few() {
    run(async {
        let (friend, stranger) = ("3.1".parse().unwrap(), "0.77".parse().unwrap());
        let _task = begin(abc(Strategy::OneForOne).trust(friend)).await;
        let a = process("a").await;
        started();
        let spec =
            |id: &str| serde_json::json!({ "start_child": { "id": id, "module": module().to_string() } });
        testing::deliver(stranger, &spec("stranger"));
        testing::deliver(friend, &spec("friend"));
        testing::deliver(a, &spec("child"));
        settle().await;
        assert_eq!(ids().await, ["a", "b", "c", "friend", "child"]);
        let answers = testing::sent::<serde_json::Value>();
        assert_eq!(answers[0], (stranger, serde_json::json!({ "Err": "permission" })));
        assert_eq!(answers[1], (friend, serde_json::json!({ "Ok": process("friend").await.to_string() })));
    });
}

#[test]
fn a_pool_makes_its_children_from_one_specification() {
    run(async {
        let me = self_id();
        let worker = child("worker", Restart::Transient);
        let supervisor = Supervisor::new(Strategy::SimpleOneForOne).child(worker).max_children(3);
        let task = begin(supervisor.intensity(2, Duration::from_secs(5))).await;
        assert_eq!(started(), "");
        let mut workers = Vec::new();
        for number in ["1", "2", "3"] {
            workers.push(supervisor::start_child_with(me, [number]).await.unwrap());
        }
        assert_eq!(supervisor::start_child_with(me, ["4"]).await, Err(ChildError::Limit));
        assert_eq!(started(), "worker+1 worker+2 worker+3");
        // One again, with its arguments; one that has finished is forgotten.
        testing::ends(workers[1], &crash());
        testing::ends(workers[2], &ExitReason::new(ExitKind::Normal));
        settle().await;
        assert_eq!(started(), "worker+2");
        let counts = Counts { specs: 1, active: 2, supervisors: 0, workers: 2 };
        assert_eq!(supervisor::count_children(me).await, Ok(counts));
        let children = supervisor::which_children(me).await.unwrap();
        assert!(children.iter().all(|child| child.id.is_none()), "{children:?}");

        supervisor::terminate_process(me, workers[0]).await.unwrap();
        assert_eq!(supervisor::terminate_process(me, workers[0]).await, Err(ChildError::NotFound));
        assert_eq!(testing::exits(), [(workers[0], ExitReason::shutdown())]);
        let no = Err(ChildError::SimpleOneForOne);
        assert_eq!(supervisor::terminate_child(me, "worker").await, no);
        assert_eq!(supervisor::delete_child(me, "worker").await, no);
        assert_eq!(supervisor::restart_child(me, "worker").await.map(drop), no);
        assert_eq!(supervisor::start_child(me, &permanent("a")).await.map(drop), no);
        testing::exit_from("0.9".parse().unwrap(), &ExitReason::shutdown());
        task.await;
        assert_eq!(testing::links(), []);
    });
}

#[test]
fn a_pool_ends_all_at_once() {
    run(async {
        let task = begin(Supervisor::new(Strategy::SimpleOneForOne).child(permanent("worker"))).await;
        for number in 0..2000 {
            let worker = supervisor::start_child_with(self_id(), [number.to_string()]).await.unwrap();
            if number % 2 == 0 {
                testing::ignore_exits(worker);
            }
        }
        let before = hearth_sdk::time::monotonic();
        testing::exit_from("0.9".parse().unwrap(), &ExitReason::shutdown());
        task.await;
        assert_eq!((hearth_sdk::time::monotonic() - before).as_secs(), 5, "once for all of them");
        assert_eq!((testing::links(), testing::exits().len()), (vec![], 3000));
    });
}

/// The answer of another peer to `spawn_on_link`.
fn answers(process: &str) -> Option<&'static str> {
    let process: ProcessId = process.parse().unwrap();
    testing::answer(Ok(0), &process.to_bits().to_le_bytes())
}

#[test]
fn a_child_on_another_peer_is_started_again_when_that_is_back() {
    run(async {
        let far = |id: &str| permanent(id).on("3".parse().unwrap());
        let supervisor = Supervisor::new(Strategy::RestForOne).child(far("far")).child(permanent("near"));
        let task = begin(supervisor.intensity(1, Duration::from_secs(5))).await;
        // Its peer is not there yet: this is no failure, but the next one waits.
        assert_eq!(
            (testing::answer(Err(Errno::NoPeer), b"away"), started().as_str()),
            (Some("spawn_on_link"), "")
        );
        settle().await;
        assert_eq!(
            (state("far").await, state("near").await),
            (ChildState::Restarting, ChildState::Restarting)
        );
        for _ in 0..5 {
            sleep(Duration::from_secs(2)).await;
            settle().await;
            assert_eq!(testing::answer(Err(Errno::NoPeer), b"away"), Some("spawn_on_link"));
        }
        sleep(Duration::from_secs(2)).await;
        settle().await;
        assert_eq!(answers("3.20"), Some("spawn_on_link"));
        settle().await;
        assert_eq!((process("far").await, started().as_str()), ("3.20".parse().unwrap(), "near"));
        assert!(testing::links().contains(&process("far").await));

        let near = process("near").await;
        for round in 21..25 {
            // The peer goes away and comes back: no restart of those that count.
            ends("far", &ExitReason::new(ExitKind::NoConnection)).await;
            assert_eq!(state("near").await, ChildState::Restarting);
            assert_eq!(testing::answer(Ok(0), b""), None, "it is given time");
            sleep(Duration::from_secs(2)).await;
            settle().await;
            assert_eq!(answers(&format!("3.{round}")), Some("spawn_on_link"));
            settle().await;
            assert_eq!(process("far").await.to_string(), format!("3.{round}"));
        }
        let exits = testing::exits();
        let kill = ("3.20".parse().unwrap(), ExitReason::new(ExitKind::Kill));
        assert_eq!(exits[..2], [(near, ExitReason::shutdown()), kill], "the former one does not live on");
        // It ends as soon as it has started: the supervisor is told of it behind the answer.
        ends("far", &crash()).await;
        assert_eq!(answers("3.30"), Some("spawn_on_link"));
        testing::ends("3.30".parse().unwrap(), &crash());
        assert_eq!(task.await.kind, ExitKind::Shutdown, "these did count");
    });
}
