// SPDX-License-Identifier: AGPL-3.0-or-later
//! Broken connections: the client comes back by itself and shows the right scene.

use hearth_abi::EntityId;
use hearth_e2e::{Hands, LONG, Net, Peer, Space, wait_until};

fn connected(client: &Peer) -> bool {
    client.status()["connected"].as_bool().unwrap()
}

#[track_caller]
fn sees(hands: &Hands<'_>, entity: EntityId, name: Option<&str>) {
    let what = format!("{} sees {entity} as {name:?}", hands.id);
    wait_until(&what, LONG, || (hands.name_of(entity).as_deref() == name).then_some(()));
}

#[test]
fn a_client_comes_back_when_its_server_was_restarted() {
    let space = Space::new();
    let server = space.server().start();
    let ada = space.client("ada", &server).start();
    let number = ada.number();
    let at_server = Hands::on(&space, &server);
    let hands = Hands::on(&space, &ada);
    let (of_server, of_ada) = (at_server.make_named("the server's"), hands.make_named("ada's"));
    sees(&hands, of_server, Some("the server's"));
    sees(&at_server, of_ada, Some("ada's"));
    drop(at_server);

    let down = server.kill_9();
    wait_until("she notices", LONG, || (!connected(&ada)).then_some(()));
    // What she does meanwhile is kept.
    let meanwhile = hands.make_named("made meanwhile");
    hands.rename(of_ada, "ada's, changed");
    let server = down.start();
    wait_until("she is back", LONG, || connected(&ada).then_some(()));
    let listed = server.json(&["list-peers"]);
    assert!(listed.iter().any(|peer| peer["name"] == "ada" && peer["id"] == number), "{listed:?}");
    // Her things are there again, the dead server's process has none any more.
    let at_server = Hands::on(&space, &server);
    sees(&at_server, of_ada, Some("ada's, changed"));
    sees(&at_server, meanwhile, Some("made meanwhile"));
    sees(&hands, of_server, None);
    let new = at_server.make_named("new");
    sees(&hands, new, Some("new"));
    assert_eq!(ada.status()["entities"], server.status()["entities"]);
    // Her processes never ended.
    assert_eq!(hands.runs_on(), i64::from(number));
}

#[test]
fn a_client_that_was_cut_off_comes_back() {
    let net = match Net::new() {
        Ok(net) => net,
        Err(reason) => {
            eprintln!("\n!!! NOT RUN: two hosts with a wire between them need root: {reason}\n");
            return;
        }
    };
    let space = Space::new();
    let address = format!("{}:0", net.address(0));
    let server = space.server().with("--listen", address).by(&net.within(0)).start();
    let ada = space.client("ada", &server).by(&net.within(1)).start();
    // One who is not cut off, on the server's own host.
    let bob = space.client("bob", &server).by(&net.within(0)).start();
    let hands = Hands::on(&space, &ada);
    let at_server = Hands::on(&space, &server);
    let (of_server, of_ada) = (at_server.make_named("the server's"), hands.make_named("ada's"));
    let gone = at_server.make_named("soon gone");
    let at_bob = Hands::on(&space, &bob);
    sees(&hands, gone, Some("soon gone"));
    sees(&at_bob, of_ada, Some("ada's"));

    // Cut, and joined within the grace: nobody has left.
    net.cut();
    at_server.rename(of_server, "changed meanwhile");
    at_server.apply(&[hearth_abi::scene::Op::Remove(gone)]).ok();
    let meanwhile = hands.make_named("made meanwhile");
    wait_until("ada notices", LONG, || (!connected(&ada)).then_some(()));
    assert_eq!(hands.name_of(of_server).as_deref(), Some("the server's"), "she shows what she knew");
    assert_eq!(at_bob.name_of(of_ada).as_deref(), Some("ada's"), "nobody has left yet");
    net.join();
    wait_until("ada is back", LONG, || connected(&ada).then_some(()));
    sees(&hands, of_server, Some("changed meanwhile"));
    sees(&hands, gone, None);
    for others in [&at_server, &at_bob] {
        sees(others, meanwhile, Some("made meanwhile"));
        assert_eq!(others.name_of(of_ada).as_deref(), Some("ada's"));
    }

    // Cut for longer than the grace: she has left, and her things with her.
    net.cut();
    let absent = |peer: &Peer| !peer.peers().contains(&"ada".into());
    wait_until("the server has given her up", LONG, || absent(&server).then_some(()));
    wait_until("bob is told", LONG, || absent(&bob).then_some(()));
    for others in [&at_server, &at_bob] {
        sees(others, of_ada, None);
    }
    at_server.rename(of_server, "changed again");
    hands.rename(of_ada, "ada's, changed");
    net.join();
    // She comes back as who she was, with what her processes still have.
    wait_until("ada is back", LONG, || connected(&ada).then_some(()));
    wait_until("bob is told", LONG, || (!absent(&bob)).then_some(()));
    sees(&hands, of_server, Some("changed again"));
    for others in [&at_server, &at_bob] {
        sees(others, of_ada, Some("ada's, changed"));
        sees(others, meanwhile, Some("made meanwhile"));
    }
    let counts: Vec<_> = [&server, &ada, &bob].iter().map(|peer| peer.status()["entities"].clone()).collect();
    assert!(counts.iter().all(|count| *count == counts[0]), "{counts:?}");
    // Messages go through again.
    let far = Hands::of_on(&space, &bob, "ada");
    assert_eq!(far.runs_on(), i64::from(ada.number()));
}
