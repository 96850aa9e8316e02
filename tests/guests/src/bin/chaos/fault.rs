// SPDX-License-Identifier: AGPL-3.0-or-later
//! How a worker is made to end, and what must be said of it then.

use hearth_sdk::{
    prelude::*,
    process::{self, Down, ExitKind, ExitReason, Monitor},
};

/// How long a worker that loops is left alone, before the watchdog kills it.
const LOOPS: Duration = Duration::from_millis(1500);
/// How long an end may take. On a machine with much to do a leak of 64 MiB takes its time.
const END_WAIT: Duration = Duration::from_secs(30);

/// A way to end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// Code that cannot be reached, is.
    Trap,
    /// It gives a reason.
    Exit,
    /// It takes memory until there is no more.
    Leak,
    /// It calls itself until there is no stack.
    Stack,
    /// It runs for ever, and the watchdog kills it.
    Loop,
    /// An exit signal.
    Signal,
    /// It runs for ever, and another floods its mailbox until that is full. Both end.
    Flood,
}

impl Fault {
    pub(crate) const ALL: [Fault; 7] =
        [Fault::Trap, Fault::Exit, Fault::Leak, Fault::Stack, Fault::Loop, Fault::Signal, Fault::Flood];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Fault::Trap => "trap",
            Fault::Exit => "exit",
            Fault::Leak => "leak",
            Fault::Stack => "stack",
            Fault::Loop => "loop",
            Fault::Signal => "signal",
            Fault::Flood => "flood",
        }
    }

    /// How many workers it ends.
    pub(crate) fn victims(self) -> usize {
        if self == Fault::Flood { 2 } else { 1 }
    }
}

/// A worker that has ended.
pub(crate) struct Ended {
    pub(crate) process: ProcessId,
    pub(crate) reason: ExitReason,
    /// What its own log has to say beside the reason, if anything.
    pub(crate) last_words: Option<String>,
}

/// What a worker is told: a letter, and bytes.
fn order(worker: ProcessId, letter: u8, bytes: &[u8]) -> Result<(), String> {
    let mut message = vec![letter];
    message.extend_from_slice(bytes);
    hearth_sdk::send_bytes(worker, &message).map_err(|errno| format!("no order for {worker}: {errno}"))
}

/// Gives a worker somebody to talk to.
pub(crate) fn befriend(worker: ProcessId, friend: ProcessId) -> Result<(), String> {
    order(worker, b'F', &friend.to_bits().to_le_bytes())
}

async fn end_of(monitor: Monitor, kind: ExitKind, text: &str) -> Result<ExitReason, String> {
    let who = monitor.process();
    let Ok(Down { reason, .. }) = timeout(END_WAIT, monitor).await else {
        return Err(format!("{who} has not ended within {} s: {text}", END_WAIT.as_secs()));
    };
    if reason.kind != kind || !reason.text.contains(text) {
        return Err(format!(
            "{who} was to end with {kind:?}, `{text}`, and has ended with {:?}, `{reason}`",
            reason.kind
        ));
    }
    Ok(reason)
}

fn watch(who: ProcessId) -> Result<Monitor, String> {
    process::monitor(who).map_err(|errno| format!("no monitor of {who}: {errno}"))
}

/// Lets workers end, as many as the fault needs. The text is in the reason, or is the last that the worker logs.
pub(crate) async fn befall(fault: Fault, workers: &[ProcessId], text: &str) -> Result<Vec<Ended>, String> {
    let [victim, ref others @ ..] = *workers else { return Err("nobody to end".into()) };
    let monitor = watch(victim)?;
    let mut ended = Vec::new();
    let (kind, expected) = match fault {
        Fault::Trap | Fault::Leak => (ExitKind::Trap, "unreachable executed"),
        Fault::Stack => (ExitKind::Trap, "call stack exhausted"),
        Fault::Exit | Fault::Signal => (ExitKind::Error, text),
        Fault::Loop | Fault::Flood => (ExitKind::Killed, text),
    };
    match fault {
        Fault::Trap => order(victim, b'T', text.as_bytes())?,
        Fault::Leak => order(victim, b'M', text.as_bytes())?,
        Fault::Stack => order(victim, b'S', text.as_bytes())?,
        Fault::Exit => order(victim, b'X', text.as_bytes())?,
        Fault::Loop | Fault::Flood => {
            order(victim, b'L', text.as_bytes())?;
            sleep(LOOPS).await;
            if fault == Fault::Flood {
                let [flooder, ..] = *others else { return Err("nobody to flood".into()) };
                ended.push(flood(flooder, victim, &format!("{text}, full")).await?);
            }
            // The watchdog has seen enough.
            kill(victim, text).map_err(|errno| format!("{victim} is not to be killed: {errno}"))?;
        }
        Fault::Signal => {
            let reason = ExitReason::error(text);
            process::exit_to(victim, &reason).map_err(|errno| format!("no signal for {victim}: {errno}"))?;
        }
    }
    let reason = end_of(monitor, kind, expected).await?;
    let has_logged = !matches!(fault, Fault::Exit | Fault::Signal);
    ended.push(Ended { process: victim, reason, last_words: has_logged.then(|| text.into()) });
    Ok(ended)
}

/// Lets one worker send to another, which does not look into its mailbox, until it is full. That is its end.
async fn flood(flooder: ProcessId, victim: ProcessId, text: &str) -> Result<Ended, String> {
    let monitor = watch(flooder)?;
    let mut bytes = victim.to_bits().to_le_bytes().to_vec();
    bytes.extend_from_slice(text.as_bytes());
    order(flooder, b'N', &bytes)?;
    let reason = end_of(monitor, ExitKind::Error, text).await?;
    Ok(Ended { process: flooder, reason, last_words: None })
}
