// SPDX-License-Identifier: AGPL-3.0-or-later
//! What a user types into an entity, on its way to the process that made it; what gives it the keyboard and what takes it;
//! and what is not let through.

use crate::common::{Guest, Space, nobody, soon, touched, typer, until};
use bytes::Bytes;
use futures::future::BoxFuture;
use hearth_abi::{
    EntityId, Errno, LumpId, PeerId, ProcessId, TerminalId,
    input::{Event as Did, Press, key, mask},
    keyboard::Event,
    pointer::{self, Kind, MOUSE, Wants},
    scene::{Component, ComponentKind, Op, Scope, encode_batch},
    screen::Screen,
    terminal::{Modifiers, Stroke},
};
use hearth_node::{Node, Picture, PictureEvent};
use hearth_protocol::hot;
use hearth_scene::Change;
use parking_lot::Mutex;
use std::{collections::VecDeque, sync::Arc, time::Duration};

/// Usage id of V.
const V: u16 = 0x19;

/// What a user is shown of who has their keyboard, and what is on their clipboard.
#[derive(Default)]
struct Desk {
    lines: Mutex<Vec<Option<String>>>,
    clipboard: Mutex<String>,
}

impl Desk {
    fn line(&self) -> Option<String> {
        self.lines.lock().last().cloned().flatten()
    }
}

struct Shown(Arc<Desk>);

impl Picture for Shown {
    fn changes(&self, _: Vec<Change>) -> BoxFuture<'_, ()> {
        Box::pin(std::future::ready(()))
    }
    fn lump(&self, _: LumpId, _: Result<Bytes, String>) -> BoxFuture<'_, ()> {
        Box::pin(std::future::ready(()))
    }
    fn capture_pointer(&self, _: bool) {}
    fn screenshot(&self) -> BoxFuture<'static, Result<Vec<u8>, String>> {
        Box::pin(std::future::ready(Err("nothing to see".into())))
    }
    fn load(&self, _: &str, _: LumpId) -> BoxFuture<'static, Result<(), String>> {
        Box::pin(std::future::ready(Ok(())))
    }
    fn drop_asset(&self, _: &str, _: LumpId) {}
    fn screen(&self, _: TerminalId, _: Option<Arc<Screen>>) {}
    fn clipboard_read(&self, _: bool) -> BoxFuture<'static, Result<String, (Errno, String)>> {
        Box::pin(std::future::ready(Ok(self.0.clipboard.lock().clone())))
    }
    fn typing(&self, line: Option<String>) {
        self.0.lines.lock().push(line);
    }
}

/// A user at a window.
struct User {
    client: hearth_node::RunningClient,
    desk: Arc<Desk>,
}

impl User {
    async fn join(space: &Space, name: &str) -> User {
        let desk = Arc::<Desk>::default();
        let mut options = space.options(name);
        options.picture = Some(Arc::new(Shown(desk.clone())));
        User { client: soon("a client", hearth_node::join(options)).await.unwrap(), desk }
    }

    fn node(&self) -> &Node {
        &self.client.node
    }

    fn hits(&self, entity: EntityId, hit: EntityId, kind: Kind, button: u8) {
        let press = Did::Button { button, press: Press::Pressed, at: [0.0; 2] };
        if kind == Kind::Press {
            self.node().picture_event(PictureEvent::Input(press));
        }
        let event = pointer::Event {
            kind,
            pointer: MOUSE,
            button,
            buttons: 1,
            modifiers: Modifiers::default(),
            user: self.node().id(),
            entity,
            hit: Some(hit),
            other: None,
            from: [0.0; 3],
            way: [0.0, 0.0, -1.0],
            distance: 1.0,
            point: [0.0, 0.0, -1.0],
            normal: [0.0, 0.0, 1.0],
            wheel: [0.0; 2],
        };
        self.node().picture_event(PictureEvent::Pointer(event));
    }

    fn presses(&self, entity: EntityId) {
        self.hits(entity, entity, Kind::Press, 0);
    }

    /// Presses where nothing wants to hear of it.
    fn presses_nothing(&self) {
        let press = Did::Button { button: 0, press: Press::Pressed, at: [0.0; 2] };
        self.node().picture_event(PictureEvent::Input(press));
        self.frame();
    }

    fn frame(&self) {
        let frame = Did::Frame { time_ns: 0, step_ns: 0, size: [8, 8] };
        self.node().picture_event(PictureEvent::Input(frame));
    }

    /// A key as the engine tells it: to scripts, and as a stroke.
    fn key(&self, code: u16, press: Press, text: &str, modifiers: Modifiers) {
        let stroke = Stroke { code, press, modifiers, key: None, shifted: None, text: text.into() };
        if code != 0 {
            self.node().picture_event(PictureEvent::Input(Did::Key { code, press }));
        }
        if !text.is_empty() {
            self.node().picture_event(PictureEvent::Input(Did::Text(text.into())));
        }
        self.node().picture_event(PictureEvent::Stroke(stroke));
    }

    fn types(&self, code: u16, text: &str) {
        self.key(code, Press::Pressed, text, Modifiers::default());
        self.key(code, Press::Released, "", Modifiers::default());
    }
}

/// A process that hears what is typed into its entities.
struct Writer {
    guest: Guest,
    serial: u64,
    /// Lines that came while another was waited for.
    lines: VecDeque<String>,
}

impl Writer {
    async fn new(node: &Node) -> Writer {
        Writer { guest: Guest::start(node, typer()).await, serial: 100, lines: VecDeque::new() }
    }

    /// Lines of its log that are not for people: answers, or events in hexadecimal.
    async fn line_of(&mut self, is_answer: bool) -> String {
        let is_meant = |line: &str| ["y", "n"].contains(&line) == is_answer;
        if let Some(at) = self.lines.iter().position(|line| is_meant(line)) {
            return self.lines.remove(at).unwrap();
        }
        loop {
            let line = self.guest.line().await;
            let is_own = line.bytes().all(|byte| byte.is_ascii_hexdigit() || b"yn".contains(&byte));
            match is_own {
                true if is_meant(&line) => return line,
                true => self.lines.push_back(line),
                false => {}
            }
        }
    }

    async fn answer(&mut self) -> bool {
        self.line_of(true).await == "y"
    }

    /// An event that came.
    async fn line(&mut self) -> String {
        self.line_of(false).await
    }

    async fn apply(&mut self, ops: &[Op]) -> bool {
        self.guest.tell([&[b'a'][..], &encode_batch(ops)].concat().into());
        self.answer().await
    }

    /// Something that takes keys, or does not, and a part of it that says nothing of that.
    async fn slate(&mut self, takes_keys: Option<bool>) -> [EntityId; 2] {
        self.serial += 2;
        let [top, part] = [0, 1].map(|more| EntityId::new(self.guest.node.id(), self.serial + more).unwrap());
        let mut ops = vec![
            Op::Create(top, Scope::Shared),
            Op::Set(top, Component::Name("guest book".into())),
            Op::Set(top, Component::Pointer(Wants::PRESS)),
            Op::Create(part, Scope::Shared),
            Op::SetParent(part, Some(top)),
        ];
        ops.extend(takes_keys.map(|on| Op::Set(top, Component::Keyboard(on))));
        assert!(self.apply(&ops).await);
        [top, part]
    }

    /// What is typed next.
    async fn typed(&mut self) -> Event {
        loop {
            let line = self.line().await;
            let byte = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap();
            let bytes: Vec<u8> = line.as_bytes().chunks(2).map(byte).collect();
            if let Ok(event) = Event::decode(&bytes) {
                return event;
            }
        }
    }

    /// The same, which must be of this user, and into this.
    async fn did(&mut self, user: &User, entity: EntityId) -> Did {
        let event = self.typed().await;
        assert_eq!((event.user, event.entity), (user.node().id(), entity), "{event:?}");
        event.did
    }

    fn leaves(&self, user: PeerId) {
        self.guest.tell([&[b'l'][..], &user.number().to_le_bytes()].concat().into());
    }
}

async fn knows(user: &User, entity: EntityId) {
    let mut witness = Guest::start(user.node(), touched()).await;
    let set = encode_batch(&[Op::Set(entity, Component::Hidden(false))]);
    soon("an entity", async {
        loop {
            witness.tell(set.clone().into());
            if witness.line().await == "y" {
                return;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    })
    .await;
}

fn a(press: Press) -> Did {
    Did::Key { code: key::A, press }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_press_gives_the_keyboard_and_what_is_typed_comes_to_the_owner_alone() {
    let space = Space::start().await;
    let ada = User::join(&space, "ada").await;
    let bob = space.join("bob").await;
    // Of the server, of another client, and of one's own peer.
    for node in [space.node(), &bob.node, ada.node()] {
        let mut writer = Writer::new(node).await;
        let [slate, part] = writer.slate(Some(true)).await;
        knows(&ada, slate).await;
        let mut own = Writer::new(ada.node()).await;
        own.guest.tell([&[b's'][..], &mask::KEYBOARD.to_le_bytes()].concat().into());
        assert!(own.answer().await);
        ada.types(key::A, "a");
        // The scripts of one's own that listen hear that.
        for _ in 0..3 {
            own.line().await;
        }
        ada.hits(slate, part, Kind::Press, 0);
        assert_eq!(writer.did(&ada, slate).await, Did::Focus(true));
        let line = ada.desk.line().expect("it is shown");
        assert!(line.contains("guest book") && line.contains("Esc"), "{line}");
        let whose = match node.id() {
            id if id == ada.node().id() => "your own script",
            PeerId::SERVER => "a script of hearth",
            _ => "a script of bob",
        };
        assert!(line.contains(whose), "{line} is {whose}");
        ada.types(key::A, "ä");
        ada.key(0, Press::Pressed, "漢", Modifiers::default());
        assert_eq!(writer.did(&ada, slate).await, a(Press::Pressed));
        assert_eq!(writer.did(&ada, slate).await, Did::Text("ä".into()));
        assert_eq!(writer.did(&ada, slate).await, a(Press::Released));
        assert_eq!(writer.did(&ada, slate).await, Did::Text("漢".into()));
        // Pasted only when that is wished, behind what was typed and before what comes then.
        *ada.desk.clipboard.lock() = "x\n".repeat(700);
        ada.key(V, Press::Pressed, "v", Modifiers::CONTROL);
        ada.types(key::A, "b");
        let mut pasted = String::new();
        while pasted.len() < 1400 {
            match writer.did(&ada, slate).await {
                Did::Paste(text) => pasted.push_str(&text),
                other => panic!("{other:?} before the paste"),
            }
        }
        assert_eq!(pasted, "x\n".repeat(700));
        assert_eq!(writer.did(&ada, slate).await, a(Press::Pressed));
        assert_eq!(writer.did(&ada, slate).await, Did::Text("b".into()));
        assert_eq!(writer.did(&ada, slate).await, a(Press::Released));
        // Escape is the peer's own, and takes it.
        ada.types(key::ESCAPE, "");
        assert_eq!(writer.did(&ada, slate).await, Did::Focus(false));
        assert_eq!(ada.desk.line(), None);
        // Then keys are the scripts' again: of all that was typed meanwhile they have heard nothing.
        ada.types(key::W, "");
        let heard = own.line().await;
        assert_eq!(heard, hex(&Did::Key { code: key::W, press: Press::Pressed }.encode()));
        own.guest.tell([&[b's'][..], &0u32.to_le_bytes()].concat().into());
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_but_a_press_on_what_takes_keys_gives_the_keyboard() {
    let space = Space::start().await;
    let ada = User::join(&space, "ada").await;
    let mut writer = Writer::new(space.node()).await;
    let [slate, part] = writer.slate(Some(true)).await;
    let [plain, _] = writer.slate(None).await;
    assert!(writer.apply(&[Op::Set(part, Component::Keyboard(false))]).await);
    // Who knows the last knows all before.
    let [never, _] = writer.slate(Some(false)).await;
    knows(&ada, never).await;
    // It is not enough to be there, to be pointed at, to be pressed with another button, or to ask by a message.
    ada.types(key::A, "a");
    ada.hits(slate, slate, Kind::Over, 255);
    ada.hits(slate, slate, Kind::Press, 1);
    ada.hits(slate, part, Kind::Press, 0);
    ada.presses(plain);
    ada.presses(never);
    // What is hit is not a part of the target: an engine would not say so.
    ada.hits(slate, plain, Kind::Press, 0);
    ada.types(key::A, "b");
    // A process that takes what it does not have.
    writer.leaves(ada.node().id());
    let [later, _] = writer.slate(None).await;
    knows(&ada, later).await;
    assert!(ada.desk.lines.lock().is_empty());
    ada.presses(slate);
    assert_eq!(writer.did(&ada, slate).await, Did::Focus(true), "and nothing came before");
    ada.types(key::A, "c");
    assert_eq!(writer.did(&ada, slate).await, a(Press::Pressed));
    assert_eq!(writer.did(&ada, slate).await, Did::Text("c".into()));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_press_elsewhere_the_end_of_the_entity_and_its_script_take_the_keyboard() {
    let space = Space::start().await;
    let ada = User::join(&space, "ada").await;
    let mut writer = Writer::new(space.node()).await;
    let [slate, _] = writer.slate(Some(true)).await;
    let [other, _] = writer.slate(Some(true)).await;
    let [plain, _] = writer.slate(None).await;
    knows(&ada, plain).await;
    let given = async |writer: &mut Writer| {
        ada.presses(slate);
        assert_eq!(writer.did(&ada, slate).await, Did::Focus(true));
    };
    // Again on the same: it stays, and is told anew.
    given(&mut writer).await;
    ada.hits(slate, slate, Kind::Press, 2);
    assert_eq!(writer.did(&ada, slate).await, Did::Focus(true));
    ada.frame();
    ada.types(key::A, "a");
    assert_eq!(writer.did(&ada, slate).await, a(Press::Pressed));
    writer.did(&ada, slate).await;
    writer.did(&ada, slate).await;
    // On something else that takes keys, on what takes none, on nothing.
    ada.presses(other);
    assert_eq!(writer.did(&ada, slate).await, Did::Focus(false));
    assert_eq!(writer.did(&ada, other).await, Did::Focus(true));
    ada.presses(plain);
    assert_eq!(writer.did(&ada, other).await, Did::Focus(false));
    given(&mut writer).await;
    ada.presses_nothing();
    assert_eq!(writer.did(&ada, slate).await, Did::Focus(false));
    assert_eq!(ada.desk.line(), None);
    // The script gives it back.
    given(&mut writer).await;
    writer.leaves(ada.node().id());
    assert_eq!(writer.did(&ada, slate).await, Did::Focus(false));
    // It wants no presses any more; it is the space's; it is gone.
    for end in [Op::Unset(slate, ComponentKind::Pointer), Op::Give(other), Op::Remove(plain)] {
        let entity = match end {
            Op::Unset(id, _) | Op::Give(id) | Op::Remove(id) => id,
            _ => unreachable!("these are all"),
        };
        assert!(writer.apply(&[Op::Set(entity, Component::Keyboard(true))]).await);
        until("it takes keys", || {
            ada.presses(entity);
            ada.desk.line().is_some()
        })
        .await;
        assert!(writer.apply(&[end]).await);
        until("it has lost the keyboard", || ada.desk.line().is_none()).await;
        ada.types(key::A, "secret");
        // Of many presses it was told, and last that it has lost the keyboard.
        while writer.did(&ada, entity).await != Did::Focus(false) {}
    }
    // Its process ends.
    let mut last = Writer::new(space.node()).await;
    last.serial = 500;
    let [slate, _] = last.slate(Some(true)).await;
    knows(&ada, slate).await;
    ada.presses(slate);
    assert_eq!(last.did(&ada, slate).await, Did::Focus(true));
    space.node().processes().kill(None, last.guest.id, "enough").unwrap();
    until("it has lost the keyboard", || ada.desk.line().is_none()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn two_users_type_at_once_and_a_lost_peer_has_no_keyboard() {
    let space = Space::start().await;
    let (ada, bob) = (User::join(&space, "ada").await, User::join(&space, "bob").await);
    let mut writer = Writer::new(space.node()).await;
    let [slate, _] = writer.slate(Some(true)).await;
    for user in [&ada, &bob] {
        knows(user, slate).await;
        user.presses(slate);
        assert_eq!(writer.did(user, slate).await, Did::Focus(true));
    }
    for (user, text) in [(&ada, "a"), (&bob, "b"), (&ada, "c")] {
        user.key(0, Press::Pressed, text, Modifiers::default());
        assert_eq!(writer.did(user, slate).await, Did::Text(text.into()));
    }
    // Of a script on a client that leaves.
    let cyd = space.join("cyd").await;
    let mut of_cyd = Writer::new(&cyd.node).await;
    let [theirs, _] = of_cyd.slate(Some(true)).await;
    knows(&ada, theirs).await;
    ada.presses(theirs);
    assert_eq!(writer.did(&ada, slate).await, Did::Focus(false));
    assert_eq!(of_cyd.did(&ada, theirs).await, Did::Focus(true));
    crate::common::leave(cyd).await;
    until("she has her keyboard back", || ada.desk.line().is_none()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_types_in_anothers_name() {
    let space = Space::start().await;
    let ada = User::join(&space, "ada").await;
    let mut writer = Writer::new(space.node()).await;
    let mut other = Writer::new(space.node()).await;
    other.serial = 300;
    let [slate, _] = writer.slate(Some(true)).await;
    let [others, _] = other.slate(Some(true)).await;
    let event = |user: PeerId, entity| Event { user, entity, did: Did::Text("x".into()) }.encode();
    // In the name of another, of the server, or not as the header says; or no event of a keyboard at all.
    for (in_header, body) in [
        (pointer::user_bits(ada.node().id()), event(ada.node().id(), slate)),
        (pointer::user_bits(PeerId::SERVER), event(PeerId::SERVER, slate)),
    ] {
        let forger = space.raw("forger").await;
        let head = [&[17][..], &writer.guest.id.to_bits().to_le_bytes(), &in_header.to_le_bytes()].concat();
        forger.sender.hot([&head[..], &body].concat().into()).await.unwrap();
        forger.cut_off().await;
    }
    for body in [
        event(ada.node().id(), slate),
        vec![0; 12],
        Vec::new(),
        Event { user: PeerId::SERVER, entity: slate, did: Did::Captured(true) }.encode(),
    ] {
        let forger = space.raw("forger").await;
        let user = forger.id;
        let frame = hot::Frame::Keyboard { to: writer.guest.id, user, event: body.into() };
        forger.sender.hot(frame.encode()).await.unwrap();
        forger.cut_off().await;
    }
    // In their own name into what is another's is nothing; into what is the receiver's it is heard.
    let stranger = space.raw("stranger").await;
    for (to, entity) in [
        (writer.guest.id, others),
        (ProcessId::new(PeerId::SERVER, 9999).unwrap(), slate),
        (writer.guest.id, EntityId::from_bits(12345)),
        (writer.guest.id, slate),
    ] {
        let event = event(stranger.id, entity).into();
        let frame = hot::Frame::Keyboard { to, user: stranger.id, event };
        stranger.sender.hot(frame.encode()).await.unwrap();
    }
    let typed = writer.typed().await;
    assert_eq!((typed.user, typed.entity), (stranger.id, slate));
    assert_eq!(stranger.sender.link().close_reason(), None);

    // Nobody takes a keyboard from another's script, in its name or in their own.
    knows(&ada, slate).await;
    ada.presses(slate);
    assert_eq!(writer.did(&ada, slate).await, Did::Focus(true));
    let thief = space.raw("thief").await;
    let own = ProcessId::new(thief.id, 1).unwrap();
    thief.sender.hot(hot::Frame::Leave { user: ada.node().id(), from: own }.encode()).await.unwrap();
    other.leaves(ada.node().id());
    thief
        .sender
        .hot(hot::Frame::Leave { user: ada.node().id(), from: writer.guest.id }.encode())
        .await
        .unwrap();
    thief.cut_off().await;
    ada.key(0, Press::Pressed, "still", Modifiers::default());
    assert_eq!(writer.did(&ada, slate).await, Did::Text("still".into()));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flood_of_keys_is_bounded_and_loses_the_keyboard_where_nothing_goes_through() {
    let space = Space::start().await;
    let ada = User::join(&space, "ada").await;
    let mut writer = Writer::new(space.node()).await;
    let [slate, _] = writer.slate(Some(true)).await;
    knows(&ada, slate).await;
    // A mailbox that is full loses keys, and its log says so; not what they were.
    ada.presses(slate);
    assert_eq!(writer.did(&ada, slate).await, Did::Focus(true));
    let thing = EntityId::new(PeerId::SERVER, 900).unwrap();
    let made = [
        Op::Create(thing, Scope::Shared),
        Op::Set(thing, Component::Pointer(Wants::PRESS)),
        Op::Set(thing, Component::Keyboard(true)),
    ];
    let mut deaf = Guest::start(space.node(), crate::common::deaf(&encode_batch(&made))).await;
    knows(&ada, thing).await;
    while space.node().processes().send(nobody(), deaf.id, b"x"[..].into()).is_ok() {}
    ada.presses(thing);
    ada.key(0, Press::Pressed, "password", Modifiers::default());
    let mut lines = Vec::new();
    while lines.len() < 2 {
        let line = deaf.line().await;
        if line.contains("a key is lost") {
            lines.push(line);
        }
    }
    assert!(!lines.concat().contains("password"), "{lines:?}");
    // A flood: the way is full, and she sees that she has her keyboard back.
    writer.guest.tell(b"q"[..].into());
    assert!(writer.answer().await);
    ada.presses(slate);
    let text = "x".repeat(4000);
    until("the way is full, or all went through", || {
        (0..5000).for_each(|_| ada.key(0, Press::Pressed, &text, Modifiers::default()));
        ada.desk.line().is_none()
    })
    .await;
    // Whoever has lost it is told as soon as there is a way.
    let told = async { while writer.did(&ada, slate).await != Did::Focus(false) {} };
    let frames = async {
        loop {
            ada.frame();
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::select! {
        () = soon("it is told", told) => {}
        () = frames => {}
    }
}
