// SPDX-License-Identifier: AGPL-3.0-or-later
//! Authority follows origin: what another peer spawned here has no hold on this machine.

use hearth_abi::{Errno, input::mask};
use hearth_e2e::{Hands, Space};

#[test]
fn code_of_another_peer_has_no_machine_authority() {
    let space = Space::new();
    let server = space.server().start();
    let ada = space.client("ada", &server).password_from_environment().start();
    let bob = space.client("bob", &server).start();
    let secret = space.write("secret", "ada's own");
    let secret = secret.to_str().unwrap();
    let witness = space.path("witness");
    let touch = ["touch", witness.to_str().unwrap()];

    let refused = |hands: &Hands<'_>, who: &str| {
        for (what, answer) in [
            ("a file", hands.file_load(secret)),
            ("a shell", hands.command(&["sh", "-c", "echo got in"])),
            ("a program", hands.command(&touch)),
            ("keys", hands.subscribe(mask::KEYBOARD)),
            ("the mouse", hands.subscribe(mask::MOUSE)),
            ("keys among others", hands.subscribe(mask::ALL)),
            ("the pointer", hands.capture_pointer()),
        ] {
            assert_eq!(answer.errno(), Some(Errno::Permission), "{who} asked for {what}: {}", answer.text());
        }
        assert!(!witness.exists(), "{who} ran a program");
    };

    // Bob spawns on Ada: it runs there, with his authority.
    let foreign = Hands::of_on(&space, &bob, "ada");
    assert_eq!(foreign.runs_on(), i64::from(ada.number()));
    assert_eq!(foreign.origin(), i64::from(bob.number()));
    refused(&foreign, "a process of bob's on ada's peer");
    // What needs no authority it may do.
    assert_ne!(foreign.subscribe(mask::FRAME).errno(), Some(Errno::Permission));
    foreign.make_named("bob was here");

    // What it spawns in turn has the authority of him who spawned it, whatever way it takes.
    let module = bob.ok(&["load-lump".as_ref(), space.path("hands.wasm").as_os_str()]);
    let child = Hands::at(&ada, foreign.spawn(&module));
    assert_eq!(child.origin(), i64::from(bob.number()));
    refused(&child, "its child");
    let by_request = Hands::at(&ada, foreign.spawn_on(ada.number(), &module, &[]).unwrap());
    assert_eq!(by_request.origin(), i64::from(bob.number()));
    refused(&by_request, "a child that it requested");
    let at_server = Hands::at(&ada, foreign.spawn_on(0, &module, &[]).unwrap());
    refused(&at_server, "its child on the server");
    let there_and_back = Hands::at(&ada, at_server.spawn_on(ada.number(), &module, &[]).unwrap());
    assert_eq!(there_and_back.runs_on(), i64::from(ada.number()));
    refused(&there_and_back, "a child by way of the server");
    // Nor does anybody gain by restarting it, from whatever peer.
    let restarted = Hands::at(&ada, ada.ok(&["restart", &foreign.id]));
    assert_eq!(restarted.origin(), i64::from(bob.number()));
    refused(&restarted, "the same, restarted by ada");

    // The same code, spawned by the owner of the machine.
    let own = Hands::on(&space, &ada);
    assert_eq!(own.origin(), i64::from(ada.number()));
    let file = own.file_load(secret).ok();
    let id: String = file.bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!(ada.ok(&["get-lump", &id]), "ada's own");
    assert_eq!(own.command(&["sh", "-c", "echo got in; exit 3"]).text(), "got in\n");
    assert_eq!(own.command(&["sh", "-c", "exit 3"]).result, 3);
    assert_eq!(own.command(&touch).ok().result, 0);
    assert!(witness.exists());
    // This peer has no picture, so there are no keys to be had; but it is not a matter of authority.
    assert_eq!(own.subscribe(mask::KEYBOARD).errno(), Some(Errno::Unsupported));
    assert_eq!(own.capture_pointer().errno(), Some(Errno::Unsupported));
    assert_eq!(own.file_load("/nowhere/at/all").errno(), Some(Errno::NotFound));
    // The password of the space is nobody's business, not even its owner's programs'.
    let environment = own.command(&["env"]).ok().text();
    assert!(environment.contains("PATH="), "{environment}");
    assert!(!environment.contains("PASSWORD") && !environment.contains("correct horse"), "{environment}");
}
