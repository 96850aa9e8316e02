// SPDX-License-Identifier: AGPL-3.0-or-later
//! What a mirror and the server say to each other about the shared scene, as bytes.
//!
//! A frame is one or more messages, each a `u8` type, a `u32` length, and a body of that length.
//! `docs/formats/scene.md` has the bodies. Frames travel in order and whole; each side treats a
//! frame that does not decode as a broken peer.

use crate::{Entity, Owner};
use hearth_abi::{
    DecodeError, EntityId, Errno, ProcessId,
    codec::Reader,
    scene::{self, BATCH_LEN_MAX, COMPONENT_LEN_MAX, Component, ComponentKind, Op},
};

/// Largest frame in bytes, in both directions.
pub const FRAME_LEN_MAX: usize = BATCH_LEN_MAX + 64;
/// Largest part of a snapshot in bytes, but for its last entity.
pub const PART_LEN_MAX: usize = 256 << 10;
/// Longest reason of a refusal in bytes.
pub const REASON_LEN_MAX: usize = 512;
/// Length of a message's type and length in bytes.
pub const HEADER_LEN: usize = 5;

/// What a mirror says to the server.
#[derive(Clone, Debug, PartialEq)]
pub enum Up {
    /// 1: send a snapshot, and whatever changes from then on. `u64` instance.
    Join {
        /// A number that this mirror chose when it was made. Who comes back with the same one is
        /// the same mirror, and still has what it was told.
        instance: u64,
    },
    /// 2: a batch of a process. `u64` number, `u64` writer, and the batch.
    Batch {
        /// Number of the submission: 1, 2, …
        number: u64,
        /// The process.
        writer: ProcessId,
        /// What it wants to change.
        ops: Vec<Op>,
    },
    /// 3: a process has ended, and what belongs to it goes. `u64` number, `u64` writer.
    Ended {
        /// Number of the submission.
        number: u64,
        /// The process.
        writer: ProcessId,
    },
}

/// What the server says to a mirror.
#[derive(Clone, Debug, PartialEq)]
pub enum Down {
    /// 1: what others have changed. `u64` sequence, then for each part a `u64` writer, a `u32` length and
    /// a batch.
    Update {
        /// With this, the mirror has heard of every change up to this number in the server's order,
        /// and perhaps of later ones.
        sequence: u64,
        /// Batches in order, each of one writer.
        parts: Vec<(ProcessId, Vec<Op>)>,
    },
    /// 2: what became of a submission. `u64` number, `i32` status: zero, or a negative error number and
    /// then the reason in UTF-8.
    Answer {
        /// Number of the submission.
        number: u64,
        /// Refused, nothing of it was done.
        outcome: Result<(), Refusal>,
    },
    /// 3: a snapshot follows. `u64` sequence, `u64` answered, `u8` resumed.
    Begin {
        /// Place of the snapshot in the server's order.
        sequence: u64,
        /// Submissions up to this number have had their effect, if any, in this snapshot.
        answered: u64,
        /// The server still knew this mirror, and kept its entities.
        resumed: bool,
    },
    /// 4: entities of the snapshot, parents first.
    Part(Vec<SnapshotEntity>),
    /// 5: the snapshot is complete. `u64` number of entities.
    End {
        /// How many entities it has.
        entities: u64,
    },
}

/// Why a submission was refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// The error number.
    pub errno: Errno,
    /// The reason for people, at most [`REASON_LEN_MAX`] bytes.
    pub reason: String,
}

/// An entity of a snapshot: `u64` id, `u64` owner (zero for the space), `u64` parent (zero for the root),
/// `u16` number of components, and for each `u16` kind, `u32` length, and that many bytes.
#[derive(Clone, Debug, PartialEq)]
pub struct SnapshotEntity {
    /// The entity.
    pub id: EntityId,
    /// Whom it belongs to.
    pub owner: Owner,
    /// What it hangs under.
    pub parent: Option<EntityId>,
    /// Its components, in order of kind.
    pub components: Vec<Component>,
}

/// Appends a message whose body is written by `body`.
fn message(out: &mut Vec<u8>, number: u8, body: impl FnOnce(&mut Vec<u8>)) {
    out.push(number);
    with_len(out, body);
}

/// Appends a `u32` length and that many bytes.
fn with_len(out: &mut Vec<u8>, body: impl FnOnce(&mut Vec<u8>)) {
    let at = out.len();
    out.extend_from_slice(&[0; 4]);
    body(out);
    let len = (out.len() - at - 4) as u32;
    out[at..at + 4].copy_from_slice(&len.to_le_bytes());
}

fn put(out: &mut Vec<u8>, number: u64) {
    out.extend_from_slice(&number.to_le_bytes());
}

impl Up {
    /// The message as a frame.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(64);
        match self {
            Up::Join { instance } => message(&mut out, 1, |out| put(out, *instance)),
            Up::Batch { number, writer, ops } => encode_batch(&mut out, *number, *writer, ops),
            Up::Ended { number, writer } => message(&mut out, 3, |out| {
                put(out, *number);
                put(out, writer.to_bits());
            }),
        }
        out
    }

    /// The messages of a frame.
    ///
    /// # Errors
    /// The frame is longer than [`FRAME_LEN_MAX`] or malformed.
    pub fn decode(frame: &[u8]) -> Result<Vec<Up>, DecodeError> {
        decode_frame(frame, |number, r| {
            Ok(match number {
                1 => Up::Join { instance: r.u64()? },
                2 => Up::Batch { number: r.u64()?, writer: process(r)?, ops: ops(r, r.remaining())? },
                3 => Up::Ended { number: r.u64()?, writer: process(r)? },
                _ => return Err(r.error("unknown type of message")),
            })
        })
    }
}

/// [`Up::Batch`] without owning the operations.
pub(crate) fn encode_batch(out: &mut Vec<u8>, number: u64, writer: ProcessId, ops: &[Op]) {
    message(out, 2, |out| {
        put(out, number);
        put(out, writer.to_bits());
        ops.iter().for_each(|op| op.encode(out));
    });
}

/// [`Down::Update`] of parts that are encoded already.
pub(crate) fn encode_update(out: &mut Vec<u8>, sequence: u64, parts: &[u8]) {
    message(out, 1, |out| {
        put(out, sequence);
        out.extend_from_slice(parts);
    });
}

/// [`Op::Set`] without owning the component.
pub(crate) fn encode_set(id: EntityId, component: &Component, out: &mut Vec<u8>) {
    out.push(4);
    put(out, id.to_bits());
    out.extend_from_slice(&(component.kind() as u16).to_le_bytes());
    with_len(out, |out| component.encode(out));
}

impl Down {
    /// Appends the message to a frame.
    pub fn encode(&self, out: &mut Vec<u8>) {
        match self {
            Down::Update { sequence, parts } => message(out, 1, |out| {
                put(out, *sequence);
                for (writer, ops) in parts {
                    put(out, writer.to_bits());
                    with_len(out, |out| ops.iter().for_each(|op| op.encode(out)));
                }
            }),
            Down::Answer { number, outcome } => message(out, 2, |out| {
                put(out, *number);
                match outcome {
                    Ok(()) => out.extend_from_slice(&0i32.to_le_bytes()),
                    Err(refusal) => {
                        out.extend_from_slice(&refusal.errno.as_return().to_le_bytes());
                        let end = refusal.reason.floor_char_boundary(REASON_LEN_MAX);
                        out.extend_from_slice(&refusal.reason.as_bytes()[..end]);
                    }
                }
            }),
            Down::Begin { sequence, answered, resumed } => message(out, 3, |out| {
                put(out, *sequence);
                put(out, *answered);
                out.push(u8::from(*resumed));
            }),
            Down::Part(entities) => message(out, 4, |out| {
                for entity in entities {
                    encode_entity(out, entity.id, entity.owner, entity.parent, entity.components.iter());
                }
            }),
            Down::End { entities } => message(out, 5, |out| put(out, *entities)),
        }
    }

    /// The messages of a frame.
    ///
    /// # Errors
    /// The frame is longer than [`FRAME_LEN_MAX`] or malformed.
    pub fn decode(frame: &[u8]) -> Result<Vec<Down>, DecodeError> {
        decode_frame(frame, |number, r| {
            Ok(match number {
                1 => {
                    let sequence = r.u64()?;
                    let mut parts = Vec::new();
                    while !r.is_empty() {
                        let writer = process(r)?;
                        let len = r.u32()? as usize;
                        parts.push((writer, ops(r, len)?));
                    }
                    Down::Update { sequence, parts }
                }
                2 => {
                    let number = r.u64()?;
                    let unknown = r.error("unknown status");
                    let status = r.i32()?;
                    let outcome = if status == 0 {
                        Ok(())
                    } else {
                        let errno = status.checked_neg().and_then(Errno::from_number).ok_or(unknown)?;
                        if r.remaining() > REASON_LEN_MAX {
                            return Err(r.error("reason is too long"));
                        }
                        Err(Refusal { errno, reason: r.text(r.remaining())?.into() })
                    };
                    Down::Answer { number, outcome }
                }
                3 => Down::Begin { sequence: r.u64()?, answered: r.u64()?, resumed: r.bool()? },
                4 => {
                    let mut entities = Vec::new();
                    while !r.is_empty() {
                        entities.push(decode_entity(r)?);
                    }
                    Down::Part(entities)
                }
                5 => Down::End { entities: r.u64()? },
                _ => return Err(r.error("unknown type of message")),
            })
        })
    }
}

fn decode_frame<T>(
    frame: &[u8],
    body: impl Fn(u8, &mut Reader<'_>) -> Result<T, DecodeError>,
) -> Result<Vec<T>, DecodeError> {
    if frame.len() > FRAME_LEN_MAX {
        return Err(DecodeError { offset: FRAME_LEN_MAX, problem: "frame is too long" });
    }
    let mut reader = Reader::new(frame);
    let mut messages = Vec::new();
    while !reader.is_empty() {
        let number = reader.u8()?;
        let len = reader.u32()? as usize;
        let start = reader.offset();
        let mut inner = Reader::new(reader.bytes(len)?);
        let message = body(number, &mut inner).and_then(|message| inner.end().map(|()| message));
        messages.push(message.map_err(|e| DecodeError { offset: start + e.offset, ..e })?);
    }
    Ok(messages)
}

fn process(r: &mut Reader<'_>) -> Result<ProcessId, DecodeError> {
    r.u64().map(ProcessId::from_bits)
}

fn ops(r: &mut Reader<'_>, len: usize) -> Result<Vec<Op>, DecodeError> {
    let start = r.offset();
    scene::decode_batch(r.bytes(len)?).map_err(|e| DecodeError { offset: start + e.offset, ..e })
}

/// Appends an entity of a snapshot.
pub(crate) fn encode_entity<'a>(
    out: &mut Vec<u8>,
    id: EntityId,
    owner: Owner,
    parent: Option<EntityId>,
    components: impl ExactSizeIterator<Item = &'a Component>,
) {
    put(out, id.to_bits());
    put(out, owner.to_bits());
    put(out, parent.map_or(0, EntityId::to_bits));
    encode_components(out, components);
}

/// Appends a `u16` number of components and for each `u16` kind, `u32` length, and that many bytes.
pub(crate) fn encode_components<'a>(
    out: &mut Vec<u8>,
    components: impl ExactSizeIterator<Item = &'a Component>,
) {
    out.extend_from_slice(&(components.len() as u16).to_le_bytes());
    for component in components {
        out.extend_from_slice(&(component.kind() as u16).to_le_bytes());
        with_len(out, |out| component.encode(out));
    }
}

fn decode_entity(r: &mut Reader<'_>) -> Result<SnapshotEntity, DecodeError> {
    let zero = r.error("entity id is zero");
    let id = r.u64()?;
    if id == 0 {
        return Err(zero);
    }
    let owner = Owner::of_writer(process(r)?);
    let parent = r.u64()?;
    Ok(SnapshotEntity {
        id: EntityId::from_bits(id),
        owner,
        parent: (parent != 0).then(|| EntityId::from_bits(parent)),
        components: decode_components(r)?,
    })
}

/// Takes components in order of kind, each kind once.
pub(crate) fn decode_components(r: &mut Reader<'_>) -> Result<Vec<Component>, DecodeError> {
    let count = r.u16()?;
    let mut components: Vec<Component> = Vec::new();
    for _ in 0..count {
        let unknown = r.error("unknown kind of component");
        let kind = ComponentKind::from_number(r.u16()?).ok_or(unknown)?;
        if components.last().is_some_and(|last| last.kind() >= kind) {
            return Err(r.error("components are out of order"));
        }
        let too_long = r.error("component is too long");
        let len = r.u32()? as usize;
        if len > COMPONENT_LEN_MAX {
            return Err(too_long);
        }
        let start = r.offset();
        let component = Component::decode(kind, r.bytes(len)?)
            .map_err(|e| DecodeError { offset: start + e.offset, ..e })?;
        components.push(component);
    }
    Ok(components)
}

impl SnapshotEntity {
    /// An entity as a snapshot has it.
    pub fn of(id: EntityId, entity: &Entity) -> SnapshotEntity {
        SnapshotEntity {
            id,
            owner: entity.owner,
            parent: entity.parent,
            components: entity.components().cloned().collect(),
        }
    }
}
