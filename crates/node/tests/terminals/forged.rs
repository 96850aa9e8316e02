// SPDX-License-Identifier: AGPL-3.0-or-later
//! Peers that have the password and say of terminals what is not theirs to say.

use crate::{
    common::{Guest, Raw, Space, echo, post, round_trip},
    hands::{Hands, rows, shows},
};
use bytes::Bytes;
use hearth_abi::{
    PeerId, ProcessId, TerminalId,
    screen::{Numbers, Screen},
    terminal::Command,
};
use hearth_protocol::{hot, screen};

async fn say(raw: &Raw, terminal: TerminalId, from: ProcessId, command: &[u8]) {
    let frame = hot::Frame::Terminal { terminal, from, command: Bytes::copy_from_slice(command) };
    raw.sender.hot(frame.encode()).await.unwrap();
}

fn of(raw: &Raw) -> ProcessId {
    ProcessId::new(raw.id, 1).unwrap()
}

/// The update that shows a screen, in pieces.
fn shown(terminal: TerminalId, screen: &Screen) -> Vec<Bytes> {
    let update = hearth_terminal::pack(Numbers { number: 1, base: 0 }, None, screen);
    screen::Frame::pieces(terminal, &update.into()).map(|frame| frame.encode()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_typed_without_leave_is_not_typed() {
    let space = Space::start().await;
    let ada = space.join("ada").await;
    let mut hands = Hands::new(&ada.node).await;
    let mut here = Hands::new(space.node()).await;
    for (hands, node) in [(&mut hands, &ada.node), (&mut here, space.node())] {
        let terminal = hands.shell().await;
        let stranger = space.raw("stranger").await;
        let commands =
            [Command::Text("echo forged\n".into()), Command::Paste("echo forged\n".into()), Command::Close];
        for command in &commands {
            say(&stranger, terminal, of(&stranger), &command.encode()).await;
        }
        // In the name of another peer, of the host, of the server, of nobody.
        for from in [hands.guest.id, ProcessId::new(PeerId::SERVER, 1).unwrap(), ProcessId::from_bits(0)] {
            let forger = space.raw("forger").await;
            let head = [&[4][..], &terminal.to_bits().to_le_bytes(), &from.to_bits().to_le_bytes()].concat();
            forger.sender.hot([&head[..], &commands[0].encode()].concat().into()).await.unwrap();
            forger.cut_off().await;
        }
        hands.text(terminal, "echo true\n").await.unwrap();
        shows(node, terminal, "true").await;
        assert_eq!(stranger.sender.link().close_reason(), None, "it is refused, and that is all");
        assert!(!rows(node, terminal).iter().any(|row| row.contains("forged")), "{:?}", rows(node, terminal));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_others_show_cannot_be_said_for_them() {
    let space = Space::start().await;
    let (ada, bob) = (space.join("ada").await, space.join("bob").await);
    let mut hands = Hands::new(&ada.node).await;
    let terminal = hands.shell().await;
    hands.show(terminal).await;
    hands.text(terminal, "echo true\n").await.unwrap();
    shows(&bob.node, terminal, "true").await;
    let mut forged = Screen::new(10, 2);
    forged.cells_mut()[0].character = 'X';
    let gone = screen::Frame::Gone { terminal }.encode();
    let of_server = TerminalId::new(PeerId::SERVER, 7).unwrap();
    for frames in [shown(terminal, &forged), vec![gone], shown(of_server, &forged)] {
        let forger = space.raw("forger").await;
        for frame in frames {
            forger.sender.screen(frame).await.unwrap();
        }
        forger.cut_off().await;
    }
    // Its own it may say, and nobody else's are forgotten with *all*.
    let other = space.raw("other").await;
    let own = TerminalId::new(other.id, 7).unwrap();
    for frame in shown(own, &forged).into_iter().chain([screen::Frame::All.encode()]) {
        other.sender.screen(frame).await.unwrap();
    }
    shows(&bob.node, own, "X").await;
    shows(&bob.node, terminal, "true").await;
    shows(space.node(), terminal, "true").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn malformed_frames_end_their_link() {
    let space = Space::start().await;
    let screen = Screen::new(1000, 1000);
    let mut all = Vec::new();
    let raw = space.raw("bad").await;
    let own = TerminalId::new(raw.id, 7).unwrap();
    let half = |last: bool, bytes: &'static [u8]| {
        screen::Frame::Update { terminal: own, is_last: last, piece: bytes.into() }.encode()
    };
    let key = hearth_net::PeerKey::generate();
    drop(raw);
    for frames in [
        vec![Bytes::new()],
        vec![Bytes::from_static(&[9])],
        vec![half(true, b"no update")],
        vec![half(false, b"x"), screen::Frame::All.encode()],
        vec![Bytes::from(vec![1; screen::FRAME_LEN_MAX])],
        // Five of the largest.
        (1..=5).flat_map(|serial| shown(TerminalId::new(own.peer(), serial).unwrap(), &screen)).collect(),
        (1..=65)
            .flat_map(|serial| shown(TerminalId::new(own.peer(), serial).unwrap(), &Screen::new(1, 1)))
            .collect(),
    ] {
        all.push(frames);
    }
    for frames in all {
        let bad = space.raw_with("bad", key.clone()).await;
        // It has a number of its own, which is not that of the frames; so they are made again for it.
        let frames: Vec<Bytes> =
            frames.into_iter().map(|frame| readdressed(&frame, own.peer(), bad.id)).collect();
        for frame in frames {
            // It may be cut off before all is said.
            let _ = bad.sender.screen(frame).await;
        }
        bad.cut_off().await;
    }
    // A command that is none.
    let bad = space.raw("bad").await;
    let here = TerminalId::new(PeerId::SERVER, 1).unwrap();
    say(&bad, here, of(&bad), &[99]).await;
    bad.cut_off().await;
    let (ada, bad) = (space.join("ada").await, space.raw("bad").await);
    let mut post = Guest::start(&ada.node, post()).await;
    let echo = Guest::start(space.node(), echo()).await;
    say(&bad, TerminalId::new(ada.node.id(), 1).unwrap(), of(&bad), &[3, 0xff]).await;
    bad.cut_off().await;
    round_trip(&mut post, echo.id, "the receiver keeps its link").await;
}

/// A frame with the terminals of one peer replaced by those of another.
fn readdressed(frame: &Bytes, from: PeerId, to: PeerId) -> Bytes {
    let moved = |id: TerminalId| match id.peer() == from {
        true => TerminalId::new(to, id.serial()).unwrap(),
        false => id,
    };
    match screen::Frame::decode(frame) {
        Ok(screen::Frame::Update { terminal, is_last, piece }) => {
            screen::Frame::Update { terminal: moved(terminal), is_last, piece }.encode()
        }
        _ => frame.clone(),
    }
}
