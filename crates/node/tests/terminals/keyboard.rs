// SPDX-License-Identifier: AGPL-3.0-or-later
//! Where a user's keys go.

use crate::{
    common::{Space, until},
    hands::{Hands, key, press, rows, shows, with_canvas},
};
use hearth_abi::{
    EntityId, Errno,
    input::{Event as Input, Press, key},
    pointer::{Event as Pointer, Kind, MOUSE, Wants},
    scene::{Component, Op, Scope, encode_batch},
    terminal::{Command, Event, Modifiers},
};
use hearth_node::{PictureEvent, join};

const NONE: Modifiers = Modifiers(0);
const CHORD: Modifiers = Modifiers(Modifiers::CONTROL.0 | Modifiers::SHIFT.0);

fn pressed(code: u16) -> Input {
    Input::Key { code, press: Press::Pressed }
}

fn released(code: u16) -> Input {
    Input::Key { code, press: Press::Released }
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_go_to_the_terminal_or_to_the_scripts_and_the_chord_brings_them_back() {
    let space = Space::start().await;
    let (options, canvas) = with_canvas(space.options("ada"));
    let ada = join(options).await.unwrap();
    let mut hands = Hands::new(&ada.node).await;
    hands.call(7, &[]).await.unwrap();
    let terminal = hands.shell().await;
    press(&ada.node, key::W, NONE, "w");
    for wanted in [pressed(key::W), Input::Text("w".into()), released(key::W)] {
        assert_eq!(hands.input().await, wanted);
    }
    // A script gives the keyboard away on Enter, which is held meanwhile.
    key(&ada.node, key::ENTER, Press::Pressed, NONE, "\r");
    assert_eq!(hands.input().await, pressed(key::ENTER));
    assert_eq!(hands.input().await, Input::Text("\r".into()));
    hands.focus(Some(terminal)).await.unwrap();
    hands.heard(&Event::Keyboard(true)).await;
    assert!(*canvas.text_input.lock());
    key(&ada.node, key::ENTER, Press::Released, NONE, "");
    assert_eq!(hands.input().await, released(key::ENTER));

    for (code, text) in [(0x08, "e"), (0x06, "c"), (0x0b, "h"), (0x12, "o"), (key::SPACE, " "), (0x0e, "k")] {
        press(&ada.node, code, NONE, text);
    }
    press(&ada.node, key::ENTER, NONE, "\r");
    shows(&ada.node, terminal, "k").await;
    let typed = rows(&ada.node, terminal);
    assert_eq!(typed.iter().filter(|row| *row == "$ echo k").count(), 1, "each key once: {typed:?}");

    press(&ada.node, key::SPACE, CHORD, " ");
    hands.heard(&Event::Keyboard(false)).await;
    assert!(!*canvas.text_input.lock());
    press(&ada.node, key::A, NONE, "a");
    assert_eq!(hands.input().await, pressed(key::A), "nothing of what the terminal got, nor of the chord");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_clipboard_has_its_keys() {
    let space = Space::start().await;
    let (options, canvas) = with_canvas(space.options("ada"));
    let ada = join(options).await.unwrap();
    let mut hands = Hands::new(&ada.node).await;
    let terminal = hands.shell().await;
    hands.call(5, "echo päste".as_bytes()).await.unwrap();
    assert_eq!(*canvas.clipboard.lock(), "echo päste");
    hands.call(6, &[]).await.unwrap();
    assert_eq!(hands.answer().await, (0, "echo päste".as_bytes().to_vec()));
    hands.focus(Some(terminal)).await.unwrap();
    press(&ada.node, 0x19, CHORD, "V");
    shows(&ada.node, terminal, "$ echo päste").await;
    press(&ada.node, key::ENTER, NONE, "\r");
    shows(&ada.node, terminal, "päste").await;
    hands.command(terminal, &Command::SelectAll).await.unwrap();
    press(&ada.node, key::C, CHORD, "C");
    let copied = loop {
        if let (_, Event::Copied(text)) = hands.event().await {
            break text;
        }
    };
    assert!(copied.contains("echo päste\npäste\n"), "{copied:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_keyboard_comes_back_when_the_terminal_or_the_process_ends() {
    let space = Space::start().await;
    let (options, _canvas) = with_canvas(space.options("ada"));
    let ada = join(options).await.unwrap();
    let (mut hands, mut other) = (Hands::new(&ada.node).await, Hands::new(&ada.node).await);
    let (one, two) = (hands.shell().await, other.shell().await);
    // Any process of this peer's own may, with any terminal of it; the last one counts.
    hands.focus(Some(two)).await.unwrap();
    assert_eq!(hands.event().await, (two, Event::Keyboard(true)));
    other.focus(Some(one)).await.unwrap();
    assert_eq!(hands.event().await, (two, Event::Keyboard(false)));
    other.heard(&Event::Keyboard(true)).await;
    hands.command(one, &Command::Close).await.unwrap();
    other.heard(&Event::Keyboard(false)).await;
    assert_eq!(other.focus(Some(one)).await, Err(Errno::NotFound));

    hands.focus(Some(two)).await.unwrap();
    hands.heard(&Event::Keyboard(true)).await;
    other.call(7, &[]).await.unwrap();
    ada.node.processes().kill(None, hands.guest.id, "enough").unwrap();
    ada.node.processes().exited(hands.guest.id).await;
    // A key is the scripts' again, now or in a moment.
    until("the keyboard is the scripts'", || {
        press(&ada.node, key::W, NONE, "");
        futures::FutureExt::now_or_never(other.input()).is_some()
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_program_is_told_of_the_keyboard() {
    let space = Space::start().await;
    let (options, _canvas) = with_canvas(space.options("ada"));
    let ada = join(options).await.unwrap();
    let mut hands = Hands::new(&ada.node).await;
    let terminal = hands.shell().await;
    // It asks to be told, and shows what it is told.
    hands.text(terminal, "stty -echo; printf '\\033[?1004h'; echo on; cat -v\n").await.unwrap();
    shows(&ada.node, terminal, "on").await;
    hands.focus(Some(terminal)).await.unwrap();
    press(&ada.node, key::ENTER, NONE, "\r");
    shows(&ada.node, terminal, "^[[I").await;
    ada.node.picture_event(PictureEvent::Input(Input::Focus(false)));
    ada.node.picture_event(PictureEvent::Input(Input::Focus(true)));
    press(&ada.node, key::ENTER, NONE, "\r");
    shows(&ada.node, terminal, "^[[O^[[I").await;
    hands.focus(None).await.unwrap();
    hands.text(terminal, "\n").await.unwrap();
    shows(&ada.node, terminal, "^[[O").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_types_touches_nothing_but_ends_what_was_begun() {
    let space = Space::start().await;
    let (options, _canvas) = with_canvas(space.options("ada"));
    let ada = join(options).await.unwrap();
    let mut hands = Hands::new(&ada.node).await;
    let entity = EntityId::new(ada.node.id(), 50).unwrap();
    let target = [Op::Create(entity, Scope::Local), Op::Set(entity, Component::Pointer(Wants::ALL))];
    hands.call(4, &encode_batch(&target)).await.unwrap();
    let touch = |kind| {
        ada.node.picture_event(PictureEvent::Pointer(Pointer {
            kind,
            pointer: MOUSE,
            button: 0,
            buttons: 0,
            modifiers: NONE,
            user: ada.node.id(),
            entity,
            hit: Some(entity),
            other: None,
            from: [0.0; 3],
            way: [0.0, 0.0, -1.0],
            distance: 1.0,
            point: [0.0, 0.0, -1.0],
            normal: [0.0, 0.0, 1.0],
            wheel: [0.0; 2],
        }));
    };
    let terminal = hands.shell().await;
    touch(Kind::Press);
    assert_eq!(hands.pointer().await.kind, Kind::Press);
    hands.focus(Some(terminal)).await.unwrap();
    hands.heard(&Event::Keyboard(true)).await;
    for kind in [Kind::Over, Kind::Move, Kind::Press, Kind::Click, Kind::Wheel, Kind::Drop, Kind::Cancel] {
        touch(kind);
    }
    assert_eq!(hands.pointer().await.kind, Kind::Cancel);
    hands.focus(None).await.unwrap();
    hands.heard(&Event::Keyboard(false)).await;
    touch(Kind::Click);
    assert_eq!(hands.pointer().await.kind, Kind::Click);
}
