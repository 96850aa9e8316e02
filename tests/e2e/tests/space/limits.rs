// SPDX-License-Identifier: AGPL-3.0-or-later
//! Limits that a manifest says, seen from the shell.

use hearth_abi::Errno;
use hearth_e2e::{Guest, Hands, LONG, Space, wait_until};

#[test]
fn a_manifest_says_what_scripts_may_use_and_the_shell_shows_it() {
    let space = Space::new();
    let hands = space.guest(Guest::Hands);
    let manifest = format!(
        "[limits]\nchildren = 2\n\n[limits.own]\nprocesses = 6\n\n[[service]]\nname = \"small\"\nmodule = {hands:?}\n\n\
         [service.limits]\nmemory_bytes = 8_388_608\n"
    );
    std::fs::create_dir(space.path("server")).unwrap();
    std::fs::write(space.path("server/space.toml"), manifest).unwrap();
    let server = space.server().boot().start();
    let small = wait_until("the service runs", LONG, || {
        let listed = server.json(&["list-processes"]);
        let it =
            listed.iter().find(|process| process["names"][0] == "small" && process["state"] != "starting");
        it.map(|process| process["id"].as_str().unwrap().to_owned())
    });
    let info = || server.json(&["info", &small]).remove(0);
    assert_eq!(info()["limits"]["memory_bytes"]["max"], 8_388_608);

    // A script that takes all that it gets: it goes on, and everybody can see why it got no more.
    let pages = Hands::at(&server, &small).grow_all();
    assert!((100..=128).contains(&pages), "8 MiB are 128 pages, and it got {pages}");
    let memory = info()["limits"]["memory_bytes"].clone();
    assert!(
        memory["reached"].as_u64().unwrap() > 0 && memory["used"].as_u64().unwrap() <= 8_388_608,
        "{memory}"
    );
    let log = server.log(&small);
    assert!(log.contains("memory used up: 8388608 bytes") && log.contains("`memory_bytes`"), "{log}");
    let line = |id: &str| {
        let listed = server.ok(&["list-processes"]);
        listed.lines().find(|line| line.split('\t').next() == Some(id)).unwrap().to_owned()
    };
    assert!(line(&small).ends_with("\tmemory_bytes"), "{}", line(&small));

    // Its neighbour has the memory of every process, and two children.
    let other = Hands::on(&space, &server);
    assert!(other.grow_all() > 900);
    let module = server.ok(&["load-lump", space.guest(Guest::Deaf).to_str().unwrap()]).trim().to_owned();
    let children = [other.spawn(&module), other.spawn(&module)];
    let refused = other.spawn_on(0, &module, &[]).unwrap_err();
    assert_eq!(refused.errno(), Some(Errno::Limit));
    for word in [&*other.id, "2 living children", "`[limits]`", "`space.toml`"] {
        assert!(refused.text().contains(word), "no {word}: {}", refused.text());
    }
    assert!(line(&other.id).contains("children"), "{}", line(&other.id));
    assert!(line(&children[0]).ends_with("\t-"), "{}", line(&children[0]));

    // All of this peer together: the next but one is refused, to the operator too, until another has ended.
    let deaf = space.guest(Guest::Deaf);
    let last = [server.spawn(&deaf, &[]), server.spawn(&deaf, &[])];
    let refused = server.ctl(&["spawn".as_ref(), deaf.as_os_str()]);
    assert_eq!(refused.code, 71, "{refused:?}");
    for word in ["6 processes", "`[limits.own]`", "`space.toml`"] {
        assert!(refused.stderr.contains(word), "no {word}: {}", refused.stderr);
    }
    // Who looks and speaks needs no place.
    assert_eq!(other.origin(), 0);
    server.ok(&["kill", &last[0]]);
    wait_until("it is gone", LONG, || server.process(&last[0]).is_none().then_some(()));
    server.spawn(&deaf, &[]);
}
