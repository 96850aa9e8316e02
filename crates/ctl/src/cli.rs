// SPDX-License-Identifier: AGPL-3.0-or-later
//! The command line, defined once: help, manual, man pages and completions are made from it.

use crate::{command::tools::Language, exit::Exit};
use clap::{Args, CommandFactory, Parser, Subcommand, ValueHint};
use hearth_abi::{EntityId, LumpId, ProcessId, TerminalId};
use hearth_protocol::control::Grantable;
use std::path::PathBuf;

/// Command and observe a running Hearth peer.
///
/// It speaks to a server or a client on this machine, over the local socket of that peer: the one named
/// by --socket, else by $HEARTH_SOCKET, else the only peer of yours that runs.
///
/// On a terminal, tables are aligned and have a header. Anywhere else they are lines of fields
/// separated by tabs, without a header; what is absent is `-`, and tab, line break and backslash within a field
/// are written `\t`, `\n`, `\r` and `\\`.
#[derive(Debug, Parser)]
#[command(name = "hearth-ctl", version, max_term_width = 100, after_help = FIRST_EXAMPLES)]
#[command(after_long_help = long_help(), subcommand_required = true, arg_required_else_help = true)]
pub(crate) struct Arguments {
    /// The socket of the peer to speak to
    #[arg(long, global = true, value_name = "PATH", value_hint = ValueHint::FilePath)]
    pub(crate) socket: Option<PathBuf>,
    /// Print JSON: one document, or one for each line of a list; errors too
    #[arg(long, global = true)]
    pub(crate) json: bool,
    #[command(subcommand)]
    pub(crate) command: Command,
}

const FIRST_EXAMPLES: &str = "\
Examples:
  hearth-ctl list-processes
  hearth-ctl run hello.wasm
  hearth-ctl list-processes | awk '$3 == \"running\" {print $1}' | xargs hearth-ctl kill

`hearth-ctl help COMMAND` shows the options and examples of one command, `--help` also the exit codes.";

fn long_help() -> String {
    format!("{FIRST_EXAMPLES}\n\n{}", Exit::help())
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Load a file into the store of the peer and print its id
    #[command(after_help = "\
Examples:
  hearth-ctl load-lump stone.png
  curl -s https://example.org/stone.png | hearth-ctl load-lump -")]
    LoadLump {
        /// The file; `-` is standard input
        #[arg(value_hint = ValueHint::FilePath)]
        file: PathBuf,
    },
    /// Write the bytes of a lump
    #[command(after_help = "\
Examples:
  hearth-ctl get-lump -o stone.png 7f3a…
  hearth-ctl get-lump 7f3a… | sha256sum

A file is written whole or not at all.")]
    GetLump {
        /// The lump, 64 hexadecimal digits
        id: LumpId,
        /// Where to; `-` is standard output, which is the default where that is no terminal
        #[arg(short, long, value_name = "FILE", value_hint = ValueHint::FilePath)]
        output: Option<PathBuf>,
    },
    /// Keep a lump though nothing refers to it
    #[command(after_help = "Example:\n  hearth-ctl pin 7f3a…")]
    Pin {
        /// The lump, 64 hexadecimal digits
        id: LumpId,
    },
    /// Undo `pin`
    #[command(after_help = "Example:\n  hearth-ctl unpin 7f3a…")]
    Unpin {
        /// The lump, 64 hexadecimal digits
        id: LumpId,
    },
    /// List the lumps that the peer has
    #[command(after_help = "\
Fields: id, size in bytes, `pinned` or `-`.

Example:
  hearth-ctl list-lumps | sort -k2 -n | tail -5      the largest")]
    ListLumps,
    /// List what a client has made of lumps for its picture
    #[command(
        visible_alias = "assets",
        after_help = "\
Fields: lump, class, state (`fetching`, `decoding`, `ready`, `failed`), memory in bytes, users
(entities and processes), and why it failed.

Examples:
  hearth-ctl list-assets
  hearth-ctl list-assets | awk '{ sum += $4 } END { print sum }'      memory of all"
    )]
    ListAssets,
    /// List the processes of the peer, or of another
    #[command(
        visible_alias = "ps",
        after_help = "\
Fields: id, name, state, signals in the mailbox, memory in bytes, CPU time in seconds, module.
On a terminal memory and time have units, and ids of modules are cut to 12 digits.

Examples:
  hearth-ctl list-processes
  hearth-ctl list-processes --peer ann
  hearth-ctl list-processes --json | jq 'select(.memory_bytes > 10000000) | .id'"
    )]
    ListProcesses {
        #[command(flatten)]
        place: Place,
    },
    /// Draw who started whom: the services of the peer, or of another, and the processes below them
    #[command(after_help = "\
First the root supervisor and the services that it looks after, then the processes that
operators, other peers or the peer itself have started; below each those that it has spawned.

Fields where it is no terminal: depth, id, name, state; of a service how often it was restarted
and what it needs (separated by commas); processes that it is linked with (separated by commas),
process that spawned it; why the service was restarted or is not. A service is `waiting` (to be
started), `stopping`, `ended` or `given-up`, or has the state of its process, as `list-processes`.

Examples:
  hearth-ctl tree
  hearth-ctl tree --peer ann
  hearth-ctl tree | awk -F '\\t' '$4 == \"given-up\" {print $3}'")]
    Tree {
        #[command(flatten)]
        place: Place,
    },
    /// Start a process and print its id
    #[command(after_help = "\
Examples:
  hearth-ctl spawn hello.wasm
  hearth-ctl spawn hello.wat --name greeter -- Ann Bob
  hearth-ctl spawn 7f3a… --peer 3")]
    Spawn {
        #[command(flatten)]
        what: Module,
    },
    /// Start a process, show its log, and end when it ends
    #[command(after_help = "\
Ctrl-C kills the process; again, it is not waited for. The exit code is 0 if the process ended normally.
Its id is written to standard error.

Examples:
  hearth-ctl run hello.wasm
  hearth-ctl run hello.wat -- Ann Bob")]
    Run {
        #[command(flatten)]
        what: Module,
    },
    /// Make a package for a script of your own
    #[command(after_help = "\
The last part of the path is the name of the package and of its process. `hearth.toml` in it says how it is built and
what is run; its README what it needs. No network is needed: the SDK for Rust comes with this program.

Examples:
  hearth-ctl new orb && hearth-ctl dev orb
  hearth-ctl new --lang wat small")]
    New {
        /// The folder to make
        #[arg(value_name = "NAME", value_hint = ValueHint::DirPath)]
        path: PathBuf,
        /// The language
        #[arg(long, value_enum, default_value = "rust")]
        lang: Language,
    },
    /// Build a package at every save and give the running script its new code
    #[command(after_help = "\
The first build starts the process, each further one replaces its code: see `replace`. Where a build fails, or new
code ends in its start, the code before goes on, and the error is shown. Between builds the log of the process is
shown. Ctrl-C ends this and the process.

Examples:
  hearth-ctl dev
  hearth-ctl dev orb --peer ann")]
    Dev(Dev),
    /// End processes
    #[command(after_help = "\
Every process is tried; the exit code is that of the first that could not be killed.

Examples:
  hearth-ctl kill 0.17 3.4
  hearth-ctl list-processes | awk '$7 == \"7f3a…\" {print $1}' | xargs hearth-ctl kill")]
    Kill {
        /// The processes, as `0.17`
        #[arg(required = true, value_name = "ID")]
        ids: Vec<ProcessId>,
        /// Why, for their logs
        #[arg(long)]
        reason: Option<String>,
    },
    /// End a process, start it anew, and print its new id
    #[command(after_help = "Example:\n  hearth-ctl restart 0.17")]
    Restart {
        /// The process, as `0.17`
        id: ProcessId,
    },
    /// Replace the code of a running process and print the id of its module
    #[command(after_help = "\
The process keeps its id, names, arguments, log and place in the scene, and the messages that wait for it; its
state starts afresh. What the code before has made goes when the new code has started. A module that does not
load, and code that ends in its start, change nothing: the code before goes on, and the reason is told.

Examples:
  hearth-ctl replace 0.17 hello.wasm
  hearth-ctl replace 0.17 7f3a…")]
    Replace {
        /// The process, as `0.17`
        id: ProcessId,
        /// A module as a file (WebAssembly, or its text form), as `-` for standard input, or as the id of a lump
        #[arg(value_name = "LUMP|FILE", value_hint = ValueHint::FilePath)]
        module: PathBuf,
    },
    /// Go back to the code that a process had before and print the id of its module
    #[command(after_help = "\
Done again, it goes back further, to the oldest of the 16 modules that a process remembers: `info` shows them. The
next `replace` forgets those that were rolled back from.

Example:
  hearth-ctl rollback 0.17")]
    Rollback {
        /// The process, as `0.17`
        id: ProcessId,
    },
    /// Print all that is known of a process
    #[command(after_help = "Example:\n  hearth-ctl info 0.17")]
    Info {
        /// The process, as `0.17`
        id: ProcessId,
    },
    /// Print the log of a process
    #[command(after_help = "\
Fields: time (UTC), level, target, text. The last line of one that has ended says how and why.

Examples:
  hearth-ctl tail 0.17
  hearth-ctl tail -f -n 0 0.17")]
    Tail {
        /// The process, as `0.17`; also one that has ended a while ago
        id: ProcessId,
        /// Go on with what it writes from now on, until it ends
        #[arg(short, long)]
        follow: bool,
        /// How many of the lines that it has written already
        #[arg(short = 'n', long, value_name = "N", default_value_t = 10)]
        lines: u32,
    },
    /// Send a message to a process
    #[command(after_help = "\
JSON is sent as CBOR, which is what scripts read. A reply in CBOR is printed as JSON: byte strings as
base16 text, tags as what they tag.

Examples:
  hearth-ctl send 0.17 '{\"color\": [1, 0, 0]}'
  hearth-ctl send 0.17 '\"how many?\"' --reply --timeout 2
  hearth-ctl send 0.17 --raw < message.bin")]
    Send {
        /// The receiver, as `0.17`
        id: ProcessId,
        /// The message; standard input if absent
        text: Option<String>,
        /// Send the bytes as they are, and print those of the reply as they are
        #[arg(long)]
        raw: bool,
        /// Send it as a call, wait for the reply, and print it
        #[arg(long)]
        reply: bool,
        /// How long to wait for the reply, in seconds
        #[arg(long, value_name = "S", default_value = "10", requires = "reply", value_parser = seconds)]
        timeout: f64,
    },
    /// List the terminals that the peer hosts or is shown
    #[command(after_help = "\
Fields: id, columns×rows, title, peers whose users' keyboards it has (separated by commas), `running` or how its
program has ended (an exit code, or the negative number of a signal; `-` where that is not known), process that
opened it.

Example:
  hearth-ctl list-terminals")]
    ListTerminals,
    /// Print what a terminal shows
    #[command(after_help = "\
A line for each row, without the blanks at its end. With --json also its size, title and cursor.

Examples:
  hearth-ctl show-terminal 1.7
  hearth-ctl show-terminal 1.7 | grep -c error")]
    ShowTerminal {
        /// The terminal, as `1.7`
        id: TerminalId,
    },
    /// Allow another peer something on this machine
    #[command(after_help = "\
`terminal`: its user may type into every terminal that this peer hosts, as you. It holds for that peer's key,
also after a restart, until it is revoked. The workshop handles the terminals of its own user alone: to type
into yours takes a script of theirs, which gives one of them their keyboard by its id (see `list-terminals`).

Example:
  hearth-ctl grant ann terminal")]
    Grant {
        /// The peer: its number or its name
        peer: String,
        /// What
        #[arg(value_parser = grantable)]
        what: Grantable,
    },
    /// Undo `grant`
    #[command(after_help = "Example:\n  hearth-ctl revoke ann terminal")]
    Revoke {
        /// The peer: its number or its name; of one that is away those that it had
        peer: String,
        /// What
        #[arg(value_parser = grantable)]
        what: Grantable,
    },
    /// List what other peers may do on this machine
    #[command(after_help = "\
Fields: number of the peer, name, what it may do, `connected` or `-`, key.

Example:
  hearth-ctl list-grants")]
    ListGrants,
    /// List the peers that are in the space
    #[command(after_help = "\
Fields: id, name, address, version, system, what it offers (separated by commas), round trip in milliseconds.

Example:
  hearth-ctl list-peers")]
    ListPeers,
    /// Print how the peer is
    #[command(after_help = "Example:\n  hearth-ctl status --json | jq .processes")]
    Status,
    /// End the peer in good order
    #[command(after_help = "Example:\n  hearth-ctl shutdown")]
    Shutdown,
    /// Save a picture of what a client shows, as PNG
    #[command(after_help = "\
Examples:
  hearth-ctl screenshot now.png
  hearth-ctl screenshot - | feh -
  while sleep 1; do hearth-ctl screenshot --view 0.17 door.png; done")]
    Screenshot {
        /// What this entity with a `View` sees, rather than the user's eye
        #[arg(long, value_name = "ENTITY")]
        view: Option<EntityId>,
        /// Where to; `-` is standard output
        #[arg(value_hint = ValueHint::FilePath)]
        file: PathBuf,
    },
    /// Give the space a new password
    #[command(after_help = "\
It is asked for twice on the terminal; elsewhere it is the first line of standard input. It is never part of
the command line, where other users can read it.

Examples:
  hearth-ctl passwd
  hearth-ctl passwd --password-file new-password.txt")]
    Passwd {
        /// A file whose first line is the new password; `-` is standard input
        #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
        password_file: Option<PathBuf>,
    },
    /// Write the man pages into a folder
    #[command(hide = true)]
    Man {
        /// The folder
        #[arg(value_hint = ValueHint::DirPath)]
        folder: PathBuf,
    },
    /// Print the completions for a shell
    #[command(hide = true)]
    Completions {
        /// The shell
        shell: clap_complete::Shell,
    },
    /// Print the reference in Markdown
    #[command(hide = true)]
    Manual,
}

/// Which peer.
#[derive(Debug, Args)]
pub(crate) struct Place {
    /// Another peer than the one spoken to: its number or its name
    #[arg(long, value_name = "P")]
    pub(crate) peer: Option<String>,
}

/// What to build and run, and where.
#[derive(Debug, Args)]
pub(crate) struct Dev {
    /// The folder of the package, which has a `hearth.toml`
    #[arg(default_value = ".", value_name = "PATH", value_hint = ValueHint::DirPath)]
    pub(crate) path: PathBuf,
    #[command(flatten)]
    pub(crate) place: Place,
    /// Let the process run on when this ends
    #[arg(long)]
    pub(crate) keep: bool,
}

/// What to run, where, and how.
#[derive(Debug, Args)]
pub(crate) struct Module {
    /// A module as a file (WebAssembly, or its text form), as `-` for standard input, or as the id of a lump
    #[arg(value_name = "LUMP|FILE", value_hint = ValueHint::FilePath)]
    pub(crate) module: PathBuf,
    #[command(flatten)]
    pub(crate) place: Place,
    /// The name to register the process under
    #[arg(long, value_name = "N")]
    pub(crate) name: Option<String>,
    /// Arguments for the process
    #[arg(last = true, value_name = "ARG")]
    pub(crate) args: Vec<String>,
}

fn grantable(text: &str) -> Result<Grantable, String> {
    Grantable::from_name(text).ok_or_else(|| {
        let names: Vec<&str> = Grantable::ALL.iter().map(|what| what.name()).collect();
        format!("there is: {}", names.join(", "))
    })
}

fn seconds(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(seconds) if (0.0..=86_400.0).contains(&seconds) => Ok(seconds),
        _ => Err("a number of seconds from 0 to 86400".into()),
    }
}

/// The definition itself.
pub(crate) fn definition() -> clap::Command {
    Arguments::command()
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_definition_holds_together() {
        super::definition().debug_assert();
    }
}
