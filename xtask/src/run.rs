// SPDX-License-Identifier: AGPL-3.0-or-later
//! `cargo xtask run`: a server and a client on this machine, until Ctrl-C or until one ends.

use crate::exec::{self, Failure, Result, progress};
use crate::project::Project;
use crate::{guests, setup};
use rustix::process::{Pid, Signal, kill_process};
use signal_hook::consts::{SIGCHLD, SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::Signals;
use std::io::{BufRead, BufReader};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, sync_channel};
use std::time::{Duration, Instant};

/// How to run.
#[derive(clap::Args, Debug)]
pub(crate) struct Options {
    #[command(flatten)]
    setup: setup::Options,
    /// Draw off-screen and write pictures to a file, even if there is a display
    #[arg(long)]
    headless: bool,
    /// The name that others see; each name has its own key and folder
    #[arg(long, default_value = "host", value_parser = name)]
    name: String,
    /// Address that the server listens on
    #[arg(long, default_value = "127.0.0.1:4320", value_name = "ADDRESS", conflicts_with = "connect")]
    listen: String,
    /// What a server that is started for the first time shows; each has a data folder of its own
    #[arg(long, value_enum, default_value_t = Place::Hearth, conflicts_with = "connect")]
    place: Place,
    /// Start no server; join the one at this address
    #[arg(long, value_name = "ADDRESS")]
    connect: Option<String>,
    /// File with the space's password, instead of the one that the server made at its first start
    #[arg(long, value_name = "FILE")]
    password_file: Option<PathBuf>,
    /// Keep everything in this folder instead of $XDG_DATA_HOME/hearth/run, or run-gallery for the gallery
    #[arg(long, value_name = "FOLDER")]
    data: Option<PathBuf>,
}

/// What there is to see in a new space.
#[derive(clap::ValueEnum, Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    /// The furnished place, with a fire in its middle
    Hearth,
    /// A hall that shows everything a scene can show
    Gallery,
}

impl Place {
    /// The folder that keeps it, beside those of the others.
    fn folder(self) -> &'static str {
        match self {
            Place::Hearth => "run",
            Place::Gallery => "run-gallery",
        }
    }

    /// The manifest of a new server, if it is not the one that servers write.
    fn manifest(self) -> Option<&'static str> {
        match self {
            Place::Hearth => None,
            Place::Gallery => Some(
                "# What this space starts, in this order. `args = [\"still\"]` has nothing move by itself.\n\n\
                 [[service]]\nname = \"gallery\"\nmodule = \"std:gallery\"\n",
            ),
        }
    }
}

/// How long a server may take to listen: at first start it compiles the whole library.
const READY_SECS: u64 = 120;
/// How long a program may take to save and leave before it is killed.
const LEAVE_SECS: u64 = 10;

/// Builds and runs.
///
/// # Errors
/// If something does not build, the server does not get ready, or a program ends with an error.
pub(crate) fn run(project: &Project, options: &Options) -> Result<()> {
    setup::run(project, setup::Need::Picture, &options.setup)?;
    guests::run(project)?;
    progress("building the server, the client and hearth-ctl");
    let programs = project.build_programs()?;

    let data = folder(options)?;
    let server_data = data.join("server");
    let client_data = data.join(format!("client-{}", options.name));
    for folder in [&server_data, &client_data] {
        std::fs::create_dir_all(folder)
            .map_err(|error| Failure::new(format!("could not make `{}`", folder.display())).cause(error))?;
    }

    // Before the first child, so that none of their ends is missed.
    let mut signals = Signals::new([SIGINT, SIGTERM, SIGHUP, SIGCHLD])
        .map_err(|error| Failure::new("could not watch for signals").cause(error))?;
    let mut running = Running { programs: Vec::new() };

    let address = match &options.connect {
        Some(address) => address.clone(),
        None => start_server(project, &programs, &server_data, options, &mut running, &mut signals)?,
    };
    start_client(project, &programs, &client_data, &server_data, &address, options, &mut running)?;

    progress("ready. Ctrl-C ends it. From a second shell:");
    println!("   export PATH=\"{}:$PATH\"", programs.display());
    println!("   hearth-ctl status     # several peers run here: it lists their sockets,");
    println!("   export HEARTH_SOCKET=…  # and one of them is meant from then on");
    running.wait(&mut signals)
}

fn start_server(
    project: &Project,
    programs: &Path,
    data: &Path,
    options: &Options,
    running: &mut Running,
    signals: &mut Signals,
) -> Result<String> {
    begin(options.place, data)?;
    let mut command = project.with_guests(exec::program(programs.join("hearth-server"), &project.root));
    command.arg("--data").arg(data).args(["--listen", &options.listen]).stdout(Stdio::piped());
    progress(format!("server: data in {}", data.display()));
    let stdout = running.start("server", command)?.take();
    let stdout = stdout.ok_or_else(|| Failure::new("the server has no standard output"))?;
    let address = ready(stdout, running, signals)?;
    progress(format!("server: listening on {address}, password in {}", data.join("password").display()));
    Ok(address)
}

/// Says what a new server starts. One that was started before keeps what it has.
fn begin(place: Place, data: &Path) -> Result<()> {
    let manifest = data.join("space.toml");
    match place.manifest() {
        Some(text) if !manifest.exists() => std::fs::write(&manifest, text)
            .map_err(|error| Failure::new(format!("could not write `{}`", manifest.display())).cause(error)),
        _ => Ok(()),
    }
}

/// Waits for the line `ready ADDRESS`.
fn ready(stdout: ChildStdout, running: &mut Running, signals: &mut Signals) -> Result<String> {
    let lines = lines(stdout);
    let start = Instant::now();
    loop {
        match lines.recv_timeout(Duration::from_millis(200)) {
            Ok(line) => {
                if let Some(address) = line.strip_prefix("ready ") {
                    return Ok(address.trim().to_owned());
                }
                println!("{line}");
            }
            // It closed its output: it is ending, and says why on its error output.
            Err(RecvTimeoutError::Disconnected) => {
                running.stop();
                return Err(Failure::new("the server ended before it was ready"));
            }
            Err(RecvTimeoutError::Timeout) => {
                if signals.pending().any(|signal| signal != SIGCHLD) {
                    running.stop();
                    return Err(Failure::new("interrupted while the server was starting"));
                }
                if start.elapsed() > Duration::from_secs(READY_SECS) {
                    running.stop();
                    return Err(Failure::new(format!("the server was not ready after {READY_SECS} s")));
                }
            }
        }
    }
}

/// The lines of a program's output. They are read to the end, so that it never waits for us.
fn lines(stdout: ChildStdout) -> Receiver<String> {
    let (sender, receiver) = sync_channel(16);
    std::thread::spawn(move || {
        let mut listening = true;
        for line in BufReader::new(stdout).lines().map_while(std::result::Result::ok) {
            if listening {
                listening = sender.send(line).is_ok();
            } else {
                println!("{line}");
            }
        }
    });
    receiver
}

fn start_client(
    project: &Project,
    programs: &Path,
    data: &Path,
    server_data: &Path,
    address: &str,
    options: &Options,
    running: &mut Running,
) -> Result<()> {
    let mut command = project.with_guests(exec::program(programs.join("hearth-client"), &project.root));
    command.args(["--connect", address, "--name", &options.name]).arg("--data").arg(data);
    command.arg("--password-file").arg(password(options, server_data)?);
    let display = ["WAYLAND_DISPLAY", "DISPLAY"]
        .into_iter()
        .find(|variable| std::env::var_os(variable).is_some_and(|value| !value.is_empty()));
    match display {
        Some(variable) if !options.headless => {
            progress(format!("client: `{}` in a window (${variable})", options.name));
        }
        _ => {
            let picture = project.root.join("out").join(format!("{}.png", options.name));
            std::fs::create_dir_all(project.root.join("out"))
                .map_err(|error| Failure::new("could not make the folder `out`").cause(error))?;
            let why = if options.headless { "as told by `--headless`" } else { "there is no display" };
            progress(format!("client: `{}` off-screen ({why}); its pictures:", options.name));
            println!("   {}", picture.display());
            command.arg("--headless").arg("--picture").arg(&picture);
        }
    }
    running.start("client", command).map(drop)
}

/// The file with the password. The client cannot ask for it: it is started apart from the terminal.
fn password(options: &Options, server_data: &Path) -> Result<PathBuf> {
    let file = match &options.password_file {
        Some(file) => std::path::absolute(file)
            .map_err(|error| Failure::new(format!("not a file: `{}`", file.display())).cause(error))?,
        None => server_data.join("password"),
    };
    if file.is_file() {
        return Ok(file);
    }
    Err(Failure::new(format!("there is no password in `{}`", file.display()))
        .hint("the password was changed or is that of another server: name a file that holds it with `--password-file FILE`"))
}

/// The programs that were started, in the order of their start.
struct Running {
    programs: Vec<(&'static str, Child)>,
}

impl Running {
    /// Starts a program that gets no signals from the terminal: we pass them on, in order.
    fn start(&mut self, name: &'static str, mut command: Command) -> Result<&mut Option<ChildStdout>> {
        println!("   $ {}", exec::line(&command));
        let child = command
            .stdin(Stdio::null())
            .process_group(0)
            .spawn()
            .map_err(|error| Failure::new(format!("could not start the {name}")).cause(error))?;
        self.programs.push((name, child));
        let (_, child) = self.programs.last_mut().expect("one was pushed");
        Ok(&mut child.stdout)
    }

    /// Waits for a signal to us or for the first program to end, and then ends the others.
    fn wait(&mut self, signals: &mut Signals) -> Result<()> {
        // A program may have ended before the first signal is waited for.
        let mut ended = self.ended()?;
        while ended.is_none() {
            let asked = signals.wait().any(|signal| signal != SIGCHLD);
            ended = self.ended()?;
            if asked && ended.is_none() {
                progress("leaving");
                self.stop();
                return Ok(());
            }
        }
        self.stop();
        match ended {
            Some((name, status)) if !status.success() => {
                Err(Failure::new(format!("the {name} ended with {status}")))
            }
            _ => Ok(()),
        }
    }

    /// The first program that has ended.
    fn ended(&mut self) -> Result<Option<(&'static str, ExitStatus)>> {
        for (name, child) in &mut self.programs {
            let status = child
                .try_wait()
                .map_err(|error| Failure::new(format!("could not wait for the {name}")).cause(error))?;
            if let Some(status) = status {
                return Ok(Some((name, status)));
            }
        }
        Ok(None)
    }

    /// Ends what runs, the last one first, so that the client leaves a server that is still there.
    fn stop(&mut self) {
        for (name, mut child) in self.programs.drain(..).rev() {
            if matches!(child.try_wait(), Ok(Some(_))) {
                continue;
            }
            if let Some(pid) = i32::try_from(child.id()).ok().and_then(Pid::from_raw) {
                // The child is not reaped yet, so the number is still its own.
                let _ = kill_process(pid, Signal::TERM);
            }
            if !left(&mut child) {
                progress(format!("the {name} did not leave within {LEAVE_SECS} s and is killed"));
                let _ = child.kill();
                let _ = child.wait();
            }
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.stop();
    }
}

/// Waits for the end of a program that was asked to leave.
fn left(child: &mut Child) -> bool {
    let start = Instant::now();
    while start.elapsed() < Duration::from_secs(LEAVE_SECS) {
        match child.try_wait() {
            Ok(None) => std::thread::sleep(Duration::from_millis(20)),
            Ok(Some(_)) | Err(_) => return true,
        }
    }
    false
}

/// The folder that keeps the space and the clients' keys between runs.
fn folder(options: &Options) -> Result<PathBuf> {
    if let Some(data) = &options.data {
        return std::path::absolute(data)
            .map_err(|error| Failure::new(format!("not a folder: `{}`", data.display())).cause(error));
    }
    let set = |variable| std::env::var_os(variable).filter(|value| !value.is_empty()).map(PathBuf::from);
    let base = set("XDG_DATA_HOME").or_else(|| set("HOME").map(|home| home.join(".local/share")));
    base.map(|base| base.join("hearth").join(options.place.folder())).ok_or_else(|| {
        Failure::new("there is no folder to keep data in: neither $XDG_DATA_HOME nor $HOME is set")
            .hint("name one with `--data FOLDER`")
    })
}

/// A name becomes a part of file names.
fn name(text: &str) -> std::result::Result<String, String> {
    let plain = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    if text.is_empty() || text.len() > 32 || !text.chars().all(plain) {
        return Err("use 1 to 32 letters, digits, `-` or `_`".to_owned());
    }
    Ok(text.to_owned())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;

    #[test]
    fn a_new_server_of_the_gallery_starts_it_and_an_old_one_keeps_what_it_has() {
        let data = std::env::temp_dir().join(format!("hearth-xtask-place-{}", std::process::id()));
        std::fs::create_dir_all(&data).unwrap();
        let manifest = data.join("space.toml");
        begin(Place::Hearth, &data).unwrap();
        assert!(!manifest.exists());
        begin(Place::Gallery, &data).unwrap();
        assert!(std::fs::read_to_string(&manifest).unwrap().contains("\"std:gallery\""));
        std::fs::write(&manifest, "# mine").unwrap();
        begin(Place::Gallery, &data).unwrap();
        assert_eq!(std::fs::read_to_string(&manifest).unwrap(), "# mine");
        std::fs::remove_dir_all(&data).unwrap();
    }

    fn shell(script: &str) -> Command {
        let mut command = Command::new("sh");
        command.args(["-c", script]).stdout(Stdio::piped());
        command
    }

    fn address_of(script: &str) -> Result<String> {
        let mut signals = Signals::new([SIGCHLD]).unwrap();
        let mut running = Running { programs: Vec::new() };
        let stdout = running.start("server", shell(script)).unwrap().take().unwrap();
        ready(stdout, &mut running, &mut signals)
    }

    #[test]
    fn the_address_is_in_the_line_of_readiness() {
        let address =
            address_of("echo something else; echo ready 127.0.0.1:4320; exec cat /dev/zero > /dev/null");
        assert_eq!(address.unwrap(), "127.0.0.1:4320");
    }

    #[test]
    fn a_server_that_ends_is_not_waited_for() {
        let failure = address_of("echo not yet; exit 3").unwrap_err();
        assert_eq!(failure.to_string(), "error: the server ended before it was ready\n");
    }

    #[test]
    fn the_client_leaves_before_the_server() {
        let order = std::env::temp_dir().join(format!("hearth-xtask-order-{}", std::process::id()));
        let script = |name: &str| {
            let file = order.display();
            shell(&format!("trap 'echo {name} >> {file}; exit' TERM; echo up; while :; do sleep 0.01; done"))
        };
        let mut running = Running { programs: Vec::new() };
        for name in ["server", "client"] {
            let stdout = running.start(name, script(name)).unwrap().take().unwrap();
            // Its trap is set once it says so.
            assert_eq!(lines(stdout).recv().unwrap(), "up");
        }
        running.stop();
        let text = std::fs::read_to_string(&order).unwrap();
        std::fs::remove_file(&order).unwrap();
        assert_eq!(text, "client\nserver\n");
    }

    #[test]
    fn the_end_of_one_ends_the_other() {
        let mut signals = Signals::new([SIGCHLD]).unwrap();
        let mut running = Running { programs: Vec::new() };
        running.start("server", shell("exec sleep 1000")).unwrap();
        running.start("client", shell("exit 7")).unwrap();
        let failure = running.wait(&mut signals).unwrap_err();
        assert_eq!(failure.to_string(), "error: the client ended with exit status: 7\n");
        assert!(running.programs.is_empty());
    }

    #[test]
    fn names_are_plain() {
        assert_eq!(name("mira-2"), Ok("mira-2".to_owned()));
        for bad in ["", "a/b", "..", "a b", &"a".repeat(33)] {
            assert!(name(bad).is_err(), "{bad}");
        }
    }
}
