// SPDX-License-Identifier: AGPL-3.0-or-later
//! A guest that makes the host calls that a test wants, on any peer.

use crate::{Guest, Peer, Space};
use hearth_abi::{
    EntityId, Errno, LumpId, ProcessId,
    scene::{Component, ComponentKind, Op, Scope, encode_batch},
    signal::encode_args,
};

/// What a host call or a request gave.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// The result, or status of the reply; below zero an error.
    pub result: i64,
    /// Further bytes: of a component, a lump, a reason.
    pub bytes: Vec<u8>,
}

impl Answer {
    /// The error, if it is one.
    pub fn errno(&self) -> Option<Errno> {
        (self.result < 0)
            .then(|| Errno::from_number(-(self.result as i32)).expect("a number of the contract"))
    }

    /// The same, if it is none.
    ///
    /// # Panics
    /// It is an error.
    #[track_caller]
    pub fn ok(self) -> Answer {
        assert!(self.result >= 0, "{:?}: {}", self.errno(), self.text());
        self
    }

    /// Further bytes as text.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.bytes).into_owned()
    }
}

/// A process that does what it is told, and the peer through which it is told so.
pub struct Hands<'a> {
    peer: &'a Peer,
    /// Its id.
    pub id: String,
}

impl<'a> Hands<'a> {
    /// Spawns it by `hearth-ctl` of this peer.
    #[track_caller]
    pub fn on(space: &Space, peer: &'a Peer) -> Hands<'a> {
        Hands { peer, id: peer.spawn(&space.guest(Guest::Hands), &[]) }
    }

    /// Spawns it by `hearth-ctl` of one peer on another one.
    #[track_caller]
    pub fn of_on(space: &Space, peer: &'a Peer, other: &str) -> Hands<'a> {
        Hands { peer, id: peer.spawn(&space.guest(Guest::Hands), &["--peer", other]) }
    }

    /// Speaks to one that runs.
    pub fn at(peer: &'a Peer, id: impl Into<String>) -> Hands<'a> {
        Hands { peer, id: id.into() }
    }

    fn message(what: u64, a: u64, b: u64, bytes: &[u8]) -> Vec<u8> {
        let mut message = Vec::with_capacity(24 + bytes.len());
        [what, a, b].iter().for_each(|word| message.extend(word.to_le_bytes()));
        message.extend(bytes);
        message
    }

    #[track_caller]
    fn ask(&self, what: u64, a: u64, b: u64, bytes: &[u8]) -> Answer {
        let message = Hands::message(what, a, b, bytes);
        let output = self.peer.ctl_with(&["send", "--raw", "--reply", "--timeout", "60", &self.id], &message);
        assert_eq!(output.code, 0, "hands {what}: {}", output.stderr);
        let (result, bytes) = output.stdout.split_first_chunk().expect("a reply begins with its result");
        Answer { result: i64::from_le_bytes(*result), bytes: bytes.to_vec() }
    }

    #[track_caller]
    fn tell(&self, what: u64, a: u64, bytes: &[u8]) {
        let message = Hands::message(what, a, 0, bytes);
        let output = self.peer.ctl_with(&["send", "--raw", &self.id], &message);
        assert_eq!(output.code, 0, "hands {what}: {}", output.stderr);
    }

    /// The peer whose authority it has.
    #[track_caller]
    pub fn origin(&self) -> i64 {
        self.ask(2, 0, 0, b"").result
    }

    /// The peer that it runs on.
    #[track_caller]
    pub fn runs_on(&self) -> i64 {
        self.ask(3, 0, 0, b"").result
    }

    /// Applies operations to the scene.
    #[track_caller]
    pub fn apply(&self, ops: &[Op]) -> Answer {
        self.ask(5, 0, 0, &encode_batch(ops))
    }

    /// Makes an entity with these components.
    #[track_caller]
    pub fn make(&self, components: Vec<Component>) -> EntityId {
        self.make_in(Scope::Shared, components)
    }

    /// Makes an entity that only this peer's user sees.
    #[track_caller]
    pub fn make_local(&self, components: Vec<Component>) -> EntityId {
        self.make_in(Scope::Local, components)
    }

    #[track_caller]
    fn make_in(&self, scope: Scope, components: Vec<Component>) -> EntityId {
        let id = EntityId::from_bits(self.ask(4, 1, 0, b"").ok().result as u64);
        let mut ops = vec![Op::Create(id, scope)];
        ops.extend(components.into_iter().map(|component| Op::Set(id, component)));
        self.apply(&ops).ok();
        id
    }

    /// Makes an entity with this name.
    #[track_caller]
    pub fn make_named(&self, name: &str) -> EntityId {
        self.make(vec![Component::Name(name.into())])
    }

    /// Gives an entity another name.
    #[track_caller]
    pub fn rename(&self, entity: EntityId, name: &str) {
        self.apply(&[Op::Set(entity, Component::Name(name.into()))]).ok();
    }

    /// The name of an entity as this peer knows it now.
    #[track_caller]
    pub fn name_of(&self, entity: EntityId) -> Option<String> {
        match self.component(entity, ComponentKind::Name)? {
            Component::Name(name) => Some(name),
            other => panic!("{other:?}"),
        }
    }

    /// A component of an entity as this peer knows it now.
    #[track_caller]
    pub fn component(&self, entity: EntityId, kind: ComponentKind) -> Option<Component> {
        let answer = self.ask(6, entity.to_bits(), kind as u64, b"");
        match answer.errno() {
            None => Some(Component::decode(kind, &answer.bytes).expect("the host gives what is well formed")),
            Some(Errno::NotFound) => None,
            Some(error) => panic!("{error:?}"),
        }
    }

    /// Sends a message.
    #[track_caller]
    pub fn send(&self, to: &str, bytes: &[u8]) -> Answer {
        self.ask(7, bits(to), 0, bytes)
    }

    /// Ends a process.
    #[track_caller]
    pub fn kill(&self, who: &str, reason: &str) -> Answer {
        self.ask(8, bits(who), 0, reason.as_bytes())
    }

    /// Spawns a module on the peer that it runs on.
    #[track_caller]
    pub fn spawn(&self, module: &str) -> String {
        let id = self.ask(9, 0, 0, &lump(module)).ok().result;
        ProcessId::from_bits(id as u64).to_string()
    }

    /// Spawns a module on a peer, and tells its id or the error.
    #[track_caller]
    pub fn spawn_on(&self, peer: u32, module: &str, args: &[&str]) -> Result<String, Answer> {
        let mut bytes = lump(module).to_vec();
        bytes.extend(encode_args(args.iter().map(|arg| arg.as_bytes())));
        let answer = self.ask(37, peer.into(), 0, &bytes);
        match answer.bytes.as_slice().try_into() {
            Ok(id) if answer.result >= 0 => Ok(ProcessId::from_bits(u64::from_le_bytes(id)).to_string()),
            _ => Err(answer),
        }
    }

    /// Asks for input events.
    #[track_caller]
    pub fn subscribe(&self, mask: u32) -> Answer {
        self.ask(11, mask.into(), 0, b"")
    }

    /// Captures the mouse pointer.
    #[track_caller]
    pub fn capture_pointer(&self) -> Answer {
        self.ask(12, 1, 0, b"")
    }

    /// Registers a name.
    #[track_caller]
    pub fn register(&self, name: &str) -> Answer {
        self.ask(13, 0, 0, name.as_bytes())
    }

    /// The process of a name on this peer.
    #[track_caller]
    pub fn whereis(&self, name: &str) -> Answer {
        self.ask(14, 0, 0, name.as_bytes())
    }

    /// The name that a peer goes by.
    #[track_caller]
    pub fn peer_name(&self, peer: u32) -> Answer {
        self.ask(15, peer.into(), 0, b"")
    }

    /// Its arguments, as the contract encodes them.
    #[track_caller]
    pub fn args(&self) -> Vec<u8> {
        self.ask(16, 0, 0, b"").ok().bytes
    }

    /// Writes into its log.
    #[track_caller]
    pub fn log(&self, level: u32, text: &str) {
        self.ask(10, level.into(), 0, text.as_bytes()).ok();
    }

    /// What stands in its log.
    #[track_caller]
    pub fn log_text(&self) -> String {
        self.peer.log(&self.id)
    }

    /// Takes all the memory that it gets, and tells how many pages that is.
    #[track_caller]
    pub fn grow_all(&self) -> i64 {
        self.ask(17, 0, 0, b"").ok().result
    }

    /// Sends to a process until that is refused, and tells why it was.
    #[track_caller]
    pub fn flood(&self, to: &str) -> Option<Errno> {
        self.ask(18, bits(to), 0, b"").errno()
    }

    /// Makes a lump of bytes.
    #[track_caller]
    pub fn lump_put(&self, bytes: &[u8]) -> Answer {
        self.ask(32, 0, 0, bytes)
    }

    /// Reads a lump.
    #[track_caller]
    pub fn lump_read(&self, id: &str, offset: u64, len: u64) -> Answer {
        self.ask(33, offset, len, &lump(id))
    }

    /// The size of a lump.
    #[track_caller]
    pub fn lump_size(&self, id: &str) -> Answer {
        self.ask(34, 0, 0, &lump(id))
    }

    /// Pushes a lump to a peer.
    #[track_caller]
    pub fn lump_push(&self, id: &str, peer: u32) -> Answer {
        self.ask(35, peer.into(), 0, &lump(id))
    }

    /// Loads a lump as an asset.
    #[track_caller]
    pub fn asset_load(&self, class: &str, id: &str) -> Answer {
        let mut bytes = lump(id).to_vec();
        bytes.extend(class.as_bytes());
        self.ask(36, 0, 0, &bytes)
    }

    /// Makes a lump of a file.
    #[track_caller]
    pub fn file_load(&self, path: &str) -> Answer {
        self.ask(38, 0, 0, path.as_bytes())
    }

    /// Runs a program.
    #[track_caller]
    pub fn command(&self, words: &[&str]) -> Answer {
        self.ask(39, 0, 0, &encode_args(words.iter().map(|word| word.as_bytes())))
    }

    /// Makes it trap, two named functions deep.
    #[track_caller]
    pub fn trap(&self) {
        self.tell(48, 0, b"");
    }

    /// Makes it loop for ever.
    #[track_caller]
    pub fn spin(&self) {
        self.tell(49, 0, b"");
    }

    /// Makes it use up its stack.
    #[track_caller]
    pub fn use_up_stack(&self) {
        self.tell(50, 0, b"");
    }

    /// Makes it end with a reason.
    #[track_caller]
    pub fn exit(&self, reason: &str) {
        self.tell(51, 0, reason.as_bytes());
    }

    /// Makes it log many lines at once.
    #[track_caller]
    pub fn log_flood(&self, lines: u32) {
        self.tell(52, lines.into(), b"");
    }
}

fn bits(process: &str) -> u64 {
    process.parse::<ProcessId>().expect("the id of a process").to_bits()
}

fn lump(id: &str) -> [u8; 32] {
    id.parse::<LumpId>().expect("the id of a lump").0
}
