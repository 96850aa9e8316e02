// SPDX-License-Identifier: AGPL-3.0-or-later
//! What is there again after a power cut.

use hearth_abi::scene::Op;
use hearth_e2e::{Guest, Hands, LONG, Peer, Space, wait_until};
use std::{
    thread::sleep,
    time::{Duration, Instant},
};

/// At most so much of the scene may be lost: the promise that is tested here.
const LOST_MAX: Duration = Duration::from_secs(1);

fn entities(peer: &Peer) -> u64 {
    peer.status()["entities"].as_u64().unwrap()
}

fn marker_runs(server: &Peer) {
    wait_until("the service has started", LONG, || {
        let listed = server.json(&["list-processes"]);
        let marker = listed.iter().find(|process| process["names"][0] == "marker")?;
        let id = marker["id"].as_str().unwrap();
        server.log(id).contains("marker").then_some(())
    });
}

#[test]
fn a_space_survives_power_cuts() {
    let space = Space::new();
    std::fs::create_dir(space.path("server")).unwrap();
    std::fs::copy(space.guest(Guest::Marker), space.path("server/marker.wasm")).unwrap();
    let manifest = "[[service]]\nname = 'marker'\nmodule = 'marker.wasm'\n";
    std::fs::write(space.path("server/space.toml"), manifest).unwrap();
    let mut server = space.server().boot().start();
    marker_runs(&server);
    assert_eq!(entities(&server), 1, "what the service made");

    // A script makes three things, and gives two of them to the space, one below the other.
    let hands = Hands::on(&space, &server);
    let (table, cup, own) = (hands.make_named("table"), hands.make_named("cup"), hands.make_named("own"));
    hands.apply(&[Op::SetParent(cup, Some(table)), Op::Give(table)]).ok();
    assert_eq!(entities(&server), 4);
    let given = Instant::now();

    // A lump that was acknowledged is there, however soon the power goes.
    let bytes = vec![42; 2 << 20];
    let loaded = server.ctl_with(&["load-lump", "-"], &bytes);
    let small = server.ctl_with(&["load-lump", "-"], b"small").text();
    let made = hands.lump_put(b"made by a guest");
    assert_eq!(made.ok().result, 0);
    // The promise is about time, so this is the one place where time must pass.
    sleep(LOST_MAX.saturating_sub(given.elapsed()));
    let after = server.ctl_with(&["load-lump", "-"], b"loaded just before");
    let process = hands.id.clone();
    drop(hands);
    server = server.kill_9().start();

    assert_eq!(server.ctl(&["get-lump", &loaded.text()]).stdout, bytes);
    assert_eq!(server.ok(&["get-lump", &small]), "small");
    assert_eq!(server.ok(&["get-lump", &after.text()]), "loaded just before");
    assert!(server.json(&["list-lumps"]).iter().any(|lump| lump["size"] == 15), "the guest's");
    marker_runs(&server);
    // What was given is there once, what belonged to a process is not, and the service made its own anew.
    assert_eq!(entities(&server), 3);
    let hands = Hands::on(&space, &server);
    assert_eq!(hands.name_of(table).as_deref(), Some("table"));
    assert_eq!(hands.name_of(cup).as_deref(), Some("cup"));
    assert_eq!(hands.name_of(own), None);

    // No number is given twice.
    let serial = |id: &str| id.split_once('.').unwrap().1.parse::<u64>().unwrap();
    assert!(serial(&hands.id) > serial(&process) + 1, "{} after {process}", hands.id);
    let new = hands.make_named("new");
    assert!(new.to_bits() > own.to_bits(), "{new} after {own}");

    // Changed and removed things too, and in good order nothing waits for a second.
    hands.rename(table, "desk");
    hands.apply(&[Op::Remove(cup)]).ok();
    drop(hands);
    let server = server.end().start();
    marker_runs(&server);
    let hands = Hands::on(&space, &server);
    assert_eq!(hands.name_of(table).as_deref(), Some("desk"));
    assert_eq!(hands.name_of(cup), None);
    assert_eq!(entities(&server), 2);
}

#[test]
fn what_a_client_gives_stays_with_the_space() {
    let space = Space::new();
    let server = space.server().start();
    let ada = space.client("ada", &server).start();
    let hands = Hands::on(&space, &ada);
    let gift = hands.make_named("gift");
    hands.apply(&[Op::Give(gift)]).ok();
    let at_server = Hands::on(&space, &server);
    wait_until("the server has it", LONG, || at_server.name_of(gift));
    drop((hands, at_server));
    // The client leaves in good order, then the server goes down in good order.
    drop(ada.end());
    wait_until("she has left", LONG, || (server.peers().len() == 1).then_some(()));
    let server = server.end().start();
    let at_server = Hands::on(&space, &server);
    assert_eq!(at_server.name_of(gift).as_deref(), Some("gift"));
    // She finds it again, and it is hers to change as anybody's.
    let ada = space.client("ada", &server).start();
    let hands = Hands::on(&space, &ada);
    wait_until("she sees it", LONG, || hands.name_of(gift));
    hands.rename(gift, "present");
    wait_until("the server sees it", LONG, || {
        (at_server.name_of(gift).as_deref() == Some("present")).then_some(())
    });
}
