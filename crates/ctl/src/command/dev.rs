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
    log::{Printer, Signals, kill},
    processes, sdk,
    tools::Language,
};
use crate::{
    cli::Dev,
    exit::Exit,
    output::{Output, color_on},
    problem::{Problem, Result},
};
use hearth_abi::{LumpId, PeerId, ProcessId};
use hearth_ipc::Client;
use hearth_protocol::operator::{ErrorCode, ExitKind, LogEvent, Replaced, Request, Spawned, TAIL_LINES_MAX};
use package::Package;
use serde_json::{Value, json};
use std::time::{Duration, Instant};
use watch::Watcher;

pub(super) async fn dev(peer: &Peer, options: Dev, output: &mut Output) -> Result<()> {
    // Before there is a process that a signal would leave behind.
    let mut signals = Signals::new()?;
    let package = Package::open(&options.path)?;
    let build = package.settings.build.as_deref();
    let language = Language::of(&package.folder, build);
    if let Some(missing) = build.and_then(|_| language.missing(&package.folder)) {
        return Err(Problem::new(Exit::NotRunning, missing.what).hint(missing.hint));
    }
    if sdk::is_used_by(&package.folder) {
        sdk::mend(&package.folder)?;
    }
    let place = peer.number_of(&options.place).await?;
    let made = build.is_some().then(|| package.settings.module.clone());
    let watcher = Watcher::new(&package.folder, made)?;
    let mut session = Session { peer, package, place, output, running: None, failed: None, log: None };
    let result = tokio::select! {
        result = session.work(watcher) => result,
        exit = signals.next() => Err(Problem::silent(exit)),
    };
    if let Some(id) = session.failed.take() {
        session.notice(id, "").await;
    }
    if options.keep {
        session.notice_running("").await;
    }
    if let Some(running) = session.running.filter(|_| !options.keep) {
        // A second signal does not wait for it.
        tokio::select! {
            killed = kill(peer, running.id, "its author has ended `hearth-ctl dev`") => killed?,
            _ = signals.next() => {}
        }
    }
    result
}

/// A process, and the module that it runs.
#[derive(Clone, Copy)]
struct Running {
    id: ProcessId,
    module: LumpId,
}

struct Session<'a> {
    peer: &'a Peer,
    package: Package,
    place: Option<PeerId>,
    output: &'a mut Output,
    running: Option<Running>,
    /// The process over whose place a notice stands, since it has failed.
    failed: Option<ProcessId>,
    /// The log of the process.
    log: Option<Client>,
}

impl Session<'_> {
    async fn work(&mut self, mut watcher: Watcher) -> Result<()> {
        loop {
            self.round().await?;
            tokio::select! {
                () = watcher.saved() => {}
                never = self.follow() => never?,
            }
            // How it is built may have been saved too; what cannot be read is said at the next save.
            match Package::open(&self.package.folder) {
                Ok(package) => self.package = package,
                Err(problem) => self.tell_problem(&problem, "settings")?,
            }
        }
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
                    Some(running) => format!("; {} goes on with the code that it has", running.id),
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
            // Without a peer there is nothing to do here; all else is for the author to put right.
            Err(problem) if matches!(problem.exit, Exit::NotRunning | Exit::BrokenPipe | Exit::Protocol) => {
                Err(problem)
            }
            Err(problem) => {
                self.tell_problem(&problem, "not-started")?;
                self.notice_running(problem.message()).await;
                Ok(())
            }
        }
    }

    /// Loads the module, and replaces the code of the process or starts one.
    async fn load(&mut self, took: Duration) -> Result<()> {
        let module = processes::lump_of(self.peer, &self.package.module()).await?;
        let built = match self.package.settings.build {
            Some(_) => format!("built in {}, ", seconds(took)),
            None => String::new(),
        };
        let event = |what: &str, id: ProcessId| json!({ "event": what, "id": id.to_string(), "module": module.to_string(), "seconds": took.as_secs_f64() });
        if let Some(running) = self.running {
            if running.module == module {
                return self.status(
                    Some(true),
                    &format!("{built}nothing new for {}", running.id),
                    "",
                    event("unchanged", running.id),
                );
            }
            let request = Request::Replace { id: running.id, module };
            match self.peer.call::<Replaced>(&request).await {
                Ok(replaced) => {
                    self.running = Some(Running { id: replaced.id, module });
                    return self.status(
                        Some(true),
                        &format!("{built}replaced {}", replaced.id),
                        "",
                        event("replaced", replaced.id),
                    );
                }
                // It has ended meanwhile.
                Err(problem) if problem.exit == Exit::NoProcess => self.running = None,
                Err(problem) => return Err(problem),
            }
        }
        let settings = &self.package.settings;
        let request = Request::Spawn {
            module,
            peer: self.place,
            name: Some(settings.name.clone()),
            args: settings.args.clone(),
        };
        let spawned = self.peer.call::<Spawned>(&request).await.map_err(|problem| {
            match problem.is(ErrorCode::Taken) {
                true => problem.hint("end the process that has it, or choose another `name` in hearth.toml"),
                false => problem,
            }
        })?;
        self.running = Some(Running { id: spawned.id, module });
        let mut log = self.peer.connect().await?;
        log.request(&Request::Tail { id: spawned.id, lines: TAIL_LINES_MAX, follow: true }).await?;
        self.log = Some(log);
        self.status(Some(true), &format!("{built}started {}", spawned.id), "", event("started", spawned.id))
    }

    /// Shows the log of the process, for as long as nothing else is to be done.
    async fn follow(&mut self) -> Result<()> {
        loop {
            let Some(log) = &mut self.log else { return std::future::pending().await };
            let event = log.value::<LogEvent>().await?;
            if let Some(event) = &event {
                Printer::new(self.output).print(event)?;
                self.output.flush()?;
            }
            let ended = match event {
                Some(LogEvent::Ended { kind, reason, .. }) => Some((kind, reason)),
                Some(_) => continue,
                None => None,
            };
            let running = self.running.take();
            self.log = None;
            let event = json!({ "event": "waiting" });
            self.status(None, "the process has ended", "; the next save starts it anew", event)?;
            if let (Some((kind, reason)), Some(running)) = (ended, running)
                && !matches!(kind, ExitKind::Normal | ExitKind::Killed)
            {
                self.failed = Some(running.id);
                self.notice(running.id, &reason).await;
            }
        }
    }

    /// Shows a text over what the script has made, or takes it away when it is empty.
    async fn notice(&mut self, id: ProcessId, text: &str) {
        // The author has read it here; that it cannot be shown there too is no news.
        let _ = self.peer.ask(&Request::Notice { id, text: text.into() }).await;
    }

    /// The same, about the process that runs, if one does.
    async fn notice_running(&mut self, text: &str) {
        if let Some(running) = self.running {
            self.notice(running.id, text).await;
        }
    }

    fn tell_problem(&mut self, problem: &Problem, event: &str) -> Result<()> {
        if self.output.json {
            return self.status(None, "", "", json!({ "event": event, "error": problem.message() }));
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
