// SPDX-License-Identifier: AGPL-3.0-or-later
//! Typing into another peer's terminal, with its user's leave and without.

use crate::{
    common::{Space, leave, until},
    hands::{Hands, grant, operate, press, rows, shows, with_canvas},
};
use hearth_abi::{
    EntityId, Errno, PeerId,
    input::key,
    scene::{Component, Op, Scope, Transform, encode_batch},
    terminal::{Command, Event, Modifiers, View},
};
use hearth_node::join;
use hearth_protocol::{
    control::Grantable,
    operator::{ErrorCode, Request},
};

const NONE: Modifiers = Modifiers(0);

#[tokio::test(flavor = "multi_thread")]
async fn who_is_granted_types_until_it_is_revoked() {
    let space = Space::start().await;
    let ((ada_options, _), (bob_options, canvas)) =
        (with_canvas(space.options("ada")), with_canvas(space.options("bob")));
    let (ada, bob) = (join(ada_options).await.unwrap(), join(bob_options).await.unwrap());
    let (mut host, mut guest) = (Hands::new(&ada.node).await, Hands::new(&bob.node).await);
    let terminal = host.shell().await;
    host.show(terminal).await;
    host.text(terminal, "echo ready\n").await.unwrap();
    shows(&bob.node, terminal, "ready").await;
    assert_eq!(guest.text(terminal, "echo refused\n").await, Err(Errno::Permission));
    assert_eq!(guest.focus(Some(terminal)).await, Err(Errno::Permission));

    grant(&ada.socket, bob.node.id(), true).await;
    let mut typed = Err(Errno::Permission);
    while typed == Err(Errno::Permission) {
        typed = guest.text(terminal, "echo by message\n").await;
    }
    typed.unwrap();
    shows(&ada.node, terminal, "by message").await;
    for command in [
        Command::Close,
        Command::Resize { columns: 5, rows: 5 },
        Command::Restart,
        Command::Signal(9),
        Command::Consent { request: 1, allowed: true },
        Command::Copy,
    ] {
        assert_eq!(guest.command(terminal, &command).await, Err(Errno::Permission), "{command:?}");
    }

    // With the keyboard: strokes cross the line, and the program is told of the focus.
    guest.focus(Some(terminal)).await.unwrap();
    assert_eq!(guest.event().await, (terminal, Event::Keyboard(true)));
    assert!(*canvas.text_input.lock());
    for (code, text) in [(0x08, "e"), (0x06, "c"), (0x0b, "h"), (0x12, "o"), (key::SPACE, " "), (0x0e, "k")] {
        press(&bob.node, code, NONE, text);
    }
    press(&bob.node, key::ENTER, NONE, "\r");
    shows(&ada.node, terminal, "k").await;
    shows(&bob.node, terminal, "k").await;

    grant(&ada.socket, bob.node.id(), false).await;
    assert_eq!(guest.event().await, (terminal, Event::Keyboard(false)));
    assert!(!*canvas.text_input.lock());
    assert_eq!(guest.text(terminal, "echo refused\n").await, Err(Errno::Permission));
    host.text(terminal, "echo last\n").await.unwrap();
    shows(&bob.node, terminal, "last").await;
    assert!(!rows(&ada.node, terminal).iter().any(|row| row.contains("refused")));
}

#[tokio::test(flavor = "multi_thread")]
async fn scripts_find_the_terminals_of_others_and_whether_they_may_type() {
    let space = Space::start().await;
    let (ada, bob) = (space.join("ada").await, space.join("bob").await);
    let (mut host, mut guest) = (Hands::new(&ada.node).await, Hands::new(&bob.node).await);
    let nothing = EntityId::from_bits(0);
    assert_eq!(guest.views(nothing).await, []);
    let terminal = host.shell().await;
    let entity = host.show(terminal).await;
    // It stands on a table that is turned to the left, at twice its size.
    let table = EntityId::new(entity.peer(), entity.serial() + 1000).unwrap();
    let half = std::f32::consts::FRAC_1_SQRT_2;
    let turned = Transform::at(1.0, 0.0, 2.0).rotated([0.0, half, 0.0, half]).scaled(2.0);
    let ops = [
        Op::Create(table, Scope::Shared),
        Op::Set(table, Component::Transform(turned)),
        Op::SetParent(entity, Some(table)),
        Op::Set(entity, Component::Transform(Transform::at(0.0, 0.5, 1.0))),
    ];
    host.call(4, &encode_batch(&ops)).await.unwrap();
    shows(&bob.node, terminal, "$").await;
    let mut views = Vec::new();
    while views.first().is_none_or(|view: &View| view.in_world.scale[0] != 2.0) {
        views = guest.views(nothing).await;
    }
    let [view] = views[..] else { panic!("{views:?}") };
    assert_eq!((view.entity, view.terminal, view.may_type), (entity, terminal, false));
    assert_eq!((view.columns, view.rows, view.cell_height), (60, 10, 0.1));
    let near = |a: &[f32], b: &[f32]| a.iter().zip(b).all(|(a, b)| (a - b).abs() < 1e-4);
    assert!(near(&view.in_world.translation, &[3.0, 1.0, 2.0]), "{view:?}");
    assert!(near(&view.in_world.rotation, &turned.rotation), "{view:?}");
    assert_eq!(guest.views(entity).await, [], "there is none behind it");
    let own = host.views(nothing).await;
    assert!(matches!(own[..], [View { may_type: true, columns: 60, .. }]), "{own:?}");

    grant(&ada.socket, bob.node.id(), true).await;
    while !guest.views(nothing).await[0].may_type {}
    // What stands on a hidden table is not there to be pointed at.
    host.call(4, &encode_batch(&[Op::Set(table, Component::Hidden(true))])).await.unwrap();
    while !guest.views(nothing).await.is_empty() {}
    leave(bob).await;
    leave(ada).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_grant_is_a_keys_and_outlives_both() {
    let space = Space::start().await;
    let (ada, bob) = (space.join("ada").await, space.join("bob").await);
    let id = bob.node.id();
    let request = Request::Grant { peer: id, what: Grantable::Terminal };
    let granted = operate(&ada.socket, &request).await.unwrap();
    assert_eq!((&granted[0]["name"], &granted[0]["connected"]), (&"bob".into(), &true.into()));
    for (request, code) in [
        (Request::Grant { peer: PeerId::new(99).unwrap(), what: Grantable::Terminal }, ErrorCode::NoPeer),
        (Request::Grant { peer: ada.node.id(), what: Grantable::Terminal }, ErrorCode::Invalid),
        (Request::Revoke { peer: PeerId::SERVER, what: Grantable::Terminal }, ErrorCode::NotFound),
    ] {
        assert_eq!(operate(&ada.socket, &request).await.unwrap_err().code, code);
    }
    // Both end, and come again: nobody else has it.
    leave(bob).await;
    until("bob has left", || ada.node.peers().len() == 2).await;
    let listed = operate(&ada.socket, &Request::ListGrants {}).await.unwrap();
    assert_eq!((&listed[0]["peer"], listed[0].get("connected")), (&id.number().into(), None));
    leave(ada).await;
    let ada = space.join("ada").await;
    let (bob, eve) = (space.join("bob").await, space.join("eve").await);
    let mut host = Hands::new(&ada.node).await;
    let terminal = host.shell().await;
    let (mut guest, mut other) = (Hands::new(&bob.node).await, Hands::new(&eve.node).await);
    let mut typed = Err(Errno::Permission);
    while typed == Err(Errno::Permission) {
        typed = guest.text(terminal, "echo again\n").await;
    }
    shows(&ada.node, terminal, "again").await;
    assert_eq!(other.text(terminal, "echo eve\n").await, Err(Errno::Permission));
    // It is taken back while bob is away.
    drop(guest);
    leave(bob).await;
    until("bob has left", || ada.node.peers().len() == 3).await;
    crate::hands::grant(&ada.socket, id, false).await;
    assert!(operate(&ada.socket, &Request::ListGrants {}).await.unwrap().is_empty());
    let bob = space.join("bob").await;
    let mut guest = Hands::new(&bob.node).await;
    // Bob would have been told when he came, which is before eve is.
    grant(&ada.socket, eve.node.id(), true).await;
    let mut typed = Err(Errno::Permission);
    while typed == Err(Errno::Permission) {
        typed = other.text(terminal, "echo eve\n").await;
    }
    assert_eq!(typed, Ok(()));
    assert_eq!(guest.text(terminal, "echo no\n").await, Err(Errno::Permission));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_keyboard_comes_back_when_the_host_goes() {
    let space = Space::start().await;
    let (options, _canvas) = with_canvas(space.options("bob"));
    let (ada, bob) = (space.join("ada").await, join(options).await.unwrap());
    let (mut host, mut guest) = (Hands::new(&ada.node).await, Hands::new(&bob.node).await);
    let terminal = host.shell().await;
    grant(&ada.socket, bob.node.id(), true).await;
    let mut focused = Err(Errno::Permission);
    while focused == Err(Errno::Permission) {
        focused = guest.focus(Some(terminal)).await;
    }
    focused.unwrap();
    guest.heard(&Event::Keyboard(true)).await;
    leave(ada).await;
    guest.heard(&Event::Keyboard(false)).await;
    until("it has left", || bob.node.peers().len() == 2).await;
    assert_eq!(guest.text(terminal, "x").await, Err(Errno::NotFound));
}
