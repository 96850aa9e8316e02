// SPDX-License-Identifier: AGPL-3.0-or-later
//! Peers as operating system processes.

use crate::{program, programs, wait::LONG, wait_until};
use serde_json::Value;
use std::{
    ffi::{OsStr, OsString},
    fs::{self, File},
    io::{Seek as _, Write as _},
    os::unix::fs::{DirBuilderExt as _, FileExt as _},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};
use tempfile::TempDir;

/// The password of every space that a test makes.
const PASSWORD: &str = "correct horse battery staple";

/// How many bytes of what a peer wrote a failing test shows.
const SHOWN: usize = 6000;

/// A temporary folder with the data of the peers of one test.
pub struct Space {
    folder: TempDir,
}

impl Space {
    /// An empty one.
    #[allow(clippy::new_without_default, reason = "it makes a folder")]
    pub fn new() -> Space {
        // Short, since the path of a socket may have 107 bytes.
        let folder = tempfile::Builder::new().prefix("he").tempdir_in("/tmp").unwrap();
        fs::write(folder.path().join("password"), format!("{PASSWORD}\n")).unwrap();
        Space { folder }
    }

    /// A path in the folder.
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Writes a file into the folder.
    pub fn write(&self, name: &str, bytes: impl AsRef<[u8]>) -> PathBuf {
        let path = self.path(name);
        fs::write(&path, bytes).unwrap();
        path
    }

    /// A server on a free port of this machine, that starts none of the usual services.
    pub fn server(&self) -> Launch {
        let mut launch = Launch::new("hearth-server", self, "server");
        launch.args = vec!["--data".into(), self.path("server").into()];
        launch.arg("--listen").arg("127.0.0.1:0").password(&self.path("password")).arg("--no-boot")
    }

    /// A client without a picture, that starts none of the usual services.
    pub fn client(&self, name: &str, server: &Peer) -> Launch {
        self.client_at(name, &server.ready)
    }

    /// A client that is told nothing but where its data is, and asks for the rest in a window of this size.
    pub fn client_that_asks(&self, name: &str, size: &str) -> Launch {
        let mut launch = Launch::new("hearth-client", self, name);
        launch.args = vec!["--data".into(), self.path(name).into()];
        launch.arg("--no-boot").arg("--size").arg(size)
    }

    /// The password of the space, for who types it.
    pub fn password(&self) -> &'static str {
        PASSWORD
    }

    /// The same, at an address.
    pub fn client_at(&self, name: &str, address: &str) -> Launch {
        let mut launch = Launch::new("hearth-client", self, name);
        launch.args = vec!["--data".into(), self.path(name).into()];
        launch
            .args
            .extend(["--connect", address, "--name", name, "--no-picture", "--no-boot"].map(Into::into));
        launch.password(&self.path("password"))
    }
}

/// A program that is about to be started.
#[derive(Clone)]
pub struct Launch {
    program: PathBuf,
    name: String,
    runtime: PathBuf,
    data: PathBuf,
    before: Vec<OsString>,
    args: Vec<OsString>,
    env: Vec<(OsString, OsString)>,
    unset: Vec<OsString>,
}

impl Launch {
    fn new(name: &str, space: &Space, label: &str) -> Launch {
        Launch {
            program: program(name),
            name: label.into(),
            runtime: space.path(&format!("run-{label}")),
            data: space.path(label),
            before: Vec::new(),
            args: Vec::new(),
            env: Vec::new(),
            unset: Vec::new(),
        }
    }

    /// With another argument.
    #[must_use]
    pub fn arg(mut self, arg: impl Into<OsString>) -> Launch {
        self.args.push(arg.into());
        self
    }

    /// Without an argument that it would have.
    #[must_use]
    pub fn without(mut self, arg: &str) -> Launch {
        self.args.retain(|a| a != arg);
        self
    }

    /// With another value of an option that it has.
    #[must_use]
    pub fn with(mut self, option: &str, value: impl Into<OsString>) -> Launch {
        let at = self.args.iter().position(|arg| arg == option).expect("the option is there");
        self.args[at + 1] = value.into();
        self
    }

    /// With the services of its manifest.
    #[must_use]
    pub fn boot(self) -> Launch {
        self.without("--no-boot")
    }

    /// With a picture of this size, off-screen.
    #[must_use]
    pub fn headless(self, size: &str) -> Launch {
        self.without("--no-picture").arg("--headless").arg("--size").arg(size)
    }

    /// With a picture of this size in a window.
    #[must_use]
    pub fn window(self, size: &str) -> Launch {
        self.without("--no-picture").arg("--size").arg(size)
    }

    /// Without a variable of the environment.
    #[must_use]
    pub fn without_env(mut self, name: &str) -> Launch {
        self.unset.push(name.into());
        self
    }

    /// With a variable of the environment.
    #[must_use]
    pub fn env(mut self, name: &str, value: impl Into<OsString>) -> Launch {
        self.env.push((name.into(), value.into()));
        self
    }

    /// With this file instead of the test's own password file.
    #[must_use]
    pub fn password(self, file: &Path) -> Launch {
        self.no_password().arg("--password-file").arg(file)
    }

    /// With the test's password in the environment instead of a file.
    #[must_use]
    pub fn password_from_environment(self) -> Launch {
        self.no_password().env("HEARTH_PASSWORD", PASSWORD)
    }

    /// Without a password.
    #[must_use]
    pub fn no_password(mut self) -> Launch {
        if let Some(at) = self.args.iter().position(|arg| arg == "--password-file") {
            self.args.drain(at..at + 2);
        }
        self
    }

    /// With this data folder.
    #[must_use]
    pub fn data(self, folder: &Path) -> Launch {
        Launch { data: folder.into(), ..self.with("--data", folder) }
    }

    /// Started by way of another program, as `ip netns exec NAME`.
    #[must_use]
    pub fn by(mut self, before: &[&str]) -> Launch {
        self.before = before.iter().map(Into::into).collect();
        self
    }

    /// With something in a file of its user's settings.
    #[must_use]
    pub fn settings(self, file: &str, text: &str) -> Launch {
        let path = self.runtime.join("config").join(file);
        fs::DirBuilder::new().recursive(true).mode(0o700).create(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
        self
    }

    /// Starts it, and waits until it says that it is ready.
    ///
    /// # Panics
    /// It ends before.
    #[track_caller]
    pub fn start(self) -> Peer {
        let mut peer = self.begin();
        peer.wait_ready();
        peer
    }

    /// Starts it, and waits until it ends by itself.
    ///
    /// # Panics
    /// It does not end.
    #[track_caller]
    pub fn run_to_end(self) -> Output {
        let mut peer = self.begin();
        let code = peer.wait_end();
        Output { code, stdout: peer.stdout().into_bytes(), stderr: peer.stderr() }
    }

    /// Starts it, and does not wait.
    pub fn begin(self) -> Peer {
        fs::DirBuilder::new().recursive(true).mode(0o700).create(&self.runtime).unwrap();
        let (out, err) = (self.runtime.join("stdout"), self.runtime.join("stderr"));
        let programs = self.before.iter().map(OsString::as_os_str).chain([self.program.as_os_str()]);
        let words: Vec<&OsStr> = programs.chain(self.args.iter().map(OsString::as_os_str)).collect();
        let mut command = Command::new(words[0]);
        command.args(&words[1..]);
        clean(&mut command);
        command.env("HEARTH_STD", programs::guests()).env("HEARTH_RUNTIME_DIR", &self.runtime);
        // Drivers complain when there is none.
        command.env("XDG_RUNTIME_DIR", &self.runtime);
        // What the user has set is not to be seen here, nor changed.
        command.env("XDG_CONFIG_HOME", self.runtime.join("config"));
        command.envs(self.env.clone());
        self.unset.iter().for_each(|name| {
            command.env_remove(name);
        });
        command.stdin(Stdio::null());
        command.stdout(File::create(&out).unwrap()).stderr(File::create(&err).unwrap());
        let child =
            command.spawn().unwrap_or_else(|error| panic!("could not start `{:?}`: {error}", words[0]));
        Peer { name: self.name.clone(), ready: String::new(), child, out, err, launch: self }
    }
}

/// Takes away what the user's own settings would change.
fn clean(command: &mut Command) {
    for variable in ["HEARTH_SOCKET", "HEARTH_PASSWORD", "HEARTH_LOG", "HEARTH_STD", "XDG_RUNTIME_DIR"] {
        command.env_remove(variable);
    }
}

/// A server or a client that runs.
pub struct Peer {
    /// What the test calls it; a client's own name.
    pub name: String,
    /// What it said with its first line: a server its address, a client its number.
    pub ready: String,
    child: Child,
    out: PathBuf,
    err: PathBuf,
    launch: Launch,
}

impl Peer {
    /// Waits until it says that it is ready.
    ///
    /// # Panics
    /// It ends before.
    #[track_caller]
    pub fn wait_ready(&mut self) {
        let name = self.name.clone();
        self.ready = wait_until(&format!("`{name}` is ready"), LONG, || {
            let ended = self.child.try_wait().unwrap();
            let text = self.stdout();
            let line = text.lines().find_map(|line| line.strip_prefix("ready ")).map(str::to_owned);
            // What it wrote before it ended counts.
            if line.is_none() && ended.is_some() {
                panic!("`{name}` ended before it was ready: {ended:?}");
            }
            line
        });
    }

    /// What is in a file of its user's settings.
    ///
    /// # Panics
    /// There is no such file.
    pub fn settings(&self, file: &str) -> String {
        fs::read_to_string(self.launch.runtime.join("config").join(file)).unwrap()
    }

    /// Its number in the space.
    pub fn number(&self) -> u32 {
        self.ready.parse().unwrap_or(0)
    }

    /// Its process in the operating system.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Its data folder.
    pub fn data(&self) -> &Path {
        &self.launch.data
    }

    /// What it has written to standard error.
    pub fn stderr(&self) -> String {
        String::from_utf8_lossy(&fs::read(&self.err).unwrap_or_default()).into_owned()
    }

    fn stdout(&self) -> String {
        String::from_utf8_lossy(&fs::read(&self.out).unwrap_or_default()).into_owned()
    }

    /// Runs `hearth-ctl` for this peer.
    #[track_caller]
    pub fn ctl<A: AsRef<OsStr>>(&self, args: &[A]) -> Output {
        self.ctl_with(args, b"")
    }

    /// Runs `hearth-ctl` for this peer with something to read on standard input.
    #[track_caller]
    pub fn ctl_with<A: AsRef<OsStr>>(&self, args: &[A], input: &[u8]) -> Output {
        let mut running = self.ctl_begin(args, input);
        let started = Instant::now();
        let code = wait_until("hearth-ctl has ended", LONG, || {
            running.ended().or_else(|| {
                // Two messages are better than one that only says how long it took.
                assert!(started.elapsed() < LONG - Duration::from_secs(1), "hung: {}", running.stderr());
                None
            })
        });
        Output { code, stdout: running.stdout(), stderr: running.stderr() }
    }

    /// `hearth-ctl` for this peer, for what the other ways of running it do not do.
    pub fn ctl_command(&self) -> Command {
        let mut command = Command::new(program("hearth-ctl"));
        clean(&mut command);
        command.env("HEARTH_RUNTIME_DIR", &self.launch.runtime);
        command
    }

    /// Starts `hearth-ctl` for this peer, and lets it run.
    pub fn ctl_begin<A: AsRef<OsStr>>(&self, args: &[A], input: &[u8]) -> Ctl {
        let mut command = self.ctl_command();
        command.args(args);
        let (out, err) = (tempfile::tempfile().unwrap(), tempfile::tempfile().unwrap());
        command.stdout(out.try_clone().unwrap()).stderr(err.try_clone().unwrap());
        if input.is_empty() {
            command.stdin(Stdio::null());
        } else {
            let mut file = tempfile::tempfile().unwrap();
            file.write_all(input).unwrap();
            file.rewind().unwrap();
            command.stdin(file);
        }
        Ctl { child: command.spawn().unwrap(), out, err }
    }

    /// Runs `hearth-ctl`, which must succeed, and gives its output without the last line break.
    #[track_caller]
    pub fn ok<A: AsRef<OsStr>>(&self, args: &[A]) -> String {
        let output = self.ctl(args);
        let shown: Vec<_> = args.iter().map(|arg| arg.as_ref().to_string_lossy()).collect();
        assert_eq!(output.code, 0, "hearth-ctl {}: {}", shown.join(" "), output.stderr);
        output.text()
    }

    /// Runs `hearth-ctl --json`, which must succeed, and gives its documents.
    #[track_caller]
    pub fn json(&self, args: &[&str]) -> Vec<Value> {
        let mut all = vec!["--json"];
        all.extend(args);
        let text = self.ok(&all);
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    /// Its status.
    #[track_caller]
    pub fn status(&self) -> Value {
        self.json(&["status"]).remove(0)
    }

    /// The names of the peers that it sees.
    #[track_caller]
    pub fn peers(&self) -> Vec<String> {
        self.json(&["list-peers"]).iter().map(|peer| peer["name"].as_str().unwrap().to_owned()).collect()
    }

    /// The log of a process, as lines of text, with what it ended with.
    #[track_caller]
    pub fn log(&self, process: &str) -> String {
        self.ok(&["tail", "-n", "1000", process])
    }

    /// Spawns a module by `hearth-ctl spawn` and gives its id.
    #[track_caller]
    pub fn spawn(&self, module: &Path, more: &[&str]) -> String {
        let mut args: Vec<&OsStr> = vec!["spawn".as_ref(), module.as_ref()];
        args.extend(more.iter().map(OsStr::new));
        self.ok(&args)
    }

    /// About a process, as `list-processes` shows it.
    #[track_caller]
    pub fn process(&self, id: &str) -> Option<Value> {
        let peer = id.split_once('.').unwrap().0;
        self.json(&["list-processes", "--peer", peer]).into_iter().find(|process| process["id"] == id)
    }

    /// Kills it at once, as a power cut would, and gives what starts it again at the same address.
    pub fn kill_9(mut self) -> Launch {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
        self.again()
    }

    /// Ends it in good order, and gives what starts it again at the same address.
    ///
    /// # Panics
    /// It does not end, or not well.
    #[track_caller]
    pub fn end(mut self) -> Launch {
        self.signal(rustix::process::Signal::TERM);
        let code = self.wait_end();
        assert_eq!(code, 0, "`{}` ended with {code}", self.name);
        self.again()
    }

    /// Sends it a signal.
    pub fn signal(&self, signal: rustix::process::Signal) {
        send_signal(&self.child, signal);
    }

    fn again(&self) -> Launch {
        let launch = self.launch.clone();
        match launch.args.iter().any(|arg| arg == "--listen") {
            true => launch.with("--listen", &*self.ready),
            false => launch,
        }
    }

    /// Waits until it ends by itself, and gives its code.
    ///
    /// # Panics
    /// It does not end.
    #[track_caller]
    pub fn wait_end(&mut self) -> i32 {
        let what = format!("`{}` has ended", self.name);
        wait_until(&what, LONG, || self.child.try_wait().unwrap().map(code))
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        // It may have ended.
        let _ = self.child.kill();
        let _ = self.child.wait();
        if std::thread::panicking() {
            let text = self.stderr();
            let from = text.ceil_char_boundary(text.len().saturating_sub(SHOWN));
            eprintln!("--- `{}` wrote:\n{}---", self.name, &text[from..]);
        }
    }
}

/// A `hearth-ctl` that runs.
pub struct Ctl {
    child: Child,
    out: File,
    err: File,
}

impl Ctl {
    /// Its code, if it has ended.
    pub fn ended(&mut self) -> Option<i32> {
        self.child.try_wait().unwrap().map(code)
    }

    /// What it has printed.
    pub fn stdout(&self) -> Vec<u8> {
        read_all(&self.out)
    }

    /// What it has complained of.
    pub fn stderr(&self) -> String {
        String::from_utf8_lossy(&read_all(&self.err)).into_owned()
    }

    /// Sends it a signal.
    pub fn signal(&self, signal: rustix::process::Signal) {
        send_signal(&self.child, signal);
    }
}

impl Drop for Ctl {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn read_all(file: &File) -> Vec<u8> {
    // The child writes at the place that it shares with this file, which must not move.
    let mut bytes = vec![0; file.metadata().unwrap().len() as usize];
    file.read_exact_at(&mut bytes, 0).unwrap();
    bytes
}

fn send_signal(child: &Child, signal: rustix::process::Signal) {
    // One that has ended but was not waited for still has its number.
    let _ = rustix::process::kill_process(rustix::process::Pid::from_child(child), signal);
}

fn code(status: std::process::ExitStatus) -> i32 {
    use std::os::unix::process::ExitStatusExt as _;
    status.code().unwrap_or_else(|| 128 + status.signal().unwrap_or(0))
}

/// What a program has left.
#[derive(Debug)]
pub struct Output {
    /// Its exit code; 128 and the signal if one ended it.
    pub code: i32,
    /// What it printed.
    pub stdout: Vec<u8>,
    /// What it complained of.
    pub stderr: String,
}

impl Output {
    /// What it printed, as text without the last line break.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.stdout).trim_end_matches('\n').to_owned()
    }
}
