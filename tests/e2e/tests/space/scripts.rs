// SPDX-License-Identifier: AGPL-3.0-or-later
//! Scripts that are wrong: each hurts only itself, and its author reads why.

use hearth_abi::Errno;
use hearth_e2e::{Guest, Hands, LONG, Space, wait_until};

#[test]
fn bad_scripts_hurt_only_themselves() {
    let space = Space::new();
    let server = space.server().start();
    let bounce = space.guest(Guest::Bounce);
    let pair = [server.spawn(&bounce, &[]), server.spawn(&bounce, &[])];
    let bits = pair[0].parse::<hearth_abi::ProcessId>().unwrap().to_bits().to_le_bytes();
    assert_eq!(server.ctl_with(&["send", "--raw", &pair[1]], &bits).code, 0);
    let bounced = || {
        let received = |id: &String| server.json(&["info", id])[0]["messages_received"].as_u64().unwrap();
        pair.iter().map(received).sum::<u64>()
    };
    let neighbours_go_on = |beside: &str| {
        let before = bounced();
        let what = format!("the pair goes on beside {beside}");
        wait_until(&what, LONG, || (bounced() > before + 40).then_some(()));
    };
    neighbours_go_on("nothing");

    // Infinite loops, more of them than there are processors.
    let module = space.guest(Guest::Hands);
    let spinning: Vec<String> = (0..4).map(|_| server.spawn(&module, &[])).collect();
    spinning.iter().for_each(|id| Hands::at(&server, id).spin());
    for id in &spinning {
        let used = || server.json(&["info", id])[0]["cpu_ns"].as_u64().unwrap();
        let before = used();
        wait_until("it spins", LONG, || (used() > before).then_some(()));
        assert_eq!(server.process(id).unwrap()["state"], "running");
    }
    neighbours_go_on("four infinite loops");
    let mut kill = vec!["kill", "--reason", "it spins"];
    kill.extend(spinning.iter().map(String::as_str));
    server.ok(&kill);
    wait_until("they are gone", LONG, || {
        let listed = server.json(&["list-processes"]);
        listed.iter().all(|process| spinning.iter().all(|id| process["id"] != **id)).then_some(())
    });
    assert!(server.log(&spinning[0]).contains("killed: it spins"));

    // A trap: the reason, and the way to it by name.
    let trapping = Hands::on(&space, &server);
    trapping.trap();
    wait_until("it has trapped", LONG, || server.process(&trapping.id).is_none().then_some(()));
    let log = server.log(&trapping.id);
    for word in ["trap", "unreachable", "trap_inner", "trap_outer"] {
        assert!(log.contains(word), "no `{word}` in {log}");
    }
    let (inner, outer) = (log.find("trap_inner"), log.find("trap_outer"));
    assert!(inner < outer, "innermost first: {log}");

    // The stack.
    let deep = Hands::on(&space, &server);
    deep.use_up_stack();
    wait_until("it has used its stack up", LONG, || server.process(&deep.id).is_none().then_some(()));
    let log = server.log(&deep.id);
    assert!(log.contains("call stack exhausted") && log.contains("deeper"), "{log}");

    // Memory: what is over the limit is not had, and a module that begins over it does not start.
    let hog = Hands::on(&space, &server);
    let pages = hog.grow_all();
    assert!((900..=1024).contains(&pages), "64 MiB are 1024 pages, and it got {pages}");
    assert_eq!(hog.origin(), 0, "it lives on");
    let memory = server.process(&hog.id).unwrap()["memory_bytes"].as_u64().unwrap();
    assert!((56 << 20..=64 << 20).contains(&memory), "{memory}");
    let large = r#"(module (memory (export "memory") 2000) (func (export "start")))"#;
    let output = server.ctl(&["spawn".as_ref(), space.module("large", large).as_os_str()]);
    assert_eq!(output.code, 65, "{output:?}");
    assert!(output.stderr.contains("memory"), "{}", output.stderr);

    // A flood of messages ends at the mailbox of him who does not read, and the flooder is told.
    let deaf = server.spawn(&space.guest(Guest::Deaf), &["--name", "deaf"]);
    assert_eq!(hog.flood(&deaf), Some(Errno::Full));
    let listed = server.process(&deaf).unwrap();
    assert_eq!((&listed["state"], &listed["names"][0]), (&"waiting".into(), &"deaf".into()));
    let waiting = listed["mailbox_signals"].as_u64().unwrap();
    assert!((1000..=4096).contains(&waiting), "{waiting}");
    let output = server.ctl(&["send", "--raw", &deaf, "one more"]);
    assert_eq!(output.code, 71, "{output:?}");
    neighbours_go_on("a full mailbox");

    // A flood of lines: what is too much is dropped, and the log says how much that is.
    let chatty = Hands::on(&space, &server);
    chatty.log_flood(50_000);
    chatty.origin();
    let log = server.ok(&["tail", "-n", "100000", &chatty.id]);
    assert!(log.lines().count() < 5000, "{} lines", log.lines().count());
    wait_until("the log says what was lost", LONG, || {
        // The next line that it may write again brings the note.
        chatty.log(3, "and on");
        let log = server.log(&chatty.id);
        (log.contains("lost") || log.contains("dropped")).then_some(())
    });

    // Its own end, with its own reason.
    let failing = Hands::on(&space, &server);
    failing.exit("the teapot is empty");
    wait_until("it has ended", LONG, || server.process(&failing.id).is_none().then_some(()));
    assert!(server.log(&failing.id).contains("the teapot is empty"));
    neighbours_go_on("all that");
}

#[test]
fn a_module_that_cannot_run_is_refused_with_the_reason() {
    let space = Space::new();
    let server = space.server().start();
    let ada = space.client("ada", &server).start();
    let imports = r#"(module
        (import "hearth/1" "fly" (func (param i32)))
        (import "wasi_snapshot_preview1" "fd_write" (func))
        (import "hearth/1" "self" (func (param i32)))
        (memory (export "memory") 1) (func (export "start")))"#;
    let no_start = r#"(module (memory (export "memory") 1))"#;
    let no_memory = r#"(module (func (export "start")))"#;
    let check = |name: &str, path: &std::path::Path, words: &[&str]| {
        for more in [&[][..], &["--peer", "ada"]] {
            let mut args = vec!["spawn".as_ref(), path.as_os_str()];
            args.extend(more.iter().map(std::ffi::OsStr::new));
            let output = server.ctl(&args);
            assert_eq!(output.code, 65, "{name}: {output:?}");
            for word in words {
                assert!(output.stderr.contains(word), "{name}: no `{word}` in {}", output.stderr);
            }
        }
    };
    let version = r#"(module
        (import "hearth/9" "self" (func (result i64)))
        (memory (export "memory") 1) (func (export "start")))"#;
    let names = ["fly", "wasi_snapshot_preview1", "fd_write"];
    check("version", &space.module("version", version), &["hearth/9", "hearth/1"]);
    check("imports", &space.module("imports", imports), &names);
    check("no start", &space.module("no-start", no_start), &["start"]);
    check("no memory", &space.module("no-memory", no_memory), &["memory"]);
    check("cut", &space.write("cut.wasm", b"\0asm\x01\0\0\0\x07"), &[]);
    assert_eq!(ada.status()["processes"], 0);
    // Text that is no module is found by the shell already.
    let output = server.ctl(&["spawn".as_ref(), space.write("wrong.wat", "(module (func").as_os_str()]);
    assert_eq!(output.code, 65, "{output:?}");
    assert!(output.stderr.contains("wrong.wat"), "{}", output.stderr);
    let output = server.ctl(&["spawn", "/nowhere.wasm"]);
    assert_eq!(output.code, 66, "{output:?}");
}
