// SPDX-License-Identifier: AGPL-3.0-or-later
//! Frames of the control lane: who is here, requests between peers, and who wants which lump.
//!
//! Each frame is one [`Control`] in postcard. Variants are only ever added at the end.

use crate::FrameError;
use bytes::Bytes;
use hearth_abi::{LumpId, PeerId, ProcessId};
use serde::{Deserialize, Serialize};

/// Longest frame in bytes.
pub const FRAME_LEN_MAX: usize = 256 << 10;
/// Longest name of a peer in bytes.
pub const NAME_LEN_MAX: usize = 64;

/// A connected peer, as every other one knows it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Peer {
    /// Its number.
    pub id: u32,
    /// The name it goes by; a label, not an identity.
    pub name: String,
    /// Its Ed25519 public key, 32 bytes.
    #[serde(with = "serde_bytes")]
    pub key: Vec<u8>,
    /// The address it connected from, as the server saw it; empty for the server itself.
    pub address: String,
    /// Version of its program.
    pub version: String,
    /// Operating system and processor.
    pub system: String,
    /// What it offers: `picture`, `processes`.
    pub offers: Vec<String>,
}

/// A frame of the control lane.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Control {
    /// Client to server, first: what it is. `id`, `name`, `key` and `address` are filled in by the server.
    Join {
        /// About the client.
        peer: Peer,
    },
    /// Server to client, in answer: its number and who is there.
    Welcome {
        /// Number of the client in this space.
        peer: u32,
        /// Name of the space.
        space: String,
        /// All connected peers, the server and the client itself among them.
        peers: Vec<Peer>,
    },
    /// Server to client: somebody came.
    Joined {
        /// Who.
        peer: Peer,
    },
    /// Server to client: somebody went, and did not come back in the time of grace.
    Left {
        /// Number of the peer.
        peer: u32,
    },
    /// A request of one peer to another; the server fills in `from`, and passes it on.
    Call {
        /// Who asks.
        from: u32,
        /// Who shall answer.
        to: u32,
        /// Number of the call, the asking side's own.
        id: u64,
        /// What is asked.
        request: Request,
    },
    /// The answer to a call, passed on by the server.
    Return {
        /// Who answers.
        from: u32,
        /// Who asked.
        to: u32,
        /// Number of the call.
        id: u64,
        /// The answer, or why there is none.
        result: Result<Response, Failure>,
    },
    /// The sender wants a lump; what comes of it comes in the bulk lane.
    Want {
        /// Number of the transfer, the sender's own.
        transfer: u32,
        /// Which lump.
        #[serde(with = "serde_bytes")]
        lump: [u8; 32],
    },
    /// The sender no longer wants what comes under this number.
    Cancel {
        /// Number of the transfer.
        transfer: u32,
    },
    /// The sender has the group hashes of what it wants, and the lump up to here: the rest may come.
    Resume {
        /// Number of the transfer.
        transfer: u32,
        /// Where the pieces begin, in bytes.
        offset: u64,
    },
}

/// What one peer asks of another.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Request {
    /// Spawn a process; its origin is the asking peer.
    Spawn {
        /// Lump with the module.
        #[serde(with = "serde_bytes")]
        module: [u8; 32],
        /// Name it shall be registered under.
        name: Option<String>,
        /// Arguments in the guest contract's form.
        #[serde(with = "serde_bytes")]
        args: Vec<u8>,
        /// The process that asks, if one does.
        parent: Option<u64>,
    },
    /// Fetch a lump now (the asking peer has it) and answer when it is stored.
    Push {
        /// Which lump.
        #[serde(with = "serde_bytes")]
        lump: [u8; 32],
    },
    /// A request of an operator of the asking peer, as the JSON of `operator.md`, that takes one JSON
    /// answer (no streams).
    Operator {
        /// The request.
        json: String,
    },
    /// The newest lines of a process's log, and what comes until the answer is full or time is up.
    Log {
        /// The process.
        process: u64,
        /// Number of the first line wanted; lines are numbered from zero for each process.
        from_line: u64,
        /// Most lines to answer with.
        lines: u32,
        /// How long to wait for a line if there is none, in milliseconds; 20,000 at most.
        wait_ms: u32,
    },
    /// Write into the log of a process what became, on the asking peer, of something it made: a lump that
    /// does not load.
    Report {
        /// The process.
        process: u64,
        /// The part of the peer that it comes from.
        target: String,
        /// What to write.
        text: String,
    },
    /// The user of the asking peer grants something to the asked one, or takes it back.
    Grant {
        /// What.
        what: Grantable,
        /// Whether it is granted from now on.
        granted: bool,
    },
    /// To the server: something about the names and groups of the space.
    Directory {
        /// What.
        op: DirectoryOp,
        /// The name, or that of the group.
        name: String,
        /// The process that asks, one of the asking peer.
        process: u64,
    },
    /// As [`Request::Spawn`], for a process that is tied to the one that asks as soon as this has the answer. What comes
    /// of the tie is kept for it until then.
    SpawnTied {
        /// Lump with the module.
        #[serde(with = "serde_bytes")]
        module: [u8; 32],
        /// Name it shall be registered under.
        name: Option<String>,
        /// Arguments in the guest contract's form.
        #[serde(with = "serde_bytes")]
        args: Vec<u8>,
        /// The process that asks, one of the asking peer.
        parent: u64,
        /// How they are tied.
        tie: SpawnTie,
    },
}

/// How a process is tied to the one that asks for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum SpawnTie {
    /// They are linked.
    Link,
    /// The one that asks monitors it, under this number of its own.
    Monitor {
        /// The number that the frames of the monitor have.
        number: u64,
    },
}

/// What is done about a name or a group of the space.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum DirectoryOp {
    /// Give the process the name.
    Register,
    /// Take the name from it.
    Unregister,
    /// Tell who has the name.
    Whereis,
    /// Put the process into the group.
    Join,
    /// Take it out.
    Leave,
    /// Tell who is in the group.
    Members,
}

/// What a peer's user can grant to another peer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Grantable {
    /// Typing into the terminals that the user's peer hosts.
    Terminal,
}

impl Grantable {
    /// All of them.
    pub const ALL: [Grantable; 1] = [Grantable::Terminal];

    /// The name that people use.
    pub const fn name(self) -> &'static str {
        match self {
            Grantable::Terminal => "terminal",
        }
    }

    /// What has this name.
    pub fn from_name(name: &str) -> Option<Grantable> {
        Grantable::ALL.into_iter().find(|what| what.name() == name)
    }
}

/// What a peer answers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Response {
    /// The process runs.
    Spawned {
        /// Its id.
        process: u64,
    },
    /// It is done.
    Done,
    /// The answer to an operator's request.
    Operator {
        /// The JSON.
        json: String,
    },
    /// Lines of a log, as the JSON of `operator.md`.
    Log {
        /// One JSON document for each line.
        lines: Vec<String>,
        /// Number of the line after the last of these.
        next_line: u64,
        /// Whether the process has ended, so that no more lines will come.
        ended: bool,
    },
    /// Processes: who has the name, who is in the group; none where nothing was asked for.
    Processes {
        /// Their ids.
        processes: Vec<u64>,
    },
}

/// Why a request was not done.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[error("{reason}")]
pub struct Failure {
    /// Number of the error in the guest contract.
    pub errno: i32,
    /// What failed and why, for people.
    pub reason: String,
}

impl Control {
    /// The frame as bytes.
    ///
    /// # Errors
    /// It is longer than [`FRAME_LEN_MAX`].
    pub fn encode(&self) -> Result<Bytes, FrameError> {
        let bytes = postcard::to_stdvec(self)?;
        if bytes.len() > FRAME_LEN_MAX {
            return Err(FrameError::TooLong { len: bytes.len(), limit: FRAME_LEN_MAX });
        }
        Ok(bytes.into())
    }

    /// The frame in these bytes.
    ///
    /// # Errors
    /// It is too long, or no valid frame.
    pub fn decode(bytes: &[u8]) -> Result<Control, FrameError> {
        if bytes.len() > FRAME_LEN_MAX {
            return Err(FrameError::TooLong { len: bytes.len(), limit: FRAME_LEN_MAX });
        }
        Ok(postcard::from_bytes(bytes)?)
    }

    /// The wish for a lump.
    pub fn want(transfer: u32, lump: LumpId) -> Control {
        Control::Want { transfer, lump: lump.0 }
    }
}

impl Peer {
    /// Its number, if it is one.
    pub fn peer_id(&self) -> Option<PeerId> {
        PeerId::new(self.id)
    }
}

impl Request {
    /// The wish to spawn.
    pub fn spawn(module: LumpId, name: Option<String>, args: Vec<u8>, parent: Option<ProcessId>) -> Request {
        Request::Spawn { module: module.0, name, args, parent: parent.map(ProcessId::to_bits) }
    }

    /// The wish to spawn what is to be tied to the process that asks.
    pub fn spawn_tied(
        module: LumpId,
        name: Option<String>,
        args: Vec<u8>,
        parent: ProcessId,
        tie: SpawnTie,
    ) -> Request {
        Request::SpawnTied { module: module.0, name, args, parent: parent.to_bits(), tie }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn frames_read_back() {
        let lump = LumpId([3; 32]);
        for frame in [
            Control::want(7, lump),
            Control::Call {
                from: 1,
                to: 2,
                id: 3,
                request: Request::spawn(lump, Some("x".into()), vec![1, 2], Some(ProcessId::from_bits(9))),
            },
            Control::Return {
                from: 2,
                to: 1,
                id: 3,
                result: Err(Failure { errno: 5, reason: "refused".into() }),
            },
            Control::Call {
                from: 1,
                to: 2,
                id: 3,
                request: Request::Grant { what: Grantable::Terminal, granted: true },
            },
            Control::Call {
                from: 1,
                to: 0,
                id: 3,
                request: Request::Directory { op: DirectoryOp::Members, name: "x".into(), process: 9 },
            },
            Control::Call {
                from: 1,
                to: 2,
                id: 3,
                request: Request::spawn_tied(
                    lump,
                    None,
                    vec![],
                    ProcessId::from_bits(9),
                    SpawnTie::Monitor { number: 7 },
                ),
            },
            Control::Return {
                from: 0,
                to: 1,
                id: 3,
                result: Ok(Response::Processes { processes: vec![u64::MAX] }),
            },
            Control::Left { peer: 4 },
            Control::Resume { transfer: 7, offset: 1 << 40 },
        ] {
            assert_eq!(Control::decode(&frame.encode().unwrap()).unwrap(), frame);
        }
    }

    #[test]
    fn long_frames_are_refused_on_both_sides() {
        let json = "x".repeat(FRAME_LEN_MAX);
        let frame = Control::Call { from: 0, to: 0, id: 0, request: Request::Operator { json } };
        assert!(matches!(frame.encode(), Err(FrameError::TooLong { .. })));
        assert!(matches!(Control::decode(&vec![0; FRAME_LEN_MAX + 1]), Err(FrameError::TooLong { .. })));
    }

    proptest! {
        #[test]
        fn strangers_do_not_panic_the_decoder(bytes: Vec<u8>) {
            let _ = Control::decode(&bytes);
        }
    }
}
