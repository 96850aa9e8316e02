// SPDX-License-Identifier: AGPL-3.0-or-later
//! What one process may use, and what all processes of one peer of origin may use together.

/// What one process may use. The defaults are those of `docs/formats/guest.md`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Linear memory in bytes. Against a guest that eats the machine's memory. The program enforces it.
    pub memory_bytes: usize,
    /// Elements of all its tables together. As above.
    pub table_elements: usize,
    /// Signals in the mailbox. Against a flood by others; the sender gets [`crate::SendError::Full`].
    pub mailbox_signals: usize,
    /// Bytes in the mailbox, headers included. As above.
    pub mailbox_bytes: usize,
    /// Requests whose reply it has not taken yet.
    pub requests: usize,
    /// Timers whose signal it has not taken yet.
    pub timers: usize,
    /// Links, and their exit signals that it has not taken yet. Against one that others link themselves to
    /// without end; who passes it is refused.
    pub links: usize,
    /// Monitors that it has made, and their signals that it has not taken yet.
    pub monitors: usize,
    /// Lines it may log each second, in the long run. What is beyond is dropped and counted.
    pub log_lines_per_s: u32,
    /// Lines it may log at once after a quiet time.
    pub log_burst: u32,
    /// Processes that it has spawned on its own peer and that have not ended. Against one that spawns without end. It is what
    /// lives that costs memory and a place in the table: so many short lives one after the other are no harm, and
    /// neither is a supervisor with very many children.
    pub children: usize,
    /// Processes it may spawn each second, in the long run; `None` for as many as it can. What it takes of the processor
    /// for that is shared fairly anyhow, so that a bound is for who wants one.
    pub spawns_per_s: Option<u32>,
    /// Processes it may spawn at once after a quiet time, where there is a bound for each second.
    pub spawn_burst: u32,
    /// Entities that belong to it. Against one that fills the scene. The host enforces it.
    pub entities: usize,
    /// Processor time that it may use in the long run, in percent of one processor; `None` for all that others leave. Against one that
    /// computes without end and need not. Who has used it up is held up until there is some again; what is not used is
    /// kept for a second.
    pub cpu_percent: Option<u32>,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits {
            memory_bytes: 64 << 20,
            table_elements: 65_536,
            mailbox_signals: 4096,
            mailbox_bytes: 8 << 20,
            requests: 1024,
            timers: 1024,
            links: 16_384,
            monitors: 16_384,
            log_lines_per_s: 200,
            log_burst: 1000,
            children: 65_536,
            spawns_per_s: None,
            spawn_burst: 1000,
            entities: 20_000,
            cpu_percent: None,
        }
    }
}

impl Limits {
    /// The smaller of the two, for each limit.
    #[must_use]
    pub fn at_most(&self, other: &Limits) -> Limits {
        let least = |one: Option<u32>, other: Option<u32>| match (one, other) {
            (Some(one), Some(other)) => Some(one.min(other)),
            (one, other) => one.or(other),
        };
        Limits {
            memory_bytes: self.memory_bytes.min(other.memory_bytes),
            table_elements: self.table_elements.min(other.table_elements),
            mailbox_signals: self.mailbox_signals.min(other.mailbox_signals),
            mailbox_bytes: self.mailbox_bytes.min(other.mailbox_bytes),
            requests: self.requests.min(other.requests),
            timers: self.timers.min(other.timers),
            links: self.links.min(other.links),
            monitors: self.monitors.min(other.monitors),
            log_lines_per_s: self.log_lines_per_s.min(other.log_lines_per_s),
            log_burst: self.log_burst.min(other.log_burst),
            children: self.children.min(other.children),
            spawns_per_s: least(self.spawns_per_s, other.spawns_per_s),
            spawn_burst: self.spawn_burst.min(other.spawn_burst),
            entities: self.entities.min(other.entities),
            cpu_percent: least(self.cpu_percent, other.cpu_percent),
        }
    }
}

/// What all processes of one peer of origin may use of this peer together. What the peer itself runs without a module
/// does not count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OriginLimits {
    /// Processes that have not ended. Against scripts of one peer that leave no place for those of others.
    pub processes: usize,
    /// Linear memory of all of them, in bytes. Against scripts that each take little, and together too much.
    pub memory_bytes: u64,
    /// Entities that belong to them. Against scripts that leave no room in the scene. The host enforces it.
    pub entities: usize,
    /// Processor time that they may use in the long run, in percent of one processor; `None` for all that others leave. Against
    /// scripts that each compute little, and together without end.
    pub cpu_percent: Option<u32>,
}

impl OriginLimits {
    /// For the processes of each other peer. How much of the processors they may use is for whoever knows how many there are.
    pub const OTHERS: OriginLimits =
        OriginLimits { processes: 65_536, memory_bytes: 4 << 30, entities: 50_000, cpu_percent: None };
    /// For those of the peer itself: its owner's, but as wrong as others.
    pub const OWN: OriginLimits =
        OriginLimits { processes: 262_144, memory_bytes: 64 << 30, entities: 100_000, cpu_percent: None };
}

/// A limit that can be reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Limit {
    /// [`Limits::memory_bytes`].
    MemoryBytes,
    /// [`Limits::table_elements`].
    TableElements,
    /// [`Limits::mailbox_signals`].
    MailboxSignals,
    /// [`Limits::mailbox_bytes`].
    MailboxBytes,
    /// [`Limits::requests`].
    Requests,
    /// [`Limits::timers`].
    Timers,
    /// [`Limits::links`].
    Links,
    /// [`Limits::monitors`].
    Monitors,
    /// [`Limits::log_lines_per_s`] and [`Limits::log_burst`].
    LogLines,
    /// [`Limits::children`].
    Children,
    /// [`Limits::spawns_per_s`] and [`Limits::spawn_burst`].
    Spawns,
    /// [`Limits::entities`].
    Entities,
    /// [`Limits::cpu_percent`].
    CpuPercent,
    /// [`OriginLimits::processes`].
    OriginProcesses,
    /// [`OriginLimits::memory_bytes`].
    OriginMemoryBytes,
    /// [`OriginLimits::entities`].
    OriginEntities,
    /// [`OriginLimits::cpu_percent`].
    OriginCpuPercent,
}

impl Limit {
    /// All of them.
    pub const ALL: [Limit; 17] = [
        Limit::MemoryBytes,
        Limit::TableElements,
        Limit::MailboxSignals,
        Limit::MailboxBytes,
        Limit::Requests,
        Limit::Timers,
        Limit::Links,
        Limit::Monitors,
        Limit::LogLines,
        Limit::Children,
        Limit::Spawns,
        Limit::Entities,
        Limit::CpuPercent,
        Limit::OriginProcesses,
        Limit::OriginMemoryBytes,
        Limit::OriginEntities,
        Limit::OriginCpuPercent,
    ];

    /// Its name, as in a manifest; of those of an origin with `origin_` before it.
    pub const fn name(self) -> &'static str {
        match self {
            Limit::MemoryBytes => "memory_bytes",
            Limit::TableElements => "table_elements",
            Limit::MailboxSignals => "mailbox_signals",
            Limit::MailboxBytes => "mailbox_bytes",
            Limit::Requests => "requests",
            Limit::Timers => "timers",
            Limit::Links => "links",
            Limit::Monitors => "monitors",
            Limit::LogLines => "log_lines_per_s",
            Limit::Children => "children",
            Limit::Spawns => "spawns_per_s",
            Limit::Entities => "entities",
            Limit::CpuPercent => "cpu_percent",
            Limit::OriginProcesses => "origin_processes",
            Limit::OriginMemoryBytes => "origin_memory_bytes",
            Limit::OriginEntities => "origin_entities",
            Limit::OriginCpuPercent => "origin_cpu_percent",
        }
    }

    /// What a log says of it: what there is too much of, of what, and what was refused, one and several.
    const fn words(self) -> (&'static str, &'static str, [&'static str; 2]) {
        const MORE: [&str; 2] = ["demand for more", "demands for more"];
        const SPAWNS: [&str; 2] = ["spawn", "spawns"];
        const BATCHES: [&str; 2] = ["batch", "batches"];
        const ONES: [&str; 2] = ["more", "more"];
        const TURNS: [&str; 2] = ["turn", "turns"];
        match self {
            Limit::MemoryBytes => ("memory used up", "bytes", MORE),
            Limit::TableElements => ("tables full", "elements", MORE),
            Limit::MailboxSignals => ("mailbox full", "signals", ["message", "messages"]),
            Limit::MailboxBytes => ("mailbox full", "bytes", ["message", "messages"]),
            Limit::Requests => ("as many requests under way as may be", "requests", ONES),
            Limit::Timers => ("as many timers as may be", "timers", ONES),
            Limit::Links => ("as many links as may be", "links", ONES),
            Limit::Monitors => ("as many monitors as may be", "monitors", ONES),
            Limit::LogLines => ("too many lines at once", "lines a second", ["line", "lines"]),
            Limit::Children => ("as many children alive as may be", "processes", SPAWNS),
            Limit::Spawns => ("too many spawns at once", "spawns a second", SPAWNS),
            Limit::Entities => ("as many things in the scene as may be", "entities", BATCHES),
            Limit::CpuPercent => ("processor time used up", "percent of a processor", TURNS),
            Limit::OriginProcesses => ("its peer of origin has as many as may be", "processes", SPAWNS),
            Limit::OriginMemoryBytes => ("memory of its peer of origin used up", "bytes", MORE),
            Limit::OriginEntities => ("its peer of origin has as many as may be", "entities", BATCHES),
            Limit::OriginCpuPercent => {
                ("processor time of its peer of origin used up", "percent of a processor", TURNS)
            }
        }
    }

    /// What a log says of it when it was reached so many times more.
    pub(crate) fn text(self, max: u64, times: u64) -> String {
        let (what, unit, refused) = self.words();
        let refused = refused[usize::from(times != 1)];
        let how = match self {
            Limit::CpuPercent | Limit::OriginCpuPercent => "held up",
            _ => "refused",
        };
        format!("{what}: {max} {unit}; {times} {refused} {how} (limit `{}`)", self.name())
    }
}
