// SPDX-License-Identifier: AGPL-3.0-or-later
//! The programs in `docs/formats/operator.md` run as they stand there.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
#![allow(clippy::print_stderr, reason = "a test that does not run says so")]

mod fake;

use fake::{Fake, finish};
use std::process::{Command, Stdio};

const DOCUMENT: &str = include_str!("../../../docs/formats/operator.md");

fn block(language: &str) -> &'static str {
    let start = format!("```{language}\n");
    let (_, rest) = DOCUMENT.split_once(&start).unwrap();
    rest.split_once("```").unwrap().0
}

fn there_is(program: &str) -> bool {
    let found = Command::new(program).arg("-V").stdout(Stdio::null()).stderr(Stdio::null()).status().is_ok();
    if !found {
        eprintln!("SKIPPED: needs `{program}`");
    }
    found
}

fn run(fake: &Fake, program: &str, args: &[&str]) -> String {
    let mut command = Command::new(program);
    command.args(args).env("HEARTH_SOCKET", &fake.socket).current_dir(fake.path("."));
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let output = finish(command, b"");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).into_owned()
}

#[test]
fn the_client_in_python() {
    if !there_is("python3") {
        return;
    }
    let fake = Fake::start();
    fake.file("hello.wasm", b"\0asm\x01\0\0\0");
    // The one of the document follows a process that does not end by itself.
    let program = block("python").replace("args=[\"Ann\"]", "name=\"normal\"");
    let output = run(&fake, "python3", &["-c", &program]);
    assert_eq!(
        output,
        "0.17 parked\n3.4 running\n\
         {'event': 'line', 'time_ms': 1795410000123, 'level': 'info', 'text': 'done'}\n\
         {'event': 'ended', 'kind': 'normal'}\n"
    );
}

#[test]
fn the_request_by_hand() {
    if !there_is("socat") {
        return;
    }
    let fake = Fake::start();
    let output = run(&fake, "sh", &["-c", block("sh").split(" | xxd").next().unwrap()]);
    assert!(output.contains("{\"role\":\"server\"") && output.ends_with("\0\0\0\u{3}"), "{output:?}");
}
