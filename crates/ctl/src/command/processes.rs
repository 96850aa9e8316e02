// SPDX-License-Identifier: AGPL-3.0-or-later
//! Processes: list, spawn, kill, restart, info.

use super::{Peer, SHORT_DIGITS, file, lumps};
use crate::{
    cli::{Module, Place},
    exit::Exit,
    output::{Output, left, moment, right, size, span},
    problem::{Problem, Result},
};
use hearth_abi::{LumpId, ProcessId};
use hearth_protocol::operator::{Killed, LimitInfo, ProcessInfo, Replaced, Request, Spawned};
use std::{
    ffi::OsStr,
    io::{Cursor, Read},
    path::Path,
};

/// Most bytes of a module in text form, which is translated in memory.
const TEXT_BYTES_MAX: usize = 64 << 20;

pub(super) async fn list(peer: &Peer, place: &Place, output: &mut Output) -> Result<()> {
    let number = peer.number_of(place).await?;
    let processes: Vec<ProcessInfo> =
        peer.list(&Request::ListProcesses { peer: number, after: None }).await?;
    let columns = [
        left("ID"),
        left("NAME"),
        left("STATE"),
        right("MAILBOX"),
        right("MEMORY"),
        right("CPU"),
        left("MODULE"),
        left("REACHED"),
    ];
    output.table(columns, &processes, |process, pretty| {
        let mut module = process.module.map(|id| id.to_string()).unwrap_or_default();
        let (memory, cpu) = if pretty {
            module.truncate(SHORT_DIGITS);
            (size(process.memory_bytes), span(process.cpu_ns))
        } else {
            (process.memory_bytes.to_string(), seconds(process.cpu_ns))
        };
        let (names, state) = (process.names.join(","), process.state.name().into());
        let mailbox = process.mailbox_signals.to_string();
        [process.id.to_string(), names, state, mailbox, memory, cpu, module, reached(process)]
    })
}

/// The limits that it has reached.
fn reached(process: &ProcessInfo) -> String {
    let reached = process.limits.iter().filter(|(_, limit)| limit.reached > 0);
    reached.map(|(name, _)| name.as_str()).collect::<Vec<_>>().join(",")
}

/// A limit: how much is used of how much, and how often it was reached.
fn limit(info: &LimitInfo, unit: impl Fn(u64) -> String, pretty: bool) -> String {
    let [used, max] = [info.used, info.max].map(|number| number.map(&unit));
    let times = |reached: u64| if reached == 1 { "once".into() } else { format!("{reached} times") };
    match pretty {
        true => {
            let used = used.map_or_else(String::new, |used| format!("{used} of "));
            let max = max.unwrap_or_else(|| "any number".into());
            let reached = (info.reached > 0).then(|| format!(", reached {}", times(info.reached)));
            format!("{used}{max}{}", reached.unwrap_or_default())
        }
        false => format!("{}/{}/{}", used.unwrap_or_default(), max.unwrap_or_default(), info.reached),
    }
}

/// Seconds with as many digits as a nanosecond needs.
fn seconds(nanoseconds: u64) -> String {
    format!("{}.{:09}", nanoseconds / 1_000_000_000, nanoseconds % 1_000_000_000)
}

pub(super) async fn spawn(peer: &Peer, what: Module, output: &mut Output) -> Result<()> {
    let request = prepare(peer, what).await?;
    print_id(&peer.call(&request).await?, output)
}

fn print_id(spawned: &Spawned, output: &mut Output) -> Result<()> {
    match output.json {
        true => output.json_line(spawned),
        false => output.line(&spawned.id.to_string()),
    }
}

/// The request that starts a process; a module that is a file is loaded first.
pub(super) async fn prepare(peer: &Peer, what: Module) -> Result<Request> {
    let number = peer.number_of(&what.place).await?;
    let module = lump_of(peer, &what.module).await?;
    Ok(Request::Spawn { module, peer: number, name: what.name, args: what.args })
}

/// The lump that is meant: a module that is a file is loaded first.
pub(super) async fn lump_of(peer: &Peer, what: &Path) -> Result<LumpId> {
    match what.to_str().and_then(|text| text.parse::<LumpId>().ok()) {
        Some(id) => Ok(id),
        None => {
            let (from, path) = module(what)?;
            Ok(lumps::load_from(peer, from, path).await?.id)
        }
    }
}

/// The bytes of a module; one in text form is translated.
fn module(path: &Path) -> Result<(Box<dyn Read>, &Path)> {
    let mut from = file::open(path)?;
    let mut start = [0; 4];
    let mut len = 0;
    while len < start.len() {
        match file::read_piece(&mut from, path, &mut start[len..])? {
            0 => break,
            more => len += more,
        }
    }
    if start == *b"\0asm" {
        return Ok((Box::new(Cursor::new(start).chain(from)), path));
    }
    if path.extension() != Some(OsStr::new("wat")) && !file::is_dash(path) {
        return Err(Problem::new(Exit::Data, format!("`{}` is no WebAssembly module", path.display()))
            .hint("a module in text form has the ending .wat; `hearth-ctl load-lump` loads any file"));
    }
    let mut text = start[..len].to_vec();
    text.extend(file::read_all(from, path, TEXT_BYTES_MAX)?);
    let malformed = || Problem::new(Exit::Data, format!("`{}` is no WebAssembly text", path.display()));
    let text = String::from_utf8(text).map_err(|error| malformed().cause(error))?;
    let bytes = wat::Parser::new().parse_str(Some(path), text).map_err(|error| {
        // The parser shows the place, over several lines.
        malformed().cause(error.to_string().replace('\n', "\n  "))
    })?;
    Ok((Box::new(Cursor::new(bytes)), path))
}

pub(super) async fn kill(
    peer: &Peer,
    ids: Vec<ProcessId>,
    reason: Option<String>,
    output: &mut Output,
) -> Result<()> {
    let killed: Vec<Killed> = peer.list(&Request::Kill { ids, reason }).await?;
    if output.json {
        killed.iter().try_for_each(|killed| output.json_line(killed))?;
    }
    let mut failures: Vec<_> =
        killed.into_iter().filter_map(|killed| killed.error).map(Problem::from).collect();
    // The first is told last, by whoever ends the program with its code.
    for problem in failures.drain(1.min(failures.len())..) {
        if !output.json {
            eprint!("{}", problem.text(crate::output::color_on(&std::io::stderr())));
        }
    }
    failures.pop().map_or(Ok(()), Err)
}

pub(super) async fn restart(peer: &Peer, id: ProcessId, output: &mut Output) -> Result<()> {
    print_id(&peer.call(&Request::Restart { id }).await?, output)
}

/// The modules that it has run, oldest first, where there is more than the one that runs, which has a star.
fn history(info: &ProcessInfo, pretty: bool) -> String {
    if info.history.len() < 2 {
        return String::new();
    }
    let at = info.history_index.unwrap_or(u64::MAX);
    let ids = info.history.iter().zip(0u64..).map(|(id, index)| {
        let mut text = id.to_string();
        if pretty {
            text.truncate(SHORT_DIGITS);
        }
        if index == at { format!("*{text}") } else { text }
    });
    ids.collect::<Vec<_>>().join(",")
}

pub(super) async fn replace(peer: &Peer, id: ProcessId, what: &Path, output: &mut Output) -> Result<()> {
    let module = lump_of(peer, what).await?;
    print_module(&peer.call(&Request::Replace { id, module }).await?, output)
}

pub(super) async fn rollback(peer: &Peer, id: ProcessId, output: &mut Output) -> Result<()> {
    print_module(&peer.call(&Request::Rollback { id }).await?, output)
}

fn print_module(replaced: &Replaced, output: &mut Output) -> Result<()> {
    match output.json {
        true => output.json_line(replaced),
        false => output.line(&replaced.module.to_string()),
    }
}

pub(super) async fn info(peer: &Peer, id: ProcessId, output: &mut Output) -> Result<()> {
    let info: ProcessInfo = peer.call(&Request::Info { id }).await?;
    let pretty = output.pretty();
    let bytes = |bytes: u64| if pretty { size(bytes) } else { bytes.to_string() };
    let of = |value: String, max: Option<String>| match max {
        Some(max) if pretty => format!("{value} of {max}"),
        _ => value,
    };
    let text = |value: Option<u64>| value.map(|value| value.to_string());
    let throttled = match info.throttled_ns {
        0 => String::new(),
        time if pretty => span(time),
        time => seconds(time),
    };
    let mut fields = vec![
        ("id", info.id.to_string()),
        ("name", info.names.join(",")),
        ("state", info.state.name().into()),
        ("lane", info.lane.clone()),
        ("mailbox", of(info.mailbox_signals.to_string(), text(info.mailbox_signals_max))),
        ("mailbox-bytes", of(bytes(info.mailbox_bytes), info.mailbox_bytes_max.map(bytes))),
        ("memory", of(bytes(info.memory_bytes), info.memory_bytes_max.map(bytes))),
        ("cpu", if pretty { span(info.cpu_ns) } else { seconds(info.cpu_ns) }),
        ("throttled", throttled),
        ("received", info.messages_received.to_string()),
        ("module", info.module.map(|id| id.to_string()).unwrap_or_default()),
        ("history", history(&info, pretty)),
        ("origin", info.origin.to_string()),
        ("parent", info.parent.map(|id| id.to_string()).unwrap_or_default()),
        ("started", moment(info.started_ms)),
    ];
    if !pretty {
        fields.extend([
            ("mailbox-max", text(info.mailbox_signals_max).unwrap_or_default()),
            ("mailbox-bytes-max", text(info.mailbox_bytes_max).unwrap_or_default()),
            ("memory-max", text(info.memory_bytes_max).unwrap_or_default()),
        ]);
    }
    let limits = info.limits.iter().map(|(name, info)| {
        let is_bytes = name.ends_with("_bytes");
        let unit = |number: u64| if is_bytes { bytes(number) } else { number.to_string() };
        (format!("limits.{name}"), limit(info, unit, pretty))
    });
    let limits: Vec<(String, String)> = limits.collect();
    fields.extend(limits.iter().map(|(name, text)| (name.as_str(), text.clone())));
    output.record(&info, &fields)
}
