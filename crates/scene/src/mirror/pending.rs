// SPDX-License-Identifier: AGPL-3.0-or-later
//! A submission that the server has not answered.

use crate::wire::{self, Up};
use hearth_abi::{
    EntityId, ProcessId,
    scene::{ComponentKind, Op},
};
use std::collections::BTreeSet;

#[derive(Clone, Debug)]
pub(super) enum Body {
    Ops(Vec<Op>),
    /// The process has ended; what belonged to it then.
    Ended(Vec<EntityId>),
}

#[derive(Clone, Debug)]
pub(super) struct Pending {
    pub(super) number: u64,
    pub(super) writer: ProcessId,
    pub(super) body: Body,
    /// It may have reached the server.
    pub(super) sent: bool,
    /// It can be done over the base and those before it, and is part of what is shown.
    pub(super) shows: bool,
    /// Length of its frame.
    pub(super) bytes: usize,
    /// Entities it names, each once.
    pub(super) touched: Vec<EntityId>,
}

impl Pending {
    pub(super) fn new(number: u64, writer: ProcessId, body: Body) -> Pending {
        let touched: BTreeSet<EntityId> = match &body {
            Body::Ops(ops) => ops.iter().flat_map(named).collect(),
            Body::Ended(owned) => owned.iter().copied().collect(),
        };
        let touched = touched.into_iter().collect();
        let mut pending = Pending { number, writer, body, sent: false, shows: true, bytes: 0, touched };
        pending.bytes = pending.frame().len();
        pending
    }

    /// The frame that submits it.
    pub(super) fn frame(&self) -> Vec<u8> {
        match &self.body {
            Body::Ops(ops) => {
                let mut frame = Vec::with_capacity(self.bytes);
                wire::encode_batch(&mut frame, self.number, self.writer, ops);
                frame
            }
            Body::Ended(_) => Up::Ended { number: self.number, writer: self.writer }.encode(),
        }
    }

    pub(super) fn ops(&self) -> &[Op] {
        match &self.body {
            Body::Ops(ops) => ops,
            Body::Ended(_) => &[],
        }
    }

    /// Whether it changes more than components.
    pub(super) fn is_structural(&self) -> bool {
        match &self.body {
            Body::Ops(ops) => ops.iter().any(|op| pair(op).is_none()),
            Body::Ended(_) => true,
        }
    }
}

/// The entities that an operation names.
fn named(op: &Op) -> impl Iterator<Item = EntityId> {
    let parent = match op {
        Op::SetParent(_, parent) => *parent,
        _ => None,
    };
    std::iter::once(op.entity()).chain(parent)
}

/// The component that an operation writes, if that is all it does.
pub(super) fn pair(op: &Op) -> Option<(EntityId, ComponentKind)> {
    match op {
        Op::Set(id, component) => Some((*id, component.kind())),
        Op::Unset(id, kind) => Some((*id, *kind)),
        Op::Create(..) | Op::Remove(_) | Op::SetParent(..) | Op::Give(_) => None,
    }
}
