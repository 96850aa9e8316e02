// SPDX-License-Identifier: AGPL-3.0-or-later
//! Runs the command that builds a package, and shows what it writes as it comes.

use super::package::Package;
use crate::{
    exit::Exit,
    problem::{Problem, Result},
};
use std::{
    io::Write as _,
    process::{ExitStatus, Stdio},
    time::{Duration, Instant},
};
use tokio::io::{AsyncRead, AsyncReadExt as _};

/// How much of what a build writes is kept to be shown elsewhere: its beginning, where the first error is.
const KEPT_BYTES: usize = 64 << 10;

/// What a build did.
pub(super) struct Built {
    pub(super) status: ExitStatus,
    pub(super) took: Duration,
    /// What it wrote, without colours.
    pub(super) text: String,
}

/// Builds. Dropped before its end, the build is ended, with all that it has started.
pub(super) async fn build(package: &Package, command: &str, color: bool) -> Result<Built> {
    let began = Instant::now();
    let failed = |error| Problem::new(Exit::Software, format!("cannot run `{command}`")).cause(error);
    let mut shell = tokio::process::Command::new("sh");
    shell.args(["-c", command]).current_dir(&package.folder);
    shell.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    // hearth.toml says where the module is.
    shell.env_remove("CARGO_TARGET_DIR").env_remove("CARGO_BUILD_TARGET_DIR");
    shell.process_group(0).kill_on_drop(true);
    if color {
        // What it writes goes to a terminal in the end.
        shell.env("CARGO_TERM_COLOR", "always").env("FORCE_COLOR", "1").env("CLICOLOR_FORCE", "1");
    }
    let mut child = shell.spawn().map_err(failed)?;
    let mut group = Group(child.id().and_then(|pid| rustix::process::Pid::from_raw(pid as i32)));
    let mut kept = Vec::new();
    {
        let (out, err) = (child.stdout.take(), child.stderr.take());
        let shown = std::sync::Mutex::new(&mut kept);
        tokio::join!(show(out, &shown), show(err, &shown));
    }
    let status = child.wait().await.map_err(failed)?;
    group.0 = None;
    Ok(Built { status, took: began.elapsed(), text: plain(&kept) })
}

/// Shows what comes, and keeps the first of it.
async fn show(from: Option<impl AsyncRead + Unpin>, kept: &std::sync::Mutex<&mut Vec<u8>>) {
    let Some(mut from) = from else { return };
    let mut buffer = vec![0; 16 << 10];
    // A pipe that fails has ended as well.
    while let Ok(len @ 1..) = from.read(&mut buffer).await {
        let bytes = &buffer[..len];
        // Whoever reads no more need not be told of the build.
        let _ = std::io::stderr().write_all(bytes);
        if let Ok(mut kept) = kept.lock() {
            let room = KEPT_BYTES.saturating_sub(kept.len()).min(len);
            kept.extend_from_slice(&bytes[..room]);
        }
    }
}

/// What a build has started, ended with it when nobody waits for it any more.
struct Group(Option<rustix::process::Pid>);

impl Drop for Group {
    fn drop(&mut self) {
        if let Some(leader) = self.0 {
            // It may have ended by itself.
            let _ = rustix::process::kill_process_group(leader, rustix::process::Signal::TERM);
        }
    }
}

/// Text without the sequences that move the cursor and change colours.
fn plain(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(bytes);
    let mut plain = String::with_capacity(text.len());
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '\x1b' => match chars.next() {
                // ECMA-48, 5.4: parameters and intermediates, then one final character.
                Some('[') => while chars.next().is_some_and(|c| !('@'..='~').contains(&c)) {},
                // A command to the terminal, ended by BEL or ST.
                Some(']') => {
                    while let Some(c) = chars.next() {
                        if c == '\x07' || c == '\x1b' && chars.next_if_eq(&'\\').is_some() {
                            break;
                        }
                    }
                }
                _ => {}
            },
            '\n' | '\t' => plain.push(c),
            c if c.is_control() => {}
            c => plain.push(c),
        }
    }
    plain
}

/// The first error of what a build wrote, for where there is little room.
pub(super) fn first_error(text: &str) -> String {
    const LINES: usize = 14;
    const BYTES: usize = 1200;
    let lines: Vec<&str> = text.lines().collect();
    let is_error = |line: &&str| {
        let line = line.trim_start().to_ascii_lowercase();
        line.starts_with("error") || line.contains(": error") || line.contains("fatal error")
    };
    let shown: Vec<&str> = match lines.iter().position(is_error) {
        Some(at) => {
            lines[at..].iter().copied().take_while(|line| !line.trim().is_empty()).take(LINES).collect()
        }
        // One that has no word for it ends with what is wrong.
        None => lines[lines.len().saturating_sub(LINES)..].to_vec(),
    };
    let mut shown = shown.join("\n");
    shown.truncate(shown.floor_char_boundary(BYTES));
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn colours_are_taken_out() {
        let check = |text: &str, expect: &str| assert_eq!(plain(text.as_bytes()), expect);
        check("\x1b[1m\x1b[38;5;9merror\x1b[0m: no\n", "error: no\n");
        check("\x1b]8;;https://example.org\x07E1\x1b]8;;\x1b\\ end", "E1 end");
        check("a\rb\x1b", "ab");
        check("\x1b[", "");
    }

    #[test]
    fn the_first_error_is_found() {
        let cargo = "   Compiling orb v0.1.0\nwarning: unused\n\nerror[E0425]: cannot find value `x`\n --> src/lib.rs:3\n  |\n\n\
                     error: aborting\n";
        assert_eq!(first_error(cargo), "error[E0425]: cannot find value `x`\n --> src/lib.rs:3\n  |");
        assert_eq!(first_error("orb.c:1:5: error: no\n    int\n"), "orb.c:1:5: error: no\n    int");
        assert_eq!(first_error("it\nfailed"), "it\nfailed");
        assert_eq!(first_error(""), "");
    }
}
