// SPDX-License-Identifier: AGPL-3.0-or-later
//! A program on a pseudo terminal: how it starts, is signalled and ends, and what it leaves behind.

use crate::emulator::CELL_SIZE_PX;
use filedescriptor::FileDescriptor;
use hearth_abi::terminal::Open;
use portable_pty::{Child, CommandBuilder, MasterPty, PtySize, native_pty_system};
use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    fs::{Access, OFlags, access, fcntl_getfl, fcntl_setfl},
    process::{Pid, PidfdFlags, Signal, kill_process_group, pidfd_open, pidfd_send_signal},
    termios::{InputModes, OptionalActions, tcgetattr, tcsetattr},
};
use std::{
    ffi::{OsStr, OsString},
    io::Read,
    os::{fd::OwnedFd, unix::ffi::OsStrExt, unix::process::ExitStatusExt},
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

/// How long what runs in a terminal has to end after it was hung up; then it is killed.
pub const HANG_UP_GRACE: Duration = Duration::from_secs(1);
/// How long to wait for what was killed: the system may be slow, but not for ever.
const KILL_GRACE: Duration = Duration::from_secs(2);
/// Most processes of a session that are waited for at once.
const WAITED_MAX: usize = 64;

/// The environment of a terminal's program: that of this process, with these changes.
#[derive(Clone, Debug, Default)]
pub struct Environment {
    /// Variables that are set, by name and value. They go before those that are removed.
    pub set: Vec<(String, String)>,
    /// Names of variables that the program does not get.
    pub removed: Vec<String>,
}

/// Why a program could not be started, in words for its user.
#[derive(Debug, thiserror::Error)]
pub(crate) enum StartError {
    #[error("could not start `{program}`: {reason}")]
    Program { program: String, reason: String },
    #[error("there is no pseudo terminal to be had: {0}")]
    Pty(String),
}

impl StartError {
    /// What a shell would have ended with.
    pub(crate) const fn status(&self) -> i32 {
        127
    }
}

/// What can be done to a running program from any thread. To be dropped before the program is waited for.
pub(crate) struct Control {
    master: Box<dyn MasterPty + Send>,
    /// The process that leads its session.
    leader: Pid,
}

impl Control {
    pub(crate) fn resize(&self, columns: u16, rows: u16) {
        if let Err(error) = self.master.resize(size(columns, rows)) {
            tracing::debug!(%error, "a program was not told its size");
        }
    }

    /// Sends a signal to what runs in the foreground. Numbers that are no signals do nothing.
    pub(crate) fn signal(&self, number: i32) {
        let group = self.master.process_group_leader().and_then(Pid::from_raw).unwrap_or(self.leader);
        if let Some(signal) = Signal::from_named_raw(number)
            && let Err(error) = kill_process_group(group, signal)
        {
            tracing::debug!(%error, number, "a signal was not sent");
        }
    }
}

/// A running program.
pub(crate) struct Program {
    /// The master end of its pseudo terminal, which does not wait in reading and writing.
    pub(crate) tty: FileDescriptor,
    child: Box<std::process::Child>,
    /// Becomes readable when the child ends.
    pub(crate) ended: OwnedFd,
}

impl Program {
    /// Starts the program of these options, or the user's shell. The last value is what the user should know.
    pub(crate) fn start(
        open: &Open,
        (columns, rows): (u16, u16),
        environment: &Environment,
    ) -> Result<(Program, Control, Option<String>), StartError> {
        let (command, note) = command(open, environment)?;
        let name = open.command.first().cloned().unwrap_or_else(|| shell(environment));
        let no_pty = |error: &dyn std::fmt::Display| StartError::Pty(error.to_string());
        let pair = native_pty_system().openpty(size(columns, rows)).map_err(|error| no_pty(&error))?;
        let fd = pair.master.as_raw_fd().ok_or_else(|| no_pty(&"it has no descriptor"))?;
        let tty = FileDescriptor::dup(&fd).map_err(|error| no_pty(&error))?;
        fcntl_getfl(&tty)
            .and_then(|flags| fcntl_setfl(&tty, flags | OFlags::NONBLOCK))
            .map_err(|error| no_pty(&error))?;
        // So that the line editor of the kernel erases whole characters.
        if let Ok(mut modes) = tcgetattr(&tty) {
            modes.input_modes |= InputModes::IUTF8;
            if let Err(error) = tcsetattr(&tty, OptionalActions::Now, &modes) {
                tracing::debug!(%error, "a pseudo terminal does not know UTF-8");
            }
        }
        let failed = |reason: String| StartError::Program { program: name.clone(), reason };
        let child: Box<dyn Child> =
            pair.slave.spawn_command(command).map_err(|error| failed(error.root_cause().to_string()))?;
        let child = child
            .downcast::<std::process::Child>()
            .map_err(|_other| failed("it is no process of this system".into()))?;
        let pid = Pid::from_child(&child);
        match pidfd_open(pid, PidfdFlags::empty()) {
            Ok(ended) => {
                let control = Control { master: pair.master, leader: pid };
                Ok((Program { tty, child, ended }, control, note))
            }
            Err(error) => {
                let mut child = child;
                let _ = child.kill();
                let _ = child.wait();
                Err(failed(error.to_string()))
            }
        }
    }

    /// What the program has ended with, after it has: an exit code, or the negative number of a signal. The second
    /// value are the processes that it has left behind.
    pub(crate) fn finish(mut self) -> (i32, Left) {
        // As long as it has not been waited for, nobody else gets its number, which is that of the session.
        let left = Left::of(Pid::from_child(&self.child));
        let status = match self.child.wait() {
            Ok(status) => status.code().or(status.signal().map(|number| -number)).unwrap_or(-1),
            Err(error) => {
                tracing::warn!(%error, "how a program ended is not known");
                -1
            }
        };
        (status, left)
    }

    /// Hangs up: everything of the program's session is asked to end, and killed if it has not after
    /// [`HANG_UP_GRACE`].
    pub(crate) fn hang_up(self) {
        let Program { tty, mut child, ended: _ } = self;
        let session = Pid::from_child(&child);
        let mut left = Left::of(session);
        // Without its master end nobody waits for the terminal any more.
        drop(tty);
        left.end(|| Left::of(session));
        if let Err(error) = child.wait() {
            tracing::warn!(%error, "a program was not waited for");
        }
    }
}

/// Processes of a session that are to be ended with the terminal.
#[derive(Default)]
pub(crate) struct Left(Vec<OwnedFd>);

impl Left {
    /// The living processes of a session, at most [`WAITED_MAX`].
    fn of(session: Pid) -> Left {
        let mut left = Vec::new();
        let Ok(entries) = std::fs::read_dir("/proc") else { return Left::default() };
        for entry in entries.flatten() {
            let Some(pid) = entry.file_name().to_str().and_then(|name| name.parse().ok()) else { continue };
            let Some(pid) = Pid::from_raw(pid) else { continue };
            // The number may have gone to somebody else between the two; so look again.
            if left.len() < WAITED_MAX
                && is_of(pid, session)
                && let Ok(process) = pidfd_open(pid, PidfdFlags::empty())
                && is_of(pid, session)
            {
                left.push(process);
            }
        }
        Left(left)
    }

    /// Ends those that an earlier program of the terminal has left behind.
    pub(crate) fn hang_up(mut self) {
        if !self.0.is_empty() {
            self.end(Left::default);
        }
    }

    pub(crate) fn extend(&mut self, other: Left) {
        self.0.retain(|process| !has_ended(process, Duration::ZERO));
        self.0.extend(other.0);
        self.0.truncate(WAITED_MAX * 4);
    }

    /// Asks these to end, then kills them and what `more` finds.
    fn end(&mut self, more: impl Fn() -> Left) {
        self.send(Signal::HUP);
        // What is stopped hears nothing.
        self.send(Signal::CONT);
        self.wait(Instant::now() + HANG_UP_GRACE);
        let killed = Instant::now() + KILL_GRACE;
        loop {
            self.extend(more());
            if self.0.is_empty() {
                return;
            }
            if Instant::now() >= killed {
                tracing::warn!(processes = self.0.len(), "processes of a terminal do not end");
                return;
            }
            self.send(Signal::KILL);
            self.wait(killed);
        }
    }

    fn send(&self, signal: Signal) {
        for process in &self.0 {
            // One that has ended meanwhile is what was wanted.
            let _ = pidfd_send_signal(process, signal);
        }
    }

    /// Waits until all have ended.
    fn wait(&mut self, until: Instant) {
        self.0.retain(|process| !has_ended(process, until.saturating_duration_since(Instant::now())));
    }
}

fn has_ended(process: &OwnedFd, timeout: Duration) -> bool {
    let timeout = Timespec { tv_sec: timeout.as_secs() as i64, tv_nsec: timeout.subsec_nanos().into() };
    let mut fds = [PollFd::new(process, PollFlags::IN)];
    matches!(poll(&mut fds, Some(&timeout)), Ok(1..))
}

/// Whether a process lives and is of this session.
fn is_of(pid: Pid, session: Pid) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{}/stat", pid.as_raw_nonzero())).unwrap_or_default();
    // Behind the name, which may hold anything: state, parent, group, session.
    let fields = stat.rsplit_once(')').map_or("", |(_, fields)| fields);
    let mut fields = fields.split_whitespace();
    let state = fields.next().unwrap_or("X");
    let of = fields.nth(2).and_then(|number| number.parse().ok()).and_then(Pid::from_raw);
    !matches!(state, "Z" | "X") && of == Some(session)
}

fn size(columns: u16, rows: u16) -> PtySize {
    PtySize {
        rows,
        cols: columns,
        pixel_width: columns.saturating_mul(CELL_SIZE_PX.0),
        pixel_height: rows.saturating_mul(CELL_SIZE_PX.1),
    }
}

fn variable(environment: &Environment, name: &str) -> Option<OsString> {
    if environment.removed.iter().any(|removed| removed == name) {
        return None;
    }
    let set = environment.set.iter().rev().find(|(set, _)| set == name);
    set.map(|(_, value)| OsString::from(value)).or_else(|| std::env::var_os(name))
}

/// The user's shell.
fn shell(environment: &Environment) -> String {
    match variable(environment, "SHELL").map(OsString::into_string) {
        Some(Ok(shell)) if !shell.is_empty() => shell,
        _ => {
            let mut nobody = CommandBuilder::new_default_prog();
            nobody.env_remove("SHELL");
            nobody.get_shell()
        }
    }
}

/// What is to be run; the second value is what the user should know.
fn command(open: &Open, environment: &Environment) -> Result<(CommandBuilder, Option<String>), StartError> {
    let home = variable(environment, "HOME").filter(|home| !home.is_empty());
    let home = home.map_or_else(|| PathBuf::from("/"), PathBuf::from);
    let (folder, note) = match Path::new(&open.folder) {
        folder if open.folder.is_empty() || folder.is_dir() => {
            (if open.folder.is_empty() { home } else { folder.into() }, None)
        }
        _ => (home, Some(format!("there is no folder `{}`; this is your home", open.folder))),
    };
    let shell = shell(environment);
    let program = open.command.first().unwrap_or(&shell);
    let failed = |reason| StartError::Program { program: program.clone(), reason };
    let path = variable(environment, "PATH").unwrap_or_default();
    let found = find(Path::new(program), &path, &folder).map_err(failed)?;
    let interpreter = interpreter(&found).map_err(failed)?;
    let mut command = match interpreter {
        // A script without a first line that says for what is one for the shell.
        Some(sh) => {
            let mut command = CommandBuilder::new(sh);
            command.arg(found);
            command
        }
        None => CommandBuilder::new(found),
    };
    command.args(open.command.iter().skip(1));
    command.cwd(folder);
    // What says something of another terminal.
    for name in ["LINES", "COLUMNS", "TERMCAP", "WINDOWID", "TMUX", "TMUX_PANE", "STY", "VTE_VERSION"] {
        command.env_remove(name);
    }
    command.env("SHELL", &shell);
    command.env("TERM", "xterm-256color");
    command.env("COLORTERM", "truecolor");
    command.env("TERM_PROGRAM", "hearth");
    command.env("TERM_PROGRAM_VERSION", env!("CARGO_PKG_VERSION"));
    for (name, value) in &environment.set {
        command.env(name, value);
    }
    for name in &environment.removed {
        command.env_remove(name);
    }
    Ok((command, note))
}

/// The file of a program, as a shell finds it.
fn find(program: &Path, path: &OsStr, folder: &Path) -> Result<PathBuf, String> {
    let check = |file: PathBuf| {
        if file.is_dir() {
            Err("it is a folder".into())
        } else if !file.exists() {
            Err("there is no such file".into())
        } else if access(&file, Access::EXEC_OK).is_err() {
            Err("it may not be executed".into())
        } else {
            Ok(file)
        }
    };
    if program.as_os_str().is_empty() {
        return Err("it has no name".into());
    }
    if program.as_os_str().as_bytes().contains(&b'/') {
        return check(folder.join(program));
    }
    let mut reason = None;
    for candidate in std::env::split_paths(path) {
        let file = folder.join(candidate).join(program);
        if !file.exists() {
            continue;
        }
        match check(file) {
            Ok(file) => return Ok(file),
            Err(why) => reason = Some(why),
        }
    }
    Err(reason.unwrap_or_else(|| "there is no such program".into()))
}

/// What reads a script that does not say so itself; the system would not start such a file. Whatever else the system
/// would not start is told here: once its process has begun, it cannot say why.
fn interpreter(file: &Path) -> Result<Option<&'static str>, String> {
    // One that can be executed and not be read is no script.
    let Ok(mut file) = std::fs::File::open(file) else { return Ok(None) };
    let mut start = Vec::new();
    if (&mut file).take(512).read_to_end(&mut start).is_err() {
        return Ok(None);
    }
    let exists = |path: &[u8]| match Path::new(OsStr::from_bytes(path)).exists() {
        true => Ok(None),
        false => Err(format!("its interpreter `{}` is missing", String::from_utf8_lossy(path))),
    };
    if let Some(line) = start.strip_prefix(b"#!") {
        let line = line.split(|byte| *byte == b'\n').next().unwrap_or_default();
        let mut words = line.split(|byte| *byte == b' ' || *byte == b'\t');
        return words.find(|word| !word.is_empty()).map_or(Ok(None), exists);
    }
    if !start.starts_with(b"\x7FELF") {
        return match start.contains(&0) {
            false => Ok(Some("/bin/sh")),
            true if is_registered(&start) => Ok(None),
            true => Err("it is no program".into()),
        };
    }
    match elf::check(&start, &mut file) {
        Ok(Some(interpreter)) => exists(&interpreter),
        Ok(None) => Ok(None),
        Err(_) if is_registered(&start) => Ok(None),
        Err(reason) => Err(reason.into()),
    }
}

/// Whether somebody has told the system how to run files that begin so, such as those of other machines
/// (`binfmt_misc`).
fn is_registered(start: &[u8]) -> bool {
    let Ok(entries) = std::fs::read_dir("/proc/sys/fs/binfmt_misc") else { return false };
    entries.flatten().any(|entry| {
        let entry = std::fs::read_to_string(entry.path()).unwrap_or_default();
        let field = |name: &str| entry.lines().find_map(|line| line.strip_prefix(name)).map(str::trim);
        let hex = |text: &str| -> Option<Vec<u8>> {
            let digits = |index: usize| u8::from_str_radix(text.get(index..index + 2)?, 16).ok();
            (0..text.len()).step_by(2).map(digits).collect()
        };
        let Some(magic) = field("magic ").and_then(hex) else { return false };
        let mask = field("mask ").and_then(hex).unwrap_or_else(|| vec![0xFF; magic.len()]);
        let offset = field("offset ").and_then(|offset| offset.parse().ok()).unwrap_or(0);
        let bytes = start.get(offset..).unwrap_or_default();
        entry.starts_with("enabled")
            && bytes.len() >= magic.len()
            && magic.iter().zip(&mask).zip(bytes).all(|((magic, mask), byte)| byte & mask == magic & mask)
    })
}

/// As much of the Executable and Linkable Format as tells whether the system will start a file (ELF-64 object file
/// format, "ELF header" and "Program header").
mod elf {
    use std::{
        fs::File,
        io::{Read, Seek, SeekFrom},
    };

    /// Number of the machine that this process runs on, and of one whose programs it runs, too.
    const MACHINES: &[u16] = if cfg!(target_arch = "x86_64") {
        &[62, 3]
    } else if cfg!(target_arch = "aarch64") {
        &[183, 40]
    } else if cfg!(target_arch = "riscv64") {
        &[243]
    } else {
        &[]
    };
    /// Longest name of an interpreter, and most program headers: the kernel takes no more.
    const PATH_LEN_MAX: usize = 4096;
    const HEADERS_LEN_MAX: usize = 65_536;

    const BROKEN: &str = "it is damaged";

    /// The interpreter that a program names, from its start and its file; why it cannot run, if so.
    pub(super) fn check(start: &[u8], file: &mut File) -> Result<Option<Vec<u8>>, &'static str> {
        let native = if cfg!(target_endian = "little") { 1 } else { 2 };
        let at = |offset: usize, len: usize| start.get(offset..offset + len).ok_or(BROKEN);
        let half = |offset| Ok::<_, &str>(number(at(offset, 2)?) as u16);
        let (class, order) = (at(4, 1)?[0], at(5, 1)?[0]);
        if order != native || !MACHINES.is_empty() && !MACHINES.contains(&half(18)?) {
            return Err("it is for another kind of machine");
        }
        if !matches!(half(16)?, 2 | 3) {
            return Err("it is no program");
        }
        let (offset, entry_len, count, path_at, len_at, word) = match class {
            1 => (number(at(28, 4)?), half(42)?, half(44)?, 4, 16, 4),
            2 => (number(at(32, 8)?), half(54)?, half(56)?, 8, 32, 8),
            _ => return Err(BROKEN),
        };
        let entry_len = usize::from(entry_len);
        let headers_len = entry_len * usize::from(count);
        if entry_len < len_at + word || headers_len > HEADERS_LEN_MAX {
            return Err(BROKEN);
        }
        let headers = part(file, offset, headers_len)?;
        // An entry of this sort names the interpreter.
        let Some(entry) = headers.chunks_exact(entry_len).find(|entry| number(&entry[..4]) == 3) else {
            return Ok(None);
        };
        let len = usize::try_from(number(&entry[len_at..len_at + word])).unwrap_or(usize::MAX);
        if len > PATH_LEN_MAX {
            return Err(BROKEN);
        }
        let mut path = part(file, number(&entry[path_at..path_at + word]), len)?;
        path.truncate(path.iter().position(|byte| *byte == 0).unwrap_or(path.len()));
        Ok(Some(path))
    }

    /// A number of at most eight bytes in the order of this machine.
    fn number(bytes: &[u8]) -> u64 {
        let add = |number: u64, byte: &u8| number << 8 | u64::from(*byte);
        match cfg!(target_endian = "little") {
            true => bytes.iter().rev().fold(0, add),
            false => bytes.iter().fold(0, add),
        }
    }

    fn part(file: &mut File, offset: u64, len: usize) -> Result<Vec<u8>, &'static str> {
        let mut bytes = vec![0; len];
        let read = file.seek(SeekFrom::Start(offset)).and_then(|_| file.read_exact(&mut bytes));
        read.map(|()| bytes).map_err(|_cut| BROKEN)
    }
}

/// How a program has ended, in words.
pub(crate) fn ending(status: i32) -> String {
    if status >= 0 {
        return format!("exited with {status}");
    }
    let name = match -status {
        1 => " (hang-up)",
        2 => " (interrupt)",
        3 => " (quit)",
        4 => " (illegal instruction)",
        6 => " (abort)",
        7 => " (bus error)",
        8 => " (arithmetic)",
        9 => " (kill)",
        11 => " (segmentation fault)",
        13 => " (broken pipe)",
        15 => " (terminate)",
        _ => "",
    };
    format!("ended by signal {}{name}", -status)
}
