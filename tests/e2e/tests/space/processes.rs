// SPDX-License-Identifier: AGPL-3.0-or-later
//! Processes on other peers: spawned, told, read, killed by id, over the server's relay.

use hearth_abi::Errno;
use hearth_e2e::{Guest, Hands, LONG, Space, wait_until};
use std::time::Duration;

#[test]
fn peers_use_each_others_processes() {
    let space = Space::new();
    let server = space.server().start();
    let ada = space.client("ada", &server).start();
    let bob = space.client("bob", &server).start();
    wait_until("ada sees bob", LONG, || ada.peers().contains(&"bob".to_owned()).then_some(()));
    for peer in [&server, &ada, &bob] {
        let mut names = peer.peers();
        names.sort();
        assert_eq!(names, ["ada", "bob", "hearth"]);
    }

    // From the shell of one on the other: by name and by number.
    let far = Hands::of_on(&space, &ada, "bob");
    assert_eq!(far.runs_on(), i64::from(bob.number()));
    assert_eq!(far.peer_name(ada.number()).ok().text(), "ada");
    assert!(ada.log(&far.id).contains("hands are ready"), "{}", ada.log(&far.id));
    far.log(2, "seen from afar");
    assert!(server.log(&far.id).contains("seen from afar"));
    let listed = ada.process(&far.id).expect("it is listed from afar");
    assert_eq!(listed["origin"], ada.number());
    assert_eq!(bob.process(&far.id).unwrap()["state"], "parked");

    // From guest to guest, with arguments, and back.
    let module = ada.ok(&["load-lump".as_ref(), space.path("hands.wasm").as_os_str()]);
    let near = Hands::on(&space, &ada);
    let child = Hands::at(&ada, near.spawn_on(bob.number(), &module, &["one", "two words"]).unwrap());
    assert_eq!(child.args(), b"\x03\0\0\0one\x09\0\0\0two words");
    assert_eq!(bob.json(&["info", &child.id])[0]["parent"], *near.id);
    let before = bob.json(&["info", &far.id])[0]["messages_received"].as_u64().unwrap();
    near.send(&far.id, b"a message that is no order").ok();
    wait_until("the message arrives", LONG, || {
        let now = bob.json(&["info", &far.id])[0]["messages_received"].as_u64().unwrap();
        (now > before).then_some(())
    });

    // A pair over the relay keeps bouncing.
    let bounce = space.guest(Guest::Bounce);
    let (one, other) = (ada.spawn(&bounce, &[]), ada.spawn(&bounce, &["--peer", "bob"]));
    let bits = one.parse::<hearth_abi::ProcessId>().unwrap().to_bits().to_le_bytes();
    assert_eq!(ada.ctl_with(&["send", "--raw", &other], &bits).code, 0);
    wait_until("they have bounced 50 times", LONG, || {
        let received = ada.json(&["info", &one])[0]["messages_received"].as_u64().unwrap();
        (received > 50).then_some(())
    });

    // Its log, followed from afar to its end.
    let mut tail = ada.ctl_begin(&["tail", "-f", &child.id], b"");
    let mut shows = |text: &str| {
        wait_until(&format!("`{text}` is shown"), LONG, || {
            String::from_utf8_lossy(&tail.stdout()).contains(text).then_some(())
        });
        tail.ended()
    };
    assert_eq!(shows("hands are ready"), None);
    child.log(4, "and on it goes");
    assert_eq!(shows("and on it goes"), None);

    // By name: on its own peer only.
    far.register("hands of ada").ok();
    assert!(far.whereis("hands of ada").result > 0);
    assert_eq!(near.whereis("hands of ada").errno(), Some(Errno::NotFound));
    assert_eq!(child.register("hands of ada").errno(), Some(Errno::Taken));

    // Killed from the guest of another peer, and from the shell of a third.
    near.kill(&child.id, "no longer wanted").ok();
    wait_until("it is gone", LONG, || bob.process(&child.id).is_none().then_some(()));
    shows("killed: no longer wanted");
    assert_eq!(wait_until("the end of its log ends the tail", LONG, || tail.ended()), 0);
    let log = ada.log(&child.id);
    assert!(log.contains("killed: no longer wanted"), "{log}");
    assert_eq!(server.ctl(&["kill", &other, &one]).code, 0);
    wait_until("both are gone", LONG, || {
        (ada.process(&one).is_none() && bob.process(&other).is_none()).then_some(())
    });
    let output = server.ctl(&["kill", &other]);
    assert_eq!(output.code, 67, "{output:?}");

    // What cannot be reached is said.
    assert_eq!(near.spawn_on(4711, &module, &[]).unwrap_err().errno(), Some(Errno::NoPeer));
    let nothing = "0".repeat(64);
    assert_eq!(near.spawn_on(bob.number(), &nothing, &[]).unwrap_err().errno(), Some(Errno::Module));
    assert_eq!(ada.ctl(&["send", "--raw", "4711.1", "x"]).code, 68);
    assert_eq!(ada.ctl(&["list-processes", "--peer", "nobody"]).code, 68);
}

#[test]
fn run_follows_a_process_and_ends_with_it() {
    let space = Space::new();
    let server = space.server().start();
    let module = space.guest(Guest::Hands);
    let module = module.to_str().unwrap();

    // Ctrl-C kills it.
    let mut run = server.ctl_begin(&["run", module, "--name", "hands", "--", "an argument"], b"");
    wait_until("it runs", LONG, || {
        let text = String::from_utf8_lossy(&run.stdout()).into_owned();
        text.contains("hands are ready").then_some(())
    });
    let id = run.stderr().trim().to_owned();
    assert_eq!(server.process(&id).expect("it is listed")["names"][0], "hands");
    Hands::at(&server, &*id).log(3, "follow me");
    wait_until("its line is shown", LONG, || {
        String::from_utf8_lossy(&run.stdout()).contains("follow me").then_some(())
    });
    run.signal(hearth_e2e::Signal::INT);
    let code = wait_until("it has ended", LONG, || run.ended());
    assert_eq!(code, 130, "{}", run.stderr());
    assert!(server.process(&id).is_none());
    assert!(String::from_utf8_lossy(&run.stdout()).contains("killed: interrupted"));

    // It ends with the process, and says how.
    for (reason, code) in [("", 0), ("nothing to do", 1)] {
        let mut run = server.ctl_begin(&["run", module], b"");
        let id = wait_until("it has an id", LONG, || {
            let id = run.stderr().trim().to_owned();
            id.contains('.').then_some(id)
        });
        Hands::at(&server, id).exit(reason);
        assert_eq!(wait_until("it has ended", LONG, || run.ended()), code);
        assert!(String::from_utf8_lossy(&run.stdout()).contains(reason));
    }
}

#[test]
fn a_peer_that_dies_is_noticed_by_everybody() {
    let space = Space::new();
    let server = space.server().start();
    let ada = space.client("ada", &server).start();
    let bob = space.client("bob", &server).start();
    let eve = space.client("eve", &server).start();
    let (at_server, at_ada) = (Hands::on(&space, &server), Hands::on(&space, &ada));
    let (of_bob, of_eve) = (Hands::on(&space, &bob), Hands::on(&space, &eve));
    // What ada spawned on bob's peer goes with bob; what bob made goes; what ada gave stays.
    let guest_of_ada = Hands::of_on(&space, &ada, "bob");
    let made = [of_bob.make_named("bob's"), guest_of_ada.make_named("made on bob's peer")];
    let eves = of_eve.make_named("eve's");
    let kept = at_ada.make_named("ada's");
    for id in made.into_iter().chain([eves, kept]) {
        for hands in [&at_server, &at_ada] {
            wait_until("everybody sees it", LONG, || hands.name_of(id));
        }
    }

    // Bob's machine loses power. For the time of grace he may come back; then he has left.
    let (bob_process, eve_process) = (of_bob.id.clone(), of_eve.id.clone());
    drop((of_bob, guest_of_ada, of_eve));
    drop(bob.kill_9());
    // Eve leaves in good order, and is not waited for.
    drop(eve.end());
    wait_until("eve has left", Duration::from_secs(8), || {
        (!ada.peers().contains(&"eve".into())).then_some(())
    });
    for hands in [&at_server, &at_ada] {
        wait_until("what eve made is gone", LONG, || hands.name_of(eves).is_none().then_some(()));
        for id in made {
            wait_until("what bob made is gone", LONG, || hands.name_of(id).is_none().then_some(()));
        }
        assert_eq!(hands.name_of(kept).as_deref(), Some("ada's"));
    }
    for peer in [&server, &ada] {
        wait_until("bob has left", LONG, || (!peer.peers().contains(&"bob".into())).then_some(()));
        for process in [&bob_process, &eve_process] {
            let output = peer.ctl(&["info", process]);
            assert_eq!(output.code, 68, "{output:?}");
        }
    }

    // He comes back as who he was, with numbers that were not given before.
    let number: u32 = bob_process.split_once('.').unwrap().0.parse().unwrap();
    let bob = space.client("bob", &server).start();
    assert_eq!(bob.number(), number);
    let again = Hands::on(&space, &bob);
    let serial = |id: &str| id.split_once('.').unwrap().1.parse::<u64>().unwrap();
    assert!(serial(&again.id) > serial(&bob_process) + 1, "{} after {bob_process}", again.id);
    let new = again.make_named("bob's again");
    assert!(made.iter().all(|id| new.to_bits() > id.to_bits()), "{new} after {made:?}");
    wait_until("ada sees it", LONG, || at_ada.name_of(new));
}
