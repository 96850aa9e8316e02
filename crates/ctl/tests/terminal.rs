// SPDX-License-Identifier: AGPL-3.0-or-later
//! What people see on a terminal.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod fake;

use fake::{Fake, LUMP, finish, read_until};
use hearth_protocol::operator::Request;
use std::io::Write;

/// What is on the terminal, and the exit code.
fn shown(fake: &Fake, args: &[&str], color: bool) -> (String, i32) {
    let mut command = fake.on_terminal(args);
    if !color {
        command.env("NO_COLOR", "1");
    }
    let output = finish(command, b"");
    (String::from_utf8(output.stdout).unwrap().replace("\r\n", "\n"), output.status.code().unwrap())
}

#[track_caller]
fn check(args: &[&str], code: i32, expect: &str) {
    assert_eq!(shown(&Fake::start(), args, false), (expect.to_string(), code), "{args:?}");
}

#[test]
fn tables_are_aligned_and_have_a_header() {
    check(
        &["list-processes"],
        0,
        "ID    NAME         STATE    MAILBOX   MEMORY      CPU  MODULE        REACHED\n\
         0.17  sky,weather  parked         3  1.1 MiB  12.3 ms  0a0a0a0a0a0a  children\n\
         3.4   -            running        0  1.1 MiB  12.3 ms  -             -\n",
    );
    check(
        &["list-peers"],
        0,
        "ID  NAME     ADDRESS         VERSION  SYSTEM        OFFERS        ROUND TRIP\n\
         0   home     192.0.2.1:9000  0.1.0    linux x86_64  -                      -\n\
         3   ann      -               0.1.0    linux x86_64  picture,keys      371 µs\n\
         4   bob\\tby  -               0.1.0    linux x86_64  picture,keys      371 µs\n\
         5   twin     -               0.1.0    linux x86_64  picture,keys      371 µs\n\
         6   twin     -               0.1.0    linux x86_64  picture,keys      371 µs\n",
    );
    check(
        &["info", "0.17"],
        0,
        &format!(
            "id                   0.17\nname                 sky,weather\nstate                parked\n\
             lane                 fiber\nmailbox              3 of 1000\nmailbox-bytes        2.0 KiB\n\
             memory               1.1 MiB of 64.0 MiB\ncpu                  12.3 ms\nthrottled            1.50 s\nreceived             99\n\
             module               {LUMP}\nhistory              010101010101,*0a0a0a0a0a0a,030303030303\n\
             origin               0\nparent               0.1\nstarted              2026-11-23T05:00:00.123Z\n\
             limits.children      65536 of 65536, reached 2 times\nlimits.memory_bytes  1.1 MiB of 64.0 MiB\n\
             limits.spawns_per_s  any number\n"
        ),
    );
}

#[test]
fn a_tree_is_drawn() {
    check(
        &["tree", "--peer", "5"],
        0,
        "root 5.2 parked\n\
         ├─ sea given-up: could not read `sea\\t.wasm`\n\
         └─ sky 5.4 parked, restarted 2 times, needs sea\n   \
            ├─ cloud 5.6 parked, linked with 5.7\n   \
            │  └─ 5.7 parked, linked with 5.6\n   \
            └─ rain 5.8 parked\n\
         guest 5.9 parked, started by 0.17\n\
         hen 5.10 parked, started by 5.11\n\
         └─ egg 5.11 parked\n",
    );
}

#[test]
fn logs_have_the_time_of_day_and_their_lines() {
    check(
        &["tail", "0.17"],
        0,
        "05:00:00.123Z info  sky: dawn\n05:00:00.123Z warn  two\n    lines\n(4 lines were lost here)\n\
         05:00:00.123Z error sky: dusk\n",
    );
}

#[test]
fn json_is_the_same_everywhere() {
    check(&["shutdown", "--json"], 0, "{\"ok\":true}\n");
}

#[test]
fn bytes_do_not_go_to_the_terminal_unasked() {
    check(
        &["get-lump", LUMP],
        64,
        "error: standard output is a terminal\n\n\
         hint: -o FILE writes to a file; -o - shows the bytes here all the same\n",
    );
    check(
        &["screenshot", "-"],
        64,
        "error: standard output is a terminal\n\nhint: name a file to write to\n",
    );
}

#[test]
fn colours_are_for_terminals_without_no_color() {
    let fake = Fake::start();
    let bold = "\x1b[1mID    NAME";
    assert!(shown(&fake, &["list-processes"], true).0.starts_with(bold));
    let (error, code) = shown(&fake, &["info", "0.99"], true);
    assert_eq!(code, 67);
    assert_eq!(
        error,
        "\x1b[1;31merror\x1b[0m: no such process `0.99`\n\n\x1b[32mhint\x1b[0m: `hearth-ctl list-processes` shows what runs\n"
    );
    assert!(shown(&fake, &["tail", "0.17"], true).0.contains("\x1b[32minfo \x1b[0m sky: dawn"));
    assert!(!shown(&fake, &["tail", "0.17"], false).0.contains('\x1b'));
}

#[test]
fn the_password_is_asked_for_twice() {
    let answer = |fake: &Fake, second: &str| {
        let mut child = fake.on_terminal(&["passwd"]).spawn().unwrap();
        let (mut to, mut from) = (child.stdin.take().unwrap(), child.stdout.take().unwrap());
        read_until(&mut from, "New password: ");
        to.write_all(b"open sesame\n").unwrap();
        read_until(&mut from, "The same again: ");
        to.write_all(format!("{second}\n").as_bytes()).unwrap();
        let mut rest = String::new();
        std::io::Read::read_to_string(&mut from, &mut rest).unwrap();
        (child.wait().unwrap().code().unwrap(), rest)
    };
    let fake = Fake::start();
    let (code, rest) = answer(&fake, "open sesame");
    assert_eq!(code, 0, "{rest}");
    assert!(fake.saw() == (Request::Passwd {}, b"open sesame".to_vec()));
    let (code, rest) = answer(&fake, "open simsim");
    assert!(code == 64 && rest.contains("the two are not the same"), "{code}: {rest}");
}
