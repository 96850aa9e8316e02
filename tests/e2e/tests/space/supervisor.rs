// SPDX-License-Identifier: AGPL-3.0-or-later
//! A supervisor of scripts that fail: started from the shell, in a real peer.

use hearth_e2e::{Guest, Hands, LONG, Peer, Space, std_guest, wait_until};

fn has_name(process: &serde_json::Value, name: &str) -> bool {
    process["names"].as_array().is_some_and(|names| names.iter().any(|known| known == name))
}

/// The process of this name, once there is one that is not one of these.
fn named(server: &Peer, name: &str, not: &[&str]) -> String {
    wait_until(&format!("there is a new `{name}`"), LONG, || {
        let listed = server.json(&["list-processes"]);
        let is_it = |process: &&serde_json::Value| {
            has_name(process, name)
                && process["state"] != "starting"
                && !not.iter().any(|id| process["id"] == **id)
        };
        listed.iter().find(is_it).and_then(|process| process["id"].as_str().map(str::to_owned))
    })
}

#[test]
fn what_a_supervisor_looks_after_comes_back_and_goes_with_it() {
    let space = Space::new();
    let server = space.server().start();
    let module = space.guest(Guest::Hands);
    let lump = server.ok(&["load-lump", module.to_str().unwrap()]).trim().to_owned();
    let child = |id: &str| format!(r#"{{"id": "{id}", "name": "{id}", "module": "{lump}"}}"#);
    let children = ["one", "two", "three"].map(child).join(", ");
    let tree = format!(
        r#"{{"strategy": "rest_for_one", "intensity": 4, "period_ms": 600000, "children": [{children}]}}"#
    );
    let supervisor = server.spawn(&std_guest("supervisor"), &["--", &tree]);
    let first = ["one", "two", "three"].map(|name| named(&server, name, &[]));
    let [one, two, three] = &first;

    // It comes back, with what was started after it, and nothing else.
    server.ok(&["kill", two]);
    let again = [named(&server, "two", &[two]), named(&server, "three", &[three])];
    assert_eq!(named(&server, "one", &[]), *one);

    // A trap is a crash like any other.
    Hands::at(&server, &again[1]).trap();
    let third = named(&server, "three", &[three, &again[1]]);
    assert_eq!(named(&server, "two", &[]), again[0]);

    // It is not for an operator to start it again beside its supervisor.
    let refused = server.ctl(&["restart", &third]);
    assert_ne!(refused.code, 0);
    assert!(refused.stderr.contains(&supervisor), "{}", refused.stderr);
    assert_eq!(named(&server, "three", &[]), third);

    // Too often is too much: all end, and the log of the supervisor says why.
    let mut last = one.clone();
    for _ in 0..2 {
        server.ok(&["kill", &last]);
        last = named(&server, "one", &[one, &last]);
    }
    server.ok(&["kill", &last]);
    wait_until("all are gone", LONG, || {
        let listed = server.json(&["list-processes"]);
        let is_gone = |name: &str| listed.iter().all(|process| !has_name(process, name));
        (["one", "two", "three"].iter().all(|name| is_gone(name)) && server.process(&supervisor).is_none())
            .then_some(())
    });
    let log = server.log(&supervisor);
    assert!(log.contains("shutdown"), "{log}");
}
