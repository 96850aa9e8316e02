// SPDX-License-Identifier: AGPL-3.0-or-later
//! Who started whom: the services of a peer, and the processes below each of them.

use super::Peer;
use crate::{
    cli::Place,
    output::{Output, escape, left, right},
    problem::Result,
};
use hearth_abi::ProcessId;
use hearth_protocol::operator::{ProcessInfo, Request, ServiceInfo, ServiceState};
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};

/// Deepest place that has a place of its own in the drawing; what is deeper is drawn there.
const DRAWN_DEPTH_MAX: usize = 64;

/// One line of the tree; those below it follow.
#[derive(Serialize)]
struct Row {
    /// How many are above it.
    depth: usize,
    #[serde(skip)]
    id: Option<ProcessId>,
    /// Whether it is the last below the one above.
    #[serde(skip)]
    is_last: bool,
    /// Whether it looks after the services.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    supervisor: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    service: Option<ServiceInfo>,
    #[serde(skip_serializing_if = "Option::is_none")]
    process: Option<ProcessInfo>,
}

#[derive(Clone, Copy)]
enum Node {
    Service(usize),
    Process(ProcessId),
}

pub(super) async fn tree(peer: &Peer, place: &Place, output: &mut Output) -> Result<()> {
    let number = peer.number_of(place).await?;
    let services: Vec<ServiceInfo> = peer.list(&Request::ListServices { peer: number, after: None }).await?;
    let processes: Vec<ProcessInfo> =
        peer.list(&Request::ListProcesses { peer: number, after: None }).await?;
    let rows = rows(services, processes);
    if output.pretty() {
        return draw(&rows).iter().try_for_each(|line| output.line(line));
    }
    let columns = [
        right("DEPTH"),
        left("ID"),
        left("NAME"),
        left("STATE"),
        right("RESTARTS"),
        left("NEEDS"),
        left("LINKS"),
        left("PARENT"),
        left("REASON"),
    ];
    output.table(columns, &rows, |row, _pretty| {
        let service = row.service.as_ref();
        let parent = row.process.as_ref().and_then(|process| process.parent);
        [
            row.depth.to_string(),
            row.id.map(|id| id.to_string()).unwrap_or_default(),
            row.name(),
            row.state().into(),
            service.map(|service| service.restarts.to_string()).unwrap_or_default(),
            service.map(|service| service.needs.join(",")).unwrap_or_default(),
            row.links(","),
            parent.map(|parent| parent.to_string()).unwrap_or_default(),
            service.and_then(|service| service.reason.clone()).unwrap_or_default(),
        ]
    })
}

/// The tree from the top: first the supervisor and its services, then whoever was started by an operator, by another
/// peer, by the peer itself, or by one that has ended.
fn rows(services: Vec<ServiceInfo>, processes: Vec<ProcessInfo>) -> Vec<Row> {
    let supervisor = services.iter().find_map(|service| service.supervisor);
    let of_services: BTreeSet<ProcessId> = services.iter().filter_map(|service| service.process).collect();
    let mut left: BTreeMap<ProcessId, ProcessInfo> =
        processes.into_iter().map(|process| (process.id, process)).collect();
    let mut below: BTreeMap<ProcessId, Vec<Node>> = BTreeMap::new();
    let mut top: Vec<Node> = supervisor.into_iter().map(Node::Process).collect();
    for (index, service) in services.iter().enumerate() {
        // One that a supervisor before has started is below the one that looks after it now.
        match service.supervisor {
            Some(supervisor) => below.entry(supervisor).or_default().push(Node::Service(index)),
            None => top.push(Node::Service(index)),
        }
    }
    for process in left.values() {
        if of_services.contains(&process.id) || supervisor == Some(process.id) {
            continue;
        }
        match process.parent.filter(|parent| left.contains_key(parent)) {
            Some(parent) => below.entry(parent).or_default().push(Node::Process(process.id)),
            None => top.push(Node::Process(process.id)),
        }
    }
    let mut rows = Vec::new();
    loop {
        walk(&top, &below, &services, supervisor, &mut left, &mut rows);
        // What another peer says of a parent may make a circle, of which one is on top.
        let Some(next) = left.keys().next() else { return rows };
        top = vec![Node::Process(*next)];
    }
}

/// Takes what is below these out of `left`, which need not fit a stack.
fn walk(
    top: &[Node],
    below: &BTreeMap<ProcessId, Vec<Node>>,
    services: &[ServiceInfo],
    supervisor: Option<ProcessId>,
    left: &mut BTreeMap<ProcessId, ProcessInfo>,
    rows: &mut Vec<Row>,
) {
    let mut stack: Vec<(Node, usize, bool)> = top.iter().rev().map(|node| (*node, 0, false)).collect();
    while let Some((node, depth, is_last)) = stack.pop() {
        let (id, service) = match node {
            Node::Service(index) => (services[index].process, Some(services[index].clone())),
            Node::Process(id) => (Some(id), None),
        };
        let process = id.and_then(|id| left.remove(&id));
        let is_supervisor = service.is_none() && id.is_some() && id == supervisor;
        if process.is_none() && service.is_none() && !is_supervisor {
            continue;
        }
        rows.push(Row { depth, id, is_last, supervisor: is_supervisor, service, process });
        let children = id.and_then(|id| below.get(&id)).into_iter().flatten();
        let first = stack.len();
        stack.extend(children.rev().map(|node| (*node, depth + 1, false)));
        if let Some((_, _, is_last)) = stack.get_mut(first..).and_then(|children| children.first_mut()) {
            *is_last = true;
        }
    }
}

impl Row {
    fn name(&self) -> String {
        let names = self.process.as_ref().map(|process| process.names.join(",")).unwrap_or_default();
        match &self.service {
            Some(service) => service.name.clone(),
            None if self.supervisor && names.is_empty() => "root".into(),
            None => names,
        }
    }

    /// What the process does, where it is not the state of the service that counts.
    fn state(&self) -> &'static str {
        match (&self.service, &self.process) {
            (Some(service), Some(process)) if service.state == ServiceState::Running => process.state.name(),
            (Some(service), _) => service.state.name(),
            (None, Some(process)) => process.state.name(),
            (None, None) => "ended",
        }
    }

    fn links(&self, between: &str) -> String {
        let links = self.process.iter().flat_map(|process| &process.links);
        links.map(ToString::to_string).collect::<Vec<_>>().join(between)
    }

    /// The line for people, without what is before it.
    fn text(&self) -> String {
        let id = self.id.map(|id| id.to_string()).unwrap_or_default();
        let words = [self.name(), id, self.state().into()];
        let mut text = words.iter().filter(|word| !word.is_empty()).cloned().collect::<Vec<_>>().join(" ");
        if let Some(service) = &self.service {
            match service.restarts {
                0 => {}
                1 => text.push_str(", restarted once"),
                times => text.push_str(&format!(", restarted {times} times")),
            }
            if !service.needs.is_empty() {
                text.push_str(&format!(", needs {}", service.needs.join(" and ")));
            }
        }
        let links = self.links(" and ");
        if !links.is_empty() {
            text.push_str(&format!(", linked with {links}"));
        }
        // Below whom it would be is not here.
        if let Some(parent) = self.process.as_ref().and_then(|process| process.parent)
            && self.depth == 0
        {
            text.push_str(&format!(", started by {parent}"));
        }
        if let Some(ServiceInfo { process: None, reason: Some(reason), .. }) = &self.service {
            text.push_str(&format!(": {reason}"));
        }
        escape(&text).into_owned()
    }
}

/// The lines for people.
fn draw(rows: &[Row]) -> Vec<String> {
    // Of each place above: whether more is to come below it.
    let mut goes_on: Vec<bool> = Vec::new();
    let line = |row: &Row| {
        let depth = row.depth.min(DRAWN_DEPTH_MAX);
        goes_on.truncate(depth.saturating_sub(1));
        let mut line: String = goes_on.iter().map(|goes_on| if *goes_on { "│  " } else { "   " }).collect();
        if depth > 0 {
            line.push_str(if row.is_last { "└─ " } else { "├─ " });
            goes_on.push(!row.is_last);
        }
        line.push_str(&row.text());
        line
    };
    rows.iter().map(line).collect()
}
