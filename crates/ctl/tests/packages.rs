// SPDX-License-Identifier: AGPL-3.0-or-later
//! Packages for scripts: made from templates, built and run at every save.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod fake;

use fake::{Fake, PATIENCE, finish, process, read_until, text};
use hearth_abi::LumpId;
use hearth_protocol::operator::{ExitKind, Request};
use std::{
    fs,
    os::unix::process::CommandExt as _,
    path::{Path, PathBuf},
    process::{Child, ChildStdout},
};

/// A tree with a SDK in it, as small as can be.
fn with_sdk(fake: &Fake) -> PathBuf {
    let sdk = fake.path("the-sdk");
    fs::create_dir_all(sdk.join("vendor/serde-1.0.0/src")).unwrap();
    fs::write(sdk.join("vendor/serde-1.0.0/src/lib.rs"), "// serde").unwrap();
    fs::write(sdk.join("VERSION"), "0.1.0-abc\n").unwrap();
    sdk
}

#[test]
fn packages_are_made_whole_or_not_at_all() {
    let fake = Fake::start();
    let sdk = with_sdk(&fake);
    let data = fake.path("data");
    let new = |args: &[&str]| {
        let mut command = fake.command(&[&["new"], args].concat());
        command.env("HEARTH_SDK", &sdk).env("XDG_DATA_HOME", &data);
        finish(command, b"")
    };
    for (name, lang, files) in [
        ("my-orb", "rust", &["Cargo.toml", ".cargo/config.toml", "src/lib.rs", "README.md"][..]),
        ("c_orb", "c", &["hearth.h", "c_orb.c", "README.md"]),
        ("asorb", "assemblyscript", &["package.json", "assembly/index.ts"]),
        ("watorb", "wat", &["watorb.wat"]),
    ] {
        let path = fake.path(name);
        let output = new(&["--lang", lang, text(&path)]);
        assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
        assert_eq!(String::from_utf8(output.stdout).unwrap(), format!("{}\n", path.display()));
        let settings = fs::read_to_string(path.join("hearth.toml")).unwrap();
        assert!(settings.contains(&format!("name = \"{name}\"")), "{settings}");
        for file in files {
            let text = fs::read_to_string(path.join(file)).unwrap();
            assert!(!text.contains("my-script") && !text.contains("my_script"), "{file}: {text}");
        }
        // It is not made over something.
        assert_eq!(new(&["--lang", lang, text(&path)]).status.code(), Some(73));
    }
    // One copy of the SDK for all packages.
    let link = fs::read_link(fake.path("my-orb/.hearth/sdk")).unwrap();
    assert_eq!(link, data.join("hearth/sdk/0.1.0-abc"));
    assert!(link.join("vendor/serde-1.0.0/src/lib.rs").is_file());
    assert_eq!(fs::read_dir(data.join("hearth/sdk")).unwrap().count(), 1, "nothing is left over");
    assert_eq!(new(&[text(&fake.path("other"))]).status.code(), Some(0));
    assert_eq!(fs::read_link(fake.path("other/.hearth/sdk")).unwrap(), link);

    let output = new(&[text(&fake.path("2fast"))]);
    assert_eq!(output.status.code(), Some(64));
    assert!(!fake.path("2fast").exists());
    // Names that hold what stands in the templates for a name.
    for (lang, says) in [
        ("rust", "module = \"target/wasm32-unknown-unknown/debug/my_script2.wasm\""),
        ("c", "-o my_script2.wasm my_script2.c"),
        ("assemblyscript", "module = \"build/my_script2.wasm\""),
        ("wat", "module = \"my_script2.wat\""),
    ] {
        let path = fake.path(lang).join("my_script2");
        assert_eq!(new(&["--lang", lang, text(&path)]).status.code(), Some(0));
        let settings = fs::read_to_string(path.join("hearth.toml")).unwrap();
        assert!(settings.contains("name = \"my_script2\"\n") && settings.contains(says), "{settings}");
    }
}

#[test]
fn what_fails_half_way_leaves_nothing() {
    let fake = Fake::start();
    // Without the SDK it says where it has looked. Beside the program of this build there may be one, so that it is
    // run from where there is none.
    let program = fake.path("lone/bin/hearth-ctl");
    fs::create_dir_all(program.parent().unwrap()).unwrap();
    // Not by this process, whose other threads start programs: a file that is open for writing cannot be run.
    let copied =
        std::process::Command::new("cp").arg(env!("CARGO_BIN_EXE_hearth-ctl")).arg(&program).status();
    assert!(copied.unwrap().success());
    let path = fake.path("some/where/third");
    for _ in 0..2 {
        let mut command = fake.command_of(&program, &["new", text(&path)]);
        command.env("HEARTH_SDK", fake.path("nowhere")).env("XDG_DATA_HOME", fake.path("empty"));
        let output = finish(command, b"");
        let error = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(66), "{error}");
        assert!(error.contains("the SDK for Rust is not installed\n  cause: "), "{error}");
        assert!(error.contains("nowhere"), "{error}");
        assert!(!fake.path("some").exists(), "the second try is not told that something is there");
    }
    // A path on which there is room for the names of some files and not of others (PATH_MAX of Linux).
    let mut long = fake.path("deep").to_str().unwrap().to_owned();
    while long.len() < 3800 {
        long.push_str(&format!("/{}", "d".repeat(99)));
    }
    long.push_str(&format!("/{}/orb", "d".repeat(4080 - long.len() - "//orb".len())));
    let sdk = with_sdk(&fake);
    let mut command = fake.command(&["new", &long]);
    command.env("HEARTH_SDK", &sdk).env("XDG_DATA_HOME", fake.path("data"));
    let output = finish(command, b"");
    let error = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(73), "{error}");
    assert!(error.contains(".cargo/config.toml"), "it fails half-way: {error}");
    assert!(!fake.path("deep").exists());
}

fn version(letter: char) -> String {
    format!("(module (memory 1) (data (i32.const 0) \"version{letter}\"))")
}

fn interrupt(child: &Child) {
    let pid = rustix::process::Pid::from_raw(child.id() as i32).unwrap();
    rustix::process::kill_process(pid, rustix::process::Signal::INT).unwrap();
}

/// The next request that changes something.
fn saw(fake: &Fake) -> Request {
    loop {
        match fake.saw().0 {
            Request::Tail { .. } | Request::LoadLump {} | Request::Status {} | Request::Info { .. } => {}
            request => return request,
        }
    }
}

/// Waits until the process is to be killed.
fn waits_for_kill(fake: &Fake) {
    loop {
        if let Request::Kill { ids, .. } = saw(fake) {
            return assert_eq!(ids, [process(22)]);
        }
    }
}

fn spawn(fake: &Fake, args: &[&str]) -> Child {
    let mut command = fake.command(args);
    command.process_group(0);
    command.spawn().unwrap()
}

/// A package in the text form of WebAssembly, and its path.
fn wat_package(fake: &Fake, name: &str) -> PathBuf {
    let folder = fake.path(name);
    assert_eq!(fake.run(&["new", "--lang", "wat", text(&folder)], b"").status.code(), Some(0));
    fs::write(folder.join(format!("{name}.wat")), version('1')).unwrap();
    folder
}

/// A package that is built by the shell, with this command.
fn made_package(fake: &Fake, make: &str) -> PathBuf {
    let folder = fake.path("made");
    fs::create_dir_all(&folder).unwrap();
    let settings = "name = \"made\"\nbuild = \"sh make.sh\"\nmodule = \"made.wasm\"\nargs = [\"a\", \"b\"]\n";
    fs::write(folder.join("hearth.toml"), settings).unwrap();
    fs::write(folder.join("make.sh"), make).unwrap();
    folder
}

/// A module as the shell writes it.
fn printed(letter: char) -> String {
    format!("printf '\\0asm\\1\\0\\0\\0version{letter}'")
}

fn module(letter: char) -> LumpId {
    LumpId([letter as u8; 32])
}

fn wait(mut child: Child) -> Option<i32> {
    let until = std::time::Instant::now() + PATIENCE;
    loop {
        if let Some(status) = child.try_wait().unwrap() {
            return status.code();
        }
        assert!(std::time::Instant::now() < until, "it does not end");
        std::thread::yield_now();
    }
}

#[test]
fn a_save_gives_the_process_its_new_code() {
    let fake = Fake::start();
    let folder = wat_package(&fake, "orb");
    let save = |text: &str| fs::write(folder.join("orb.wat"), text).unwrap();
    let mut child = spawn(&fake, &["dev", text(&folder)]);
    let mut out = child.stdout.take().unwrap();
    read_until(&mut out, "started 0.22\n");
    let spawned = Request::Spawn { module: module('1'), peer: None, name: Some("orb".into()), args: vec![] };
    assert_eq!(saw(&fake), spawned);
    // The log of the process is shown between builds.
    read_until(&mut out, "ready\n");
    let notice = |text: &str| Request::Notice { id: process(22), text: text.into() };
    assert_eq!(saw(&fake), notice(""));

    save(&version('2'));
    read_until(&mut out, "replaced 0.22\n");
    assert_eq!(saw(&fake), Request::Replace { id: process(22), module: module('2') });
    assert_eq!(saw(&fake), notice(""));

    // What is no module leaves the process alone, and is told in the space.
    save("(module (func $f (call $g)))");
    let Request::Notice { text: told, .. } = saw(&fake) else { panic!("no notice") };
    assert!(told.contains("orb.wat` is no WebAssembly text\nunknown func"), "{told}");
    save(&version('X'));
    assert_eq!(saw(&fake), Request::Replace { id: process(22), module: module('X') });
    assert_eq!(saw(&fake), notice("the new code ended in its start: tea"));
    save(&version('3'));
    read_until(&mut out, "replaced 0.22\n");
    assert_eq!(saw(&fake), Request::Replace { id: process(22), module: module('3') });
    assert_eq!(saw(&fake), notice(""));

    interrupt(&child);
    assert!(matches!(saw(&fake), Request::Kill { ids, .. } if ids == [process(22)]));
    assert_eq!(wait(child), Some(130));
}

#[test]
fn a_build_that_fails_is_shown_as_it_comes() {
    let fake = Fake::start();
    let folder = made_package(&fake, "echo making >&2; printf '\\0asm\\1\\0\\0\\0versionA' > made.wasm");
    let save = |text: &str| fs::write(folder.join("make.sh"), text).unwrap();
    let mut child = spawn(&fake, &["dev", text(&folder), "--keep"]);
    let (mut out, mut error) = (child.stdout.take().unwrap(), child.stderr.take().unwrap());
    read_until(&mut error, "making\n");
    let seen = read_until(&mut out, "started 0.22\n");
    assert!(seen.contains("building: sh make.sh\n") && seen.contains("built in 0."), "{seen}");
    let args = vec!["a".to_owned(), "b".to_owned()];
    let spawned = Request::Spawn { module: module('A'), peer: None, name: Some("made".into()), args };
    assert_eq!(saw(&fake), spawned);
    let notice = |text: &str| Request::Notice { id: process(22), text: text.into() };
    assert_eq!(saw(&fake), notice(""));

    save(
        "echo 'warning: tea'; echo; echo 'error: no more tea'; echo ' --> pot'; echo; echo 'error: 1'; exit 3",
    );
    let seen = read_until(&mut out, "the build failed");
    assert!(seen.contains("building"), "{seen}");
    read_until(&mut out, "0.22 goes on with the code that it has\n");
    read_until(&mut error, "no more tea\n");
    assert_eq!(saw(&fake), notice("error: no more tea\n --> pot"));

    // The same module again is no new code.
    save("printf '\\0asm\\1\\0\\0\\0versionA' > made.wasm");
    read_until(&mut out, "nothing new for 0.22\n");
    assert_eq!(saw(&fake), notice(""));
    interrupt(&child);
    assert_eq!(wait(child), Some(130));
    assert_eq!(saw(&fake), notice(""), "the process is kept, and nothing is left over it");
}

#[test]
fn it_speaks_to_one_peer_to_its_end() {
    let fake = Fake::start();
    let folder = wat_package(&fake, "orb");
    let mut child = spawn(&fake, &["dev", text(&folder)]);
    let mut out = child.stdout.take().unwrap();
    read_until(&mut out, "started 0.22\n");
    fake.second("client-ann");
    fs::write(folder.join("orb.wat"), version('2')).unwrap();
    read_until(&mut out, "replaced 0.22\n");
    interrupt(&child);
    waits_for_kill(&fake);
    assert_eq!(wait(child), Some(130));
}

#[test]
fn which_peer_is_meant_is_asked_before_the_first_build() {
    let fake = Fake::start();
    fake.second("client-ann");
    let folder = made_package(&fake, "touch was-built");
    let output = fake.run(&["dev", text(&folder)], b"");
    assert_eq!(output.status.code(), Some(64), "{output:?}");
    assert!(String::from_utf8_lossy(&output.stderr).contains("choose one with --socket"), "{output:?}");
    assert!(!folder.join("was-built").exists());
}

#[test]
fn a_process_that_starts_while_dev_is_ended_is_ended_too() {
    let fake = Fake::start();
    let folder = wat_package(&fake, "slow");
    let mut child = spawn(&fake, &["dev", text(&folder)]);
    assert!(matches!(saw(&fake), Request::Spawn { .. }));
    interrupt(&child);
    // It waits for the answer. That it does is seen by nothing, that it does not by its end.
    let until = std::time::Instant::now() + std::time::Duration::from_millis(500);
    while std::time::Instant::now() < until {
        assert_eq!(child.try_wait().unwrap(), None, "it leaves a process behind");
        std::thread::yield_now();
    }
    fake.starts();
    assert!(matches!(saw(&fake), Request::Kill { ids, .. } if ids == [process(22)]));
    assert_eq!(wait(child), Some(130));
}

#[test]
fn a_peer_that_hangs_does_not_hold_its_operator() {
    let fake = Fake::start();
    let folder = wat_package(&fake, "orb");
    let path = fake.path("hangs.sock");
    let listener = std::os::unix::net::UnixListener::bind(&path).unwrap();
    // Its first request is taken, and never answered.
    let child = spawn(&fake, &["dev", text(&folder), "--socket", text(&path), "--peer", "ann"]);
    let (_held, _) = listener.accept().unwrap();
    interrupt(&child);
    assert_eq!(wait(child), Some(130));
    // One that hangs while it is to end the process: the second signal ends the wait for it.
    let mut child = spawn(&fake, &["dev", text(&wat_package(&fake, "deaf"))]);
    let mut out = child.stdout.take().unwrap();
    read_until(&mut out, "ready\n");
    interrupt(&child);
    waits_for_kill(&fake);
    interrupt(&child);
    assert_eq!(wait(child), Some(130));
}

#[test]
fn code_that_was_rolled_back_is_given_again_by_a_save() {
    let fake = Fake::start();
    let folder = wat_package(&fake, "orb");
    let mut child = spawn(&fake, &["dev", text(&folder)]);
    let mut out = child.stdout.take().unwrap();
    read_until(&mut out, "started 0.22\n");
    fs::write(folder.join("orb.wat"), version('1')).unwrap();
    read_until(&mut out, "nothing new for 0.22\n");
    fake.gives(module('0'));
    fs::write(folder.join("orb.wat"), version('1')).unwrap();
    read_until(&mut out, "replaced 0.22\n");
    interrupt(&child);
    assert_eq!(wait(child), Some(130));
}

/// A package that runs and is being built again: that ends once its file `go` is there.
fn being_built(fake: &Fake) -> (PathBuf, Child, ChildStdout) {
    let make = |letter| format!("while ! test -e go; do :; done; {} > made.wasm", printed(letter));
    let folder = made_package(fake, &make('A'));
    fs::write(folder.join("go"), "").unwrap();
    let mut child = spawn(fake, &["dev", text(&folder)]);
    let mut out = child.stdout.take().unwrap();
    read_until(&mut out, "ready\n");
    fs::remove_file(folder.join("go")).unwrap();
    fs::write(folder.join("make.sh"), make('B')).unwrap();
    read_until(&mut out, "building: sh make.sh\n");
    (folder, child, out)
}

#[test]
fn a_process_that_ends_while_it_is_built_is_shown_to_its_end() {
    let fake = Fake::start();
    let (folder, child, mut out) = being_built(&fake);
    fake.ends(ExitKind::Trap, "spilt tea");
    fs::write(folder.join("go"), "").unwrap();
    let seen = read_until(&mut out, "started 0.22\n");
    assert!(seen.contains("ended\ttrap: spilt tea\n"), "{seen}");
    interrupt(&child);
    assert_eq!(wait(child), Some(130));
}

#[test]
fn what_is_saved_in_the_settings_holds_from_then_on() {
    let fake = Fake::start();
    let folder = made_package(&fake, &format!("{} > made.wasm", printed('A')));
    let mut child = spawn(&fake, &["dev", text(&folder)]);
    let (mut out, mut error) = (child.stdout.take().unwrap(), child.stderr.take().unwrap());
    read_until(&mut out, "started 0.22\n");
    // What cannot be read is told, and nothing is built before it can.
    let settings = fs::read_to_string(folder.join("hearth.toml")).unwrap();
    fs::write(folder.join("hearth.toml"), settings.replace("module", "modul")).unwrap();
    read_until(&mut error, "unknown field `modul`");
    let settings = settings.replace("\"a\"", "\"c\"").replace("made.wasm", "other.wasm");
    fs::write(folder.join("make.sh"), format!("{} > other.wasm", printed('B'))).unwrap();
    fs::write(folder.join("hearth.toml"), settings).unwrap();
    let seen = read_until(&mut out, "replaced 0.22\n");
    assert!(seen.contains("`name` and `args` hold from the next start\n"), "{seen}");
    assert_eq!(seen.matches("building").count(), 1, "{seen}");
    // What the build makes now is no save.
    let (tell, told) = std::sync::mpsc::sync_channel(1);
    std::thread::spawn(move || tell.send(read_until(&mut out, "building")));
    assert!(told.recv_timeout(std::time::Duration::from_secs(1)).is_err(), "it builds by itself");
    interrupt(&child);
    assert_eq!(wait(child), Some(130));
}

#[test]
fn a_peer_that_ends_is_looked_for_at_the_next_save() {
    let mut fake = Fake::start();
    let folder = wat_package(&fake, "orb");
    let save = |letter| fs::write(folder.join("orb.wat"), version(letter)).unwrap();
    let mut child = spawn(&fake, &["dev", text(&folder)]);
    let (mut out, mut error) = (child.stdout.take().unwrap(), child.stderr.take().unwrap());
    read_until(&mut out, "ready\n");
    fake.stop();
    read_until(&mut out, "the peer is gone; the next save looks for it again\n");
    save('2');
    read_until(&mut error, "no peer of yours is running\n");
    read_until(&mut out, "the peer is gone; the next save looks for it again\n");
    fake.start_again();
    save('3');
    read_until(&mut out, "started 0.22\n");
    interrupt(&child);
    assert_eq!(wait(child), Some(130));
}

#[test]
fn what_runs_on_a_peer_that_was_started_anew_is_left_alone() {
    let mut fake = Fake::start();
    let (folder, child, mut out) = being_built(&fake);
    fake.stop();
    fake.start_again();
    fake.forget();
    fs::write(folder.join("go"), "").unwrap();
    let seen = read_until(&mut out, "started 0.22\n");
    assert!(seen.contains("the peer is gone"), "{seen}");
    assert!(matches!(saw(&fake), Request::Spawn { .. }), "the process of that id is another");
    interrupt(&child);
    assert_eq!(wait(child), Some(130));
}

#[test]
fn what_goes_wrong_is_told_whole_also_as_json() {
    let fake = Fake::start();
    // A build that leaves its module elsewhere.
    let folder = made_package(&fake, "true");
    let mut child = spawn(&fake, &["--json", "dev", text(&folder)]);
    let mut out = child.stdout.take().unwrap();
    let seen = read_until(&mut out, "leaves it\"}\n");
    assert!(
        seen.contains("{\"error\":\"no such file `") && seen.contains("\"event\":\"not-started\""),
        "{seen}"
    );
    assert!(seen.contains("\"hint\":\"`module` in hearth.toml says where the build leaves it\""), "{seen}");
    fs::write(folder.join("make.sh"), "printf '(module (func call $g))' > made.wat").unwrap();
    let settings = fs::read_to_string(folder.join("hearth.toml")).unwrap();
    fs::write(folder.join("hearth.toml"), settings.replace("made.wasm", "made.wat")).unwrap();
    read_until(&mut out, "is no WebAssembly text\\nunknown func");
    interrupt(&child);
    assert_eq!(wait(child), Some(130));
}

#[test]
fn folders_of_the_environment_do_not_move_the_module() {
    let fake = Fake::start();
    let folder = made_package(&fake, &format!("env > seen; {} > made.wasm", printed('A')));
    let mut command = fake.command(&["dev", text(&folder)]);
    command.env("CARGO_TARGET_DIR", "/a").env("CARGO_BUILD_TARGET_DIR", "/b").process_group(0);
    let mut child = command.spawn().unwrap();
    read_until(child.stdout.as_mut().unwrap(), "started 0.22\n");
    let seen = fs::read_to_string(folder.join("seen")).unwrap();
    assert!(!seen.contains("TARGET_DIR"), "{seen}");
    interrupt(&child);
    assert_eq!(wait(child), Some(130));
}

#[test]
fn what_is_wrong_with_a_package_is_said_at_once() {
    let fake = Fake::start();
    let dev = |folder: &Path| fake.run(&["dev", text(folder)], b"");
    let none = fake.path("none");
    let output = dev(&none);
    assert_eq!(output.status.code(), Some(66));
    assert!(String::from_utf8_lossy(&output.stderr).contains("hint: `hearth-ctl new NAME`"));
    fs::create_dir_all(&none).unwrap();
    fs::write(none.join("hearth.toml"), "name = \"x\"\nmodul = \"y\"\n").unwrap();
    let output = dev(&none);
    assert_eq!(output.status.code(), Some(65));
    assert!(String::from_utf8_lossy(&output.stderr).contains("unknown field `modul`"), "{output:?}");
    // A compiler that is missing is named, and how to get it.
    fs::write(none.join("hearth.toml"), "name = \"x\"\nbuild = \"clang x.c\"\nmodule = \"x.wasm\"\n")
        .unwrap();
    let mut command = fake.command(&["dev", text(&none)]);
    command.env("PATH", "/nowhere");
    let output = finish(command, b"");
    assert_eq!(output.status.code(), Some(69));
    let error = String::from_utf8(output.stderr).unwrap();
    assert!(error.contains("there is no `clang`") && error.contains("apt install clang lld"), "{error}");
}
