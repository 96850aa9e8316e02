// SPDX-License-Identifier: AGPL-3.0-or-later
//! The loop of an author: build at every save, and give the running script its new code.
//!
//! The last version that works runs until the next one does. What goes wrong (the build, the start of new code,
//! a panic later on) is told here, and, where the peer can, over the thing in the space that the script made.

mod build;
mod package;
mod watch;

use super::{
    Peer,
    log::{KILL_TIMEOUT, Printer, Signals, in_time, kill},
    processes, sdk,
    tools::Language,
};
use crate::{
    cli::{Dev, Place},
    exit::Exit,
    output::{Output, color_on},
    problem::{Problem, Result},
};
use hearth_abi::{LumpId, ProcessId};
use hearth_ipc::Client;
use hearth_protocol::operator::{
    ErrorCode, ExitKind, LogEvent, ProcessInfo, Replaced, Request, Spawned, Status, TAIL_LINES_MAX,
};
use package::Package;
use serde_json::{Value, json};
use std::{
    pin::Pin,
    time::{Duration, Instant},
};
use tokio::time::{sleep, timeout};
use watch::Watcher;

pub(super) async fn dev(peer: &Peer, options: Dev, output: &mut Output) -> Result<()> {
    // Before there is a process that a signal would leave behind.
    let mut signals = Signals::new()?;
    let package = Package::open(&options.path)?;
    if let Some(build) = package.settings.build.as_deref()
        && let Some(missing) = Language::of(&package.folder, build).missing(&package.folder)
    {
        return Err(Problem::new(Exit::NotRunning, missing.what).hint(missing.hint));
    }
    if sdk::is_used_by(&package.folder) {
        sdk::mend(&package.folder)?;
    }
    let watcher = watcher(&package)?;
    let mut session = Session {
        peer,
        package,
        place: options.place,
        output,
        starting: None,
        running: None,
        failed: None,
        log: None,
    };
    let result = tokio::select! {
        result = session.work(watcher) => result,
        exit = signals.next() => Err(Problem::silent(exit)),
    };
    if let Err(problem) = in_time(session.end(options.keep), &mut signals).await {
        // With which code this ends was decided before.
        let _ = session.tell_problem(&problem, "not-ended");
    }
    result
}

/// Watches a package, but not what its build makes.
fn watcher(package: &Package) -> Result<Watcher> {
    let settings = &package.settings;
    Watcher::new(&package.folder, settings.build.is_some().then(|| settings.module.clone()))
}

struct Session<'a> {
    peer: &'a Peer,
    package: Package,
    place: Place,
    output: &'a mut Output,
    /// A process that the peer was asked to start. Whoever ends this meanwhile has to wait for it.
    starting: Option<Pin<Box<dyn Future<Output = Result<Spawned>> + 'a>>>,
    running: Option<ProcessId>,
    /// The process over whose place a notice stands, since it has failed.
    failed: Option<ProcessId>,
    /// The log of the process that runs, once it is read.
    log: Option<Client>,
}

impl Session<'_> {
    async fn work(&mut self, mut watcher: Watcher) -> Result<()> {
        // A first build may take long: where there is nobody to run what it makes is said before.
        self.peer.call::<Status>(&Request::Status {}).await?;
        self.peer.number_of(&self.place).await?;
        loop {
            self.round().await?;
            loop {
                tokio::select! {
                    () = watcher.saved() => {}
                    never = self.follow() => never?,
                }
                // How it is built may have been saved too. What cannot be read is not built as it was before.
                match Package::open(&self.package.folder) {
                    Ok(package) => {
                        self.change(package, &mut watcher)?;
                        break;
                    }
                    Err(problem) => self.tell_problem(&problem, "settings")?,
                }
            }
        }
    }

    /// Goes on with the settings that hold now.
    fn change(&mut self, package: Package, watched: &mut Watcher) -> Result<()> {
        let before = std::mem::replace(&mut self.package, package).settings;
        let now = &self.package.settings;
        if (before.build.is_some(), &before.module) != (now.build.is_some(), &now.module) {
            match watcher(&self.package) {
                Ok(watcher) => *watched = watcher,
                Err(problem) => self.tell_problem(&problem, "settings")?,
            }
        }
        let now = &self.package.settings;
        if self.running.is_some() && (&before.name, &before.args) != (&now.name, &now.args) {
            let event = json!({ "event": "at-next-start" });
            self.status(None, "`name` and `args` hold from the next start", "", event)?;
        }
        Ok(())
    }

    /// Ends the process, or takes away what was shown over it if it is to be kept.
    async fn end(&mut self, keep: bool) -> Result<()> {
        if let Some(starting) = self.starting.take()
            && let Ok(Ok(spawned)) = timeout(KILL_TIMEOUT, starting).await
        {
            self.running = Some(spawned.id);
        }
        if let Some(id) = self.running.filter(|_| !keep) {
            self.running = None;
            kill(self.peer, id, "its author has ended `hearth-ctl dev`").await?;
        }
        if let Some(id) = self.failed.take() {
            self.notice(id, "").await;
        }
        self.notice_running("").await;
        Ok(())
    }

    /// Builds, and gives the process its new code.
    async fn round(&mut self) -> Result<()> {
        let began = Instant::now();
        if let Some(command) = self.package.settings.build.clone() {
            let color = self.output.pretty() && color_on(&std::io::stderr());
            self.status(None, "building", &command, json!({ "event": "building" }))?;
            let built = build::build(&self.package, &command, color).await?;
            if !built.status.success() {
                let text = build::first_error(&built.text);
                let what = format!("the build failed after {}", seconds(built.took));
                let rest = match self.running {
                    Some(id) => format!("; {id} goes on with the code that it has"),
                    None => String::new(),
                };
                let event =
                    json!({ "event": "build-failed", "seconds": built.took.as_secs_f64(), "error": text });
                self.status(Some(false), &what, &rest, event)?;
                self.notice_running(&text).await;
                return Ok(());
            }
        }
        let took = began.elapsed();
        match self.load(took).await {
            Ok(()) => {
                self.notice_running("").await;
                if let Some(id) = self.failed.take() {
                    self.notice(id, "").await;
                }
                Ok(())
            }
            // Nobody reads this any more; all else is for the author to put right.
            Err(problem) if problem.exit == Exit::BrokenPipe => Err(problem),
            Err(problem) => {
                self.tell_problem(&problem, "not-started")?;
                match problem.exit {
                    Exit::NotRunning => return self.gone(),
                    // If it has ended, the log will say so.
                    Exit::Protocol => self.peer.find_again(),
                    _ => self.notice_running(&problem.told()).await,
                }
                Ok(())
            }
        }
    }

    /// Loads the module, and replaces the code of the process or starts one.
    async fn load(&mut self, took: Duration) -> Result<()> {
        let path = self.package.module();
        let module = processes::lump_of(self.peer, &path).await.map_err(|problem| match path.exists() {
            true => problem,
            false => problem.hint("`module` in hearth.toml says where the build leaves it"),
        })?;
        let built = match self.package.settings.build {
            Some(_) => format!("built in {}, ", seconds(took)),
            None => String::new(),
        };
        let event = |what: &str, id: ProcessId| json!({ "event": what, "id": id.to_string(), "module": module.to_string(), "seconds": took.as_secs_f64() });
        // Another process may have the id by now, if the peer was started anew during the build.
        self.catch_up().await?;
        if let Some(id) = self.running {
            match self.replace(id, module).await {
                Ok(is_new) => {
                    let (what, name) = match is_new {
                        true => (format!("{built}replaced {id}"), "replaced"),
                        false => (format!("{built}nothing new for {id}"), "unchanged"),
                    };
                    return self.status(Some(true), &what, "", event(name, id));
                }
                Err(problem) if problem.exit == Exit::NoProcess => {
                    // It has ended meanwhile, and why was not shown yet.
                    self.show_rest(id).await?;
                    self.running = None;
                }
                Err(problem) => return Err(problem),
            }
        }
        let id = self.start(module).await?;
        self.running = Some(id);
        self.status(Some(true), &format!("{built}started {id}"), "", event("started", id))
    }

    /// Gives a process new code; false if it runs that already.
    async fn replace(&mut self, id: ProcessId, module: LumpId) -> Result<bool> {
        // It may run something else than this has given it: somebody may have rolled it back.
        let info: ProcessInfo = self.peer.call(&Request::Info { id }).await?;
        if info.module == Some(module) {
            return Ok(false);
        }
        self.peer.call::<Replaced>(&Request::Replace { id, module }).await.map(|_| true)
    }

    async fn start(&mut self, module: LumpId) -> Result<ProcessId> {
        let number = self.peer.number_of(&self.place).await?;
        let settings = &self.package.settings;
        let (name, args) = (Some(settings.name.clone()), settings.args.clone());
        let (peer, request) = (self.peer, Request::Spawn { module, peer: number, name, args });
        let starting = self.starting.insert(Box::pin(async move { peer.call(&request).await }));
        let started = starting.await;
        self.starting = None;
        match started {
            Err(problem) if problem.is(ErrorCode::Taken) => {
                Err(problem.hint("end the process that has it, or choose another `name` in hearth.toml"))
            }
            started => started.map(|spawned| spawned.id),
        }
    }

    /// Shows the log of the process, for as long as nothing else is to be done.
    async fn follow(&mut self) -> Result<()> {
        loop {
            let Some(id) = self.running else { return std::future::pending().await };
            let ended = match self.log_event(id).await {
                Ok(Some(event)) => {
                    self.print(&event)?;
                    let LogEvent::Ended { kind, reason, .. } = event else { continue };
                    Some((kind, reason))
                }
                // It ended so long ago that its log is gone.
                Err(problem) if problem.exit == Exit::NoProcess => None,
                // The log of a process that runs has an end only with its peer.
                Ok(None) | Err(_) => {
                    self.gone()?;
                    continue;
                }
            };
            (self.running, self.log) = (None, None);
            let event = json!({ "event": "waiting" });
            self.status(None, "the process has ended", "; the next save starts it anew", event)?;
            if let Some((kind, reason)) = ended
                && !matches!(kind, ExitKind::Normal | ExitKind::Killed)
            {
                self.failed = Some(id);
                self.notice(id, &reason).await;
            }
        }
    }

    /// Shows what the log has brought meanwhile, without waiting for more.
    async fn catch_up(&mut self) -> Result<()> {
        tokio::select! {
            biased;
            never = self.follow() => never,
            () = std::future::ready(()) => Ok(()),
        }
    }

    /// The next piece of the log of a process. Cancellation safe.
    async fn log_event(&mut self, id: ProcessId) -> Result<Option<LogEvent>> {
        let log = match &mut self.log {
            Some(log) => log,
            none => {
                let mut log = self.peer.connect().await?;
                log.request(&Request::Tail { id, lines: TAIL_LINES_MAX, follow: true }).await?;
                none.insert(log)
            }
        };
        Ok(log.value().await?)
    }

    /// Shows the rest of the log of a process that has ended.
    async fn show_rest(&mut self, id: ProcessId) -> Result<()> {
        let mut late = std::pin::pin!(sleep(KILL_TIMEOUT));
        loop {
            let event = tokio::select! {
                event = self.log_event(id) => event,
                () = &mut late => Ok(None),
            };
            // What there is no more is not missed.
            let Ok(Some(event)) = event else { break };
            self.print(&event)?;
            if matches!(event, LogEvent::Ended { .. }) {
                break;
            }
        }
        self.log = None;
        Ok(())
    }

    fn print(&mut self, event: &LogEvent) -> Result<()> {
        Printer::new(self.output).print(event)?;
        self.output.flush()
    }

    /// Forgets a peer that has ended, and what ran there.
    fn gone(&mut self) -> Result<()> {
        (self.running, self.failed, self.log) = (None, None, None);
        self.peer.find_again();
        let event = json!({ "event": "gone" });
        self.status(Some(false), "the peer is gone", "; the next save looks for it again", event)
    }

    /// Shows a text over what the script has made, or takes it away when it is empty.
    async fn notice(&mut self, id: ProcessId, text: &str) {
        // The author has read it here; that it cannot be shown there too is no news.
        let _ = self.peer.ask(&Request::Notice { id, text: text.into() }).await;
    }

    /// The same, about the process that runs, if one does.
    async fn notice_running(&mut self, text: &str) {
        if let Some(id) = self.running {
            self.notice(id, text).await;
        }
    }

    fn tell_problem(&mut self, problem: &Problem, event: &str) -> Result<()> {
        if self.output.json {
            let event = json!({ "event": event, "error": problem.told(), "hint": problem.advice() });
            return self.status(None, "", "", event);
        }
        eprint!("{}", problem.text(color_on(&std::io::stderr())));
        Ok(())
    }

    /// One line on what was done, green or red on a terminal; or the event as JSON.
    fn status(&mut self, is_good: Option<bool>, what: &str, rest: &str, event: Value) -> Result<()> {
        if self.output.json {
            self.output.json_line(&event)?;
            return self.output.flush();
        }
        let color = match is_good {
            _ if !(self.output.pretty() && color_on(&std::io::stdout())) => "",
            Some(true) => "\x1b[32m",
            Some(false) => "\x1b[1;31m",
            None => "\x1b[2m",
        };
        let off = if color.is_empty() { "" } else { "\x1b[0m" };
        let space = if is_good.is_none() && !rest.is_empty() && !rest.starts_with(';') { ": " } else { "" };
        self.output.line(&format!("{color}{what}{off}{space}{rest}"))?;
        self.output.flush()
    }
}

fn seconds(time: Duration) -> String {
    format!("{:.1} s", time.as_secs_f64())
}
