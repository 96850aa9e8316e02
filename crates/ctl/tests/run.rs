// SPDX-License-Identifier: AGPL-3.0-or-later
//! `hearth-ctl run`: it ends as the process ends, and the process ends when it is interrupted.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod fake;

use fake::{Fake, LUMP, process, read_until};
use hearth_protocol::operator::{Request, TAIL_LINES_MAX};
use rustix::process::{Pid, Signal, kill_process};
use std::process::Child;

const READY: &str = "2026-11-23T05:00:00.123Z\tinfo\t-\tready\n";

#[test]
fn it_ends_as_the_process_ends() {
    let fake = Fake::start();
    let wat = fake.file("a.wat", b"(module)");
    fake.check(
        &["run", &wat, "--name", "normal", "--", "Ann"],
        "",
        0,
        "2026-11-23T05:00:00.123Z\tinfo\t-\tdone\n-\t-\tended\tnormal\n",
        "0.20\n",
    );
    assert_eq!(fake.saw().0, Request::LoadLump {});
    assert!(matches!(fake.saw().0, Request::Spawn { args, .. } if args == ["Ann"]));
    assert_eq!(fake.saw().0, Request::Tail { id: process(20), lines: TAIL_LINES_MAX, follow: true });
    fake.check(&["run", LUMP, "--name", "trap"], "", 1, "-\t-\tended\ttrap: unreachable\n", "0.21\n");
    fake.check(
        &["run", LUMP, "--name", "trap", "--json"],
        "",
        1,
        "{\"event\":\"ended\",\"kind\":\"trap\",\"reason\":\"unreachable\"}\n",
        "",
    );
    fake.check(&["run", LUMP, "--name", "taken"], "", 73, "", "error: the name `taken` is in use\n");
}

fn signal(child: &Child, signal: Signal) {
    kill_process(Pid::from_child(child), signal).unwrap();
}

/// Requests until one kills; what it says.
fn kill_reason(fake: &Fake) -> String {
    loop {
        if let Request::Kill { ids, reason } = fake.saw().0 {
            assert_eq!(ids, [process(22)]);
            return reason.unwrap();
        }
    }
}

#[test]
fn a_signal_kills_the_process_and_shows_its_end() {
    for (which, code) in [(Signal::INT, 130), (Signal::TERM, 143), (Signal::HUP, 143)] {
        let fake = Fake::start();
        let mut child = fake.command(&["run", LUMP]).spawn().unwrap();
        assert_eq!(read_until(child.stdout.as_mut().unwrap(), "\n"), READY);
        signal(&child, which);
        assert_eq!(kill_reason(&fake), "interrupted by its operator");
        let output = child.wait_with_output().unwrap();
        assert_eq!(output.status.code(), Some(code));
        let out = String::from_utf8(output.stdout).unwrap();
        assert_eq!(out, "-\t-\tended\tkilled: interrupted by its operator\n");
        assert_eq!(output.stderr, b"0.22\n");
    }
}

#[test]
fn a_reader_that_goes_away_kills_the_process() {
    let fake = Fake::start();
    let mut child = fake.command(&["run", LUMP]).spawn().unwrap();
    drop(child.stdout.take());
    assert_eq!(kill_reason(&fake), "the reader of its output went away");
    let output = child.wait_with_output().unwrap();
    assert_eq!((output.status.code(), &output.stderr[..]), (Some(141), &b"0.22\n"[..]));
}

#[test]
fn interrupting_tail_kills_nothing() {
    let fake = Fake::start();
    let mut child = fake.command(&["tail", "-f", "0.22"]).spawn().unwrap();
    assert_eq!(read_until(child.stdout.as_mut().unwrap(), "\n"), READY);
    signal(&child, Signal::INT);
    assert_eq!(child.wait_with_output().unwrap().status.code(), None);
    fake.forget();
    // Had it asked for more, it would have come before this.
    assert!(fake.run(&["status"], b"").status.success());
    assert_eq!(fake.saw().0, Request::Status {});
}

#[test]
fn a_second_peer_does_not_come_between() {
    let fake = Fake::start();
    let mut child = fake.command(&["run", LUMP]).spawn().unwrap();
    assert_eq!(read_until(child.stdout.as_mut().unwrap(), "\n"), READY);
    fake.second("client-ann");
    signal(&child, Signal::INT);
    assert_eq!(kill_reason(&fake), "interrupted by its operator");
    assert_eq!(child.wait_with_output().unwrap().status.code(), Some(130));
}

#[test]
fn a_second_signal_does_not_wait_for_a_peer_that_hangs() {
    let fake = Fake::start();
    let mut child = fake.command(&["run", LUMP, "--name", "deaf"]).spawn().unwrap();
    assert_eq!(read_until(child.stdout.as_mut().unwrap(), "\n"), READY);
    signal(&child, Signal::INT);
    assert_eq!(kill_reason(&fake), "interrupted by its operator");
    signal(&child, Signal::INT);
    assert_eq!(child.wait_with_output().unwrap().status.code(), Some(130));
}
