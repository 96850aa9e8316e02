// SPDX-License-Identifier: AGPL-3.0-or-later
//! Pictures of many small boxes that a script moves before each, as a user of the real programs has them. `cargo bench -p
//! hearth-e2e --bench crowd [-- [COUNT] [WIDTHxHEIGHT]]`. The programs are those of the release profile, which must have
//! been built, as `cargo xtask bench` does. It prints, and asserts nothing.
#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a benchmark, run by hand")]

use hearth_e2e::{LONG, Peer, Space, test_guest, wait_until};
use std::time::{Duration, Instant};

/// Pictures that are looked at.
const PICTURES: &str = "300";
/// More than that takes on a processor that draws.
const PATIENCE: Duration = Duration::from_secs(600);

fn main() {
    let wanted: Vec<String> =
        std::env::args().skip(1).filter(|argument| !argument.starts_with('-')).collect();
    let count = wanted.iter().find(|argument| argument.parse::<u32>().is_ok());
    let count = count.map_or("10000", String::as_str);
    let size = wanted.iter().find(|argument| argument.contains('x')).map_or("1280x720", String::as_str);
    for (whose, scope) in [("eye", "local"), ("eye", "shared"), ("server", "shared")] {
        measure(count, size, "60", whose, scope);
    }
    measure(count, size, "1000", "eye", "local");
}

/// A server and a client that shows, and boxes that a script on one of them moves.
fn measure(count: &str, size: &str, pace: &str, whose: &str, scope: &str) {
    let space = Space::new();
    let server = space.server().start();
    let eye = space.client("eye", &server).headless(size).arg("--pictures-per-second").arg(pace).start();
    let host = if whose == "eye" { &eye } else { &server };
    let (guest, scope_shown) =
        (test_guest("crowd"), if whose == "eye" { scope } else { "shared, by the server" });
    let crowd = host.spawn(&guest, &["--", "move", count, scope]);
    let said = |peer: &Peer, process: &str, what: &str| {
        peer.log(process).lines().rev().find(|line| line.contains(what)).map(str::to_owned)
    };
    wait_until("the boxes move", LONG, || said(host, &crowd, "moves,"));
    let before = (Instant::now(), processor_s(&eye), processor_s(&server));
    let watch = eye.spawn(&guest, &["--", "watch", PICTURES]);
    let found =
        wait_until("the pictures have been looked at", PATIENCE, || said(&eye, &watch, "pictures a second"));
    let time = before.0.elapsed().as_secs_f64();
    let moves = said(host, &crowd, "moves,").unwrap();
    let text = |line: &str| {
        line.rsplit_once("crowd")
            .map_or(line, |(_, text)| text)
            .trim_start_matches([':', ' ', '\t'])
            .to_owned()
    };
    println!(
        "crowd\t{count} {scope_shown}, {size}, at most {pace} a second\t{}; processors: client {:.2}, server {:.2}; {}",
        text(&found),
        (processor_s(&eye) - before.1) / time,
        (processor_s(&server) - before.2) / time,
        text(&moves),
    );
}

/// Seconds of the processor that a peer has used; zero where the system does not say.
fn processor_s(peer: &Peer) -> f64 {
    let stat = std::fs::read_to_string(format!("/proc/{}/stat", peer.pid())).unwrap_or_default();
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
    let ticks = |i: usize| fields.get(i).and_then(|field| field.parse::<f64>().ok()).unwrap_or(0.0);
    (ticks(11) + ticks(12)) / 100.0
}
