// SPDX-License-Identifier: AGPL-3.0-or-later
//! What programs say when they cannot do what was asked, and with which code they end.

use hearth_e2e::{LONG, Launch, Space, wait_until};
use std::{
    net::TcpListener,
    path::Path,
    process::{Command, Stdio},
};

#[track_caller]
fn fails(launch: Launch, code: u32, words: &[&str]) {
    let output = launch.run_to_end();
    assert_eq!(output.code, code as i32, "{}", output.stderr);
    for word in words {
        assert!(output.stderr.contains(word), "no `{word}` in {}", output.stderr);
    }
    assert!(!output.stderr.contains("panicked"), "{}", output.stderr);
}

#[test]
fn a_client_that_is_not_let_in_says_why() {
    let space = Space::new();
    let server = space.server().start();
    let wrong = space.write("wrong", "not the password\n");
    let words = ["error: could not join", "the server did not accept this password", "hint: "];
    fails(space.client("eve", &server).password(&wrong), 77, &words);
    assert_eq!(server.peers().len(), 1);
    // The wrong password stood nowhere.
    assert!(!server.stderr().contains("not the password"));

    // Changed by its host, the old one holds no longer. Who is in stays in.
    let ada = space.client("ada", &server).start();
    let new = space.write("new", "a new password\n");
    assert_eq!(server.ctl_with(&["passwd"], b"a new password\n").code, 0);
    fails(space.client("bob", &server), 77, &["the server did not accept this password"]);
    let bob = space.client("bob", &server).password(&new).start();
    wait_until("ada sees bob", LONG, || ada.peers().contains(&"bob".into()).then_some(()));
    let output = ada.ctl_with(&["passwd"], b"mine\n");
    assert_eq!(output.code, 78, "a client keeps no password: {output:?}");
    drop((ada, bob));

    // Another server at the same address: the pinned key stops the client, and says what to do.
    let address = server.ready.clone();
    drop(server);
    let impostor = space.server().data(&space.path("impostor")).with("--listen", &*address).start();
    let known = space.path("bob/known-servers");
    let words = ["error: could not join", "has changed", "hint: ", known.to_str().unwrap()];
    fails(space.client("bob", &impostor), 77, &words);
    assert!(impostor.peers().len() == 1);
    // Who takes the advice gets in.
    std::fs::remove_file(&known).unwrap();
    drop(space.client("bob", &impostor).start());
    drop(impostor);

    // Nobody there at all, and somebody who is no server.
    fails(space.client_at("bob", &address), 68, &["cannot reach", "hint: "]);
    fails(space.client_at("bob", "no.such.host.invalid:7464"), 68, &["no.such.host.invalid"]);
    let stranger = TcpListener::bind("127.0.0.1:0").unwrap();
    let place = stranger.local_addr().unwrap().to_string();
    let answer = std::thread::spawn(move || {
        use std::io::{Read as _, Write as _};
        let (mut stream, _) = stranger.accept().unwrap();
        let _ = stream.write_all(
            b"SSH-2.0-OpenSSH_9.2p1\r\nand some more, so that it is as long as a hello may be\r\n",
        );
        let _ = stream.read_to_end(&mut Vec::new());
    });
    fails(space.client_at("bob", &place), 76, &["does not speak this protocol"]);
    answer.join().unwrap();

    // No password, or none that is one.
    let empty = space.write("empty", "\n");
    fails(space.client_at("bob", &address).password(&empty), 64, &["the password is empty"]);
    fails(space.client_at("bob", &address).password(Path::new("/nowhere")), 66, &["/nowhere"]);
    fails(space.client_at("bob", &address).arg("--headless"), 2, &["--no-picture"]);
}

#[test]
fn a_new_server_makes_a_password_and_says_where() {
    use std::os::unix::fs::PermissionsExt as _;
    let space = Space::new();
    let server = space.server().no_password().start();
    let file = space.path("server/password");
    let password = std::fs::read_to_string(&file).unwrap();
    assert_eq!(file.metadata().unwrap().permissions().mode() & 0o777, 0o600);
    let said = server.stderr();
    assert!(said.contains(file.to_str().unwrap()), "{said}");
    assert!(!said.contains(password.trim()), "{said}");
    drop(space.client("ada", &server).password(&file).start());
    fails(space.client("bob", &server), 77, &["did not accept"]);
    // Without a terminal of this session to ask on.
    fails(
        space.client("bob", &server).no_password().by(&["setsid"]),
        66,
        &["--password-file", "HEARTH_PASSWORD"],
    );
    // It holds over a restart, until it is changed; then the file is gone, since it holds no longer.
    let server = server.end().start();
    assert_eq!(std::fs::read_to_string(&file).unwrap(), password);
    let ada = space.client("ada", &server).password(&file).start();
    drop(ada);
    assert_eq!(server.ctl_with(&["passwd"], b"another\n").code, 0);
    assert!(!file.exists());
    let server = server.end().start();
    let another = space.write("another", "another\n");
    drop(space.client("ada", &server).password(&another).start());
}

#[test]
fn a_server_that_cannot_start_says_why() {
    let space = Space::new();
    let server = space.server().start();
    // The folder is in use, and by whom.
    let pid = server.pid().to_string();
    fails(space.server(), 69, &["in use", &pid, "hint: "]);
    // The port is taken.
    let other = space.server().data(&space.path("other"));
    let words = ["could not listen on", server.ready.as_str(), "hint: ", "--listen"];
    fails(other.clone().with("--listen", &*server.ready), 69, &words);
    fails(other.clone().with("--listen", "nonsense"), 69, &["nonsense"]);
    // The manifest is wrong.
    std::fs::write(space.path("other/space.toml"), "[[service]]\nname = 3\n").unwrap();
    fails(other.clone().boot(), 78, &["space.toml", "hint: "]);
    // The folder is no folder.
    let file = space.write("file", "");
    fails(space.server().data(&file), 73, &[file.to_str().unwrap()]);
    // A service that does not start keeps nobody else from starting.
    std::fs::write(space.path("other/space.toml"), "[[service]]\nname = 'x'\nmodule = 'nowhere.wasm'\n")
        .unwrap();
    let other = other.boot().start();
    wait_until("it says so", LONG, || other.stderr().contains("nowhere.wasm").then_some(()));

    // Damaged data: the file and the way to repair it are named, and the way works.
    drop(other);
    let kept = server.ctl_with(&["load-lump", "-"], b"kept").text();
    let down = server.end();
    let scene = space.path("server/scene.redb");
    let whole = std::fs::read(&scene).unwrap();
    std::fs::write(&scene, vec![7; whole.len()]).unwrap();
    let launch = down.clone();
    fails(launch, 74, &["scene.redb", "hint: ", "hearth-server repair --data"]);
    let repair = Command::new(hearth_e2e::program("hearth-server"))
        .args(["repair", "--data"])
        .arg(space.path("server"))
        .output()
        .unwrap();
    assert!(repair.status.success(), "{}", String::from_utf8_lossy(&repair.stderr));
    let server = down.start();
    assert_eq!(server.ok(&["get-lump", &kept]), "kept");
}

#[test]
fn ctl_says_what_it_cannot_do() {
    let space = Space::new();
    let server = space.server().start();
    let ada = space.client("ada", &server).start();
    for (args, code) in [
        (&["frobnicate"][..], 64),
        (&["load-lump", "/nowhere"], 66),
        (&["kill", "0.999999"], 67),
        (&["tail", "0.999999"], 67),
        (&["send", "0.999999", "1"], 67),
        (&["restart", "0.999999"], 67),
        (&["send", "0.1", "{"], 65),
        (&["--socket", "/nowhere.sock", "status"], 69),
        (&["screenshot", "-"], 78),
        (&["spawn", "/etc/passwd"], 65),
    ] {
        let output = server.ctl(args);
        assert_eq!(output.code, code, "{args:?}: {output:?}");
        assert!(output.stderr.starts_with("error: "), "{args:?}: {}", output.stderr);
    }
    // In JSON if that is asked for.
    let output = server.ctl(&["--json", "kill", "0.999999"]);
    let error: serde_json::Value = serde_json::from_str(output.stderr.lines().last().unwrap()).unwrap();
    assert_eq!(error["error"]["exit"], 67, "{error}");

    // A process that does not reply.
    let deaf = server.spawn(&space.guest(hearth_e2e::Guest::Deaf), &[]);
    let output = server.ctl(&["send", &deaf, "1", "--reply", "--timeout", "0.2"]);
    assert_eq!(output.code, 75, "{output:?}");
    // A name that is taken.
    let hands = space.guest(hearth_e2e::Guest::Hands);
    server.spawn(&hands, &["--name", "hands"]);
    let output = server.ctl(&["spawn", hands.to_str().unwrap(), "--name", "hands"]);
    assert_eq!(output.code, 73, "{output:?}");

    // A reader that goes away.
    let ctl = hearth_e2e::program("hearth-ctl");
    let script = format!("{} list-processes | head -1; echo ${{PIPESTATUS[0]}}", ctl.display());
    let runtime = space.path("run-server");
    let output =
        Command::new("bash").args(["-c", &script]).env("HEARTH_RUNTIME_DIR", &runtime).output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(output.stderr.is_empty(), "{}", String::from_utf8_lossy(&output.stderr));
    let (line, code) = text.trim().split_once('\n').unwrap();
    assert!(line.contains('\t') && ["0", "141"].contains(&code), "{text}");

    // Two peers of the same user, and none of them named.
    let sockets = space.path("both");
    let folder =
        std::os::unix::fs::DirBuilderExt::mode(&mut std::fs::DirBuilder::new(), 0o700).create(&sockets);
    folder.unwrap();
    let started: Vec<_> = ["one", "two"]
        .map(|name| space.client(name, &server).env("HEARTH_RUNTIME_DIR", &*sockets).start())
        .into_iter()
        .collect();
    let ask = |more: &[(&str, &Path)]| {
        let mut command = Command::new(&ctl);
        command.arg("status").stdin(Stdio::null()).env_remove("HEARTH_SOCKET");
        command.env("HEARTH_RUNTIME_DIR", &sockets).envs(more.iter().copied());
        command.output().unwrap()
    };
    let output = ask(&[]);
    assert_eq!(output.status.code(), Some(64));
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(text.contains("client-one.sock") && text.contains("client-two.sock"), "{text}");
    let output = ask(&[("HEARTH_SOCKET", &sockets.join("client-two.sock"))]);
    assert!(String::from_utf8_lossy(&output.stdout).contains("name\ttwo"), "{output:?}");
    // One that died leaves a socket that nobody serves, which is no candidate.
    let mut started = started.into_iter();
    drop(started.next().map(hearth_e2e::Peer::kill_9));
    let output = ask(&[]);
    assert!(String::from_utf8_lossy(&output.stdout).contains("name\ttwo"), "{output:?}");
    drop(started);
    let output = ask(&[]);
    assert_eq!(output.status.code(), Some(69));
    assert!(String::from_utf8_lossy(&output.stderr).contains("no peer of yours is running"));

    // The end in good order is answered.
    let (mut server, mut ada) = (server, ada);
    ada.ok(&["shutdown"]);
    assert_eq!(ada.wait_end(), 0);
    server.ok(&["shutdown"]);
    assert_eq!(server.wait_end(), 0);
}

/// A small file system that is unmounted when this is dropped.
struct Small<'a>(&'a Path);

impl Small<'_> {
    fn new(path: &Path) -> Result<Small<'_>, String> {
        std::fs::create_dir(path).unwrap();
        let mounted =
            Command::new("mount").args(["-t", "tmpfs", "-o", "size=24m", "tmpfs"]).arg(path).output();
        match mounted {
            Ok(output) if output.status.success() => Ok(Small(path)),
            Ok(output) => Err(String::from_utf8_lossy(&output.stderr).trim().to_owned()),
            Err(error) => Err(error.to_string()),
        }
    }
}

impl Drop for Small<'_> {
    fn drop(&mut self) {
        // Nobody uses it any more: the peers were dropped before.
        let _ = Command::new("umount").arg("--lazy").arg(self.0).status();
    }
}

#[test]
fn a_full_disk_is_said_and_hurts_nothing() {
    let space = Space::new();
    let folder = space.path("small");
    let small = match Small::new(&folder) {
        Ok(small) => small,
        Err(reason) => {
            eprintln!("\n!!! NOT RUN: a full disk needs root to mount one: {reason}\n");
            return;
        }
    };
    let server = space.server().data(&folder.join("server")).start();
    let kept = server.ctl_with(&["load-lump", "-"], b"before").text();
    let lumps = || server.status()["lumps"].as_u64().unwrap();
    let before = lumps();
    let output = server.ctl_with(&["load-lump", "-"], &vec![9; 40 << 20]);
    assert_eq!(output.code, 74, "{output:?}");
    assert!(output.stderr.contains("disk is full"), "{}", output.stderr);
    // Nothing half-written is left, what was there is there, and there is room again for what fits.
    assert_eq!(lumps(), before);
    assert_eq!(server.ok(&["get-lump", &kept]), "before");
    let fits = vec![5; 4 << 20];
    let loaded = server.ctl_with(&["load-lump", "-"], &fits);
    assert_eq!(loaded.code, 0, "{}", loaded.stderr);
    assert_eq!(server.ctl(&["get-lump", &loaded.text()]).stdout, fits);
    // It also comes back from that.
    let server = server.kill_9().start();
    assert_eq!(server.ctl(&["get-lump", &loaded.text()]).stdout, fits);
    drop(server);
    drop(small);
}
