// SPDX-License-Identifier: AGPL-3.0-or-later
//! Files that a user drops on the window, and gamepads that are plugged in.

use crate::{
    common::{Guest, SOON, Space, soon},
    hands::{Hands, module, with_canvas},
};
use hearth_abi::{
    EntityId, Errno, PeerId,
    input::{Event as Input, FILE_LEN_MAX, Press, mask},
};
use hearth_node::{Node, PictureEvent, join};
use std::path::Path;

fn drop_on(node: &Node, path: &Path) {
    let entity = Some(EntityId::new(PeerId::SERVER, 7).unwrap());
    let (point, normal) = ([1.0, 2.0, 3.0], [0.0, 1.0, 0.0]);
    node.picture_event(PictureEvent::FileDropped { path: path.into(), entity, point, normal });
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dropped_file_is_a_lump_for_those_who_asked() {
    let space = Space::start().await;
    let (options, _canvas) = with_canvas(space.options("ada"));
    let ada = join(options).await.unwrap();
    let mut hands = Hands::new(&ada.node).await;
    let mut deaf = Hands::new(&ada.node).await;
    hands.call(9, &mask::FILES.to_le_bytes()).await.unwrap();
    deaf.call(9, &mask::KEYBOARD.to_le_bytes()).await.unwrap();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("Tür.txt");
    std::fs::write(&file, "what was dropped").unwrap();
    drop_on(&ada.node, &file);
    let Input::File { lump, size, entity, point, normal, name } = hands.input().await else {
        panic!("no file");
    };
    assert_eq!((size, name.as_str()), (16, "Tür.txt"));
    assert_eq!((entity.unwrap().serial(), point, normal), (7, [1.0, 2.0, 3.0], [0.0, 1.0, 0.0]));
    assert_eq!(ada.node.lump(lump, SOON).await.unwrap(), "what was dropped");

    // What cannot be one is said in the log, and the next one comes all the same.
    let large = folder.path().join("large");
    std::fs::File::create(&large).unwrap().set_len(FILE_LEN_MAX + 1).unwrap();
    let mut log = Guest::watch(&ada.node, hands.guest.id);
    for (path, reason) in [
        (large.as_path(), "are over the limit"),
        (folder.path(), "is no regular file"),
        (&folder.path().join("nothing"), "could not open"),
    ] {
        drop_on(&ada.node, path);
        soon(reason, async { while !log.line().await.contains(reason) {} }).await;
    }
    drop_on(&ada.node, &file);
    assert!(matches!(hands.input().await, Input::File { size: 16, .. }));

    // The other one has heard nothing of all that.
    ada.node.picture_event(PictureEvent::Input(Input::Text("a".into())));
    assert_eq!(deaf.input().await, Input::Text("a".into()));
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_asks_for_gamepads_hears_which_there_are() {
    let space = Space::start().await;
    let (options, _canvas) = with_canvas(space.options("ada"));
    let ada = join(options).await.unwrap();
    let pad = |gamepad, connected| Input::Gamepad { gamepad, connected, name: format!("pad {gamepad}") };
    let happens = |event| ada.node.picture_event(PictureEvent::Input(event));
    [pad(0, true), pad(1, true), pad(0, false)].into_iter().for_each(happens);
    let mut hands = Hands::new(&ada.node).await;
    hands.call(9, &mask::GAMEPAD.to_le_bytes()).await.unwrap();
    assert_eq!(hands.input().await, pad(1, true));
    let pressed = Input::GamepadButton { gamepad: 1, button: 0, press: Press::Pressed, value: 1.0 };
    happens(pressed.clone());
    assert_eq!(hands.input().await, pressed);
}

#[tokio::test(flavor = "multi_thread")]
async fn code_of_another_peer_hears_of_no_files_and_no_gamepads() {
    let space = Space::start().await;
    let (options, _canvas) = with_canvas(space.options("ada"));
    let ada = join(options).await.unwrap();
    let lump = space.node().put_lump(module()).await.unwrap();
    let foreign = soon("a process", space.node().spawn(ada.node.id(), lump, None, &[])).await.unwrap();
    let mut foreign = Hands::of(Guest::watch(&ada.node, foreign));
    for mask in [mask::FILES, mask::GAMEPAD, mask::FILES | mask::FRAME] {
        assert_eq!(foreign.call(9, &mask.to_le_bytes()).await, Err(Errno::Permission), "{mask}");
    }
    foreign.call(9, &mask::FRAME.to_le_bytes()).await.unwrap();
}
