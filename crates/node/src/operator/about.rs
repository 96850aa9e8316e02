// SPDX-License-Identifier: AGPL-3.0-or-later
//! What an operator is told of a process.

use super::millis;
use crate::node::Inner;
use hearth_process::{Limit, ProcessInfo as Known, State};
use hearth_protocol::operator::{LimitInfo, ProcessInfo, ProcessState};
use std::collections::BTreeMap;

/// Most links of a process that are told of: what is told of one fits a frame between peers.
const LINKS_TOLD: usize = 1024;

/// What a list tells of a process.
pub(super) fn brief(inner: &Inner, known: &Known) -> ProcessInfo {
    let mut links = inner.processes.links(known.id).unwrap_or_default();
    links.truncate(LINKS_TOLD);
    let mut limits = limits(inner, known);
    limits.retain(|_, limit| limit.reached > 0 || limit.used.is_some_and(|used| used > 0));
    // Of those of its origin there is as much to say of each process.
    limits.retain(|name, limit| limit.reached > 0 || !name.starts_with("origin_"));
    ProcessInfo {
        id: known.id,
        names: known.names.clone(),
        state: match known.state {
            State::Starting => ProcessState::Starting,
            State::Running => ProcessState::Running,
            State::Waiting => ProcessState::Waiting,
            State::Parked => ProcessState::Parked,
            State::Hibernated => ProcessState::Hibernated,
            State::Throttled => ProcessState::Throttled,
        },
        lane: known.lane.name().into(),
        mailbox_signals: known.mailbox_len as u64,
        mailbox_bytes: known.mailbox_bytes as u64,
        memory_bytes: known.memory_bytes,
        cpu_ns: known.cpu_ns,
        throttled_ns: known.throttled_ns,
        module: known.module,
        origin: known.origin,
        parent: known.parent,
        links,
        started_ms: millis(known.started),
        messages_received: known.signals_received,
        limits,
        history: Vec::new(),
        history_index: None,
        memory_bytes_max: None,
        mailbox_signals_max: None,
        mailbox_bytes_max: None,
    }
}

/// All that there is to tell of a process.
pub(super) fn whole(inner: &Inner, known: &Known) -> ProcessInfo {
    let (codes, at) = inner.processes.history(known.id).unwrap_or_default();
    ProcessInfo {
        limits: limits(inner, known),
        history: codes.iter().filter_map(|code| code.module).collect(),
        history_index: (!codes.is_empty() && known.module.is_some()).then_some(at as u64),
        memory_bytes_max: Some(known.limits.memory_bytes as u64),
        mailbox_signals_max: Some(known.limits.mailbox_signals as u64),
        mailbox_bytes_max: Some(known.limits.mailbox_bytes as u64),
        ..brief(inner, known)
    }
}

/// All limits of a process, by name.
fn limits(inner: &Inner, known: &Known) -> BTreeMap<String, LimitInfo> {
    let own = &known.limits;
    let origin = inner.processes.origin(known.origin);
    let (entities, of_origin) = inner.world.counts(known.id, known.origin);
    let limit = |limit: Limit| {
        let (used, max) = match limit {
            Limit::MemoryBytes => (Some(known.memory_bytes), Some(own.memory_bytes as u64)),
            Limit::TableElements => (None, Some(own.table_elements as u64)),
            Limit::MailboxSignals => (Some(known.mailbox_len as u64), Some(own.mailbox_signals as u64)),
            Limit::MailboxBytes => (Some(known.mailbox_bytes as u64), Some(own.mailbox_bytes as u64)),
            Limit::Requests => (Some(known.requests as u64), Some(own.requests as u64)),
            Limit::Timers => (Some(known.timers as u64), Some(own.timers as u64)),
            Limit::Links => (Some(known.links as u64), Some(own.links as u64)),
            Limit::Monitors => (Some(known.monitors as u64), Some(own.monitors as u64)),
            Limit::LogLines => (None, Some(own.log_lines_per_s.into())),
            Limit::Children => (Some(known.children), Some(own.children as u64)),
            Limit::Spawns => (None, own.spawns_per_s.map(u64::from)),
            Limit::Entities => (Some(entities as u64), Some(own.entities as u64)),
            Limit::CpuPercent => (None, own.cpu_percent.map(u64::from)),
            Limit::OriginProcesses => (Some(origin.processes), Some(origin.limits.processes as u64)),
            Limit::OriginMemoryBytes => (Some(origin.memory_bytes), Some(origin.limits.memory_bytes)),
            Limit::OriginEntities => (Some(of_origin as u64), Some(origin.limits.entities as u64)),
            Limit::OriginCpuPercent => (None, origin.limits.cpu_percent.map(u64::from)),
        };
        let reached = known.reached.iter().find(|(reached, _)| *reached == limit);
        (limit.name().to_owned(), LimitInfo { used, max, reached: reached.map_or(0, |(_, times)| *times) })
    };
    Limit::ALL.into_iter().map(limit).collect()
}
