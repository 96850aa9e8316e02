// SPDX-License-Identifier: AGPL-3.0-or-later
//! Logs: tail, and run, which is spawn and tail in one.

use super::{Peer, processes};
use crate::{
    cli::Module,
    exit::Exit,
    output::{Output, color_on, escape, moment},
    problem::{Problem, Result},
};
use hearth_abi::ProcessId;
use hearth_ipc::Client;
use hearth_protocol::operator::{ExitKind, Killed, Level, LogEvent, Request, Spawned, TAIL_LINES_MAX};
use std::{pin::pin, time::Duration};
use tokio::{
    signal::unix::{Signal, SignalKind, signal},
    time::timeout,
};

/// How long `run` and `dev` wait for a peer that is to end their process.
pub(super) const KILL_TIMEOUT: Duration = Duration::from_secs(5);

pub(super) async fn tail(
    peer: &Peer,
    id: ProcessId,
    lines: u32,
    follow: bool,
    output: &mut Output,
) -> Result<()> {
    if lines > TAIL_LINES_MAX {
        return Err(Problem::new(Exit::Usage, format!("at most {TAIL_LINES_MAX} lines can be asked for")));
    }
    let mut client = peer.connect().await?;
    client.request(&Request::Tail { id, lines, follow }).await?;
    let mut printer = Printer::new(output);
    while let Some(event) = client.value().await? {
        printer.print(&event)?;
        if follow {
            printer.output.flush()?;
        }
    }
    Ok(())
}

pub(super) async fn run(peer: &Peer, what: Module, output: &mut Output) -> Result<()> {
    let request = processes::prepare(peer, what).await?;
    // Before there is a process that a signal would leave behind.
    let mut signals = Signals::new()?;
    let mut spawned = pin!(peer.call::<Spawned>(&request));
    let id = tokio::select! {
        spawned = &mut spawned => spawned?.id,
        exit = signals.next() => {
            let kill = async {
                let spawned = spawned.await?;
                kill(peer, spawned.id, INTERRUPTED).await
            };
            in_time(kill, &mut signals).await?;
            return Err(Problem::silent(exit));
        }
    };
    if output.pretty() {
        eprintln!("process {id}");
    } else if !output.json {
        eprintln!("{id}");
    }
    let mut printer = Printer::new(output);
    let mut client = None;
    let followed = tokio::select! {
        followed = attach(peer, id, &mut client, &mut printer) => followed,
        exit = signals.next() => {
            let end = async {
                kill(peer, id, INTERRUPTED).await?;
                // The end of its log is worth waiting for; without it all is well too.
                if let Some(client) = &mut client {
                    let _ = timeout(KILL_TIMEOUT, follow(client, &mut printer)).await;
                }
                Ok(())
            };
            in_time(end, &mut signals).await?;
            return Err(Problem::silent(exit));
        }
    };
    match followed {
        Ok(ExitKind::Normal) => Ok(()),
        Ok(_) => Err(Problem::silent(Exit::ProcessFailed)),
        Err(problem) => {
            if problem.exit == Exit::BrokenPipe {
                // As a program in the foreground would end when its reader goes away.
                in_time(kill(peer, id, "the reader of its output went away"), &mut signals).await?;
            }
            Err(problem)
        }
    }
}

/// Waits for a peer that ends a process, but not for ever, and not against the user's will: a signal ends it.
pub(super) async fn in_time(end: impl Future<Output = Result<()>>, signals: &mut Signals) -> Result<()> {
    tokio::select! {
        // Two waits of `KILL_TIMEOUT` may be in it.
        ended = timeout(2 * KILL_TIMEOUT, end) => ended.unwrap_or_else(|_elapsed| {
            Err(Problem::new(Exit::TimedOut, "the peer does not answer, and the process may run on"))
        }),
        _ = signals.next() => Ok(()),
    }
}

/// What the log of a process says that was killed with Ctrl-C.
const INTERRUPTED: &str = "interrupted by its operator";

/// Prints the log of a process to its end. Cancelled, it leaves behind what it is read from.
async fn attach(
    peer: &Peer,
    id: ProcessId,
    client: &mut Option<Client>,
    printer: &mut Printer<'_>,
) -> Result<ExitKind> {
    let client = client.insert(peer.connect().await?);
    client.request(&Request::Tail { id, lines: TAIL_LINES_MAX, follow: true }).await?;
    follow(client, printer).await
}

/// Prints the log to its end. Cancellation safe.
async fn follow(client: &mut Client, printer: &mut Printer<'_>) -> Result<ExitKind> {
    while let Some(event) = client.value().await? {
        printer.print(&event)?;
        printer.output.flush()?;
        if let LogEvent::Ended { kind, .. } = event {
            return Ok(kind);
        }
    }
    Err(Problem::new(Exit::Protocol, "the log ended before the process"))
}

pub(super) async fn kill(peer: &Peer, id: ProcessId, reason: &str) -> Result<()> {
    let request = Request::Kill { ids: vec![id], reason: Some(reason.into()) };
    // One that has just ended by itself cannot be killed, which is as well.
    peer.list::<Killed>(&request).await.map(drop)
}

/// The signals that end `run` and `dev`.
pub(super) struct Signals {
    interrupt: Signal,
    terminate: Signal,
    hang_up: Signal,
}

impl Signals {
    pub(super) fn new() -> Result<Signals> {
        let watch = |kind| {
            signal(kind)
                .map_err(|error| Problem::new(Exit::Software, "cannot watch for signals").cause(error))
        };
        Ok(Signals {
            interrupt: watch(SignalKind::interrupt())?,
            terminate: watch(SignalKind::terminate())?,
            hang_up: watch(SignalKind::hangup())?,
        })
    }

    pub(super) async fn next(&mut self) -> Exit {
        tokio::select! {
            _ = self.interrupt.recv() => Exit::Interrupted,
            _ = self.terminate.recv() => Exit::Terminated,
            _ = self.hang_up.recv() => Exit::Terminated,
        }
    }
}

/// Shows pieces of a log.
pub(super) struct Printer<'a> {
    output: &'a mut Output,
    color: bool,
}

impl<'a> Printer<'a> {
    pub(super) fn new(output: &'a mut Output) -> Printer<'a> {
        let color = output.pretty() && color_on(&std::io::stdout());
        Printer { output, color }
    }

    pub(super) fn print(&mut self, event: &LogEvent) -> Result<()> {
        if self.output.json {
            return self.output.json_line(event);
        }
        let text = if self.output.terminal { pretty(event, self.color) } else { fields(event) };
        self.output.bytes(text.as_bytes())
    }
}

/// One line of fields.
fn fields(event: &LogEvent) -> String {
    let or_dash = |text: &str| if text.is_empty() { "-".into() } else { escape(text).into_owned() };
    match event {
        LogEvent::Line { time_ms, level, target, text } => {
            format!("{}\t{}\t{}\t{}\n", moment(*time_ms), level.name(), or_dash(target), or_dash(text))
        }
        LogEvent::Lost { lines } => format!("-\t-\tlost\t{lines}\n"),
        LogEvent::Ended { kind, reason, backtrace } => {
            let mut text = format!("{}: {reason}", kind.name());
            if let Some(backtrace) = backtrace {
                text.push('\n');
                text.push_str(backtrace);
            }
            format!("-\t-\tended\t{}\n", escape(text.trim_end_matches(": ")))
        }
        _ => String::new(),
    }
}

/// For people: the time of day, the level, and text that may have several lines.
fn pretty(event: &LogEvent, color: bool) -> String {
    let paint = |code: &str, text: &str| match color {
        true => format!("\x1b[{code}m{text}\x1b[0m"),
        false => text.to_string(),
    };
    match event {
        LogEvent::Line { time_ms, level, target, text } => {
            let moment = moment(*time_ms);
            let time = paint("2", moment.split_once('T').map_or(&moment[..], |(_, time)| time));
            let code = match level {
                Level::Error => "1;31",
                Level::Warn => "33",
                Level::Info => "32",
                Level::Debug => "34",
                Level::Trace => "2",
            };
            let level = paint(code, &format!("{:<5}", level.name()));
            let target = if target.is_empty() { String::new() } else { format!("{}: ", escape(target)) };
            format!("{time} {level} {target}{}\n", lines(text))
        }
        LogEvent::Lost { lines } => paint("33", &format!("({lines} lines were lost here)")) + "\n",
        LogEvent::Ended { kind, reason, backtrace } => {
            let mut text = paint("1", &format!("ended: {}", kind.name()));
            if !reason.is_empty() {
                text.push_str(&format!(": {}", lines(reason)));
            }
            text.push('\n');
            if let Some(backtrace) = backtrace {
                text.push_str(&format!("    {}\n", lines(backtrace)));
            }
            text
        }
        _ => String::new(),
    }
}

/// Text with its line breaks, its further lines set off, and nothing that moves the cursor.
fn lines(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for (index, line) in text.trim_end_matches('\n').lines().enumerate() {
        if index > 0 {
            shown.push_str("\n    ");
        }
        for c in line.chars() {
            match c {
                '\t' => shown.push('\t'),
                c if c.is_control() => shown.push('\u{fffd}'),
                c => shown.push(c),
            }
        }
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(target: &str, text: &str) -> LogEvent {
        LogEvent::Line { time_ms: 1_000, level: Level::Warn, target: target.into(), text: text.into() }
    }

    #[test]
    fn forms() {
        let check = |event: LogEvent, expect_fields: &str, expect_pretty: &str| {
            assert_eq!(fields(&event), expect_fields);
            assert_eq!(pretty(&event, false), expect_pretty);
        };
        check(
            line("sky", "dark\nand\x1b[2J\ttabs"),
            "1970-01-01T00:00:01.000Z\twarn\tsky\tdark\\nand\\u{1b}[2J\\ttabs\n",
            "00:00:01.000Z warn  sky: dark\n    and\u{fffd}[2J\ttabs\n",
        );
        check(line("", ""), "1970-01-01T00:00:01.000Z\twarn\t-\t-\n", "00:00:01.000Z warn  \n");
        check(LogEvent::Lost { lines: 3 }, "-\t-\tlost\t3\n", "(3 lines were lost here)\n");
        let ended = |kind, reason: &str, backtrace: Option<&str>| LogEvent::Ended {
            kind,
            reason: reason.into(),
            backtrace: backtrace.map(Into::into),
        };
        check(ended(ExitKind::Normal, "", None), "-\t-\tended\tnormal\n", "ended: normal\n");
        check(
            ended(ExitKind::Trap, "unreachable", Some("0: start\n1: main")),
            "-\t-\tended\ttrap: unreachable\\n0: start\\n1: main\n",
            "ended: trap: unreachable\n    0: start\n    1: main\n",
        );
    }
}
