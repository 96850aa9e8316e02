// SPDX-License-Identifier: AGPL-3.0-or-later
//! Records what a program writes, for `tests/ref`: `record NAME COLUMNSxROWS COMMAND... -- KEYS...`
//!
//! Each word of KEYS is typed when the program has been quiet for a while (`\e`, `\r`, `\t`, `\n` and `\xNN` mean
//! what they do in C); the recording ends when it is quiet after the last. Needs `script` of util-linux. The
//! expected grid is written by `HEARTH_BLESS=1 cargo test -p hearth-terminal --test references`.
#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a tool for the tests of this crate")]

use hearth_abi::terminal::{Command, Event, Open};
use hearth_terminal::{Environment, Listener, Terminal};
use std::{
    path::Path,
    sync::{Arc, Condvar, Mutex},
    time::Duration,
};

const QUIET: Duration = Duration::from_millis(1500);
const PATIENCE: Duration = Duration::from_secs(12);

#[derive(Default)]
struct News(Mutex<u64>, Condvar);

impl Listener for News {
    fn changed(&self) {
        *self.0.lock().unwrap() += 1;
        self.1.notify_all();
    }

    fn event(&self, _: Event) {}
}

impl News {
    /// Until the screen has not changed for a while, or changes for too long.
    fn quiet(&self) {
        let start = std::time::Instant::now();
        let mut count = self.0.lock().unwrap();
        loop {
            let before = *count;
            let (now, waited) = self.1.wait_timeout(count, QUIET).unwrap();
            count = now;
            if (waited.timed_out() && *count == before) || start.elapsed() > PATIENCE {
                return;
            }
        }
    }
}

fn unescaped(text: &str) -> String {
    let mut out = String::new();
    let mut characters = text.chars();
    while let Some(character) = characters.next() {
        match (character, character == '\\') {
            (_, false) => out.push(character),
            _ => match characters.next() {
                Some('e') => out.push('\x1b'),
                Some('r') => out.push('\r'),
                Some('n') => out.push('\n'),
                Some('t') => out.push('\t'),
                Some('x') => {
                    let digits: String = characters.by_ref().take(2).collect();
                    out.push(char::from(u8::from_str_radix(&digits, 16).unwrap()));
                }
                other => out.extend(other),
            },
        }
    }
    out
}

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [name, size, rest @ ..] = &arguments[..] else {
        panic!("usage: record NAME 80x24 COMMAND... -- KEYS...")
    };
    let (columns, rows) = size.split_once('x').unwrap();
    let (columns, rows) = (columns.parse().unwrap(), rows.parse().unwrap());
    let end = rest.iter().position(|word| word == "--").unwrap_or(rest.len());
    let (command, keys) = (&rest[..end], rest.get(end + 1..).unwrap_or_default());

    let scratch = tempfile::tempdir().unwrap();
    let log = scratch.path().join("log");
    let command = ["script", "-q", "-f", "-O", log.to_str().unwrap(), "-c", &command.join(" ")];
    let command = command.iter().map(|word| (*word).into()).collect();
    let news = Arc::new(News::default());
    let open = Open {
        columns,
        rows,
        command,
        folder: std::env::current_dir().unwrap().to_str().unwrap().into(),
        ..Open::default()
    };
    let terminal = Terminal::open(&open, Environment::default(), news.clone()).unwrap();
    news.quiet();
    for key in keys {
        terminal.command(Command::Text(unescaped(key))).unwrap();
        news.quiet();
    }
    let bytes = std::fs::read(&log).unwrap();
    // The first line is one of `script` itself, and so is the last if the program has ended.
    let start = bytes.iter().position(|byte| *byte == b'\n').unwrap() + 1;
    let done = b"\nScript done on ";
    let end = bytes.windows(done.len()).rposition(|window| window == done).unwrap_or(bytes.len());
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/ref").join(name);
    std::fs::create_dir_all(&folder).unwrap();
    std::fs::write(folder.join("bytes"), &bytes[start..end]).unwrap();
    std::fs::write(folder.join("size"), format!("{columns} {rows}\n")).unwrap();
    let screen = terminal.screen();
    for row in 0..screen.rows() {
        println!("{}", screen.text(row));
    }
    terminal.close();
    terminal.wait_closed(Duration::from_secs(10));
}
