// SPDX-License-Identifier: AGPL-3.0-or-later
//! What an operator is told of processes, and of the services that a peer starts by itself.

use super::text;
use hearth_abi::{LumpId, PeerId, ProcessId};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// What a process is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum ProcessState {
    /// Its module is being fetched or compiled, or its `start` has not returned or waited yet.
    Starting,
    /// It has something to do.
    Running,
    /// It waits for a signal on its own stack.
    Waiting,
    /// It waits for a signal and holds no stack.
    Parked,
    /// It has done so for a while: of its memory only what it has written is kept.
    Hibernated,
    /// It has used up its processor time, or that of its peer of origin, and goes on when there is some again.
    Throttled,
    /// It is being ended.
    Ending,
    /// A state that this version does not know.
    #[serde(other)]
    Unknown,
}

impl ProcessState {
    /// The name, as in JSON.
    pub const fn name(self) -> &'static str {
        match self {
            ProcessState::Starting => "starting",
            ProcessState::Running => "running",
            ProcessState::Waiting => "waiting",
            ProcessState::Parked => "parked",
            ProcessState::Hibernated => "hibernated",
            ProcessState::Throttled => "throttled",
            ProcessState::Ending => "ending",
            ProcessState::Unknown => "unknown",
        }
    }
}

/// A process, as it was at one moment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProcessInfo {
    /// Its id.
    #[serde(with = "text")]
    pub id: ProcessId,
    /// The names it is registered under.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub names: Vec<String>,
    /// What it is doing.
    pub state: ProcessState,
    /// The lane of the scheduler that it is in.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub lane: String,
    /// Signals that wait in its mailbox.
    pub mailbox_signals: u64,
    /// Bytes that wait in its mailbox.
    pub mailbox_bytes: u64,
    /// Size of its linear memory and tables, in bytes.
    pub memory_bytes: u64,
    /// CPU time that it has used, in nanoseconds.
    pub cpu_ns: u64,
    /// How long it was held up because it, or its peer of origin, had used up its processor time, in nanoseconds.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub throttled_ns: u64,
    /// The lump that is its module; absent for what is no module.
    #[serde(default, with = "text::option", skip_serializing_if = "Option::is_none")]
    pub module: Option<LumpId>,
    /// The peer whose authority it has.
    #[serde(with = "text::number")]
    pub origin: PeerId,
    /// The process that spawned it.
    #[serde(default, with = "text::option", skip_serializing_if = "Option::is_none")]
    pub parent: Option<ProcessId>,
    /// The processes that it is linked with, here and on other peers.
    #[serde(default, with = "text::list", skip_serializing_if = "Vec::is_empty")]
    pub links: Vec<ProcessId>,
    /// When it was started, in milliseconds since 1970.
    pub started_ms: u64,
    /// Messages that it has received.
    #[serde(default)]
    pub messages_received: u64,
    /// Its limits, by the names that they have in a manifest; those that it shares with all processes of its origin here begin
    /// with `origin_`. In a list only those of which something is used, or that were reached.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub limits: BTreeMap<String, LimitInfo>,
    /// The modules that it has run, oldest first, as far as they are remembered. Given by `info` only.
    #[serde(default, with = "text::list", skip_serializing_if = "Vec::is_empty")]
    pub history: Vec<LumpId>,
    /// Which of these runs, counted from 0. Given by `info` only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub history_index: Option<u64>,
    /// Most bytes of linear memory that it may have. Given by `info` only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub memory_bytes_max: Option<u64>,
    /// Most signals that may wait in its mailbox. Given by `info` only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mailbox_signals_max: Option<u64>,
    /// Most bytes that may wait in its mailbox. Given by `info` only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mailbox_bytes_max: Option<u64>,
}

/// A limit of a process.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LimitInfo {
    /// How much of it is used; absent where that is not known, or is a matter of the moment.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub used: Option<u64>,
    /// How much it is; absent if there is no bound.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max: Option<u64>,
    /// How often it was reached, and what was beyond it refused.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub reached: u64,
}

fn is_zero(number: &u64) -> bool {
    *number == 0
}

/// How a service is: a script that a peer starts by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum ServiceState {
    /// It is to be started, after a while or when those that it needs have started.
    Waiting,
    /// It has a process that has not started yet.
    Starting,
    /// It has a process.
    Running,
    /// Its process is asked to end, since one that it needs has ended.
    Stopping,
    /// It has ended and is not started again.
    Ended,
    /// It ended too often, or did not start, and is not tried again.
    GivenUp,
    /// A state that this version does not know.
    #[serde(other)]
    Unknown,
}

impl ServiceState {
    /// The name, as in JSON.
    pub const fn name(self) -> &'static str {
        match self {
            ServiceState::Waiting => "waiting",
            ServiceState::Starting => "starting",
            ServiceState::Running => "running",
            ServiceState::Stopping => "stopping",
            ServiceState::Ended => "ended",
            ServiceState::GivenUp => "given-up",
            ServiceState::Unknown => "unknown",
        }
    }
}

/// A service of a peer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServiceInfo {
    /// Its name in the manifest, under which its process is registered at first.
    pub name: String,
    /// How it is.
    pub state: ServiceState,
    /// Its process, if it has one.
    #[serde(default, with = "text::option", skip_serializing_if = "Option::is_none")]
    pub process: Option<ProcessId>,
    /// The process that looks after it.
    #[serde(default, with = "text::option", skip_serializing_if = "Option::is_none")]
    pub supervisor: Option<ProcessId>,
    /// After which ends it is started again: `permanent`, `transient` or `temporary`.
    pub restart: String,
    /// How often it was started again.
    #[serde(default)]
    pub restarts: u64,
    /// The services that start before it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub needs: Vec<String>,
    /// Why it was started again, or is to be, or is not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}
