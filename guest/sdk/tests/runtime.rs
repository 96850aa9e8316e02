// SPDX-License-Identifier: AGPL-3.0-or-later
//! The executor, messages and timers, against the small peer of `testing`.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use hearth_sdk::{
    abi::{input::Event, scene::Op},
    message,
    prelude::*,
    process::{self, Down, ExitReason},
    testing, time,
};
use std::{cell::RefCell, rc::Rc};

const LONG: Duration = Duration::from_secs(100);

fn other() -> ProcessId {
    "2.7".parse().unwrap()
}

#[test]
fn a_timer_ends_when_its_time_has_come_and_not_before() {
    let waits = || async {
        sleep(Duration::from_millis(500)).await;
        time::monotonic()
    };
    assert_eq!(testing::run_for(waits(), Duration::from_millis(499)), None);
    let then = time::monotonic();
    assert_eq!(testing::run_for(waits(), LONG), Some(then + Duration::from_millis(500)));
}

#[test]
fn what_loses_a_race_stops_its_timer() {
    let raced = testing::run_for(
        async { race(sleep(Duration::from_secs(1)), sleep(Duration::from_secs(2))).await },
        LONG,
    );
    assert_eq!(raced, Some(Either::Left(())));
    assert_eq!(testing::timers(), 0);
}

#[test]
fn a_message_that_is_none_of_the_kind_is_logged_and_left_out() {
    testing::deliver(other(), &"text");
    testing::deliver_bytes(other(), &[0xff, 0xff]);
    testing::deliver(other(), &7);
    let got = testing::run_for(async { recv::<u32>().await }, LONG).unwrap();
    assert_eq!((got.from, got.body, got.is_call()), (other(), 7, false));
    let logs = testing::logs();
    assert_eq!(
        logs.iter().filter(|(level, text)| *level == 2 && text.contains("2.7")).count(),
        2,
        "{logs:?}"
    );
}

#[test]
fn messages_keep_their_order_and_wait_for_who_asks_later() {
    for number in 0..10 {
        testing::deliver(other(), &number);
    }
    let all = testing::run_for(
        async {
            sleep(Duration::from_secs(1)).await;
            let mut all = Vec::new();
            for _ in 0..10 {
                all.push(recv::<u32>().await.body);
            }
            all
        },
        LONG,
    );
    assert_eq!(all, Some((0..10).collect()));
}

#[test]
fn messages_beyond_the_bound_are_lost_with_a_warning() {
    for number in 0..5000u32 {
        testing::deliver(other(), &number);
    }
    let count = testing::run_for(
        async {
            sleep(Duration::from_secs(1)).await;
            let mut count = 0;
            while timeout(Duration::from_secs(1), recv::<u32>()).await.is_ok() {
                count += 1;
            }
            count
        },
        LONG,
    );
    assert_eq!(count, Some(4096));
    assert!(testing::logs().iter().any(|(level, text)| *level == 2 && text.starts_with("904 messages lost")));
}

#[test]
fn a_call_takes_its_own_answer_and_no_other() {
    let asked = testing::run_for(
        async {
            let first = spawn_local(call::<String, _>(other(), "first", Duration::from_secs(5)));
            let second = spawn_local(call::<String, _>(other(), "second", Duration::from_secs(5)));
            sleep(Duration::ZERO).await;
            // What the other process does, with the messages that it got.
            let sent = testing::sent_bytes();
            for (_, question) in sent.iter().rev() {
                testing::deliver_bytes(other(), question);
                let question = recv::<String>().await;
                assert!(question.is_call());
                question.reply(&format!("answer to {}", question.body)).unwrap();
            }
            let answers = testing::sent_bytes();
            // From a stranger it is no answer.
            testing::deliver_bytes("3.1".parse().unwrap(), &answers[1].1);
            for (_, answer) in answers {
                testing::deliver_bytes(other(), &answer);
            }
            (first.await, second.await)
        },
        LONG,
    );
    let (first, second) = asked.unwrap();
    assert_eq!(first.unwrap(), "answer to first");
    assert_eq!(second.unwrap(), "answer to second");
}

#[test]
fn a_call_without_an_answer_times_out_and_a_late_answer_is_no_message() {
    let end = testing::run_for(
        async {
            let error = call::<u32, _>(other(), "?", Duration::from_secs(1)).await.unwrap_err();
            let (_, question) = testing::sent_bytes().remove(0);
            testing::deliver_bytes(other(), &question);
            recv::<String>().await.reply(&1).unwrap();
            let (_, late) = testing::sent_bytes().remove(0);
            testing::deliver_bytes(other(), &late);
            testing::deliver(other(), &2);
            (error.errno, recv::<u32>().await.body)
        },
        LONG,
    );
    assert_eq!(end, Some((Errno::TimedOut, 2)));
}

#[test]
fn a_call_is_tagged_cbor_that_any_language_reads() {
    testing::run_for(
        async {
            let _ = call::<u32, _>(other(), &[1u8], Duration::ZERO).await;
        },
        LONG,
    );
    let (to, bytes) = testing::sent_bytes().remove(0);
    assert_eq!(to, other());
    assert_eq!(bytes[..6], [0xda, b'H', b'C', b'A', b'L', 0x82]);
    assert_eq!(bytes[15..], [0x81, 0x01]);
    // Whoever writes the number in its shortest form is understood too.
    testing::deliver_bytes(other(), &[0xda, b'H', b'C', b'A', b'L', 0x82, 0x18, 200, 0x63, b'h', b'e', b'y']);
    let call = testing::run_for(async { recv::<String>().await }, LONG).unwrap();
    assert_eq!((call.body.as_str(), call.is_call()), ("hey", true));
    call.reply(&5).unwrap();
    assert_eq!(testing::sent_bytes()[0].1[..5], [0xda, b'H', b'A', b'N', b'S']);
}

#[test]
fn a_request_gives_the_peers_reason() {
    let error = testing::run_for(
        async {
            let module = Lump::put(b"no module").unwrap();
            spawn_local(async {
                sleep(Duration::from_secs(1)).await;
                let call = testing::answer(Err(Errno::Module), b"imports `env.print`");
                assert_eq!(call, Some("spawn_on"));
            });
            spawn_on(PeerId::SERVER, module.0, None, ["1"]).await.unwrap_err()
        },
        LONG,
    );
    assert_eq!(error.unwrap().to_string(), "module refused: imports `env.print`");
}

#[test]
fn what_is_spawned_on_another_peer_is_tied_with_the_answer() {
    let (far, other): (ProcessId, ProcessId) = ("3.20".parse().unwrap(), "3.21".parse().unwrap());
    let answer = |id: ProcessId| testing::answer(Ok(0), &id.to_bits().to_le_bytes());
    let (peer, module) = (far.peer(), LumpId([1; 32]));
    let down = testing::run_for(
        async move {
            spawn_local(async move {
                assert_eq!(answer(far), Some("spawn_on_link"));
                sleep(Duration::from_secs(1)).await;
                assert_eq!(answer(other), Some("spawn_on_monitor"));
                // It ends before the script has seen the answer.
                testing::ends(other, &ExitReason::error("out of oil"));
            });
            assert_eq!(process::spawn_on_link(peer, module, None, ["1"]).await.unwrap(), far);
            assert_eq!(testing::links(), [far]);
            let monitor = process::spawn_on_monitor(peer, module, None, ["1"]).await.unwrap();
            assert_eq!(monitor.process(), other);
            monitor.await
        },
        LONG,
    );
    assert_eq!(down, Some(Down { process: other, reason: ExitReason::error("out of oil") }));
    // Who does not wait for the answer monitors nobody, and an error leaves nothing.
    let none: [&str; 0] = [];
    let given_up = testing::run_for(
        async move { timeout(Duration::ZERO, process::spawn_on_monitor(peer, module, None, none)).await.err() },
        LONG,
    );
    assert!(given_up.unwrap().is_some());
    assert_eq!((answer(other), testing::monitors()), (Some("spawn_on_monitor"), 0));
    let failed = testing::run_for(
        async move {
            spawn_local(async { assert!(testing::answer(Err(Errno::NoPeer), b"away").is_some()) });
            process::spawn_on_monitor(peer, module, None, none).await.err()
        },
        LONG,
    );
    assert_eq!((failed.flatten().unwrap().errno, testing::monitors()), (Errno::NoPeer, 0));
}

#[test]
fn lumps_are_read_in_pieces() {
    let bytes: Vec<u8> = (0..3_000_000u32).map(|n| n as u8).collect();
    let read = testing::run_for(
        async move {
            let lump = Lump::store(&bytes).await.unwrap();
            assert_eq!(lump.read(1000, LONG).await.unwrap_err().errno, Errno::Limit);
            lump.read(usize::MAX, LONG).await.unwrap() == bytes
        },
        LONG,
    );
    assert_eq!(read, Some(true));
}

#[test]
fn tasks_go_on_beside_each_other_and_end_when_cancelled() {
    let seen = Rc::new(RefCell::new(Vec::new()));
    let (a, b) = (Rc::clone(&seen), Rc::clone(&seen));
    testing::run_for(
        async move {
            let fast = spawn_local(async move {
                loop {
                    sleep(Duration::from_secs(2)).await;
                    a.borrow_mut().push("fast");
                }
            });
            let slow = spawn_local(async move {
                sleep(Duration::from_secs(5)).await;
                b.borrow_mut().push("slow");
            });
            slow.await;
            fast.cancel();
            sleep(Duration::from_secs(50)).await;
        },
        LONG,
    );
    assert_eq!(*seen.borrow(), ["fast", "fast", "slow"]);
    assert_eq!(testing::timers(), 0);
}

#[test]
fn a_beat_leaves_out_what_was_missed() {
    let beats = testing::run_for(
        async {
            let start = time::monotonic();
            let mut beat = interval(Duration::from_millis(100));
            let mut beats = vec![beat.tick().await - start];
            sleep(Duration::from_millis(350)).await;
            for _ in 0..2 {
                beats.push(beat.tick().await - start);
            }
            beats
        },
        LONG,
    );
    assert_eq!(beats.unwrap(), [100, 200, 500].map(Duration::from_millis));
}

#[test]
fn events_come_in_order() {
    let events = testing::run_for(
        async {
            let mut input = Input::subscribe(input::mask::ALL).unwrap();
            testing::input(&Event::Focus(true));
            testing::input(&Event::Motion([1.0, 2.0]));
            [input.next().await, input.next().await]
        },
        LONG,
    );
    assert_eq!(events, Some([Event::Focus(true), Event::Motion([1.0, 2.0])]));
}

#[test]
fn an_entity_is_made_in_one_batch_with_its_parts_in_order() {
    let lamp = Entity::new().name("lamp").at(1.0, 2.0, 3.0).scaled(2.0).mesh(MeshSource::Sphere(0.1));
    let mut batch = Batch::new();
    let lamp = lamp.add_to(&mut batch);
    let cord = Entity::new().parent(lamp).local().given().add_to(&mut batch);
    batch.commit().unwrap();
    assert_ne!(lamp, cord);
    let transform = Transform::at(1.0, 2.0, 3.0).scaled(2.0);
    assert_eq!(
        testing::batches(),
        [vec![
            Op::Create(lamp, Scope::Shared),
            Op::Set(lamp, Component::Transform(transform)),
            Op::Set(lamp, Component::Name("lamp".into())),
            Op::Set(lamp, Component::Mesh(MeshSource::Sphere(0.1))),
            Op::Create(cord, Scope::Local),
            Op::SetParent(cord, Some(lamp)),
            Op::Give(cord),
        ]]
    );
}

#[test]
fn a_batch_that_the_scene_refuses_is_an_error() {
    let bad = Entity::new().mesh(MeshSource::Sphere(-1.0)).spawn().unwrap_err();
    assert_eq!(bad.errno, Errno::Invalid);
    assert!(testing::batches().is_empty());
}

#[test]
fn cbor_that_is_something_else_names_what_is_wrong() {
    let error = message::decode::<u32>(&message::encode("seven").unwrap()).unwrap_err();
    assert_eq!(error.errno, Errno::Malformed);
    assert_eq!(error.to_string(), "malformed content: invalid type: string, expected integer");
    let error = message::decode::<u32>(&[]).unwrap_err();
    assert_eq!(error.to_string(), "malformed content: the message ends early");
}

#[test]
fn whole_numbers_are_floats_where_floats_are_wanted() {
    #[derive(Debug, PartialEq, serde::Serialize, serde::Deserialize)]
    enum Shape<N> {
        Ball(N),
        Box { size: [N; 3], at: Option<N> },
        Many(Vec<Shape<N>>, std::collections::BTreeMap<String, N>),
        Nothing,
    }
    fn shapes<N: Copy>(one: N, two: N) -> Vec<Shape<N>> {
        let boxed = Shape::Box { size: [one, two, one], at: Some(two) };
        let named = [("one".to_owned(), one)].into();
        vec![Shape::Many(vec![Shape::Ball(one), boxed], named), Shape::Nothing]
    }
    for bytes in [
        message::encode(&shapes(1u8, 2)),
        message::encode(&shapes(1.0f32, 2.0)),
        message::encode(&shapes(1i64, 2)),
    ] {
        assert_eq!(message::decode::<Vec<Shape<f64>>>(bytes.as_ref().unwrap()).unwrap(), shapes(1.0f64, 2.0));
    }
    assert_eq!(message::decode::<f32>(&message::encode(&-7).unwrap()).unwrap(), -7.0);
    // The other way round a part would be lost.
    assert!(message::decode::<i32>(&message::encode(&1.5).unwrap()).is_err());
    assert!(message::decode::<f32>(&message::encode("1").unwrap()).is_err());
}

#[test]
fn events_of_terminals_come_to_who_asks_for_that_terminal() {
    use hearth_sdk::{
        abi::TerminalId,
        clipboard,
        terminal::{Command, Event, Open, Terminal},
    };
    let (own, other) = (TerminalId::from_bits(9), Terminal::of(TerminalId::from_bits(10)));
    // The first event is there before the reply that names the terminal.
    testing::terminal_event(own, &Event::Title("vim".into()));
    testing::terminal_event(other.id(), &Event::Keyboard(true));
    let script = async move { race(Terminal::open(&Open::default()), sleep(Duration::from_secs(1))).await };
    assert!(matches!(testing::run_for(script, Duration::from_secs(2)), Some(Either::Right(()))));
    assert_eq!(testing::answer(Ok(0), &own.to_bits().to_le_bytes()), Some("terminal_open"));
    let script = async move {
        let terminal = Terminal::of(own);
        assert_eq!(terminal.event().await, Event::Title("vim".into()));
        assert_eq!(other.event().await, Event::Keyboard(true));
        terminal.resize(100, 30).unwrap();
        terminal.text("ls\n").unwrap();
        other.focus().unwrap();
        hearth_sdk::terminal::unfocus().unwrap();
        clipboard::write("copied").unwrap();
        assert_eq!(clipboard::read().await.unwrap(), "copied");
        terminal.event().await
    };
    testing::terminal_event(own, &Event::Closed);
    assert_eq!(testing::run_for(script, Duration::from_secs(1)), Some(Event::Closed));
    let commands = [Command::Resize { columns: 100, rows: 30 }, Command::Text("ls\n".into())];
    assert_eq!(testing::terminal_commands(), commands.map(|command| (own, command)));
    assert_eq!(testing::focuses(), [Some(other.id()), None]);
}

#[test]
fn pointers_come_to_whoever_listens_to_the_entity() {
    use hearth_sdk::pointer::{Kind, Pointers};
    let (one, other) = (EntityId::from_bits(1), EntityId::from_bits(2));
    let send = |kind, entity| testing::pointer(&testing::pointer_event(kind, entity));
    // Motions in a row are one; what is between them stays.
    for kind in [Kind::Over, Kind::Move, Kind::Move, Kind::Press, Kind::Move, Kind::Release, Kind::Click] {
        send(kind, one);
    }
    send(Kind::Press, other);
    let heard = testing::run_for(
        async move {
            let mut all = Pointers::listen();
            let mut of_one = Pointers::of(one);
            let mut heard = vec![all.next().await.kind];
            for _ in 0..6 {
                heard.push(of_one.next().await.kind);
            }
            drop(of_one);
            send(Kind::Out, one);
            heard.push(all.next().await.kind);
            heard
        },
        Duration::ZERO,
    );
    use Kind::{Click, Move, Out, Over, Press, Release};
    assert_eq!(heard.unwrap(), [Press, Over, Move, Press, Move, Release, Click, Out]);
}

#[test]
fn a_flood_of_pointers_loses_motions_first() {
    use hearth_sdk::pointer::{Kind, Pointers};
    let (one, other) = (EntityId::from_bits(1), EntityId::from_bits(2));
    testing::run_for(
        async move {
            let send = |kind, entity| testing::pointer(&testing::pointer_event(kind, entity));
            for i in 0..1500 {
                send(Kind::Move, if i % 2 == 0 { one } else { other });
                if i % 2 == 0 {
                    send(Kind::Press, one);
                }
            }
            sleep(Duration::from_millis(1)).await;
            let mut pointers = Pointers::listen();
            let mut presses = 0;
            while let Ok(event) = timeout(Duration::from_millis(1), pointers.next()).await {
                presses += i32::from(event.kind == Kind::Press);
            }
            assert_eq!(presses, 750, "none of them is lost");
        },
        Duration::from_secs(1),
    )
    .expect("it has come to its end");
}

#[test]
fn a_monitor_that_is_dropped_is_taken_away_and_hears_nothing() {
    use hearth_sdk::process::{ExitReason, monitor};
    let told = testing::run_for(
        async {
            let (first, second) = (monitor(other()).unwrap(), monitor(other()).unwrap());
            assert_eq!(testing::monitors(), 2);
            drop(first);
            assert_eq!(testing::monitors(), 1);
            testing::ends(other(), &ExitReason::error("out of oil"));
            let down = second.await;
            // One of which the signal came and was not awaited.
            let third = monitor(other()).unwrap();
            testing::ends(other(), &ExitReason::shutdown());
            sleep(Duration::from_millis(1)).await;
            drop(third);
            (down.process, down.reason)
        },
        LONG,
    );
    assert_eq!(told, Some((other(), ExitReason::error("out of oil"))));
    assert_eq!(testing::monitors(), 0);
}

#[test]
fn a_call_is_over_when_who_is_called_ends() {
    use hearth_sdk::process::{ExitKind, ExitReason};
    for (reason, errno) in [
        (ExitReason::error("out of oil"), Errno::NotFound),
        (ExitReason::new(ExitKind::NoConnection), Errno::NoPeer),
    ] {
        let called = testing::run_for(
            async move {
                let ends = spawn_local(async move {
                    sleep(Duration::from_secs(1)).await;
                    testing::ends(other(), &reason);
                });
                let called = call::<u64, _>(other(), "time", LONG).await;
                ends.await;
                called
            },
            Duration::from_secs(2),
        );
        assert_eq!(called.unwrap().unwrap_err().errno, errno);
        assert_eq!((testing::timers(), testing::monitors()), (0, 0));
    }
}

#[test]
fn an_answer_that_comes_too_late_is_taken_for_nothing_else() {
    testing::run_for(
        async {
            let late = call::<u64, _>(other(), "time", Duration::from_secs(1)).await;
            assert_eq!(late.unwrap_err().errno, Errno::TimedOut);
            let (_, asked) = testing::sent_bytes().remove(0);
            // The number of the call stands behind the tag and the head of the array.
            let answer = |number: &[u8], value: u8| {
                let head = [&[0xda][..], b"HANS", &[0x82, 0x1b], number].concat();
                testing::deliver_bytes(other(), &[&head[..], &[value]].concat());
            };
            let first = asked[7..15].to_vec();
            spawn_local(async move {
                let (_, asked) = testing::sent_bytes().remove(0);
                answer(&first, 1);
                answer(&asked[7..15], 2);
            });
            assert_eq!(call::<u64, _>(other(), "time", Duration::from_secs(1)).await, Ok(2));
            testing::deliver(other(), &"a message");
            assert_eq!(recv::<String>().await.body, "a message");
        },
        LONG,
    )
    .unwrap();
}

#[test]
fn selective_receive_leaves_the_rest_in_order() {
    let third = "2.9".parse().unwrap();
    for n in 0..6u32 {
        testing::deliver(if n % 2 == 0 { other() } else { third }, &n);
    }
    testing::deliver(third, &"no number");
    testing::run_for(
        async move {
            let meant = recv_where::<u32>(|message| message.from == third && message.body > 1).await;
            assert_eq!(meant.body, 3);
            // One that has looked at all waits for what comes, and another takes what is there meanwhile.
            let waits =
                spawn_local(async move { recv_where::<u32>(|message| message.body > 100).await.body });
            assert_eq!(recv::<u32>().await.body, 0);
            let texts = recv_where::<String>(|_| true).await;
            assert_eq!(texts.body, "no number");
            testing::deliver(other(), &7u32);
            testing::deliver(other(), &101u32);
            assert_eq!(waits.await, 101);
            for left in [1, 2, 4, 5, 7] {
                assert_eq!(recv::<u32>().await.body, left);
            }
        },
        LONG,
    )
    .unwrap();
}

#[test]
fn a_delayed_message_is_sent_unless_it_is_cancelled() {
    testing::run_for(
        async {
            let first = send_after(Duration::from_secs(1), other(), "first").unwrap();
            drop(send_after(Duration::from_secs(2), other(), "second").unwrap());
            first.cancel();
            sleep(Duration::from_secs(3)).await;
        },
        LONG,
    )
    .unwrap();
    assert_eq!(testing::sent::<String>(), [(other(), "second".to_owned())]);
    assert_eq!(testing::timers(), 0);
}

#[test]
fn exits_are_told_to_who_traps_them() {
    use hearth_sdk::process::{self, ExitReason, link, next_exit, trap_exits};
    testing::run_for(
        async {
            link(other()).unwrap();
            // A normal end is no concern of who does not trap.
            testing::ends(other(), &ExitReason::new(process::ExitKind::Normal));
            assert!(!trap_exits(true) && trap_exits(true));
            link(other()).unwrap();
            let reason = ExitReason::error("out of oil").with_data(&[1, 2]).unwrap();
            testing::ends(other(), &reason);
            testing::exit_from(other(), &ExitReason::shutdown());
            let (first, second) = (next_exit().await, next_exit().await);
            assert!(first.of_link && !second.of_link);
            assert_eq!(first.reason.data::<Vec<u32>>(), Ok(vec![1, 2]));
            assert_eq!(second.reason, ExitReason::shutdown());
            process::exit_to(other(), &reason).unwrap();
            assert_eq!(testing::exits(), [(other(), reason)]);
        },
        LONG,
    )
    .unwrap();
}
