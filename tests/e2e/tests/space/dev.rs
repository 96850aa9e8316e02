// SPDX-License-Identifier: AGPL-3.0-or-later
//! The way of a script: a new package, built at every save, and its process given its new code.

use hearth_e2e::{Peer, Space, wait_until};
use std::{
    fs,
    os::unix::process::CommandExt as _,
    path::Path,
    process::{Child, Command, Stdio},
    time::Duration,
};

/// A first build compiles the SDK and what it needs, and the machine may have much else to do.
const BUILD: Duration = Duration::from_secs(900);

/// `hearth-ctl dev`, and what it writes.
struct Dev<'a> {
    folder: &'a Path,
    child: Child,
    /// Length of what was read of its output.
    seen: usize,
}

impl<'a> Dev<'a> {
    fn start(mut command: Command, folder: &'a Path) -> Dev<'a> {
        command.arg("dev").arg(folder.join("orb")).process_group(0).stdin(Stdio::null());
        let out = fs::File::create(folder.join("out")).unwrap();
        command.stdout(out.try_clone().unwrap()).stderr(out);
        Dev { folder, child: command.spawn().unwrap(), seen: 0 }
    }

    fn text(&self) -> String {
        String::from_utf8_lossy(&fs::read(self.folder.join("out")).unwrap()).into_owned()
    }

    /// Waits until it has written this, after what it had written before.
    #[track_caller]
    fn says(&mut self, what: &str) {
        let at = wait_until(&format!("dev says `{what}`"), BUILD, || {
            let ended = self.child.try_wait().unwrap();
            let text = self.text();
            let at = text[self.seen..].find(what).map(|at| self.seen + at + what.len());
            assert!(at.is_some() || ended.is_none(), "it ended: {ended:?}\n{text}");
            at
        });
        self.seen = at;
    }

    fn interrupt(mut self) -> Option<i32> {
        let pid = rustix::process::Pid::from_raw(self.child.id() as i32).unwrap();
        rustix::process::kill_process(pid, rustix::process::Signal::INT).unwrap();
        let status = wait_until("dev has ended", BUILD, || self.child.try_wait().unwrap());
        status.code()
    }
}

impl Drop for Dev<'_> {
    fn drop(&mut self) {
        // It has ended, unless the test fails.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn field(peer: &Peer, args: &[&str], name: &str) -> Option<String> {
    let text = peer.ok(args);
    text.lines().find_map(|line| line.strip_prefix(&format!("{name}\t")).map(str::to_owned))
}

fn entities(peer: &Peer) -> usize {
    field(peer, &["status"], "entities").unwrap().parse().unwrap()
}

#[test]
fn an_author_edits_and_the_space_changes() {
    let space = Space::new();
    let server = space.server().start();
    let work = space.path("work");
    fs::create_dir_all(&work).unwrap();
    let ctl = || {
        let mut command = server.ctl_command();
        command.env("XDG_DATA_HOME", space.path("data")).env("CARGO_NET_OFFLINE", "true").current_dir(&work);
        // What this test was built with is not what an author has.
        for name in [
            "RUSTFLAGS",
            "CARGO_ENCODED_RUSTFLAGS",
            "CARGO_BUILD_TARGET",
            "RUSTC_WRAPPER",
            "CARGO_TARGET_DIR",
        ] {
            command.env_remove(name);
        }
        command
    };
    let made = ctl().args(["new", "orb"]).output().unwrap();
    assert!(
        made.status.success(),
        "{} (`cargo xtask guests` makes the SDK)",
        String::from_utf8_lossy(&made.stderr)
    );
    let source = work.join("orb/src/lib.rs");
    let first = fs::read_to_string(&source).unwrap();
    let save = |text: &str| fs::write(&source, text).unwrap();

    let mut dev = Dev::start(ctl(), &work);
    dev.says("Compiling orb");
    dev.says("started ");
    let id = server.ok(&["list-processes"]).split('\t').next().unwrap().to_owned();
    wait_until("the orb is there", BUILD, || (entities(&server) == 1).then_some(()));
    dev.says("the orb is ");
    let module = |index: &str| field(&server, &["info", &id], index);
    let old = module("module").unwrap();

    save(&first.replace("0xffa040", "0x40ff60"));
    dev.says(&format!("replaced {id}\n"));
    let green = module("module").unwrap();
    assert_ne!(green, old);
    assert_eq!(entities(&server), 1, "the old orb is gone, and the new one is there");

    // A compile error: the process goes on, and the error stands over the orb.
    save(&first.replace("0xffa040", "no_such_color"));
    dev.says("cannot find value `no_such_color`");
    dev.says(&format!("{id} goes on with the code that it has\n"));
    wait_until("the error is over the orb", BUILD, || (entities(&server) == 3).then_some(()));
    assert_eq!(module("module"), Some(green.clone()));

    // A panic in the start: the same.
    save(&first.replace("    let mut breath", "    panic!(\"no more tea\");\n    let mut breath"));
    dev.says("no more tea");
    wait_until("the panic is over the orb", BUILD, || {
        let log = server.ok(&["tail", &id]);
        (log.contains("the code before goes on") && entities(&server) == 3).then_some(())
    });
    assert_eq!(module("module"), Some(green.clone()));

    save(&first.replace("0xffa040", "0x4060ff"));
    dev.says(&format!("replaced {id}\n"));
    wait_until("the notice is gone", BUILD, || (entities(&server) == 1).then_some(()));
    let blue = module("module").unwrap();
    assert_eq!(module("history"), Some(format!("{old},{green},*{blue}")));
    assert_eq!(server.ok(&["rollback", &id]), green);
    assert_eq!(module("history"), Some(format!("{old},*{green},{blue}")));
    assert_eq!(entities(&server), 1);

    assert_eq!(dev.interrupt(), Some(130));
    wait_until("the process and its orb are gone", BUILD, || {
        (server.ok(&["list-processes"]).is_empty() && entities(&server) == 0).then_some(())
    });
}
