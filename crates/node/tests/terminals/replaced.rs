// SPDX-License-Identifier: AGPL-3.0-or-later
//! Terminals of a process whose code is replaced.

use crate::{
    common::{Space, soon},
    hands::{Hands, operate, press, shows, with_canvas},
};
use bytes::Bytes;
use hearth_abi::{
    input::key,
    terminal::{Event, Modifiers, Open},
};
use hearth_node::join;
use hearth_protocol::operator::{ErrorCode, Request};
use std::path::Path;

/// A guest that asks for a terminal as it starts, and then does something.
fn opener(then: &str) -> Bytes {
    let open = Open { command: vec!["sleep".into(), "1000".into()], ..Open::default() }.encode();
    let data: String = open.iter().map(|byte| format!("\\{byte:02x}")).collect();
    let text = format!(
        r#"(module
  (import "hearth/1" "terminal_open" (func $open (param i32 i32 i64) (result i32)))
  (memory (export "memory") 1)
  (data (i32.const 0) "{data}")
  (func (export "start") (drop (call $open (i32.const 0) (i32.const {}) (i64.const 7))) {then})
  (func (export "wake")))"#,
        open.len()
    );
    wat::parse_str(text).unwrap().into()
}

async fn listed(socket: &Path) -> Vec<String> {
    let listed = operate(socket, &Request::ListTerminals {}).await.unwrap();
    listed.iter().map(|info| info["id"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_terminals_are_those_of_the_code_that_goes_on() {
    let space = Space::start().await;
    let (options, _canvas) = with_canvas(space.options("ada"));
    let ada = join(options).await.unwrap();
    let mut hands = Hands::new(&ada.node).await;
    let first = hands.shell().await;
    hands.focus(Some(first)).await.unwrap();
    assert_eq!(hands.event().await, (first, Event::Keyboard(true)));
    let id = hands.guest.id;
    for _ in 0..5 {
        let breaks = ada.node.put_lump(opener("unreachable")).await.unwrap();
        let failure = operate(&ada.socket, &Request::Replace { id, module: breaks }).await.unwrap_err();
        assert_eq!(failure.code, ErrorCode::DidNotStart);
    }
    // The keyboard is where it was.
    for (code, text) in [(0x08, "e"), (0x06, "c"), (0x0b, "h"), (0x12, "o"), (key::SPACE, " "), (0x0e, "k")] {
        press(&ada.node, code, Modifiers(0), text);
    }
    press(&ada.node, key::ENTER, Modifiers(0), "\r");
    shows(&ada.node, first, "k").await;
    // Asked for later, so that the others are open by now if they ever are.
    let second = hands.shell().await;
    assert_eq!(listed(&ada.socket).await, [first.to_string(), second.to_string()]);

    let starts = ada.node.put_lump(opener("")).await.unwrap();
    operate(&ada.socket, &Request::Replace { id, module: starts }).await.unwrap();
    assert!(ada.node.screen(first).is_none() && ada.node.screen(second).is_none());
    soon("the terminal of the new code", async {
        while listed(&ada.socket).await.len() != 1 {
            tokio::task::yield_now().await;
        }
    })
    .await;
}
